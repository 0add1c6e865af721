"""`subquad convert`: from a file of the originals to one that `load_model` reads."""

from types import SimpleNamespace

import pytest
import torch

from helpers import fill, load_case, relative_error, sampled, set_dictionaries, weights_of
from subquad import load_model


def write_original(path, case="light_ham_van_tiny", wrapper="state_dict"):
    weights = {f"module.{n}": torch.from_numpy(w) for n, w in weights_of(load_case(case)).items()}
    torch.save({wrapper: weights, "meta": {"epoch": 3}}, path)
    return path


def test_a_converted_network_gives_the_original_numbers(call, tmp_path):
    original, target = write_original(tmp_path / "iter_160000.pth"), tmp_path / "new" / "ours.safetensors"
    result = call("convert", original, "--output", target)
    assert (result.code, result.err) == (0, "")
    assert "light_ham_van_tiny" in result.out and "100.0% of all parameters" in result.out
    assert "rank 64" in result.out
    case, network = load_case("light_ham_van_tiny"), load_model(target)
    set_dictionaries(network, case.meta["seed"])
    with torch.no_grad():
        out = network(torch.from_numpy(fill.image(*case.meta["input"], case.meta["seed"])))
    assert relative_error(sampled(out), case.out) < 1e-5


@pytest.mark.slow
def test_classifier_and_options(call, tmp_path):
    original, target = (
        write_original(tmp_path / "van.pth.tar", "van_b0_classifier"),
        tmp_path / "v.safetensors",
    )
    result = call("convert", original, "--output", target)
    assert result.code == 0 and "van_tiny" in result.out and "rank" not in result.out
    assert load_model(target)(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    names = tmp_path / "classes.txt"
    names.write_text("\n".join(f"c{i}" for i in range(150)))
    segnext = write_original(tmp_path / "s.pth", "segnext_tiny", wrapper="net")
    result = call("convert", segnext, "--output", target, "--overwrite", "--classes", names, "--rank", "8")
    assert result.code == 0
    assert (load_model(target).config.rank, load_model(target).config.class_names[149]) == (8, "c149")


@pytest.mark.slow
def test_what_is_given_is_not_said_to_be_assumed(call, tmp_path):
    original, target = write_original(tmp_path / "a.pth"), tmp_path / "a.safetensors"
    assert (
        "rank 64, 6 steps (7 in evaluation); --rank changes it\n"
        in call("convert", original, "--output", target).out
    )
    result = call("convert", original, "--output", target, "--overwrite", "--rank=7", "--classes=ade20k")
    assert "tells it: 6 steps (7 in evaluation)\n" in result.out
    config = load_model(target).config
    assert config.rank == 7 and config.class_names[:2] == ("wall", "building") and len(config.palette) == 150


def test_complaints(complains, tmp_path):
    original = write_original(tmp_path / "a.pth")
    target = tmp_path / "a.safetensors"
    target.write_text("mine")
    complains("convert", original, "--output", target, quoting=("is there already", "--overwrite"))
    assert target.read_text() == "mine"
    complains("convert", original, "--output", tmp_path / "a.pt", quoting="must end in .safetensors")
    complains(
        "convert",
        tmp_path / "no.pth",
        "--output",
        tmp_path / "b.safetensors",
        quoting="there is no checkpoint",
    )
    (tmp_path / "bad.pth").write_bytes(b"PK\x03\x04 not really")
    complains("convert", tmp_path / "bad.pth", "--output", tmp_path / "b.safetensors", quoting="bad.pth")
    (tmp_path / "two.txt").write_text("a\nb")
    complains(
        "convert", original, "--output", tmp_path / "b.safetensors", "--classes", tmp_path / "two.txt",
        quoting=("names 2 classes", "has 150"),
    )  # fmt: skip
    assert not (tmp_path / "b.safetensors").exists()
    torch.save({"state_dict": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    complains(
        "convert", tmp_path / "other.pth", "--output", tmp_path / "b.safetensors", quoting="no network known"
    )


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 not really"])
def test_broken_files(complains, tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    complains(
        "convert", tmp_path / "x.pth", "--output", tmp_path / "b.safetensors", quoting="or a damaged one"
    )


class Payload:
    """Unpickled as Python does it, this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_file_is_executed(call, tmp_path):
    """Objects beside the weights are looked past, whatever they are."""
    path = write_original(tmp_path / "a.pth")
    content = torch.load(path, weights_only=True)
    torch.save({**content, "hub": Payload(tmp_path / "owned"), "buffer": SimpleNamespace(a=[1])}, path)
    result = call("convert", path, "--output", tmp_path / "b.safetensors")
    assert (result.code, result.err) == (0, "")
    assert not (tmp_path / "owned").exists()

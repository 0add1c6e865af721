"""Files: round trips, atomic writes, and clear sentences about bad ones."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers import load_case, weights_of
from subquad import create_model, load_model, load_original, save_model
from subquad.base.files import check_writable
from subquad.models import checkpoint, model_config
from subquad.models.backbones import make_backbone
from subquad.nn import Hamburger
from subquad.ops import CD

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


def small(**overrides):
    return create_model("light_ham_van_tiny_d256", **SMALL | overrides)


def test_round_trip_holds_weights_and_config(tmp_path):
    network = small(
        solver=CD(0.1, 0.2),
        class_names=("a", "b", "c"),
        palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        mean=(0.1, 0.2, 0.3),
    ).to(memory_format=torch.channels_last)
    path = tmp_path / "new" / "model.safetensors"
    save_model(network, path)
    loaded = load_model(path)
    assert loaded.config == network.config and not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    x = torch.randn(1, 3, 20, 20)
    torch.testing.assert_close(loaded(x), network.eval()(x))  # not equal: another memory layout
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_model(small(), path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(small(), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_bad_files_are_named(tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("these are no weights")
    with pytest.raises(
        ValueError, match=r"text.safetensors is not a safetensors file \(it starts with b'these are"
    ):
        load_model(text)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint .*none.safetensors"):
        load_model(tmp_path / "none.safetensors")
    bare = tmp_path / "bare.safetensors"
    save_file({"weight": torch.zeros(2)}, bare)
    with pytest.raises(ValueError, match="holds weights but no subquad configuration"):
        load_model(bare)
    swapped = tmp_path / "swapped.safetensors"
    config = checkpoint.config_to_json(model_config("light_ham_van_tiny_d256", **SMALL | {"rank": 9}))
    save_file(small().state_dict(), swapped, metadata={"subquad": config})
    with pytest.raises(
        ValueError,
        match="does not fit its own configuration: 1 tensors such as 'head.hamburger.ham.dictionary'",
    ):
        load_model(swapped)
    newer = tmp_path / "newer.safetensors"
    save_file({}, newer, metadata={"subquad": '{"format": 99, "family": "light_ham", "config": {}}'})
    with pytest.raises(ValueError, match="format 99, which this version"):
        load_model(newer)
    with pytest.raises(ValueError, match="only networks of subquad.create_model can be saved, got Linear"):
        save_model(torch.nn.Linear(1, 1), text)
    assert text.read_text() == "these are no weights"


def test_other_solvers_cannot_be_stored(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Mine(CD):
        pass

    with pytest.raises(ValueError, match="only NMF, VQ and CD can be stored"):
        save_model(small(solver=Mine()), tmp_path / "x.safetensors")


def test_original_wrappers_and_prefixes(tmp_path):
    case = load_case("light_ham_van_tiny")
    weights = {f"module.{n}": torch.as_tensor(w) for n, w in weights_of(case).items()}
    path = tmp_path / "original.pth"
    torch.save({"state_dict": weights, "meta": {"epoch": 3}}, path)
    assert load_original(create_model("light_ham_van_tiny"), path).coverage == 1


def test_an_imagenet_file_fills_the_backbone_only():
    case = load_case("light_ham_van_tiny")
    imagenet = {
        n.removeprefix("backbone."): w for n, w in weights_of(case).items() if n.startswith("backbone.")
    }
    imagenet["head.weight"] = weights_of(case)["decode_head.conv_seg.weight"]
    report = load_original(create_model("light_ham_van_tiny_d256", num_classes=11), imagenet)
    assert report.backbone_coverage == 1 and 0.5 < report.coverage < 1
    assert report.unexpected == ("head.weight",)
    assert any(name.startswith("head.squeeze") for name in report.missing)
    assert load_original(make_backbone("van_tiny"), imagenet).coverage == 1
    assert "100.0% of the backbone's" in str(report)


def test_other_class_counts_leave_the_classifier_and_say_so():
    report = load_original(
        create_model("light_ham_van_tiny", num_classes=11),
        weights_of(load_case("light_ham_van_tiny")),
    )
    assert report.reshaped[0].startswith("head.classifier.weight: (150, 512, 1, 1), (11, 512, 1, 1)")


def test_another_model_is_refused_and_nothing_changes(tmp_path):
    network = create_model("light_ham_van_small", num_classes=11)
    before = {n: v.clone() for n, v in network.state_dict().items()}
    with pytest.raises(ValueError, match="not a checkpoint of this LightHam: it covers .* 95% are needed"):
        load_original(network, weights_of(load_case("light_ham_van_tiny")))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(ValueError, match="it covers 0.0%"):
        load_original(Hamburger(8, dim=8, rank=2), {"weight": torch.zeros(3)})
    with pytest.raises(ValueError, match="no weights in the state dict"):
        load_original(network, {"epoch": 3})
    pickle = tmp_path / "bad.pth"
    pickle.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="bad.pth is no checkpoint of PyTorch, or a damaged one"):
        load_original(network, pickle)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    weights = {n: torch.as_tensor(w).clone() for n, w in weights_of(load_case("light_ham_van_tiny")).items()}
    spoilt = "backbone.block1.0.norm1.weight"
    weights[spoilt][3] = value
    network = create_model("light_ham_van_tiny")
    before = {n: v.clone() for n, v in network.state_dict().items()}
    with pytest.raises(ValueError, match=f"{spoilt} in the state dict holds NaN or infinity"):
        load_original(network, weights)
    assert all(torch.equal(v, before[n]) for n, v in network.state_dict().items())


@pytest.mark.parametrize(
    ("mine", "theirs", "sentence"),
    [
        (
            "light_ham_van_tiny",
            "segnext_tiny",
            r"those of segnext_\*, but this network has the backbone van_tiny",
        ),
        ("segnext_tiny", "hamnet_van_tiny_os8", r"those of hamnet_van_\*_os8, but .* backbone mscan_tiny"),
        ("hamnet_r50_voc", "van_b0_classifier", r"those of van_\*, but .* backbone resnet50_voc"),
        ("hamnet_van_tiny_os8", "hamnet_mm_r50_d8", r"those of hamnet_\*_ade20k, but .* backbone van_tiny"),
        ("light_ham_van_small", "light_ham_van_tiny", "Check the size of the network"),
    ],
)
def test_weights_of_another_family_are_told(mine, theirs, sentence):
    with torch.device("meta"):
        network = create_model(mine)
    with pytest.raises(ValueError, match=sentence):
        load_original(network, weights_of(load_case(theirs)))


def test_files_can_be_written_or_not(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "file.txt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="is a folder; give the name of a file"):
        check_writable(tmp_path)
    (tmp_path / "file").write_text("mine")
    check_writable(tmp_path / "file")
    for path, folder in (
        (Path("/proc/m.onnx"), "/proc"),
        (tmp_path / "file" / "below", str(tmp_path / "file")),
    ):
        with pytest.raises(ValueError, match=f"{path} cannot be written: {folder} takes no new file"):
            check_writable(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_online_bases_fill_the_dictionary():
    block = Hamburger(6, version="v2", dim=8, rank=2, heads=2)
    case = {"ham.bases": torch.rand(2, 4, 2)} | {
        n: torch.rand(p.shape)
        for n, p in {
            "lower_bread.0.weight": block.lower_bread.weight,
            "lower_bread.0.bias": block.lower_bread.bias,
            "cheese.conv.weight": block.cheese.weight,
            "cheese.bn.weight": block.norm.weight,
            "cheese.bn.bias": block.norm.bias,
            "upper_bread.weight": block.upper_bread.weight,
        }.items()
    }
    load_original(block, case)
    assert torch.equal(block.ham.dictionary, case["ham.bases"])

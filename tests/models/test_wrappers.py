"""What wraps a network, or its weights in a file, is seen through; what changes it is refused when saved."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from checkpoint_files import TINY, saved, tiny
from subquad import create_model, load_model, load_original, save_model
from subquad.models.originals.weights import read_weights
from subquad.models.wrappers import bare_names
from subquad.nn import Hamburger, insert_context, remove_context


def same(one, other):
    return list(one) == list(other) and all(torch.equal(value, other[name]) for name, value in one.items())


def wrapped_inside(network):
    network.blocks[0] = torch.compile(network.blocks[0])
    network.blocks[0]._orig_mod.requires_grad_(False)
    network.classifier = nn.DataParallel(torch.compile(network.classifier))
    return network


def compiled_in_place(network):
    network.compile()
    return network


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        compiled_in_place,
        nn.DataParallel,
        AveragedModel,
        lambda network: torch.compile(nn.DataParallel(torch.compile(network))),
        wrapped_inside,
        lambda network: network.requires_grad_(False),
    ],
    ids=["compile", "in place", "DataParallel", "average", "nested", "inside", "frozen"],
)
def test_a_wrapped_network_is_saved_under_its_own_names(tmp_path, wrap):
    network = tiny()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_model(wrap(network), tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors")
    assert same(again.state_dict(), state) and again.config == tiny().config


def test_a_changed_network_is_refused_with_what_is_surplus(tmp_path):
    network = insert_context(tiny(), "blocks.0", layout="tokens", channels=4, rank=2)
    with pytest.raises(
        ValueError, match=r"blocks\.0\.context\.\S+, .* and \d+ more surplus; undo .*remove_context"
    ):
        save_model(network, tmp_path / "a.safetensors")
    save_model(remove_context(network, "blocks.0"), tmp_path / "a.safetensors")
    network.classifier = nn.Linear(4, 7)
    with pytest.raises(ValueError, match=r"classifier.weight, classifier.bias of another shape"):
        save_model(network, tmp_path / "b.safetensors")
    network.classifier = nn.Identity()
    with pytest.raises(ValueError, match=r"classifier.weight, classifier.bias missing"):
        save_model(network, tmp_path / "b.safetensors")
    with torch.device("meta"):
        network = create_model("paramixer_text", **TINY)
    with pytest.raises(ValueError, match="without values"):
        save_model(network, tmp_path / "b.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_shared_weights_are_saved_with_each_name(tmp_path):
    network = tiny(vocab_size=2, dim=4)
    network.classifier.weight = network.embedding.weight
    save_model(network, tmp_path / "a.safetensors")
    assert same(load_model(tmp_path / "a.safetensors").state_dict(), network.state_dict())


WEIGHTS = {f"{part}.{name}": torch.ones(2) for part in ("blocks", "head") for name in "ab"}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "network.", "model.", "net.",
        "module.model.",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "wrapper", ["", "state_dict", "model_state_dict", "model", "net", "ema", "state_dict_ema"]
)
def test_wrappers_and_prefixes_are_seen_through(wrapper, prefix):
    weights = {prefix + name: tensor for name, tensor in WEIGHTS.items()}
    content = (
        {"epoch": 3, "optimizer": {"state": {0: {"m": torch.zeros(1)}}}, wrapper: weights}
        if wrapper
        else weights
    )
    assert list(read_weights(content)) == list(WEIGHTS)


def test_nested_wrappers_unknown_ones_and_compiled_parts():
    parts = {name.replace("blocks.", "blocks._orig_mod."): tensor for name, tensor in WEIGHTS.items()}
    assert list(read_weights({"model": {"state_dict": parts}})) == list(WEIGHTS)
    assert list(read_weights({"epoch": 1, "my_own_word": WEIGHTS})) == list(WEIGHTS)
    both = {"state_dict": WEIGHTS, "state_dict_ema": {"a": torch.zeros(1)}}
    assert list(read_weights(both)) == list(WEIGHTS)
    lightning = {f"model.{name}": tensor for name, tensor in WEIGHTS.items()} | {
        "criterion.weight": torch.ones(1)
    }
    assert list(read_weights(lightning)) == [*WEIGHTS, "criterion.weight"]
    circle = {}
    circle["model"] = circle
    with pytest.raises(ValueError, match="no weights"):
        read_weights(circle)


def test_names_of_the_network_itself_are_never_shortened():
    assert bare_names(["network.a", "network.b"], ["network.a"]) == {
        "network.a": "network.a",
        "network.b": "b",
    }
    from subquad.models.backbones import make_backbone

    backbone = make_backbone("timm/test_resnet")
    assert load_original(backbone, backbone.state_dict()).coverage == 1


def test_keys_that_hold_no_weights_are_named():
    content = {"epoch": 3, "student": {"a": torch.zeros(1)}, "teacher": {"a": torch.zeros(1)}}
    with pytest.raises(ValueError, match="it holds 'epoch', 'student', 'teacher'; they are looked for"):
        read_weights(content)


def test_a_block_is_filled_through_wrappers():
    state = Hamburger(8, dim=8, rank=3).state_dict()
    for prefix in ("", "module.", "_orig_mod.", "module._orig_mod."):
        report = load_original(
            Hamburger(8, dim=8, rank=3), {"model_state_dict": {prefix + n: t for n, t in state.items()}}
        )
        assert report.coverage == 1 and not report.missing and not report.unexpected


def test_a_file_of_ours_starts_a_compiled_network(tmp_path):
    network = torch.compile(tiny())
    assert load_original(network, saved(tmp_path / "a.safetensors")).coverage == 1

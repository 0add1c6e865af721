"""The rivals of other packages, which experiments/rivals registers."""

import sys
from pathlib import Path

import pytest
import torch

from subquad import create_model, load_model, save_model

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "rivals"))
pytest.importorskip("subquad_rivals")
for package in ("linformer", "nystrom_attention", "performer_pytorch", "reformer_pytorch"):
    pytest.importorskip(package)

RIVALS = ("linformer", "performer", "nystromformer", "reformer")


def small(**options):
    settings = {"vocab_size": 7, "num_classes": 3, "length": 21, "dim": 8, "hidden": 6, "depth": 2}
    return create_model("paramixer_text", **settings | {"dropout": 0.0} | options)


@pytest.mark.parametrize("mixer", RIVALS)
def test_rivals_are_not_causal(mixer):
    # In the published comparison some were, and their first position could not see the text.
    torch.manual_seed(0)
    network = small(vocab_size=None, length=300, context=mixer, pooling="cls", heads=2)
    values = torch.randn(1, 300, 1, requires_grad=True)
    network(values).sum().backward()
    assert values.grad is not None
    assert (values.grad[0, 1:].abs() > 0).float().mean() > (0.3 if mixer == "reformer" else 0.99)


@pytest.mark.parametrize("mixer", RIVALS)
def test_rivals_are_saved_and_loaded(mixer, tmp_path):
    network = small(length=128, context=mixer, pooling="cls").eval()
    path = tmp_path / "network.safetensors"
    save_model(network, path)
    tokens = torch.randint(7, (2, 128))
    outputs = []
    for each in (network, load_model(path)):
        torch.manual_seed(0)  # Reformer hashes at random, in evaluation too
        outputs.append(each.eval()(tokens))
    assert torch.equal(*outputs)


def test_the_random_features_of_performer_are_drawn_anew():
    performer = small(context="performer").train().blocks[0].network
    name = "net.layers.0.0.fn.fast_attention.projection_matrix"
    before = performer.state_dict()[name].clone()
    performer.proj_updater.calls_since_last_redraw.fill_(performer.proj_updater.feature_redraw_interval)
    performer(torch.randn(1, 21, performer.net.layers[0][0].norm.weight.numel()))
    assert not torch.equal(performer.state_dict()[name], before)


@pytest.mark.parametrize("mixer", RIVALS)
def test_rivals_say_that_they_do_not_mix_lengths(mixer):
    assert not small(context=mixer).config.mixes_lengths and small().config.mixes_lengths


@pytest.mark.parametrize("mixer", RIVALS)
def test_rivals_without_an_exact_mask_refuse_mixed_lengths(mixer):
    network = small(context=mixer)
    with pytest.raises(ValueError, match="has no exact mask"):
        network(torch.zeros(2, 21, dtype=torch.int64), lengths=torch.tensor([21, 3]))


def test_what_cannot_be_exported_is_said(tmp_path):
    from subquad.export import export_onnx

    pytest.importorskip("onnx")
    network = create_model(
        "paramixer_genome", vocab_size=6, length=40, context="linformer", dim=8, hidden=8, depth=1
    )
    with pytest.raises(
        ValueError, match="cannot follow SequenceNetwork with context 'linformer' for sequences"
    ):
        export_onnx(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mixer", RIVALS)
def test_a_missing_package_is_named(mixer, monkeypatch):
    missing = {"nystromformer": "nystrom_attention", "linformer": "linformer"}.get(mixer, f"{mixer}_pytorch")
    monkeypatch.setitem(sys.modules, missing, None)
    name = missing.replace("_", "-")
    with pytest.raises(ValueError, match=f"needs the package {name}: pip install ./experiments/rivals"):
        small(context=mixer)


def test_their_papers_are_named():
    papers = {small(context=mixer).config.sources for mixer in RIVALS}
    assert papers == {
        ("Wang et al., Linformer, 2020",),
        ("Choromanski et al., ICLR 2021",),
        ("Xiong et al., AAAI 2021",),
        ("Kitaev et al., ICLR 2020",),
    }

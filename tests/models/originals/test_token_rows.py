"""Vectors of tokens go by name, whatever the numbers of the tokens."""

from fractions import Fraction

import pytest
import torch

from subquad import create_model, load_original, save_model
from subquad.engine.learner import CONFIG_KEY
from subquad.models.checkpoint import config_to_json
from subquad.models.originals.token_rows import RESUMABLE_KEY


def network(tokens, **options):
    torch.manual_seed(len(tokens) + sum(map(ord, tokens[0])))
    return create_model(
        "paramixer_genome", dim=8, hidden=8, pooling="mean", positions=False, num_classes=2, length=16,
        vocab_size=len(tokens), token_names=tuple(tokens), **options,
    )  # fmt: skip


def saved(model, path):
    if path.suffix == ".safetensors":
        save_model(model, path)
    else:
        weights = {f"network.{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save({"state_dict": weights, CONFIG_KEY: config_to_json(model.config)}, path)
    return path


def rows(model):
    return dict(zip(model.config.token_names, model.embedding.weight.detach(), strict=True))


@pytest.mark.parametrize("name", ["a.safetensors", "last.ckpt"])
def test_known_tokens_are_copied_by_name_and_the_others_start_anew(name, tmp_path):
    theirs, ours = network(["A", "C", "<unk>", "<pad>"]), network(["X", "A", "Y", "<pad>"])
    before = {token: row.clone() for token, row in rows(ours).items()}
    report = load_original(ours, saved(theirs, tmp_path / name))
    assert report.new_tokens == ("X", "Y")
    for token, row in rows(ours).items():
        assert torch.equal(row, before[token] if token in "XY" else rows(theirs)[token])
    assert "no vectors of 2 of the network's tokens, which start anew: 'X', 'Y'" in str(report)
    count = sum(parameter.numel() for parameter in ours.parameters())
    assert report.coverage == pytest.approx(1 - 2 * 8 / count) and report.backbone_coverage == 1
    assert torch.equal(ours.classifier.weight, theirs.classifier.weight)


def test_another_number_of_tokens_and_another_order_fit(tmp_path):
    theirs, ours = network(["A", "C", "G", "<pad>"]), network(["<pad>", "G", "A", "C", "B"])
    report = load_original(ours, saved(theirs, tmp_path / "a.safetensors"))
    assert report.new_tokens == ("B",) and not report.reshaped
    assert all(torch.equal(rows(ours)[token], row) for token, row in rows(theirs).items())


def test_the_same_tokens_and_weights_without_names_are_as_before(tmp_path):
    theirs, ours = network(["A", "C", "G", "<pad>"]), network(["X", "C", "G", "<pad>"])
    report = load_original(ours, theirs.state_dict())
    assert report.coverage == 1 and torch.equal(ours.embedding.weight, theirs.embedding.weight)
    again = network(["A", "C", "G", "<pad>"])
    assert load_original(again, saved(theirs, tmp_path / "a.safetensors")).coverage == 1
    wider = create_model("paramixer_genome", dim=16, hidden=8, length=16)
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load_original(wider, tmp_path / "a.safetensors")


def test_the_key_is_that_of_the_checkpoints_to_resume_from():
    assert RESUMABLE_KEY == CONFIG_KEY


@pytest.mark.parametrize(("new_format", "other"), [(False, 1), (True, Fraction(1, 3))])
def test_checkpoints_of_other_programs_are_read_too(new_format, other, tmp_path):
    """They may be of the format before torch 1.6, or hold objects of classes that are not known here."""
    theirs = network(["A", "C", "G", "<pad>"])
    torch.save(
        {"state_dict": theirs.state_dict(), "options": other},
        tmp_path / "a.ckpt",
        _use_new_zipfile_serialization=new_format,
    )
    assert load_original(network(["X", "C", "G", "<pad>"]), tmp_path / "a.ckpt").coverage == 1

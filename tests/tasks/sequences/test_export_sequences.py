"""An exported sequence network gives the network's answers for any batch of any lengths."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from nightly import some_by_day
from subquad import create_model
from subquad.export import export_onnx, export_torch
from subquad.export.report import ShapeCheck
from subquad.tasks.sequences.trace import draw

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SMALL = {"dim": 8, "hidden": 8, "depth": 1}
NETWORKS = {  # few factors: a conversion takes a second for each
    "mean": ("paramixer_genome", {"pooling": "mean", "vocab_size": 6, "length": 9, "positions": False}),
    "values": (
        "paramixer_adding",
        {"pooling": "cls", "norm": True, "protocol": "cdil", "links": 3, "length": 9},
    ),
}
SLOW = {
    "chordmixer": ("chordmixer", {"vocab_size": 6, "length": 9}),
    "positions": ("paramixer_order", {"positions": True, "length": 50, "vocab_size": 6}),
    "flatten": ("paramixer_genome", {"pooling": "flatten", "vocab_size": 6, "length": 9}),
    "transformer": (
        "paramixer_genome",
        {"context": "transformer", "pooling": "cls", "vocab_size": 6, "length": 40},
    ),
}


@pytest.fixture(autouse=True)
def _quiet():
    """Tracing logs thousands of debug records, which pytest would format."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def check_both_formats(name, options, folder):
    torch.manual_seed(1)
    network = create_model(name, **SMALL | options)
    onnx_report = export_onnx(network, folder / "model.onnx")
    assert onnx_report.passed and export_torch(network, folder / "model.pt2").passed
    assert network.training, "the network stays as it is"
    assert len(onnx_report.checks) == 4 and onnx_report.checks[-1].shape[:2] == (1, 1)
    network.eval()
    program = torch.export.load(folder / "model.pt2").module()
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    longest = network.config.longest or 300
    for lengths in ([1], [2, 1], [longest, 3, longest - 1, 1, 7]):
        batch, n = len(lengths), max(lengths)
        shape = (batch, n, 2) if network.config.vocab_size is None else (batch, n)
        inputs = torch.rand(shape) if network.config.vocab_size is None else torch.randint(6, shape)
        lengths = torch.tensor(lengths)
        with torch.no_grad():
            expected = network(inputs, lengths=lengths)
            torch.testing.assert_close(program(inputs, lengths), expected)
        answer = session.run(None, {"inputs": inputs.numpy(), "lengths": lengths.numpy()})[0]
        assert np.abs(answer - expected.numpy()).max() <= 1e-4


@pytest.mark.parametrize("name", some_by_day(NETWORKS, lambda name: name == "values"))
def test_every_batch_of_any_lengths(name, tmp_path):
    check_both_formats(*NETWORKS[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_other_networks(name, tmp_path):
    check_both_formats(*SLOW[name], tmp_path)


@pytest.mark.slow
def test_the_file_explains_itself(tmp_path):
    tokens = ("A", "C", "G", "T")
    options = SMALL | NETWORKS["mean"][1] | {"vocab_size": 4, "token_names": tokens}
    network = create_model("paramixer_genome", class_names=("cat", "dog"), **options)
    export_onnx(network, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    known = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert known["token_names"] == [*tokens] and known["class_names"] == ["cat", "dog"]
    assert known["inputs"] == "int64 tokens, 0..3" and known["longest"] is None and not known["regression"]
    axes = [[axis.dim_param for axis in value.type.tensor_type.shape.dim] for value in model.graph.input]
    assert axes == [["batch", "positions"], ["batch"]]
    assert b"sequence.py" not in (tmp_path / "model.onnx").read_bytes()


def test_what_cannot_be_exported_is_said(tmp_path):
    network = create_model("paramixer_genome", vocab_size=6, length=40, **SMALL)
    with pytest.raises(ValueError, match=r"size=\(5, 5\) is for networks on images"):
        export_onnx(network, tmp_path / "model.onnx", size=(5, 5))
    with pytest.raises(ValueError, match="preprocess=True is for networks on images"):
        export_torch(network, tmp_path / "model.pt2", preprocess=True)
    with pytest.raises(ValueError, match="a HamGAN does not; torch.export takes it as it is"):
        export_onnx(create_model("hamgan_baby", width=4, size=32), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_values_of_any_scale_are_asked_about_in_their_own(scale):
    units = {"mean": (scale, 0.0), "std": (scale, scale), "target_std": scale}
    network = create_model("paramixer_adding", **SMALL, length=9, **units)
    inputs = draw(network.config, 4, 9, torch.Generator().manual_seed(0))
    answers = network(inputs).abs().max().item()
    assert scale * 1e-3 < answers < scale * 1e3  # in units of others all inputs are equal, or infinite
    check = ShapeCheck((4, 9, 2), 1e-3 * scale, answers, 1.0, True, 4, scale)
    assert not check.passed(1e-4) and replace(check, error=1e-5 * scale).passed(1e-4)

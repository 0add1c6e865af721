"""`subquad export`."""

import json
import logging

import numpy as np
import pytest
import torch

from subquad import load_model
from subquad.tasks.segmentation.labels import predict_labels

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(autouse=True)
def _quiet():
    """Tracing logs thousands of debug records, which pytest would format."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def test_a_checkpoint_becomes_onnx(call, complains, trained, tmp_path):
    path = tmp_path / "new" / "model.onnx"
    result = call("export", trained.run, "--output", path)
    assert result.code == 0 and result.err == "", result.err
    assert f"wrote {path} and {path}.report.json" in result.out
    assert "weights: " in result.out and "random" not in result.out
    assert "1 x 3 x 97 x 131" in result.out and "any size from 5 x 5 on" in result.out
    assert json.loads(path.with_name("model.onnx.report.json").read_text())["passed"]
    images = torch.randn(2, 3, 31, 47)
    answer = onnxruntime.InferenceSession(str(path)).run(None, {"images": images.numpy()})[0]
    with torch.no_grad():
        expected = load_model(trained.weights)(images).numpy()
    assert np.abs(answer - expected).max() < 1e-4
    before = path.read_bytes()
    complains("export", trained.run, "--output", path, quoting=[str(path), "--overwrite"])
    assert path.read_bytes() == before


@pytest.mark.slow
def test_classes_alone(call, trained, tmp_path):
    path = tmp_path / "model.onnx"
    result = call("export", trained.run, "--output", path, "--answer", "classes", "--preprocess")
    assert result.code == 0, result.err
    assert "file and network agree in the classes of 100.000 %" in result.out and "logit" not in result.out
    pictures = torch.randint(0, 256, (1, 3, 50, 60), dtype=torch.uint8)
    (classes,) = onnxruntime.InferenceSession(str(path)).run(["classes"], {"images": pictures.numpy()})
    assert (classes == predict_labels(load_model(trained.weights), pictures).numpy()).mean() >= 0.9999


@pytest.mark.slow
def test_torch_and_the_default_name(call, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("export", trained.weights, "--format=torch", "--size", "128", "160", "--preprocess")
    assert result.code == 0, result.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.pt2", "best.pt2.report.json"]
    pictures = torch.randint(0, 256, (1, 3, 50, 60), dtype=torch.uint8)
    assert torch.export.load("best.pt2").module()(pictures).shape == (1, 3, 50, 60)


@pytest.mark.slow
def test_a_name_has_random_weights_and_says_so(call, tmp_path):
    result = call("export", "light_ham_van_tiny_d256", "--output", tmp_path / "a.onnx")
    assert result.code == 0 and "weights: random" in result.out


@pytest.mark.parametrize(
    ("arguments", "quoting"),
    [
        (["light_ham_van_tny"], "Did you mean 'light_ham_van_tiny'?"),
        (["nowhere/run"], "nowhere/run"),
        (["light_ham_van_tiny", "--format=coreml"], "coreml"),
        (["light_ham_van_tiny", "--size", "0", "5"], "0 5"),
        (["light_ham_van_tiny", "--opset=3"], "18"),
        (["light_ham_van_tiny", "--format=torch", "--opset=18"], "--opset"),
        (["light_ham_van_tiny", "--tolerance=-1"], "-1"),
        (["light_ham_van_tiny", "--ouput=a"], "--output"),
    ],
    ids=str,
)
def test_wrong_input(complains, arguments, quoting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complains("export", *arguments, quoting=quoting)
    assert not list(tmp_path.iterdir())

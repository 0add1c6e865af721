"""The step of a network of text as a file: another runtime writes the same text."""

import json

import numpy as np
import pytest
import torch

from nightly import some_by_day
from subquad import save_model
from subquad.export import export_torch
from subquad.export.report import compare
from subquad.models import LanguageConfig
from subquad.tasks.language.trace import trace_language
from subquad.tasks.language.writing import Sampling, read, write
from toy_language import toy  # noqa: F401

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("toy")
END = 256


def network_of(pattern):
    torch.manual_seed(1)
    network = LanguageConfig(
        dim=16,
        depth=len(pattern),
        pattern=pattern,
        heads=4,
        paramixer_heads=4,
        factors=3,
        chunk=4,
        tied=False,
    ).build()
    with torch.no_grad():
        network.readout.weight.mul_(20)
        for layer in network.layers:  # or each token would be followed by itself
            layer.mlp[2].weight.mul_(20)
    return network.eval()


PATTERNS = [("paramixer", "ham"), ("attention", "convolution")]


@pytest.mark.parametrize(
    "pattern", some_by_day(PATTERNS, lambda pattern: "attention" in pattern), ids=" ".join
)
def test_onnxruntime_writes_the_same_text(pattern, tmp_path, call):
    network = network_of(pattern)
    save_model(network, tmp_path / "n.safetensors")
    result = call("export", tmp_path / "n.safetensors", "--output", tmp_path / "n.onnx")
    assert result.code == 0, result.err
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    told = session.get_modelmeta().custom_metadata_map
    assert (json.loads(told["end"]), json.loads(told["kind"])) == (END, "bytes")
    shapes = json.loads(told["cache"])
    cache = {
        name: np.zeros((2, *shape), kind.removeprefix("torch.")) for name, (kind, *shape) in shapes.items()
    }
    names = [output.name.removeprefix("next.") for output in session.get_outputs()]
    prompts, written = [[END, *b"The "], [END, *b"A gr"]], [[], []]
    tokens = np.array([prompt[0] for prompt in prompts])
    for step in range(1, 30):
        found = dict(zip(names, session.run(None, {"tokens": tokens, **cache}), strict=True))
        cache = {name: found[name] for name in cache}
        known = step < 5
        tokens = np.array([p[step] for p in prompts]) if known else found["logits"].argmax(axis=1)
        for text, token in zip(written, [] if known else tokens.tolist(), strict=False):
            text.append(token)
    for prompt, text in zip(prompts, written, strict=True):
        place = read(network, torch.tensor(prompt))
        assert [int(write(network, place, Sampling(temperature=0))) for _ in text] == text
    assert len({*written[0]}) > 1 and written[0] != written[1]


@pytest.mark.parametrize(
    "pattern", some_by_day([("toy",), ("delta", "linear")], lambda pattern: "toy" in pattern), ids=" ".join
)
def test_a_program_of_pytorch_gives_the_same(pattern, tmp_path):
    report = export_torch(network_of(pattern), tmp_path / "n.pt2")
    assert report.passed and len(report.checks) == 5
    assert (tmp_path / "n.pt2").is_file()


def test_another_state_is_no_success(toy):  # noqa: F811
    """An answer may be right and what it is to go on from wrong."""
    traced = trace_language(network_of(("toy",)))

    def ask(change):
        def answer(*inputs):
            logits, *state = traced.network(*inputs)
            return logits, *change(state)

        return compare(traced, answer, "n.onnx", format="onnx", tolerance=1e-4, versions={}).passed

    assert ask(lambda state: state)
    assert not ask(lambda state: [tensor + 1e-3 for tensor in state])
    assert not ask(lambda state: [torch.full_like(tensor, -1) for tensor in state])
    assert not ask(lambda state: state[:-1])


def test_options_of_images_are_refused():
    with pytest.raises(ValueError, match=r"size=\(3, 4\) is for networks on images, this one is on text"):
        trace_language(network_of(("toy",)), size=(3, 4))
    with pytest.raises(ValueError, match="preprocess=True is for networks on images"):
        trace_language(network_of(("toy",)), preprocess=True)

"""`predict --fast`: bfloat16 where it is faster and agrees, and a line that says what was done."""

import numpy as np
import pytest
import torch
from PIL import Image

from subquad import create_model, save_model
from subquad.bench.timing import Timing
from subquad.models import InferenceReport, SegmentationNetwork, inference_steps, optimized
from subquad.tasks.segmentation.commands import fast
from subquad.tasks.segmentation.labels import for_inference


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=3
    )
    torch.nn.init.normal_(network.head.classifier.weight)
    save_model(network, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 11, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def with_gain(monkeypatch, gain):
    """Let bfloat16 be there, and so many times as fast."""
    monkeypatch.setattr(fast, "why_not_bfloat16", lambda kind: "")
    times = {"float32": Timing(gain, gain, gain), "bfloat16": Timing(1.0, 1.0, 1.0)}
    monkeypatch.setattr(fast, "side_by_side", lambda ways, **_: times)


def masks(call, checkpoint, photo, folder, *more):
    result = call("predict", checkpoint, photo, "--output", folder, *more)
    assert result.code == 0
    with Image.open(folder / "photo.png") as mask:
        return np.asarray(mask), result.err


def test_the_same_mask_up_to_the_agreement(call, checkpoint, photo, tmp_path, monkeypatch):
    with_gain(monkeypatch, 1.5)
    monkeypatch.setattr(fast, "LEAST_AGREEMENT", 0.9)  # of random weights
    plain, silent = masks(call, checkpoint, photo, tmp_path / "plain")
    quick, told = masks(call, checkpoint, photo, tmp_path / "fast", "--fast")
    assert silent == ""
    assert told.startswith("note: --fast computes in bfloat16: bfloat16 is 1.50 times as fast on the first")
    assert len(np.unique(plain)) > 1
    share = float(told.split("and ")[1].split(" %")[0])
    assert (plain == quick).mean() == pytest.approx(share / 100, abs=1e-4)


@pytest.mark.parametrize(
    ("gain", "least", "why"),
    [(1.05, 0.0, "stays in float32: bfloat16 is 1.05"), (2, 1.1, "less than 110.0 %")],
)
def test_it_stays_as_it_is_and_says_why(call, checkpoint, photo, tmp_path, monkeypatch, gain, least, why):
    with_gain(monkeypatch, gain)
    monkeypatch.setattr(fast, "LEAST_AGREEMENT", least)
    plain, _ = masks(call, checkpoint, photo, tmp_path / "plain")
    quick, told = masks(call, checkpoint, photo, tmp_path / "fast", "--fast")
    assert told.count("\n") == 1 and why in told and np.array_equal(plain, quick)


def test_a_machine_without_bfloat16(call, checkpoint, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(fast, "why_not_bfloat16", lambda kind: "it has no such instructions")
    _, told = masks(call, checkpoint, photo, tmp_path / "out", "--fast")
    assert told == "note: --fast stays in float32: for bfloat16, it has no such instructions.\n"


def test_a_first_picture_that_cannot_be_read(call, checkpoint, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"none")
    result = call("predict", checkpoint, tmp_path / "photo.png", "--output", tmp_path / "out", "--fast")
    assert result.code == 2 and "--fast changes nothing, as no picture can be read" in result.err


def test_the_next_picture_decides_where_the_first_cannot_be_read(
    call, checkpoint, photo, tmp_path, monkeypatch
):
    with_gain(monkeypatch, 1.5)
    monkeypatch.setattr(fast, "LEAST_AGREEMENT", 0.0)
    (photo.parent / "pictures").mkdir()
    photo.rename(photo.parent / "pictures" / "b.png")
    (photo.parent / "pictures" / "a.png").write_bytes(b"none")
    folder = photo.parent / "pictures"
    result = call("predict", checkpoint, folder, "--output", tmp_path / "out", "--fast")
    assert result.code == 2 and "--fast computes in bfloat16" in result.err and "a.png" in result.err


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_is_a_file_is_told_before_anything_is_read(
    call, checkpoint, photo, tmp_path, output, monkeypatch
):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("subquad.tasks.asking.load_model", lambda path: pytest.fail("the network was read"))
    result = call("predict", checkpoint, photo, "--output", tmp_path / output)
    told = f"--output {tmp_path / output} is to be a folder, but {tmp_path / 'file'} is a file; give another"
    assert result.code == 2 and told in result.err


def test_for_inference_gives_an_optimised_network():
    network = for_inference(create_model("light_ham_van_tiny_d256", num_classes=3))
    assert isinstance(network, SegmentationNetwork)
    assert isinstance(network._inference_report, InferenceReport) and not network._inference_report.refused


def test_for_inference_looks_at_a_second_size(monkeypatch):
    """A step that is right at the first size alone is not taken."""
    network = create_model("light_ham_van_tiny_d256", num_classes=3)

    def wrong(copy, example):
        def otherwise(module, inputs, output):
            return output if inputs[0].shape[-1] == example[0].shape[-1] else 2 * output

        copy.register_forward_hook(otherwise)
        return 1

    monkeypatch.setattr(inference_steps, "STEPS", {**inference_steps.STEPS, "wrong elsewhere": wrong})
    monkeypatch.setattr(optimized, "STEPS", inference_steps.STEPS)
    found = for_inference(network)
    assert found is network and not found._forward_hooks

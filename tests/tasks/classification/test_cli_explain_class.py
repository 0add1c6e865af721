"""`subquad explain` of a classifier: the middle that it sees, and what its ham made of that."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from subquad import create_model, save_model
from subquad.data.pictures import read_image
from subquad.tasks.classification.commands.explain import codes_of, pixel_seen
from subquad.tasks.classification.data.transforms import EvalTransform


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def weights_of(tmp_path, context="hamburger", **options):
    network = create_model(
        "conv_tiny", num_classes=3, context=context, rank=4, image_size=32, **options
    ).eval()
    save_model(network, tmp_path / "m.safetensors")
    return network, tmp_path / "m.safetensors"


@pytest.mark.parametrize("options", [{}, {"in_channels": 1}, {"heads": 2}])
def test_what_is_told_is_what_the_network_says(picture, tmp_path, call, options):
    network, path = weights_of(tmp_path, **options)
    told = tmp_path / "told.json"
    files = "--output", tmp_path / "page.html", "--json", told, "--png", tmp_path / "figure.png"
    result = call("explain", picture, "--model", path, "--at=45,30", *files)
    assert (result.code, result.err) == (0, "")
    found = json.loads(told.read_text())
    assert sum(one["probability"] for one in found["classes"]) == pytest.approx(1)
    rows, columns = found["grid"]
    assert (found["at"]["x"], found["at"]["y"]) == (45, 30)
    assert (found["at"]["row"], found["at"]["column"]) == (rows // 2, columns // 2)
    assert sum(one["share"] for one in found["columns"]) == pytest.approx(1)
    if not options:
        seen = EvalTransform(32, network.config.crop_ratio)(read_image(picture))
        assert found["grid"] == list(codes_of(network, seen).grid)


def test_a_pixel_is_where_the_transform_brings_it():
    """A white pixel of a black picture is found where it is said to be."""
    for size, crop in (((64, 96), 1.0), ((90, 50), 0.5), ((32, 32), 0.9)):
        transform = EvalTransform(32, crop)
        for at in ((size[1] // 2, size[0] // 2), (size[1] // 2 - 7, size[0] // 2 + 5)):
            picture = torch.zeros(3, *size, dtype=torch.uint8)
            picture[:, at[1], at[0]] = 255
            shown = transform(picture)[0]
            x, y = pixel_seen(at, picture, transform)
            there = shown.flatten().argmax().item()
            assert abs(there % 32 - x) <= 1 and abs(there // 32 - y) <= 1


def test_a_pixel_beside_the_middle_is_not_seen(picture, tmp_path, complains):
    _, path = weights_of(tmp_path)
    complains("explain", picture, "--model", path, "--at=2,30", quoting=["--at 2,30", "the middle 32 x 32"])
    complains("explain", picture, "--model", path, "--at=90,3", quoting="the picture has 90 x 60 pixels")


@pytest.mark.parametrize("context", ["attention", "none"])
def test_without_a_ham_there_is_nothing_to_explain(picture, tmp_path, complains, context):
    _, path = weights_of(tmp_path, context)
    complains("explain", picture, "--model", path, quoting=f"its context is '{context}'")


def test_tokens_of_a_transformer_are_a_square(tmp_path):
    pytest.importorskip("timm")
    network = create_model(
        "conv_tiny", backbone="timm/test_vit", num_classes=3, context="hamburger", rank=4, image_size=160
    ).eval()
    found = codes_of(network, torch.randint(256, (3, 160, 160), dtype=torch.uint8))
    assert found.grid == (10, 10) and found.features.shape[2] == 100

"""`subquad explain` of a picture: what is printed, what is written, and what is refused."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from page_reader import Page
from subquad import create_model, load_model, save_model
from subquad.data.pictures import read_image
from subquad.explain.spectrum import effective_rank, relative_residual, singular_values
from subquad.tasks.explaining_pictures import numbers_of, pixel_of
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.tiling import Tiling

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}
NASTY = "<script>alert(1)<&'.png"


@pytest.fixture
def picture(trained):
    return trained.data / "val" / "images" / "val0.png"


def test_what_is_told_is_what_the_ham_made(trained, picture, tmp_path, call):
    page, png, told = (tmp_path / name for name in ("page.html", "figure.png", "told.json"))
    result = call(
        "explain",
        picture,
        "--model",
        trained.run,
        "--at",
        "47,39",
        "--output",
        page,
        "--png",
        png,
        "--json",
        told,
    )
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[:2] == ["reading the network ...", "explaining ..."]
    assert result.out.splitlines()[-1] == f"explanation: {page}, {png}, {told}"
    found = json.loads(told.read_text())
    codes = codes_of(load_model(trained.weights), read_image(picture), None, keeps_features=True)
    assert found["task"] == "segmentation" and found["grid"] == list(codes.grid)
    assert found["relative_residual"] == pytest.approx(
        relative_residual(codes.features, codes.factors), rel=1e-4
    )
    rank = effective_rank(singular_values(codes.features))
    assert found["effective_rank"]["x"] == pytest.approx(rank, rel=1e-4)
    assert sum(found["energy"]["x"]) == pytest.approx(1) and sum(found["energy"]["dc"]) == pytest.approx(1)
    for columns in (found["columns"], found["at"]["columns"]):
        shares = [one["share"] for one in columns]
        assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True) and len(shares) == 4
    assert (found["at"]["row"], found["at"]["column"]) == (codes.grid[0] - 1, codes.grid[1] - 1), (
        "the last pixel"
    )
    assert sum(one["pixels"] for one in found["classes"]) == 40 * 48
    assert f"{found['relative_residual']:.4f}" in result.out and "pixel (47, 39)" in result.out
    words = Page(page).words
    assert {"Code maps", "Spectrum", "What the network says", "Pixel (47, 39)"} <= set(words)
    with Image.open(png) as figure:
        assert figure.size[0] > 800 and figure.info["Software"] == "subquad explain"


def test_it_is_the_same_each_time(trained, picture, tmp_path, call):
    files = [tmp_path / name for name in ("page.html", "figure.png", "told.json")]
    contents = []
    for _ in range(2):  # the second replaces what the first wrote
        options = [f"--{name}={path}" for name, path in zip(("output", "png", "json"), files, strict=True)]
        assert call("explain", picture, f"--model={trained.run}", *options).code == 0
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_names_of_files_are_no_markup(trained, picture, tmp_path, call):
    nasty = tmp_path / NASTY
    nasty.write_bytes(picture.read_bytes())
    page = tmp_path / "page.html"
    assert (
        call("explain", nasty, "--model", trained.run, "--output", page, "--png", tmp_path / "a.png").code
        == 0
    )
    text = page.read_text()
    assert "<script>alert" not in text and text.count("<script") == 2
    assert re.search(r"script-src 'sha256-[\w+/]+='", text)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("48,0", "--at 48,0 is outside: the picture has 48 x 40 pixels, so x is 0 to 47 and y 0 to 39"),
        ("0,40", "the picture has 48 x 40 pixels"),
        ("-1,0", "is outside"),
        ("12", "must be x,y, two whole numbers such as --at 120,40, got '12'"),
        ("1.5,2", "two whole numbers"),
        ("a,b", "two whole numbers"),
        ("1,2,3", "two whole numbers"),
        ("", "two whole numbers"),
        ("²,1", "two whole numbers"),
        ("9" * 40 + ",1", "two whole numbers"),
    ],
)
def test_a_pixel_that_is_none(trained, picture, tmp_path, complains, at, said):
    page = tmp_path / "page.html"
    complains("explain", picture, "--model", trained.run, f"--at={at}", "--output", page, quoting=said)
    assert not page.exists()


def test_pixels_at_the_corners():
    for at in ((0, 0), (47, 39), (0, 39), (47, 0)):
        assert pixel_of(f"{at[0]},{at[1]}", (40, 48)) == at
    assert pixel_of(None, (1, 1)) is None and numbers_of(" 3 , 4 ") == (3, 4)


def test_what_cannot_be_explained_is_a_sentence(trained, picture, tmp_path, complains):
    model = "--model", trained.run
    (tmp_path / "text.png").write_text("no picture")
    complains("explain", tmp_path / "text.png", *model, quoting="text.png")
    complains("explain", tmp_path / "none.png", *model, quoting="none.png")
    complains("explain", trained.data / "val" / "images", *model, quoting="images")
    complains("explain", picture, quoting="give --model")
    complains("explain", quoting="input")
    complains("explain", picture, "--model", tmp_path / "nothing", quoting="there is no checkpoint")
    complains("explain", picture, *model, "--device=meta", quoting="--device meta cannot be used here")
    complains("explain", picture, *model, "--max_pixels=9", quoting="--max_pixels 1920")
    assert not (tmp_path / "explain.html").exists()


@pytest.mark.parametrize("context", ["attention", "none"])
def test_without_a_ham_there_is_nothing_to_explain(picture, tmp_path, complains, context):
    save_model(create_model("light_ham_van_tiny_d256", context=context, **SMALL), tmp_path / "m.safetensors")
    said = f"has no ham over space (its context is '{context}')"
    complains("explain", picture, "--model", tmp_path / "m.safetensors", quoting=[said, "subquad predict"])


def test_nothing_else_is_replaced(trained, picture, tmp_path, complains):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    command = ["explain", picture, "--model", trained.run]
    for option in ("output", "png", "json"):
        complains(*command, f"--{option}={mine}", quoting=[str(mine), f"another --{option}"])
        complains(*command, f"--{option}={picture}", quoting=[str(picture), f"another --{option}"])
        complains(*command, f"--{option}={trained.weights}", quoting=f"another --{option}")
    same = tmp_path / "same"
    complains(*command, f"--output={same}", f"--png={same}", quoting="must be different files")
    complains(*command, f"--png={tmp_path}", quoting="is a folder")
    complains("explain", tmp_path, *command[2:], quoting="is a folder, and one picture is explained")
    assert mine.read_text() == "mine"


def test_the_ready_network_explains_at_once(tmp_path, call):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 70, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cells.png")
    page = tmp_path / "page.html"
    result = call("explain", tmp_path / "cells.png", "--model=nuclei", "--output", page)
    assert result.code == 0 and "nucleus" in result.out and page.is_file()


def test_large_pictures_share_a_dictionary_among_tiles(monkeypatch):
    """What is decomposed fits together as its codes do."""
    torch.manual_seed(0)
    network = create_model("light_ham_van_tiny_d256", **SMALL).eval()
    picture = torch.randint(256, (3, 150, 300), dtype=torch.uint8)
    whole, tiled = (codes_of(network, picture, t, keeps_features=True) for t in (None, Tiling(tile=128)))
    assert whole.features.shape == tiled.features.shape
    assert float((whole.features - tiled.features).abs().mean()) < 0.2 * float(whole.features.abs().mean())
    assert relative_residual(tiled.features, tiled.factors) < 1
    assert codes_of(network, picture, None).features is None


def test_help_lists_the_options_of_the_task(call, trained):
    out = call("explain", "--help").out
    assert out.startswith("usage: subquad explain input ") and "--at" in out
    assert "segmentation" in out

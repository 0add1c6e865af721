"""`subquad predict` writes what `predict_labels` says, and destroys nothing."""

import dataclasses
import os
import re
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from cli_helpers import contents
from subquad import create_model, load_model, save_model
from subquad.data.pictures import read_image
from subquad.tasks.segmentation.data.colors import index_to_color, voc_palette
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import protocol_from
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import Tiling


@pytest.fixture
def weights(tmp_path):
    """A network that tells several classes apart, with colours of its own."""
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=3,
        class_names=("a", "b", "c"), palette=((10, 20, 30), (200, 0, 100), (0, 250, 5)),
    )  # fmt: skip
    torch.nn.init.normal_(network.head.classifier.weight)
    save_model(network, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def photos(tmp_path):
    """Smooth pictures, which JPEG keeps nearly as they are."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, (height, width) in {"one.png": (40, 48), "two.jpg": (33, 57), "three.JPEG": (20, 21)}.items():
        row, column = np.mgrid[0:height, 0:width] / 10
        waves = [np.sin(row + k) + np.cos(column * k) for k in (1, 2, 3)]
        Image.fromarray((127 + 60 * np.stack(waves, axis=2)).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def opened(path):
    """Return the picture of a file, which is closed again: warnings are errors."""
    with Image.open(path) as image:
        image.load()
        return image


def expected_labels(weights, picture, protocol="whole"):
    network, image = load_model(weights), read_image(picture)[None]
    return predict_labels(network, image, protocol_from(protocol))[0].numpy()


def test_a_folder_of_pictures(call, weights, photos, tmp_path):
    before = contents(photos)
    result = call("predict", weights, photos, "--output", tmp_path / "out", "--opacity=0.25")
    assert result.code == 0 and result.err == ""
    assert contents(photos) == before
    names = {"one": "one.png", "two": "two.jpg", "three": "three.JPEG"}
    assert sorted(contents(tmp_path / "out")) == sorted(
        f"{n}{end}" for n in names for end in (".png", "_overlay.jpg")
    )
    palette = load_model(weights).config.palette
    for name, file in names.items():
        labels = expected_labels(weights, photos / file)
        assert len(np.unique(labels)) > 1
        mask = opened(tmp_path / "out" / f"{name}.png")
        assert mask.mode == "P" and np.array_equal(np.asarray(mask), labels)
        assert mask.getpalette()[: 3 * 3] == [level for color in palette for level in color]
        overlay = np.asarray(opened(tmp_path / "out" / f"{name}_overlay.jpg")).astype(float)
        mixed = 0.75 * read_image(photos / file).movedim(0, -1).numpy() + 0.25 * index_to_color(
            labels, palette
        )
        assert overlay.shape == mixed.shape
        assert correlation(overlay, mixed) > 0.9, "as near as JPEG comes"
        assert abs(overlay.mean(axis=(0, 1)) - mixed.mean(axis=(0, 1))).max() < 4


def correlation(a, b):
    return np.corrcoef(a.mean(axis=2).ravel(), b.mean(axis=2).ravel())[0, 1]


def test_one_picture(call, weights, photos, tmp_path):
    assert call("predict", weights, photos / "two.jpg", "--output", tmp_path / "out").code == 0
    assert sorted(contents(tmp_path / "out")) == ["two.png", "two_overlay.jpg"]


@pytest.mark.parametrize("opacity", [0, 1])
def test_opacity_from_picture_to_colours(call, weights, tmp_path, opacity):
    Image.new("RGB", (48, 40), (90, 120, 150)).save(tmp_path / "flat.png")
    call("predict", weights, tmp_path / "flat.png", "--output", tmp_path / "out", f"--opacity={opacity}")
    overlay = np.asarray(opened(tmp_path / "out" / "flat_overlay.jpg")).astype(float)
    labels = expected_labels(weights, tmp_path / "flat.png")
    colors = index_to_color(labels, load_model(weights).config.palette)
    target = colors if opacity else np.broadcast_to([90, 120, 150], colors.shape)
    assert abs(overlay - target).mean() < 12


def test_a_folder_of_fit_and_no_palette(call, trained, photos, tmp_path):
    assert call("predict", trained.run, photos / "one.png", "--output", tmp_path / "out").code == 0
    mask = opened(tmp_path / "out" / "one.png")
    expected = LabelSet.generic(3).palette  # classes.json gave none
    assert mask.getpalette()[:9] == [level for color in expected for level in color]
    assert np.array_equal(np.asarray(mask), expected_labels(trained.weights, photos / "one.png"))


def test_a_network_without_colours_takes_the_usual_ones(call, photos, tmp_path):
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, num_classes=5
    )
    save_model(network, tmp_path / "plain.safetensors")
    assert (
        call("predict", tmp_path / "plain.safetensors", photos / "one.png", "--output", tmp_path / "out").code
        == 0
    )
    palette = [level for color in LabelSet.generic(5).palette for level in color]
    assert opened(tmp_path / "out" / "one.png").getpalette()[:15] == palette


def test_files_that_are_there_stay_unless_asked(call, complains, weights, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "two_overlay.jpg").write_text("mine")
    complains(
        "predict", weights, photos, "--output", out, quoting=[str(out / "two_overlay.jpg"), "--overwrite"]
    )
    assert {path.name: path.read_text() for path in out.iterdir()} == {"two_overlay.jpg": "mine"}
    assert call("predict", weights, photos, "--output", out, "--overwrite").code == 0
    assert len(contents(out)) == 6 and opened(out / "two_overlay.jpg").size == (57, 33)


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_pictures_are_never_replaced_by_their_masks(call, weights, photos, overwrite):
    before = contents(photos)
    result = call("predict", weights, photos, "--output", photos, *overwrite)
    assert contents(photos).items() >= before.items(), result.err


def test_hidden_files_are_no_pictures(call, weights, photos, tmp_path):
    (photos / "._one.png").write_bytes(b"what macOS leaves on a USB stick")
    result = call("predict", weights, photos, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert len(contents(tmp_path / "out")) == 6


def test_bad_input(complains, weights, photos, tmp_path):
    out = ["--output", tmp_path / "out"]
    complains("predict", weights, photos / "none.png", *out, quoting=str(photos / "none.png"))
    (tmp_path / "empty").mkdir()
    complains("predict", weights, tmp_path / "empty", *out, quoting=str(tmp_path / "empty"))
    complains("predict", weights, photos / "notes.txt", *out, quoting=str(photos / "notes.txt"))
    complains("predict", weights, photos, *out, "--opacity=2", quoting="2")
    complains("predict", weights, photos, *out, "--device=gpu7", quoting="gpu7")
    complains("predict", tmp_path / "no.safetensors", photos, *out, quoting=str(tmp_path / "no.safetensors"))
    complains("predict", photos / "notes.txt", photos, *out, quoting=str(photos / "notes.txt"))
    complains("predict", photos, photos, *out, quoting=str(photos))
    complains("predict", weights, quoting="images")
    shutil.copy(photos / "one.png", photos / "two.png")
    complains("predict", weights, photos, *out, quoting="'two'")
    assert not (tmp_path / "out").exists()


def test_a_truncated_picture_is_named(complains, weights, photos, tmp_path):
    whole = (photos / "two.jpg").read_bytes()
    (photos / "two.jpg").write_bytes(whole[: len(whole) // 2])
    complains("predict", weights, photos, "--output", tmp_path / "out", quoting=str(photos / "two.jpg"))


def test_a_protocol(call, weights, photos, tmp_path):
    result = call("predict", weights, photos, "--output", tmp_path / "out", "--protocol", "voc_test")
    assert result.code == 0, result.err
    for name, file in {"one": "one.png", "two": "two.jpg", "three": "three.JPEG"}.items():
        expected = expected_labels(weights, photos / file, "voc_test")
        assert np.array_equal(np.asarray(opened(tmp_path / "out" / f"{name}.png")), expected)


@pytest.fixture
def of_voc(tmp_path):
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=21
    )
    torch.nn.init.normal_(network.head.classifier.weight)
    save_model(network, tmp_path / "voc.safetensors")
    return tmp_path / "voc.safetensors"


def test_a_submission_to_the_voc_server(call, of_voc, photos, tmp_path):
    (tmp_path / "test.txt").write_text("two\none \n\n")
    out = tmp_path / "out"
    result = call("predict", of_voc, photos, "--submission=voc", f"--list={tmp_path / 'test.txt'}",
                  "--output", out, "--protocol=voc_val")  # fmt: skip
    assert result.code == 0 and str(out / "results.tar") in result.out, result.err
    folder = "results/VOC2012/Segmentation/comp6_test_cls"
    names = [f"{folder}/one.png", f"{folder}/two.png"]
    assert sorted(contents(out)) == ["results.tar", *names]
    for name, file in zip(names, ("one.png", "two.jpg"), strict=True):
        mask = opened(out / name)
        assert mask.mode == "P"
        assert np.array_equal(np.asarray(mask), expected_labels(of_voc, photos / file, "voc_val"))
        assert mask.getpalette() == [level for color in voc_palette() for level in color]
        assert len(mask.getpalette()) == 3 * 256 and mask.getpalette()[3:6] == [128, 0, 0]
    with tarfile.open(out / "results.tar") as tar:
        assert tar.getnames() == names
        assert all(tar.extractfile(n).read() == (out / n).read_bytes() for n in names)


def test_submissions_that_cannot_be_made(complains, weights, of_voc, photos, tmp_path):
    out = ["--output", tmp_path / "out"]
    complains("predict", weights, photos, *out, "--submission=voc", quoting=["21", "3"])
    complains("predict", of_voc, photos, *out, "--submission=coco", quoting="coco")
    complains("predict", of_voc, photos, *out, f"--list={tmp_path / 'no.txt'}", quoting="no.txt")
    (tmp_path / "test.txt").write_text("one\nfour\n")
    complains(
        "predict", of_voc, photos, *out, f"--list={tmp_path / 'test.txt'}", quoting=["'four'", "1 of 2"]
    )
    (tmp_path / "test.txt").write_text("\n")
    complains("predict", of_voc, photos, *out, f"--list={tmp_path / 'test.txt'}", quoting="test.txt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_tiles(call, weights, tmp_path, monkeypatch, shared):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # above it PIL warns, above twice it refuses
    monkeypatch.setattr("subquad.tasks.segmentation.commands.predict.MUCH", 0)
    rows, columns = np.mgrid[0:150, 0:300] / 10
    waves = np.stack([np.sin(rows * k) + np.cos(columns + k) for k in (1, 2, 3)], axis=2)
    Image.fromarray((127 + 60 * waves).astype(np.uint8)).save(tmp_path / "large.png")
    options = ["--tile=128", "--overlap=0.5", *(["--share-dictionary"] if shared else [])]
    result = call("predict", weights, tmp_path / "large.png", "--output", tmp_path / "out", *options)
    assert result.code == 0 and result.err == "", result.err
    monkeypatch.undo()
    image = read_image(tmp_path / "large.png")
    expected = predict_tiles(
        load_model(weights), image, Tiling(tile=128, overlap=0.5, share_dictionary=shared)
    )
    assert np.array_equal(np.asarray(opened(tmp_path / "out" / "large.png")), expected.labels.numpy())
    said = re.search(r"large.png: (\d+) tiles; .* differ by ([\d.]+) .* disagree in ([\d.]+) %", result.out)
    assert int(said[1]) == expected.tiles == 8
    assert "larger tiles (--tile 1024)" in result.out  # with the share that counts as much set to none
    assert ("one dictionary for all (--tile 1024 --share_dictionary) may lower" in result.out) == (not shared)
    assert float(said[2]) == pytest.approx(expected.seam_distance, abs=1e-4)
    assert float(said[3]) == pytest.approx(100 * expected.seam_disagreement, abs=1e-2)
    overlay = opened(tmp_path / "out" / "large_overlay.jpg")
    assert overlay.size == (300, 150)


def test_tiles_that_cannot_be(complains, call, weights, photos, tmp_path):
    out = ["--output", tmp_path / "out"]
    complains("predict", weights, photos, *out, "--tile=1000", quoting=["1000", "992"])
    complains("predict", weights, photos, *out, "--tile=128", "--overlap=0.9", quoting="0.9")
    complains("predict", weights, photos, *out, "--share-dictionary", quoting="--tile")
    complains("predict", weights, photos, *out, "--tile=128", "--protocol=voc_val", quoting="--protocol")
    assert not (tmp_path / "out").exists()
    one = call("predict", weights, photos / "one.png", *out, "--tile=128")
    assert one.code == 0 and "one.png: 1 tile\n" in one.out


def test_large_pictures_are_cut_unless_they_are_to_be_seen_at_once(call, weights, tmp_path, monkeypatch):
    """And those that the network was trained to see small are never cut."""
    monkeypatch.setattr("subquad.tasks.segmentation.commands.predict.WHOLE_PIXELS", 600 * 520 - 1)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 520, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    Image.fromarray(pixels[:-1]).save(tmp_path / "small.png")
    small = create_model("light_ham_van_tiny_d256", **load_options(weights), resize=(64, 64)).eval()
    small.load_state_dict(load_model(weights).state_dict())
    save_model(small, tmp_path / "trained_small.safetensors")

    def tiles(name, checkpoint, *options):
        result = call(
            "predict", checkpoint, tmp_path / name, "--overwrite", f"--output={tmp_path}/out", *options
        )
        assert result.code == 0, result.err
        found = re.search(r"(\d+) tiles", result.out)
        return int(found[1]) if found else 1

    assert tiles("large.png", weights) == 4
    assert tiles("large.png", weights, "--tile=0") == 1
    assert tiles("small.png", weights) == 1
    assert tiles("large.png", tmp_path / "trained_small.safetensors") == 1
    out = f"--output={tmp_path}/whole"
    whole = call("predict", tmp_path / "trained_small.safetensors", tmp_path / "large.png", out)
    assert "pictures of any size are resized to fit 64 x 64, as the network was trained" in whole.err
    large = ("predict", tmp_path / "trained_small.safetensors", tmp_path / "large.png", "--overwrite")
    told = call(*large, "--tile=256", f"--output={tmp_path}/out")
    assert "resized to fit 64 x 64, and tiles show them in full size; leave --tile out" in told.err
    assert "9 tiles" in told.out


def load_options(checkpoint):
    config = dataclasses.asdict(load_model(checkpoint).config)
    return {name: value for name, value in config.items() if name not in ("resize", "solver")}


def test_overlays_are_mixed_in_strips_without_a_trace(call, weights, tmp_path, monkeypatch):
    Image.new("RGB", (30, 50), (90, 120, 150)).save(tmp_path / "flat.png")
    overlays = []
    for strip in (512, 7):
        monkeypatch.setattr("subquad.tasks.segmentation.drawing.STRIP", strip)
        out = tmp_path / str(strip)
        assert call("predict", weights, tmp_path / "flat.png", "--output", out).code == 0
        overlays.append((out / "flat_overlay.jpg").read_bytes())
    assert overlays[0] == overlays[1]


def test_large_pictures_need_tiles_or_the_word(call, complains, weights, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("subquad.tasks.segmentation.commands.predict.UNTILED_PIXELS", 1919)
    arguments = ["predict", weights, photos / "one.png", "--output", tmp_path / "out"]
    complains(*arguments, "--tile=0", quoting=["40 x 48", "1,919", "--tile 1024", "--max_pixels 1920"])
    complains(*arguments, "--tile=128", "--max_pixels=9", quoting=["--max_pixels 1920"])
    assert call(*arguments, "--tile=0", "--max_pixels=1920").code == 0
    assert call(*arguments, "--tile=128", "--overwrite").code == 0


def test_pictures_of_other_kinds_are_taken_or_named(call, weights, photos, tmp_path):
    for name in ("four.tif", "five.bmp", "six.gif"):
        Image.new("RGB", (24, 20), (90, 120, 150)).save(photos / name)
    (photos / "more").mkdir()
    shutil.copy(photos / "one.png", photos / "more")
    result = call("predict", weights, photos, "--output", tmp_path / "out")
    assert result.code == 0 and "wrote 5 masks" in result.out
    kinds, nested = result.err.splitlines()
    assert "'six.gif'" in kinds and "'more'" in nested


def test_a_full_disk_leaves_no_half_of_a_file(complains, weights, photos, tmp_path, monkeypatch):
    real, left = os.fsync, iter(range(3))

    def fsync(file):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "out"
    named = complains("predict", weights, photos, "--output", out, quoting=["No space left", "--overwrite"])
    written = sorted(out.iterdir())
    assert len(written) == 3 and str(out / "three_overlay.jpg") in named
    for path in written:
        opened(path)


def test_sides_beyond_those_of_jpeg_have_no_overlay(call, weights, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("subquad.tasks.segmentation.commands.predict.JPEG_SIDE", 47)
    result = call("predict", weights, photos / "one.png", "--output", tmp_path / "out")
    assert result.code == 0 and "one.png: no overlay" in result.out
    assert sorted(contents(tmp_path / "out")) == ["one.png"]

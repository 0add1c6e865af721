"""Commands on what annotation tools write: check, convert, fit, resume, test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from annotation_exports import SQUARE, coco, flat, square, write_json, write_picture
from cli_helpers import TINY, contents
from subquad.data.fingerprint import fingerprint
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.sources import open_source

POLYGON = {"segmentation": [flat(SQUARE)]}


def write_export(root: Path, count: int = 6) -> Path:
    names = [f"p{n}.jpg" for n in reversed(range(count))]
    for name in names:
        write_picture(root / "images" / name)
    annotations = [{**POLYGON, "image_id": n + 1} for n in range(count)]
    write_json(root / "annotations" / "instances_default.json", coco(names, annotations))
    return root


def fit(root: Path, output: Path, *more: str) -> list[Any]:
    return [
        "fit", *TINY, f"--data.root={root}", "--data.batch_size=2", "--trainer.accelerator=cpu",
        f"--output={output}", *more,
    ]  # fmt: skip


def test_check(call: Any, tmp_path: Path) -> None:
    root = write_export(tmp_path)
    before = contents(root)
    result = call("data", "check", root)
    assert result.code == 0 and "read as COCO: 6 pictures, 6 shapes" in result.out
    assert "draws a fifth of the pictures" in result.out and contents(root) == before
    assert call("data", "check", root, "--format=coco").code == 0


def test_a_broken_export_is_one_sentence(complains: Any, tmp_path: Path) -> None:
    root = write_export(tmp_path)
    (root / "images" / "p1.jpg").unlink()
    complains("data", "check", root, quoting=["1 problem", "'p1.jpg'"])
    complains(*fit(root, tmp_path / "run"), quoting="'p1.jpg'")
    assert not (tmp_path / "run").exists()


def test_a_converted_folder_gives_the_same_samples(call: Any, tmp_path: Path) -> None:
    root, output = write_export(tmp_path / "data"), tmp_path / "out"
    exif = Image.Exif()
    exif[274] = 6  # a picture that is turned, and annotated upright
    write_picture(root / "images" / "p0.jpg", 32, 24, exif=exif)
    output.mkdir()
    result = call("data", "convert", root, output)
    assert (result.code, result.err) == (0, "") and "wrote 6 pictures and masks of 2 classes" in result.out
    assert (output / "images" / "p0.jpg").read_bytes() == (root / "images" / "p0.jpg").read_bytes()
    one, other = (open_source(DataOptions(root=str(path))).open(None) for path in (root, output))
    assert one.labels == other.labels and len(one) == len(other) == 6
    for n in range(6):
        assert one[n].name == other[n].name
        assert torch.equal(one[n].image, other[n].image) and torch.equal(one[n].labels, other[n].labels)
    assert call("data", "check", output).code == 0


def test_splits_are_folders_and_colours_become_indices(call: Any, tmp_path: Path) -> None:
    palette = [[0, 0, 0], [200, 0, 0]]
    for split in ("train", "val"):
        write_picture(tmp_path / "data" / split / "images" / f"{split}.png")
        colors = np.array(palette, np.uint8)[square()]
        (tmp_path / "data" / split / "labels").mkdir()
        Image.fromarray(colors).save(tmp_path / "data" / split / "labels" / f"{split}.png")
    write_json(tmp_path / "data" / "classes.json", {"classes": ["a", "b"], "palette_rgb": palette})
    assert call("data", "convert", tmp_path / "data", tmp_path / "out").code == 0
    with Image.open(tmp_path / "out" / "val" / "masks" / "val.png") as mask:
        assert mask.mode == "L" and (np.asarray(mask) == square()).all()
    assert json.loads((tmp_path / "out" / "classes.json").read_text())["palette_rgb"] == palette


def test_convert_writes_all_or_nothing(complains: Any, call: Any, tmp_path: Path) -> None:
    root = write_export(tmp_path / "data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    complains("data", "convert", root, tmp_path / "full", quoting="is not empty")
    complains("data", "convert", root, root / "out", quoting="is within")
    complains("data", "convert", root, tmp_path / "full" / "x", quoting="is no folder")
    complains("data", "convert", root, tmp_path / "out", "--format=ade20k", quoting="as it is published")
    complains("data", "convert", root, quoting="output")
    (root / "images" / "p5.jpg").write_bytes(b"broken")
    before = {path.name for path in tmp_path.iterdir()}
    complains("data", "convert", root, tmp_path / "out", quoting="p5.jpg")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_other_tasks_convert_nothing(complains: Any, tmp_path: Path) -> None:
    complains("data", "convert", tmp_path, tmp_path / "out", "--format=csv", quoting="nothing to convert")


def test_the_split_of_a_run(call: Any, complains: Any, tmp_path: Path) -> None:
    """Kept in its folder, used by `test`, and by a run that goes on; files that vanish are said."""
    root, run = write_export(tmp_path / "data"), tmp_path / "run"
    result = call(*fit(root, run, "--trainer.max_epochs=1", "--seed=3"))
    assert result.code == 0, result.err
    assert "has no split for evaluation: the seed 3 draws 1 of 6 pictures" in result.err
    split = json.loads((run / "split.json").read_text())
    assert split["seed"] == 3 and len(split["train"]) == 5 and len(split["val"]) == 1
    # Another one, as of another version: it is taken, not drawn anew.
    result = call("test", run)
    assert result.code == 0 and f"{run / 'split.json'} names 1 of 6 pictures" in result.err
    (root / "annotations" / "instances_default.json").rename(root / "annotations" / "kept.txt")
    names = [f"p{n}.jpg" for n in range(6) if f"p{n}" != split["val"][0]]
    write_json(root / "annotations" / "instances_default.json", coco(names, [POLYGON]))
    complains("test", run, quoting=["1 of the 6 pictures of the split", split["val"][0]])
    complains(*fit(root, run, "--trainer.max_epochs=1", "--seed=3", "--resume"), quoting="of the split")
    (root / "annotations" / "kept.txt").rename(root / "annotations" / "instances_default.json")
    write_picture(root / "images" / "p9.jpg")  # one more, which is in neither
    names = [f"p{n}.jpg" for n in (0, 1, 2, 3, 4, 5, 9)]
    annotations = [{**POLYGON, "image_id": n} for n in range(1, 8)]
    write_json(root / "annotations" / "instances_default.json", coco(names, annotations))
    result = call("test", run)
    assert result.code == 0 and "names 1 of 6 pictures for it; 1 pictures are in neither" in result.err


def test_a_run_goes_on_with_its_split(call: Any, tmp_path: Path) -> None:
    root, run = write_export(tmp_path / "data"), tmp_path / "run"
    assert call(*fit(root, run, "--trainer.max_epochs=1")).code == 0
    result = call(*fit(root, run, "--trainer.max_epochs=1", "--resume"))
    assert result.code == 0, result.err
    assert f"{run / 'split.json'} names 1 of 6 pictures" in result.err


def test_an_outline_that_moved_makes_other_data(tmp_path: Path) -> None:
    """The file has as many bytes as before."""
    root = write_export(tmp_path)
    found = []
    for _ in range(2):
        found.append(fingerprint(open_source(DataOptions("folder", str(root))).open("train")))
        path = root / "annotations" / "instances_default.json"
        size, text = path.stat().st_size, path.read_text()
        corner = json.dumps(POLYGON["segmentation"][0])
        path.write_text(text.replace(corner, corner.replace("4.0", "5.0"), 1))
        assert path.stat().st_size == size and path.read_text() != text
    assert found[0] != found[1]


def test_five_bands_from_training_to_prediction(call: Any, complains: Any, tmp_path: Path) -> None:
    root, run = tmp_path / "data", tmp_path / "run"
    options: Any = {"photometric": "minisblack", "planarconfig": "separate"}
    for n in range(4):
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(n).integers(0, 65535, (5, 24, 32), np.uint16)
        tifffile.imwrite(root / "images" / f"{n}.tif", pixels, **options)
        np.save(root / "masks" / f"{n}.npy", square())
    (root / "classes.txt").write_text("a\nb\n")
    assert "mean of 5 bands" in call("data", "check", root).out
    result = call(*fit(root, run, "--trainer.max_epochs=1"))
    assert result.code == 0, result.err
    assert call("test", run).code == 0
    result = call("predict", run, root / "images", f"--output={tmp_path / 'out'}")
    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "0_overlay.jpg") as overlay:
        assert overlay.size == (32, 24)
    write_picture(tmp_path / "a.png")
    complains("predict", run, tmp_path / "a.png", f"--output={tmp_path / 'o'}", quoting="no TIFF of 5 bands")
    assert call(*fit(root, tmp_path / "other", "--model.in_channels=3")).code == 2


@pytest.mark.parametrize("name", ["labelme", "yolo"])
def test_a_format_that_is_not_there(complains: Any, tmp_path: Path, name: str) -> None:
    root = write_export(tmp_path)
    complains("data", "check", root, f"--format={name}", quoting=str(root))

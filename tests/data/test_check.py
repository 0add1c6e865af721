import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from subquad.data.check import check_folder
from subquad.data.folder import SegmentationFolder
from subquad.data.images import class_frequencies
from subquad.data.labels import LabelSet

Save = Callable[[str, NDArray], Path]
SavePair = Callable[..., None]


def grey(*values: int) -> NDArray[np.uint8]:
    return np.array([values], dtype=np.uint8)


def only_problem(root: Path, num_classes: int | None = None) -> str:
    report = check_folder(root, num_classes=num_classes)
    assert len(report.problems) == 1 and not report.ok, report.problems
    assert report.problems[0] in str(report)
    return report.problems[0]


def test_a_good_folder_has_no_problem(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1, 2, 255), split="train")
    save_pair("b", grey(0, 0), split="train")
    save_pair("c", grey(1, 1, 2, 0), split="val")
    report = check_folder(tmp_path, num_classes=3)
    assert report.ok and "problems: none" in str(report)
    assert [(split.name, split.num_pairs) for split in report.splits] == [("train", 2), ("val", 1)]
    assert report.splits[0].sizes == {(1, 4): 1, (1, 2): 1}
    assert report.splits[0].values == {0: 3, 1: 1, 2: 1, 255: 1}
    data = SegmentationFolder(tmp_path, num_classes=3)
    assert report.frequencies is not None
    assert torch.equal(report.frequencies, class_frequencies(data))
    pixels = torch.cat([sample.image.flatten(1) for sample in data], dim=1).double() / 255
    assert report.mean == pytest.approx(pixels.mean(1).tolist())
    assert report.std == pytest.approx(pixels.std(1, correction=0).tolist())


def test_text_shows_shares_and_weights(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 0, 0, 1, 255))
    text = str(check_folder(tmp_path, classes=LabelSet(("sky", "road"), ((1, 1, 1), (2, 2, 2)))))
    assert re.search(r"^sky +60\.00 +0\.667 +1\.626$", text, re.M)
    assert re.search(r"^road +20\.00 +2\.000 +3\.332$", text, re.M)
    assert re.search(r"^ignored \(255\) +20\.00$", text, re.M)
    assert re.search(r"^all +1 +1 +1 x 5, 1 x 5, 1 x 5$", text, re.M)


def test_foreground_of_255(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 255))
    assert "convert 255 to 1" in only_problem(tmp_path, num_classes=2)
    assert '"classes": ["class_0", "class_1"]' in check_folder(tmp_path).problems[1]


def test_classes_that_start_at_one(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(1, 2, 3, 255))
    assert "no 0: the classes seem to start at 1; subtract 1" in only_problem(tmp_path, num_classes=3)
    report = check_folder(tmp_path)
    assert "subtract 1" in report.problems[0] and report.problems[1].count("class_") == 3


def test_zero_that_means_unlabelled(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1, 2, 3))
    problem = only_problem(tmp_path, num_classes=3)
    assert "0..3, but there are 3 classes" in problem and "reduce zero label" in problem


def test_values_of_no_class_name_their_files(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    save_pair("b", grey(0, 37))
    assert re.search(r"no class of 0\.\.1: 37 \(in 'b.png'\); fix", only_problem(tmp_path, num_classes=2))


def test_unknown_classes_are_proposed(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1, 2, 255))
    proposal = only_problem(tmp_path).split("classes.json: ")[1]
    (tmp_path / "classes.json").write_text(proposal)
    assert check_folder(tmp_path).ok


def test_gaps_are_renumbered(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 85, 170))
    problems = check_folder(tmp_path).problems
    assert "0, 85, 170 with gaps; renumber" in problems[0] and problems[1].count("class_") == 3


def test_colors_are_listed_and_a_palette_proposed(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", np.array([[[0, 0, 0], [200, 1, 2], [0, 0, 9]]], dtype=np.uint8))
    problem = only_problem(tmp_path)
    assert "(0, 0, 0), (0, 0, 9), (200, 1, 2)" in problem
    proposal = problem.split("names: ")[1].removesuffix(".")
    assert json.loads(proposal)["palette_rgb"] == [[0, 0, 0], [0, 0, 9], [200, 1, 2]]
    (tmp_path / "classes.json").write_text(proposal)
    assert check_folder(tmp_path).ok
    assert SegmentationFolder(tmp_path)[0].labels.tolist() == [[0, 2, 1]]


def test_grey_saved_as_rgb_and_colors_beside_a_palette(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", np.array([[[0, 0, 0], [1, 1, 1]]], dtype=np.uint8))
    assert "save the masks as 8-bit grey" in only_problem(tmp_path)
    palette = LabelSet(("black",), ((0, 0, 0),))
    save_pair("a", np.array([[[0, 0, 0], [1, 2, 3]]], dtype=np.uint8))
    (problem,) = check_folder(tmp_path, classes=palette).problems
    assert "1 colours of no class: (1, 2, 3)" in problem and '"ignore_rgb"' in problem


def test_photographs_as_masks(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    assert "400 colours" in only_problem(tmp_path, num_classes=2)


def test_jpeg_masks(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    (tmp_path / "labels" / "a.png").unlink()
    save("labels/a.jpg", grey(0, 0))
    problems = check_folder(tmp_path, num_classes=1).problems
    assert "'a.jpg' of" in problems[0] and "JPEG" in problems[0]


def test_bad_files_are_all_named(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    for name in ("good", "broken", "size", "lonely"):
        save_pair(name, grey(0, 1))
    (tmp_path / "images" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "labels" / "lonely.png").unlink()
    save("labels/size.png", grey(0, 1, 1))
    report = check_folder(tmp_path, num_classes=2)
    lonely, broken, size = report.problems
    assert "'lonely' of" in lonely and "has no mask" in lonely
    assert "broken.png cannot be decoded" in broken
    assert "size.png is 1 x 2" in size and "is 1 x 3" in size
    assert report.splits[0].num_pairs == 1


def test_missing_classes(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 2), split="train")
    save_pair("b", grey(0, 1), split="val")
    assert "class 1 'class_1' has no pixel in train" in only_problem(tmp_path, num_classes=3)


def test_the_same_image_in_two_splits(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    pixels = np.full((1, 2, 3), 9, dtype=np.uint8)
    for split, name in (("train", "a"), ("val", "b")):
        save_pair(name, grey(0, 1), split=split)
        save(f"{split}/images/{name}.png", pixels)
    problem = only_problem(tmp_path, num_classes=2)
    assert "train and val share 1 of their images ('b.png')" in problem


def test_no_masks_and_a_bad_classes_file(save: Save, tmp_path: Path) -> None:
    save("train/images/a.png", grey(0))
    (tmp_path / "classes.json").write_text("{")
    report = check_folder(tmp_path)
    assert "cannot read the classes" in report.problems[0]
    assert "no folder labels or masks or annotations beside it" in report.problems[1]
    assert re.search(r"^train +0 +0 +-$", str(report), re.M)


def test_missing_or_empty_folders_raise(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        check_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no png, jpg or jpeg file in images"):
        check_folder(tmp_path)


def test_colors_that_do_not_tell_the_class(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", np.array([[(1, 2, 3), (1, 2, 3)]], dtype=np.uint8))
    shared = LabelSet(("sky", "road"), ((1, 2, 3), (1, 2, 3)))
    (problem, *_) = check_folder(tmp_path, classes=shared).problems
    assert "(1, 2, 3) is used twice" in problem and "store class indices" in problem

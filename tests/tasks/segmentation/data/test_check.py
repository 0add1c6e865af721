import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.colors import voc_palette
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import LabelSet, class_frequencies

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


def test_values_are_listed_as_numbers_and_ignored_ones_last(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 10, 2, 255, 1))
    first = [line.split()[:2] for line in str(check_folder(tmp_path)).splitlines()]
    values = [line for line in first if line and line[0] in ("value", "ignored")]
    assert values == [["value", "0"], ["value", "1"], ["value", "2"], ["value", "10"], ["ignored", "(255)"]]


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
    with pytest.raises(FileNotFoundError, match="holds no png, jpg, jpeg, bmp, tif or tiff file in images"):
        check_folder(tmp_path)


def test_colors_that_do_not_tell_the_class(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", np.array([[(1, 2, 3), (1, 2, 3)]], dtype=np.uint8))
    shared = LabelSet(("sky", "road"), ((1, 2, 3), (1, 2, 3)))
    (problem, *_) = check_folder(tmp_path, classes=shared).problems
    assert "(1, 2, 3) is used twice" in problem and "store class indices" in problem


def test_the_report_goes_on_after_entries_that_are_no_files(save_pair: SavePair, tmp_path: Path) -> None:
    for name in "abcd":
        save_pair(name, grey(0, 1))
    save_pair("a", grey(0, 9))
    (tmp_path / "images" / "b.png").unlink()
    (tmp_path / "images" / "b.png").symlink_to("annex/b")
    (tmp_path / "labels" / "c.png").unlink()
    (tmp_path / "labels" / "c.png").mkdir()
    report = check_folder(tmp_path, num_classes=2)
    link, folder, value = report.problems
    assert (
        "b.png is a link to annex/b" in link and "c.png is a folder" in folder and "9 (in 'a.png')" in value
    )
    assert report.splits[0].num_pairs == 2


def test_lossy_masks_are_found_by_their_content(save_pair: SavePair, tmp_path: Path) -> None:
    for name in "ab":
        save_pair(name, grey(0, 1))
    Image.new("L", (2, 1)).save(tmp_path / "labels" / "a.png", "JPEG")
    assert "'a.png' of" in (problem := only_problem(tmp_path, num_classes=2)) and "JPEG" in problem


def test_what_is_left_out_is_a_problem(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    Image.new("L", (2, 1)).save(tmp_path / "images" / "b.gif")
    Image.new("L", (2, 1)).save(tmp_path / "images" / "c", "PNG")
    save("labels/more/a.png", grey(0, 1))
    (tmp_path / "images" / ".d.gif").write_bytes(b"GIF8")
    others, nested = check_folder(tmp_path, num_classes=2).problems
    assert "'b.gif', 'c' of" in others and "are left out" in others
    assert "the folders 'more' of" in nested


def test_masks_of_other_depths_disagree_on_white(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    for name in "abc":
        save_pair(name, grey(0, 1, 255))
    assert check_folder(tmp_path, num_classes=2).ok
    Image.fromarray(np.array([[False, True, True]])).save(tmp_path / "labels" / "a.png")
    assert "'a.png' have less than 8 bits" in only_problem(tmp_path, num_classes=2)
    for name in "bc":
        save(f"labels/{name}.png", grey(0, 1, 1))
    assert check_folder(tmp_path, num_classes=2).ok


def test_colour_tables_are_compared(save_pair: SavePair, tmp_path: Path) -> None:
    tables = {"a": [9, 0, 0, 0, 9, 0], "b": [9, 0, 0, 0, 9, 0, 7, 7, 7], "c": [0, 9, 0, 9, 0, 0]}
    for name, table in tables.items():
        save_pair(name, grey(0, 1))
        picture = Image.fromarray(grey(0, 1)).convert("P")
        picture.putdata([0, 1])
        picture.putpalette(table)
        picture.save(tmp_path / "labels" / f"{name}.png")
    problem = only_problem(tmp_path, num_classes=2)
    assert "index 0 is (9, 0, 0) in 'a.png' and (0, 9, 0) in 'c.png'" in problem
    labels = LabelSet(("red", "green"), ((9, 0, 0), (0, 9, 0)))
    of_palette, of_tables = check_folder(tmp_path, classes=labels).problems
    assert "c.png gives index 0, which is class 0 'red', the colour (0, 9, 0)" in of_palette
    assert "differ" in of_tables
    (tmp_path / "labels" / "c.png").unlink()
    (tmp_path / "images" / "c.png").unlink()
    assert check_folder(tmp_path, num_classes=2).ok


def test_twelve_bits_in_sixteen(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    save("images/a.png", np.array([[65535, 4095]], dtype=np.uint16))
    assert check_folder(tmp_path, num_classes=2).ok
    save("images/a.png", np.array([[300, 4095]], dtype=np.uint16))
    assert "have 2 levels up to 15 of 255; stretch" in only_problem(tmp_path, num_classes=2)


def test_one_class_is_named_with_its_background(save_pair: SavePair, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('{"classes": ["roof"]}')
    for values in ((0, 1), (0, 255), (0, 0)):
        save_pair("a", grey(*values))
        problem = only_problem(tmp_path)
        assert '{"classes": ["background", "roof"]}' in problem
    # Followed to the letter, the advice ends there.
    (tmp_path / "classes.json").write_text(problem.split("too (")[1].split("),")[0])
    save_pair("a", grey(0, 1))
    assert check_folder(tmp_path).ok


def test_one_labelled_class_is_said_of_each_split(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1), split="train")
    save_pair("b", grey(0, 255), split="val")
    problem = only_problem(tmp_path, num_classes=2)
    assert "val: only class 0 'class_0' is labelled" in problem and "100 %" in problem
    save_pair("b", grey(255, 255), split="val")
    assert "val: no pixel is labelled" in only_problem(tmp_path, num_classes=2)


def test_turned_and_transparent_pictures_are_notes(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    for name in "ab":
        save_pair(name, grey(0, 1))
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (2, 1)).save(tmp_path / "images" / "a.png", exif=exif)
    save("images/b.png", np.zeros((1, 2, 4), np.uint8))
    report = check_folder(tmp_path, num_classes=2)
    assert report.ok
    turned, transparent = report.notes
    assert "'a.png'" in turned and "'b.png' has transparent" in transparent
    save("labels/b.png", np.array([[[0, 0, 0, 0], [9, 9, 9, 255]]], np.uint8))
    labels = LabelSet(("a", "b"), ((0, 0, 0), (9, 9, 9)))
    (problem,) = check_folder(tmp_path, classes=labels).problems
    assert "the masks 'b.png' have transparent pixels" in problem


def test_a_folder_that_could_hold_the_masks_too(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1), split="train")
    save("train/masks/a.png", grey(1, 0))
    assert "masks' holds pictures, too" in only_problem(tmp_path, num_classes=2)
    report = check_folder(tmp_path, num_classes=2, masks="masks")
    assert report.ok and report.splits[0].num_pairs == 1


def test_pictures_beyond_the_limit_are_problems(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    save_pair("b", grey(0, 1, 1))
    (problem,) = check_folder(tmp_path, num_classes=2, max_pixels=2).problems
    assert "b.png is 1 x 3" in problem and "--max_pixels" in problem


def smooth_disc(*channels: int) -> NDArray[np.uint8]:
    """Draw a disc of a colour on black, whose edge is smoothed."""
    rows, columns = np.ogrid[-12:12, -12:12]
    share = (10 - np.hypot(rows - 0.3, columns - 0.1)).clip(0, 1)
    disc = (share[..., None] * np.array(channels)).round().astype(np.uint8)
    return disc[..., 0] if len(channels) == 1 else disc


def test_smoothed_colors_are_told_from_classes(save: Save, save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", smooth_disc(240, 60, 0))
    labels = LabelSet(("ground", "roof"), ((0, 0, 0), (240, 60, 0)))
    for known in (labels, None):
        (problem,) = check_folder(tmp_path, classes=known).problems
        assert "edges were smoothed" in problem and "classes.json" not in problem
    with pytest.raises(ValueError, match="belongs to no class.*without smoothing"):
        SegmentationFolder(tmp_path, None, classes=labels)[0]
    # Of PASCAL VOC, seven of 21 colours lie between two others.
    voc = np.array([voc_palette(21)], np.uint8).repeat(2, 0)
    save("images/a.png", voc)
    save("labels/a.png", voc)
    assert "palette_rgb" in only_problem(tmp_path)


def test_smoothed_grey_is_told_from_classes(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", smooth_disc(255))
    assert "edges between 0 and 255 were smoothed" in only_problem(tmp_path, num_classes=2)
    save_pair("a", np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert "values that are no class" in only_problem(tmp_path, num_classes=40)


def test_a_broken_class_file_is_not_to_be_written_anew(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a", grey(0, 1))
    (tmp_path / "classes.json").write_text('{"classes": ["a", "b",]}')
    assert "cannot read the classes" in only_problem(tmp_path)

"""`subquad data check --format`: published sets are looked over before days of training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from published_layouts import paths, save, write_list, write_published
from subquad.cli.main import main
from subquad.tasks.segmentation.data.check_published import check_published
from subquad.tasks.segmentation.data.layouts import published_at
from subquad.tasks.segmentation.data.published_sets import PUBLISHED, open_published


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_good_copy_has_no_problem(name: str, tmp_path: Path) -> None:
    report = check_published(name, write_published(name, tmp_path))
    assert report.ok, report.problems
    assert [split.num_pairs for split in report.splits] == [4, 2]
    train = open_published(name, tmp_path)
    counts = sum(torch.bincount(sample.labels.flatten(), minlength=256) for sample in train)
    assert report.splits[0].values == {n: int(c) for n, c in enumerate(counts) if c}
    assert report.splits[0].values.total() == 4 * 48 * 64 and report.splits[0].sizes == {(48, 64): 4}
    pixels = torch.cat([sample.image.flatten(1) for sample in train], dim=1).double() / 255
    assert report.mean == pytest.approx(pixels.mean(1).tolist())
    assert report.frequencies is not None and report.frequencies.sum() == pytest.approx(1)
    assert len(report.notes) == 2 and "has 4 pictures here, but" in str(report)


def test_samples_are_evenly_spread(tmp_path: Path) -> None:
    root = write_published("ade20k", tmp_path, train=9)
    for index in range(9):
        image, mask = paths("ade20k", root, "train", index)
        save(image, np.zeros((1, 1, 3), np.uint8))
        save(mask, np.full((1, 1), index + 1, np.uint8))
    report = check_published("ade20k", root, most=3)
    assert set(report.splits[0].values) == {0, 3, 6}
    assert report.notes[0] == "training: read 3 of 9 pictures, evenly spread."
    assert check_published("ade20k", root, most=None).splits[0].num_pairs == 9
    with pytest.raises(ValueError, match="0 pictures a split"):
        check_published("ade20k", root, most=0)


def test_unusable_masks_are_listed_up_to_a_few(tmp_path: Path) -> None:
    root = write_published("voc", tmp_path, train=8)
    for index in range(7):
        save(paths("voc", root, "train", index)[1], np.full((48, 64), 30, np.uint8))
    report = check_published("voc", root)
    assert len(report.problems) == 6 and report.splits[0].num_pairs == 1
    assert "holds 30 at row 0" in report.problems[0] and "2 more of the 8 pictures" in report.problems[-1]


def test_a_split_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    root = write_published("coco_stuff", tmp_path)
    paths("coco_stuff", root, "val", 1)[1].unlink()
    report = check_published("coco_stuff", root)
    assert len(report.splits) == 1 and "1 of 2 pictures of COCO-Stuff 164k" in report.problems[0]
    with pytest.raises(FileNotFoundError, match="nightrome/cocostuff"):
        check_published("coco_stuff", tmp_path / "images")


def test_pictures_in_both_lists(tmp_path: Path) -> None:
    root = write_published("voc", tmp_path)
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    write_list(lists / "trainaug.txt", ["2007_000001", "2008_000001"])
    (problem,) = check_published("voc", root).problems
    assert "trainaug and val share 1 of their pictures ('2008_000001.jpg')" in problem


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(write_published("cityscapes", tmp_path, raw=True))
    assert main(["data", "check", root, "--format", "cityscapes", "--samples", "1"]) == 0
    out = capsys.readouterr().out
    assert "19 classes" in out and "problems: none" in out and "read 1 of 4 pictures" in out
    for arguments, quoted in (
        ([root, "--format", "cityscape"], "Did you mean 'cityscapes'?"),
        ([root, "--format", "cityscapes", "--num_classes", "3"], "leave --classes and --num_classes out"),
        ([root, "--format", "ade20k"], "http://sceneparsing.csail.mit.edu"),
        ([root, "--format", "cityscapes", "--splits", "sunday"], "no split 'sunday'"),
    ):
        assert main(["data", "check", *arguments]) == 2
        assert quoted in capsys.readouterr().err


def test_masks_without_any_label_are_a_problem(tmp_path: Path) -> None:
    root = write_published("ade20k", tmp_path)
    for index in range(4):
        save(paths("ade20k", root, "train", index)[1], np.zeros((48, 64), np.uint8))
    (problem,) = check_published("ade20k", root).problems
    assert "training: no pixel of the 4 pictures read is labelled" in problem


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", PUBLISHED)
def test_masks_without_a_picture_are_a_problem(name: str, raw: bool, tmp_path: Path) -> None:
    """A picture that is in no list is no matter; a mask whose picture is gone is."""
    root = write_published(name, tmp_path, raw=raw)
    image, mask = paths(name, root, "train", 9, raw)
    ending = mask.stem.removeprefix(image.stem.removesuffix("_leftImg8bit"))
    save(
        image.with_name("unlisted_leftImg8bit.jpg" if name == "cityscapes" else "unlisted.jpg"),
        np.zeros((8, 8, 3), np.uint8),
    )
    save(mask.with_name(f"unlisted{ending}.png"), np.zeros((8, 8), np.uint8))
    if name in ("voc", "pascal_context", "pascal_context_60"):
        assert check_published(name, root).ok
    save(mask, np.zeros((8, 8), np.uint8))
    problem = check_published(name, root).problems[-1]
    assert f"1 masks of {mask.parent} have no picture ({mask.name!r})" in problem


def test_masks_that_were_reduced_before(tmp_path: Path) -> None:
    root = write_published("ade20k", tmp_path)
    save(paths("ade20k", root, "train", 0)[1], np.full((48, 64), 255, np.uint8))
    (problem,) = check_published("ade20k", root).problems
    assert "holds 255 at row 0" in problem and "it was reduced before, so take the masks" in problem
    save(paths("ade20k", root, "train", 0)[1], np.full((48, 64), 200, np.uint8))
    assert "reduced before" not in check_published("ade20k", root).problems[0]


def test_the_errors_of_all_splits_are_told(tmp_path: Path) -> None:
    root = write_published("voc", tmp_path)
    for split in ("train", "val"):
        paths("voc", root, split, 0)[1].unlink()
    with pytest.raises(FileNotFoundError, match="^train: 1 of 4 pictures.* And val: 1 of 2 pictures"):
        check_published("voc", root)
    with pytest.raises(FileNotFoundError, match="^there is no folder"):
        check_published("voc", tmp_path / "nowhere")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts_are_known(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_published(name, tmp_path)
    assert published_at(tmp_path) == name.removesuffix("_60")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert f"give --format {name.removesuffix('_60')}." in capsys.readouterr().err
    assert published_at(tmp_path / "images") is None


def test_columns_are_as_wide_as_their_titles(tmp_path: Path) -> None:
    text = str(check_published("ade20k", write_published("ade20k", tmp_path)))
    assert "  training  validation" in text
    header, row = (next(line for line in text.splitlines() if line.startswith(s)) for s in ("% of", "wall"))
    assert header.index("validation") + len("validation") == row.index(row.split()[2]) + len(row.split()[2])


def test_the_report_goes_on_after_a_broken_link_and_a_lossy_mask(tmp_path: Path) -> None:
    root = write_published("ade20k", tmp_path)
    image, _ = paths("ade20k", root, "train", 0)
    image.unlink()
    image.symlink_to("annex/object")
    _, mask = paths("ade20k", root, "train", 1)
    with Image.open(mask) as picture:
        picture.convert("L").save(mask, "JPEG")
    report = check_published("ade20k", root)
    assert report.splits[0].num_pairs == 2
    link, lossy = report.problems[:2]
    assert "is a link to annex/object" in link and "JPEG" in lossy

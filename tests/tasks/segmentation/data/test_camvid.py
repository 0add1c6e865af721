from pathlib import Path

import pytest

from subquad.tasks.segmentation.data.camvid import CAMVID_LABELS, CamVid
from subquad.tasks.segmentation.data.labels import LabelSet, class_frequencies


@pytest.mark.data
def test_the_shared_copy(shared_data: Path) -> None:
    train, val = CamVid(), CamVid(split="val")
    assert (len(train), len(val)) == (367, 101)
    image, labels, name = val[0]
    assert image.shape == (3, 360, 480) and labels.shape == (360, 480)
    assert name == val.pairs[0][1].stem
    assert not {path.stem for path, _ in train.pairs} & {path.stem for path, _ in val.pairs}


@pytest.mark.data
def test_class_names_are_those_of_the_shared_copy(shared_data: Path) -> None:
    written = LabelSet.from_file(shared_data / "camvid" / "classes.json")
    assert (written.names, written.palette) == (CAMVID_LABELS.names, CAMVID_LABELS.palette)


@pytest.mark.data
def test_frequencies_are_those_of_the_readme(shared_data: Path) -> None:
    percent = (100 * class_frequencies(CamVid(split="val"))).tolist()
    expected = [9.34, 26.41, 0.57, 29.46, 8.87, 16.62, 0.91, 3.13, 1.78, 0.66, 2.26]
    assert percent == pytest.approx(expected, abs=0.006)


def test_without_a_folder_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBQUAD_DATA", raising=False)
    with pytest.raises(ValueError, match="give root=, or set SUBQUAD_DATA"):
        CamVid()


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="no split 'test'"):
        CamVid(tmp_path, split="test")

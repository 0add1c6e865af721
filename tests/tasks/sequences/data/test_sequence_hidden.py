"""What systems and editors leave in folders is no data, for any reader."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from subquad.tasks.sequences.data import SequenceOptions, check_sequences, open_sequences
from subquad.tasks.sequences.data.unlabelled import read_unlabelled

HIDDEN_FOLDERS = (".ipynb_checkpoints", "__MACOSX", ".git", "$RECYCLE.BIN")


def litter(folder: Path, suffix: str, text: str) -> None:
    """Put hidden files and folders of hidden files into a folder."""
    for name in ("._a", ".hidden"):
        (folder / f"{name}{suffix}").write_text(text)
    for name in HIDDEN_FOLDERS:
        (folder / name).mkdir()
        (folder / name / f"a-checkpoint{suffix}").write_text(text)


@pytest.mark.parametrize(("kind", "suffix"), [("genome", ".fa"), ("long_document", ".txt"), ("text", ".txt")])
def test_hidden_files_and_folders_are_no_classes(kind: str, suffix: str, tmp_path: Path) -> None:
    classes = ("neg", "pos")
    root = tmp_path / "train" if kind == "text" else tmp_path
    text = ">1\nACGTA\n" if kind == "genome" else "text of a class"
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(3):
            (root / name / f"{number}{suffix}").write_text(text[:-1] + "ACGT"[number] + text[-1])
        litter(root / name, suffix, "\0\5\x16\7 AppleDouble")
    litter(root, suffix, "\0\5\x16\7 AppleDouble")
    options = SequenceOptions(kind, str(tmp_path), val_fraction=0, test_fraction=0)  # type: ignore[arg-type]
    data = open_sequences(options)["train"]
    assert data.info.class_names == classes and len(data) == 6
    assert check_sequences(options).class_names == classes


def test_hidden_pictures_lists_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "curv_contour_length_14"
    (folder / "imgs").mkdir(parents=True)
    (folder / "metadata").mkdir()
    rows = []
    for number in range(10):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / "imgs" / f"{number}.png")
        rows.append(f"imgs {number}.png {number} {number % 2}")
    (folder / "metadata" / "1.npy").write_text("\n".join(rows))
    (folder / "metadata" / "._1.npy").write_bytes(b"\0\5\x16\7\xff")
    data = open_sequences(SequenceOptions("pathfinder", str(tmp_path)))
    assert {split: len(dataset) for split, dataset in data.items()} == {"train": 8, "val": 1, "test": 1}


def test_hidden_files_are_not_asked_about_unless_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a text")
    litter(tmp_path, ".txt", "hidden")
    found = read_unlabelled(tmp_path, SequenceOptions())
    assert [record.sequence for record in found] == [tmp_path / "a.txt"]
    named = tmp_path / ".hidden.txt"
    assert [record.sequence for record in read_unlabelled(named, SequenceOptions())] == [named]

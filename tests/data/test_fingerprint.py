"""Other data have another fingerprint; the same data elsewhere have the same."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from subquad.base import limits
from subquad.data.class_images import ClassFolder, PicturesInMemory
from subquad.data.fingerprint import fingerprint as of
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.sequences.data import SequenceData, SequenceOptions


def draw(path, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((side, side), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("one", "two", "three"):
        draw(tmp_path / "data" / "images" / f"{name}.png")
        draw(tmp_path / "data" / "labels" / f"{name}.png")
    return tmp_path / "data"


def opened(folder):
    return of(SegmentationFolder(folder, num_classes=2))


def test_where_the_data_lie_does_not_matter(folder, tmp_path):
    before = opened(folder)
    assert before.startswith("3 samples, ")
    assert opened(shutil.copytree(folder, tmp_path / "elsewhere")) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: draw(folder / "labels" / "two.png", 300),
        lambda folder: [(folder / kind / "two.png").unlink() for kind in ("images", "labels")],
        lambda folder: [
            (folder / kind / "two.png").rename(folder / kind / "zwei.png") for kind in ("images", "labels")
        ],
    ],
    ids=["another size", "one less", "another name"],
)
def test_other_files_are_told(folder, change):
    before = opened(folder)
    change(folder)
    assert opened(folder) != before


def test_the_sizes_that_are_looked_at_are_bounded(folder, monkeypatch):
    from subquad.data import fingerprint as module

    assert limits.FINGERPRINT_SIZES >= 10_000
    monkeypatch.setattr(module, "FINGERPRINT_SIZES", 2)  # of six files each third is looked at
    before = opened(folder)
    draw(folder / "labels" / "one.png", 300)
    assert opened(folder) == before


def test_tables_are_told_by_their_contents(tmp_path):
    """One letter is another, and the sizes are the same."""
    found = set()
    for letter in "ACGTA":
        table = tmp_path / "train.csv"
        rows = [f"ACGT{letter if n == 5 else 'A'}ACGT,{n % 2}" for n in range(20)]
        table.write_text("\n".join(["sequence,label", *rows]))
        for cls in (False, True):
            options = SequenceOptions(file=str(table), val_fraction=0, test_fraction=0, cls=cls)
            found.add(of(SequenceData(options).datasets["train"]))
    assert len(found) == 4


def test_pictures_of_classes_are_told(tmp_path):
    pixels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    classes = torch.tensor([0, 1, 0, 1])
    pictures = [
        PicturesInMemory(pixels, classes, ("a", "b"), "here"),
        PicturesInMemory(pixels + 1, classes, ("a", "b"), "here"),
        PicturesInMemory(pixels, 1 - classes, ("a", "b"), "here"),
    ]
    for name in ("a/1.png", "b/1.png"):
        draw(tmp_path / "train" / name)
    before = of(ClassFolder(tmp_path, "train", side=8))
    draw(tmp_path / "train" / "b" / "1.png", 100)
    assert len({before, of(ClassFolder(tmp_path, "train", side=8)), *map(of, pictures)}) == 5
    assert of(PicturesInMemory(pixels.clone(), classes, ("a", "b"), "there")) == of(pictures[0])


def test_made_samples_are_told_by_their_number():
    assert of(Scenes(3, size=(64, 64))) != of(Scenes(4, size=(64, 64)))


def test_names_that_are_no_text(folder):
    draw(folder / "images" / os.fsdecode(b"\xff.png"))
    draw(folder / "labels" / os.fsdecode(b"\xff.png"))
    assert opened(folder).startswith("4 samples")


def test_digests_stay_those_of_old_checkpoints(tmp_path):
    """A run that began before resumes: a digest is part of its checkpoints."""
    pictures = PicturesInMemory(
        torch.arange(8, dtype=torch.uint8).view(2, 1, 2, 2), torch.tensor([1, 0]), ("a", "b"), ""
    )
    table = tmp_path / "train.csv"
    table.write_text("sequence,label\n" + "".join(f"ACGT{'ACG'[n % 3] * n},{n % 2}\n" for n in range(40)))
    for name in ("a/1", "b/22"):
        (tmp_path / "classes" / name[0]).mkdir(parents=True)
        (tmp_path / "classes" / f"{name}.png").write_bytes(name.encode())
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "x.png").write_bytes(kind.encode())
    sequences = [SequenceData(SequenceOptions(file=str(table), cls=cls)).datasets for cls in (False, True)]
    found = [
        of(pictures),
        of(ClassFolder(tmp_path / "classes", "train", side=8)),
        opened(tmp_path),
        of(sequences[0]["val"]),
        of(sequences[1]["val"]),
        of(Scenes(3, size=(64, 64))),
    ]
    assert found == [
        "2 samples, 17c108038f9fac358c23e4b5bea51c75",
        "2 samples, 9dfbb270454617bd8d5a5a7de3d9052f",
        "1 samples, 7b64851411a1fa1dbd7369c189a7ba52",
        "4 samples, f0a5abb0ad15ce2ec98b1796df41a677",
        "4 samples, f0a5abb0ad15ce2ec98b1796df41a677",
        "3 samples, cae66941d9efbd404e4d88758ea67670",
    ]

"""Which folders `subquad data check` takes for pictures in classes, and which are left to other tasks."""

import pytest

from subquad.tasks.choice import task_to_check

CLASSES = ("train/cat/felix.jpg", "train/dog/rex.jpg", "val/cat/tom.jpg", "val/dog/rin.jpg")


def found(root, *names):
    """Return task and format of a folder of these (empty) files."""
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    task, format, _ = task_to_check([str(root)])
    return task.name, format


@pytest.mark.parametrize(
    "names",
    [
        CLASSES,
        ("cat/felix.jpg", "dog/rex.PNG", ".cache/a/b.txt", "readme.md"),
        (*CLASSES, "train/eel/1.jpg", "train/fox/1.jpg"),
    ],
)
def test_folders_of_classes(tmp_path, names):
    assert found(tmp_path, *names) == ("classification", "class_folder")


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("notes.txt", "a.jpg"),
        ("images/a.jpg", "masks/a.png"),
        ("images/a.jpg", "masks/b.png"),
        ("train/images/a.jpg", "train/labels/b.png", "val/images/c.jpg"),
        ("images/train/a.jpg", "annotations/train/b.png"),
        ("train/photos/a.jpg", "train/ids/a.png"),
        ("photos/a.jpg", "ids/a_mask.png"),
        ("photos/a.jpg", "photos/b.jpg"),
        ("train/a.jpg", "trainannot/b.png"),
        ("val/cat/felix.jpg", "val/dog/rex.jpg"),
        ("JPEGImages/a.jpg", "SegmentationClass/b.png"),
        ("cat/felix.jpg", "dog/readme.md"),
        ("cat/a/felix.jpg", "dog/b/rex.jpg"),
    ],
)
def test_what_is_not_plainly_classes_is_segmentations(tmp_path, names):
    assert found(tmp_path, *names) == ("segmentation", "folder")


def test_a_table_is_sequences_and_nothing_is_segmentations(tmp_path):
    (tmp_path / "a.csv").touch()
    assert task_to_check([str(tmp_path / "a.csv")])[0].name == "sequences"
    for arguments in ([], [str(tmp_path / "none")]):
        assert task_to_check(arguments)[0].name == "segmentation"

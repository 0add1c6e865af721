"""Names in files of annotations mean pictures below the root, and nothing else."""

from pathlib import Path

import pytest

from annotation_exports import write_picture
from subquad.tasks.segmentation.data.annotations.picture_index import (
    PictureIndex,
    split_called,
    split_in_words,
    uploaded_names,
)


@pytest.mark.parametrize(
    "name",
    [
        "photos/a b ü.JPG", "a b ü.JPG", "./photos/a b ü.JPG", "..\\photos\\a b ü.JPG", "C:\\me\\a b ü.JPG",
        "/home/me/photos/a b ü.JPG", "photos\\a b ü.jpg", "a b u\u0308.JPG", "../../../a b ü.JPG",
    ],
)  # fmt: skip
def test_names_of_other_machines(tmp_path: Path, name: str) -> None:
    path = write_picture(tmp_path / "photos" / "a b ü.JPG", format="JPEG")
    assert PictureIndex(tmp_path).find(name, tmp_path / "x.json") == [path]


def test_nothing_outside_of_the_root_is_found(tmp_path: Path) -> None:
    secret = write_picture(tmp_path / "secret.png")
    root = tmp_path / "data"
    write_picture(root / "a.png")
    index = PictureIndex(root)
    for name in ("../secret.png", str(secret), "..\\secret.png", "", "..", "/", "a.png/../../secret.png"):
        assert index.find(name, root / "x.json") == []


def test_folders_of_the_name_then_the_nearest_then_the_split(tmp_path: Path) -> None:
    train, val = (write_picture(tmp_path / split / "images" / "a.jpg") for split in ("train", "valid"))
    index = PictureIndex(tmp_path)
    assert index.find("train/images/a.jpg", tmp_path / "x.json") == [train]
    assert index.find("a.jpg", tmp_path / "valid" / "x.json") == [val]
    assert index.find("images/a.jpg", tmp_path / "annotations" / "x.json", "val") == [val]
    assert index.find("a.jpg", tmp_path / "x.json") == [train, val]
    assert index.find("b.jpg", tmp_path / "x.json") == []


def test_capitals_decide_only_where_they_must(tmp_path: Path) -> None:
    large, small = write_picture(tmp_path / "A.png"), write_picture(tmp_path / "a.png")
    index = PictureIndex(tmp_path)
    assert index.find("A.png", tmp_path / "x") == [large] and index.find("a.png", tmp_path / "x") == [small]


def test_links_in_circles_and_hidden_files(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "images" / "a.png")
    write_picture(tmp_path / "images" / "._a.png")
    (tmp_path / "images" / "loop").symlink_to(tmp_path)
    assert PictureIndex(tmp_path).files == [path]


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("/data/upload/1/8f3c0a1b-my_cat.jpg", ["8f3c0a1b-my_cat.jpg", "my_cat.jpg"]),
        ("/data/local-files/?d=dir%2Fsub/a%20b.jpg", ["a b.jpg"]),
        ("/data/local-files/?d=dir/a.jpg&x=1", ["a.jpg"]),
        ("s3://bucket/dir/a.jpg", ["a.jpg"]),
        ("https://host:8080/dir/a.jpg?token=9#x", ["a.jpg"]),
        ("upload/1/12345678-a.jpg", ["12345678-a.jpg", "a.jpg"]),
        ("cafebabe.jpg", ["cafebabe.jpg"]),
    ],
)
def test_addresses_of_label_studio(address: str, names: list[str]) -> None:
    assert [name.rsplit("/", 1)[-1] for name in dict.fromkeys(uploaded_names(address))][: len(names)] == names


def test_a_server_changes_names(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "my cat (1)!.jpg")
    index = PictureIndex(tmp_path)
    assert index.stored_as("data/upload/1/my_cat_1.jpg") == [path] and index.stored_as("cat.jpg") == []


def test_words_of_splits() -> None:
    assert [split_called(word) for word in ("Valid", "train2017", "testing", "images")] == [
        "val", "train", "test", None,
    ]  # fmt: skip
    assert split_in_words("instances_val2017") == "val" and split_in_words("instances_default") is None
    assert split_in_words("trainstation") is None

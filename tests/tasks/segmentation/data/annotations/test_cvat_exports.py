"""CVAT for images 1.1: of a task, a job and a project."""

from pathlib import Path

import numpy as np
import pytest

from annotation_exports import HEIGHT, SQUARE, WIDTH, masks, source, square, write_picture, write_text
from subquad.tasks.segmentation.data.check_exports import check_export

POINTS = ";".join(f"{x:.2f},{y:.2f}" for x, y in SQUARE)
POLYGON = f'<polygon label="cat" source="manual" occluded="0" points="{POINTS}" z_order="0" group_id="2">' + (
    '<attribute name="age">3</attribute></polygon>'
)
META = """<meta><{kind}><id>7</id><name>x</name><mode>annotation</mode><labels>
<label><name>cat</name><color>#ff0080</color><type>any</type><attributes></attributes></label>
<label><name>dog</name><color>#00ff00</color><type>polygon</type><attributes></attributes></label>
<label><name>blurred</name><color>#0000ff</color><type>tag</type></label>
</labels></{kind}><dumped>2024-05-01</dumped></meta>"""


def image(shapes: str = POLYGON, name: str = "a.jpg", more: str = "") -> str:
    return f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}" {more}>{shapes}</image>'


def write(root: Path, *images: str, kind: str = "task", meta: str = META, mark: bool = False) -> None:
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{"".join(images)}'
    )
    write_text(root / "annotations.xml", f"{text.format(kind=kind)}</annotations>", mark)


@pytest.mark.parametrize("kind", ["task", "job", "project"])
def test_labels_and_colours(tmp_path: Path, kind: str) -> None:
    write_picture(tmp_path / "images" / "a.jpg")
    write(tmp_path, image(POLYGON + '<tag label="blurred" source="manual"></tag>'), kind=kind, mark=True)
    labels = source(tmp_path).labels
    assert labels.names == ("background", "cat", "dog")
    assert labels.palette == ((0, 0, 0), (255, 0, 128), (0, 255, 0))
    assert (masks(tmp_path)["a"] == square()).all()


def test_boxes_ellipses_and_masks(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    box = '<box label="cat" xtl="4" ytl="6" xbr="12" ybr="14" z_order="0"/>'
    run_lengths = '<mask label="dog" rle="0, 2, 3, 1" left="20" top="3" width="3" height="2" z_order="0"/>'
    write(tmp_path, image(box + run_lengths))
    expected = square()
    expected[3, 20:22] = expected[4, 22] = 2
    assert (masks(tmp_path)["a"] == expected).all()
    write(tmp_path, image('<ellipse label="cat" cx="16" cy="12" rx="8" ry="4" rotation="90" z_order="0"/>'))
    found = np.argwhere(masks(tmp_path)["a"])
    assert (found.min(0), found.max(0))[0].tolist() == [4, 12] and found.max(0).tolist() == [19, 19]


def test_a_turned_box(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write(tmp_path, image('<box label="cat" xtl="10" ytl="4" xbr="20" ybr="8" rotation="90.0"/>'))
    found = np.argwhere(masks(tmp_path)["a"])
    assert found.min(0).tolist() == [1, 13] and found.max(0).tolist() == [10, 16]


def test_higher_layers_are_on_top(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    whole = f'<box label="dog" xtl="0" ytl="0" xbr="{WIDTH}" ybr="{HEIGHT}" z_order="{{}}"/>'
    write(tmp_path, image(POLYGON + whole.replace("{}", "-1")))
    assert (masks(tmp_path)["a"] == square(1, rest=2)).all()
    write(tmp_path, image(POLYGON + whole.replace("{}", "0")))
    assert (masks(tmp_path)["a"] == 2).all()


def test_subsets_of_a_project_and_folders(tmp_path: Path) -> None:
    for name in ("images/Train/one/a b.jpg", "images/Validation/ä.jpg", "images/x/c.jpg"):
        write_picture(tmp_path / name)
    write(
        tmp_path,
        image(name="one/a b.jpg", more='subset="Train" task_id="3"'),
        image(name="ä.jpg", more='subset="Validation"'),
        image(name="c.jpg", more='subset="../x"'),
        kind="project",
    )
    assert source(tmp_path).splits == ["train", "val", "___x"]
    assert [*masks(tmp_path, "val")] == ["ä"] and [*masks(tmp_path, "train")] == ["a b"]


def test_what_has_no_area_is_counted(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    lines = '<polyline label="cat" points="1,1;5,5" z_order="0"/><points label="cat" points="1,1"/>'
    write(tmp_path, image(lines + '<skeleton label="cat"><points label="x" points="1,1"/></skeleton>'))
    assert not masks(tmp_path)["a"].any()
    told = "1 without an area: polyline ('a.jpg'), 1 without an area: points ('a.jpg')"
    assert any(told in note for note in source(tmp_path).remarks)


def test_a_file_without_its_head(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write(tmp_path, image(), meta="")
    assert source(tmp_path).labels.names == ("background", "cat")


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (POLYGON.replace("cat", "cow"), "labels 'cow' are used"),
        (POLYGON.replace(POINTS, "1,2;3,4;x,5"), "could not convert"),
        (POLYGON.replace(POINTS, "1,2;3,4;nan,5"), "no finite numbers"),
        (POLYGON.replace(POINTS, "1,2;3,4;5"), "inhomogeneous"),
        ('<box label="cat" xtl="a" ytl="0" xbr="1" ybr="1"/>', "<box> has the xtl 'a', which is no number"),
        ('<mask label="cat" rle="1,1" left="0" top="0" width="9" height="9"/>', "add up to 2 pixels of 81"),
        ('<mask label="cat" rle="1,b" left="0" top="0" width="9" height="9"/>', "invalid literal"),
        ('<mask label="cat" rle="9" left="0" top="0" width="1e8" height="1e8"/>', "which is none"),
        ('<ellipse label="cat" cx="1e300" cy="0" rx="1" ry="1"/>', "out of range"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, shapes: str, sentence: str) -> None:
    write_picture(tmp_path / "a.jpg")
    write(tmp_path, image(shapes))
    with pytest.raises(ValueError, match=sentence):
        masks(tmp_path)
    problems = check_export(tmp_path, "cvat").problems
    assert problems and "\n" not in problems[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('<annotations><track id="0" label="cat"></track></annotations>', "it holds tracks"),
        ("<annotations><image", "is no XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>', "declares a document type"),
    ],
)
def test_files_that_are_not_read(tmp_path: Path, text: str, sentence: str) -> None:
    write_picture(tmp_path / "a.jpg")
    write_text(tmp_path / "annotations.xml", text)
    with pytest.raises(ValueError, match=sentence):
        source(tmp_path)


@pytest.mark.parametrize("name", ["gone.jpg", "../secret.jpg", "/etc/hostname"])
def test_pictures_that_are_not_there(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "secret.jpg")
    write(tmp_path / "data", image(name=name))
    with pytest.raises(ValueError, match="are not below .*; add these pictures"):
        source(tmp_path / "data")

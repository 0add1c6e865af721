"""`subquad data check`."""

import numpy as np
import pytest
from PIL import Image

from cli_helpers import contents


def test_good_data(call, data):
    before = contents(data)
    result = call("data", "check", data)
    assert (result.code, result.err) == (0, "")
    assert "3 classes" in result.out and "problems: none" in result.out
    assert contents(data) == before


def test_problems_are_in_the_report_and_the_exit_code(call, data):
    Image.fromarray(np.full((40, 48), 37, np.uint8)).save(data / "train" / "labels" / "train3.png")
    result = call("data", "check", data)
    assert result.code == 2
    assert "37 (in 'train3.png')" in result.out
    (line,) = result.err.splitlines()
    assert line.startswith("subquad data") and str(data) in line and "1 problem" in line


def test_classes_may_be_given(call, data, tmp_path):
    (data / "classes.json").rename(tmp_path / "names.json")
    assert call("data", "check", data).code == 2
    assert call("data", "check", data, "--num_classes=3").code == 0
    assert call("data", "check", data, f"--classes={tmp_path / 'names.json'}").code == 0


@pytest.mark.parametrize(
    ("arguments", "quoting"),
    [
        ([], "check"),
        (["chekc"], ["'chekc'", "Did you mean 'check'?"]),
        (["check"], "path"),
        (["check", "nowhere"], "nowhere"),
        (["check", "nowhere", "--num_classes=many"], "many"),
        (["check", "nowhere", "--classs=x"], "--classs"),
    ],
    ids=str,
)
def test_bad_input(complains, arguments, quoting):
    complains("data", *arguments, quoting=quoting)


def test_remedies_are_options_of_this_command(complains, tmp_path):
    """`images=` is Python; on the command line there is no such thing."""
    assert "images=" not in complains("data", "check", tmp_path, quoting=str(tmp_path))


def test_folders_may_be_named(call, data):
    for split in ("train", "val"):
        (data / split / "images").rename(data / split / "photos")
        (data / split / "labels").rename(data / split / "ids")
    assert "--images" in call("data", "check", data).err
    result = call("data", "check", data, "--images=photos", "--masks=ids")
    assert result.code == 0 and "problems: none" in result.out


def test_large_pictures_are_allowed(call, complains, data):
    assert "--max_pixels" in call("data", "check", data, "--max_pixels=1919").out
    assert call("data", "check", data, "--max_pixels=1920").code == 0
    complains("data", "check", data, "--format=voc", "--max_pixels=9", quoting=["voc", "--max_pixels"])


def test_an_annotation_tool_is_not_sent_to_a_published_set(complains, tmp_path):
    for name in ("JPEGImages", "SegmentationClass"):
        (tmp_path / name).mkdir()
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nroof:9,9,9::\n")
    sentence = complains("data", "check", tmp_path, quoting=["CVAT", "no picture is annotated"])
    assert "--format" not in sentence
    complains("data", "check", tmp_path, "--format=voc", quoting="CVAT")

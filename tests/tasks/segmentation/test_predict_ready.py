"""`subquad predict PICTURES`: without a checkpoint, the network that comes with the package is taken."""

import numpy as np
import pytest
from PIL import Image

from subquad import load_model
from subquad.data.pictures import read_image
from subquad.tasks.asking import with_ready
from subquad.tasks.segmentation.labels import predict_labels


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A folder with two pictures of bright discs on black, and a file of text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    y, x = np.mgrid[:96, :130]
    for name, centre in (("a.png", 40), ("b.jpg", 80)):
        disc = ((y - 48) ** 2 + (x - centre) ** 2 < 400) * np.uint8(180) + np.uint8(15)
        Image.fromarray(np.stack([disc] * 3, axis=-1)).save(tmp_path / "cells" / name, quality=95)
    (tmp_path / "cells" / "notes.txt").write_text("discs")
    return tmp_path / "cells"


def mask_of(path):
    return np.asarray(Image.open(path))


def test_a_picture_alone(call, cells):
    result = call("predict", "cells/a.png")
    assert result.code == 0, result.err
    assert "nuclei is taken, which comes with subquad" in result.err
    expected = predict_labels(load_model("nuclei").eval(), read_image(cells / "a.png")[None])[0]
    assert np.array_equal(mask_of("predictions/a.png"), expected.numpy())
    assert (mask_of("predictions/a.png")[48, 30:50] == 1).mean() > 0.5  # a bright disc is a nucleus


def test_a_folder_of_pictures(call, cells):
    assert call("predict", "cells", "--output", "masks").code == 0
    assert sorted(path.name for path in (cells.parent / "masks").iterdir() if path.suffix == ".png") == [
        "a.png",
        "b.png",
    ]


def test_the_same_as_by_its_name(call, cells):
    assert call("predict", "nuclei", "cells", "--output", "named").code == 0
    assert call("predict", "cells", "--output", "masks").code == 0
    assert np.array_equal(mask_of("named/b.png"), mask_of("masks/b.png"))


def test_several_pictures_are_answered_with_the_folder(complains, cells):
    for first in ((), ("nuclei",)):
        complains(
            "predict",
            *first,
            "cells/a.png",
            "cells/b.jpg",
            quoting=["2 pictures are given (cells/a.png, cells/b.jpg)", "the folder that they are in"],
        )


@pytest.mark.parametrize("left", ["best.safetensors", "last.ckpt"])
def test_a_run_with_pictures_is_a_run(cells, left):
    (cells / left).write_bytes(b"")
    assert with_ready(["cells", "x.png"]) == ["cells", "x.png"]


def test_options_are_not_taken_for_pictures():
    arguments = ["run", "photos", "--list", "names.png", "--output", "b.png"]
    assert with_ready(arguments) == arguments
    assert with_ready([]) == []


@pytest.mark.parametrize("before", [["--output", "out"], ["--overwrite"], ["--opacity=0.3"]])
def test_options_may_come_first(cells, before):
    assert with_ready([*before, "cells/a.png"]) == ["nuclei", *before, "cells/a.png"]

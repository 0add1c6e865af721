"""No command replaces a file unasked, and none what it reads, by whatever name."""

import json
import os

import pytest
import torch

from cli_helpers import contents
from subquad import create_model, save_model
from subquad.engine.outputs import check_outputs, check_scores

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}


def test_an_input_is_never_an_output(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "folder"
    folder.mkdir()
    mine.write_text("mine")
    (folder / "a").write_text("a")
    os.link(mine, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(mine)
    (tmp_path / "elsewhere").symlink_to(folder)
    names = [mine, tmp_path / "hard", tmp_path / "soft", tmp_path / "folder" / ".." / "mine"]
    for path in [*names, folder / "a", tmp_path / "elsewhere" / "a"]:
        for overwrite in (False, True):
            with pytest.raises(ValueError, match="is read by this command.*another --to"):
                check_outputs([tmp_path / "new", path], [mine, folder], overwrite=overwrite, option="--to")
    check_outputs([tmp_path / "new", folder / "new"], [mine, folder, tmp_path / "none"], overwrite=False)


def test_what_is_there_is_replaced_when_asked(tmp_path):
    (tmp_path / "there").write_text("there")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("there", "dangling"):
        with pytest.raises(ValueError, match=rf"{name} is there already; give --overwrite.*1 of 2 files"):
            check_outputs([tmp_path / name, tmp_path / "new"], [], overwrite=False)
        check_outputs([tmp_path / name], [], overwrite=True)


OTHERS = {
    "weights": torch.zeros(9).numpy().tobytes(),
    "classes": b'{"classes": ["count"]}',
    "a list": b'["count"]',
    "nothing": b"",
    "a text": b"count",
    "a bomb": b"[" * 100_000,
}


@pytest.mark.parametrize("what", OTHERS)
def test_scores_replace_scores_alone(tmp_path, what):
    path = tmp_path / "scores.json"
    path.write_bytes(OTHERS[what])
    with pytest.raises(ValueError, match="is not of `count`; give another --json"):
        check_scores(str(path), "count")
    path.write_text(json.dumps({"written_by": "count", "loss": 1.0}))
    check_scores(str(path), "count")
    with pytest.raises(ValueError, match="is read by this command"):
        check_scores(str(path), "count", [path])
    check_scores(str(tmp_path / "new.json"), "count")
    check_scores(None, "count")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("outputs") / "m.safetensors"
    save_model(create_model("light_ham_van_tiny_d256", num_classes=3, **SMALL), path)
    return path


def test_no_command_writes_onto_its_checkpoint(complains, checkpoint, data, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(checkpoint)
    before = contents(checkpoint.parent)
    (tmp_path / "s.csv").write_text("sequence\nACGT\n")
    pictures = data / "val" / "images"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "val0.png").symlink_to(checkpoint)
    for path in (checkpoint, link):
        complains("test", checkpoint, f"--data.root={data}", "--json", path, quoting=str(path))
        complains("bench", "mixing", "--json", path, quoting=[str(path), "--json"])
        complains("export", checkpoint, "--output", path, "--format=torch", "--overwrite", quoting=str(path))
    complains("convert", checkpoint, "--output", checkpoint, "--overwrite", quoting=str(checkpoint))
    complains(
        "predict", checkpoint, pictures, "--output", tmp_path / "out", "--overwrite", quoting="is read by"
    )
    complains(
        "test",
        checkpoint,
        f"--data.root={data}",
        "--json",
        data / "classes.json",
        quoting="is not of `subquad test`",
    )
    assert contents(checkpoint.parent) == before


def test_pictures_are_no_output_by_another_path(complains, checkpoint, data, tmp_path):
    """The folder of the pictures by a link; and a picture alone."""
    pictures = data / "val" / "images"
    (tmp_path / "link").symlink_to(pictures)
    before = contents(pictures)
    for read in (pictures, pictures / "val0.png"):
        complains(
            "predict", checkpoint, read, "--output", tmp_path / "link", "--overwrite", quoting="is read by"
        )
    assert contents(pictures) == before

"""Files that are whole or not there, and what processes that were killed left."""

import os
import subprocess
import sys

import pytest

from subquad.base.files import is_running, remove_unfinished, replacing, write_whole


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "folder" / "file"
    write_whole(path, b"old")
    with pytest.raises(RuntimeError), replacing(path) as unfinished:
        unfinished.write_bytes(b"half of the n")
        assert unfinished.parent == path.parent, "another file system cannot be renamed across"
        assert path.read_bytes() == b"old"
        raise RuntimeError
    assert path.read_bytes() == b"old"
    with replacing(path) as unfinished:
        unfinished.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    """The number of this process is that of a dead one, too: in a container every run has the same."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "samples").mkdir()
    left = [
        tmp_path / f".last.ckpt.{dead.pid}.tmp",
        tmp_path / f".best.safetensors.{os.getpid()}.tmp",
        tmp_path / "samples" / f".grid.png.{dead.pid}.tmp",
    ]
    kept = [tmp_path / f".last.ckpt.{os.getppid()}.tmp", tmp_path / ".notes.tmp", tmp_path / "1.tmp"]
    for path in (*left, *kept):
        path.write_bytes(b"")
    remove_unfinished(tmp_path)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_which_processes_are_running():
    assert is_running(os.getpid()) and is_running(os.getppid())
    assert not is_running(2**80)

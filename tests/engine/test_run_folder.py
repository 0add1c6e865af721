"""One run writes to a folder at a time, and none is begun anew over what another made."""

import json
import os
import socket
import subprocess
import sys

import pytest

from subquad.engine.run_folder import LOCK, is_resumable, lock, locked, refuse_run, releasing


def test_the_second_run_is_refused_with_the_first_ones_process(tmp_path):
    folder = tmp_path / "run"
    with locked(folder):
        with (
            pytest.raises(ValueError, match=f"process {os.getpid()} on host .* is writing to .*run"),
            locked(folder),
        ):
            pass
        assert (folder / LOCK).is_file(), "who was refused must not take the lock away"
        with pytest.raises(ValueError, match="is writing"), locked(folder):
            pass
    assert not folder.exists(), "who wrote nothing leaves nothing"
    with locked(folder):
        (folder / "result").write_text("mine")
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_a_lock_dies_with_its_process(tmp_path):
    """Killed without any chance to clean up."""
    code = (
        "import os, signal, sys; from pathlib import Path; from subquad.engine.run_folder import lock; "
        "lock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / LOCK).is_file()
    with locked(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_process_that_was_forked_does_not_hold_the_lock(tmp_path):
    """The loaders of a run that was killed live some seconds longer than it."""
    read, write = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    with locked(tmp_path):
        pass
    os.close(write)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("owner", "is_held"),
    [
        ({"pid": os.getppid(), "host": socket.gethostname()}, True),
        ({"pid": 2**80, "host": socket.gethostname()}, False),
        ({"pid": os.getppid(), "host": "another machine"}, False),
        ("no owner", False),
    ],
)
def test_where_files_cannot_be_locked_the_owner_tells(tmp_path, monkeypatch, owner, is_held):
    monkeypatch.setattr("subquad.base.locks.fcntl", None)
    (tmp_path / LOCK).write_text(json.dumps(owner))
    if is_held:
        with pytest.raises(ValueError, match=f"process {os.getppid()}"), locked(tmp_path):
            pass
    else:
        with locked(tmp_path):
            pass


def test_what_a_dead_run_left_is_removed(tmp_path):
    (tmp_path / f".last.ckpt.{os.getpid()}.tmp").write_bytes(b"half")
    with locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize(
    ("files", "resume", "complaint"),
    [
        ([], False, None),
        (["config.yaml"], True, None),  # killed before its first checkpoint: nothing is lost
        (["best.safetensors", "last.ckpt"], True, None),
        (["best.safetensors", "last.previous.ckpt"], True, None),
        (["best.safetensors"], True, "no last.ckpt.*--model.weights .*best.safetensors"),
        (["last.safetensors"], True, "no last.ckpt.*--model.weights .*last.safetensors"),
        (["best.safetensors"], False, "holds a run already"),
        (["last.safetensors"], False, "holds a run already"),
        (["last.ckpt"], False, "holds a run already"),
        (["last.previous.ckpt"], False, "holds a run already"),
    ],
)
def test_no_run_is_begun_anew_over_another(tmp_path, files, resume, complaint):
    for name in files:
        (tmp_path / name).write_bytes(b"")
    assert is_resumable(tmp_path) == any(name.endswith(".ckpt") for name in files)
    if complaint is None:
        refuse_run(tmp_path, resume)
    else:
        with pytest.raises(ValueError, match=complaint):
            refuse_run(tmp_path, resume)


def test_a_command_gives_its_locks_back(tmp_path):
    @releasing()
    def command():
        lock(tmp_path)
        with pytest.raises(ValueError, match="is writing"), locked(tmp_path):
            pass
        raise KeyError("a fault of its own")

    for _ in range(2):
        with pytest.raises(KeyError):
            command()


def test_only_the_first_process_of_all_machines_writes(monkeypatch):
    """Before Lightning knows its rank, the first process of the second machine has rank 0, too."""
    from subquad.engine.progress import is_first_process

    assert is_first_process()
    monkeypatch.setenv("NODE_RANK", "1")
    assert not is_first_process()


def test_what_is_no_folder_is_told(tmp_path):
    (tmp_path / "taken").write_text("a table")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with pytest.raises(ValueError, match="taken is no folder"), locked(folder):
            pass
    assert (tmp_path / "taken").read_text() == "a table"

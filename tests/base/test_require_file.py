"""Only files on disk are read, of a size that is expected."""

import os
import socket

import pytest

from subquad.base.files import read_file, require_file


def test_a_file_is_read_whole_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="has 5 bytes, but files of its kind have at most 4"):
        read_file(tmp_path / "a", 4)
    with pytest.raises(ValueError, match="at most 4"):  # a file whose size the system does not tell
        read_file("/proc/self/status", 4)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_devices_are_no_files(path):
    with pytest.raises((ValueError, OSError), match=path):
        require_file(path)


def test_pipes_sockets_folders_and_loops_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="device, a pipe or a socket"):
        require_file(tmp_path / "pipe")  # opening it would wait for a writer
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ValueError, match="device, a pipe or a socket"):
            require_file(tmp_path / "socket")
    with pytest.raises(ValueError, match="is a folder"):
        require_file(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="symbolic links"):
        require_file(tmp_path / "loop")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        require_file(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no path"):
        require_file("a\0b")

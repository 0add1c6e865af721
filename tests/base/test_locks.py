"""A lock on a file: of one process at a time, and nothing where there are none."""

import errno
import os
import subprocess
import sys

import pytest

from subquad.base import locks
from subquad.base.locks import take_lock

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="a system without locks of files")

HOLDER = """
import os, sys
from subquad.base.locks import take_lock
print(take_lock(os.open(sys.argv[1], os.O_RDWR), wait=False), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def held(tmp_path, file):
    """A process that has the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        yield process


def test_it_is_had_by_one_until_that_one_ends(file, held):
    assert take_lock(file, wait=False) is False
    held.kill()
    assert take_lock(file, wait=True) is True


def test_where_there_are_none_it_says_so(file, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    assert take_lock(file, wait=True) is None
    monkeypatch.setattr(locks, "fcntl", None)
    assert take_lock(file, wait=False) is None

"""Memory that was freed is kept, in a process of its own."""

import os
import subprocess
import sys

import pytest

from subquad.base import heap
from subquad.engine import training_run

PROGRAM = """
import mmap, runpy, sys
module = runpy.run_path(sys.argv[1])
if sys.argv[2] == "keep":
    assert module["keep_freed_memory"]()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * mmap.PAGESIZE >> 20
before, block = resident(), bytearray(b"x") * (100 << 20)
assert resident() - before >= 100
del block
print(resident() - before)
"""


def left_behind(how):
    """Return the mebibytes that a process still holds of a hundred that it freed."""
    environment = {name: value for name, value in os.environ.items() if name not in heap.SETTINGS}
    command = [sys.executable, "-c", PROGRAM, heap.__file__, how]
    return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library")
def test_freed_memory_is_kept():
    assert left_behind("keep") >= 100
    assert left_behind("give back") < 10


def test_settings_of_the_user_come_first(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not heap.keep_freed_memory()


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.sys, "platform", "darwin")
    monkeypatch.setattr(heap.ctypes, "CDLL", None)
    assert not heap.keep_freed_memory()


def test_a_library_without_the_option_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert not heap.keep_freed_memory()


def test_training_keeps_it(monkeypatch, tmp_path):
    class Kept(Exception):
        pass

    def keep():
        raise Kept

    monkeypatch.setattr(training_run, "keep_freed_memory", keep)
    with pytest.raises(Kept):
        training_run.train(None, None, None, tmp_path, None)

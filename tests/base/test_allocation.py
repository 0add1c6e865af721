"""Freed memory that a process keeps."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from subquad.base.allocation import keep_freed_memory
done = sys.argv[1] == "kept" and keep_freed_memory()
for _ in range(12):  # the first rounds ask for the memory
    torch.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(2**23)
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")


def faults(mode, monkeypatch, **environment):
    """Return whether it was done, and the page faults of five blocks that glibc alone would not keep."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    done, count = run.stdout.split()
    return done == "True", int(count)


@pytest.mark.slow
@ON_GLIBC
def test_what_is_freed_is_used_again(monkeypatch):
    done, count = faults("kept", monkeypatch)
    assert done and count < 100
    assert faults("as ever", monkeypatch)[1] > 10_000


@pytest.mark.slow
@ON_GLIBC
def test_settings_of_the_environment_count(monkeypatch):
    assert faults("kept", monkeypatch, MALLOC_TRIM_THRESHOLD_="131072")[0] is False


def test_other_c_libraries_are_left_alone(monkeypatch):
    from subquad.base import allocation

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert allocation.keep_freed_memory() is False


def test_training_keeps_it_whoever_starts_it(monkeypatch, tmp_path):
    from subquad.engine import training_run

    class Kept(Exception):
        pass

    def keep():
        raise Kept

    monkeypatch.setattr(training_run, "keep_freed_memory", keep)
    with pytest.raises(Kept):
        training_run.train(None, None, None, tmp_path, None)

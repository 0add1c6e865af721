"""Packed files that become gigabytes, endless lines, and what is no file: refused at once."""

import gzip
import lzma
import os
import time
import tracemalloc

import pytest

from subquad.base.limits import LONGEST_LINE, MIB, UNPACKED_UNASKED
from subquad.data import text_files
from subquad.data.text_files import open_text, read_bytes

OPENERS = {".gz": gzip.open, ".xz": lzma.open}


@pytest.fixture
def small(monkeypatch):
    """Limits of kilobytes, so that the bombs are small."""
    monkeypatch.setattr(text_files, "LONGEST_LINE", 2**18)
    monkeypatch.setattr(text_files, "UNPACKED_UNASKED", 2**19)


@pytest.mark.parametrize("packing", OPENERS)
@pytest.mark.parametrize("piece", [b"\0" * 2**16, b"sequence,label\n" * 2**13], ids=["a line", "lines"])
def test_packed_bombs_cost_neither_time_nor_memory(small, tmp_path, packing, piece):
    path = tmp_path / f"t.csv{packing}"
    with OPENERS[packing](path, "wb") as file:
        for _ in range(24 * MIB // len(piece)):
            file.write(piece)
    tracemalloc.start()
    begun = time.process_time()
    with (
        pytest.raises(ValueError, match=r"t\.csv.*(100 times its size|line of more than)"),
        open_text(path) as text,
    ):
        for _ in text:
            pass
    with pytest.raises(ValueError, match="the most of one sequence"):
        read_bytes(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * MIB and time.process_time() - begun < 5


def test_lines_that_never_end_are_refused_and_long_files_are_not(small, tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"a" * (2**18 + 2**16))
    with pytest.raises(ValueError, match="line of more than"), open_text(path) as text:
        text.read()
    path.write_bytes((b"a" * 2**17 + b"\n") * 8)
    with open_text(path) as text:
        assert len(text.read()) == 8 * (2**17 + 1)


@pytest.mark.parametrize("packing", ["", *OPENERS])
def test_ordinary_files_are_what_they_were(tmp_path, packing):
    content = "sequence,label\r\nACGT,1\n\ufeffü,2\n" * 500
    path = tmp_path / f"t.csv{packing}"
    with OPENERS[packing](path, "wb") if packing else path.open("wb") as file:
        file.write(b"\xef\xbb\xbf" + content.encode())
    with open_text(path) as text:
        assert text.read() == content
    with open_text(path) as text:
        assert list(text)[:3] == ["sequence,label\r\n", "ACGT,1\n", "\ufeffü,2\n"]
    assert read_bytes(path) == b"\xef\xbb\xbf" + content.encode()


def test_what_is_no_file_on_disk_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "pipe", tmp_path / "loop", tmp_path, tmp_path / "none"):
        for read in (read_bytes, lambda path: open_text(path).__enter__()):
            with pytest.raises((ValueError, OSError), match=str(path)):
                read(path)


def test_limits_leave_room_for_what_is_honest():
    assert LONGEST_LINE >= 64 * 2**20 and UNPACKED_UNASKED >= LONGEST_LINE

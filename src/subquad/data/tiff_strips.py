"""Strips and tiles of a TIFF that unpack to more than they hold: tifffile unpacks each of them whole."""

from __future__ import annotations

import zlib
from typing import Any

from subquad.base.limits import KIB, MIB, UNPACKED_UNASKED

_NONE = 1
_SIMPLE = (5, 32773)  # LZW and PackBits, which at worst double what they pack, and are unpacked at once
_ZIP = (8, 32946, 50013)
_ZIP_RATIO = 1_100  # at most
_PART = MIB


def refuse_strips(file: Any, page: Any) -> None:
    """Raise ValueError if reading a page would unpack more than its pixels, or nobody knows how much.

    Args:
        file: A `tifffile.TiffFile`.
        page: Of it.
    """
    if page.imagedepth != 1 or page.tiledepth not in (0, 1):
        raise ValueError("its pixels have depth")
    kind = int(page.compression)
    if kind == _NONE:
        return
    if kind not in (*_SIMPLE, *_ZIP):
        raise ValueError(f"it is packed as {getattr(page.compression, 'name', kind)}, which is not read")
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    expected = rows * columns * samples * page.dtype.itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if kind in _SIMPLE:
            is_bomb = count > min(2 * expected, MIB) + 64 * KIB
        else:  # most strips are small, and are not unpacked twice
            is_large = count * _ZIP_RATIO > max(expected, UNPACKED_UNASKED)
            is_bomb = is_large and _unpacks_to_more(file.filehandle, offset, count, expected + MIB)
        if is_bomb:
            raise ValueError(f"a strip or tile may unpack to more than the {expected:,} bytes of its pixels")


def _unpacks_to_more(file: Any, offset: int, count: int, most: int) -> bool:
    """Say whether a strip unpacks to more than a number of bytes, a part at a time."""
    file.seek(offset)
    unpacker = zlib.decompressobj()
    unpacked = 0
    while count > 0 and not unpacker.eof and (part := file.read(min(count, _PART))):
        count -= len(part)
        while part:
            unpacked += len(unpacker.decompress(part, _PART))
            if unpacked > most:
                return True
            part = unpacker.unconsumed_tail
    return False

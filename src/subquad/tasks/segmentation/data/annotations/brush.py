"""Label Studio's run lengths of what a brush painted.

A stream of bits, the highest of each byte first: how many words there are (32), the bits of a word less one
(5), and four sizes less one (4 each). Then runs: a bit that tells whether one word is repeated or words
follow one by one, which of the four sizes the length less one has (2), the length less one, and the words.

References:
    The format is that of the package rle-pack of the collection @thi.ng/umbrella, which Label Studio uses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BROKEN = "the strokes of a brush are cut off or no run lengths of Label Studio; export them again"


def unpack_brush(packed: bytes, expected: int) -> NDArray[np.uint8]:
    """Return the words.

    Args:
        packed: The stream.
        expected: How many there are: four a pixel.

    Raises:
        ValueError: If it holds another number, or is broken.
    """
    bits = _Bits(packed)
    count, word = bits.take(32), bits.take(5) + 1
    sizes = [bits.take(4) + 1 for _ in range(4)]
    if count != expected:
        raise ValueError(
            f"a brush painted {count // 4:,} pixels, but the picture has {expected // 4:,}; export the "
            "strokes "
            "for this picture"
        )
    if word > 8:
        raise ValueError(f"a brush has {word} bits a channel, and 8 are read; export it again")
    values = np.zeros(count, np.uint8)
    at = 0
    while at < count:
        is_run, which = bits.take(1), bits.take(2)
        end = at + bits.take(sizes[which]) + 1
        if end > count:
            raise ValueError(_BROKEN)
        values[at:end] = bits.take(word) if is_run else bits.take_words(end - at, word)
        at = end
    return values


class _Bits:
    """Bits of a stream, one number after the other."""

    def __init__(self, packed: bytes) -> None:
        self.packed, self.at = packed, 0

    def take(self, count: int) -> int:
        """Return the next number of so many bits."""
        end = self._move(count)
        last = end + 7 >> 3
        number = int.from_bytes(self.packed[end - count >> 3 : last])
        return number >> (last * 8 - end) & (1 << count) - 1

    def take_words(self, count: int, word: int) -> NDArray[np.uint8]:
        """Return several numbers of so many bits each."""
        end = self._move(count * word)
        start = end - count * word
        part = np.frombuffer(self.packed[start >> 3 : end + 7 >> 3], np.uint8)
        bits = np.unpackbits(part)[start & 7 :][: count * word].reshape(count, word)
        return np.packbits(np.pad(bits, ((0, 0), (8 - word, 0))), axis=1)[:, 0]

    def _move(self, count: int) -> int:
        self.at += count
        if self.at > 8 * len(self.packed):
            raise ValueError(_BROKEN)
        return self.at

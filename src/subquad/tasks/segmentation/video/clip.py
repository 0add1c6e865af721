"""The one reader of videos: frames as they are looked at, and one sentence for what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import require_file

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")
"""Names of files that are taken for videos, in any case."""

# Playlists and scripts are videos to FFmpeg, too, and name other files and addresses: none is opened.
_OPTIONS = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts",
    "protocol_whitelist": "file",
}
USUAL_RATE = Fraction(25)  # of a video that does not tell its own


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        pixels: RGB, uint8 (H, W, 3), upright.
        time: When it is shown, in units of the video's `time_base`; larger than that of the frame before.
    """

    pixels: NDArray[np.uint8]
    time: int


class Clip:
    """A video that is open.

    Args:
        path: Its file.
        container: Of PyAV.
        max_pixels: Of a frame; more is refused.

    Attributes:
        rate: Frames a second, on the average.
        time_base: Seconds of a unit of time.
        aspect: Width of a pixel to its height, where it is told.
        expected: Number of frames, where it is told; else 0.
        seconds: That the video has, sound included, where it is told; else 0.
        broken: Why it ended too early, "" if it did not.
        read: Number of frames so far.
    """

    def __init__(self, path: Path, container: Any, max_pixels: int) -> None:
        if not container.streams.video:
            sound = ", only sound" if container.streams.audio else ""
            raise ValueError(f"{path} holds no video{sound}; give another file.")
        self._path, self._container, self._max_pixels = path, container, max_pixels
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._sides: tuple[int, int] | None = None
        self.rate: Fraction = self._stream.average_rate or USUAL_RATE
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self.aspect: Fraction | None = self._stream.sample_aspect_ratio
        self.expected: int = self._stream.frames
        self.seconds: float = (container.duration or 0) / 1e6
        self.broken, self.read = "", 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; a video that breaks off ends there, and says so in `broken`.

        Raises:
            ValueError: If not even the first can be read, one is too large, or their size changes.
        """
        from av.error import FFmpegError

        first, last = 0, -1
        decoded = self._container.decode(self._stream)
        while True:
            try:
                frame = next(decoded, None)
            except (FFmpegError, ValueError) as error:
                self.broken = _reason(error)
                break
            if frame is None:
                break
            pixels = self._pixels(frame)
            told = frame.pts if frame.pts is not None else first + self._usual_time(self.read)
            first = told if self.read == 0 else first
            last = max(told - first, last + 1)
            self.read += 1
            yield Frame(pixels, last)
        if not self.read:
            why = f" ({self.broken})" if self.broken else ""
            raise ValueError(f"{self._path} holds no frame that can be read{why}; copy it again.")
        if not self.broken and self.read < self.expected:
            self.broken = "the rest is missing"

    def _usual_time(self, index: int) -> int:
        return round(index / (self.rate * self.time_base))

    def _pixels(self, frame: Any) -> NDArray[np.uint8]:
        if frame.width * frame.height > self._max_pixels:
            raise ValueError(
                f"frames of {self._path} are {frame.height} x {frame.width} (height x width), more than the "
                f"{self._max_pixels:,} pixels that are read; raise the limit, if the memory is there: "
                f"--max_pixels {frame.width * frame.height}."
            )
        sides = (frame.height, frame.width)
        if self._sides not in (None, sides):
            raise ValueError(
                f"frame {self.read} of {self._path} is {sides[0]} x {sides[1]} (height x width), and those "
                "before it are not; cut the video there."
            )
        self._sides = sides
        quarters = round(frame.rotation / 90) % 4
        if quarters % 2 and self.aspect and self.read == 0:
            self.aspect = 1 / self.aspect
        # Turned to the left: by what is told, as positive angles of FFmpeg are.
        return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Clip]:
    """Open a video.

    Args:
        path: Its file.
        max_pixels: Of a frame; more is refused before anything of it is decoded to RGB.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If PyAV is not installed, or it is no video.
    """
    try:
        import av
        from av.error import FFmpegError
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; install what videos need: pip install 'subquad[video]'.") from error
    require_file(path)
    try:
        container = av.open(str(path), options=_OPTIONS)
    except (FFmpegError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as a video ({_reason(error)}); copy it again, or save it as MP4."
        ) from error
    with container:
        yield Clip(path, container, max_pixels)


def _reason(error: Exception) -> str:
    """Return what FFmpeg says, without the name of the file."""
    return getattr(error, "strerror", None) or str(error)

"""The one writer of videos: as large and as fast as what was read, without sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import replacing
from subquad.tasks.segmentation.video.clip import Clip, Frame

CODECS = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "mpeg4": {"flags": "+qscale", "global_quality": "354"},
}
"""What is written: the first that is there, with its options of quality."""


class VideoWriter:
    """A video that is being written.

    Args:
        container: Of PyAV, to write to.
        clip: What is read; it tells rate and time.
    """

    def __init__(self, container: Any, clip: Clip) -> None:
        self._container, self._clip = container, clip
        self._stream: Any = None

    def add(self, frame: Frame, pixels: NDArray[np.uint8]) -> None:
        """Add a picture in the place of a frame.

        Args:
            frame: That was read; it tells when.
            pixels: RGB, uint8 (H, W, 3), of the same size as those before.
        """
        import av

        self._stream = self._stream or self._begun(pixels)
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        picture.pts, picture.time_base = frame.time, self._clip.time_base
        self._container.mux(self._stream.encode(picture))

    def end(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _begun(self, pixels: NDArray[np.uint8]) -> Any:
        name = next(filter(_is_there, CODECS))
        stream = self._container.add_stream(name, rate=self._clip.rate, options=CODECS[name])
        stream.height, stream.width = pixels.shape[:2]
        is_odd = stream.height % 2 or stream.width % 2
        # Usual players want half the colours, which H.264 has of even sides alone.
        stream.pix_fmt = "yuv444p" if is_odd and name == "libx264" else "yuv420p"
        stream.codec_context.time_base = self._clip.time_base
        if self._clip.aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(self._clip.aspect)
        return stream


@contextmanager
def writing(path: Path, clip: Clip) -> Iterator[VideoWriter]:
    """Write a video whole or not at all.

    Args:
        path: Of the MP4 file.
        clip: What is read.

    Raises:
        OSError: If it cannot be written; names the file.
    """
    import av

    with replacing(path) as unfinished:
        try:
            with av.open(str(unfinished), "w", format="mp4") as container:
                writer = VideoWriter(container, clip)
                yield writer
                writer.end()
        except OSError as error:
            raise OSError(
                f"{path} cannot be written ({error.strerror}); make room, or give another --output."
            ) from error


def _is_there(codec: str) -> bool:
    import av

    try:
        av.Codec(codec, "w")
    except ValueError:
        return False
    return True

"""The network behind the server: one picture at a time, on a thread of its own."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from subquad.data.decoding import TooManyPixelsError
from subquad.data.pictures import read_picture
from subquad.explain.code_maps import last_ham
from subquad.explain.codes import Codes
from subquad.models import SegmentationNetwork
from subquad.nn.sharing import evaluating_steps
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.drawing import encoded, mask_picture, palette_of
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.serve.limits import Refusal, pixels_at_once
from subquad.tasks.segmentation.serve.questions import Question
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import Tiling

T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """What is said of a picture.

    Attributes:
        mask: Content of the PNG that `subquad predict` writes.
        counts: Pixels of each class.
        size: Height and width.
        tiles: Number of tiles; 1 if it was seen at once.
        seconds: That the network took.
        picture: What the network saw, uint8 (3, H, W).
    """

    mask: bytes
    counts: list[int]
    size: tuple[int, int]
    tiles: int
    seconds: float
    picture: Tensor


class Inference:
    """Asks a network, in the order in which it is asked itself.

    The number of steps is a property of the network while a picture is at work, so no two are ever at
    work together; the event loop goes on meanwhile.

    Args:
        network: On its device.
        max_pixels: Of a picture.
        served: What is told of, such as its parameters, where `network` is a form of it that is faster.
    """

    def __init__(
        self, network: SegmentationNetwork, max_pixels: int, served: SegmentationNetwork | None = None
    ) -> None:
        self.network, self.max_pixels = network.eval(), max_pixels
        self.served = network if served is None else served
        self.palette = palette_of(network.config)
        try:
            self.steps: int | None = last_ham(network).eval_steps
        except ValueError:
            self.steps = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._at_work: Future[Any] | None = None
        self._last: tuple[object, Codes] | None = None  # of the last explanation: the next is of it, too

    async def run(self, work: Callable[[], T]) -> T:
        """Run something that uses the network, when it is its turn."""
        self._at_work = self._worker.submit(work)
        return await asyncio.wrap_future(self._at_work)

    @property
    def is_at_work(self) -> bool:
        """Whether the network is at work, which nothing can end but the end of the process."""
        return self._at_work is not None and self._at_work.running()

    def close(self) -> None:
        """Begin nothing more."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def predict(self, content: bytes, name: str, question: Question) -> Prediction:
        """Segment a picture as `subquad predict` does.

        Args:
            content: Of its file.
            name: For messages.
            question: How.

        Raises:
            Refusal: If it cannot be read, is too large, or the memory does not suffice.
        """
        picture = self._read(content, name)
        tiling, tiles = self._tiling(question, picture), 1
        begun = time.perf_counter()
        with _enough_memory(), evaluating_steps(self.network, question.steps):
            if tiling is None:
                labels = predict_labels(self.network, picture.unsqueeze(0))[0].cpu()
            else:
                result = predict_tiles(self.network, picture, tiling)
                labels, tiles = result.labels, result.tiles
        seconds = time.perf_counter() - begun
        mask = mask_picture(labels, self.palette)
        return Prediction(
            mask=encoded(mask, "PNG"),
            counts=mask.histogram()[: self.network.config.num_classes],
            size=(mask.height, mask.width),
            tiles=tiles,
            seconds=seconds,
            picture=picture,
        )

    def explain(
        self, content: bytes, name: str, question: Question, check: Callable[[int, int], object]
    ) -> Codes:
        """Return what the ham made of a picture; of the last one, it is kept.

        Args:
            content: Of its file.
            name: For messages.
            question: How; tiles share one dictionary, or their columns could not be compared.
            check: Of height and width, before the network is asked.

        Raises:
            Refusal: As above, or if the network has no dictionary.
        """
        if self.steps is None:
            context = getattr(self.network.config, "context", "none")
            raise Refusal(
                422,
                f"this network has no matrix decomposition (its context is {context!r}), so there is no "
                "dictionary to show; only networks with a ham have one.",
            )
        key = (hashlib.sha256(content).digest(), question)
        if self._last is None or self._last[0] != key:
            self._last = None  # makes room
            picture = self._read(content, name)
            check(int(picture.shape[1]), int(picture.shape[2]))
            tiling = self._tiling(question, picture)
            with _enough_memory(), evaluating_steps(self.network, question.steps):
                self._last = (key, codes_of(self.network, picture, tiling))
        return self._last[1]

    def _tiling(self, question: Question, picture: Tensor) -> Tiling | None:
        """Return how a picture is cut; what is left to the server is not, if it is shown reduced.

        Raises:
            Refusal: If it is to be seen at once, and has too many pixels for that.
        """
        config, pixels = self.network.config, picture[0].numel()
        is_whole = question.if_large and config.resize is not None
        tiling = None if is_whole else question.tiling_of(pixels)
        most = pixels_at_once(config.num_classes, config.resize is not None)
        if tiling is None and pixels > most:
            raise Refusal(
                413,
                f"the picture has {pixels:,} pixels, and at once this network may see {most:,}; ask for "
                "tiles, such as tile=512, or send a smaller one.",
            )
        return tiling

    def _read(self, content: bytes, name: str) -> Tensor:
        try:
            return read_picture(content, self.max_pixels, where=name).pixels
        except TooManyPixelsError as error:
            raise Refusal(
                413,
                f"{error.what}; send a smaller one, or start the server with --max_pixels {error.pixels}.",
            ) from error
        except ValueError as error:
            raise Refusal(400, str(error)) from error


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Say of a picture that is too much for the memory what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate memory|out of memory", str(error)):
            raise
        raise Refusal(
            413, "there is not enough memory for this picture at once; ask for tiles, such as tile=512."
        ) from error

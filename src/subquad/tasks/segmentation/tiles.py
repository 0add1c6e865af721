"""Images larger than the memory allows: tiles with blended seams."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationNetwork
from subquad.models.segmentation.class_blocks import index_type, most_likely
from subquad.nn import Ham, sharing_dictionary
from subquad.nn.mode import evaluating
from subquad.nn.sharing import refuse_channels
from subquad.tasks.segmentation.tiling import Span, Tiling, spans
from subquad.tasks.segmentation.whole_dictionary import whole_dictionary


@dataclass(frozen=True)
class TiledPrediction:
    """What `predict_tiles` found.

    Attributes:
        labels: Class indices (H, W) on the CPU, uint8, or int64 if there are more than 255 classes.
        tiles: Number of tiles.
        seam_pixels: Pixels in which two neighbouring tiles are blended; corners count twice.
        seam_distance: Mean over these pixels of the total variation distance between the class
            probabilities of the two, in 0..1; NaN if there is no seam.
        seam_disagreement: Share of these pixels whose most likely class differs; NaN likewise.
    """

    labels: Tensor
    tiles: int
    seam_pixels: int
    seam_distance: float
    seam_disagreement: float


@torch.inference_mode()
def predict_tiles(network: SegmentationNetwork, image: Tensor, tiling: Tiling) -> TiledPrediction:
    """Segment a large image tile by tile.

    Where tiles meet, their probabilities are faded into each other by a raised cosine; the weights
    of each pixel sum to one. Beside the image and the labels, both a byte a pixel and channel, the
    memory holds what the network needs for one tile, about three times classes x tile^2 float32
    and one strip of classes x overlap x image width. With `share_dictionary` the first pass keeps
    at most 65,536 positions of what the ham sees.

    Args:
        network: A segmentation network of `create_model`; used in evaluation mode.
        image: uint8 (in_channels, H, W), any H and W, on any device.
        tiling: Size and overlap of the tiles.

    Raises:
        ValueError: If the image is not uint8 or not of that shape, or `share_dictionary` is asked
            of a network without a ham, or with one over channels.
    """
    config = network.config
    device = next(network.parameters()).device
    if image.dim() != 3:
        raise ValueError(f"expected one image (channels, height, width), got {tuple(image.shape)}.")
    size = (int(image.shape[1]), int(image.shape[2]))
    rows, columns = (spans(side, tiling) for side in size)
    tiles = [(row, column) for row in rows for column in columns]

    def show(row: Span, column: Span) -> Tensor:
        part = image[None, :, row.start : row.stop, column.start : column.stop]
        return network(preprocess(part.to(device), config))

    with evaluating(network), ExitStack() as stack:
        if tiling.share_dictionary:
            stack.enter_context(sharing_whole_dictionaries(network, tiles, show, size))
        canvas = _Canvas(size, config.num_classes)
        for row, column in tiles:
            canvas.add(show(row, column)[0].float().softmax(dim=0), row, column)
    return TiledPrediction(
        labels=canvas.labels,
        tiles=len(tiles),
        seam_pixels=canvas.seam_pixels,
        seam_distance=canvas.distance / canvas.seam_pixels if canvas.seam_pixels else math.nan,
        seam_disagreement=canvas.differing / canvas.seam_pixels if canvas.seam_pixels else math.nan,
    )


@contextmanager
def sharing_whole_dictionaries(
    network: nn.Module,
    tiles: Sequence[tuple[Span, Span]],
    show: Callable[[Span, Span], object],
    size: tuple[int, int],
) -> Iterator[None]:
    """Let each ham of a network encode all tiles with one dictionary, that of the whole image.

    Args:
        network: In evaluation mode.
        tiles: Rows and columns of each tile.
        show: Runs the network on a tile.
        size: Height and width of the image.

    Raises:
        ValueError: If the network has no ham, or one over channels.
    """
    aligned = getattr(network, "aligned_sizes", 1)
    with ExitStack() as stack:
        # One ham at a time, in the order of the network: a later one already sees what it will see.
        for ham in _hams(network):
            dictionary = whole_dictionary(ham, tiles, show, size=size, aligned=aligned)
            stack.enter_context(sharing_dictionary(ham, dictionary))
        yield


def can_share_dictionary(network: nn.Module) -> bool:
    """Say whether tiles can share the dictionaries of a network: it has a ham, and none over channels."""
    kinds = {module.over for module in network.modules() if isinstance(module, Ham)}
    return kinds == {"space"}


def _hams(network: nn.Module) -> list[Ham]:
    hams = [module for module in network.modules() if isinstance(module, Ham)]
    if not hams:
        raise ValueError(
            "the network has no matrix decomposition whose dictionary its tiles could share; leave "
            "share_dictionary out."
        )
    for ham in hams:
        refuse_channels(ham)
    return hams


class _Canvas:
    """Joins tiles that come row by row, from left to right; keeps scores only where a seam is open."""

    def __init__(self, size: tuple[int, int], classes: int) -> None:
        self.size = size
        self.labels = torch.empty(size, dtype=index_type(classes))
        self.seam_pixels, self.differing, self.distance = 0, 0, 0.0
        self._left = torch.empty(0)  # the open seam of the last tile, (classes, height, fade)
        self._above = torch.empty(0)  # the open seam of the last row of tiles, (classes, fade, W)

    def add(self, scores: Tensor, row: Span, column: Span) -> None:
        """Add the probabilities of a tile, (classes, height, width)."""
        (top, bottom), (left, right) = _settled(row), _settled(column)
        height, width = slice(top - row.start, bottom - row.start), slice(left - column.start, None)
        block = scores[:, :, width]
        if column.fade_in:
            seam = block[:, :, : column.fade_in]
            self._measure(self._left[:, height], seam[:, height])
            seam.copy_(torch.lerp(self._left, seam, _ramp(column.fade_in, scores)))
        self._left = block[:, :, right - left :][:, :, : column.fade_out].clone()
        block = block[:, :, : right - left]

        settled = block[:, height]
        if row.fade_in:
            seam, above = settled[:, : row.fade_in], self._above[:, :, left:right]
            self._measure(above, seam)
            seam.copy_(torch.lerp(above, seam, _ramp(row.fade_in, scores).unsqueeze(-1)))
        self.labels[top:bottom, left:right] = most_likely(settled, dim=0).to(self.labels)
        if row.fade_out:
            if not self._above.numel():
                self._above = scores.new_empty(len(scores), row.fade_out, self.size[1])
            self._above[:, :, left:right] = block[:, bottom - row.start :][:, : row.fade_out]

    def _measure(self, one: Tensor, other: Tensor) -> None:
        """Compare the two sides of a seam."""
        self.seam_pixels += one[0].numel()
        self.distance += float((one - other).abs().sum(dtype=torch.float64)) / 2
        self.differing += int((most_likely(one, dim=0) != most_likely(other, dim=0)).sum())


def _settled(span: Span) -> tuple[int, int]:
    """Return the pixels that no later tile changes, from the first that an earlier one left open."""
    return span.first - span.fade_in // 2, span.last - span.fade_out // 2


def _ramp(fade: int, like: Tensor) -> Tensor:
    """Return the weights of the later tile across a seam, (fade,): above 0 and below 1."""
    middle = torch.arange(fade, device=like.device, dtype=like.dtype) + 0.5
    return 0.5 - 0.5 * torch.cos(math.pi * middle / fade)

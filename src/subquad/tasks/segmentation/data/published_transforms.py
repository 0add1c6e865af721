"""The training transforms of the published recipes, to the letter of their rules of rounding.

All chance comes from torch's global generator: seed it, and the output is the same again.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.photometric import PhotometricDistortion
from subquad.tasks.segmentation.data.transforms import check_pair, check_size, pad_pair

REDRAWS = 10


@dataclass(frozen=True)
class PublishedTransform:
    """Random size, random crop in which no class is all, flip, and photometric distortion.

    Only the part of the picture that the crop needs is resized: the pixels are those of resizing
    the whole picture and cutting afterwards, at a fraction of the cost.

    Args:
        crop: Height and width of the output in pixels; smaller pictures are padded at the right
            and at the bottom, the image with `PADDING_COLOR`, the labels with `IGNORE_INDEX`.
            None keeps the whole resized picture.
        resize: Longest and shortest side to which a picture is fitted, before the random factor;
            None takes the picture's own size.
        scale: Smallest and largest random factor of the size; drawn uniformly.
        scales: Factors of which one is drawn instead of from `scale`.
        cat_max_ratio: Part of the labelled pixels of a crop that its most frequent class may not
            reach; up to ten more crops are drawn until one also has two classes. 1 takes the first.
        flip: Probability of a horizontal flip, 0 to 1.
        photometric: Whether to apply `PhotometricDistortion`.

    Raises:
        ValueError: If an argument is out of range.

    References:
        Enjoy-Hamburger, seg (VOC: `scales`) and seg_mm (ADE20K: `resize`, `cat_max_ratio`,
        `photometric`); Guo et al., SegNeXt, NeurIPS 2022, section 4.
    """

    crop: tuple[int, int] | None
    resize: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    scales: tuple[float, ...] | None = None
    cat_max_ratio: float = 1.0
    flip: float = 0.5
    photometric: bool = False

    def __post_init__(self) -> None:
        """Refuse arguments that would only fail, or do nothing, later."""
        check_size("crop", self.crop)
        if self.resize is not None and min(self.resize) < 1:
            raise ValueError(f"resize={self.resize}: take a longest and a shortest side of at least 1 pixel.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale={self.scale}: take two growing factors above 0.")
        if self.scales is not None and not (self.scales and min(self.scales) > 0):
            raise ValueError(f"scales={self.scales}: take one or more factors above 0.")
        for name, value in {"cat_max_ratio": self.cat_max_ratio, "flip": self.flip}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: take 0 to 1.")
        if self.cat_max_ratio < 1 and self.crop is None:
            raise ValueError(f"cat_max_ratio={self.cat_max_ratio} chooses among crops; give crop as well.")

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform one pair.

        Args:
            image: uint8 (3, H, W).
            labels: uint8 (H, W).

        Returns:
            The image, uint8 (3, h, w), and its labels, uint8 (h, w), where (h, w) is `crop`.

        Raises:
            ValueError: If image and labels differ in size.
        """
        check_pair(image, labels)
        size = self._draw_size(*labels.shape)
        window = self._draw_window(size)
        part = nearest_window(labels, size, window)
        for _ in range(REDRAWS if self.cat_max_ratio < 1 else 0):
            if is_varied(part, self.cat_max_ratio):
                break
            window = self._draw_window(size)
            part = nearest_window(labels, size, window)
        # The VOC recipe resizes with align_corners=True, the others, by OpenCV, with False.
        align_corners = self.resize is None and self.scales is not None
        image, labels = bilinear_window(image, size, window, align_corners), part
        if torch.rand(()).item() < self.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        if self.photometric:
            image = PhotometricDistortion()(image)
        return pad_pair(image, labels, self.crop or size)

    def _draw_size(self, height: int, width: int) -> tuple[int, int]:
        if self.scales is not None:
            factor = self.scales[int(torch.randint(len(self.scales), ()).item())]
        else:
            factor = self.scale[0] + (self.scale[1] - self.scale[0]) * torch.rand(()).item()
        if self.resize is not None:
            long, short = self.resize
            return keep_ratio_size(height, width, (int(long * factor), int(short * factor)))
        return max(math.floor(height * factor), 1), max(math.floor(width * factor), 1)

    def _draw_window(self, size: tuple[int, int]) -> tuple[slice, slice]:
        height, width = self.crop or size
        return _draw_span(size[0], height), _draw_span(size[1], width)


def keep_ratio_size(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """Fit a picture into a frame of any orientation without changing its shape.

    Args:
        height: Of the picture.
        width: Of the picture.
        size: Longest and shortest side of the frame.

    Returns:
        Height and width, each rounded half up and at least 1.
    """
    factor = min(max(size) / max(height, width), min(size) / min(height, width))
    return max(int(height * factor + 0.5), 1), max(int(width * factor + 0.5), 1)


def is_varied(labels: Tensor, cat_max_ratio: float) -> bool:
    """Say whether there are two classes and none reaches `cat_max_ratio` of the labelled pixels."""
    counts = torch.bincount(labels.flatten(), minlength=IGNORE_INDEX + 1)[:IGNORE_INDEX]
    return bool((counts > 0).sum() > 1 and counts.max() < cat_max_ratio * counts.sum())


def bilinear_window(
    image: Tensor, size: tuple[int, int], window: tuple[slice, slice], align_corners: bool = False
) -> Tensor:
    """Cut a window out of a resized image without resizing the rest; not antialiased, as in OpenCV.

    Args:
        image: uint8 (C, H, W).
        size: Height and width of the whole resized image.
        window: Rows and columns of it.
        align_corners: Whether the centres of the corner pixels stay, or else the edges of the image.

    Returns:
        uint8 (C, h, w).
    """
    if image.shape[1:] == size:
        return image[:, *window]
    rows, next_rows, down = _neighbours(image.shape[1], size[0], window[0], align_corners)
    columns, next_columns, right = _neighbours(image.shape[2], size[1], window[1], align_corners)
    # First the columns that are needed: a gather along the rows is the cheaper one.
    upper, lower = image[:, rows].float(), image[:, next_rows].float()
    lines = torch.lerp(upper, lower, down[:, None])
    return torch.lerp(lines[..., columns], lines[..., next_columns], right).round().to(torch.uint8)


def nearest_window(labels: Tensor, size: tuple[int, int], window: tuple[slice, slice]) -> Tensor:
    """Cut a window out of resized labels (H, W): the entry at the rounded down position, as in OpenCV."""
    rows, columns = (
        torch.arange(part.start, part.stop) * side // length
        for side, length, part in zip(labels.shape, size, window, strict=True)
    )
    return labels[rows[:, None], columns]


def _draw_span(side: int, length: int) -> slice:
    start = int(torch.randint(max(side - length, 0) + 1, ()).item())
    return slice(start, min(start + length, side))


def _neighbours(side: int, length: int, part: slice, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two source pixels of each output pixel, and how far it lies towards the second."""
    position = torch.arange(part.start, part.stop, dtype=torch.float64)
    if align_corners:
        position = position * ((side - 1) / max(length - 1, 1))
    else:
        position = ((position + 0.5) * (side / length) - 0.5).clamp(min=0)
    first = position.floor().long().clamp(max=side - 1)
    return first, (first + 1).clamp(max=side - 1), (position - first).float()

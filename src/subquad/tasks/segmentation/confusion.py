"""Segmentation metrics, all from one confusion matrix of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.engine.scores import Table
from subquad.engine.tables import percent
from subquad.nn.distributed import sum_over_processes
from subquad.tasks.segmentation.data.labels import Sample


@dataclass(frozen=True)
class SegmentationScores:
    """Scores of a data set, each in 0..1; NaN stands for "not applicable".

    Attributes:
        mean_iou: Mean over the classes that occur in the truth or in the prediction.
        pixel_accuracy: Share of labelled pixels that are right.
        mean_accuracy: Mean of `accuracy` over the classes that have pixels.
        iou: Of each class, (classes,); NaN for a class that never occurs.
        accuracy: Share of each class's pixels that are right, (classes,); NaN for a class without
            pixels.
        pixels: Labelled pixels of each class, int64 (classes,).
        names: Of the classes.
    """

    mean_iou: float
    pixel_accuracy: float
    mean_accuracy: float
    iou: Tensor
    accuracy: Tensor
    pixels: Tensor
    names: tuple[str, ...]

    def tables(self) -> list[Table]:
        """Return one row a class: its name, IoU, accuracy and pixels; n/a where there is none."""
        rows = [
            (name, percent(iou), percent(accuracy), f"{int(pixels):,}")
            for name, iou, accuracy, pixels in zip(
                self.names, self.iou.tolist(), self.accuracy.tolist(), self.pixels.tolist(), strict=True
            )
        ]
        title = f"mean IoU {100 * self.mean_iou:.2f} %, pixel accuracy {100 * self.pixel_accuracy:.2f} %"
        return [Table(title, ("class", "IoU %", "accuracy %", "pixels"), rows)]

    def to_json(self) -> dict[str, Any]:
        """Return all of it; null stands for "not applicable".

        The section `metric` holds what mmsegmentation's `eval_*.json` hold, by the same names and
        rounded as there, to two decimals of a percentage.
        """
        iou = dict(zip(self.names, self.iou.tolist(), strict=True))
        accuracy = dict(zip(self.names, self.accuracy.tolist(), strict=True))
        metric = {
            "aAcc": _rounded(self.pixel_accuracy),
            "mIoU": _rounded(self.mean_iou),
            "mAcc": _rounded(self.mean_accuracy),
            **{f"IoU.{name}": _rounded(score) for name, score in iou.items()},
            **{f"Acc.{name}": _rounded(score) for name, score in accuracy.items()},
        }
        return {
            "mean_iou": _known(self.mean_iou),
            "pixel_accuracy": _known(self.pixel_accuracy),
            "mean_accuracy": _known(self.mean_accuracy),
            "iou": {name: _known(score) for name, score in iou.items()},
            "accuracy": {name: _known(score) for name, score in accuracy.items()},
            "pixels": dict(zip(self.names, self.pixels.tolist(), strict=True)),
            "metric": metric,
        }


class ConfusionMatrix:
    """Counts of (truth, prediction) over any number of batches.

    Args:
        num_classes: At least 1.
        ignore_index: Truth that is left out on both sides.
        names: Of the classes; their numbers if empty.

    Attributes:
        counts: int64 (num_classes, num_classes), rows are the truth.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, *, names: Sequence[str] = ()) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        self.num_classes, self.ignore_index = num_classes, ignore_index
        if names and len(names) != num_classes:
            raise ValueError(f"names has {len(names)} entries for {num_classes} classes.")
        self.names = tuple(names) or tuple(map(str, range(num_classes)))
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def reset(self) -> None:
        """Forget everything."""
        self.counts = torch.zeros_like(self.counts)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Args:
            prediction: Class indices, any shape.
            truth: Class indices of the same shape; `ignore_index` where unknown.

        Raises:
            ValueError: If the shapes differ or a value is no class.
        """
        if prediction.shape != truth.shape:
            raise ValueError(
                f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} differ in shape."
            )
        labelled = truth != self.ignore_index
        truth, prediction = truth[labelled].long(), prediction[labelled].long()
        for name, values in {"truth": truth, "prediction": prediction}.items():
            if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < self.num_classes:
                raise ValueError(
                    f"the {name} holds {int(values.min())}..{int(values.max())}, but the classes are "
                    f"0..{self.num_classes - 1} ({self.ignore_index} is ignored)."
                )
        pairs = truth * self.num_classes + prediction
        counts = torch.bincount(pairs, minlength=self.num_classes**2)
        self.counts = self.counts.to(counts.device) + counts.view_as(self.counts)

    def sum_over_processes(self) -> None:
        """Add the counts of all processes of a distributed run, on each of them."""
        sum_over_processes(self.counts)

    def scores(self) -> SegmentationScores:
        """Return the scores of what was added so far."""
        counts = self.counts.double().cpu()
        right, truth, predicted = counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)
        iou = right / (truth + predicted - right)  # 0 / 0 is NaN: a class that never occurs
        accuracy = right / truth
        return SegmentationScores(
            mean_iou=float(iou.nanmean()),
            pixel_accuracy=float(right.sum() / truth.sum()),
            mean_accuracy=float(accuracy.nanmean()),
            iou=iou,
            accuracy=accuracy,
            pixels=truth.long(),
            names=self.names,
        )


def _known(score: float) -> float | None:
    return None if math.isnan(score) else score


def _rounded(score: float) -> float | None:
    return None if math.isnan(score) else round(100 * score, 2) / 100


def mean_iou_of(label: Callable[[Tensor], Tensor], samples: Iterable[Sample], num_classes: int) -> float:
    """Return the mean IoU, 0 to 1, of what is said of samples one by one.

    Args:
        label: Maps a picture, uint8 (channels, H, W), to a class for each pixel, (H, W).
        samples: Pictures with the truth.
        num_classes: Of both.
    """
    confusion = ConfusionMatrix(num_classes)
    for sample in samples:
        confusion.update(label(sample.image), sample.labels)
    return confusion.scores().mean_iou

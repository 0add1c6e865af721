"""Scores of classes told of pictures, from counts that add up over batches and processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.engine.class_scores import ClassScores, scores_of_classes
from subquad.engine.scores import Table
from subquad.engine.tables import percent
from subquad.nn.distributed import sum_over_processes

TOP = 5
MOST_PRINTED = 20  # classes of a confusion matrix on the terminal


@dataclass(frozen=True)
class ClassificationScores:
    """What an evaluation found.

    Attributes:
        count: Pictures.
        loss: Mean cross-entropy.
        top1: Share of pictures whose likeliest class is right.
        top5: Share whose class is among the five likeliest; None of five classes or fewer.
        f1: Mean of the F1 of the classes that occur or are told.
        classes: Of each class.
        confusion: Pictures by true class (rows) and told class (columns).
    """

    count: int
    loss: float
    top1: float
    top5: float | None
    f1: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def tables(self) -> list[Table]:
        """Return the scores, those of each class, and which classes are taken for which if they are few."""
        rows = [
            ("top-1 accuracy", f"{percent(self.top1)} %"),
            ("top-5 accuracy", "n/a" if self.top5 is None else f"{percent(self.top5)} %"),
            ("F1, mean of classes", f"{percent(self.f1)} %"),
            ("loss", f"{self.loss:.5f}"),
        ]
        columns = ("class", "precision %", "recall %", "F1 %", "pictures")
        of_classes = [
            (c.name, *map(percent, (c.precision, c.recall, c.f1)), f"{c.count:,}") for c in self.classes
        ]
        found = [
            Table(f"{self.count:,} pictures", ("score", "value"), rows),
            Table("classes", columns, of_classes),
        ]
        if len(self.classes) <= MOST_PRINTED:
            names = [c.name for c in self.classes]
            counts = [(name, *map(str, row)) for name, row in zip(names, self.confusion, strict=True)]
            found.append(Table("true classes (rows) as predicted (columns)", ("class", *names), counts))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dataclasses.asdict(self)


class ClassificationCounts:
    """Counts over any number of batches, in whole numbers; the loss in float64.

    Args:
        num_classes: Of the network.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self.confusion = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
        self.top = torch.zeros((), dtype=torch.int64)
        self.loss_sum = torch.zeros((), dtype=torch.float64)

    def update(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (batch, num_classes).
            labels: (batch,).
            loss: Mean over the batch.
        """
        pairs = labels * self.num_classes + logits.argmax(dim=1)
        counts = pairs.bincount(minlength=self.num_classes**2).cpu()
        self.confusion += counts.view(self.num_classes, self.num_classes)
        likeliest = logits.topk(min(TOP, self.num_classes), dim=1).indices
        self.top += (likeliest == labels[:, None]).sum().cpu()
        self.loss_sum += loss.detach().double().cpu() * len(labels)

    def sum_over_processes(self, device: torch.device) -> None:
        """Add up what all processes counted."""
        for name in ("confusion", "top", "loss_sum"):
            value = getattr(self, name).to(device)
            sum_over_processes(value)
            setattr(self, name, value.cpu())

    def scores(self, names: Sequence[str] = ()) -> ClassificationScores:
        """Return what was found; at least one picture was counted.

        Args:
            names: Of the classes; their numbers if empty.
        """
        count, right = int(self.confusion.sum()), self.confusion.diagonal()
        rows = zip(
            names or map(str, range(self.num_classes)),
            *(part.tolist() for part in (right, self.confusion.sum(0), self.confusion.sum(1))),
            strict=True,
        )
        classes, f1 = scores_of_classes(rows)
        return ClassificationScores(
            count,
            float(self.loss_sum) / count,
            int(right.sum()) / count,
            int(self.top) / count if self.num_classes > TOP else None,
            f1,
            classes,
            tuple(map(tuple, self.confusion.tolist())),
        )

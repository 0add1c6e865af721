"""Scores of classes and of values told of sequences, from sums that add up over batches and processes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.engine.class_scores import ClassScores, scores_of_classes
from subquad.engine.scores import Table
from subquad.engine.tables import percent
from subquad.nn.distributed import sum_over_processes

TOLERANCE = 0.04  # of the Adding problem: a value counts as right if it is nearer than this


@dataclass(frozen=True)
class SequenceScores:
    """What an evaluation found.

    Attributes:
        count: Sequences.
        loss: Mean cross-entropy; of a regression mean squared error, in units of the deviation of the
            values of training where the network knows it.
        accuracy: Share of sequences whose class is right, or whose value is nearer than 0.04.
        is_classification: Whether classes are told, not values.
        roc_auc: Area under the ROC curve of the scores, 0 to 1; None unless there are two classes, and
            sequences of both.
        f1: Mean of the F1 of the classes that occur or are told, 0 to 1; None of a regression.
        classes: Of each class; empty of a regression.
        mae: Mean absolute error, in the units of the values; None of classes, as the next two.
        rmse: Root of the mean squared error, in the same units.
        r2: Coefficient of determination: 1 is exact, 0 no better than the mean of the true values; None
            where these do not differ.
    """

    count: int
    loss: float
    accuracy: float
    roc_auc: float | None
    is_classification: bool
    f1: float | None = None
    classes: tuple[ClassScores, ...] = ()
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None

    def tables(self) -> list[Table]:
        """Return the scores and, of a classification, those of each class."""
        found = [Table(f"{self.count:,} sequences", ("score", "value"), self._rows())]
        if self.classes:
            columns = ("class", "precision %", "recall %", "F1 %", "sequences")
            rows = [
                (c.name, *map(percent, (c.precision, c.recall, c.f1)), f"{c.count:,}") for c in self.classes
            ]
            found.append(Table("classes", columns, rows))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dataclasses.asdict(self)

    def _rows(self) -> list[tuple[str, str]]:
        if self.is_classification:
            rows = [
                ("accuracy", f"{percent(self.accuracy)} %"),
                ("F1, mean of classes", f"{percent(self.f1)} %"),
            ]
            if self.roc_auc is not None:
                rows.append(("area under the ROC curve", f"{percent(self.roc_auc)} %"))
        else:
            errors = {"mean absolute error": self.mae, "root mean squared error": self.rmse, "R²": self.r2}
            rows = [(name, "n/a" if value is None else f"{value:.6g}") for name, value in errors.items()]
            rows.append((f"nearer than {TOLERANCE}", f"{percent(self.accuracy)} %"))
        return [*rows, ("loss", f"{self.loss:.5f}")]


class SequenceSums:
    """Sums over any number of batches, in float64 and whole numbers.

    Args:
        num_classes: Of a classification; None: values are told.
        center: Near the mean of the true values, so that their spread does not drown in its square.
    """

    def __init__(self, num_classes: int | None, center: float = 0.0) -> None:
        self.num_classes, self.center = num_classes, center
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        # Sequences, loss times sequences, right ones; errors, squared errors, values and their squares.
        self.sums = torch.zeros(7, dtype=torch.float64)
        # Of each class: told and true, told, true.
        self.classes = torch.zeros(3, self.num_classes or 0, dtype=torch.int64)

    def update(self, outputs: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch.

        Args:
            outputs: Logits (batch, classes), or values (batch, 1).
            targets: Classes (batch,), or values.
            loss: Mean over the batch.
        """
        count = torch.tensor(len(targets), dtype=torch.float64)
        if self.num_classes is None:
            errors = (outputs.squeeze(1).double() - targets.double()).cpu()
            right, values = errors.abs() < TOLERANCE, targets.double().cpu() - self.center
            told = [errors.abs().sum(), errors.square().sum(), values.sum(), values.square().sum()]
        else:
            classes = outputs.argmax(dim=1)
            right, told = classes == targets, [torch.zeros(())] * 4
            found = [targets[right], classes, targets]
            self.classes += torch.stack([x.bincount(minlength=self.num_classes) for x in found]).cpu()
        of_loss = loss.detach().double().cpu() * count
        self.sums += torch.stack([x.double().cpu() for x in (count, of_loss, right.sum(), *told)])

    def sum_over_processes(self, device: torch.device) -> None:
        """Add up what all processes counted."""
        self.sums, self.classes = self.sums.to(device), self.classes.to(device)
        sum_over_processes(self.sums)
        sum_over_processes(self.classes)
        self.sums, self.classes = self.sums.cpu(), self.classes.cpu()

    @property
    def has_both(self) -> bool:
        """Whether there are sequences of each of two classes."""
        return self.num_classes == 2 and bool((self.classes[2] > 0).all())

    def scores(self, names: Sequence[str] = (), roc_auc: float | None = None) -> SequenceScores:
        """Return what was found; at least one sequence was counted.

        Args:
            names: Of the classes; their numbers if empty.
            roc_auc: Of the whole evaluation.
        """
        count, loss, right, absolute, squared, values, value_squares = self.sums.tolist()
        shared = int(count), loss / count, right / count, roc_auc
        if self.num_classes is None:
            spread = value_squares - values**2 / count
            # The rounding of equal values is no spread.
            r2 = 1 - squared / spread if spread > 1e-12 * value_squares else None
            return SequenceScores(
                *shared, False, mae=absolute / count, rmse=math.sqrt(squared / count), r2=r2
            )
        rows = zip(names or map(str, range(self.num_classes)), *self.classes.tolist(), strict=True)
        classes, f1 = scores_of_classes(rows)
        return SequenceScores(*shared, True, f1=f1, classes=classes)

"""What an evaluation found in each sample, in whole numbers: enough to score any choice of samples."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import check_unpacked, require_file, write_whole
from subquad.base.limits import LARGEST_COUNTS

COUNTS_FILE = "evaluation.npz"
Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class SampleCounts:
    """A confusion matrix for each sample, of which only what is not zero is kept.

    Attributes:
        metric: What is scored, a key of `METRICS`.
        classes: Their names.
        samples: Their names.
        of: Samples of the whole evaluation set; these are spread evenly over it.
        entries: Sample, true class and told class of each count, int64 (entries, 3).
        counts: Such as pixels, int64 (entries,).
        weights: Digest of the file of the network's weights.
        data: Fingerprint of the evaluation set.
    """

    metric: str
    classes: tuple[str, ...]
    samples: tuple[str, ...]
    of: int
    entries: Counts
    counts: Counts
    weights: str = ""
    data: str = ""

    @classmethod
    def of_matrices(
        cls, metric: str, classes: Sequence[str], samples: Sequence[str], of: int, matrices: Sequence[Any]
    ) -> SampleCounts:
        """Keep confusion matrices, (classes, classes) with the truth in rows, one for each sample."""
        return cls.of_entries(metric, classes, samples, of, [entries_of(matrix) for matrix in matrices])

    @classmethod
    def of_entries(
        cls,
        metric: str,
        classes: Sequence[str],
        samples: Sequence[str],
        of: int,
        found: Sequence[tuple[Counts, Counts]],
    ) -> SampleCounts:
        """Keep what `entries_of` gives of each sample: of thousands of classes no matrix has to be held."""
        entries = [np.insert(where, 0, sample, axis=1) for sample, (where, _) in enumerate(found)]
        return cls(
            metric,
            tuple(classes),
            tuple(samples),
            of,
            np.concatenate([np.zeros((0, 3), np.int64), *entries]).astype(np.int64),
            np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in found)]),
        )

    def of_weights(self, digest: str, data: str = "") -> SampleCounts:
        """Return the same, said to be of weights of that digest, and data of that fingerprint."""
        return replace(self, weights=digest, data=data)

    def confusion(self) -> Counts:
        """Return the confusion matrix of all samples, (classes, classes), rows are the truth."""
        total = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(total, (self.entries[:, 1], self.entries[:, 2]), self.counts)
        return total

    def margins(self) -> Counts:
        """Return (samples, 3, classes): what is true and told, what is true, and what is told."""
        sample, true, told = self.entries.T
        right = true == told
        margins = np.zeros((len(self.samples), 3, len(self.classes)), np.int64)
        np.add.at(margins, (sample[right], 0, true[right]), self.counts[right])
        np.add.at(margins, (sample, 1, true), self.counts)
        np.add.at(margins, (sample, 2, told), self.counts)
        return margins

    def score(self) -> float:
        """Return the score of all samples together."""
        return float(score(self.metric, self.margins().sum(axis=0)))

    def sample_scores(self) -> Numbers:
        """Return the score of each sample by itself, (samples,); NaN for one without truth."""
        margins = self.margins()
        scores = score(self.metric, margins)
        return np.where(margins[:, 1].sum(axis=1) > 0, scores, np.nan)

    def save(self, path: Path) -> None:
        """Write them, packed, all at once."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            metric=np.array(self.metric),
            of=np.array(self.of),
            weights=np.array(self.weights),
            data=np.array(self.data),
            classes=np.array(self.classes, dtype=str),
            samples=np.array(self.samples, dtype=str),
            entries=self.entries,
            counts=self.counts,
        )
        write_whole(path, buffer.getvalue())


def entries_of(matrix: Any) -> tuple[Counts, Counts]:
    """Return true and told class of what is not zero in a confusion matrix, (entries, 2), and its counts."""
    kept = np.asarray(matrix, dtype=np.int64)
    return np.argwhere(kept), kept[kept != 0]


def load_counts(path: Path) -> SampleCounts:
    """Read what `SampleCounts.save` wrote.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is no such file, damaged, or unpacks to more than `LARGEST_COUNTS`.
    """
    require_file(path, LARGEST_COUNTS)
    try:
        check_unpacked(path, LARGEST_COUNTS)
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
        read = SampleCounts(
            str(found["metric"]),
            tuple(map(str, found["classes"])),
            tuple(map(str, found["samples"])),
            int(found["of"]),
            found["entries"],
            found["counts"],
            str(found["weights"]),
            str(found["data"]),
        )
        _check(read)
    except Exception as error:  # what is damaged fails in zlib, in zipfile, in the parser of a header, ...
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"{path} holds no counts of an evaluation ({reason}); delete it, and `subquad report` makes it "
            f"anew."
        ) from error
    return read


def _check(read: SampleCounts) -> None:
    """Raise ValueError unless the arrays fit together."""
    shape = (len(read.samples), len(read.classes), len(read.classes))
    fits = (
        read.metric in METRICS
        and read.entries.dtype == read.counts.dtype == np.int64
        and read.counts.ndim == 1
        and read.entries.shape == (len(read.counts), 3)
        and bool((read.entries >= 0).all() and (read.entries < shape).all() and (read.counts > 0).all())
    )
    if not fits:
        raise ValueError("its arrays do not fit together")


def digest(path: Path) -> str:
    """Return what tells the weights in a file from others."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spread(length: int, most: int) -> list[int]:
    """Return at most so many of the numbers below `length`, evenly spread over them, always the same."""
    count = min(length, most)
    return [position * length // count for position in range(count)]


def score(metric: str, margins: NDArray[Any]) -> Numbers:
    """Return scores of margins as `SampleCounts.margins` has them, (..., 3, classes) to (...)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return METRICS[metric](np.asarray(margins, dtype=np.float64))


def class_scores(metric: str, margins: NDArray[Any]) -> Numbers:
    """Return what is scored of each class, (..., 3, classes) to (..., classes); NaN where it is not told."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return CLASS_METRICS[metric](np.asarray(margins, dtype=np.float64))


def _iou(margins: Numbers) -> Numbers:
    right, true, told = np.moveaxis(margins, -2, 0)
    return right / (true + told - right)


def _mean_iou(margins: Numbers) -> Numbers:
    iou = _iou(margins)
    known = ~np.isnan(iou)  # a class that never occurs has no part in the mean
    return np.where(known, iou, 0).sum(axis=-1) / known.sum(axis=-1)


def _accuracy(margins: Numbers) -> Numbers:
    return margins[..., 0, :].sum(axis=-1) / margins[..., 1, :].sum(axis=-1)


def _recall(margins: Numbers) -> Numbers:
    return margins[..., 0, :] / margins[..., 1, :]


METRICS: dict[str, Callable[[Numbers], Numbers]] = {"mean IoU": _mean_iou, "accuracy": _accuracy}
CLASS_METRICS: dict[str, Callable[[Numbers], Numbers]] = {"mean IoU": _iou, "accuracy": _recall}
CLASS_WORDS = {"mean IoU": "IoU", "accuracy": "Recall"}  # what is scored of a class

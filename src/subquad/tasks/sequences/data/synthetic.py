"""Adding and Temporal Order: made-up sequences whose answer lies in two positions, any distance apart."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.base.seeds import mix_seed
from subquad.tasks.sequences.data.samples import SequenceInfo, SequenceSample
from subquad.tasks.sequences.data.vocabulary import ORDER

STREAMS = {"train": 0, "val": 1, "test": 2}


class Generated(Dataset[SequenceSample]):
    """Samples that depend on (`seed`, `split`, index) and on nothing else: no files, no state.

    Args:
        samples: The number of samples, at least 1.
        seed: Any number from 0 on; another seed gives other samples.
        split: `"train"`, `"val"` or `"test"`: three streams of random numbers.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, samples: int, *, seed: int = 0, split: str = "train") -> None:
        if samples < 1 or seed < 0:
            raise ValueError(f"samples={samples}, seed={seed}: take samples from 1, a seed from 0.")
        if split not in STREAMS:
            raise ValueError(f"there is no split {split!r}; take 'train', 'val' or 'test'.")
        self.samples, self.seed, self.split = samples, seed, split

    @property
    @abstractmethod
    def info(self) -> SequenceInfo:
        """What a network must know."""

    @property
    def lengths(self) -> Tensor | None:
        """Positions of each sample, int64 (samples,)."""
        return torch.full((self.samples,), self.info.length)

    def __len__(self) -> int:
        """The number of samples."""
        return self.samples

    def __getitem__(self, index: int) -> SequenceSample:
        """Make one sample.

        Raises:
            IndexError: If `index` is not below the number of samples.
        """
        if not 0 <= index < self.samples:
            raise IndexError(f"there are {self.samples} samples, so no index {index}.")
        return self.make(mix_seed(self.seed, STREAMS[self.split], index))

    @abstractmethod
    def make(self, seed: int) -> SequenceSample:
        """Make the sample of a seed, which no other sample has."""


class Adding(Generated):
    """The Adding problem: 0.5 plus a quarter of the sum of two marked values.

    As in the synthetic tasks of Paramixer (Yu et al., CVPR 2022).

    Each position has a value, uniform in (-1, 1], and a mark, 1 at two different positions and 0
    elsewhere: inputs (length, 2). Targets are in (0, 1]; a prediction counts as right if it is less
    than 0.04 away.

    Args:
        length: Positions, at least 2.
        samples: The number of samples.
        seed: Another seed gives other samples.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, length: int, samples: int, *, seed: int = 0, split: str = "train") -> None:
        super().__init__(samples, seed=seed, split=split)
        self.length = at_least_two(length)

    @property
    def info(self) -> SequenceInfo:
        """Regression from two values a position."""
        return SequenceInfo("regression", self.length, in_features=2)

    def make(self, seed: int) -> SequenceSample:
        """Draw the values, then the marks."""
        rng = np.random.default_rng(seed)
        inputs = np.zeros((self.length, 2), dtype=np.float32)
        inputs[:, 0] = 1 - 2 * rng.random(self.length)
        marked = rng.choice(self.length, 2, replace=False)
        inputs[marked, 1] = 1
        target = 0.5 + float(inputs[marked, 0].astype(np.float64).sum()) / 4
        return SequenceSample(torch.from_numpy(inputs), target)


class TemporalOrder(Generated):
    """Temporal Order: which two symbols of X and Y are hidden among fillers, and in which order.

    Fillers are 0 to 3, X is 4 and Y is 5. The classes are XX, XY, YX, YY, all equally likely.

    Args:
        length: Positions, at least 2.
        samples: The number of samples.
        seed: Another seed gives other samples.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, length: int, samples: int, *, seed: int = 0, split: str = "train") -> None:
        super().__init__(samples, seed=seed, split=split)
        self.length = at_least_two(length)

    @property
    def info(self) -> SequenceInfo:
        """Four classes of six tokens."""
        return SequenceInfo("classification", self.length, ("XX", "XY", "YX", "YY"), ORDER)

    def make(self, seed: int) -> SequenceSample:
        """Draw the fillers, then the two places, then their symbols."""
        rng = np.random.default_rng(seed)
        inputs: np.ndarray[Any, Any] = rng.integers(0, 4, self.length)
        first, second = np.sort(rng.choice(self.length, 2, replace=False))
        one, other = rng.integers(0, 2, 2).tolist()
        inputs[first], inputs[second] = 4 + one, 4 + other
        return SequenceSample(torch.from_numpy(inputs), 2 * one + other)


def at_least_two(length: int) -> int:
    """Return the length, or say that two marks do not fit."""
    if length < 2:
        raise ValueError(f"length={length}: two positions are marked, so take at least 2.")
    return length

"""Which mixer to take on this machine: candidates measured in one place, within so many seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch

from subquad.base.memory import free_memory
from subquad.bench.checks import check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.mixers import Mixer, mixers_of_maps, mixers_of_sequences
from subquad.bench.recommendation import MixerRow, gib, recommend
from subquad.bench.result import Chart, Table
from subquad.bench.timing import Tell
from subquad.bench.trial import Trial
from subquad.ops.precision import why_not_bfloat16

SHARE_OF_MEMORY = 0.8  # of what is free; the rest is for what else runs
LEAST_TIMES_INPUT = 4  # as much memory takes the leanest of the blocks, the input included


@dataclass(frozen=True)
class Advice:
    """What `advise` found.

    Attributes:
        shape: Of the input: (batch, channels, height, width), or (batch, length, channels).
        training: Whether a pass is a training step, forward and backward; else inference.
        memory: Bytes that could be held.
        repeats: Rounds.
        rows: Of all mixers.
        choice: Name of the mixer to take.
        sentences: Why, where it would change, what to write, and what is not known.
    """

    environment: Environment
    shape: tuple[int, ...]
    training: bool
    memory: int
    repeats: int
    rows: tuple[MixerRow, ...]
    choice: str
    sentences: tuple[str, ...]

    def tables(self) -> list[Table]:
        """Return a row for each mixer, why some were skipped, and the recommendation."""
        work = "a training step" if self.training else "inference"
        shape = " x ".join(map(str, self.shape))
        title = f"{shape}, {work}, float32, {self.repeats} rounds"
        rows = [
            (
                row.name,
                str(row.time) if row.time else f"about {row.ms:.3g}",
                f"{row.memory / 2**20:.1f}",
                f"{row.parameters / 1e6:.2f} M",
                row.gives,
            )
            for row in self.rows
        ]
        skipped = [Table(f"{row.name} was not run: {row.skipped}.") for row in self.rows if row.skipped]
        columns = ("mixer", "ms", "MiB", "parameters", "context")
        return [Table(title, columns, rows), *skipped, *map(Table, self.sentences)]

    def charts(self) -> list[Chart]:
        """Return none: five numbers need no picture."""
        return []


def advise_maps(
    shape: Sequence[int],
    *,
    training: bool = False,
    seconds: float = 20.0,
    device: str = "cpu",
    tell: Tell | None = None,
) -> Advice:
    """Say which mixer to take for feature maps of a shape.

    Args:
        shape: Batch, channels, height and width.
        training: Time forward and backward; else inference.
        seconds: To spend on it, about; what would take longer is predicted from fewer positions.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.

    Raises:
        ValueError: If a number is out of range, or the memory does not hold such a map.
    """
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(f"the shape must be four numbers from 1, got {', '.join(map(str, shape))}.")
    batch, channels, *spatial = shape
    trial = _trial(batch, channels, tuple(spatial), training, seconds, device)
    mixers = mixers_of_maps(channels, bfloat16=not why_not_bfloat16(trial.device.type))
    return _advise(trial, mixers, tuple(shape), tell)


def advise_sequences(
    length: int,
    *,
    dim: int = 64,
    batch: int = 1,
    training: bool = False,
    seconds: float = 20.0,
    device: str = "cpu",
    tell: Tell | None = None,
) -> Advice:
    """Say which mixer to take for sequences of a length.

    Args:
        length: Positions.
        dim: Channels.
        batch: Sequences.
        training: As in `advise_maps`, as `seconds`, `device` and `tell`.
        seconds: To spend on it.
        device: Such as "cpu".
        tell: Is told how far it is.

    Raises:
        ValueError: As `advise_maps`.
    """
    check_numbers({"length": length, "dim": dim, "batch": batch})
    trial = _trial(batch, dim, (length,), training, seconds, device)
    mixers = mixers_of_sequences(dim, length, bfloat16=not why_not_bfloat16(trial.device.type))
    return _advise(trial, mixers, (batch, length, dim), tell)


def _advise(trial: Trial, mixers: Sequence[Mixer], shape: tuple[int, ...], tell: Tell | None) -> Advice:
    """Measure the candidates and recommend one."""
    watch = Watch(trial.device)
    rows, repeats = trial.measure(mixers, tell)
    found = recommend(rows, prod(trial.spatial), trial.memory)
    environment = watch.environment({row.name: row.time for row in rows if row.time})
    return Advice(
        environment, shape, trial.training, trial.memory, repeats, rows, found.choice, found.sentences
    )


def _trial(
    batch: int, channels: int, spatial: tuple[int, ...], training: bool, seconds: float, device: str
) -> Trial:
    """Return where to measure; raise ValueError if there is nothing to mix, or no memory for it."""
    if prod(spatial) < 2:
        raise ValueError("one position has no other to hear of; give at least 2.")
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds:g}.")
    place = torch.device(device)
    free = torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else free_memory()
    memory = int(SHARE_OF_MEMORY * free)
    size = 4 * batch * channels * prod(spatial)
    if LEAST_TIMES_INPUT * size > memory:
        raise ValueError(
            f"an input of {size / 2**30:,.1f} GiB needs {LEAST_TIMES_INPUT} times as much at least, and "
            f"{gib(memory)} are there; give a smaller batch or shape."
        )
    return Trial(batch, channels, spatial, training, seconds, place, memory)

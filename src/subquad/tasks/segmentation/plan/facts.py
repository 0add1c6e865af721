"""What is known before a training is planned: of the data, and of the machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

from subquad.models.pretrained import PACKAGED
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX

LOOKED_AT = 200  # pictures that tell sizes and frequencies


@dataclass(frozen=True)
class Facts:
    """What a plan is made from.

    Attributes:
        train: Number of training pictures.
        evaluation: Number of pictures that are evaluated.
        height: Median of the pictures, pixels.
        width: Median of the pictures, pixels.
        smallest: Shortest side of all.
        class_names: Of the classes.
        shares: Of each class in the labelled pixels, 0 to 1.
        channels: Of the pictures.
        cores: Of the processor.
        memory: Free bytes of what the network is trained in.
        gpu: Its name; None for training on the processor.
        bfloat16: Whether the GPU computes in it.
        starts: Names of the pretrained weights that are installed, small to large.
        remarks: What else is good to know of the data, such as how one folder was divided.
    """

    train: int
    evaluation: int
    height: int
    width: int
    smallest: int
    class_names: tuple[str, ...]
    shares: tuple[float, ...]
    channels: int
    cores: int
    memory: int
    gpu: str | None
    bfloat16: bool
    starts: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Return them to read."""
        shares = ", ".join(
            f"{name} {100 * share:.2g} %" for name, share in zip(self.class_names, self.shares, strict=True)
        )
        place = self.gpu or f"{self.cores} cores"
        return (
            f"{self.train} pictures to train, {self.evaluation} to evaluate, {self.height} x {self.width} "
            f"pixels (median)",
            f"{len(self.class_names)} classes: {shares}",
            f"{place}, {self.memory / 2**30:.1f} GiB free; pretrained weights installed: "
            f"{', '.join(self.starts) or 'none'}",
            *self.remarks,
        )


def gather(data: Any, accelerator: str = "auto") -> Facts:
    """Look at the data and at the machine.

    Args:
        data: `SegmentationData` with a training set.
        accelerator: Of the trainer's options.

    Raises:
        ValueError: If no pixel is labelled, or a picture cannot be read.
    """
    sizes, counts, channels = [], torch.zeros(256, dtype=torch.int64), 3
    step = max(1, -(-len(data.train) // LOOKED_AT))
    for index in range(0, len(data.train), step):
        sample = data.train[index]
        sizes.append(tuple(sample.labels.shape))
        channels = sample.image.shape[0]
        counts += torch.bincount(sample.labels.flatten(), minlength=256)
    counts[IGNORE_INDEX] = 0
    counts = counts[: data.labels.num_classes]
    if not counts.any():
        raise ValueError("no pixel of the training pictures is labelled; run `subquad data check` on them.")
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return Facts(
        train=len(data.train),
        evaluation=len(data.evaluation),
        height=round(median(height for height, _ in sizes)),
        width=round(median(width for _, width in sizes)),
        smallest=min(map(min, sizes)),
        class_names=data.labels.names,
        shares=tuple((counts.double() / counts.sum()).tolist()),
        channels=channels,
        cores=len(_cores()),
        memory=torch.cuda.mem_get_info()[0] if gpu else free_memory(),
        gpu=torch.cuda.get_device_name() if gpu else None,
        bfloat16=gpu and torch.cuda.is_bf16_supported(),
        starts=installed_starts(),
        remarks=tuple(data.remarks),
    )


def installed_starts() -> tuple[str, ...]:
    """Return the names of the pretrained weights whose packages are installed, small to large."""
    return tuple(name for name, told in PACKAGED.items() if find_spec(told.package))


def free_memory() -> int:
    """Return the bytes of main memory that a program may still take, where the system tells; else 4 GiB."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            told = dict(line.split(":", 1) for line in file)
        free = int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return 4 * 2**30
    return min([free, *_limits()])


def _limits() -> list[int]:
    """Return what a container leaves, if it says so."""
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as most:
            limit = int(most.read())
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as now:
            return [max(0, limit - int(now.read()))]
    except (OSError, ValueError):  # no container, or "max"
        return []


def _cores() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)

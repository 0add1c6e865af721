"""What is known before a training is planned: of the data, and of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

from subquad.base.memory import free_memory, processes_together
from subquad.base.suggest import quote
from subquad.models.pretrained import PACKAGED

LOOKED_AT = 200  # pictures that tell sizes and frequencies


@dataclass(frozen=True)
class Facts:
    """What a plan is made from.

    Attributes:
        train: Number of training pictures.
        evaluation: Number of pictures that are evaluated.
        height: Median of the pictures, pixels.
        width: Median of the pictures, pixels.
        class_names: Of the classes.
        shares: Of each class in the labelled pixels, 0 to 1.
        channels: Of the pictures.
        cores: Of the processor.
        memory: Free bytes of what the network is trained in.
        gpu: Its name; None for training on the processor.
        bfloat16: Whether the GPU computes in it.
        starts: Names of the pretrained weights that are installed, small to large.
        devices: That train together, each with a batch of its own.
        remarks: What else is good to know of the data, such as how one folder was divided.
        alike: Whether all pictures are of about one size, as those of one camera.
    """

    train: int
    evaluation: int
    height: int
    width: int
    class_names: tuple[str, ...]
    shares: tuple[float, ...]
    channels: int
    cores: int
    memory: int
    gpu: str | None
    bfloat16: bool
    starts: tuple[str, ...]
    devices: int = 1
    remarks: tuple[str, ...] = ()
    alike: bool = False

    def sentences(self) -> tuple[str, ...]:
        """Return them to read."""
        shares = ", ".join(
            f"{name} {100 * share:.2g} %" for name, share in zip(self.class_names, self.shares, strict=True)
        )
        absent = [name for name, share in zip(self.class_names, self.shares, strict=True) if not share]
        place = self.gpu or f"{self.cores} cores"
        return (
            f"{self.train} pictures to train, {self.evaluation} to evaluate, {self.height} x {self.width} "
            f"pixels (median)",
            f"{len(self.class_names)} classes: {shares}",
            *([f"no training pixel was seen of {quote(absent)}: leave such classes out"] if absent else []),
            f"{place}, {self.memory / 2**30:.1f} GiB free; pretrained weights installed: "
            f"{', '.join(self.starts) or 'none'}",
            *self.remarks,
        )


def gather(data: Any, accelerator: str = "auto", devices: Any = "auto") -> Facts:
    """Look at the data and at the machine.

    Args:
        data: `SegmentationData` with a training set.
        accelerator: Of the trainer's options, as `devices`.
        devices: How many, or which, or "auto".

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
    counts = counts[: data.labels.num_classes]
    if not counts.any():
        raise ValueError("no pixel of the training pictures is labelled; run `subquad data check` on them.")
    together = processes_together() > 1  # each plans for itself, and all alike
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return Facts(
        train=len(data.train),
        evaluation=len(data.evaluation),
        height=round(median(height for height, _ in sizes)),
        width=round(median(width for _, width in sizes)),
        class_names=data.labels.names,
        shares=tuple((counts.double() / counts.sum()).tolist()),
        channels=channels,
        cores=_cores(),
        memory=torch.cuda.mem_get_info()[1 if together else 0] if gpu else free_memory(),
        gpu=torch.cuda.get_device_name() if gpu else None,
        bfloat16=gpu and torch.cuda.is_bf16_supported(),
        starts=installed_starts(),
        devices=_count(devices, torch.cuda.device_count() if gpu else 1),
        remarks=tuple(data.remarks),
        alike=all(max(sides) <= 1.1 * min(sides) for sides in zip(*sizes, strict=True)),
    )


def installed_starts() -> tuple[str, ...]:
    """Return the names of the pretrained weights whose packages are installed, small to large."""
    return tuple(name for name, told in PACKAGED.items() if find_spec(told.package))


def _count(devices: Any, there: int) -> int:
    """Return how many devices an option of the trainer means."""
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([which for which in devices.split(",") if which.strip()])
    return there if devices in ("auto", -1, "-1") else max(1, int(devices))


def _cores() -> int:
    """Return how many cores this process may use, where the system tells that."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

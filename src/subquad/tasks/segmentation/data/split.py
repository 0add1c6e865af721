"""Dividing the pictures of one folder into training and evaluation, by a seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from subquad.base.files import read_file, write_whole
from subquad.base.limits import MIB
from subquad.base.seeds import mix_seed
from subquad.base.suggest import quote

SHARE = 0.2
FILE = "split.json"
_LARGEST = 64 * MIB  # of a file: a million names


@dataclass(frozen=True)
class Split:
    """The names of samples.

    Attributes:
        seed: That drew them; None if somebody chose them.
        train: For training.
        val: For evaluation.
    """

    seed: int | None
    train: tuple[str, ...]
    val: tuple[str, ...]

    def write(self, path: str | Path) -> None:
        """Write `{"seed": 0, "train": [names], "val": [names]}`."""
        told = {"seed": self.seed, "train": [*self.train], "val": [*self.val]}
        write_whole(path, f"{json.dumps(told, indent=1, ensure_ascii=False)}\n".encode())

    @classmethod
    def read(cls, path: str | Path) -> Split:
        """Read what `write` wrote; `seed` may be missing.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is something else, a list is empty, or a name is in both.
        """
        content = read_file(path, _LARGEST, "a split has")
        wanted = f'write {{"train": [names], "val": [names]}} as {FILE} of a run has it'
        try:
            told = json.loads(content)
            seed, train, val = told.get("seed"), told["train"], told["val"]
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is no split ({type(error).__name__}: {error}); {wanted}.") from error
        for names in (train, val):
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                raise ValueError(f"{path} needs two lists of names that are not empty; {wanted}.")
        if both := sorted({*train} & {*val}):
            raise ValueError(f"{path} has {quote(both)} in both train and val; keep each in one.")
        return cls(seed if isinstance(seed, int) else None, tuple(train), tuple(val))

    def check(self, names: Collection[str], where: str | Path) -> None:
        """Raise ValueError if a name is not there any more.

        Args:
            names: Those that are there.
            where: They are.
        """
        there = {*names}
        if gone := [name for name in (*self.train, *self.val) if name not in there]:
            raise ValueError(
                f"{len(gone)} of the {len(self.train) + len(self.val)} pictures of the split are not in "
                f"{where} "
                f"any more ({quote(gone)}); put them back, or begin anew in another --output, with another "
                "split."
            )


def seeded_split(
    names: Sequence[str],
    classes_of: Mapping[str, Collection[int]] | None = None,
    *,
    seed: int,
    share: float = SHARE,
) -> Split:
    """Draw which samples are for evaluation.

    No class is taken from training altogether, as far as that can be; and of the classes that two pictures
    show, evaluation gets one, as far as its share goes, the rarest first.

    Args:
        names: Of all samples; their order does not matter.
        classes_of: Classes in each sample, by name, as far as they are known.
        seed: Decides the draw.
        share: Part for evaluation, above 0 and below 1; at least one sample, and not all.

    Returns:
        The names, sorted.

    Raises:
        ValueError: If there are fewer than two, or the share is out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share for evaluation is above 0 and below 1, got {share}.")
    if len(names) < 2:
        raise ValueError("one picture cannot be divided into training and evaluation; add pictures.")
    generator = torch.Generator().manual_seed(mix_seed(seed, len(names)))
    ordered = sorted(names)
    drawn = [ordered[n] for n in torch.randperm(len(ordered), generator=generator).tolist()]
    count = min(max(1, round(share * len(names))), len(names) - 1)
    shown = {name: {*(classes_of or {}).get(name, ())} for name in drawn}
    left = Counter(kind for name in drawn for kind in shown[name])
    val: dict[str, None] = {}

    def take(name: str) -> None:
        val[name] = None
        left.subtract(shown[name])

    def may_go(name: str) -> bool:
        return name not in val and all(left[kind] > 1 for kind in shown[name])

    for kind, _ in sorted(left.items(), key=lambda pair: (pair[1], pair[0])):
        is_shown = any(kind in shown[name] for name in val)
        found = next((name for name in drawn if kind in shown[name] and may_go(name)), None)
        if len(val) < count and not is_shown and found is not None:
            take(found)
    for rule in (may_go, lambda name: name not in val):
        for name in drawn:
            if len(val) < count and rule(name):
                take(name)
    return Split(seed, tuple(name for name in ordered if name not in val), tuple(sorted(val)))

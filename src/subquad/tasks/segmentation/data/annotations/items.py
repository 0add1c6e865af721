"""What an export of an annotation tool says: pictures, each with its shapes or its mask, and the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from subquad.tasks.segmentation.data.annotations.files import Embedded
from subquad.tasks.segmentation.data.annotations.outlines import Outline
from subquad.tasks.segmentation.data.colors import Color
from subquad.tasks.segmentation.data.labels import LabelSet

BACKGROUND = "background"


@dataclass(frozen=True)
class Shape:
    """One annotation.

    Attributes:
        label: Name of its class.
        outline: Its pixels.
        ignored: Whether these are neither trained on nor counted, such as COCO's crowds.
        layer: What is of a higher layer is painted over what is of a lower one.
    """

    label: str
    outline: Outline
    ignored: bool = False
    layer: int = 0


class StoredLabels(Protocol):
    """A mask of all classes in a file."""

    def read(self, labels: LabelSet, max_pixels: int) -> NDArray[np.uint8]:
        """Return class indices or 255, (H, W)."""
        ...

    def classes(self, labels: LabelSet, max_pixels: int) -> set[int]:
        """Return which classes occur."""
        ...


@dataclass(frozen=True)
class Item:
    """One picture with what is known of it.

    Attributes:
        picture: Its file, or where it is embedded.
        where: Says in messages where its annotations are from.
        split: Its name; None if there are no splits.
        shapes: In the order of the file.
        size: Height and width that the annotations are for; None if nothing tells.
        stored: A mask in the place of shapes.
    """

    picture: Path | Embedded
    where: str
    split: str | None = None
    shapes: tuple[Shape, ...] = ()
    size: tuple[int, int] | None = None
    stored: StoredLabels | None = None


@dataclass(frozen=True)
class Export:
    """All that was read.

    Attributes:
        root: The folder.
        tool: Which tool or format it is of, in words.
        names: Classes in the order in which the tool has them.
        items: Pictures, in no order.
        problems: What is wrong, one sentence each with its remedy.
        notes: What is good to know.
        sources: The files of annotations.
        colors: Of classes, by name, where the tool has any.
        ignored_names: Labels whose shapes are ignored pixels.
        has_background: Whether pixels of no shape are a class of their own.
        smallest_on_top: Whether large shapes are painted before small ones; else the order counts.
        fixed: The classes, where masks are stored with those alone.
    """

    root: Path
    tool: str
    names: tuple[str, ...]
    items: tuple[Item, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    colors: dict[str, Color] = field(default_factory=dict)
    ignored_names: tuple[str, ...] = ()
    has_background: bool = True
    smallest_on_top: bool = False
    fixed: LabelSet | None = None

    @property
    def splits(self) -> Sequence[str | None]:
        """The names of the splits: train, val, test, then others; None of pictures without one."""
        found = {item.split for item in self.items}
        usual = [name for name in ("train", "val", "test") if name in found]
        return [*usual, *sorted(found - {*usual}, key=str)]

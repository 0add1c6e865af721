"""What readers of annotations have in common: files of a limited size, and a list of what is odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.annotations.files import Embedded
from subquad.tasks.segmentation.data.annotations.items import Export, Item
from subquad.tasks.segmentation.data.annotations.picture_index import PictureIndex, parts_of, uploaded_names
from subquad.tasks.segmentation.data.colors import Color

LARGEST_COORDINATE = 1e9
FEW_CORNERS = "with fewer than 3 corners"
NO_CLASS = "without a class"


class Reading:
    """An export while it is read: what is odd is collected, and told when all is read.

    Args:
        root: The folder of the data.
        tool: Which tool or format it is of, in words.
        leave_out: Says of a picture whether it is none to annotate.
    """

    def __init__(self, root: Path, tool: str, leave_out: Callable[[Path], bool] = lambda _: False) -> None:
        self.root, self.tool = root, tool
        self.pictures = PictureIndex(root, leave_out)
        self.items: list[Item] = []
        self.names: dict[str, None] = {}  # in order
        self.colors: dict[str, Color] = {}
        self.sources: list[Path] = []
        self.notes: list[str] = []
        self._problems: list[str] = []
        self._flaws: dict[str, list[str]] = {}
        self._dropped: dict[str, list[str]] = {}
        self._remarks: dict[str, list[str]] = {}

    @contextmanager
    def file(self, path: Path) -> Iterator[None]:
        """Read one file: what is wrong with it is one problem, and the others are read all the same."""
        self.sources.append(path)
        try:
            yield
        except KeyError as error:
            self._problems.append(
                f"{path} is not as {self.tool} writes it: an entry has no {error}; export it again."
            )
        except (TypeError, AttributeError, IndexError, OverflowError) as error:
            self._problems.append(
                f"{path} is not as {self.tool} writes it ({str(error)[:100]}); export it again."
            )
        except (OSError, ValueError) as error:
            text = str(error)
            self._problems.append(text if str(path) in text else f"{path}: {text}")

    def problem(self, sentence: str) -> None:
        """Note what is wrong, with its remedy."""
        self._problems.append(sentence)

    def flaw(self, sentence: str, name: object) -> None:
        """Note what is wrong in many places, as one sentence.

        Args:
            sentence: With "{}" where the names come.
            name: Of the place.
        """
        self._flaws.setdefault(sentence, []).append(str(name)[:200])

    def remark(self, sentence: str, name: object) -> None:
        """Note what is good to know of many places, as `flaw` does what is wrong."""
        self._remarks.setdefault(sentence, []).append(str(name)[:200])

    def drop(self, reason: str, name: object) -> None:
        """Count a shape that is left out, such as `FEW_CORNERS`."""
        self._dropped.setdefault(reason, []).append(str(name)[:200])

    def count_dropped(self, reason: str) -> int:
        """Return how many shapes were left out for a reason."""
        return len(self._dropped.get(reason, ()))

    def corners(self, points: Any, name: str) -> NDArray[np.float64] | None:
        """Return points as float64 (points, 2); None if they are no pairs of numbers of a picture.

        Args:
            points: Pairs of x and y, or these in one list.
            name: Of the picture.
        """
        corners = np.asarray(points, np.float64)
        if corners.ndim == 1 and corners.size % 2:
            self.flaw("outlines of {} have an odd number of coordinates; correct them.", name)
            return None
        corners = corners.reshape(-1, 2)
        if not (np.abs(corners) < LARGEST_COORDINATE).all():
            self.flaw(
                "outlines of {} have coordinates that are no finite numbers, or beyond a billion; correct "
                "them.",
                name,
            )
            return None
        return corners

    def ring(
        self, points: Any, name: str, size: tuple[float, float] | None = None, slack: float = 1.0
    ) -> NDArray[np.float64] | None:
        """Return the corners of a polygon, or None if there are too few or one is no number.

        Args:
            points: Pairs of x and y, or these in one list.
            name: Of the picture.
            size: Height and width, to count what reaches beyond.
            slack: By how much more than that.
        """
        corners = self.corners(points, name)
        if corners is None:
            return None
        if len(corners) < 3:
            self.drop(FEW_CORNERS, name)
            return None
        if size is not None:
            most = np.array([size[1], size[0]])
            if (corners < -slack).any() or (corners > most + slack).any():
                self.remark("outlines of {} reach beyond the picture and are cut off.", name)
        return corners

    def find(self, name: str, near: Path, split: str | None = None) -> list[Path]:
        """Return the pictures that a name may mean, whatever an upload made of it."""
        for meant in (name, *uploaded_names(name)):
            if found := self.pictures.find(meant, near, split):
                return found
        for meant in uploaded_names(name):
            if len(found := self.pictures.stored_as(meant)) == 1:
                return found
        return []

    def picture(self, name: str, near: Path, split: str | None = None) -> Path | None:
        """Return the picture that a name means, or None, which is noted.

        Args:
            name: As the file has it.
            near: The file.
            split: That the file is of.
        """
        found = self.find(name, near, split)
        if len(found) > 1:
            self.flaw(
                f"{{}} may be any of several pictures of that name below {self.root}; name the folder in "
                f"{near.name}, or keep one.",
                name,
            )
        elif not found:
            self.flaw(f"{{}} of {near} are not below {self.root}; add these pictures.", name)
        elif not is_end_of(name, found[0]):
            self.remark(
                "pictures are found under other names than the files say: {}.",
                f"{name} as {found[0].relative_to(self.root)}",
            )
        return found[0] if len(found) == 1 else None

    def add(self, item: Item) -> None:
        """Add a picture."""
        self.items.append(item)

    def label(self, name: object) -> str:
        """Return the name of a class without blanks around it."""
        return str(name).strip()

    def finish(self, **options: Any) -> Export:
        """Return what was read; `options` are further fields of `Export`."""
        problems = [*self._problems]
        for sentence, names in self._flaws.items():
            problems.append(sentence.replace("{}", _some(names), 1))
        problems += self._twice()
        return Export(
            self.root,
            self.tool,
            tuple(self.names),
            tuple(self.items),
            tuple(dict.fromkeys(problems)),
            (*self.notes, *self._told()),
            tuple(self.sources),
            self.colors,
            **options,
        )

    def _twice(self) -> list[str]:
        seen: dict[object, Item] = {}
        twice = []
        for item in self.items:
            if (first := seen.setdefault(item.picture, item)) is not item and first.split == item.split:
                twice.append(picture_name(item))
        if not twice:
            return []
        return [f"{quote(sorted(set(twice)))} are annotated twice ({self.tool}); keep one entry a picture."]

    def _told(self) -> Iterator[str]:
        for sentence, names in self._remarks.items():
            count = f" ({len(names)} in all)" if len(names) > 1 else ""
            yield f"{sentence.replace('{}', _some(names), 1).rstrip('.')}{count}."
        if dropped := self._dropped:
            reasons = [f"{len(names)} {reason} ({_some(names)})" for reason, names in dropped.items()]
            yield f"shapes that are left out: {', '.join(reasons)}."
        known = {item.picture for item in self.items}
        if alone := [str(path.relative_to(self.root)) for path in self.pictures.files if path not in known]:
            yield f"{len(alone)} pictures are not annotated and are left out ({_some(alone)})."


def size_in(entry: Any, height: str = "height", width: str = "width") -> tuple[int, int] | None:
    """Return the height and width that an entry names, or None."""
    sides = entry.get(height), entry.get(width)
    if not all(isinstance(side, int | float) and side == side and 0 < side < 2**31 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def picture_name(item: Item) -> str:
    """Return what the picture of an item is called in messages."""
    return item.picture.path.name if isinstance(item.picture, Embedded) else item.picture.name


def is_end_of(name: str, path: Path) -> bool:
    """Say whether a path ends as a name does, but for what cannot be of this machine: `..` and drives."""
    parts = [part for part in parts_of(name) if part not in ("..", ".")]
    folders = [part.casefold() for part in path.parts]
    foreign = name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name
    return foreign or folders[-len(parts) :] == [part.casefold() for part in parts]


def _some(names: list[str]) -> str:
    return quote([*dict.fromkeys(names)])

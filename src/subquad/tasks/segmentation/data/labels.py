"""Label sets and labelled samples: names and colours of classes, and weights for them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from subquad.base.limits import CLASSES_BYTES
from subquad.base.names import check_class_name
from subquad.tasks.segmentation.data.class_files import parse_json, parse_text
from subquad.tasks.segmentation.data.colors import (
    IGNORE_INDEX,
    Color,
    check_num_classes,
    default_palette,
    first_repeated,
    refuse_shared_colors,
)


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set, in the order of their indices.

    Args:
        names: One name per class, all different, 1 to 255 of them.
        palette: One (red, green, blue) per class, each 0 to 255. Published palettes share some
            colours among classes; only masks that are stored as colours cannot be read with them.
        ignore_color: The colour that stands for `IGNORE_INDEX` in masks stored as colours;
            None if there is no such colour.

    Raises:
        ValueError: If a name is used twice, a colour is out of range, the numbers of names and
            colours differ, or there is an `ignore_color` and a colour is used twice.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore_color: Color | None = None

    def __post_init__(self) -> None:
        """Refuse label sets in which a name or a colour does not tell the class."""
        check_num_classes(len(self.names))
        if len(self.palette) != len(self.names):
            raise ValueError(
                f"{len(self.names)} class names, but {len(self.palette)} colours; "
                "give one colour per class, or no palette at all."
            )
        colors = [*self.palette] + ([self.ignore_color] if self.ignore_color else [])
        for color in colors:
            if len(color) != 3 or not all(0 <= level <= 255 for level in color):
                raise ValueError(f"{color} is no colour; give red, green, blue from 0 to 255.")
        for name in self.names:
            check_class_name(name)
            if not name.strip():
                raise ValueError(f"class {self.names.index(name)} has no name ({name!r}); give it one.")
        if twice := first_repeated(self.names):
            raise ValueError(f"the class name {twice!r} is used twice; make each one unique.")
        if self.ignore_color:
            refuse_shared_colors(colors)

    @property
    def num_classes(self) -> int:
        """The number of classes, without the ignored label."""
        return len(self.names)

    @classmethod
    def generic(cls, num_classes: int) -> "LabelSet":
        """Name the classes `class_0`, `class_1`, ... and give them the default colours.

        Args:
            num_classes: 1 to 255.

        Raises:
            ValueError: If `num_classes` is out of range.
        """
        check_num_classes(num_classes)
        names = tuple(f"class_{index}" for index in range(num_classes))
        return cls(names, default_palette(num_classes))

    @classmethod
    def from_file(cls, path: str | Path) -> "LabelSet":
        """Read a label set from a JSON or a text file.

        Args:
            path: A `.json` file `{"classes": [names], "palette_rgb": [[r, g, b], ...],
                "ignore_rgb": [r, g, b]}`, of which only `classes` is needed and other keys are
                ignored; or a text file with one `name`, `name r g b` or `r g b name` a line, where
                empty lines and lines that start with `#` are skipped; the lines may be numbered
                from 0 on. Without colours the default palette is taken.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file cannot be understood.
        """
        path = Path(path)
        if not path.is_file():
            odd = " (it is a folder, or a link to nothing)" if os.path.lexists(path) else ""
            raise FileNotFoundError(f"there is no classes file {path}{odd}; write one, or correct it.")
        try:
            with path.open("rb") as file:
                content = file.read(CLASSES_BYTES + 1)
            if len(content) > CLASSES_BYTES:
                raise ValueError(f"it has more than {CLASSES_BYTES:,} bytes; names of classes need no more.")
            text = content.decode("utf-8-sig")
            parse = parse_json if path.suffix.lower() == ".json" else parse_text
            names, palette, ignore_color = parse(text)
            return cls(names, default_palette(len(names)) if palette is None else palette, ignore_color)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(
                f"cannot read the classes from {path}: its byte {error.start} is {byte:#04x}, which is not "
                "UTF-8; save the file as UTF-8."
            ) from error
        except RecursionError as error:
            raise ValueError(f"cannot read the classes from {path}: lists in lists without end.") from error
        except (ValueError, OSError) as error:
            raise ValueError(f"cannot read the classes from {path}: {error}") from error


class Sample(NamedTuple):
    """One picture with its labels.

    Attributes:
        image: RGB, uint8 (3, H, W).
        labels: Class indices or `IGNORE_INDEX`, uint8 (H, W).
        name: What the sample is called in messages and in files made from it.
    """

    image: Tensor
    labels: Tensor
    name: str


class SegmentationDataset(Protocol):
    """What every data set of this package is: a sequence of samples with one label set."""

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        ...

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample at `index`; IndexError when there is none."""
        ...


def class_frequencies(dataset: SegmentationDataset, most: int | None = None) -> Tensor:
    """Count how often each class occurs; every sample that is counted is read once.

    Args:
        dataset: Any data set of this package.
        most: Count no more samples than this, evenly spread; None counts all.

    Returns:
        Share of each class in the labelled pixels, float64 (classes,), of sum 1.

    Raises:
        ValueError: If no pixel is labelled.
    """
    counts = torch.zeros(256, dtype=torch.int64)
    step = 1 if most is None else max(1, -(-len(dataset) // most))
    for index in range(0, len(dataset), step):
        counts += torch.bincount(dataset[index].labels.flatten(), minlength=256)
    counts = counts[: dataset.labels.num_classes]
    if not counts.any():
        raise ValueError("no pixel of the data set is labelled; run `subquad data check` on it.")
    return counts.double() / counts.sum()


def one_class_is_none(labels: LabelSet) -> str:
    """Say what is done about a set of one class: every pixel would be it, whatever the picture shows."""
    name = labels.names[0]
    classes = json.dumps({"classes": ["background", name]}, ensure_ascii=False)
    return (
        f"{name!r} is the only class, so every pixel gets it and nothing is learnt; name the background, too "
        f"({classes}), and store background as 0 and {name} as 1 (255 is ignored)."
    )


def few_labelled(seen: set[int], labels: LabelSet) -> str:
    """Say that the labelled pixels of a split have one class, or that there are none; "" if they have more.

    Args:
        seen: The classes that occur.
        labels: All classes.
    """
    if len(seen) > 1 or labels.num_classes == 1:
        return ""
    foreground = "255 is ignored: if it is the foreground, convert it to its class"
    if not seen:
        return f"no pixel is labelled, so there is nothing to learn and no score; label some ({foreground})."
    index = min(seen)
    return (
        f"only class {index} {labels.names[index]!r} is labelled, so scores mean nothing: 100 % are had by "
        f"answering that class everywhere; label the others, too ({foreground})."
    )


def labelled_classes(dataset: SegmentationDataset, most: int = 2) -> set[int]:
    """Return classes that occur in the masks of a data set, which is read until so many are seen."""
    seen: set[int] = set()
    for index in range(len(dataset)):
        seen |= set(dataset[index].labels.unique().tolist()) - {IGNORE_INDEX}
        if len(seen) >= most:
            break
    return seen


def class_weights(frequencies: Tensor, rule: Literal["median", "log"] = "median") -> Tensor:
    """Weigh rare classes more.

    Args:
        frequencies: Share of each class in the labelled pixels, (classes,).
        rule: `"median"` is the median of the shares over the share, so that each class has the
            same part in a loss, and 0 for a class without pixels; `"log"`, milder, is
            1 / log(1.1 + share), from 1.3 to 10.5.

    Returns:
        Weights, float64 (classes,).
    """
    shares = frequencies.double()
    if rule == "log":
        return 1 / torch.log(1.1 + shares)
    present = shares > 0
    middle = shares[present].quantile(0.5) if present.any() else shares.new_zeros(())
    return torch.where(present, middle / shares, 0.0)

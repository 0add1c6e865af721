"""The classes of an export: those that the tool names, and the background."""

from __future__ import annotations

from collections.abc import Collection

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.annotations.items import BACKGROUND, Export
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color, check_num_classes, default_palette
from subquad.tasks.segmentation.data.labels import LabelSet

BLACK: Color = (0, 0, 0)


def is_background(name: str) -> bool:
    """Say whether a class is what no shape covers, by its name."""
    return name.casefold().strip("_ ") == BACKGROUND


def label_set(export: Export, classes: LabelSet | None = None, num_classes: int | None = None) -> LabelSet:
    """Return the classes in the order of their indices.

    The background is class 0: a class of that name if the tool has one, else one more.

    Args:
        export: What was read.
        classes: Those that are wanted, by name; they need a background, too.
        num_classes: How many are expected.

    Raises:
        ValueError: If shapes are of a class that is not wanted, or another number is expected.
    """
    labels = classes or export.fixed or _named(export)
    if classes is not None and export.fixed is None:
        used = {shape.label for item in export.items for shape in item.shapes if not shape.ignored}
        used |= {name for item in export.items for name in getattr(item.stored, "names", ()) if name}
        if unknown := sorted(used - indices_of(labels, used).keys()):
            raise ValueError(
                f"the classes that were given do not name {quote(unknown)}, of which {export.root} has "
                "shapes; add them (--data.classes, of `data check` --classes)."
            )
        if export.has_background and not any(map(is_background, labels.names)):
            raise ValueError(
                f"pixels of no shape are a class, too; name {BACKGROUND!r} among the classes "
                "(--data.classes)."
            )
    if num_classes not in (None, labels.num_classes):
        raise ValueError(
            f"num_classes={num_classes}, but {export.root} names {labels.num_classes} classes with the "
            "background; drop the option (on the command line --data.num_classes)."
        )
    return labels


def indices_of(labels: LabelSet, used: Collection[str]) -> dict[str, int]:
    """Return the indices of the classes by name.

    Args:
        labels: The classes.
        used: Names that shapes have: tools tell "background" and "Background" apart, which are one class.
    """
    rest = rest_of(labels)
    alike = {name: rest for name in used if is_background(name) and rest != IGNORE_INDEX}
    return {**alike, **{name: index for index, name in enumerate(labels.names)}}


def rest_of(labels: LabelSet) -> int:
    """Return the index of the background, or 255 without one."""
    return next((index for index, name in enumerate(labels.names) if is_background(name)), IGNORE_INDEX)


def _named(export: Export) -> LabelSet:
    names = [*export.names]
    if export.has_background:
        own = next(filter(is_background, names), BACKGROUND)
        names = [own, *(name for name in names if not is_background(name))]
    check_num_classes(len(names))
    colors = [export.colors.get(name) for name in names]
    usual = iter(
        (BLACK, *default_palette(len(names))) if export.has_background else default_palette(len(names))
    )
    palette = tuple(next(usual) for _ in names)
    if export.has_background and colors[0] is None:
        colors[0] = BLACK
    told = tuple(color for color in colors if color is not None)
    is_whole = len(told) == len(names) == len({*told})
    return LabelSet(tuple(names), told if is_whole else palette)

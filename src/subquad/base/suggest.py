"""Names in messages: the right one for a wrong one, and the first few of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?", or an empty string where nothing is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def first_of(names: Sequence[str], most: int = 3) -> str:
    """Return "road, sky, car, ..."; the dots only where there are more."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def and_more(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Return "a, b, c and 4 more"; the count only where there are more."""
    return between.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def quote(names: list[str], most: int = 3) -> str:
    """Quote up to `most` names and count the others: `'a', 'b', 'c' and 4 more`."""
    return and_more([repr(name) for name in names], most)


def beside(path: Path) -> str:
    """Tell what there is where something was looked for, as the end of a sentence."""
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{folder.resolve()} holds {', '.join(names[:8]) or 'nothing'}{more}; correct the path."

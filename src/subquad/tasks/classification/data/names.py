"""Files of class names."""

from __future__ import annotations

from pathlib import Path

from subquad.base.files import read_file
from subquad.base.limits import CLASSES_BYTES
from subquad.base.names import check_class_name


def read_names(path: str | Path) -> tuple[str, ...]:
    """Read class names, one a line, in the order of their numbers.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, or has a name twice or none.
    """
    try:
        text = read_file(path, CLASSES_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text; give a file with one class name a line.") from error
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    for name in names:
        check_class_name(name)
    twice = next((name for name in names if names.count(name) > 1), None)
    if not names or twice is not None:
        what = "names no class" if twice is None else f"names {twice!r} twice"
        raise ValueError(f"{path} {what}; give a file with one class name a line.")
    return names

"""Which files and folders no user meant: one rule for every reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# What operating systems leave in folders, besides the names that start with a dot: `.DS_Store`,
# `.ipynb_checkpoints`, and AppleDouble's `._name`, which has the suffix of the file it belongs to.
SYSTEM_NAMES = frozenset(
    {"__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"}
)


def is_hidden(path: str | Path) -> bool:
    """Say whether a name is hidden, or a system's own; only the last part of a path is looked at.

    Args:
        path: Of a file or folder; it need not exist.
    """
    name = Path(path).name
    return name.startswith(".") or name in SYSTEM_NAMES


def visible(folder: str | Path) -> Iterator[Path]:
    """Yield what a folder holds, sorted by name, without what is hidden."""
    return (path for path in sorted(Path(folder).iterdir()) if not is_hidden(path))

"""The pictures below a folder, and which of them a name in a file of annotations means.

Names come from other machines: with the folders of those, with backslashes, with what an upload put before
them. Only what was found below the root is ever opened, whatever a name says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from subquad.base.hidden import visible
from subquad.base.limits import DEEPEST_FOLDERS
from subquad.data.picture_files import SUFFIXES

_USUAL = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


class PictureIndex:
    """The pictures below a folder, by name.

    Args:
        root: The folder; links in it are followed, but not in circles.
        leave_out: Says of a file whether it is none to annotate, such as a mask.

    Attributes:
        files: All of them, sorted.
    """

    def __init__(self, root: Path, leave_out: Callable[[Path], bool] = lambda _: False) -> None:
        self.root = root
        self.files = [
            path
            for folder in folders_below(root)
            for path in visible(folder)
            if path.suffix.lower() in SUFFIXES and path.is_file() and not leave_out(path)
        ]
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            self._by_name.setdefault(_key(path.name), []).append(path)
        self._by_stored_name: dict[str, list[Path]] = {}

    def find(self, name: str, near: Path, split: str | None = None) -> list[Path]:
        """Return the pictures that a name may mean; one if it is plain, none if it is not there.

        Those whose folders agree best with the name come first, then those nearest to the file that says
        it, then those of its split. Ends of a path are compared, so `..` and drives mean nothing.

        Args:
            name: A path as a file has it.
            near: The file.
            split: That the file is of.
        """
        *folders, last = [part for part in parts_of(name) if part not in ("..", ".")] or [""]
        found = self._by_name.get(_key(last), [])
        if len(found) < 2:
            return found
        wanted = [_key(part) for part in folders]

        def rank(path: Path) -> tuple[bool, int, int, bool]:
            theirs = [_key(part) for part in path.relative_to(self.root).parts[:-1]]
            agree = _common(wanted[::-1], theirs[::-1])
            close = _common(path.parent.parts, near.parent.parts)
            in_split = split is not None and any(split_called(part) == split for part in theirs)
            return path.name == last, agree, close, in_split

        best = max(map(rank, found))
        return [path for path in found if rank(path) == best]

    def stored_as(self, name: str) -> list[Path]:
        """Return the pictures whose names a web server would store as this one.

        Args:
            name: A path as a file has it.
        """
        if not self._by_stored_name:
            for path in self.files:
                self._by_stored_name.setdefault(stored_name(path.name), []).append(path)
        return self._by_stored_name.get(stored_name((parts_of(name) or [""])[-1]), [])


def parts_of(name: str) -> list[str]:
    """Return the parts of a path of any system."""
    return [part for part in re.split(r"[/\\]+", name) if part]


def uploaded_names(address: str) -> list[str]:
    """Return the names that a picture of Label Studio may have on disk, the likeliest first.

    Args:
        address: Such as `/data/upload/1/8f3c0a1b-name.jpg`, `/data/local-files/?d=dir/name.jpg` or
            `s3://bucket/dir/name.jpg`.
    """
    local = re.search(r"[?&]d=([^&]+)", address)
    path = local[1] if local else re.sub(r"[?#].*$", "", re.sub(r"^\w+://[^/]*/", "", address))
    names = [unquote(path)] + ([path] if unquote(path) != path else [])
    *_, last = parts_of(names[0]) or [""]
    plain = re.sub(r"^[0-9a-f]{8}-", "", last)
    return [*names, plain] if plain != last else names


def folders_below(root: Path) -> Iterator[Path]:
    """Yield a folder and those below it, each once."""
    seen: set[Path] = set()
    level = [root]
    for _ in range(DEEPEST_FOLDERS):
        below: list[Path] = []
        for folder in level:
            real = folder.resolve()
            if real in seen:
                continue
            seen.add(real)
            yield folder
            below += [path for path in visible(folder) if path.is_dir()]
        level = below


def split_called(word: str) -> str | None:
    """Return which of train, val and test a folder or a word is, such as "valid" or "train2017"."""
    return _USUAL.get(re.sub(r"\d+$", "", word.casefold()).strip("_-. "))


def split_in_words(name: str) -> str | None:
    """Return the split that a file's name tells, such as `instances_train2017.json`."""
    return next((split for word in re.split(r"[^a-zA-Z0-9]+", name) if (split := split_called(word))), None)


def split_of(path: Path, root: Path) -> str | None:
    """Return the split that the folders of a file tell."""
    parts = path.relative_to(root).parts[:-1]
    return next((split for part in parts if (split := split_called(part))), None)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts two paths have in common at their beginning."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _key(name: str) -> str:
    return normalize("NFC", name).casefold()


def stored_name(name: str) -> str:
    """Return a file's name as a web server stores it: blanks become underscores, most signs are dropped."""
    return re.sub(r"[^-\w.]", "", normalize("NFC", name).strip().replace(" ", "_")).casefold()

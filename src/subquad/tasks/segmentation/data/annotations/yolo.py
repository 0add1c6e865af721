"""YOLO's segmentation texts: a class and the corners of one outline a line, as parts of width and height."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subquad.base.files import read_file
from subquad.base.hidden import visible
from subquad.base.limits import LARGEST_YAML
from subquad.tasks.segmentation.data.annotations.files import read_json, read_text
from subquad.tasks.segmentation.data.annotations.items import Export, Item, Shape
from subquad.tasks.segmentation.data.annotations.outlines import Polygons
from subquad.tasks.segmentation.data.annotations.picture_index import parts_of, split_of, stored_name
from subquad.tasks.segmentation.data.annotations.reading import Reading

_KEYS = ("train", "val", "test")


def read_yolo(root: Path) -> Export:
    """Read pictures and the texts in the folder `labels` that is in the place of `images`, or beside them.

    A picture without a text shows nothing but background, as YOLO has it.
    """
    reading = Reading(root, "YOLO")
    settings = _settings(reading)
    names = _names(reading, settings)
    reading.names.update(dict.fromkeys(names.values()))
    told = _told_splits(reading, settings)
    used: set[Path] = set()
    renamed: dict[Path, dict[str, Path]] = {}
    for picture in reading.pictures.files:
        text = _text_of(picture)
        if text is None:
            continue
        if not text.is_file():
            text = renamed.setdefault(text.parent, _uploads(text.parent)).get(stored_name(picture.stem), text)
        split = _split(picture, told, root)
        shapes: tuple[Shape, ...] = ()
        if text.is_file():
            used.add(text)
            with reading.file(text):
                shapes = tuple(_shapes(reading, text, picture, names))
        reading.add(Item(picture, str(text), split, shapes))
    for folder in {text.parent for text in used}:
        for text in visible(folder):
            if text.suffix == ".txt" and text not in used and text.stem not in _LISTS:
                reading.flaw(f"{{}} of {folder} have no picture; add it, or remove them.", text.name)
    return reading.finish(smallest_on_top=True)


_LISTS = ("classes", "train", "val", "valid", "test", "obj", "notes")


def settings_at(root: Path) -> Path | None:
    """Return the YAML file of a YOLO data set; None if there is none."""
    for path in visible(root):
        if path.suffix.lower() in (".yaml", ".yml") and re.search(r"(?m)^names\s*:", _head(path)):
            return path
    return None


def _head(path: Path) -> str:
    try:
        return read_file(path, LARGEST_YAML).decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return ""


def _settings(reading: Reading) -> dict[str, Any]:
    """Return what data.yaml says; all values are text, lists and dictionaries of text."""
    import yaml

    path = settings_at(reading.root)
    if path is None:
        return {}
    reading.sources.append(path)
    try:
        content = yaml.load(_head(path), Loader=yaml.BaseLoader)  # builds text, lists and dictionaries alone
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML ({' '.join(str(error).split())[:200]}); correct it.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no settings; write `names:` and the names of the classes.")
    return content


def _names(reading: Reading, settings: dict[str, Any]) -> dict[int, str]:
    """Return the classes by number: of data.yaml, or of the files that other tools write instead."""
    names = settings.get("names")
    if not names:
        names = next(_other_names(reading.root), None)
    if isinstance(names, str):  # `names: [a, b]` in quotes is no list
        names = [name.strip(" '\"[]") for name in names.split(",")]
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise ValueError(
            f"the classes of the YOLO labels in {reading.root} have no names; write a data.yaml there with "
            "`names:` and one name a class."
        )
    # A list of aliases is small in the file and in memory, and as text without end.
    if not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f"`names` of {reading.root} hold lists or more; give one name a class.")
    try:
        return {int(number): name.strip() for number, name in sorted(names.items(), key=_number)}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`names` of {reading.root} need whole numbers and names; {str(error)[:100]}."
        ) from error


def _number(item: tuple[Any, Any]) -> int:
    return int(item[0])


def _other_names(root: Path) -> Iterator[list[str]]:
    for name in ("obj.names", "classes.txt", "labels/classes.txt"):
        if (root / name).is_file():
            yield [line.strip() for line in read_text(root / name).splitlines() if line.strip()]
    if (root / "notes.json").is_file():  # of Label Studio
        try:
            yield [entry["name"] for entry in read_json(root / "notes.json").get("categories", [])]
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{root / 'notes.json'} is not as Label Studio writes it; export it again."
            ) from error


def _text_of(picture: Path) -> Path | None:
    """Return where the text of a picture is, or would be; None if there is no place for it."""
    parts = picture.parts
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            labels = Path(*parts[:place], "labels", *parts[place + 1 : -1])
            if labels.is_dir():
                return labels / f"{picture.stem}.txt"
    beside = picture.with_suffix(".txt")
    return beside if beside.is_file() else None


def _uploads(folder: Path) -> dict[str, Path]:
    """Return the texts that an upload to Label Studio named, by what their pictures were called before."""
    found = [(path, re.fullmatch(r"[0-9a-f]{8}-(.+)", path.stem)) for path in folder.glob("*.txt")]
    return {stored_name(match[1]): path for path, match in found if match}


def _told_splits(reading: Reading, settings: dict[str, Any]) -> dict[Path, set[str]]:
    """Return for folders and pictures which splits data.yaml says they are of."""
    told: dict[Path, set[str]] = {}
    folders = {path.parent for path in reading.pictures.files}
    folders |= {
        parent for folder in folders for parent in folder.parents if parent.is_relative_to(reading.root)
    }
    for key in _KEYS:
        given = settings.get(key) or (settings.get("valid") if key == "val" else None) or []
        entries = [given] if isinstance(given, str) else given
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise ValueError(f"`{key}` of {reading.root} is neither a path nor a list of paths; correct it.")
        for entry in entries:
            parts = [part for part in parts_of(entry) if part not in ("..", ".")]
            listed = reading.root.joinpath(*parts[-1:])
            if parts and parts[-1].endswith(".txt") and listed.is_file():
                for line in read_text(listed).splitlines():
                    for picture in reading.pictures.find(line.strip(), listed, key) if line.strip() else []:
                        told.setdefault(picture, set()).add(key)
                continue
            for folder in _ending(folders, parts, reading.root):
                told.setdefault(folder, set()).add(key)
    return told


def _ending(folders: set[Path], parts: list[str], root: Path) -> list[Path]:
    """Return the folders whose path ends as data.yaml says it; it may be of another machine."""
    for begin in range(len(parts)):
        wanted = tuple(parts[begin:])
        if root.joinpath(*wanted) in folders:
            return [root.joinpath(*wanted)]
        if found := [path for path in folders if path.relative_to(root).parts[-len(wanted) :] == wanted]:
            return found
    return []


def _split(picture: Path, told: dict[Path, set[str]], root: Path) -> str | None:
    for place in (picture, *picture.parents):
        if keys := told.get(place):
            return next(iter(keys)) if len(keys) == 1 else None
        if place == root:
            break
    return split_of(picture, root)


def _shapes(reading: Reading, text: Path, picture: Path, names: dict[int, str]) -> Iterator[Shape]:
    for number, line in enumerate(read_text(text).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            first, *values = (float(word) for word in words)
        except ValueError as error:
            raise ValueError(f"line {number} holds no numbers ({line[:40]!r}); correct it.") from error
        if len(values) == 4:
            reading.flaw(
                "{} hold boxes (five numbers a line), not outlines; export YOLO segmentation.", text.name
            )
            continue
        if first not in names:
            reading.flaw(
                f"classes {{}} are used in {text.parent}, but the names are 0 to {len(names) - 1}; "
                "add them to data.yaml.",
                f"{first:g}",
            )
            continue
        ring = reading.ring(values, picture.name, (1.0, 1.0), slack=0.01)
        if ring is not None:
            yield Shape(names[int(first)], Polygons((ring,), relative=True))

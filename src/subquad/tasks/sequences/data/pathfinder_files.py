"""Pathfinder pictures as Long Range Arena lays them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from subquad.base.hidden import is_hidden
from subquad.base.suggest import beside
from subquad.data.pictures import read_small
from subquad.data.text_files import open_text
from subquad.tasks.sequences.data.pathfinder import CLASSES, Difficulty
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits
from subquad.tasks.sequences.data.tables import Complain, refuse

FOLDERS = {"easy": "curv_baseline", "medium": "curv_contour_length_9", "hard": "curv_contour_length_14"}


def read_pathfinder(root: Path, difficulty: Difficulty, problem: Complain = refuse) -> Splits:
    """Find the pictures of one difficulty: the first 80 % train, 10 % validate, 10 % test.

    Files without content, of which the release has one, are left out.

    Args:
        root: The folder above `curv_contour_length_14` and its like.
        difficulty: Which of these.
        problem: What is done about a broken line of the metadata, pictures that are missing, and too few.

    Raises:
        FileNotFoundError: If the folder is not there.
    """
    folder = root / FOLDERS[difficulty]
    # Called .npy, but text; the names are numbers.
    found = [path for path in (folder / "metadata").glob("*.npy") if not is_hidden(path)]
    tables = sorted(found, key=lambda path: (len(path.stem), path.stem))
    if not tables:
        raise FileNotFoundError(f"there is no {folder / 'metadata'} with .npy files; {beside(folder / 'x')}")
    records = [record for path in tables for record in _read_metadata(path, folder, problem)]
    first, second = (len(records) * part // 10 for part in (8, 9))
    splits = {"train": records[:first], "val": records[first:second], "test": records[second:]}
    if not all(splits.values()):
        problem(
            f"{folder} has {len(records)} pictures of its metadata, too few for training, validation and "
            "testing; copy all of them."
        )
    return splits


def encode_picture(record: Record) -> Tensor:
    """Return the grey levels of a picture, int64 (height * width,), row by row.

    Raises:
        ValueError: If the file is broken.
    """
    path = Path(str(record.sequence))
    return torch.from_numpy(read_small(path, str(path), "L").astype(np.int64).ravel())


def _read_metadata(path: Path, folder: Path, problem: Complain) -> list[Record]:
    records: list[Record] = []
    missing: list[str] = []
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            cells = line.split()
            if len(cells) < 4 or cells[3] not in ("0", "1"):
                wanted = "is not folder, file, number, label; mend it."
                problem(f"{path}, row {number}: {line.strip()[:40]!r} {wanted}")
                continue
            picture, where = folder / cells[0] / cells[1], f"{path}, row {number}"
            if not picture.is_file():
                missing.append(f"{where}: there is no picture {picture}")
            elif picture.stat().st_size:
                records.append(Record(picture, CLASSES[int(cells[3])], where))
    if missing:
        more = f", nor that of {len(missing) - 1} other row(s)" if len(missing) > 1 else ""
        problem(f"{missing[0]}{more}; copy them, or take the rows out.")
    return records

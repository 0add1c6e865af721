"""`subquad data convert`: what an annotation tool wrote, as pictures and masks of class indices."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from subquad.base.files import check_writable
from subquad.engine.progress import note
from subquad.tasks.segmentation.data.annotations.files import Embedded
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.sources import OWN, OwnDataset, Source, open_source


def convert(options: Any) -> str:
    """Write a folder that is whole or not there; returns what was written.

    Raises:
        FileNotFoundError: If there are no data.
        ValueError: If they cannot be read, or the folder is not empty or would be among what is read.
    """
    if options.format not in OWN:
        raise ValueError(
            f"{options.format} is read as it is published; `subquad data convert` takes {', '.join(OWN)}."
        )
    root, output = Path(options.path), Path(options.output)
    _check_output(root, output)
    source = open_source(
        DataOptions(
            name=options.format,
            root=options.path,
            classes=options.classes,
            num_classes=options.num_classes,
            images=options.images,
            masks=options.masks,
            max_pixels=options.max_pixels,
        )
    )
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        count, labels = _write(source, unfinished)
        if output.is_dir():
            output.rmdir()
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    notes = "".join(f"note: {remark}\n" for remark in source.remarks)
    return f"{notes}wrote {count} pictures and masks of {labels.num_classes} classes to {output}"


def _check_output(root: Path, output: Path) -> None:
    if os.path.lexists(output) and not (output.is_dir() and not output.is_symlink()):
        raise ValueError(f"{output} is there already and is no folder; give another.")
    if output.is_dir() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty; give a folder that is new or empty.")
    if output.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{output} is within {root}, which is read; give a folder beside it.")
    check_writable(output.parent / f"{output.name}.tmp")


def _write(source: Source, folder: Path) -> tuple[int, LabelSet]:
    datasets = {split: source.open(split) for split in source.splits}
    total, done = sum(map(len, datasets.values())), 0
    for split, dataset in datasets.items():
        place = folder if split is None else folder / split
        for kind in ("images", "masks"):
            (place / kind).mkdir(parents=True, exist_ok=True)
        for index in range(len(dataset)):
            _write_sample(dataset, index, place)
            done += 1
            note(f"picture {done:,} of {total:,}")
    labels = next(iter(datasets.values())).labels
    told: dict[str, Any] = {"classes": labels.names, "palette_rgb": labels.palette}
    told |= {"ignore_rgb": labels.ignore_color} if labels.ignore_color else {}
    (folder / "classes.json").write_text(f"{json.dumps(told, indent=1, ensure_ascii=False)}\n", "utf-8")
    return total, labels


def _write_sample(dataset: OwnDataset, index: int, place: Path) -> None:
    name, source = dataset.names[index], dataset.source(index)
    mask = io.BytesIO()
    Image.fromarray(dataset[index].labels.numpy()).save(mask, "PNG")
    (place / "masks" / f"{name}.png").write_bytes(mask.getvalue())
    if isinstance(source, Embedded):
        (place / "images" / f"{name}{source.suffix}").write_bytes(source.read())
    else:
        shutil.copyfile(source, place / "images" / f"{name}{source.suffix}")

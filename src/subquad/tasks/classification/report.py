"""What a report tells of classification: classes, confusions, and the pictures that went most wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.data.loading import in_batches
from subquad.engine.preprocess import preprocess
from subquad.engine.progress import note
from subquad.engine.sample_counts import SampleCounts, spread
from subquad.engine.tables import percent
from subquad.explain.images import data_uri
from subquad.explain.matrix import add_matrix
from subquad.explain.report import Cell, Picture, Section
from subquad.nn.mode import evaluating

METRIC = "accuracy"
BATCH = 32
SHOWN = 8  # wrong pictures


def count_pictures(network: Any, data: Any, most: int) -> SampleCounts:
    """Return which class each of at most so many evaluation pictures was told to be.

    Args:
        network: On its device; used in evaluation mode.
        data: `ClassificationData`.
        most: Pictures, evenly spread over the set.
    """
    pictures = data.datasets["test"]
    chosen, names, found = spread(len(pictures), most), [], []
    for indices in in_batches(chosen, BATCH):
        note(f"picture {len(names) + 1:,} of {len(chosen):,}")
        told = _probabilities(network, _batch(data, indices)).argmax(dim=1)
        for index, answer in zip(indices, told.tolist(), strict=True):
            names.append(_name(pictures, index))
            found.append((np.array([[int(pictures.classes[index]), answer]]), np.ones(1, np.int64)))
    return SampleCounts.of_entries(METRIC, data.class_names, names, len(pictures), found)


def sections(network: Any, data: Any, counts: SampleCounts) -> list[Section]:
    """Return the sections of a report.

    Args:
        network: As above.
        data: As above.
        counts: Of `count_pictures`.
    """
    confusion = Section("Which class is taken for which")
    add_matrix(confusion, counts.confusion(), counts.classes, "pictures")
    found = [_classes(counts), confusion]
    wrong = [int(sample) for sample, true, told in counts.entries.tolist() if true != told]
    if wrong:
        found.append(_wrong(network, data, counts, wrong))
    return found


def _classes(counts: SampleCounts) -> Section:
    section = Section("Classes")
    right, true, told = counts.margins().sum(axis=0)
    section.text(
        f"Counted once more with the best weights on {len(counts.samples):,} of {counts.of:,} evaluation "
        f"pictures: {percent(int(right.sum()) / max(1, int(true.sum())))} % are told right."
    )
    rows = []
    for name, *numbers in zip(counts.classes, right.tolist(), true.tolist(), told.tolist(), strict=True):
        hit, have, said = numbers
        recall = hit / have if have else None
        rows.append(
            [
                name,
                Cell("n/a") if recall is None else Cell(percent(recall), recall, "bar"),
                percent(hit / said if said else None),
                *(f"{value:,}" for value in (have, hit, have - hit, said - hit)),
            ]
        )
    columns = ("class", "recall %", "precision %", "pictures", "right", "missed", "false")
    section.table(columns, rows, kind="plain")
    section.note(
        "Recall: of the pictures of a class, the share that was found. Precision: of the pictures said to "
        "be of it, the share that is."
    )
    return section


def _wrong(network: Any, data: Any, counts: SampleCounts, wrong: list[int]) -> Section:
    section = Section("Most certain mistakes")
    section.text(
        "Pictures of which the network was most certain, and wrong. Look whether the label is right."
    )
    pictures = data.datasets["test"]
    places = spread(len(pictures), len(counts.samples))
    found = []
    for samples in in_batches(wrong, BATCH):
        shares = _probabilities(network, _batch(data, [places[sample] for sample in samples]))
        certain, told = shares.max(dim=1)
        found += zip(certain.tolist(), told.tolist(), samples, strict=True)
    worst = sorted(found, key=lambda one: (-one[0], one[2]))[:SHOWN]
    rows = []
    for certain, told, sample in worst:
        index = places[sample]
        picture = pictures.decoded(index).movedim(0, -1).numpy()
        true = counts.classes[int(pictures.classes[index])]
        caption = f"{counts.samples[sample]}: is {true}, said to be {counts.classes[told]} ({certain:.0%})"
        rows.append(Picture(data_uri(picture if picture.shape[-1] == 3 else picture.repeat(3, -1)), caption))
    section.row(rows)
    return section


def _batch(data: Any, indices: list[int]) -> Tensor:
    pictures = data.datasets["test"]
    return torch.stack([data.eval_transform(pictures.decoded(index)) for index in indices])


@torch.inference_mode()
def _probabilities(network: Any, images: Tensor) -> Tensor:
    device = next(network.parameters()).device
    with evaluating(network):
        return network(preprocess(images.to(device), network.config)).double().softmax(dim=1).cpu()


def _name(pictures: Any, index: int) -> str:
    """Return the name of a picture's file, or its number where it is in a file with others."""
    files = getattr(pictures, "files", None)
    return f"picture {index:,}" if files is None else "/".join(Path(files[index]).parts[-2:])

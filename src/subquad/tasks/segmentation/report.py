"""What a report tells of segmentation: classes, confusions, pictures with their errors, and code maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.engine.progress import note
from subquad.engine.sample_counts import SampleCounts, entries_of, spread
from subquad.engine.tables import percent
from subquad.explain.code_maps import code_maps, telling_columns
from subquad.explain.images import data_uri, enlarged, heat_picture
from subquad.explain.matrix import add_matrix
from subquad.explain.report import Cell, Picture, Section
from subquad.nn import Ham
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, index_to_color
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol, as_shown, protocol_for

METRIC = "mean IoU"
SHOWN = 3  # pictures of each kind: worst, typical, best
MAPS = 4  # columns of the dictionary whose maps are shown
WRONG, UNKNOWN = (214, 40, 57), (255, 255, 255)  # colours of an error map


def count_pixels(network: Any, data: Any, protocol: EvaluationProtocol, most: int) -> SampleCounts:
    """Return a confusion matrix for each of at most so many evaluation pictures.

    Args:
        network: On its device; used in evaluation mode.
        data: `SegmentationData`.
        protocol: How pictures are shown to it.
        most: Pictures, evenly spread over the set.
    """
    chosen, names, found = spread(len(data.evaluation), most), [], []
    for position, index in enumerate(chosen, 1):
        note(f"picture {position:,} of {len(chosen):,}")
        image, labels, name = _sample(data, index)
        matrix = ConfusionMatrix(data.labels.num_classes)
        matrix.update(_predicted(network, image, protocol), labels)
        names.append(name)
        found.append(entries_of(matrix.counts.numpy()))
    return SampleCounts.of_entries(METRIC, data.labels.names, names, len(data.evaluation), found)


def sections(network: Any, data: Any, protocol: EvaluationProtocol, counts: SampleCounts) -> list[Section]:
    """Return the sections of a report.

    Args:
        network: As above.
        data: As above.
        protocol: As above.
        counts: Of `count_pixels`.
    """
    found = [_classes(data, counts), _confusion(counts)]
    scores = counts.sample_scores()
    order = [
        position
        for position in scores.argsort(kind="stable").tolist()
        if scores[position] == scores[position]
    ]
    places = spread(len(data.evaluation), len(counts.samples))
    if order:
        found.append(_pictures(network, data, protocol, counts, order, places))
        if any(isinstance(module, Ham) and module.over == "space" for module in network.modules()):
            few = [places[order[place]] for place in dict.fromkeys((0, len(order) // 2, len(order) - 1))]
            found.append(_maps(network, data, protocol, few))
    return found


def _classes(data: Any, counts: SampleCounts) -> Section:
    section = Section("Classes")
    matrix = ConfusionMatrix(data.labels.num_classes, names=data.labels.names)
    matrix.counts = torch.from_numpy(counts.confusion())
    scores = matrix.scores()
    section.text(
        f"Counted once more with the best weights on {_so_many(counts)}: mean IoU "
        f"{percent(scores.mean_iou)} %, pixel accuracy {percent(scores.pixel_accuracy)} %."
    )
    right, true, told = counts.margins().sum(axis=0)
    rows = []
    for index, (name, iou) in enumerate(zip(scores.names, scores.iou.tolist(), strict=True)):
        hit = int(right[index])
        rows.append(
            [
                Cell(name, color=data.labels.palette[index]),
                Cell("n/a") if iou != iou else Cell(percent(iou), iou, "bar"),
                percent(hit / int(true[index]) if true[index] else None),
                percent(hit / int(told[index]) if told[index] else None),
                percent(int(true[index]) / max(1, int(true.sum()))),
                *(f"{int(value):,}" for value in (hit, true[index] - hit, told[index] - hit)),
            ]
        )
    columns = ("class", "IoU %", "accuracy %", "precision %", "share of pixels %", "right", "missed", "false")
    section.table(columns, rows, kind="plain")
    section.note(
        "IoU (intersection over union): of the pixels that are of the class or are said to be, the share "
        "that is both. Accuracy: of its pixels, the share that was found. Precision: of the pixels said to "
        "be of it, the share that is. Right, missed and false are pixels."
    )
    return section


def _so_many(counts: SampleCounts) -> str:
    count = len(counts.samples)
    if count == counts.of:
        return f"all {count:,} evaluation pictures"
    return f"{count:,} of {counts.of:,} evaluation pictures, evenly spread"


def _confusion(counts: SampleCounts) -> Section:
    section = Section("Which class is taken for which")
    add_matrix(section, counts.confusion(), counts.classes, "pixels")
    return section


def _pictures(
    network: Any,
    data: Any,
    protocol: EvaluationProtocol,
    counts: SampleCounts,
    order: Sequence[int],
    places: Sequence[int],
) -> Section:
    """Show pictures from the lower end, the middle and the upper end of an order by score."""
    section = Section("Pictures: worst, typical, best")
    section.text(
        "Chosen by the mean IoU of each picture by itself. In the error map wrong pixels are red, and those "
        "that nobody labelled white."
    )
    palette, scores = data.labels.palette, counts.sample_scores()
    section.key(
        (name, "rgb({},{},{})".format(*color)) for name, color in zip(data.labels.names, palette, strict=True)
    )
    for title, part in parted(order).items():
        section.heading(title)
        for position in part:
            image, labels, _ = _sample(data, places[position])
            told = _predicted(network, image, protocol)
            photo = as_photo(image)
            name = f"{counts.samples[position]}: {100 * scores[position]:.1f} % mean IoU"
            section.row(
                [
                    Picture(data_uri(photo), name),
                    Picture(data_uri(index_to_color(labels.numpy(), palette), "png"), "truth"),
                    Picture(data_uri(index_to_color(told.numpy(), palette), "png"), "prediction"),
                    Picture(data_uri(error_map(photo, labels, told)), "errors"),
                ]
            )
    return section


def parted(order: Sequence[int]) -> dict[str, list[int]]:
    """Return the worst, the typical and the best of an order from the worst on; each once."""
    most = min(SHOWN, len(order) // 3) or 1
    middle = (len(order) - most + 1) // 2
    parts = {
        "Worst": order[:most],
        "Typical": order[middle : middle + most],
        "Best": list(reversed(order[len(order) - most :])),
    }
    seen: set[int] = set()
    found = {}
    for title, part in parts.items():
        found[title] = [place for place in part if place not in seen]
        seen |= set(part)
    return {title: part for title, part in found.items() if part}


def first_picture(data: Any) -> str | None:
    """Return the file of the first evaluation picture; None if the pictures are no files, or not at hand."""
    dataset = getattr(data, "evaluation", None)
    pairs, items = getattr(dataset, "pairs", ()), getattr(dataset, "items", ())
    found = pairs[0][0] if pairs else items[0].picture if items else None
    return str(found.resolve()) if isinstance(found, Path) else None


def as_photo(image: Tensor) -> Any:
    """Return a picture to look at, uint8 (H, W, 3): the first three of its channels, or the first as grey."""
    return (
        image[:3].movedim(0, -1).numpy()
        if len(image) >= 3
        else image[:1].expand(3, -1, -1).movedim(0, -1).numpy()
    )


def error_map(photo: Any, labels: Tensor, told: Tensor) -> Any:
    """Return a pale grey photo with wrong pixels in red, and white where there is no truth.

    Args:
        photo: uint8 (H, W, 3).
        labels: Truth, (H, W).
        told: What the network said, (H, W).
    """
    grey = 110 + photo.mean(axis=-1, keepdims=True) * (120 / 255)
    found = np.repeat(grey, 3, axis=-1).round().astype(np.uint8)
    known = labels != IGNORE_INDEX
    found[(known & (labels != told)).numpy()] = WRONG
    found[~known.numpy()] = UNKNOWN
    return found


def _maps(network: Any, data: Any, protocol: EvaluationProtocol, chosen: Sequence[int]) -> Section:
    section = Section("What the ham looks at")
    samples = [_sample(data, index) for index in chosen]
    shown = protocol_for(network.config, protocol)
    maps = [code_maps(network, as_shown(network, image[None], shown)).cpu() for image, *_ in samples]
    labels = [
        F.interpolate(labels[None, None].float(), size=found.shape[2:], mode="nearest-exact").flatten()
        for (_, labels, _), found in zip(samples, maps, strict=True)
    ]
    flat = torch.cat([found[0].flatten(1) for found in maps], dim=1)  # pictures may differ in size
    telling = telling_columns(
        flat[None, :, None], torch.cat(labels)[None, None].to(torch.int64), data.labels.num_classes
    )
    best = telling.argsort(descending=True)[:MAPS].tolist()
    section.text(
        "The ham writes the features of all positions as a few patterns, the columns of its dictionary, "
        "times how much of each is where. Each map shows one column: bright where there is much of it. "
        "Positions that are bright together see each other, however far apart they are. Shown are the "
        "columns that tell most about the classes in these pictures; the number is the share of a column's "
        "variance that the class explains."
    )
    scale = {column: (float(flat[column].min()), float(flat[column].quantile(0.995))) for column in best}
    for (image, _, name), found in zip(samples, maps, strict=True):
        photo = as_photo(image)
        row = [Picture(data_uri(photo), name)]
        for column in best:
            painted = enlarged(heat_picture(found[0, column].float().numpy(), *scale[column]))
            row.append(Picture(data_uri(painted, "png"), f"column {column}: {telling[column]:.0%}"))
        section.row(row)
    return section


def _sample(data: Any, index: int) -> tuple[Tensor, Tensor, str]:
    """Return a picture and its labels as an evaluation sees them, and its name."""
    sample = data.evaluation[index]
    image, labels = data.eval_transform(sample.image, sample.labels)
    return image, labels, sample.name


def _predicted(network: Any, image: Tensor, protocol: EvaluationProtocol) -> Tensor:
    return predict_labels(network, image[None], protocol)[0].cpu()

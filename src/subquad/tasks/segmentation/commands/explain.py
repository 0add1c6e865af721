"""`subquad explain` of a segmentation network: what its ham made of a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from subquad.base.limits import UNTILED_PIXELS
from subquad.base.table import Table
from subquad.data.bands import RGB
from subquad.data.decoding import TooManyPixelsError
from subquad.data.pictures import read_image
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.engine.tables import percent
from subquad.explain.explanation import Explanation
from subquad.explain.ham_page import explain_ham
from subquad.explain.ham_view import HamView, Said
from subquad.models import SegmentationConfig
from subquad.tasks.explaining_pictures import add_picture_options, pixel_of, require_ham
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.drawing import names_of, overlay_picture, palette_of
from subquad.tasks.segmentation.labels import channels_last, predict_labels
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import AUTOMATIC, WHOLE_PIXELS, Tiling

MOST_ROWS = 20  # of classes
OPACITY = 0.5


def add_options(p: Parser) -> None:
    """Add the pixel, and how large pictures may be."""
    add_picture_options(p, UNTILED_PIXELS)


def explain(network: Any, options: Any) -> Explanation:
    """Return what the network says of a picture, and what its ham made of it."""
    config: SegmentationConfig = network.config
    require_ham(network, options.model)
    picture = _read(Path(options.input), options.max_pixels, config.in_channels)
    size = (int(picture.shape[1]), int(picture.shape[2]))
    at = pixel_of(options.at, size)
    if config.resize is not None:
        sys.stderr.write("note: the picture is resized as the network was trained, and explained so.\n")
    tiling = None if config.resize is not None or picture[0].numel() <= WHOLE_PIXELS else AUTOMATIC
    network = channels_last(network)
    note("the classes")
    if tiling is None:
        labels = predict_labels(network, picture.unsqueeze(0))[0].cpu()
    else:
        labels = predict_tiles(network, picture, tiling).labels
    note("the codes")
    # Larger tiles than those of the classes: what is at their borders shows in the maps.
    codes = codes_of(network, picture, None if tiling is None else Tiling(), keeps_features=True)
    shown = picture[:RGB] if len(picture) >= RGB else picture[:1].expand(RGB, -1, -1)
    pixels = shown.movedim(0, -1).contiguous().numpy()
    said = _said(picture, labels, config)
    return explain_ham(HamView(Path(options.input).name, Path(options.model).name, pixels, said, codes, at))


def _read(path: Path, most: int, bands: int) -> Tensor:
    try:
        return read_image(path, most, bands)
    except TooManyPixelsError as error:
        raise ValueError(
            f"{error.what}; give a smaller one, or raise the limit, if the memory is there: --max_pixels "
            f"{error.pixels}."
        ) from error


def _said(picture: Tensor, labels: Tensor, config: SegmentationConfig) -> Said:
    names, palette = names_of(config), palette_of(config)
    counts = labels.flatten().long().bincount(minlength=config.num_classes)
    order = [index for index in counts.argsort(descending=True, stable=True).tolist() if counts[index]]
    total = labels.numel()
    rows = [
        (str(names[i]), percent(int(counts[i]) / total), f"{int(counts[i]):,}") for i in order[:MOST_ROWS]
    ]
    more = f", the largest {MOST_ROWS} of {len(order)}" if len(order) > MOST_ROWS else ""
    overlay = overlay_picture(picture, labels, palette, OPACITY)
    return Said(
        Table(f"the classes of its pixels{more}", ("class", "share %", "pixels"), rows),
        tuple(_color(palette[i]) for i in order[:MOST_ROWS]),
        np.asarray(overlay),
        {"classes": [{"index": i, "name": names[i], "pixels": int(counts[i])} for i in order]},
    )


def _color(color: Any) -> tuple[int, int, int]:
    red, green, blue = (int(level) for level in color)
    return red, green, blue

"""`subquad explain` of a classifier: what its ham made of a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from subquad.base.limits import PICTURE_PIXELS
from subquad.base.table import Table
from subquad.engine.parsing import Parser
from subquad.engine.preprocess import preprocess
from subquad.engine.tables import percent
from subquad.explain.code_maps import ham_parts
from subquad.explain.codes import Codes, Size
from subquad.explain.explanation import Explanation
from subquad.explain.ham_page import explain_ham
from subquad.explain.ham_view import HamView, Said
from subquad.models import ClassifierConfig
from subquad.ops import Factors
from subquad.tasks.classification.commands.predict import picture_for, probabilities
from subquad.tasks.classification.data.transforms import EvalTransform
from subquad.tasks.explaining_pictures import add_picture_options, pixel_of, require_ham

MOST_ROWS = 10  # of classes


def add_options(p: Parser) -> None:
    """Add the pixel, and how large pictures may be."""
    add_picture_options(p, PICTURE_PIXELS)


def explain(network: Any, options: Any) -> Explanation:
    """Return what the network says of a picture, and what its ham made of it."""
    config: ClassifierConfig = network.config
    require_ham(network, options.model)
    picture = picture_for(config, Path(options.input), options.max_pixels)
    given = pixel_of(options.at, (int(picture.shape[1]), int(picture.shape[2])))
    transform = EvalTransform(config.image_size, config.crop_ratio, config.interpolation)
    at = None if given is None else pixel_seen(given, picture, transform)
    seen = transform(picture)
    network = network.eval()
    said = _said(probabilities(network, seen.unsqueeze(0))[0], config)
    shown = seen if len(seen) == 3 else seen.expand(3, -1, -1)
    return explain_ham(
        HamView(
            Path(options.input).name,
            Path(options.model).name,
            shown.movedim(0, -1).contiguous().numpy(),
            said,
            codes_of(network, seen),
            at,
            given,
        )
    )


def codes_of(network: Any, seen: Tensor) -> Codes:
    """Return what the last ham of a classifier made of a picture.

    Args:
        network: With a ham over space, on tokens of a square grid or on a map.
        seen: uint8 (channels, size, size), as `EvalTransform` gives it.

    Raises:
        ValueError: If its tokens are no square.
    """
    device = next(network.parameters()).device
    features, factors, sides = ham_parts(network, preprocess(seen.unsqueeze(0).to(device), network.config))
    if len(sides) == 1:
        side = math.isqrt(sides[0])
        if side * side != sides[0]:
            raise ValueError(
                f"the ham sees {sides[0]} tokens, which are no square, so nobody can say where they lie in "
                "the picture; give a network on maps."
            )
        grid = (side, side)
    else:
        grid = (int(sides[0]), int(sides[1]))
    factors = Factors(factors.dictionary.cpu(), factors.codes.cpu())
    size = (int(seen.shape[1]), int(seen.shape[2]))
    return Codes(factors, grid, size, grid, features.cpu())


def pixel_seen(given: Size, picture: Tensor, transform: EvalTransform) -> Size:
    """Return where a pixel of a picture is in the middle that the network sees.

    Args:
        given: x and y in the picture.
        picture: (channels, H, W).
        transform: Resizes it, and cuts the middle out.

    Raises:
        ValueError: If it is not in the middle.
    """
    sides = (int(picture.shape[1]), int(picture.shape[2]))
    found = []
    for at, side in zip(given, sides[::-1], strict=True):
        resized = transform.shorter * side // min(sides)
        place = int((at + 0.5) * resized / side) - round((resized - transform.size) / 2)
        if not 0 <= place < transform.size:
            raise ValueError(
                f"--at {given[0]},{given[1]} is outside of what the network sees, the middle "
                f"{transform.size} x {transform.size} of the picture, resized to a shorter side of "
                f"{transform.shorter}; give a pixel nearer to the middle."
            )
        found.append(place)
    return found[0], found[1]


def _said(shares: Tensor, config: ClassifierConfig) -> Said:
    names = config.class_names or tuple(map(str, range(config.num_classes)))
    order = shares.argsort(descending=True, stable=True).tolist()
    rows = [(names[index], percent(float(shares[index]))) for index in order[:MOST_ROWS]]
    content = {"classes": [{"index": i, "name": names[i], "probability": float(shares[i])} for i in order]}
    return Said(Table("the class of the picture", ("class", "probability %"), rows), None, None, content)

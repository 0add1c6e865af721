"""What the server says, as JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

from PIL import Image
from torch import Tensor

from subquad.explain.codes import Codes
from subquad.models import SegmentationNetwork
from subquad.models.card import model_card
from subquad.tasks.segmentation.drawing import encoded, names_of, palette_of
from subquad.tasks.segmentation.serve.inference import Prediction
from subquad.tasks.segmentation.serve.limits import Limits

SHOWN_COLUMNS = 8  # of an explanation


def about(name: str, network: SegmentationNetwork, steps: int | None, limits: Limits) -> dict[str, Any]:
    """Return what `GET /model` tells.

    Args:
        name: Of the model.
        network: That is served.
        steps: Iterations of its ham; None if it has none.
        limits: Of requests.
    """
    config, has_ham = network.config, steps is not None
    return {
        "name": name,
        "network": type(network).__name__,
        "backbone": getattr(config, "backbone", ""),
        "context": getattr(config, "context", "hamburger" if has_ham else "none"),
        "parameters": sum(p.numel() for p in network.parameters()),
        "channels": config.in_channels,
        "classes": classes_of(network),
        "palette": [list(colour) for colour in palette_of(config)],
        "rank": getattr(config, "rank", None) if has_ham else None,
        "steps": steps,
        "limits": {
            "bytes": limits.max_bytes,
            "pixels": limits.max_pixels,
            "pictures": limits.max_pictures,
            "steps": limits.max_steps,
            "requests": limits.requests,
        },
        "card": model_card(network, name),
    }


def classes_of(network: SegmentationNetwork) -> list[dict[str, Any]]:
    """Return index, name and colour of each class."""
    named = zip(names_of(network.config), palette_of(network.config), strict=True)
    return [
        {"index": index, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*colour)}
        for index, (name, colour) in enumerate(named)
    ]


def prediction(
    name: str, found: Prediction, network: SegmentationNetwork, steps: int | None, *, shows_picture: bool
) -> dict[str, Any]:
    """Return what `POST /predict` tells of a picture.

    Args:
        name: Of the picture.
        found: In it.
        network: That found it.
        steps: That its ham took; None if it has none.
        shows_picture: Whether the picture is sent back, as the network saw it.
    """
    height, width = found.size
    return {
        "name": name,
        "width": width,
        "height": height,
        "steps": steps,
        "tiles": found.tiles,
        "seconds": round(found.seconds, 4),
        "classes": [
            {**known, "pixels": count, "share": count / (height * width)}
            for known, count in zip(classes_of(network), found.counts, strict=True)
        ],
        "mask": _base64(found.mask),
        **({"picture": _base64(_png(found.picture))} if shows_picture else {}),
    }


def explanation(codes: Codes, x: int, y: int, steps: int | None) -> dict[str, Any]:
    """Return what `POST /explain` tells of a pixel.

    Args:
        codes: Of the picture.
        x: Column of the pixel.
        y: Its row.
        steps: That the ham took.
    """
    position = codes.position(x, y)
    shares = codes.shares(position)
    order = shares.argsort(descending=True, stable=True)[:SHOWN_COLUMNS].tolist()
    return {
        "x": x,
        "y": y,
        "steps": steps,
        "grid": list(codes.grid),
        "covered": list(codes.covered),
        "columns": [
            {"column": column, "share": float(shares[column]), **_heat(codes.column(column))}
            for column in order
        ],
        "count": len(shares),
        "context": _heat(codes.context(position)),
    }


def in_bytes(told: dict[str, Any]) -> bytes:
    """Return an answer as it is sent."""
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _heat(values: Tensor) -> dict[str, Any]:
    """Return a map as a grey PNG from its lowest value, black, to its highest, white."""
    lowest, highest = float(values.min()), float(values.max())
    grey = (values - lowest) * (255 / max(highest - lowest, 1e-30))
    return {
        "lowest": lowest,
        "highest": highest,
        "map": _base64(encoded(Image.fromarray(grey.round().byte().numpy()), "PNG")),
    }


def _png(picture: Tensor) -> bytes:
    return encoded(Image.fromarray(picture.movedim(0, -1).contiguous().numpy()), "PNG")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()

"""Which network is trained on which classes."""

from __future__ import annotations

from typing import Any

from subquad.engine.classes import check_class_count
from subquad.engine.options import given_options, model_options
from subquad.engine.start import started
from subquad.models import SegmentationConfig, model_config
from subquad.models.registry import FAMILIES

ModelOptions = model_options(
    (family for family in FAMILIES.values() if issubclass(family, SegmentationConfig)),
    name="light_ham_van_tiny_d256",
    told=("class_names", "palette"),
)


def resolve(options: Any, labels: Any, bands: int = 3) -> SegmentationConfig:
    """Return the configuration of a network for these options, and the classes and bands of the data.

    Raises:
        ValueError: If the network is of another task, the class count asked for is not that of the data,
            or an option is unknown.
    """
    overrides = given_options(options)
    named = model_config(options.name)
    if not isinstance(named, SegmentationConfig):
        raise ValueError(
            f"{options.name} classifies whole images; give a segmentation network as --model.name, such as "
            f"{ModelOptions().name}, and weights of {options.name} as --model.weights."
        )
    check_class_count(overrides.pop("num_classes", None), labels.names)
    if overrides.setdefault("in_channels", bands) != bands:
        raise ValueError(
            f"--model.in_channels {overrides['in_channels']}, but the pictures have {bands} bands; leave "
            "it out, "
            "or say how they are read (--data.bands)."
        )
    told = {"num_classes": labels.num_classes, "class_names": labels.names, "palette": labels.palette}
    return started(named.replaced(**{**overrides, **told}), options)

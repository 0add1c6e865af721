"""Which network is trained on which pictures."""

from __future__ import annotations

from typing import Any

from subquad.engine.classes import check_class_count
from subquad.engine.options import given_options, model_options
from subquad.engine.start import started
from subquad.models import ClassifierConfig, model_config

# What the data tells: the options of a network that a user does not give.
TOLD = ("class_names", "in_channels", "image_size", "crop_ratio", "interpolation")
ClassifierOptions = model_options([ClassifierConfig], name="conv_tiny", told=TOLD)


def resolve(options: Any, data: Any) -> ClassifierConfig:
    """Return the configuration of a network for these options and this data.

    Args:
        options: Of the network.
        data: `ClassificationData`.

    Raises:
        ValueError: If the network is of another task, the class count asked for is not that of the data,
            or an option is unknown.
    """
    overrides = given_options(options)
    named = model_config(options.name)
    if not isinstance(named, ClassifierConfig):
        raise ValueError(
            f"{options.name} does not tell classes of whole pictures; give --model.name "
            f"{ClassifierOptions().name}, or another of the task classification."
        )
    check_class_count(overrides.pop("num_classes", None), data.class_names)
    told = {
        "num_classes": len(data.class_names),
        "class_names": data.class_names,
        "in_channels": data.channels,
        "image_size": data.size,
        "crop_ratio": data.crop_ratio,
        "interpolation": data.interpolation,
    }
    return started(named.replaced(**{**overrides, **told}), options)

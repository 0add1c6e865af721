"""Which network is trained on which sequences."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from subquad.engine.classes import check_class_count
from subquad.engine.options import given_options, model_options
from subquad.engine.progress import is_first_process
from subquad.models import SequenceConfig, model_config

# What the data tells: the options of a network that a user does not give.
TOLD = ("class_names", "token_names", "vocab_size", "in_features", "regression")
TOLD += ("mean", "std", "target_mean", "target_std")
SequenceModelOptions = model_options([SequenceConfig], name="paramixer", told=TOLD)


def resolve(options: Any, data: Any) -> SequenceConfig:
    """Return the configuration of a network for these options and this data.

    Args:
        options: Of the network.
        data: `SequenceData`.

    Raises:
        ValueError: If the network is of another task, the class count asked for is not that of the data,
            the readout needs what the data does not give, or an option is unknown.
    """
    named, overrides, info = _named(options), given_options(options), data.info
    check_class_count(overrides.pop("num_classes", None), data.class_names)
    if added := for_values(options, data):
        told = " and ".join(f"--model.{name} {str(value).lower()}" for name, value in added.items())
        if is_first_process():
            sys.stdout.write(f"{options.name} is published for tokens; for values it gets {told}\n")
    config = named.replaced(
        **{
            "length": data.length,
            **added,
            **overrides,
            "num_classes": data.num_classes or 1,
            "class_names": data.class_names,
            "vocab_size": data.vocab_size,
            "token_names": data.vocabulary.tokens if data.vocabulary else (),
            "in_features": data.in_features or 1,
            "regression": data.task == "regression",
            "mean": info.mean,
            "std": info.std,
            "target_mean": info.target_mean,
            "target_std": info.target_std,
        },
    )
    # The first symbol of Temporal Order is as good as any; that of a text is not.
    if config.pooling == "cls" and data.vocabulary and not data.cls and data.options.name != "order":
        raise ValueError(
            "--model.pooling cls reads the first position, which holds the first token of each sequence; put "
            "one in front with --data.cls true, or take --model.pooling mean."
        )
    if config.longest is not None and config.longest < data.length:
        raise ValueError(
            f"--model.length {config.length}, but the data has sequences of up to {data.length}; leave the "
            f"option out, or cut them with --data.length {config.length - data.cls}."
        )
    return config


def for_values(options: Any, data: Any) -> dict[str, Any]:
    """Return what a network that is published for tokens needs to learn from values; else nothing.

    Random factors without norms multiply values by thousands from block to block: in float32 the first
    loss of three blocks is some 1e14, and training becomes NaN. Small random token vectors hide it.
    """
    named = _named(options)
    if data.in_features is None or named.vocab_size is None or named.norm:
        return {}
    given = dataclasses.asdict(named) | given_options(options)
    links = 2 if given["protocol"] == "chord" else given["links"]
    alike = given["residual"] != "fixed" and links > 1
    added = {"norm": True, "start": "uniform" if alike else "identity"}
    return {name: value for name, value in added.items() if getattr(options, name) is None}


def _named(options: Any) -> SequenceConfig:
    named = model_config(options.name)
    if not isinstance(named, SequenceConfig):
        raise ValueError(
            f"{options.name} takes no sequences; give --model.name paramixer, or another of them."
        )
    return named

"""`subquad test` of a HamGAN: FID and IS, or proxy-FID."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from subquad.data.class_images import ClassImageOptions, ClassImages, open_class_images
from subquad.engine.checkpoints import move
from subquad.models.hamgan import HamGANConfig
from subquad.tasks.generation.features import check_features, open_features
from subquad.tasks.generation.scores import PROTOCOLS, GenerationProtocol, GenerationScores, score_generator


def score(network: Any, real: ClassImages, options: Any) -> GenerationScores:
    """Compare generated images with a split of real ones.

    Args:
        network: A HamGAN.
        real: What is compared with.
        options: Of `subquad test`.
    """
    protocol = resolve_protocol(options)
    features = open_features(options.features, options.inception)
    network = move(network, options.device)
    check_features(features, network.config)
    others = open_others(network.config, options.data, real)
    at_once = options.data.eval_batch_size
    scores = score_generator(
        network.generator,
        features.to(options.device),
        pictures(real, protocol.samples, at_once),
        None if others is None else pictures(others, protocol.samples, at_once),
        protocol,
        batch_size=options.batch_size,
    )
    return dataclasses.replace(scores, preset=options.preset, real_images=real.where)


def resolve_protocol(options: Any) -> GenerationProtocol:
    """Return the protocol of the preset with what is given besides."""
    given = {name: getattr(options, name) for name in ("samples", "splits", "truncation")}
    given = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(
        PROTOCOLS[options.preset], **given, seed=options.seed, allow_small=options.allow_small
    )


def open_others(config: HamGANConfig, data: ClassImageOptions, real: ClassImages) -> ClassImages | None:
    """Return the training split, to compare with the real images; None if there is no other one."""
    try:
        others = open_class_images(data, data.train, side=config.size, channels=config.in_channels)
    except FileNotFoundError:
        return None
    return None if others.where == real.where else others


def pictures(split: ClassImages, most: int, batch_size: int) -> Iterator[Tensor]:
    """Yield batches of at most so many pictures in -1..1, drawn from all classes."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].tolist()
    for first in range(0, len(order), batch_size):
        yield split.pictures(order[first : first + batch_size])

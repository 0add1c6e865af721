"""How much memory a training step takes, counted rather than tried: what autograd keeps of one sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from subquad.models import model_config
from subquad.models.pretrained import with_pretrained

SHARE = 0.6  # of free memory that a step may take: the rest is for loading, evaluation and others
PER_WEIGHT = 4  # copies: itself, its gradient, and AdamW's two means
WORKING = 1.5  # what operations need for a moment, over what is kept


@torch.random.fork_rng(devices=[])  # what is drawn here is not missing from the training
def step_bytes(chosen: Mapping[str, Any], num_classes: int, channels: int) -> tuple[int, int]:
    """Return the bytes that a training step keeps: of the network, and of each sample.

    Args:
        chosen: Options by full names, with `data.crop` and those of the model.
        num_classes: Of the data.
        channels: Of the pictures.
    """
    given = {n.partition(".")[2]: value for n, value in chosen.items() if n.startswith("model.")}
    name, pretrained = given.pop("name"), given.pop("pretrained", None)
    given.pop("weights", None)
    config = model_config(name, **{**given, "num_classes": num_classes, "in_channels": channels})
    network = with_pretrained(config, pretrained, given).build().train()
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    count = 2  # batch norm wants more than one value a channel, even of a map of one pixel
    height, width = chosen["data.crop"]
    images = torch.zeros(count, channels, height, width)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(network(images), torch.zeros(count, height, width, dtype=torch.long))
    del loss
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    return PER_WEIGHT * weights, round(WORKING * sum(kept.values()) / count)

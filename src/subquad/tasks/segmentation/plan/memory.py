"""How much memory a training step takes, counted rather than tried: what autograd keeps of one sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F

from subquad.models import model_config
from subquad.models.pretrained import with_pretrained

SHARE = 0.6  # of free memory that a step may take: the rest is for loading, evaluation and others
PER_WEIGHT = 4  # copies: itself, its gradient, and AdamW's two means
WORKING = 1.5  # what operations need for a moment, over what is kept
COUNTED = 2  # samples: batch norm wants more than one value a channel, even of a map of one pixel


def step_bytes(chosen: Mapping[str, Any], num_classes: int, channels: int) -> tuple[int, int]:
    """Return the bytes that a training step keeps: of the network, and of each sample.

    The pass has shapes and no numbers (PyTorch's device "meta"), so that no size is too large to be counted.

    Args:
        chosen: Options by full names, with `data.crop` and those of the model.
        num_classes: Of the data.
        channels: Of the pictures.
    """
    given = {n.partition(".")[2]: value for n, value in chosen.items() if n.startswith("model.")}
    name, pretrained = given.pop("name"), given.pop("pretrained", None)
    given.pop("weights", None)
    config = model_config(name, **{**given, "num_classes": num_classes, "in_channels": channels})
    height, width = chosen["data.crop"]
    kept: dict[int, tuple[StorageWeakRef, int]] = {}

    def keep(tensor: Tensor) -> Tensor:
        reference = StorageWeakRef(tensor.untyped_storage())
        if reference.cdata not in own:
            kept[reference.cdata] = reference, tensor.untyped_storage().nbytes()
        return tensor

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = with_pretrained(config, pretrained, given).build().train()
        storages = [parameter.untyped_storage() for parameter in network.parameters()]
        own = {StorageWeakRef(storage).cdata for storage in storages}
        images = torch.zeros(COUNTED, channels, height, width)
        labels = torch.zeros(COUNTED, height, width, dtype=torch.long)
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = F.cross_entropy(network(images), labels)
    del loss
    weights = sum(storage.nbytes() for storage in storages)
    return PER_WEIGHT * weights, round(WORKING * sum(size for _, size in kept.values()) / COUNTED)

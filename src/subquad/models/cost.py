"""What a network costs: parameters, and multiply-adds by PyTorch's own counter.

costs.csv beside this file keeps them, so that they need not be counted to be listed. `make costs` renews it,
after a network was added or changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from subquad.base.files import write_whole
from subquad.models.config import NetworkConfig
from subquad.models.network import Network
from subquad.models.registry import list_models, model_config

COSTS = Path(__file__).with_name("costs.csv")


def on_meta(name: str, **overrides: Any) -> Network:
    """Build a network without memory for its weights, in evaluation mode."""
    return _on_meta(model_config(name, **overrides))


def parameters(name: str, **overrides: Any) -> int:
    """Return the number of parameters."""
    return parameters_of(model_config(name, **overrides))


def parameters_of(config: NetworkConfig) -> int:
    """Return the number of parameters of the network that a configuration builds."""
    return sum(p.numel() for p in _on_meta(config).parameters())


def multiply_adds(name: str, size: int | tuple[int, int] | None = None, **overrides: Any) -> int:
    """Return the multiply-adds of one sample in evaluation.

    Convolutions and matrix products count, those of the decomposition too, and the products of
    links and values; norms, activations and resizing do not. Of a HamGAN it is the generator that
    counts.

    Args:
        name: One of `list_models()`.
        size: Of an image: its side, or height and width; of a sequence: its length; None for the
            usual one. Of a HamGAN, its option.
        **overrides: As for `create_model`.
    """
    from torch.utils.flop_counter import FlopCounterMode

    config = model_config(name, **overrides)
    config = config if size is None else config.with_size(size)
    network = _on_meta(config)
    size = config.cost_size() if size is None else size
    with torch.device("meta"):
        sample = config.example(size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*sample)
    return counter.get_total_flops() // 2 + config.uncounted_multiply_adds(size)


def cost(name: str, size: int | None = None) -> tuple[str, int, int, int]:
    """Return name, parameters, multiply-adds and size of a network: a row of costs.csv.

    Args:
        name: One of `list_models()`.
        size: Of an image, its side; of a sequence, its length; None for the usual one.
    """
    size = model_config(name).cost_size(size)
    return name, parameters(name), multiply_adds(name, size), size


def write_costs() -> None:
    """Count all networks at their usual sizes, and write costs.csv."""
    rows = [("name", "parameters", "multiply_adds", "size"), *map(cost, list_models())]
    write_whole(COSTS, "".join(f"{','.join(map(str, row))}\n" for row in rows).encode())


def _on_meta(config: NetworkConfig) -> Network:
    with torch.device("meta"):
        return config.build().eval()

"""What a configuration asks for, known before it costs memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from subquad.base.limits import MOST_PARAMETERS

if TYPE_CHECKING:
    from subquad.models.config import NetworkConfig


def blueprint(config: NetworkConfig) -> dict[str, Tensor]:
    """Return the state dict of a network on the meta device, where tensors take no memory.

    Raises:
        ValueError: If the options do not go together.
    """
    # The generator stays as it was, and what there is to warn of is said when it is built in earnest.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"), _Undrawn():
                return config.build().state_dict()
        except RuntimeError as error:
            if "meta" in str(error):  # another package's network, that computes while it is built
                return {name: tensor.to("meta") for name, tensor in config.build().state_dict().items()}
            reason = str(error).splitlines()[0]
            raise ValueError(f"no {type(config).__name__} has these options: {reason}") from error


class _Undrawn(TorchFunctionMode):
    """Leave out what cannot be done without memory.

    Drawing weights could be done, but torch imports its compiler for that.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("normal_", "uniform_"):
            return args[0] if args else options["tensor"]
        if name == "randn_like":
            return torch.empty_like(*args, **options)
        if name == "cpu":  # Performer's random directions
            return args[0]
        return func(*args, **options)


def check_affordable(config: NetworkConfig) -> None:
    """Raise ValueError if a network would be larger than a machine can be expected to hold."""
    count = sum(tensor.numel() for tensor in blueprint(config).values())
    if count > MOST_PARAMETERS:
        raise ValueError(
            f"a network of {count:,} parameters is asked for, and {MOST_PARAMETERS:,} are the most; choose "
            f"smaller options."
        )

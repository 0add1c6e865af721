"""Tokens as networks get them."""

from __future__ import annotations

from torch import Tensor

from subquad.ops.transforms import is_known


def check_tokens(inputs: Tensor, vocab_size: int) -> None:
    """Raise ValueError if a number is that of no token, where looking does not make a device wait."""
    if not is_known(inputs) or inputs.device.type != "cpu" or not inputs.numel():
        return
    smallest, largest = (int(bound) for bound in inputs.aminmax())
    if smallest < 0 or largest >= vocab_size:
        wrong = smallest if smallest < 0 else largest
        raise ValueError(
            f"the inputs hold {wrong}, but the network knows tokens 0 to {vocab_size - 1}; number them as in "
            f"training, or build the network with a larger vocab_size."
        )

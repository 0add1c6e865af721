"""Values in standard units: mean 0 and deviation 1, as a part of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn


class StandardUnits(nn.Module):
    """Map values to (value - mean) / std, and back; in float32 at least.

    Both are options of the network, so its configuration holds them and the state dict need not.

    Args:
        mean: One for each feature.
        std: One for each feature, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self._values = tuple(mean), tuple(std)
        for name, values in zip(("mean", "std"), self._values, strict=True):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow a network to other devices, not to half precision: 1e6 is infinite in float16."""
        super()._apply(fn, recurse)
        for name, values in zip(("mean", "std"), self._values, strict=True):
            buffer = getattr(self, name)
            if buffer.dtype in (torch.float16, torch.bfloat16):
                setattr(self, name, torch.tensor(values, dtype=torch.float32, device=buffer.device))
        return self

    def reset_parameters(self) -> None:
        """Make both anew, after the module was moved off the meta device."""
        for buffer, values in zip((self.mean, self.std), self._values, strict=True):
            buffer.copy_(torch.tensor(values, dtype=buffer.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return values (..., features) in standard units."""
        return (x - self.mean) / self.std

    def restore(self, x: Tensor) -> Tensor:
        """Inverse of `forward`."""
        return x * self.std + self.mean

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"mean={self._values[0]}, std={self._values[1]}"

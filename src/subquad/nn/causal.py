"""What causal mixers have in common: all positions at once, or one after another with a cache."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.packing import each_alone

_OPEN = 1.2784645  # silu of it is 1

# What a mixer remembers of the positions so far: tensors by name, the samples first in each.
Cache = dict[str, Tensor]


class CausalMixer(nn.Module, ABC):
    """Mix the positions of sequences so that none sees a later one.

    A long sequence is mixed all at once (`forward`), or one position at a time (`step`), or in parts,
    whatever they are: the outputs are the same. What was before a part is in a cache. A cache is used up
    by the call it is given to, which may overwrite its tensors; to go on from one place several times, give
    clones.

    Args:
        dim: Channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}.")
        self.dim = dim

    def forward(
        self,
        x: Tensor,
        cache: Cache | None = None,
        return_cache: bool = False,
        *,
        lengths: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Cache]:
        """Mix the positions.

        Args:
            x: (batch, n, dim), any n from 1.
            cache: Of what was before; None: nothing was.
            return_cache: Also return the cache after the last position; of each sample after its own last
                one where lengths differ.
            lengths: How many positions of each sample count, (batch,) integers; its padding comes last.
            segment_ids: (batch, n) integers: which document each position is of, where several are
                packed into a row one after another. Each is mixed as if it were alone; not with a cache
                or lengths.

        Returns:
            (batch, n, dim), of the type of `x`; the padding is zero, may hold anything, and gets no gradient.
            With `return_cache` also the cache.

        Raises:
            ValueError: If shapes do not fit, or documents are to be continued.
        """
        self._check_input(x)
        if segment_ids is not None:
            if cache is not None or return_cache or lengths is not None:
                raise ValueError(
                    "segment_ids pack whole documents, got a cache or lengths too; give each document a row "
                    "of its own to continue it."
                )
            return each_alone(lambda rows, own: self(rows, lengths=own), x, segment_ids)
        if cache is not None:
            self._check_cache(x, cache)
        lengths = resolve_lengths(None, lengths, *x.shape[:2])
        valid = None if lengths is None else real_positions(lengths, x)
        if valid is not None:
            x = x.where(valid, 0)  # multiplying by zero would let the NaN of a padding through
        y, after = self._mix(x, cache, lengths, return_cache)
        if valid is not None:
            y = y.where(valid, 0)
        return (y, after) if return_cache else y

    @abstractmethod
    def init_cache(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cache:
        """Return the cache of no position.

        Args:
            batch: Samples.
            device: None: that of the parameters.
            dtype: Of what will be mixed; None: that of the parameters. What sums is float32 at least.
        """

    @abstractmethod
    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Mix one more position; but for attention, at the same cost wherever it is.

        Args:
            x_t: (batch, dim).
            cache: Of what was before; it is used up.

        Returns:
            The output, (batch, dim), and the cache after it.
        """

    @abstractmethod
    def _mix(
        self, x: Tensor, cache: Cache | None, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Cache]:
        """Mix all positions; padding is zero, and of no matter afterwards.

        Args:
            x: (batch, n, dim).
            cache: Of what was before.
            lengths: None: all positions of all samples count.
            keep: Whether the cache is wanted; otherwise any will do.
        """

    def _cache_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Return what a cache must hold: the shape of each tensor after the samples; None: any size."""
        return {}

    def _check_step(self, x_t: Tensor, cache: Cache) -> None:
        if x_t.dim() != 2 or x_t.shape[1] != self.dim:
            raise ValueError(f"expected one position, (batch, {self.dim}), got {tuple(x_t.shape)}.")
        self._check_cache(x_t, cache)

    def _check_cache(self, x: Tensor, cache: Cache) -> None:
        batch = x.shape[0]
        for name, shape in self._cache_shapes().items():
            held = cache.get(name)
            wanted = (batch, *shape)
            sizes = () if held is None else tuple(held.shape)
            if len(sizes) != len(wanted) or any(
                a is not None and a != b for a, b in zip(wanted, sizes, strict=True)
            ):
                expected = ", ".join("any" if size is None else str(size) for size in wanted)
                raise ValueError(
                    f"the cache must have {name} ({expected}) for an input {tuple(x.shape)}, got "
                    f"{'none' if held is None else sizes}; take one of init_cache({batch}), or of the part "
                    "before."
                )

    def _check_input(self, x: Tensor) -> None:
        if not x.is_floating_point():
            raise ValueError(f"expected numbers of a floating point type, got {x.dtype}; use .float().")
        if x.dim() != 3 or x.shape[2] != self.dim or 0 in x.shape:
            raise ValueError(
                f"expected (batch, positions, {self.dim}) with a sample and a position at least, got "
                f"{tuple(x.shape)}; build {type(self).__name__}(dim=...) with the channels of the input."
            )


@torch.no_grad()
def start_open(gate: nn.Linear, first: int = 0) -> None:
    """Let silu of a linear map be about 1 at first, from output `first` on; the other outputs have no bias.

    About 0, where it would start without a bias, silu lets through each channel with half of a random
    number: training then has to undo that before a memory's values can be read.
    """
    nn.init.zeros_(gate.bias[:first])
    nn.init.constant_(gate.bias[first:], _OPEN)


def check_heads(dim: int, heads: int) -> None:
    """Raise ValueError if `heads` does not divide `dim`."""
    if heads < 1 or dim % heads:
        most = max(h for h in range(1, dim + 1) if dim % h == 0 and h <= max(1, heads))
        raise ValueError(f"heads must divide dim, got heads={heads} and dim={dim}; take heads={most}.")


def counted(x: Tensor, lengths: Tensor | None) -> Tensor | int:
    """Return how many positions count of (batch, n, ...): of all samples, or of each."""
    return x.shape[1] if lengths is None else lengths.to(x.device)

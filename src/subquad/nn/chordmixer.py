"""ChordMixer: global mixing by rotations without parameters, with an MLP before each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.paramixer import number_of_factors
from subquad.nn.reset import start_with
from subquad.nn.tracing import one_node
from subquad.ops import chord_offsets, rotate
from subquad.ops.transforms import is_transformed


class ChordMixer(nn.Module):
    """Mix n positions by M blocks, each an MLP for every position and a rotation, for any n at run time.

    The channels are M + 1 tracks. A rotation leaves the first where it is, and shifts the others around
    the sequence by 1, 2, 4, .., 2**(M - 1) positions::

        X <- X + rotate(mlp_m(norm_m(X)))     for m = 1 .. M

    An mlp is Linear, GELU, Linear. A block leads from a position to those at the offsets of the
    tracks, so M of them lead to all at a distance below 2**M, in no fewer than M to the farthest. Nothing
    but the offsets tells positions apart: shifting the input around shifts the output.

    Published are tracks and offsets, the MLP with its width, the residual, and M = ceil(log2 n). Our choice,
    where we know of several ways or are not sure: the MLP comes first and the residual is around both; a
    LayerNorm before each MLP and none after, where batch norms were published too; the first tracks are
    wider where their number does not divide `dim`; every sample takes all M blocks, and a track whose offset
    is beyond its length goes on around (a network that stops at log2 of each length would do less work).

    Args:
        dim: Channels, one for each track at least; the tracks are as wide as each other, the first
            `dim % (M + 1)` of them one wider.
        hidden: Width of the MLPs.
        blocks: Number of blocks M.
        length: Instead of `blocks`: takes the smallest M with 2**M >= `length`, at least 1. Up to
            that length every position reaches every other; longer inputs run, but do not.
        norm: Normalise before each MLP (LayerNorm).
        dropout: Probability of zeroing an entry after each linear map of the MLPs in training.
        recompute: In training, keep only X between blocks for the backward pass, and compute the MLPs
            again there; not under the transforms of `torch.func`.

    Attributes:
        mlps: One of each block, its norm included.
        offsets: One a track.

    References:
        Khalitov et al., "ChordMixer: A Scalable Neural Attention Model for Sequences with Different
        Lengths", ICLR 2023.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        blocks: int | None = None,
        length: int | None = None,
        norm: bool = True,
        dropout: float = 0.0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        blocks = number_of_factors(blocks, length, "blocks")
        _check_arguments(dim, hidden, blocks, dropout)
        self.dim, self.hidden, self.recompute = dim, hidden, recompute
        self.offsets = chord_offsets(blocks)
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim) if norm else nn.Identity(),
                nn.Linear(dim, hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, dim),
                nn.Dropout(dropout),
            )
            for _ in range(blocks)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                start_with(layer, _xavier)

    @one_node
    def forward(self, x: Tensor, *, mask: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Mix the positions.

        Args:
            x: (batch, n, dim), any n from 1.
            mask: (batch, n), True where a position counts; each sample must have its positions
                first and its padding last. Checked, except while compiling, exporting or mapping (`vmap`).
            lengths: Instead of `mask`: how many positions of each sample count, (batch,) integers.

        Returns:
            (batch, n, dim). Each sample is what it is alone, wrapped at its own length; the
            padding is zero, may hold anything, and gets no gradient.

        Raises:
            ValueError: If shapes do not fit, the mask has padding before a position, or both mask
                and lengths are given.
        """
        if x.dim() != 3 or x.shape[2] != self.dim or 0 in x.shape:
            raise ValueError(
                f"expected (batch, positions, {self.dim}) with a sample and a position at least, got "
                f"{tuple(x.shape)}; build ChordMixer(dim=...) with the channels of the input."
            )
        lengths = resolve_lengths(mask, lengths, *x.shape[:2])
        if lengths is not None:
            # Multiplying by zero would let the NaN of a padding through.
            x = x.where(real_positions(lengths, x), 0)
        # The transforms of `torch.func` keep what they need themselves, and refuse checkpoints.
        recompute = self.recompute and not is_transformed(x, *self.parameters())
        recompute = recompute and self.training and torch.is_grad_enabled()
        for mlp in self.mlps:
            added = checkpoint(mlp, x, use_reentrant=False) if recompute else mlp(x)
            assert isinstance(added, Tensor)
            x = x + rotate(added, self.offsets, lengths=lengths).to(x.dtype)
        return x

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.dim}, {self.hidden}, blocks={len(self.mlps)}, recompute={self.recompute}"


def _xavier(layer: nn.Linear) -> None:
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)


def _check_arguments(dim: int, hidden: int, blocks: int, dropout: float) -> None:
    for name, value in {"dim": dim, "hidden": hidden, "blocks": blocks}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if dim <= blocks:
        raise ValueError(
            f"{blocks} blocks have {blocks + 1} tracks of one channel at least, got dim={dim}; give "
            f"dim={blocks + 1} or more."
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")

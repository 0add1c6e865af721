"""What mixes the positions of a sequence network: ours, nothing, attention, or what is registered."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from subquad.models.sequence.config import SequenceConfig
from subquad.models.sequence.mixer_registry import registered_mixer
from subquad.nn.chordmixer import ChordMixer
from subquad.nn.lengths import real_positions
from subquad.nn.paramixer import Paramixer
from subquad.nn.reset import reset_by, start_with


def make_block(config: SequenceConfig) -> nn.Module:
    """Return a block that maps (values, context) of (batch, n, dim), with lengths, to new values.

    Raises:
        ValueError: If nobody registered the mixer.
    """
    if config.context == "paramixer":
        return Paramixer(
            config.dim,
            config.hidden,
            protocol=config.protocol,
            links=config.links,
            factors=config.factor_count,
            residual=config.residual,
            norm=config.norm,
            start=config.start,
            recompute=config.recompute,
        )
    if config.context == "none":
        return PositionWise(config.dim, config.hidden, config.norm)
    if config.context == "transformer":
        return Transformer(config)
    if config.context == "chordmixer":
        return Rotations(config)
    return registered_mixer(config.context).build(config)


class PositionWise(nn.Module):
    """A Paramixer block without its factors: what is left sees one position at a time."""

    def __init__(self, dim: int, hidden: int, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, values: Tensor, context: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Map each position by itself."""
        return self.mlp(self.norm(values))


class Transformer(nn.Module):
    """PyTorch's encoder layer, batch first, not causal: scaled dot-product attention and an MLP."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            config.dim,
            config.heads,
            dim_feedforward=config.hidden,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        # PyTorch's attention has its reset under another name, and a bias that starts at zero.
        attention = self.layer.self_attn
        reset_by(attention, partial(nn.MultiheadAttention._reset_parameters, attention))
        start_with(attention.out_proj, _zero_bias)

    def forward(self, values: Tensor, context: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Attend to all real positions."""
        padding = None if lengths is None else ~real_positions(lengths, values).squeeze(-1)
        return self.layer(values, src_key_padding_mask=padding)


class Rotations(nn.Module):
    """A ChordMixer, which reads the values alone."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.mixer = ChordMixer(
            config.dim,
            config.hidden,
            blocks=config.factor_count,
            norm=config.norm,
            dropout=config.block_dropout,
            recompute=config.recompute,
        )

    def forward(self, values: Tensor, context: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Mix all real positions."""
        return self.mixer(values, lengths=lengths)


def _zero_bias(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.bias)

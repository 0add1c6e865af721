"""Networks on sequences: embedding, blocks that mix positions, a readout (Yu et al., CVPR 2022)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.network import Network
from subquad.models.registry import register
from subquad.models.sequence.config import SequenceConfig
from subquad.models.sequence.mixers import make_block
from subquad.models.sequence.standard_units import StandardUnits
from subquad.models.tokens import check_tokens
from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.reset import start_with
from subquad.ops.transforms import is_known


@register(SequenceConfig)
class SequenceNetwork(Network):
    """Embedding, blocks that mix positions, a linear readout.

    Every block reads its links off the embedded sequence, and its values off the block before it.

    Args:
        config: Its options.

    Attributes:
        embedding: Tokens to vectors; None for real values, unless `unused_tables`.
        input: Real values to vectors; None for tokens.
        units: Real values to standard units before that; None: as they are.
        target_units: From standard units to those of the values of a regression; None: as they are.
        positions: A vector for each position; None without.
        blocks: Each maps (values, context) of (batch, n, dim) to new values.
        norm: Before the readout; None without.
        classifier: The linear readout.
    """

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.config: SequenceConfig = config  # pyright: ignore[reportIncompatibleVariableOverride]
        tokens, dim = config.vocab_size, config.dim
        self.input = None if tokens is not None else nn.Linear(config.in_features, dim)
        self.units = StandardUnits(config.mean, config.std) if config.mean and config.std else None
        has_table = tokens is not None or config.unused_tables
        self.embedding = nn.Embedding(tokens or 1, dim) if has_table else None
        if self.embedding is not None and config.embedding_range is not None:
            start_with(self.embedding, partial(_uniform, most=config.embedding_range))
        has_positions = config.positions or config.unused_tables
        self.positions = nn.Embedding(config.length, dim) if has_positions else None
        for table, used in ((self.embedding, tokens is not None), (self.positions, config.positions)):
            if table is not None and not used:
                table.requires_grad_(False)  # several processes wait for every gradient
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(make_block(config) for _ in range(config.depth))
        self.block_dropout = nn.Dropout(config.block_dropout if config.drops_blocks else 0.0)
        self.norm = nn.LayerNorm(dim) if config.norm else None
        width = dim * config.length if config.pooling == "flatten" else dim
        self.classifier = nn.Linear(width, config.num_classes)
        is_scaled = (config.target_mean, config.target_std) != (0, 1)
        self.target_units = StandardUnits((config.target_mean,), (config.target_std,)) if is_scaled else None

    def forward(self, inputs: Tensor, *, mask: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Map sequences to logits, or to values for a regression.

        Args:
            inputs: Tokens (batch, n), integers in 0..vocab_size - 1, or values (batch, n, in_features).
                Padding may hold anything.
            mask: (batch, n), True at the real positions, which come first.
            lengths: (batch,), the number of real positions of each sample, at least 1; instead of
                `mask`. Without either, all are real. A sample gives what it gives alone.

        Returns:
            (batch, num_classes).

        Raises:
            ValueError: If the shape or type does not fit, the sequence is longer than its positions
                were learned for, or (on the CPU) a number is that of no token.
        """
        self._check(inputs)
        lengths = resolve_lengths(mask, lengths, *inputs.shape[:2])
        if lengths is not None and is_known(lengths) and int(lengths.min()) < 1:
            raise ValueError(f"every sequence must have a real position, got lengths {lengths.tolist()}.")
        context = self.dropout(self._embedded(inputs, lengths))
        values = self.dropout(context) if self.config.double_dropout else context
        for block in self.blocks:
            mixed = self.block_dropout(block(values, context, lengths=lengths))
            values = values + mixed if self.config.skips else mixed
        if self.norm is not None:
            values = self.norm(values)
        outputs = self.classifier(self._pooled(values, lengths))
        return outputs if self.target_units is None else self.target_units.restore(outputs)

    def _embedded(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        if self.units is not None:  # before the padding becomes 0, which is then the mean of training
            inputs = self.units(inputs)
        if lengths is not None:  # padding may hold anything, NaN and numbers of no token too
            real = real_positions(lengths, inputs)
            inputs = inputs.where(real if inputs.dim() == 3 else real.squeeze(-1), 0)
        if self.input is None:
            assert self.embedding is not None
            check_tokens(inputs, self.embedding.num_embeddings)
            x = self.embedding(inputs.long())
        else:
            # A quantised layer has no parameters, and takes float32.
            x = self.input(inputs.to(next((p.dtype for p in self.input.parameters()), torch.float32)))
        if self.config.positions:
            assert self.positions is not None
            x = x + self.positions.weight[: x.shape[1]]
        return x

    def _pooled(self, values: Tensor, lengths: Tensor | None) -> Tensor:
        if self.config.pooling == "cls":
            return values[:, 0]
        if lengths is not None:
            values = values.where(real_positions(lengths, values), 0)
        if self.config.pooling == "mean":
            if lengths is None:
                return values.mean(dim=1)
            # Sums of half precision overflow, and it cannot hold the lengths.
            total = values.to(torch.promote_types(values.dtype, torch.float32)).sum(dim=1)
            return (total / lengths.to(values.device).clamp_min(1).unsqueeze(1)).to(values.dtype)
        missing = self.config.length - values.shape[1]
        return F.pad(values, (0, 0, 0, missing)).flatten(1)

    def _check(self, inputs: Tensor) -> None:
        config = self.config
        real = config.vocab_size is None
        expected = f"(batch, n, {config.in_features}) values" if real else "(batch, n) integer tokens"
        fits = inputs.dim() == 3 and inputs.shape[2] == config.in_features if real else inputs.dim() == 2
        is_wrong = inputs.is_floating_point() != real or inputs.dtype == torch.bool
        if not fits or is_wrong or inputs.shape[1] < 1:
            raise ValueError(f"expected {expected}, got {tuple(inputs.shape)} of {inputs.dtype}.")
        # In this order: the tracer of an export would take the length for a bound.
        if config.longest is not None and inputs.shape[1] > config.longest:
            what = "positions are learned" if config.positions else "its readout is built"
            raise ValueError(
                f"a sequence of {inputs.shape[1]} is longer than the {config.longest} that {what} for; "
                f"build the network with length={inputs.shape[1]}, or cut the sequence."
            )


def _uniform(table: nn.Embedding, most: float) -> None:
    nn.init.uniform_(table.weight, -most, most)

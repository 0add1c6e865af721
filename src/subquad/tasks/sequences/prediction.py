"""What a network says of sequences of any lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from subquad.engine.progress import note
from subquad.nn.mode import evaluating


@contextmanager
def hashing_alike(device: torch.device) -> Iterator[None]:
    """Let what hashes at random do it the same way each time, and leave the random numbers as they were.

    Args:
        device: Where the network is.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


@torch.no_grad()
def predict_sequences(network: nn.Module, sequences: Sequence[Tensor], batch_size: int = 64) -> Tensor:
    """Return what a network says of each sequence, which is what it says of it alone.

    Sequences of like length share a batch, whatever their order; of one length for those rivals that
    have no exact mask. What hashes at random does it the same way each time.

    Args:
        network: A sequence network of `create_model`, on any device; used in evaluation mode.
        sequences: At least one: tokens (n,) or values (n, in_features), each of its own length n.
        batch_size: Sequences at a time, at least 1.

    Returns:
        Logits, or values of a regression: float32 (sequences, num_classes) on the CPU, in the order given.
    """
    config: Any = network.config
    device = next(network.parameters()).device
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    order = lengths.argsort(stable=True)
    groups = [order]
    if not config.mixes_lengths:
        groups = order.split(lengths.unique(return_counts=True)[1].tolist())
    outputs = []
    with evaluating(network), hashing_alike(device):
        for batch in (batch for group in groups for batch in group.split(batch_size)):
            note(f"{sum(map(len, outputs)):,} of {len(order):,} sequences")
            inputs = pad_sequence([sequences[index] for index in batch.tolist()], batch_first=True)
            outputs.append(network(inputs.to(device), lengths=lengths[batch]).float().cpu())
    return torch.cat(outputs)[order.argsort()]

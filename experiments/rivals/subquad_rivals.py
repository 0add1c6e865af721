"""Linformer, Performer, Nyströmformer and Reformer in Paramixer's place: importing this registers them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from subquad.models import SequenceConfig, register_mixer
from subquad.nn.lengths import real_positions

LANDMARKS = 256  # of Linformer and Nyströmformer, as published for these comparisons


class Packaged(nn.Module):
    """A rival of another package, none of them causal.

    Args:
        network: Maps (batch, n, dim) to the same shape.
        mask: The name of its option that hides padding; None if it has none.
        multiple: n is padded with zeros to a multiple of this.

    They are for sequences of one length. What is padded changes the answer even where there is a mask:
    Nyströmformer's landmarks are segments of the padded length, in Performer the padding counts in the
    sum that normalises, in Reformer it takes part in the sorting.
    """

    def __init__(self, network: nn.Module, *, mask: str | None = None, multiple: int = 1) -> None:
        super().__init__()
        self.network, self.mask, self.multiple = network, mask, multiple
        # Performer and Reformer hold parts of themselves under two names; a file holds each tensor once.
        self.second_names = _second_names(self)
        self.register_state_dict_post_hook(_drop_second_names)
        self.register_load_state_dict_pre_hook(_add_second_names)

    def forward(self, values: Tensor, context: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Mix the positions.

        Raises:
            ValueError: If sequences differ in length.
        """
        n = values.shape[1]
        if lengths is not None:
            raise ValueError(
                f"{type(self.network).__name__} has no exact mask, so sequences of different lengths cannot "
                f"share a batch; give batches of one length."
            )
        x = nn.functional.pad(values, (0, 0, 0, -n % self.multiple))
        if self.mask is None or x.shape[1] == n:
            return self.network(x)[:, :n]
        real = torch.full((len(x),), n)
        return self.network(x, **{self.mask: real_positions(real, x).squeeze(-1)})[:, :n]


def _second_names(module: nn.Module) -> dict[str, str]:
    """Return the further names of tensors that have several, each with the first."""
    first: dict[Tensor, str] = {}
    tensors = module.state_dict(keep_vars=True)
    return {name: first[x] for name, x in tensors.items() if first.setdefault(x, name) != name}


def _drop_second_names(module: Any, state: dict[str, Tensor], prefix: str, local_metadata: Any) -> None:
    for name in module.second_names:
        del state[prefix + name]


def _add_second_names(module: Any, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    for name, first in module.second_names.items():
        if prefix + first in state:
            state[prefix + name] = state[prefix + first]


def _linformer(config: SequenceConfig) -> nn.Module:
    package = _package("linformer")
    return Packaged(
        package.Linformer(
            config.dim,
            config.length,
            depth=1,
            k=min(LANDMARKS, config.length),
            heads=config.heads,
            one_kv_head=True,
            share_kv=True,
        )
    )


def _performer(config: SequenceConfig) -> nn.Module:
    package = _package("performer_pytorch")
    return Packaged(
        package.Performer(
            dim=config.dim, depth=1, heads=config.heads, dim_head=config.dim // config.heads, causal=False
        )
    )


def _nystromformer(config: SequenceConfig) -> nn.Module:
    package = _package("nystrom_attention")
    return Packaged(
        package.Nystromformer(
            dim=config.dim,
            depth=1,
            heads=config.heads,
            dim_head=config.dim // config.heads,
            num_landmarks=min(LANDMARKS, config.length),
        ),
        mask="mask",
    )


def _reformer(config: SequenceConfig) -> nn.Module:
    package = _package("reformer_pytorch")
    bucket = 64
    return Packaged(
        package.Reformer(
            dim=config.dim, depth=1, heads=config.heads, bucket_size=bucket, n_hashes=8, causal=False
        ),
        mask="input_mask",
        multiple=2 * bucket,
    )


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(
            f"this mixer needs the package {name.replace('_', '-')}: pip install ./experiments/rivals"
        ) from error


register_mixer("linformer", _linformer, paper="Wang et al., Linformer, 2020")
register_mixer("performer", _performer, paper="Choromanski et al., ICLR 2021")
register_mixer("nystromformer", _nystromformer, paper="Xiong et al., AAAI 2021")
register_mixer("reformer", _reformer, paper="Kitaev et al., ICLR 2020")

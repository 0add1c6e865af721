"""The output gates of all causal mixers let through what was mixed, before anything is learned."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import reset_after_meta
from subquad.nn import CausalAttention, CausalConvolution, CausalHam, CausalParamixer

MIXERS = {
    "attention": lambda: CausalAttention(64),
    "ham": lambda: CausalHam(64),
    "paramixer": lambda: CausalParamixer(64, factors=3),
    "convolution": lambda: CausalConvolution(64, factors=3),
}


def gates(mixer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if hasattr(mixer, "input"):
        return F.silu(mixer.input(x)[..., 64:])
    return F.silu(mixer.gate(x))


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("on_meta", [False, True])
def test_gates_start_open(name, on_meta):
    mixer = reset_after_meta(MIXERS[name]) if on_meta else MIXERS[name]()
    assert gates(mixer, torch.zeros(1, 64)).sub(1).abs().max() < 1e-6
    open_ = gates(mixer, torch.randn(100, 64))  # of what a norm gives
    assert (open_ > 0.1).float().mean() > 0.95
    if hasattr(mixer, "input"):
        assert not mixer.input.bias[:64].any()  # of what is mixed

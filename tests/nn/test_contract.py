"""check_mixer finds each broken promise."""

import pytest
import torch
from torch import nn

from subquad.nn import Ham, NoContext, SelfAttention, check_mixer


class Broken(nn.Module):
    """Mixes nothing, and breaks one promise."""

    def __init__(self, promise):
        super().__init__()
        self.promise = promise

    def forward(self, x, mask=None):
        if self.promise == "same input, same output":
            return x + 1e-3 * torch.rand_like(x)
        if self.promise == "alone as in a batch":
            return x + x.mean(dim=0)
        if self.promise == "any size":
            return (
                x[..., : max(1, x.shape[-1] // 2)].repeat_interleave(2, -1)[..., : x.shape[-1]]
                if x.shape[-1] > 5
                else x[..., :0]
            )
        if self.promise == "finite for zeros":
            return x / x.square().sum(1, keepdim=True).sqrt()
        if self.promise == "padded equals cropped":
            return x + x.mean(dim=-1, keepdim=True)
        if self.promise == "channels_last":
            return x + float(x.is_contiguous())
        return x


PROMISES = [
    "same input, same output",
    "alone as in a batch",
    "any size",
    "finite for zeros",
    "padded equals cropped",
    "channels_last",
]


@pytest.mark.parametrize("promise", PROMISES)
def test_finds_a_broken_promise(promise):
    report = check_mixer(Broken(promise), lambda: torch.rand(2, 4, 5, 6))
    assert promise in {check.name for check in report.checks if not check.passed}
    assert not report
    with pytest.raises(AssertionError, match=promise):
        report.raise_if_failed()


def test_a_leaking_gradient_is_found():
    class Leaky(nn.Module):
        def forward(self, x, mask=None):
            return x + 0 * x if mask is None else x + 1e-12 * x.sum(dim=-1, keepdim=True)

    names = {c.name for c in check_mixer(Leaky(), lambda: torch.rand(2, 4, 6)).checks if not c.passed}
    assert names == {"no gradient reaches the padding"}


def test_leaves_the_module_and_the_random_state_alone():
    ham = Ham(8, 3, start="running").train()
    before = ham.dictionary.clone()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert check_mixer(ham, lambda: torch.full((2, 8, 5), 0.5) + torch.arange(5.0))
    assert torch.equal(torch.rand(1), expected)
    assert ham.training and torch.equal(ham.dictionary, before)


def test_rivals_keep_the_promises():
    for module in (SelfAttention(8, heads=2), NoContext()):
        check_mixer(module, lambda: torch.randn(2, 8, 5, 6)).raise_if_failed()


def test_sequences_have_their_positions_elsewhere():
    class Rows(nn.Module):
        def forward(self, x, mask=None):
            x = x if mask is None else x.where(mask.unsqueeze(-1), 0)
            return x.cumsum(dim=1)

    assert check_mixer(Rows(), lambda: torch.randn(2, 7, 4), spatial=(1,))
    with pytest.raises(ValueError, match="two samples and positions at least, got \\(1, 7, 4\\)"):
        check_mixer(Rows(), lambda: torch.randn(1, 7, 4))

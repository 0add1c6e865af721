"""Dilated depthwise convolutions by phases: the same sums."""

import pytest
import torch
from torch import nn

from subquad.models.backbones.van import DilatedDepthwise
from subquad.nn import dilated
from subquad.nn.dilated import convolve_phases, gains_by_phases, has_phases


@pytest.mark.parametrize("size", [(9, 12), (10, 7), (1, 1), (2, 31)])
@pytest.mark.parametrize(("kernel", "dilation"), [((7, 7), 3), ((3, 5), 2)])
def test_the_same_in_float64(size, kernel, dilation):
    padding = tuple(dilation * (k // 2) for k in kernel)
    conv = nn.Conv2d(6, 12, kernel, padding=padding, dilation=dilation, groups=6).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    assert has_phases(conv)
    by_phases = convolve_phases(x, conv.weight, conv.bias, dilation)
    torch.testing.assert_close(by_phases, conv(x), rtol=1e-12, atol=1e-12)
    assert by_phases.is_contiguous(memory_format=torch.channels_last)


def test_gradients():
    conv = nn.Conv2d(2, 2, 3, padding=2, dilation=2, groups=2).double()
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, w, b: convolve_phases(x, w, b, 2), (x, conv.weight, conv.bias), fast_mode=True
    )


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 1, "padding": 1},
        {"dilation": 2, "padding": 1},
        {"dilation": (2, 3), "padding": (2, 3)},
        {"dilation": 2, "padding": 2, "stride": 2},
        {"dilation": 2, "padding": 2, "padding_mode": "reflect"},
        {"dilation": 2, "padding": "same"},
        {"dilation": 2, "padding": 2, "groups": 2},
    ],
)
def test_other_convolutions_have_none(options):
    assert not has_phases(nn.Conv2d(4, 4, 3, **{"groups": 4, **options}))


def test_van_takes_them_where_channels_are_last(monkeypatch):
    calls = []
    monkeypatch.setattr(dilated, "convolve_phases", lambda *a: calls.append(a) or convolve_phases(*a))
    conv = DilatedDepthwise(8, 8, 7, padding=9, dilation=3, groups=8)
    x = torch.randn(1, 8, 20, 22)
    plain = conv(x)
    assert not calls and not gains_by_phases(x)
    torch.testing.assert_close(conv(x.contiguous(memory_format=torch.channels_last)), plain)
    assert len(calls) == 1
    program = torch.export.export(conv, (x.contiguous(memory_format=torch.channels_last),))
    assert len(calls) == 1, "an export keeps the operator"
    del program

"""ShortConv is a causal sum, whatever the parts it is given in."""

import pytest
import torch

from subquad.nn.causal_conv import ShortConv


def written_out(conv, x):
    """Return the sums as loops, nothing before the first."""
    y = conv.bias.expand_as(x).clone()
    for i in range(x.shape[1]):
        for k in range(min(conv.width, i + 1)):
            y[:, i] += conv.weight[:, 0, conv.width - 1 - k] * x[:, i - k]
    return y


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_is_the_sum_written_out_at_once_in_parts_and_step_by_step(length, width):
    conv = ShortConv(3, width).double()
    x = torch.randn(2, length, 3, dtype=torch.float64)
    expected = written_out(conv, x)
    whole, end = conv(x)
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-12)
    for split in range(1, length):
        first, tail = conv(x[:, :split])
        rest, tail = conv(x[:, split:], tail)
        torch.testing.assert_close(torch.cat((first, rest), 1), expected, rtol=0, atol=1e-12)
        assert torch.equal(tail, end)
    tail = x.new_zeros(2, width - 1, 3)
    for i in range(length):
        y, tail = conv.step(x[:, i], tail)
        torch.testing.assert_close(y, expected[:, i], rtol=0, atol=1e-12)
    assert torch.equal(tail, end)


@pytest.mark.parametrize("before", [False, True])
def test_the_tail_of_each_sample_is_its_own(before):
    conv, x = ShortConv(2), torch.randn(4, 5, 2)
    start = torch.randn(4, 3, 2) if before else None
    lengths = torch.tensor([5, 2, 0, 4])
    _, tail = conv(x, start, lengths)
    start = torch.zeros(4, 3, 2) if start is None else start
    for sample, length in enumerate(lengths):
        rows = torch.cat((start[sample], x[sample, :length]))
        assert torch.equal(tail[sample], rows[-3:])


def test_nothing_comes_from_later():
    conv = ShortConv(3).double()
    x = torch.randn(1, 9, 3, dtype=torch.float64, requires_grad=True)
    y, _ = conv(x)
    (grad,) = torch.autograd.grad(y[:, 4].sum(), x)
    assert not grad[:, 5:].any() and not grad[:, 0].any() and grad[:, 1:5].all()
    changed = x.detach().clone()
    changed[:, 5:] = torch.nan
    assert torch.equal(conv(changed)[0][:, :5], y[:, :5])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_those_of_float32_under_autocast_too(dtype):
    conv, x = ShortConv(3), torch.randn(2, 9, 3).to(dtype)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1, -1, 1, -1]) / 3 + 1e-3 * conv.weight)  # which cancel
    expected = conv(x.double())[0].to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        y, tail = conv(x)
        last, _ = conv.step(x[:, -1], x[:, -4:-1])
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last, expected[:, -1])
    assert tail.dtype == dtype


@pytest.mark.parametrize(("dim", "width"), [(0, 4), (3, 0)])
def test_impossible_sizes(dim, width):
    with pytest.raises(ValueError, match=f"must be at least 1, got dim={dim} and width={width}"):
        ShortConv(dim, width)

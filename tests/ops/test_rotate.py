"""Tracks of channels rotate by their offsets: a permutation, and so are its derivatives."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vjp, vmap

from subquad.ops import rotate
from subquad.ops.rotate import track_sizes

OFFSETS = (0, 1, -2, 40)
LENGTHS = [None, torch.tensor([11, 4, 0]), torch.tensor([5, 5, 1]), torch.tensor([11, 11, 11])]


def by_hand(x, offsets, lengths=None):
    y, first = torch.zeros_like(x), 0
    for track, offset in enumerate(offsets):
        width = x.shape[2] // len(offsets) + (track < x.shape[2] % len(offsets))
        for sample in range(len(x)):
            n = x.shape[1] if lengths is None else int(lengths[sample])
            for i in range(n):
                columns = slice(first, first + width)
                y[sample, i, columns] = x[sample, (i + offset) % n, columns]
        first += width
    assert first == x.shape[2]
    return y


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("offsets", [OFFSETS, (3,), (0, 1, 2, 4, 8, 16, 32)])
def test_takes_rows_further_on(offsets, lengths):
    x = torch.randn(3, 11, 7)
    assert torch.equal(rotate(x, offsets, lengths=lengths), by_hand(x, offsets, lengths))


def test_widths_of_the_tracks():
    assert track_sizes(7, 4) == [2, 2, 2, 1]
    for dim in range(1, 40):
        for tracks in range(1, dim + 1):
            assert track_sizes(dim, tracks) == [len(part) for part in torch.arange(dim).tensor_split(tracks)]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_is_a_permutation(lengths):
    x = torch.randn(3, 11, 7)
    if lengths is not None:
        x = x.where((torch.arange(11) < lengths[:, None]).unsqueeze(-1), 0)
    y = rotate(x, OFFSETS, lengths=lengths)
    assert torch.equal(y.sort(1).values, x.sort(1).values)  # of every channel, so norms are kept
    back = tuple(-offset for offset in OFFSETS)
    assert torch.equal(rotate(y, back, lengths=lengths), x)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_the_gradient_is_the_opposite_rotation_and_keeps_nothing(lengths):
    x, grad = torch.randn(3, 11, 7, requires_grad=True), torch.randn(3, 11, 7)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = rotate(x, OFFSETS, lengths=lengths)
    assert not kept
    expected = rotate(grad, tuple(-offset for offset in OFFSETS), lengths=lengths)
    assert torch.equal(torch.autograd.grad(y, x, grad)[0], expected)


def test_derivatives_of_any_order_and_in_both_modes():
    x, lengths = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True), torch.tensor([5, 3])
    assert gradcheck(lambda x: rotate(x, OFFSETS, lengths=lengths), x, check_forward_ad=True)
    assert gradgradcheck(lambda x: rotate(x.square(), OFFSETS, lengths=lengths), x)


def test_transforms():
    x, lengths = torch.randn(4, 2, 5, 4), torch.tensor([[5, 3], [1, 0], [5, 5], [2, 4]])
    together = vmap(lambda x, lengths: rotate(x, OFFSETS, lengths=lengths))(x, lengths)
    assert torch.equal(
        together,
        torch.stack([rotate(*pair[:1], OFFSETS, lengths=pair[1]) for pair in zip(x, lengths, strict=True)]),
    )
    y, along = jvp(lambda x: rotate(x, OFFSETS), (x[0],), (x[1],))
    assert torch.equal(y, rotate(x[0], OFFSETS)) and torch.equal(along, rotate(x[1], OFFSETS))
    assert torch.equal(vjp(lambda x: rotate(x, OFFSETS), x[0])[1](x[1])[0], rotate(x[1], (0, -1, 2, -40)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_any_type_is_kept(dtype):
    x = torch.arange(30).view(1, 6, 5).to(dtype)
    y = rotate(x, OFFSETS)
    assert y.dtype == dtype and torch.equal(y, by_hand(x, OFFSETS))


@pytest.mark.compile
def test_compiled_it_moves_the_same_rows_both_ways():
    lengths = torch.tensor([11, 4, 0])
    compiled = torch.compile(lambda x, lengths: rotate(x, OFFSETS, lengths=lengths), fullgraph=True)
    x, grad = torch.randn(3, 11, 7, requires_grad=True), torch.randn(3, 11, 7)
    for given in (None, lengths):
        y, expected = compiled(x, given), rotate(x, OFFSETS, lengths=given)
        assert torch.equal(y, expected)
        assert torch.equal(*(torch.autograd.grad(each, x, grad)[0] for each in (y, expected)))


@pytest.mark.parametrize(
    ("shape", "offsets", "lengths", "message"),
    [
        ((2, 5), (0,), None, r"x must be \(batch, positions, dim\) .* got \(2, 5\)"),
        ((2, 0, 4), (0,), None, r"got \(2, 0, 4\)"),
        ((2, 5, 3), OFFSETS, None, "a channel at least, got 4 offsets for 3 channels"),
        ((2, 5, 3), (), None, "got 0 offsets"),
        ((2, 5, 4), OFFSETS, torch.tensor([5, 6]), r"lengths must be 0 to 5, .* got \[5, 6\]"),
    ],
)
def test_wrong_input(shape, offsets, lengths, message):
    with pytest.raises(ValueError, match=message):
        rotate(torch.zeros(shape), offsets, lengths=lengths)

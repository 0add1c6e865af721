"""Packed documents, and padded ones, are what they are alone: in any causal mixer, exactly."""

import pytest
import torch

from subquad.nn import CausalConvolution, CausalParamixer
from subquad.nn.causal import CausalMixer
from subquad.nn.packing import each_alone

SEGMENTS = torch.tensor([[4, 4, 4, 0, 0, 4, 7, 7, 7], [4, 4, 1, 1, 1, 1, 1, 1, 1]])
DOCUMENTS = [
    (0, 0, 3),
    (0, 3, 5),
    (0, 5, 6),
    (0, 6, 9),
    (1, 0, 2),
    (1, 2, 9),
]  # row, first, one past the last


class Running(CausalMixer):
    """The smallest mixer: the sum of all so far."""

    def init_cache(self, batch, device=None, dtype=None):
        return {"sum": torch.zeros(batch, self.dim, device=device, dtype=dtype)}

    def step(self, x_t, cache):
        total = cache["sum"] + x_t
        return total, {"sum": total}

    def _mix(self, x, cache, lengths, keep):
        if cache is not None:
            x = torch.cat((x[:, :1] + cache["sum"].unsqueeze(1), x[:, 1:]), 1)
        y = x.cumsum(1)
        return y, {"sum": y[:, -1]}  # padding is zero


@pytest.fixture(params=["sum", "paramixer", "convolution"])
def mixer(request):
    made = {
        "sum": lambda: Running(4),
        "paramixer": lambda: CausalParamixer(4, factors=4, heads=2),
        "convolution": lambda: CausalConvolution(4, factors=4, heads=2),
    }[request.param]()
    return made.double()


def problem():
    return torch.randn(2, 9, 4, dtype=torch.float64)


def test_documents_have_rows_of_their_own_with_others_as_long():
    x, seen = problem(), []

    def mix(rows, lengths):
        seen.append((tuple(rows.shape[:2]), lengths.tolist()))
        for row, length in zip(rows, lengths.tolist(), strict=True):
            assert row[:length].all() and not row[length:].any()
        return rows

    assert torch.equal(each_alone(mix, x, SEGMENTS), x)
    assert seen == [((1, 1), [1]), ((4, 3), [3, 2, 3, 2]), ((1, 7), [7])]


def test_many_short_documents_beside_a_long_one_are_not_as_long():
    segments, cells = torch.arange(1000).clamp_min(500)[None], []

    def mix(rows, lengths):
        cells.append(rows.shape[0] * rows.shape[1])
        return rows

    each_alone(mix, torch.randn(1, 1000, 1), segments)
    assert sum(cells) <= 2000


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_packed_is_what_each_is_alone(mixer, dtype):
    x, segments = problem(), SEGMENTS
    if dtype == torch.bool:
        segments = segments == 4
    packed = mixer(x, segment_ids=segments.to(dtype))
    for row, first, last in DOCUMENTS:
        alone = mixer(x[row : row + 1, first:last])[0]
        torch.testing.assert_close(packed[row, first:last], alone, rtol=0, atol=1e-12)


def test_nothing_leaks_from_one_document_into_another(mixer):
    x = problem().requires_grad_()
    y = mixer(x, segment_ids=SEGMENTS)
    for row, first, last in DOCUMENTS:
        (grad,) = torch.autograd.grad(y[row, first:last].square().sum(), x, retain_graph=True)
        assert grad[row, first:last].any()
        grad[row, first:last] = 0
        assert not grad.any()
    changed = x.detach().clone()
    changed[0, 3:6], changed[1, 2:] = torch.nan, torch.inf
    others = mixer(changed, segment_ids=SEGMENTS)
    for row, first, last in (DOCUMENTS[0], DOCUMENTS[3], DOCUMENTS[4]):
        torch.testing.assert_close(others[row, first:last], y[row, first:last], rtol=0, atol=1e-12)


def test_gradients_are_those_of_documents_alone(mixer):
    x = problem().requires_grad_()
    weights = [x, *mixer.parameters()]
    packed = torch.autograd.grad(mixer(x, segment_ids=SEGMENTS).square().sum(), weights)
    alone = [mixer(x[row : row + 1, first:last]).square().sum() for row, first, last in DOCUMENTS]
    expected = torch.autograd.grad(torch.stack(alone).sum(), weights)
    for found, wanted in zip(packed, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("lengths", [(9, 4), (9, 9), (0, 1)])
def test_padding_gives_nothing_and_gets_nothing(mixer, lengths):
    x, counts = problem(), torch.tensor(lengths)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan
    x.requires_grad_()
    y, cache = mixer(x, return_cache=True, lengths=counts)
    grads = torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])
    assert all(part.isfinite().all() for part in grads)
    for row, length in enumerate(lengths):
        assert not y[row, length:].any() and not grads[0][row, length:].any()
        if not length:
            continue
        alone, own = mixer(x[row : row + 1, :length], return_cache=True)
        torch.testing.assert_close(y[row, :length], alone[0], rtol=0, atol=1e-12)
        for name in own:
            torch.testing.assert_close(cache[name][row], own[name][0], rtol=0, atol=1e-12)


def test_a_cache_of_lengths_goes_on(mixer):
    x, more = problem(), problem()
    _, cache = mixer(x, return_cache=True, lengths=torch.tensor([9, 4]))
    y = mixer(more, cache)
    for row, length in enumerate((9, 4)):
        whole = mixer(torch.cat((x[row, :length], more[row]))[None])[0]
        torch.testing.assert_close(y[row], whole[length:], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment_ids": SEGMENTS[:1]}, r"must be integers \(2, 9\), .* got torch.int64 \(1, 9\)"),
        ({"segment_ids": SEGMENTS.float()}, "one a position, got torch.float32"),
        ({"segment_ids": SEGMENTS, "return_cache": True}, "whole documents, got a cache or lengths too"),
        ({"segment_ids": SEGMENTS, "lengths": torch.tensor([9, 9])}, "give each document a row of its own"),
        ({"segment_ids": SEGMENTS, "cache": {}}, "got a cache or lengths too"),
        ({"lengths": torch.tensor([10, 1])}, r"lengths must be 0 to 9, .* got \[10, 1\]"),
        ({"lengths": torch.tensor([1.0, 1.0])}, "lengths must be 2 integers, .* got torch.float32"),
        ({"lengths": torch.tensor([1])}, "one a sample, got torch.int64"),
    ],
)  # fmt: skip
def test_refusals(mixer, options, message):
    with pytest.raises(ValueError, match=message):
        mixer(problem(), **options)


@pytest.mark.parametrize("shape", [(2, 4), (2, 9, 3), (0, 9, 4), (2, 0, 4)])
def test_wrong_shapes(mixer, shape):
    with pytest.raises(ValueError, match=r"expected \(batch, positions, 4\) with a sample .* build "):
        mixer(torch.zeros(shape))

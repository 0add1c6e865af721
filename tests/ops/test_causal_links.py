"""Causal links are a product with triangular matrices, whichever way it is computed."""

import math

import pytest
import torch
from torch.func import functional_call, grad, hessian, jvp, vmap

from subquad.bench.memory import memory_of
from subquad.ops import causal_link_blocks as blocks_module
from subquad.ops import causal_link_chain, causal_link_mix
from subquad.ops.causal_links import causal_link_part, causal_link_step

CASES = {  # batch, n, dim, factors, heads, width of the hidden layer
    "short": (2, 1, 2, 1, 1, 1),
    "odd": (2, 7, 6, 3, 3, 5),
    "heads of one": (1, 12, 4, 4, 4, 3),
    "reach beyond the start": (3, 9, 4, 5, 2, 2),
    "same everywhere": (2, 9, 4, 4, 2, None),
}


def problem(batch, n, dim, factors, heads, width, dtype=torch.float64):
    shapes = [(batch, n, dim), (factors, heads)]
    shapes += [] if width is None else [(batch, n, width), (factors, heads, width)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def dense(gates, offset):
    """Return the matrices (batch, heads, n, n) of a factor, not scaled."""
    n = gates.shape[1]
    matrix = torch.diag_embed(1 - gates.mT)
    for i in range(offset, n):
        matrix[:, :, i, i - offset] = gates[:, i]
    return matrix


def by_matrices(values, logits, hidden=None, weight=None):
    """Return what the factors make of the values, one product with a matrix each."""
    (batch, n), (factors, heads) = values.shape[:2], logits.shape
    gates = logits.expand(batch, n, factors, heads)
    if hidden is not None:
        gates = gates + torch.einsum("bnk,mhk->bnmh", hidden, weight)
    y = values.unflatten(2, (heads, -1)).transpose(1, 2)
    for m in range(factors):
        y = math.sqrt(2) * dense(gates[:, :, m].sigmoid(), 2**m) @ y
    return y.transpose(1, 2).flatten(2)


def plain_chain(*arguments):
    return causal_link_chain(*arguments, impl="reference")


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(params=[1, 40, 2**18], ids=["single", "some", "whole"])
def block(request, monkeypatch):
    """How many entries are taken at a time: one head of one sample, several, all."""
    monkeypatch.setattr(blocks_module, "_BLOCK", request.param)


@pytest.mark.parametrize("offset", [1, 3, 8, 100])
@pytest.mark.parametrize("before", [False, True])
def test_a_factor_is_a_matrix(offset, before):
    values, gates = torch.randn(2, 8, 6), torch.rand(2, 8, 3)
    past = torch.randn(2, offset, 6) if before else torch.zeros(2, offset, 6)
    longer, all_gates = torch.cat((past, values), 1), torch.cat((torch.zeros(2, offset, 3), gates), 1)
    y = dense(all_gates, offset) @ longer.unflatten(2, (3, 2)).transpose(1, 2)
    expected = y.transpose(1, 2).flatten(2)[:, offset:]
    given = past if before else None
    torch.testing.assert_close(causal_link_mix(values, gates, offset, before=given), math.sqrt(2) * expected)
    torch.testing.assert_close(causal_link_mix(values, gates, offset, scale=1, before=given), expected)


@pytest.mark.parametrize("layout", ["rows", "channels"])
@pytest.mark.parametrize("case", CASES)
def test_numbers_and_gradients_are_those_of_the_matrices(case, layout, block, deterministic):
    arguments = problem(*CASES[case])
    if layout == "channels":
        arguments[0] = arguments[0].detach().mT.contiguous().mT.requires_grad_()
    expected = by_matrices(*arguments)
    cotangent = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, arguments, cotangent)
    for way in (causal_link_chain, plain_chain):
        y = way(*arguments)
        same(y, expected)
        same(torch.autograd.grad(y, arguments, cotangent), wanted)


@pytest.mark.parametrize("needed", [(0,), (1,), (2,), (0, 3), (1, 2)])
def test_only_the_gradients_that_are_asked_for(needed):
    arguments = problem(*CASES["odd"])
    cotangent = torch.randn_like(arguments[0])
    wanted = torch.autograd.grad(causal_link_chain(*arguments), arguments, cotangent)
    some = [x if i in needed else x.detach() for i, x in enumerate(arguments)]
    found = torch.autograd.grad(causal_link_chain(*some), [some[i] for i in needed], cotangent)
    assert all(map(torch.equal, found, [wanted[i] for i in needed]))


def test_nothing_comes_from_later(block):
    arguments = problem(2, 20, 6, 5, 3, 4)
    values, _, hidden, _ = arguments
    y = causal_link_chain(*arguments)
    later = torch.autograd.grad(y[:, :13].square().sum(), (values, hidden))
    assert not any(part[:, 13:].any() for part in later) and all(part[:, :13].all() for part in later)
    with torch.no_grad():
        values[:, 13:], hidden[:, 13:] = torch.nan, torch.inf
        assert torch.equal(causal_link_chain(*arguments)[:, :13], y[:, :13])


def test_only_the_arguments_are_kept_and_little_is_beside_them(monkeypatch):
    """By ordinary operations the values of all factors are kept, 30 times as much."""
    arguments = problem(1, 1024, 32, 10, 16, 8, torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        causal_link_chain(*arguments)
    assert {x.data_ptr() for x in kept} == {x.data_ptr() for x in arguments}
    monkeypatch.setattr(blocks_module, "_BLOCK", 2**11)
    size = 4 * arguments[0].numel()
    both = []
    for way in (causal_link_chain, plain_chain):

        def run(way=way):
            y = way(*arguments)
            torch.autograd.grad(y, arguments, torch.ones_like(y))

        run()
        both.append(memory_of(run, torch.device("cpu")).peak / size)
    assert both[0] < 6 and both[1] > 15, both


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("way", [causal_link_chain, plain_chain])
def test_sums_are_those_of_float32_under_autocast_too(way, dtype):
    arguments = [x.detach().to(dtype).requires_grad_() for x in problem(2, 60, 6, 6, 3, 4)]
    exact = [x.detach().double().requires_grad_() for x in arguments]
    expected = by_matrices(*exact)
    cotangent = torch.randn_like(expected).to(dtype)
    wanted = torch.autograd.grad(expected, exact, cotangent.double())
    with torch.autocast("cpu", torch.bfloat16):
        y = way(*arguments)
        if way is causal_link_chain:  # else PyTorch differentiates, by what autocast makes of it
            found = torch.autograd.grad(y, arguments, cotangent)
    if way is not causal_link_chain:
        found = torch.autograd.grad(y, arguments, cotangent)
    assert {x.dtype for x in (y, *found)} == {dtype}
    # As near as rounding the results allows, and the roundings of a sum in float32.
    rounding = torch.finfo(dtype).eps
    for x, exactly in zip((y, *found), (expected, *wanted), strict=True):
        torch.testing.assert_close(x.double(), exactly, rtol=rounding, atol=rounding / 100 + 1e-4)


@pytest.mark.parametrize("case", ["odd", "same everywhere"])
def test_second_derivatives(case, block):
    arguments = problem(*CASES[case])
    assert torch.autograd.gradcheck(causal_link_chain, arguments)
    assert torch.autograd.gradgradcheck(causal_link_chain, arguments, fast_mode=True)


def test_second_derivatives_where_the_gates_follow_the_values():
    x, logits, _, weight = problem(1, 5, 2, 2, 2, 2)

    def loss(x, chain):
        values = x * 2
        return chain(values, logits.detach(), values.sin(), weight.detach()).square().sum()

    found = torch.autograd.functional.hessian(lambda x: loss(x, causal_link_chain), x.detach())
    same(found, torch.autograd.functional.hessian(lambda x: loss(x, by_matrices), x.detach()))


def test_transforms_of_torch_func():
    arguments = [x.detach() for x in problem(*CASES["odd"])]

    def loss(*some):
        return causal_link_chain(*some).sin().sum()

    every = (0, 1, 2, 3)
    tangents = tuple(torch.randn_like(x) for x in arguments)
    _, along = jvp(loss, tuple(arguments), tangents)
    back = grad(loss, argnums=every)(*arguments)
    same(along, sum((t * g).sum() for t, g in zip(tangents, back, strict=True)))
    inputs = tuple(x.clone().requires_grad_() for x in arguments)
    same(list(back), list(torch.autograd.grad(loss(*inputs), inputs)))
    second = hessian(loss)(*arguments)
    same(second, torch.autograd.functional.hessian(lambda x: loss(x, *arguments[1:]), arguments[0]))
    many = torch.randn(3, *arguments[0].shape, dtype=torch.float64)
    mapped = vmap(lambda x: causal_link_chain(x, *arguments[1:]))(many)
    same(mapped, torch.stack([causal_link_chain(x, *arguments[1:]) for x in many]))


class Chain(torch.nn.Module):
    def forward(self, values, logits, hidden, weight):
        return causal_link_chain(values, logits, hidden, weight)


@pytest.mark.slow
@pytest.mark.compile
def test_compiles_whole_for_any_length():
    compiled = torch.compile(Chain(), fullgraph=True, dynamic=True)
    for n in (9, 14):
        arguments = problem(2, n, 4, 2, 2, 3, torch.float32)
        results = []
        for way in (compiled, Chain()):
            y = way(*arguments)
            results.append((y, *torch.autograd.grad(y.square().sum(), arguments)))
        torch.testing.assert_close(*results)


def test_exports_for_any_length():
    arguments = tuple(x.detach() for x in problem(2, 9, 4, 3, 2, 3, torch.float32))
    size = torch.export.Dim("n", min=2)
    shapes = {"values": {1: size}, "logits": None, "hidden": {1: size}, "weight": None}
    program = torch.export.export(Chain(), arguments, dynamic_shapes=shapes).module()
    for n in (2, 5, 40):
        other = [x.detach() for x in problem(2, n, 4, 3, 2, 3, torch.float32)]
        torch.testing.assert_close(program(*other), functional_call(Chain(), {}, tuple(other)))


@pytest.mark.parametrize("case", ["odd", "same everywhere"])
@pytest.mark.parametrize("split", [1, 4, 6])
def test_parts_and_steps_give_what_the_whole_gives(case, split):
    values, logits, *more = (x.detach() for x in problem(*CASES[case]))
    hidden, weight = more or (None, None)
    expected = causal_link_chain(values, logits, hidden, weight)
    rows = values.new_zeros(len(values), 2 ** len(logits) - 1, values.shape[2])
    found = []
    for part in (slice(0, split), slice(split, None)):
        y, rows = causal_link_part(
            values[:, part], rows, logits, None if hidden is None else hidden[:, part], weight
        )
        found.append(y)
    same(torch.cat(found, 1), expected)
    past = {m: [values.new_zeros(values[:, 0].shape)] * 2**m for m in range(len(logits))}
    for i in range(values.shape[1]):
        taken = torch.stack([past[m][-(2**m)] for m in past], 1)
        y, given = causal_link_step(
            values[:, i], taken, logits, None if hidden is None else hidden[:, i], weight
        )
        same(y, expected[:, i])
        for m in past:
            past[m].append(given[:, m])


V, L, H, W = torch.zeros(2, 5, 6), torch.zeros(4, 3), torch.zeros(2, 5, 2), torch.zeros(4, 3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: causal_link_chain(V[0], L), r"values must be \(batch, .* got torch.float32 \(5, 6\)"),
        (lambda: causal_link_chain(V.long(), L), "of a floating point type, got torch.int64"),
        (lambda: causal_link_chain(V[:, :0], L), r"got torch.float32 \(2, 0, 6\)"),
        (lambda: causal_link_chain(V, L[:, :0]), "heads must divide the 6 channels .* got 0 heads"),
        (lambda: causal_link_chain(V[..., :5], L), "heads must divide the 5 channels .* got 3 heads"),
        (lambda: causal_link_chain(V, L[0]), r"\(factors, heads\), a factor at least, got \(3,\)"),
        (lambda: causal_link_chain(V, L[:0]), r"got \(0, 3\)"),
        (lambda: causal_link_chain(V, L, H), "hidden and weight together"),
        (lambda: causal_link_chain(V, L, H[:, 1:], W), r"for values \(2, 5, 6\), got \(2, 4, 2\)"),
        (lambda: causal_link_chain(V, L, H, W[1:]), r"width\) = \(4, 3, 2\), got \(3, 3, 2\)"),
        (lambda: causal_link_mix(V, H[1:], 1), r"gates must be .* \(2, 5, 6\), .* got \(1, 5, 2\) and 1"),
        (lambda: causal_link_mix(V, H, 0), r"offset at least 1, got \(2, 5, 2\) and 0"),
        (lambda: causal_link_mix(V, H, 3, before=V), r"before must be \(2, 3, 6\), .* got \(2, 5, 6\)"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""A linear memory is its recurrence, in chunks and in steps, and its solvers solve what they say."""

import pytest
import torch
from torch.nn import functional as F

from subquad.ops.memory import linear_memory, memory_step

SOLVERS = ("ridge", "gradient", "none")
EXACT = {"rtol": 0, "atol": 1e-12}


def inputs(batch=2, heads=3, n=37, key=5, value=4, dtype=torch.float64, openness=3.0):
    """Return q, k, v, beta and log gamma, keys of length one."""
    q, k = F.normalize(torch.randn(2, batch, heads, n, key, dtype=dtype), dim=-1)
    v = torch.randn(batch, heads, n, value, dtype=dtype)
    beta, gate = torch.randn(2, batch, heads, n, dtype=dtype)
    return q, k, v, beta.sigmoid(), F.logsigmoid(gate + openness)


def ridge_of(heads=3, key=5, dtype=torch.float64):
    return torch.rand(heads, key, dtype=dtype) + 0.1


def recurrence(q, k, v, beta, log_gamma, solver, ridge, chunk, grad="full"):
    """The sums as they are written, position by position, from no state."""
    batch, heads, n, key = q.shape
    s, g = q.new_zeros(batch, heads, key, v.shape[-1]), q.new_zeros(batch, heads, key, key)
    inverse, rows = None, []
    for t in range(n):
        if t % chunk == 0:
            known = g.detach() if grad == "one_step" else g
            inverse = torch.linalg.inv(known + torch.diag_embed(ridge))
        gamma, b = log_gamma[:, :, t, None, None].exp(), beta[:, :, t, None, None]
        query, stored, new = (x[:, :, t].unsqueeze(-1) for x in (q, k, v))
        error = new - gamma * s.mT @ stored if solver == "gradient" else new
        s = gamma * s + b * stored @ error.mT
        g = gamma * g + b * stored @ stored.mT
        rows.append(s.mT @ (inverse @ query if solver == "ridge" else query))
    return torch.stack(rows, dim=2).squeeze(-1), s, g, inverse


@pytest.mark.parametrize("n, chunk", [(1, 4), (3, 64), (4, 4), (37, 8), (37, 1), (40, 8)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_is_its_recurrence(solver, n, chunk):
    given, ridge = inputs(n=n), ridge_of()
    o, state = linear_memory(*given, solver=solver, ridge=ridge, chunk=chunk)
    expected, s, g, inverse = recurrence(*given, solver, ridge, chunk)
    torch.testing.assert_close(o, expected, **EXACT)
    torch.testing.assert_close(state.memory, s, **EXACT)
    if solver == "ridge":
        torch.testing.assert_close(state.gram, g, **EXACT)
        torch.testing.assert_close(state.inverse, inverse, **EXACT)


@pytest.mark.parametrize("grad", ["one_step", "full"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_are_those_of_the_recurrence(solver, grad):
    given = [*inputs(n=11), ridge_of()]
    towards = torch.randn(2, 3, 11, 4, dtype=torch.float64)

    def gradients(way):
        leaves = [x.detach().requires_grad_() for x in given]
        return torch.autograd.grad((way(*leaves) * towards).sum(), leaves, allow_unused=True)

    def chunked(q, k, v, beta, log_gamma, ridge):
        options = {"solver": solver, "ridge": ridge, "grad": grad, "chunk": 4}
        return linear_memory(q, k, v, beta, log_gamma, **options)[0]

    def written(*leaves):
        return recurrence(*leaves[:5], solver, leaves[5], 4, grad)[0]

    for actual, expected in zip(gradients(chunked), gradients(written), strict=True):
        assert (actual is None) == (expected is None)
        if expected is not None:
            torch.testing.assert_close(actual, expected, **EXACT)


@pytest.mark.parametrize("solver", SOLVERS)
def test_second_derivatives_are_those_of_finite_differences(solver):
    given = [x.requires_grad_() for x in (*inputs(1, 1, 5, 2, 2), ridge_of(1, 2))]

    def way(*leaves):
        return linear_memory(*leaves[:5], solver=solver, ridge=leaves[5], grad="full", chunk=2)[0]

    # The chunk of a plain sum has no inverse: its last argument is of no matter.
    assert torch.autograd.gradgradcheck(way, given if solver == "ridge" else [*given[:5], given[5].detach()])


@pytest.mark.parametrize("solver", SOLVERS)
def test_transforms_give_the_same(solver):
    q, k, v, beta, log_gamma = inputs(batch=3, n=9)
    ridge = ridge_of()

    def way(q, k, v, beta, log_gamma):
        return linear_memory(q, k, v, beta, log_gamma, solver=solver, ridge=ridge, grad="full", chunk=4)[0]

    def of_one(*one):
        return way(*(x.unsqueeze(0) for x in one)).squeeze(0)

    expected = way(q, k, v, beta, log_gamma)
    torch.testing.assert_close(torch.vmap(of_one)(q, k, v, beta, log_gamma), expected, **EXACT)
    along = torch.randn_like(v)
    _, tangent = torch.func.jvp(lambda v: way(q, k, v, beta, log_gamma), (v,), (along,))
    torch.testing.assert_close(tangent, way(q, k, along, beta, log_gamma), **EXACT)  # linear in the values
    _, pullback = torch.func.vjp(lambda k: way(q, k, v, beta, log_gamma), k)
    leaf = k.clone().requires_grad_()
    (way(q, leaf, v, beta, log_gamma) * along).sum().backward()
    torch.testing.assert_close(pullback(along)[0], leaf.grad, **EXACT)


@pytest.mark.parametrize("split", [1, 3, 4, 10, 12, 22])
@pytest.mark.parametrize("solver", SOLVERS)
def test_parts_and_steps_are_the_whole(solver, split):
    given, ridge = inputs(n=23), ridge_of()
    options = {"solver": solver, "ridge": ridge}
    whole, last = linear_memory(*given, chunk=4, **options)
    first, state = linear_memory(*(x[:, :, :split] for x in given), chunk=4, **options)
    offset = torch.full((2,), split % 4)
    rest = [x[:, :, split:] for x in given]
    second, after = linear_memory(*rest, chunk=4, state=state, offset=offset, **options)
    torch.testing.assert_close(torch.cat((first, second), dim=2), whole, **EXACT)
    torch.testing.assert_close(after, last, **EXACT)
    for t in range(23 - split):
        starts = (offset + t) % 4 == 0
        o, state = memory_step(*(x[:, :, t] for x in rest), state, starts=starts, **options)
        torch.testing.assert_close(o, whole[:, :, split + t], **EXACT)
    torch.testing.assert_close(state, last, **EXACT)


@pytest.mark.parametrize("solver", SOLVERS)
def test_padding_leaves_the_state_as_it_was(solver):
    given, ridge = inputs(batch=4, n=11), ridge_of()
    lengths, options = torch.tensor([0, 3, 4, 11]), {"solver": solver, "ridge": ridge, "chunk": 4}
    _, state = linear_memory(*given, lengths=lengths, **options)
    again = [x[:, :, :9] for x in inputs(batch=4, n=11)]
    more = torch.tensor([9, 0, 1, 2])
    _, after = linear_memory(*again, state=state, offset=lengths % 4, lengths=more, **options)
    for sample in range(4):
        first = [x[sample, None, :, : lengths[sample]] for x in given]
        second = [x[sample, None, :, : more[sample]] for x in again]
        both = [torch.cat(parts, dim=2) for parts in zip(first, second, strict=True)]
        for actual, own in ((state, first), (after, both)):
            if own[0].shape[2]:
                _, expected = linear_memory(*own, **options)
                mine = [None if each is None else each[sample, None] for each in actual]
                torch.testing.assert_close(mine, list(expected), **EXACT)


def test_ridge_refreshed_at_every_position_solves_ridge_regression():
    """With nothing forgotten, a query that stores nothing gets the values that least squares predict."""
    _, k, v, _, _ = inputs(1, 1, 20, 5, 4)
    q = torch.randn(1, 1, 20, 5, dtype=torch.float64)
    ridge = ridge_of(1, 5)
    beta = torch.ones(1, 1, 20, dtype=torch.float64)
    for count in (1, 7, 19):
        stores = beta.clone()
        stores[:, :, count:] = 0
        o, _ = linear_memory(q, k, v, stores, torch.zeros_like(beta), ridge=ridge, chunk=1)
        rows = torch.cat((k[0, 0, :count], ridge[0].sqrt().diag()))  # |K W - V|^2 + |sqrt(ridge) W|^2
        wanted = torch.cat((v[0, 0, :count], v.new_zeros(5, 4)))
        predicted = q[0, 0, count:] @ torch.linalg.lstsq(rows, wanted).solution
        torch.testing.assert_close(o[0, 0, count:], predicted, **EXACT)


def test_one_gradient_step_stores_values_under_orthonormal_keys_exactly():
    """And what is stored again under a key takes the place of what was there."""
    k = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    k = torch.cat((k, k[:3], k))[None, None]
    v = torch.randn(1, 1, 15, 4, dtype=torch.float64)
    beta = torch.ones(1, 1, 15, dtype=torch.float64)
    beta[:, :, 9:] = 0  # these ask alone
    o, _ = linear_memory(k, k, v, beta, torch.zeros_like(beta), solver="gradient", chunk=4)
    torch.testing.assert_close(o[:, :, 9:12], v[:, :, 6:9], **EXACT)
    torch.testing.assert_close(o[:, :, 12:], v[:, :, 3:6], **EXACT)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("gates", ["closed", "shut at times", "open", "infinite"])
def test_any_gate_is_as_exact_as_the_recurrence(solver, gates):
    """Float32 against float64; a difference of sums would lose the digits behind a closed gate."""
    q, k, v, beta, log_gamma = inputs(1, 2, 300, 8, 4)
    if gates == "closed":
        log_gamma = log_gamma - 1000
    elif gates == "open":
        log_gamma = log_gamma * 0
    else:
        shut = torch.rand_like(log_gamma) < 0.3
        log_gamma = log_gamma.masked_fill(shut, -torch.inf if gates == "infinite" else -500.0)
    ridge = ridge_of(2, 8)
    given = [x.float().requires_grad_() for x in (q, k, v, beta, log_gamma)]
    o, state = linear_memory(*given, solver=solver, ridge=ridge.float(), chunk=64)
    expected, s, _, _ = recurrence(q, k, v, beta, log_gamma, solver, ridge, 64)
    torch.testing.assert_close(o, expected.float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.memory.float(), s.float(), rtol=1e-4, atol=1e-5)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(o.sum(), given))


@pytest.mark.parametrize("grad", ["one_step", "full"])
def test_a_matrix_that_rounding_broke_raises_nothing(grad):
    """The same key and nothing forgotten: G is of rank one, and its rounding errors are above the ridge."""
    key = F.normalize(torch.randn(4, 1, 1, 16), dim=-1).expand(4, 1, 128, 16)
    q, v, none = (
        torch.randn(4, 1, 128, 16),
        torch.randn(4, 1, 1, 3).expand(4, 1, 128, 3),
        torch.zeros(4, 1, 128),
    )
    beta, ridge = none + 1e5, torch.full((1, 16), 1e-4)
    leaves = [x.clone().requires_grad_() for x in (q, key, v, beta, none, ridge)]
    o, _ = linear_memory(*leaves[:5], ridge=leaves[5], grad=grad)
    broken = torch.linalg.cholesky_ex(1e5 * 64 * key[:, 0, :1].mT * key[:, 0, :1] + 1e-4 * torch.eye(16)).info
    assert broken.any()  # or this tests nothing
    assert all(x.isfinite().all() for x in torch.autograd.grad(o.square().sum(), leaves))
    asked, _ = linear_memory(key, key, v, beta, none, ridge=ridge)
    torch.testing.assert_close(asked[:, :, 127], v[:, :, 127] * 2, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("solver", SOLVERS)
def test_runs_in_float32_under_autocast(solver):
    given, ridge = inputs(n=9, dtype=torch.float32), ridge_of(dtype=torch.float32)
    expected, state = linear_memory(*given, solver=solver, ridge=ridge)
    with torch.autocast("cpu", torch.bfloat16):
        o, after = linear_memory(*given, solver=solver, ridge=ridge)
    torch.testing.assert_close((o, after), (expected, state), rtol=0, atol=0)
    short, after = linear_memory(*(x.bfloat16() for x in given), solver=solver, ridge=ridge)
    assert short.dtype == torch.bfloat16
    assert after.memory.dtype == (torch.float64 if solver == "ridge" else torch.float32)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"solver": "newton"}, "solver must be one of ridge, gradient, none, got 'newton'."),
        ({"grad": "none"}, "grad must be one of one_step, full, got 'none'."),
        ({"chunk": 0}, "chunk must be at least 1, got 0."),
        ({"ridge": None}, "takes a ridge"),
        ({"ridge": torch.ones(3)}, "takes a ridge"),
        ({"k": torch.ones(2, 3, 4, 6)}, "q and k of the same size"),
        ({"beta": torch.ones(2, 3, 5)}, "q and k of the same size"),
        ({"v": torch.ones(2, 3, 4, 2, dtype=torch.int64)}, "v must be of a floating point type"),
    ],
)
def test_says_what_does_not_fit(change, sentence):
    q, k, v, beta, log_gamma = inputs(n=4, dtype=torch.float32)
    given = {"q": q, "k": k, "v": v, "beta": beta, "log_gamma": log_gamma, "ridge": torch.ones(3, 5)}
    with pytest.raises(ValueError, match=sentence):
        linear_memory(**(given | change))

"""link_mix without wrap-around is a product with a banded matrix, in every way that it is computed."""

import pytest
import torch
from torch.func import grad, hessian, vmap

from subquad.ops import link_mix
from subquad.ops import link_packed as packed_module

OFFSETS = {"causal": (0, -1, -2, -4), "both ways": (3, -3, 0), "far": (-9, 1000, -(10**6), 1)}
WAYS = ["views", "lookups", "reference", "triton"]


@pytest.fixture(params=WAYS)
def impl(request, monkeypatch):
    if request.param == "triton":
        pytest.importorskip("triton")
    monkeypatch.setattr(packed_module, "_SHORT_RUN", 0 if request.param == "views" else 2**15)
    return request.param if request.param in ("reference", "triton") else "auto"


def problem(n, n_links, batch=3, dim=2):
    return [torch.randn(batch, n, size, dtype=torch.float64, requires_grad=True) for size in (dim, n_links)]


def by_matrix(values, links, offsets, residual=False):
    n = values.shape[1]
    rows = []
    for i in range(n):
        inside = [links[:, i, k, None] * values[:, i + o] for k, o in enumerate(offsets) if 0 <= i + o < n]
        nothing = 0 * values[:, i] * links[:, i].sum(-1, keepdim=True)  # which has gradients, too
        rows.append(sum(inside, values[:, i] + nothing if residual else nothing))
    return torch.stack(rows, 1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("n", [1, 3, 9])
@pytest.mark.parametrize("name", OFFSETS)
def test_is_a_banded_matrix(name, n, residual, impl):
    offsets = OFFSETS[name]
    values, links = problem(n, len(offsets))
    both = []
    for y in (
        link_mix(values, links, offsets, residual=residual, wrap=False, impl=impl),
        by_matrix(values, links, offsets, residual),
    ):
        both.append((y, *torch.autograd.grad(y.sin().sum(), (values, links))))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OFFSETS)
def test_samples_of_other_lengths_are_what_they_are_alone(name, impl):
    offsets, lengths = OFFSETS[name], (9, 0, 4)
    values, links = problem(9, len(offsets))
    with torch.no_grad():
        for sample, length in enumerate(lengths):
            values[sample, length:], links[sample, length:] = torch.nan, torch.inf
    y = link_mix(values, links, offsets, residual=True, lengths=torch.tensor(lengths), wrap=False, impl=impl)
    found = torch.autograd.grad(y.sin().sum(), (values, links))
    for sample, length in enumerate(lengths):
        for whole in (y, *found):
            assert not whole[sample, length:].any()
        if length:
            alone = [x[sample : sample + 1, :length].detach().requires_grad_() for x in (values, links)]
            expected = by_matrix(*alone, offsets, residual=True)
            wanted = torch.autograd.grad(expected.sin().sum(), alone)
            for whole, part in zip((y, *found), (expected, *wanted), strict=True):
                torch.testing.assert_close(whole[sample, :length], part[0], rtol=1e-12, atol=1e-12)


def test_nothing_comes_from_later(impl):
    values, links = problem(12, 4)
    y = link_mix(values, links, OFFSETS["causal"], wrap=False, impl=impl)
    later = torch.autograd.grad(y[:, 7].sum(), (values, links))
    assert not any(part[:, 8:].any() for part in later) and later[0][:, 7].all()


@pytest.mark.parametrize("impl", ["views", "lookups", "reference"], indirect=True)
def test_transforms_of_torch_func(impl):
    values, links = (x.detach() for x in problem(5, 4, batch=2))
    lengths = torch.tensor([5, 3])

    def loss(values, links):
        mixed = link_mix(values, links, OFFSETS["causal"], lengths=lengths, wrap=False, impl=impl)
        return mixed.sin().sum()

    many = torch.randn(3, *values.shape, dtype=torch.float64)
    together = vmap(grad(loss), in_dims=(0, None))(many, links)
    torch.testing.assert_close(together, torch.stack([grad(loss)(x, links) for x in many]))
    expected = torch.autograd.functional.hessian(loss, (values, links))
    torch.testing.assert_close(hessian(loss, argnums=(0, 1))(values, links), expected)


def test_exports_for_any_length():
    class Mix(torch.nn.Module):
        def forward(self, values, links):
            return link_mix(values, links, (0, -1, -30), wrap=False)

    size = torch.export.Dim("n", min=2)
    shapes = {"values": {1: size}, "links": {1: size}}
    inputs = tuple(x.detach() for x in problem(20, 3))
    program = torch.export.export(Mix(), inputs, dynamic_shapes=shapes).module()
    for n in (5, 20, 77):
        values, links = (x.detach() for x in problem(n, 3))
        torch.testing.assert_close(program(values, links), by_matrix(values, links, (0, -1, -30)))

"""The long products: whatever library and layout they take, they are products."""

import pytest
import torch
from torch.autograd import forward_ad

from helpers import relative_error
from subquad.bench.memory import memory_of
from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ, decompose, products
from subquad.ops.products import (
    collect,
    column_norm,
    combine,
    divided,
    largest_entry,
    project,
    softmax_of_columns,
)

pytestmark = pytest.mark.usefixtures("deterministic")

LAYOUTS = {"by channel": lambda x: x, "by position": lambda x: x.mT.contiguous().mT}


@pytest.fixture(params=["one_dnn", "mkl"])
def library(request, monkeypatch):
    """Both libraries, for matrices of any size."""
    if request.param == "one_dnn" and not products._has_one_dnn():
        pytest.skip("this CPU has no AVX-512, so oneDNN is not used")
    monkeypatch.setattr(products, "_WORTH", 0 if request.param == "one_dnn" else 2**62)
    return request.param


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_are_those_of_float64(library, layout, batch):
    x = LAYOUTS[layout](torch.randn(batch, 40, 150))
    dictionary, codes = torch.randn(batch, 40, 7), LAYOUTS[layout](torch.randn(batch, 7, 150))
    matrix = codes @ codes.mT
    d, c, m, exact = dictionary.double(), codes.double(), matrix.double(), x.double()
    assert relative_error(project(x, dictionary), d.mT @ exact) < 1e-5
    assert relative_error(collect(x, codes), exact @ c.mT) < 1e-5
    assert relative_error(combine(matrix, codes), m @ c) < 1e-5
    assert project(x, dictionary).shape == codes.shape and collect(x, codes).shape == dictionary.shape


def test_one_dnn_is_taken_where_no_graph_is_recorded_and_nowhere_else(monkeypatch):
    if not products._has_one_dnn():
        pytest.skip("this CPU has no AVX-512, so oneDNN is not used")
    seen = []
    monkeypatch.setattr(products, "_WORTH", 0)
    monkeypatch.setattr(products, "_one_dnn", lambda a, b: seen.append(a.shape) or a @ b.mT)
    x, dictionary = torch.randn(1, 8, 30), torch.randn(1, 8, 3)
    project(x, dictionary)
    assert len(seen) == 1
    project(x.requires_grad_(), dictionary)
    project(x.double(), dictionary.double())
    torch.func.vmap(project)(x.detach().unsqueeze(0), dictionary.unsqueeze(0))
    assert len(seen) == 1
    with torch.no_grad():
        project(x, dictionary)
    assert len(seen) == 2


def test_one_dnn_is_given_whole_matrices(monkeypatch):
    """Of a part of one, such as the channels of one head beside those of another, it takes far longer."""
    if not products._has_one_dnn():
        pytest.skip("this CPU has no AVX-512, so oneDNN is not used")
    seen = []
    monkeypatch.setattr(products, "_WORTH", 0)
    monkeypatch.setattr(products, "_PART", 64)
    monkeypatch.setattr(products, "_one_dnn", lambda a, b: seen.extend([a, b]) or a @ b.mT)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.rand(2, 16, 9, 20).contiguous(memory_format=layout)
        for solver in (NMF(), VQ()):
            with torch.no_grad():
                Ham(16, 3, solver, heads=2)(x)
                Ham(16, 3, solver)(x)
    assert seen and all(matrix.is_contiguous() or matrix.mT.is_contiguous() for matrix in seen)


@pytest.mark.parametrize("solver", [NMF(), VQ(), CD()], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
def test_solvers_agree_with_float64_in_any_layout_and_library(library, solver, layout, batch):
    x = LAYOUTS[layout](torch.rand(batch, 24, 300))
    start = solver.random_dictionary((batch, 24, 5))
    expected = decompose(x.double(), start.double(), solver, steps=6)
    actual = decompose(x, start, solver, steps=6)
    assert actual.dictionary.shape == start.shape and actual.codes.shape == (batch, 5, 300)
    assert relative_error(actual.reconstruct(), expected.reconstruct()) < 1e-4
    x.requires_grad_()
    weights = torch.randn(batch, 24, 300)
    gradients = [
        torch.autograd.grad((decompose(y, s, solver, steps=6).reconstruct() * w).sum(), y)[0]
        for y, s, w in (
            (x, start, weights),
            (x.detach().double().requires_grad_(), start.double(), weights.double()),
        )
    ]
    assert relative_error(*gradients) < 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_norms_softmax_and_largest_entries_are_pytorchs(layout):
    x = LAYOUTS[layout](torch.randn(2, 70, 50))
    x[0, :, 3] = 0
    torch.testing.assert_close(column_norm(x), x.norm(dim=1, keepdim=True))
    assert column_norm(x)[0, 0, 3] == 0
    assert torch.equal(largest_entry(x)[:, 0, 0], x.abs().amax((1, 2)))
    torch.testing.assert_close(softmax_of_columns(x), x.softmax(dim=1))
    x.requires_grad_()
    column_norm(x).sum().backward()
    assert x.grad.isfinite().all() and (x.grad[0, :, 3] == 0).all()


def test_what_is_not_finite_stays_visible():
    x = torch.ones(1, 4, 6)
    x[0, 1, 2] = torch.nan
    assert largest_entry(x).isnan().all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("solver", [NMF(), VQ(), CD()], ids=str)
def test_two_code_sized_buffers_beside_the_result(solver, layout):
    """And the parts of a few that are at work: less than half of one, here."""
    x = LAYOUTS[layout](torch.rand(1, 256, 16384))
    start = solver.random_dictionary((1, 256, 64))
    with torch.no_grad():
        scratch = memory_of(lambda: decompose(x, start, solver, steps=3), torch.device("cpu")).scratch
    assert scratch < 2.5 * 4 * 16384 * 64


def test_a_unit_of_one_is_not_divided_by():
    numbers, unit = torch.rand(2, 3, 4), torch.ones(2, 1, 1)
    assert divided(numbers, unit) is numbers
    assert torch.equal(divided(numbers, 2 * unit), numbers / 2)
    assert torch.equal(torch.vmap(divided)(numbers[None], 2 * unit[None])[0], numbers / 2)


@pytest.mark.parametrize("solver", [NMF(), VQ()], ids=str)
def test_unknown_implementations_and_missing_kernels_are_told(solver):
    x, start = torch.rand(1, 8, 30), solver.random_dictionary((1, 8, 3))
    with pytest.raises(ValueError, match='impl must be "auto", "reference" or "triton", got \'tritn\''):
        decompose(x, start, solver, steps=2, impl="tritn")
    with pytest.raises(ValueError, match="cannot run: no kernel is for iterations that keep a graph; use"):
        decompose(x.requires_grad_(), start, solver, steps=2, grad_steps=2, impl="triton")
    if isinstance(solver, VQ):
        with pytest.raises(ValueError, match=r"cannot run: VQ\(temperature=0.01\) has no kernel; use"):
            decompose(x, start, solver, steps=2, impl="triton")


@pytest.mark.parametrize("solver", [NMF(), VQ(), CD()], ids=str)
@pytest.mark.parametrize("positions", [50, 6000])  # by PyTorch's product, and where oneDNN would take over
def test_derivatives_in_forward_mode_are_those_of_torch_func(solver, positions):
    x, along = torch.rand(1, 64, positions), torch.rand(1, 64, positions)
    start = solver.random_dictionary((1, 64, 32))

    def rebuilt(x):
        return decompose(x, start, solver, steps=2, grad_steps=2).reconstruct()

    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(rebuilt(forward_ad.make_dual(x, along))).tangent
    assert tangent is not None
    _, expected = torch.func.jvp(rebuilt, (x,), (along,))
    torch.testing.assert_close(tangent, expected, rtol=1e-3, atol=1e-5)

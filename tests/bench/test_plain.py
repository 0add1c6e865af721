"""The plain way is an opponent only if it computes the same."""

import pytest
import torch

from subquad.bench.plain import PLAIN, plain_ham
from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ, decompose

SOLVERS = {"NMF": NMF(), "VQ": VQ(), "CD": CD()}


def data(name, seed=0):
    x = torch.randn(2, 12, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x.relu() if name == "NMF" else x


@pytest.mark.parametrize("name", SOLVERS)
def test_it_is_what_ours_computes(name):
    x, solver = data(name).flatten(2), SOLVERS[name]
    start = solver.random_dictionary((2, 12, 3), dtype=torch.float64)
    ours = decompose(x, start, solver, steps=6)
    bases, codes = PLAIN[name](x, start, 6)
    torch.testing.assert_close(bases, ours.dictionary, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(codes.mT, ours.codes, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", SOLVERS)
def test_so_is_the_one_step_gradient(name, layout):
    x = data(name).contiguous(memory_format=layout).requires_grad_()
    ham = Ham(12, 3, SOLVERS[name], start="fixed", grad_steps=0).double()
    bases = ham.dictionary.expand(2, -1, -1)
    ours, plain = ham(x), plain_ham(x, bases, PLAIN[name], 6)
    torch.testing.assert_close(plain, ours, rtol=1e-10, atol=1e-12)
    grad = data("VQ", seed=1)
    (expected,) = torch.autograd.grad(ours, x, grad)
    (found,) = torch.autograd.grad(plain, x, grad)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)

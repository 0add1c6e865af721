"""Solvers that are tried, each written as an outsider's: what it promises, and its theorem."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest
import torch

from nightly import some_by_day
from subquad.models.solvers import SOLVERS
from subquad.nn import check_solver
from subquad.ops import NMF, decompose

FOLDER = Path(__file__).parents[2] / "experiments" / "solvers"
NAMES = ["AcceleratedNMF", "HALS", "SemiNMF", "ISTA", "Subspace"]


@pytest.fixture
def candidates(monkeypatch):
    """Import them, and forget them again: what is registered is for the experiment alone."""
    before = dict(SOLVERS)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("candidates")
    sys.modules.pop("candidates", None)
    SOLVERS.clear()
    SOLVERS.update(before)


def data(rank=5, noise=0.0):
    draw = torch.Generator().manual_seed(0)
    sides = [torch.rand(2, *size, generator=draw, dtype=torch.float64) for size in ((12, rank), (rank, 40))]
    return sides[0] @ sides[1] + noise * torch.rand(2, 12, 40, generator=draw, dtype=torch.float64)


def solved(solver, x, rank, steps):
    start = solver.random_dictionary(
        (2, 12, rank), generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return decompose(x, start, solver, steps=steps)


def left(x, factors):
    return float((x - factors.reconstruct()).norm() / x.norm())


@pytest.mark.parametrize("name", some_by_day(NAMES, lambda name: name == "ISTA"))
def test_it_keeps_the_promises_of_a_solver(candidates, name):
    check_solver(getattr(candidates, name)()).raise_if_failed()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short(candidates, name):
    assert len(inspect.getsource(getattr(candidates, name)).splitlines()) <= 60


def test_faster_ways_to_the_same_problem_leave_less_after_as_many_steps(candidates):
    x = data(noise=0.1)
    plain = left(x, solved(NMF(), x, 4, 12))
    for name in ("AcceleratedNMF", "HALS"):
        found = solved(getattr(candidates, name)(), x, 4, 12)
        assert left(x, found) < plain
        assert (found.dictionary >= 0).all() and (found.codes >= 0).all()


def test_hals_finds_what_is_exactly_non_negative(candidates):
    x = data(rank=2)
    assert left(x, solved(candidates.HALS(), x, 2, 400)) < 1e-3


def test_the_subspace_is_that_of_the_singular_vectors(candidates):
    x = data(noise=0.5) - 1
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    best = u[..., :3] * s[:, None, :3] @ v[:, :3]
    found = solved(candidates.Subspace(ridge=1e-8), x, 3, 300).reconstruct()
    assert torch.allclose(found, best, atol=1e-6)


def test_codes_of_semi_nmf_are_not_negative_and_its_dictionary_is_free(candidates):
    x = data(noise=0.1) - 1.5
    found = solved(candidates.SemiNMF(), x, 4, 50)
    assert (found.codes >= 0).all() and (found.dictionary < 0).any()
    assert left(x, found) < left(x, solved(candidates.SemiNMF(), x, 4, 5))


def test_sparse_codes_are_sparse_and_more_so_for_a_higher_price(candidates):
    x = data(noise=0.1)
    shares = [
        float((solved(candidates.ISTA(sparsity), x, 8, 60).codes == 0).double().mean())
        for sparsity in (0.01, 0.3)
    ]
    assert shares[1] > shares[0] and shares[1] > 0.3

"""A hostile world: fixed seed, and memory that nobody wrote is NaN."""

import os
import shutil

import pytest
import torch

# Triton decides when it is imported, which compilers do: its kernels are simulated on the CPU.
os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_runtest_setup(item):
    compiler = os.environ.get("CXX", "g++")
    if item.get_closest_marker("compile") and not shutil.which(compiler):
        pytest.skip(f"torch.compile needs a C++ compiler, and there is no {compiler}")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def deterministic():
    """Uninitialised memory becomes NaN, and operations without a deterministic form raise."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def own_registry(monkeypatch):
    """Families, networks, names and solvers that a test registers are gone after it."""
    from subquad.models import registry, solvers

    for module, name in (
        (registry, "FAMILIES"),
        (registry, "NETWORKS"),
        (registry, "NAMES"),
        (solvers, "SOLVERS"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))

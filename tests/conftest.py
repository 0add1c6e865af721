"""A hostile world: fixed seed, and memory that nobody wrote is NaN."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def deterministic():
    """Uninitialised memory becomes NaN, and operations without a deterministic form raise."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)

import pytest
import torch

from subquad.base.finite import all_finite, not_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_entry_is_enough(value):
    tensors = {"good": torch.zeros(3), "whole": torch.arange(3), "bad": torch.tensor([[0.0, value]])}
    assert not_finite(tensors) == ["bad"]
    assert not all_finite(tensors.values())


def test_whole_numbers_and_booleans_are_finite():
    assert all_finite([torch.arange(3), torch.zeros(2, dtype=torch.bool), torch.zeros(0)])

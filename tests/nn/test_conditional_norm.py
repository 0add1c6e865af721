"""Conditional batch norm: the formula, one pair of biased moving statistics, all processes together."""

import pytest
import torch
from torch import nn

from subquad.nn import ConditionalBatchNorm


def filled(classes, channels=3):
    norm = ConditionalBatchNorm(channels, classes)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def test_the_formula_with_a_scale_and_shift_a_class():
    norm = filled(5)
    x, labels = torch.randn(4, 3, 5, 6) * 3 + 1, torch.tensor([4, 0, 0, 2])
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    normal = (x - mean) / (variance + 1e-3).sqrt()
    expected = normal * norm.weight[labels][:, :, None, None] + norm.bias[labels][:, :, None, None]
    torch.testing.assert_close(norm(x, labels), expected)
    fresh = ConditionalBatchNorm(3, 5)
    torch.testing.assert_close(fresh(x, labels), normal)


def test_without_classes_it_is_batch_norm():
    norm = filled(None)
    theirs = nn.BatchNorm2d(3, eps=1e-3)
    theirs.weight.data, theirs.bias.data = norm.weight.data[0], norm.bias.data[0]
    x = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(norm(x), theirs(x))


def test_the_moving_variance_is_biased():
    norm = ConditionalBatchNorm(3, None)
    mean, variance = torch.zeros(3), torch.ones(3)
    for _ in range(5):
        x = torch.randn(2, 3, 1, 2) * 7 + 2  # four values: a factor of 4 / 3 between the estimates
        norm(x)
        mean = 0.999 * mean + 0.001 * x.mean((0, 2, 3))
        variance = 0.999 * variance + 0.001 * x.var((0, 2, 3), correction=0)
    torch.testing.assert_close(norm.norm.running_mean, mean)
    torch.testing.assert_close(norm.norm.running_var, variance)
    norm.eval()
    x = torch.randn(1, 3, 2, 2)
    expected = (x - mean.view(-1, 1, 1)) / (variance + 1e-3).sqrt().view(-1, 1, 1)
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm.norm.running_var, variance)


def test_two_forwards_before_one_backward():
    norm = ConditionalBatchNorm(3, None)
    x = torch.randn(4, 3, 2, 2, requires_grad=True)
    (norm(x).square().sum() + norm(2 * x).sum()).backward()
    assert x.grad.isfinite().all()


def test_gradients_against_finite_differences():
    norm = filled(4).double()
    labels = torch.tensor([1, 3, 1])
    x = torch.randn(3, 3, 2, 1, dtype=torch.float64, requires_grad=True)

    def function(x, weight, bias):
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x, labels))

    assert torch.autograd.gradcheck(function, (x, norm.weight, norm.bias))


def test_rows_of_absent_classes_get_no_gradient():
    norm = filled(4)
    norm(torch.randn(2, 3, 2, 2), torch.tensor([1, 1])).sum().backward()
    assert norm.bias.grad[[0, 2, 3]].abs().sum() == 0 and (norm.bias.grad[1] == 8).all()


def test_becomes_synchronised_with_the_same_numbers():
    norm = filled(4)
    kind, state = type(norm), {n: t.clone() for n, t in norm.state_dict().items()}
    x, labels = torch.randn(3, 3, 2, 2), torch.tensor([0, 1, 2])
    expected = norm(x, labels)
    updated = norm.norm.running_var.clone()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    assert type(converted) is kind and isinstance(converted.norm, nn.SyncBatchNorm)
    assert (converted.norm.eps, converted.norm.momentum, converted.norm.affine) == (1e-3, 0.001, False)
    converted.load_state_dict(state)
    torch.testing.assert_close(converted(x, labels), expected)
    torch.testing.assert_close(converted.norm.running_var, updated)


def test_all_processes_count(monkeypatch):
    """The variance of SyncBatchNorm is unbiased over the values of all processes."""
    norm = nn.SyncBatchNorm.convert_sync_batchnorm(ConditionalBatchNorm(2, None))
    x = torch.randn(2, 2, 1, 1)

    def two_processes(count):
        count.mul_(2)
        return 2

    monkeypatch.setattr("subquad.nn.conditional_norm.sum_over_processes", two_processes)
    norm(x)
    # In this one process the library's own estimate is unbiased over 2; ours takes it for one over 4.
    expected = 0.999 + 0.001 * x.var((0, 2, 3)) * 3 / 4
    torch.testing.assert_close(norm.norm.running_var, expected)


def test_half_precision_keeps_its_type():
    norm = filled(4)
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(x, torch.tensor([0, 1])).dtype == torch.bfloat16


def test_half_precision_rounds_scale_and_shift_once():
    norm = filled(4)
    x, labels = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16), torch.tensor([0, 3])
    normal = norm._normalised(x)
    scale, shift = norm.weight[labels][:, :, None, None], norm.bias[labels][:, :, None, None]
    assert torch.equal(norm(x, labels), (normal.float() * scale + shift).bfloat16())


def test_an_input_that_is_refused_leaves_the_statistics_in_place():
    norm = filled(4)
    kept = norm.norm.running_var
    with pytest.raises(ValueError):
        norm(torch.randn(1, 3, 1, 1), torch.tensor([0]))  # one value a channel has no variance
    assert norm.norm.running_var is kept


def test_labels_where_they_belong():
    x = torch.randn(2, 3, 2, 2)
    with pytest.raises(ValueError, match="has 4 classes, got no labels"):
        filled(4)(x)
    with pytest.raises(ValueError, match="has no classes, got labels"):
        filled(None)(x, torch.tensor([0, 1]))

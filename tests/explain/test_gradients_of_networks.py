"""Gradients measured on whole networks: what is left as it was, what is told, and what is refused."""

import json

import pytest
import torch
from torch import nn

from subquad import create_model
from subquad.explain import gradients
from subquad.nn import CausalHam, Ham, Hamburger
from subquad.ops import CD


def tiny(**overrides):
    options = {"num_classes": 3, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}
    return create_model("light_ham_van_tiny_d256", **options | overrides)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_measured_and_left_as_it_was(training, tmp_path, capsys):
    network, images = tiny(solver=CD()).train(training), torch.randn(2, 3, 41, 56)
    network(images).sum().backward()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    modes, random = [part.training for part in network.modules()], torch.get_rng_state()
    with torch.no_grad():
        report = gradients(network, images)
    assert torch.equal(random, torch.get_rng_state())
    assert modes == [part.training for part in network.modules()]
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        assert grad is None if parameter.grad is None else torch.equal(parameter.grad, grad)
    assert not any(part._forward_hooks for part in network.modules() if isinstance(part, Ham))
    assert capsys.readouterr().out == ""
    (found,) = report.hams
    assert found.name == "head.hamburger.ham" and found.converged and found.steps == 6
    assert [one.grad_steps for one in found.gradients] == list(range(7))
    assert all(one.limit_error <= one.bound for one in found.gradients)
    assert repr(report) == repr(gradients(network, images))  # the projection is drawn with a seed of its own
    json.dumps(report.to_json(), allow_nan=False)
    assert len(report.rows()) == 7 and len(report.columns) == len(report.rows()[0])
    assert "one-step" in str(report) and "BPTT" in str(report)
    report.plot(tmp_path / "gradients.png")
    assert (tmp_path / "gradients.png").stat().st_size > 10_000


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def test_random_numbers_that_a_network_draws_are_not_missed_later():
    before = torch.get_rng_state()
    gradients(nn.Sequential(Noise(), Ham(6, rank=2, solver=CD())), torch.ones(1, 6, 5))
    assert torch.equal(before, torch.get_rng_state())


def test_what_does_not_converge_is_not_known_but_for_the_angle_to_bptt(tmp_path):
    ham, told = Ham(6, rank=3, steps=2), []
    report = gradients(ham, torch.rand(1, 6, 20), most_steps=5, progress=told.append)
    (found,) = report.hams
    assert not found.found and not found.converged and found.iterations == 5
    assert found.implicit is None and found.distance is None
    assert all(one.angle is None and one.bound is None for one in found.gradients)
    assert "n/a" in str(report) and "did not converge in 5" in str(report)
    json.dumps(report.to_json(), allow_nan=False)
    first, second, bptt = found.gradients
    assert bptt.bptt_angle == 0 and bptt.bptt_length == 1
    assert 0 < second.bptt_angle < first.bptt_angle < 90 and first.bptt_length > 0
    report.plot(tmp_path / "gradients.png")
    assert (tmp_path / "gradients.png").stat().st_size > 10_000
    assert told == []


def test_gradients_that_are_zero_have_no_angle_and_no_picture():
    report = gradients(Ham(6, rank=2), -torch.rand(1, 6, 5))  # NMF answers zero to what is negative
    assert all(one.bptt_angle is None and one.bptt_length is None for one in report.hams[0].gradients)
    with pytest.raises(ValueError, match="nothing to draw"):
        report.plot("nowhere.png")


def test_data_too_small_for_any_numbers_have_no_rate():
    """Their output is zero, and relative changes of it are of any size."""
    (found,) = gradients(Ham(8, rank=3), 1e-30 * torch.rand(1, 8, 6, 6)).hams
    assert found.output_rate is None


def test_inference_mode_is_no_obstacle():
    with torch.inference_mode():
        report = gradients(Ham(6, rank=2, solver=CD()), torch.rand(1, 6, 5))
    assert report.hams[0].converged


def test_each_call_of_a_ham_counts():
    ham = Ham(6, rank=2, solver=CD())
    names = [one.name for one in gradients(nn.Sequential(ham, nn.Identity(), ham), torch.rand(1, 6, 5)).hams]
    assert names == ["0", "0#2"]


def test_progress_is_told_after_ten_seconds(monkeypatch):
    clock, told = iter(range(0, 10**6, 4)), []
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    gradients(Ham(6, rank=2, solver=CD()), torch.rand(1, 6, 5), progress=told.append)
    assert told and "iterations" in told[0]


class Indexes(Ham):
    def __init__(self):
        super().__init__(6)

    def forward(self, *_):
        raise IndexError


@pytest.mark.parametrize(
    ("network", "batch", "options", "message"),
    [
        (nn.Conv1d(6, 6, 1), torch.rand(1, 6, 5), {}, "Conv1d has no ham, so .* differentiate\\.$"),
        (CausalHam(8), torch.rand(1, 5, 8), {}, "no ham, .*; a causal ham is solved in closed form"),
        (Ham(6), torch.rand(1, 5, 5), {}, "Ham\\(dim=...\\)"),
        (nn.Sequential(nn.Conv2d(3, 6, 1), Ham(6)), torch.rand(1, 6, 5, 5), {}, "does not take this batch"),
        (Ham(6), [torch.rand(1, 6, 5)], {}, "a batch is a tensor or a tuple of arguments, got a list"),
        (Ham(6), {"x": torch.rand(1, 6, 5)}, {}, "got a dict"),
        (Indexes(), torch.rand(1, 6, 5), {}, "does not take this batch, .*: IndexError"),
        (Ham(6), torch.rand(1, 6, 5, device="meta"), {}, "batch is on meta and the network on cpu"),
        (Ham(6), torch.rand(1, 6, 5), {"loss": lambda y: y}, r"scalar tensor, got of shape \(1, 6, 5\)"),
        (Ham(6), torch.rand(1, 6, 5), {"loss": lambda y: 1.0}, "scalar tensor, got a float"),
        (Ham(6), torch.rand(1, 6, 5), {"loss": lambda y: torch.zeros(())}, "does not depend on what a ham"),
        (Hamburger(6, dim=6, gate=True), torch.rand(1, 6, 5), {}, "does not depend on what a ham"),
        (Ham(6), torch.rand(1, 6, 5) / 0, {}, "not finite"),
        (Ham(6), torch.rand(1, 6, 5), {"grad_steps": [7]}, "from 0 to 6"),
        (Ham(6), torch.rand(1, 6, 5), {"grad_steps": []}, "from 0 to 6"),
        (Ham(6), torch.rand(1, 6, 5), {"tolerance": 0.0}, "tolerance must be"),
        (Ham(6), torch.rand(1, 6, 5), {"most_steps": 0}, "most_steps must be"),
    ],
)
def test_errors_say_what_to_do(network, batch, options, message):
    with pytest.raises(ValueError, match=message):
        gradients(network, batch, **options)

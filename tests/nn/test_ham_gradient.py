"""What a ham does that is told nothing of the gradient: each position hears what it does for the others."""

import pytest
import torch

from subquad import create_model
from subquad.explain.code_maps import last_ham
from subquad.nn import Ham, Hamburger
from subquad.ops import CD, NMF, VQ

SOLVERS = [NMF(), VQ(temperature=0.1), CD(temperature=0.1)]
SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


def share_from_others(ham):
    """Return how much of the gradient of one position's output lies at other positions."""
    x = torch.rand(1, 8, 20, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(ham.double().eval()(x)[..., 3].square().sum(), x)
    others = gradient.clone()
    others[..., 3] = 0
    return float(others.norm() / gradient.norm())


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_by_itself_a_ham_hears_what_a_position_does_for_others(solver):
    assert share_from_others(Ham(8, 3, solver, grad_steps=0)) == 0
    assert share_from_others(Ham(8, 3, solver)) > 0.01


@pytest.mark.parametrize(("steps", "start", "taken"), [(6, "random", 2), (1, "fixed", 1), (6, "learned", 6)])
def test_two_iterations_or_as_many_as_there_are_or_all_with_a_start_that_is_learned(steps, start, taken):
    assert Ham(8, 3, steps=steps, start=start).grad_steps == taken
    assert Hamburger(8, dim=8, rank=3, steps=steps, start=start).ham.grad_steps == taken


@pytest.mark.filterwarnings("error")
def test_a_start_that_is_learned_is_trained_if_nothing_is_said():
    ham = Ham(8, 3, start="learned")
    ham(torch.rand(2, 8, 5)).square().sum().backward()
    assert ham.dictionary.grad.abs().sum() > 0


@pytest.mark.parametrize("grad_steps", [-1, 7])
def test_what_is_said_is_checked(grad_steps):
    with pytest.raises(ValueError, match=f"grad_steps must be 0 to steps = 6, got {grad_steps}"):
        Ham(8, 3, grad_steps=grad_steps)


def test_networks_have_it_unless_the_originals_say_otherwise():
    assert last_ham(create_model("light_ham_van_tiny_d256", **SMALL)).grad_steps == 2
    assert last_ham(create_model("light_ham_van_tiny_d256", steps=1, **SMALL)).grad_steps == 1
    assert last_ham(create_model("light_ham_van_tiny_d256", grad_steps=0, **SMALL)).grad_steps == 0
    with torch.device("meta"):
        assert last_ham(create_model("hamnet_r50_voc")).grad_steps == 0
        assert last_ham(create_model("hamnet_r50_ade20k")).grad_steps == 2
        assert last_ham(create_model("hamgan_baby")).grad_steps == 0

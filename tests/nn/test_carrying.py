"""Hams that work otherwise for a while, and as ever afterwards."""

import pytest
import torch
from torch.nn import functional as F

from subquad.nn import Ham
from subquad.nn.sharing import carrying_dictionary, evaluating_steps
from subquad.ops import CD, NMF, VQ


@pytest.mark.parametrize("solver", [NMF(), VQ(), CD()])
@pytest.mark.parametrize("heads", [1, 2])
def test_a_ham_starts_where_it_ended(solver, heads):
    """Then it decomposes the same data no worse, and other data from there."""
    ham = Ham(8, 3, solver, heads=heads, eval_steps=2).eval()
    x, carried = torch.rand(1, 8, 30), []
    own = ham(x)
    errors = []
    with carrying_dictionary(ham, carried):
        for _ in range(4):
            errors.append(float((ham(x) - x).norm()))
    assert torch.equal(ham(x), own) and ham.carried is None
    assert errors[0] == pytest.approx(float((own - x).norm()))
    if isinstance(solver, NMF):
        assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0]
    (last,) = carried
    other = Ham(8, 3, solver, heads=heads, eval_steps=2).eval()
    other.dictionary.copy_(F.normalize(last, dim=-2))
    with carrying_dictionary(ham, carried):
        assert torch.equal(ham(x), other(x))


def test_what_is_carried_is_not_the_ham_s():
    ham = Ham(8, 3).eval()
    state = {name: value.clone() for name, value in ham.state_dict().items()}
    with pytest.raises(RuntimeError), carrying_dictionary(ham, []):
        ham(torch.rand(1, 8, 30))
        raise RuntimeError
    assert ham.carried is None
    assert all(torch.equal(value, state[name]) for name, value in ham.state_dict().items())


def test_a_ham_over_channels_carries_nothing():
    with pytest.raises(ValueError, match="one image"), carrying_dictionary(Ham(8, 3, over="channel"), []):
        pass


def test_steps_for_a_while():
    ham = Ham(8, 3, eval_steps=5).eval()
    x = torch.rand(1, 8, 30)
    own = ham(x)
    with pytest.raises(RuntimeError), evaluating_steps(torch.nn.Sequential(ham), 2):
        assert ham.eval_steps == 2 and not torch.equal(ham(x), own)
        raise RuntimeError
    with evaluating_steps(ham, None):
        assert torch.equal(ham(x), own)
    assert ham.eval_steps == 5

"""State that training moves: once a step, whatever repeats or splits the forward pass."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from helpers import relative_error
from nightly import some_by_day
from subquad.nn import ConditionalBatchNorm, Ham, Hamburger, running, spectral_norm
from subquad.nn.conv import BatchNorm
from subquad.ops import NMF, decompose

again = partial(checkpoint, use_reentrant=False)
again_reentrant = partial(checkpoint, use_reentrant=True)


def two_hams():
    torch.manual_seed(1)
    blocks = [Hamburger(8, dim=8, rank=3, heads=2, start="running", norm=None) for _ in range(2)]
    return nn.Sequential(*blocks).train()


def train(network, run, steps=3):
    """Return the gradients and the state after so many steps of `run`, which goes backward."""
    torch.manual_seed(2)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    x, towards = torch.rand(4, 8, 3, 4, requires_grad=True), torch.randn(4, 8, 3, 4)
    for _ in range(steps):
        optimizer.zero_grad()
        run(network, x, towards)
        optimizer.step()
    gradient = torch.cat([p.grad.flatten() for p in network.parameters()])
    return gradient, torch.cat([b.flatten() for b in network.buffers()])


def plainly(network, x, towards):
    (network(x) * towards).sum().backward()


REPEATED = {
    "whole": lambda net, x: again(net, x),
    "reentrant": lambda net, x: again_reentrant(net, x),
    "nested": lambda net, x: again(lambda x: net[1](again(net[0], x)), x),
    "nested, reentrant": lambda net, x: again_reentrant(lambda x: net[1](again_reentrant(net[0], x)), x),
    "each by itself": lambda net, x: again(net[1], again(net[0], x)),
    "without the random state": lambda net, x: again(net, x, preserve_rng_state=False),
}


@pytest.mark.parametrize("how", REPEATED)
def test_recomputation_starts_where_the_first_pass_did_and_moves_nothing(how):
    expected = train(two_hams(), plainly)
    actual = train(two_hams(), lambda net, x, towards: (REPEATED[how](net, x) * towards).sum().backward())
    assert all(map(torch.equal, actual, expected))


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("backward_each", [False, True])
def test_micro_batches_are_one_batch(repeat, backward_each):
    """The gradient and the dictionary are those of the whole batch, also if its parts differ in size."""

    def accumulate(network, x, towards):
        losses = []
        for part, weights in zip(x.split([1, 3]), towards.split([1, 3]), strict=True):
            y = again(network, part) if repeat else network(part)
            losses.append((y * weights).sum())
            if backward_each:
                losses.pop().backward()
        if losses:
            sum(losses).backward()

    for actual, expected in zip(train(two_hams(), accumulate), train(two_hams(), plainly), strict=True):
        assert relative_error(actual, expected) < 1e-5


def moved_from(start, x):
    final = decompose(x.flatten(2), start[0], NMF(), steps=6).dictionary.mean(dim=0, keepdim=True)
    return F.normalize(0.1 * start + 0.9 * final, dim=1)


LOOKS = {
    "an optimiser's step": lambda ham: torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1).step(),
    "a loop of its own": lambda ham: running.end_step(),
    "saved": lambda ham: ham.state_dict(),
    "loaded": lambda ham: ham.load_state_dict({"dictionary": ham.dictionary.clone()}),
    "copied": lambda ham: copy.deepcopy(ham),
    "evaluated": lambda ham: ham.eval().train(),
}


@pytest.mark.parametrize("how", LOOKS)
def test_what_ends_a_step(how):
    ham, x = Ham(8, 3, start="running"), torch.rand(3, 8, 5)
    ham(x)
    first = ham.dictionary.clone()
    ham(x)
    torch.testing.assert_close(ham.dictionary, first)  # the mean of two equal passes
    LOOKS[how](ham)
    ham(x)
    torch.testing.assert_close(ham.dictionary, moved_from(first, x))


def test_who_sets_the_dictionary_is_not_overruled():
    ham, x = Ham(8, 3, start="running"), torch.rand(3, 8, 5)
    ham(x)
    other = F.normalize(torch.rand(1, 8, 3), dim=1)
    ham.dictionary.copy_(other)
    ham(x)
    torch.testing.assert_close(ham.dictionary, moved_from(other, x))
    moved = ham.dictionary.clone()
    twin = copy.deepcopy(ham)
    assert torch.equal(ham(x), twin(x)) and torch.equal(ham.dictionary, twin.dictionary)
    assert not torch.equal(ham.dictionary, moved)


def test_what_is_not_finite_moves_nothing():
    ham, x = Ham(8, 3, start="running"), torch.rand(2, 8, 5)
    before = ham.dictionary.clone()
    ham(torch.full_like(x, torch.nan))
    assert torch.equal(ham.dictionary, before)
    ham(x)
    torch.testing.assert_close(ham.dictionary, moved_from(before, x))


def test_functional_call_moves_the_caller_s_dictionary():
    block, x = two_hams()[0], torch.rand(2, 8, 5)
    twin = copy.deepcopy(block)
    weights = {name: p.detach() for name, p in block.named_parameters()}
    before = {name: b.clone() for name, b in block.named_buffers()}
    given = {name: b.clone() for name, b in before.items()}
    y = functional_call(block, (weights, given), x)
    assert torch.equal(y, twin(x)) and torch.equal(given["ham.dictionary"], twin.ham.dictionary)
    assert torch.equal(block.ham.dictionary, before["ham.dictionary"]), "its own stays"
    assert torch.equal(block(x), y), "and what it starts from"

    given = {name: b.clone() for name, b in before.items()}
    gradient = grad(lambda w: functional_call(block, (w, given), x).sum())(weights)
    twin.zero_grad()
    twin.load_state_dict(before, strict=False)
    twin(x).sum().backward()
    assert torch.equal(gradient["lower_bread.weight"], twin.lower_bread.weight.grad)
    assert torch.equal(given["ham.dictionary"], twin.ham.dictionary)


def test_under_vmap_the_samples_are_a_batch():
    ham, x = Ham(8, 3, heads=2, start="running"), torch.rand(3, 8, 5)
    twin = copy.deepcopy(ham)
    torch.testing.assert_close(vmap(lambda sample: ham(sample[None])[0])(x), twin(x))
    torch.testing.assert_close(ham.dictionary, twin.dictionary)


def test_an_ensemble_under_vmap_keeps_its_dictionaries_apart():
    hams, x = [Ham(8, 3, start="running") for _ in range(3)], torch.rand(2, 8, 5)
    for ham in hams:
        ham.dictionary.copy_(F.normalize(torch.rand(1, 8, 3), dim=1))
    _, stacked = stack_module_state(hams)
    y = vmap(lambda state: functional_call(copy.deepcopy(hams[0]), state, x))(stacked)
    torch.testing.assert_close(y, torch.stack([ham(x) for ham in hams]))
    torch.testing.assert_close(stacked["dictionary"], torch.stack([ham.dictionary for ham in hams]))


@pytest.mark.parametrize(
    "repeat", some_by_day(["nothing", "inside", "outside"], lambda repeat: repeat != "nothing")
)
def test_compiled_in_one_graph(repeat):
    def compiled(ham):
        part = (lambda x: again(ham, x)) if repeat == "inside" else ham
        return torch.compile(part, fullgraph=True, backend="aot_eager")

    ham, x = Ham(8, 3, start="running", grad_steps=2, steps=2), torch.rand(2, 8, 5, requires_grad=True)
    twin = copy.deepcopy(ham)
    run = compiled(twin)
    for _ in range(2):
        expected = torch.autograd.grad(ham(x).square().sum(), x)[0]
        y = again(run, x) if repeat == "outside" else run(x)
        torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x)[0], expected)
        running.end_step()
    torch.testing.assert_close(twin.dictionary, ham.dictionary)


def test_the_mean_over_processes(monkeypatch):
    """Two ranks with a half of the batch each, one after the other: as one with all of it."""
    x = torch.rand(4, 8, 5)
    whole = Ham(8, 3, heads=2, start="running")
    ranks = [copy.deepcopy(whole), copy.deepcopy(whole)]
    whole(x)
    found = [x[:2], x[2:]]
    found = [_final_mean(whole, part) for part in found]

    def reduce_with(other):
        return lambda tensor, group=None: tensor.add_(other)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda group=None: 2)
    for rank, ham in enumerate(ranks):
        monkeypatch.setattr(torch.distributed, "all_reduce", reduce_with(found[1 - rank]))
        again(ham, x[2 * rank : 2 * rank + 2].clone().requires_grad_()).sum().backward()
        torch.testing.assert_close(ham.dictionary, whole.dictionary)


def _final_mean(ham, x):
    fixed = Ham(ham.dim, ham.rank, heads=ham.heads, start="fixed")
    return fixed.factorize(x).dictionary.unflatten(0, (-1, ham.heads)).mean(dim=0)


def _one_process(rank, path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    x, ham = torch.rand(4, 8, 5), Ham(8, 3, start="running")
    again(ham, x[2 * rank : 2 * rank + 2].clone().requires_grad_()).sum().backward()
    torch.save(ham.dictionary, f"{path}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_the_mean_over_real_processes(tmp_path):
    torch.multiprocessing.spawn(_one_process, (str(tmp_path),), nprocs=2)
    torch.manual_seed(0)
    x, ham = torch.rand(4, 8, 5), Ham(8, 3, start="running")
    ham(x)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), ham.dictionary)


class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = ConditionalBatchNorm(8, 2)

    def forward(self, x):
        return self.norm(x, torch.arange(len(x)) % 2)


OTHERS = {
    "batch norm": lambda: BatchNorm(8),
    "block": lambda: Hamburger(8, dim=8, rank=3, start="running"),
    "conditional norm": Labelled,
    "spectral norm": lambda: spectral_norm(nn.Conv2d(8, 8, 3, padding=1)),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("repeat", [again, again_reentrant], ids=["plain", "reentrant"])
def test_other_states_move_once_too(kind, repeat):
    expected, actual = OTHERS[kind](), None
    actual = copy.deepcopy(expected)
    before = {name: b.clone() for name, b in expected.named_buffers()}
    results = [
        train(expected, plainly),
        train(actual, lambda net, x, towards: (repeat(net, x) * towards).sum().backward()),
    ]
    assert all(map(torch.equal, *results))
    assert all(not torch.equal(b, before[name]) for name, b in actual.named_buffers())

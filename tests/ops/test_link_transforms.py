"""link_mix under the transforms of torch.func is what it is in a loop."""

import pytest
import torch
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from nightly import some_by_day
from subquad.nn import Paramixer
from subquad.ops import link_mix
from subquad.ops import link_packed as packed_module

OFFSETS = (0, 1, -2, 6)
LENGTHS = torch.tensor([5, 2, 0])
WAYS = ["views", "lookups", "reference", "triton"]


@pytest.fixture(params=WAYS)
def impl(request, monkeypatch):
    if request.param == "triton":
        pytest.importorskip("triton")
    monkeypatch.setattr(packed_module, "_SHORT_RUN", 0 if request.param == "views" else 2**15)
    return request.param if request.param in ("reference", "triton") else "auto"


def problem(*more):
    """Values and links of (*more, batch 3, n 5, ...)."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*more, 3, 5, size, generator=generator, dtype=torch.float64) for size in (2, 4)]


def same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize(
    "dims",
    some_by_day([(0, 0), (0, None), (None, 0), (2, 1), (-1, 3)], lambda dims: dims not in [(0, 0), (2, 1)]),
)
def test_vmap_is_a_loop(dims, lengths, impl):
    values, links = problem(7)

    def mix(values, links):
        return link_mix(values, links, OFFSETS, residual=True, lengths=lengths, impl=impl)

    def derivatives(values, links):
        return grad(lambda v, w: mix(v, w).sin().sum(), argnums=(0, 1))(values, links)

    mapped = [t[0] if d is None else t.movedim(0, d) for t, d in zip((values, links), dims, strict=True)]
    # The kernels are differentiated by PyTorch's own rules, which torch.func does not take.
    for function in (mix,) if impl == "triton" else (mix, derivatives):
        one_by_one = [
            function(*(t[0 if d is None else i] for t, d in zip((values, links), dims, strict=True)))
            for i in range(7)
        ]
        expected = torch.utils._pytree.tree_map(lambda *parts: torch.stack(parts), *one_by_one)
        same(vmap(function, in_dims=dims)(*mapped), expected)
        same(vmap(function, in_dims=dims, chunk_size=3)(*mapped), expected)


def test_nested_vmap_with_lengths_of_their_own(impl):
    values, links = problem(2, 4)
    lengths = torch.tensor([[5, 2, 0], [1, 1, 4], [5, 5, 5], [3, 2, 1]])

    def mix(values, links, lengths):
        return link_mix(values, links, OFFSETS, lengths=lengths, impl=impl)

    actual = vmap(vmap(mix), in_dims=(0, 1, None))(values, links.transpose(0, 1), lengths)
    expected = [[mix(values[i, j], links[i, j], lengths[j]) for j in range(4)] for i in range(2)]
    same(actual, torch.stack([torch.stack(row) for row in expected]))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("impl", ["views", "lookups", "reference"], indirect=True)
def test_forward_mode_and_hessians(lengths, impl):
    values, links = problem()

    def mix(values, links):
        return link_mix(values, links, OFFSETS, residual=True, lengths=lengths, impl=impl)

    def loss(values, links):
        return mix(values, links).sin().sum()

    tangents = problem()[0].cos(), problem()[1].sin()
    y, along = jvp(mix, (values, links), tangents)
    cotangent = y.exp()
    back = vjp(mix, values, links)[1](cotangent)
    products = [(t * b).sum() for t, b in zip(tangents, back, strict=True)]
    same((along * cotangent).sum(), sum(products))
    same(jacfwd(loss, argnums=(0, 1))(values, links), jacrev(loss, argnums=(0, 1))(values, links))
    both = (0, 1)
    second = hessian(loss, argnums=both)(values, links)
    same(second, jacrev(jacrev(loss, argnums=both), argnums=both)(values, links))
    inputs = tuple(t.clone().requires_grad_() for t in (values, links))
    same(second, torch.autograd.functional.hessian(loss, inputs))


def test_triton_says_that_it_is_not_differentiated_by_torch_func():
    pytest.importorskip("triton")
    values, links = problem(2)

    def loss(v, w):
        return link_mix(v, w, OFFSETS, impl="triton").sum()

    for call in (
        lambda: grad(loss)(values[0], links[0]),
        lambda: grad(loss, argnums=1)(values[0], links[0]),
        lambda: vmap(grad(loss))(values, links),
        lambda: grad(lambda v: vmap(loss)(v, links).sum())(values),
        lambda: jvp(loss, (values[0], links[0]), (values[0], links[0])),
    ):
        with pytest.raises(ValueError, match='impl="triton" has no derivatives under torch.func; use "auto"'):
            call()


@pytest.mark.parametrize("way", ["lengths", "mask", "whole"])
@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_of_each_sample_of_a_paramixer(way, recompute):
    mixer = Paramixer(4, 3, factors=3, recompute=recompute).double()
    weights = dict(mixer.named_parameters())
    x, lengths = torch.randn(3, 5, 4, dtype=torch.float64), torch.tensor([5, 2, 1])
    options = {"lengths": lengths, "mask": torch.arange(5) < lengths[:, None], "whole": None}[way]

    def loss(weights, sample, option):
        option = {} if option is None else {way: option[None]}
        return functional_call(mixer, weights, (sample[None],), option).square().sum()

    together = vmap(grad(loss), in_dims=(None, 0, None if options is None else 0))(weights, x, options)
    for i in range(3):
        y = mixer(x[i : i + 1], **({} if options is None else {way: options[i : i + 1]}))
        alone = torch.autograd.grad(y.square().sum(), list(weights.values()))
        same([together[name][i] for name in weights], list(alone))


def test_wrong_lengths_are_still_refused_where_they_are_known():
    values, links = problem()
    with pytest.raises(ValueError, match=r"lengths must be 0 to 5, .* got \[9, 0, 0\]"):
        grad(lambda v: link_mix(v, links, OFFSETS, lengths=torch.tensor([9, 0, 0])).sum())(values)
    with pytest.raises(ValueError, match="padding before a position that counts"):
        mask = torch.tensor([[False, True]])
        grad(lambda v: Paramixer(2, 2, factors=1)(v, mask=mask).sum())(torch.zeros(1, 2, 2))

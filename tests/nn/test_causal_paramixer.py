"""CausalParamixer and CausalConvolution: no position sees a later one, and one by one is all at once."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from nightly import some_by_day
from subquad.bench.memory import memory_of, peak_memory
from subquad.nn import CausalConvolution, CausalParamixer, check_mixer
from subquad.ops import causal_link_blocks as blocks_module

KINDS = {"paramixer": CausalParamixer, "convolution": CausalConvolution}
FACTORS, TRAINED = 4, 16  # which reaches 15 positions back


@pytest.fixture(params=KINDS)
def mixer(request):
    return trained(KINDS[request.param](8, factors=FACTORS, heads=4)).double()


def trained(mixer):
    """Give weights that training could have given, instead of those of the start."""
    with torch.no_grad():
        for weight in mixer.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return mixer


def sequence(n, batch=2, dim=8):
    return torch.randn(batch, n, dim, dtype=torch.float64)


def written_out(mixer, x):
    """Compute the block as its docstring writes it, position by position."""
    v, z = F.linear(x, mixer.input.weight, mixer.input.bias).chunk(2, -1)
    y, _ = mixer.conv(v)
    if isinstance(mixer, CausalParamixer):
        gates = mixer.gates(mixer.hidden(x)).unflatten(2, (mixer.factors, mixer.heads)).sigmoid()
    else:
        gates = mixer.logits.sigmoid().expand(*x.shape[:2], -1, -1)
    gates = gates.repeat_interleave(x.shape[2] // mixer.heads, dim=-1)  # of each channel
    for m in range(mixer.factors):
        rows = []
        for i in range(x.shape[1]):
            earlier = y[:, i - 2**m] if i >= 2**m else 0
            rows.append(math.sqrt(2) * ((1 - gates[:, i, m]) * y[:, i] + gates[:, i, m] * earlier))
        y = torch.stack(rows, 1)
    y = y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return F.linear(y * F.silu(z), mixer.output.weight)


def steps(mixer, x, cache):
    rows = []
    for x_t in x.unbind(1):
        y_t, cache = mixer.step(x_t, cache)
        rows.append(y_t)
    return torch.stack(rows, 1), cache


def same(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("n", [1, 3, TRAINED, 37])
def test_is_what_the_docstring_writes(mixer, n):
    x = sequence(n)
    same(mixer(x), written_out(mixer, x))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)], ids=["double", "single"]
)
def test_any_split_and_step_by_step_are_all_at_once(mixer, dtype, tolerance):
    """Past the length that it is made for, too; the caches are equal as well."""
    mixer, x = mixer.to(dtype), sequence(37).to(dtype)
    whole, end = mixer(x, return_cache=True)
    same(whole, mixer(x), tolerance)
    for parts in ([1, 36], [20, 1, 16], [2, 2, 33], [16, 21], [5] * 7 + [2]):
        cache, rows = None, []
        for part in x.split(parts, dim=1):
            y, cache = mixer(part, cache, return_cache=True)
            rows.append(y)
        same(torch.cat(rows, 1), whole, tolerance)
        assert all((cache[name] - end[name]).abs().max() <= tolerance for name in end)
    y, cache = steps(mixer, x, mixer.init_cache(2))
    same(y, whole, tolerance)
    assert all((cache[name] - end[name]).abs().max() <= tolerance for name in end)
    first, cache = mixer(x[:, :11], return_cache=True)
    then, cache = steps(mixer, x[:, 11:30], cache)
    same(torch.cat((first, then, mixer(x[:, 30:], cache)), 1), whole, tolerance)


def test_samples_of_other_lengths_are_what_they_are_alone(mixer):
    x, lengths = sequence(21, batch=4), torch.tensor([21, 0, 9, 2])
    more, more_lengths = sequence(13, batch=4), torch.tensor([1, 13, 7, 0])
    for padded, counts in ((x, lengths), (more, more_lengths)):
        for sample, length in enumerate(counts):
            padded[sample, length:] = torch.nan
    first, cache = mixer(x, return_cache=True, lengths=lengths)
    second, cache = mixer(more, cache, return_cache=True, lengths=more_lengths)
    assert torch.equal(cache["t"], lengths + more_lengths)
    last, _ = mixer.step(torch.ones(4, 8, dtype=torch.float64), cache)
    for i in range(4):
        parts = (x[i, : lengths[i]], more[i, : more_lengths[i]], torch.ones(1, 8, dtype=torch.float64))
        alone = mixer(torch.cat(parts)[None])[0]
        same(torch.cat((first[i, : lengths[i]], second[i, : more_lengths[i]], last[i : i + 1])), alone)
        assert not first[i, lengths[i] :].any() and not second[i, more_lengths[i] :].any()


def test_nothing_comes_from_later(mixer):
    x = sequence(30).requires_grad_()
    y = mixer(x)
    (later,) = torch.autograd.grad(y[:, 17].square().sum(), x)
    assert not later[:, 18:].any() and later[:, 17].all()
    changed = x.detach().clone()
    changed[:, 18:] = torch.nan
    assert torch.equal(mixer(changed)[:, :18], y[:, :18])


def test_reaches_as_far_as_it_says_and_no_further(mixer):
    """15 positions by the factors, 3 by the convolution; with 5 factors 16 more."""
    x = sequence(30).requires_grad_()
    (reached,) = torch.autograd.grad(mixer(x)[:, 25].sum(), x)
    farthest = 25 - (2**FACTORS - 1) - 3
    assert reached[:, farthest].all() and not reached[:, :farthest].any()


def test_heads_do_not_meet(mixer):
    """But in the projections and the norm: those are taken away here."""
    y = sequence(20).requires_grad_()
    hidden = mixer._gating(sequence(20))
    from subquad.ops import causal_link_chain

    (touched,) = torch.autograd.grad(causal_link_chain(y, *hidden)[..., 2:4].sum(), y)
    assert touched[..., 2:4].any() and not touched[..., :2].any() and not touched[..., 4:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_starts_as_told(kind):
    make = KINDS[kind]
    graded = {"paramixer": lambda m: m.gates.bias.view(3, 4), "convolution": lambda m: m.logits}[kind]
    expected = torch.linspace(0, -4, 4).expand(3, 4)
    for mixer in (make(8, factors=3, heads=4), make(8, factors=3, heads=4, start="uniform")):
        torch.testing.assert_close(graded(mixer), expected)
        with torch.no_grad():
            graded(mixer).fill_(9)
        for layer in mixer.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        torch.testing.assert_close(graded(mixer), expected)
        expected = torch.zeros(3, 4)
    if kind == "convolution":
        assert (graded(make(8, factors=3, heads=4, start="identity")) == -4).all()
    else:
        spread = make(64, factors=14).gates.weight.abs().max() * math.sqrt(32)
        assert 0.29 < spread < 0.301, "0.3 times what nn.Linear starts with"


def test_variance_is_kept_where_rows_are_independent():
    mixer = CausalConvolution(4, factors=6, heads=1, start="uniform")
    from subquad.ops import causal_link_chain

    y = causal_link_chain(torch.randn(1, 20_000, 4), mixer.logits)
    assert y[:, 64:].std().item() == pytest.approx(1, abs=0.1)


def test_a_step_writes_into_the_memory_of_its_cache(mixer):
    """Few rows, wherever it is: the rings are not copied."""
    mixer = type(mixer)(8, factors=12, heads=4).requires_grad_(False)
    cache = mixer.init_cache(3)
    assert {name: tuple(x.shape) for name, x in cache.items()} == {
        "rings": (3, 4095, 8), "tail": (3, 3, 8), "t": (3,),
    }  # fmt: skip
    place, size = cache["rings"].data_ptr(), cache["rings"].nbytes
    for t in (0, 5000):
        cache["t"].fill_(t)
        _, cache = mixer.step(torch.ones(3, 8), cache)
        assert cache["rings"].data_ptr() == place and cache["t"].tolist() == [t + 1] * 3
        held = memory_of(lambda cache=cache: mixer.step(torch.ones(3, 8), cache), torch.device("cpu"))
        assert held.peak < size / 4


def test_gradients_flow_through_a_cache(mixer):
    x = sequence(12)
    whole = torch.autograd.grad(mixer(x).square().sum(), list(mixer.parameters()))
    first, cache = mixer(x[:, :5], return_cache=True)
    second, cache = mixer(x[:, 5:9], cache, return_cache=True)
    third, _ = steps(mixer, x[:, 9:], cache)
    loss = torch.cat((first, second, third), 1).square().sum()
    for found, expected in zip(torch.autograd.grad(loss, list(mixer.parameters())), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_gradients_are_those_of_the_docstring(mixer):
    x = sequence(9).requires_grad_()
    both = []
    for way in (mixer, lambda x: written_out(mixer, x)):
        both.append(torch.autograd.grad(way(x).sin().sum(), [x, *mixer.parameters()]))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_second_derivatives_and_gradients_of_each_sample(mixer):
    x = sequence(5, batch=1).requires_grad_()
    assert torch.autograd.gradgradcheck(mixer, x, fast_mode=True)
    weights, samples = dict(mixer.named_parameters()), sequence(9, batch=3)

    def loss(weights, sample):
        return functional_call(mixer, weights, (sample[None],)).square().sum()

    together = vmap(grad(loss), in_dims=(None, 0))(weights, samples)
    for i in range(3):
        alone = torch.autograd.grad(mixer(samples[i : i + 1]).square().sum(), list(weights.values()))
        for name, expected in zip(weights, alone, strict=True):
            torch.testing.assert_close(together[name][i], expected, rtol=1e-11, atol=1e-11)
    caches = {name: x.unsqueeze(1) for name, x in mixer.init_cache(3).items()}
    mapped, _ = vmap(mixer.step)(samples[:, :1], caches)
    same(mapped[:, 0], mixer.step(samples[:, 0], mixer.init_cache(3))[0])


def test_keeps_the_promises_of_a_mixer(mixer):
    checked = check_mixer(mixer.float(), lambda: torch.randn(3, 13, 8), spatial=(1,), mask=False, export=True)
    checked.raise_if_failed()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast(kind, dtype):
    """The factors run in float32: a chain of ten in half precision would be an order of magnitude off."""
    mixer = trained(KINDS[kind](32, factors=10, heads=4))
    x = torch.randn(2, 300, 32)
    exact = copy.deepcopy(mixer).double()(x.double())
    scale = exact.abs().mean()
    with torch.autocast("cpu", torch.bfloat16):
        y, cache = mixer(x, return_cache=True)
        y_t, after = mixer.step(x[:, 0], {name: part.clone() for name, part in cache.items()})
        assert mixer(x).dtype == y.dtype == y_t.dtype == torch.float32
    for part in (cache, after):
        assert part["rings"].dtype == part["tail"].dtype == torch.float32
    assert (y - exact).abs().mean() < 0.02 * scale
    half = copy.deepcopy(mixer).to(dtype)
    y, cache = half(x.to(dtype), return_cache=True)
    assert y.dtype == dtype and cache["rings"].dtype == torch.float32
    assert half.init_cache(2)["rings"].dtype == half.init_cache(2, dtype=dtype)["tail"].dtype == torch.float32
    assert (y - exact).abs().mean() < 0.02 * scale
    same(half(x.to(dtype)).float(), y.float(), 0.05)


class Attention(nn.Module):
    """What the memory is compared with: causal attention with its four projections."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        q, k, v = (f(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        return self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


def test_takes_little_more_memory_than_attention(monkeypatch):
    """Forward and backward; where all factors are kept it is several times as much."""
    monkeypatch.setattr(blocks_module, "_BLOCK", 2**15)  # in proportion to sequences that are shorter here
    x, peaks = torch.randn(1, 2048, 128, requires_grad=True), []
    for module in (CausalParamixer(128, length=2048), Attention(128, 4)):

        def run(module=module):
            y = module(x)
            torch.autograd.grad(y, [x, *module.parameters()], torch.ones_like(y))

        run()
        peaks.append(peak_memory(run, torch.device("cpu")))
    assert peaks[0] < 1.5 * peaks[1]


@pytest.mark.compile
@pytest.mark.parametrize("kind", some_by_day(KINDS, lambda kind: kind == "paramixer"))
def test_compiles_whole(kind):
    mixer = trained(KINDS[kind](4, factors=2, heads=2))
    x = torch.randn(2, 9, 4, requires_grad=True)
    results = []
    for module in (torch.compile(mixer, fullgraph=True), mixer):
        y = module(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])))
    torch.testing.assert_close(*results)


@pytest.mark.slow
@pytest.mark.compile
def test_compiles_a_step_whole():
    mixer = trained(CausalParamixer(4, factors=2, heads=2))
    step = torch.compile(mixer.step, fullgraph=True)
    caches = mixer.init_cache(2), mixer.init_cache(2)
    with torch.no_grad():
        for x_t in torch.randn(5, 2, 4):
            y_t, one = step(x_t, caches[0])
            expected, other = mixer.step(x_t, caches[1])
            caches = one, other
            torch.testing.assert_close(y_t, expected)
    torch.testing.assert_close(*caches)


@pytest.mark.slow
def test_compiles_parts_of_any_length():
    """For the graph alone: without a compiler behind it."""
    mixer = trained(CausalParamixer(4, factors=3, heads=2)).requires_grad_(False)
    part = torch.compile(mixer, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (9, 12):
        given = {"return_cache": True, "lengths": torch.tensor([n - 2, 3])}
        x = torch.randn(2, n, 4)
        found, expected = (way(x, mixer.init_cache(2), **given) for way in (part, mixer))
        torch.testing.assert_close(found, expected)


class Step(nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.mixer = mixer

    def forward(self, x_t, cache):
        return self.mixer.step(x_t, cache)


def test_exports_for_any_length_and_step_by_step(mixer):
    x = sequence(37)
    whole, _ = mixer(x, return_cache=True)
    size = torch.export.Dim("n", min=2)
    program = torch.export.export(
        mixer,
        (x[:, :9].clone(),),
        dynamic_shapes={"x": {0: torch.export.Dim("batch"), 1: size}},
        strict=False,
    ).module()
    for n in (2, 20, 37):
        same(program(x[:, :n]), whole[:, :n])
        same(program(x.repeat(3, 1, 1)[:, :n]), whole.repeat(3, 1, 1)[:, :n])
    shapes = {"x": {1: size}, "cache": dict.fromkeys(mixer.init_cache(2)), "return_cache": None}
    inputs = (x[:, :9].clone(), mixer.init_cache(2), True)
    part = torch.export.export(mixer, inputs, dynamic_shapes=shapes, strict=False).module()
    first, cache = part(x[:, :20], mixer.init_cache(2), True)
    same(torch.cat((first, part(x[:, 20:], cache, True)[0]), 1), whole)
    cache = mixer.init_cache(2)
    with torch.no_grad():
        step = torch.export.export(Step(mixer), (x[:, 0], cache), strict=False).module()
    for i in range(20):
        y_t, after = step(x[:, i], cache)
        assert after["rings"].data_ptr() != cache["rings"].data_ptr()  # a graph of values has no such memory
        cache = after
        same(y_t, whole[:, i])


def test_pickles_and_is_built_on_meta():
    mixer = CausalParamixer(8, length=9, heads=2)
    assert mixer.factors == 4
    x = torch.randn(1, 5, 8)
    assert torch.equal(pickle.loads(pickle.dumps(mixer))(x), mixer(x))
    with torch.device("meta"):
        empty = CausalParamixer(8, length=9, heads=2)
    empty.load_state_dict(mixer.state_dict(), assign=True)
    assert torch.equal(empty(x), mixer(x))
    assert repr(mixer).startswith("CausalParamixer(\n  8, factors=4, heads=2\n")


@pytest.mark.parametrize("make", KINDS.values())
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 8}, "either factors or the length they are made for, got factors=None and length=None"),
        ({"dim": 8, "factors": 2, "length": 4}, "got factors=2 and length=4"),
        ({"dim": 8, "length": 0}, "length must be at least 1, got 0"),
        ({"dim": 16, "factors": 0}, "factors must be 1 to 30, got 0"),
        ({"dim": 16, "factors": 31}, "factors must be 1 to 30, got 31"),
        ({"dim": 0, "factors": 2}, "dim must be at least 1, got 0"),
        ({"dim": 20, "factors": 2}, "heads must divide dim, got heads=16 and dim=20; take heads=10"),
        ({"dim": 7, "factors": 2}, "got heads=16 and dim=7; take heads=7"),
        ({"dim": 8, "factors": 2, "heads": 0}, "got heads=0 and dim=8; take heads=1"),
        ({"dim": 16, "factors": 2, "conv": 0}, "got dim=16 and width=0"),
        ({"dim": 16, "factors": 2, "start": "flat"}, "start must be one of graded, uniform.*, got 'flat'"),
    ],
)  # fmt: skip
def test_impossible_mixers(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_wrong_inputs(mixer):
    x, cache = sequence(3), mixer.init_cache(2)
    with pytest.raises(ValueError, match=r"one position, \(batch, 8\), got \(2, 3, 8\)"):
        mixer.step(x, cache)
    with pytest.raises(ValueError, match=r"rings \(1, 15, 8\) .* got \(2, 15, 8\); take .* init_cache\(1\)"):
        mixer.step(x[:1, 0], cache)
    with pytest.raises(ValueError, match=r"rings \(1, 15, 8\)"):
        mixer(x[:1], cache)

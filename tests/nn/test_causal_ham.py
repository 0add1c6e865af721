"""CausalHam is its memory between maps: all at once, in parts and in steps, and nothing from the future."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from subquad.bench.memory import peak_memory
from subquad.nn import CausalHam
from subquad.nn import causal_ham as causal_ham_module

KINDS = {
    "ridge": {},
    "full": {"grad": "full"},
    "gradient": {"solver": "gradient"},
    "none": {"solver": "none"},
    "bare": {"conv": 0, "gate": False},
    "phase": {"keys": "phase"},
    "phase, none": {"keys": "phase", "solver": "none", "start": "random"},
}
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(params=KINDS)
def mixer(request):
    return CausalHam(12, heads=3, chunk=4, **KINDS[request.param]).double()


def written(mixer, x):
    """The layer as its formulas say it, position by position."""
    size, rows = 12 // 3, x @ mixer.query_key_value.weight.mT
    if mixer.conv is not None:
        padded = F.pad(rows, (0, 0, 3, 0))
        taps = mixer.conv.weight.squeeze(1)
        rows = sum(padded[:, j : j + x.shape[1]] * taps[:, j] for j in range(4)) + mixer.conv.bias
    q, k, v = rows.unflatten(2, (3, 3, size)).unbind(2)
    if mixer.keys == "phase":
        q, k = (torch.cat((each.cos(), each.sin()), -1) / each.shape[-1] ** 0.5 for each in (q, k))
    else:
        if mixer.solver == "none":
            q, k = F.silu(q), F.silu(k)
        q, k = (each / (each.square().sum(-1, keepdim=True) + 1e-6).sqrt() for each in (q, k))
    beta, gamma = (x @ mixer.gates.weight.mT + mixer.gates.bias).sigmoid().split(3, dim=2)
    keys = q.shape[-1]
    s, g = x.new_zeros(len(x), 3, keys, size), x.new_zeros(len(x), 3, keys, keys)
    outputs = []
    for t in range(x.shape[1]):
        if t % 4 == 0 and mixer.solver == "ridge":
            inverse = torch.linalg.inv(g + torch.diag_embed(F.softplus(mixer.ridge) + 0.01))
        query, key, value = (each[:, t].unsqueeze(-1) for each in (q, k, v))
        b, left = beta[:, t, :, None, None], gamma[:, t, :, None, None]
        value = value - left * s.mT @ key if mixer.solver == "gradient" else value
        s, g = left * s + b * key @ value.mT, left * g + b * key @ key.mT
        o = (s.mT @ (inverse @ query if mixer.solver == "ridge" else query)).squeeze(-1)
        outputs.append(o / (o.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight)
    o = torch.stack(outputs, dim=1).flatten(2)
    opened = F.silu(x @ mixer.gate.weight.mT + mixer.gate.bias) if mixer.gate else 1
    return (o * opened) @ mixer.output.weight.mT


@pytest.mark.parametrize("length", [1, 3, 13])
def test_is_what_its_formulas_say(mixer, length):
    x = torch.randn(2, length, 12, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), written(mixer, x), **EXACT)


@pytest.mark.parametrize("dtype, atol", [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_any_split_is_the_whole(mixer, dtype, atol, monkeypatch):
    monkeypatch.setattr(causal_ham_module, "_PART", 8)  # several parts of several chunks each
    mixer, x = mixer.to(dtype), torch.randn(2, 43, 12, dtype=dtype)
    whole, last = mixer(x, return_cache=True)
    for sizes in ((43,), (1, 42), (3, 1, 2, 37), (4, 16, 23), (21, 22), (1,) * 43):
        parts, cache = [], mixer.init_cache(2)
        for part in x.split(sizes, dim=1):
            y, cache = mixer(part, cache, True)
            parts.append(y)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=atol)
        torch.testing.assert_close(cache, last, rtol=0, atol=10 * atol)
    steps, cache = [], mixer.init_cache(2)
    for x_t in x.unbind(1):
        y, cache = mixer.step(x_t, cache)
        steps.append(y)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, rtol=0, atol=atol)
    torch.testing.assert_close(cache, last, rtol=0, atol=10 * atol)


def test_samples_go_on_from_where_each_ended(mixer, monkeypatch):
    """Prompts of different lengths, then the same number of positions more, and then one by one."""
    monkeypatch.setattr(causal_ham_module, "_PART", 8)
    x = torch.randn(4, 50, 12, dtype=torch.float64)
    whole, lengths = mixer(x), torch.tensor([0, 5, 8, 22])
    rows = torch.arange(22)
    prompt = x[:, :22].where((rows < lengths[:, None])[..., None], torch.nan)
    y, cache = mixer(prompt, return_cache=True, lengths=lengths)
    assert cache["t"].tolist() == lengths.tolist()
    for sample, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(y[sample, :length], whole[sample, :length], **EXACT)
        assert not y[sample, length:].any()
    index = lengths[:, None] + torch.arange(28)
    rest, expected = (each[torch.arange(4)[:, None], index] for each in (x, whole))
    y, cache = mixer(rest[:, :19], cache, True)
    torch.testing.assert_close(y, expected[:, :19], **EXACT)
    for t in range(19, 28):
        y, cache = mixer.step(rest[:, t], cache)
        torch.testing.assert_close(y, expected[:, t], **EXACT)


def test_nothing_comes_from_the_future(mixer, monkeypatch):
    monkeypatch.setattr(causal_ham_module, "_PART", 8)
    x = torch.randn(2, 21, 12, dtype=torch.float64, requires_grad=True)
    y = mixer(x)
    for t, later in itertools.product((0, 5, 10), (1e6, torch.nan, torch.inf)):
        changed = torch.cat((x[:, : t + 1], torch.full_like(x[:, t + 1 :], later)), dim=1)
        changed = changed.detach().requires_grad_()
        again = mixer(changed)
        assert torch.equal(again[:, : t + 1], y[:, : t + 1])
        (grad,) = torch.autograd.grad(again[:, : t + 1].sum(), changed)
        assert not grad[:, t + 1 :].any()
        assert grad[:, : t + 1].isfinite().all()
        if later != 1e6:
            assert again[:, t + 1 :].isnan().all()


def test_a_sequence_that_is_lost_stays_so_and_its_neighbour_is_not(mixer):
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    expected = mixer(x)
    x[0, 5, 3] = torch.inf
    y, cache = mixer(x[:, :7], return_cache=True)
    more = mixer(x[:, 7:], cache)
    torch.testing.assert_close(torch.cat((y, more), dim=1)[1], expected[1], **EXACT)
    assert more[0].isnan().all()


def test_packed_documents_are_what_each_is_alone(mixer):
    x = torch.randn(2, 11, 12, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([[0] * 5 + [1] * 6, [3] + [4] * 9 + [3]])
    y = mixer(x, segment_ids=ids)
    for row, part in ((0, slice(5, 11)), (1, slice(1, 10)), (1, slice(10, 11))):
        torch.testing.assert_close(y[row, part], mixer(x[row : row + 1, part])[0], **EXACT)
    (grad,) = torch.autograd.grad(y[0, 5:].sum(), x)
    assert not grad[0, :5].any()


def test_parts_give_the_same_gradients(mixer, monkeypatch):
    """With what each part takes computed once more, second derivatives included."""
    x = torch.randn(2, 19, 12, dtype=torch.float64, requires_grad=True)
    towards = torch.randn_like(x)
    lengths = torch.tensor([19, 6])

    def derivatives():
        y = mixer(x, lengths=lengths)
        first = torch.autograd.grad((y * towards).sum(), (x, *mixer.parameters()), create_graph=True)
        return first, torch.autograd.grad(sum((grad**2).sum() for grad in first), x)

    at_once = derivatives()
    monkeypatch.setattr(causal_ham_module, "_PART", 8)
    torch.testing.assert_close(derivatives(), at_once, rtol=1e-9, atol=1e-12)


def test_full_gradients_are_those_of_finite_differences():
    mixer = CausalHam(4, heads=2, chunk=2, grad="full").double()
    x = torch.randn(1, 7, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mixer, (x,))


def test_one_step_leaves_out_what_goes_by_way_of_the_gram_alone():
    """Values, queries and ridge have their exact derivatives; keys have others than with grad="full"."""
    x = torch.randn(2, 19, 12, dtype=torch.float64)
    one, full = (CausalHam(12, heads=3, chunk=4, grad=grad).double() for grad in ("one_step", "full"))
    full.load_state_dict(one.state_dict())
    gradients = []
    for mixer in (one, full):
        mixer(x).square().sum().backward()
        q, k, v = mixer.conv.weight.grad.split(12)
        gradients.append({"q": q, "k": k, "v": v, "ridge": mixer.ridge.grad})
    for name in ("q", "v", "ridge"):
        torch.testing.assert_close(gradients[0][name], gradients[1][name], **EXACT)
        assert gradients[0][name].any()
    assert (gradients[0]["k"] - gradients[1]["k"]).norm() > 0.01 * gradients[1]["k"].norm()


def test_transforms_of_torch_func(mixer, monkeypatch):
    monkeypatch.setattr(causal_ham_module, "_PART", 8)
    x = torch.randn(2, 19, 12, dtype=torch.float64, requires_grad=True)
    weights = dict(mixer.named_parameters())

    def loss(weights, x):
        return torch.func.functional_call(mixer, weights, (x,)).square().sum()

    expected = torch.autograd.grad(loss(weights, x), list(weights.values()))
    actual = torch.func.grad(loss)(weights, x)
    torch.testing.assert_close(tuple(actual.values()), expected, **EXACT)
    of_each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x.unsqueeze(1))
    torch.testing.assert_close(tuple(each.sum(0) for each in of_each.values()), expected, **EXACT)


def test_backward_takes_less_memory_than_attention():
    """A long sequence: most of what attention takes are q, k, v and their gradients."""

    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = torch.nn.ModuleList(torch.nn.Linear(64, 64) for _ in range(4))

        def forward(self, x):
            q, k, v = (linear(x).unflatten(2, (2, -1)).transpose(1, 2) for linear in self.maps[:3])
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.maps[3](o.transpose(1, 2).flatten(2))

    x, towards = torch.randn(1, 8192, 64, requires_grad=True), torch.randn(1, 8192, 64)

    def peak(mixer):
        def run():
            return torch.autograd.grad((mixer(x) * towards).sum(), (x, *mixer.parameters()))

        return peak_memory(run, x.device)

    assert peak(CausalHam(64, heads=2)) < 1.5 * peak(Attention())


def test_state_has_constant_size(mixer):
    def size(cache):
        return sum(each.numel() for each in cache.values())

    _, cache = mixer(torch.randn(2, 30, 12, dtype=torch.float64), return_cache=True)
    assert size(cache) == size(mixer.init_cache(2))


def test_stays_exact_over_a_long_sequence():
    """Float32 in parts against float64 at once, with a memory that forgets nothing."""
    mixer = CausalHam(8, heads=2)
    with torch.no_grad():
        mixer.gates.bias[2:] = 12
        x = torch.randn(1, 8192, 8)
        y = mixer(x)
        torch.testing.assert_close(y, mixer.double()(x.double()).float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_runs_in_half_precision(mixer, kind):
    x = torch.randn(2, 9, 12)
    expected = mixer.float()(x)
    with torch.autocast("cpu", kind):
        y, cache = mixer(x, return_cache=True)
        y_t, cache = mixer.step(x[:, 0], cache)
    assert y.dtype == y_t.dtype == torch.float32
    assert cache["memory"].dtype == (torch.float64 if mixer.solver == "ridge" else torch.float32)
    torch.testing.assert_close(y, expected, rtol=0.1, atol=0.1)
    half = mixer.to(kind)(x.to(kind))
    assert half.dtype == kind
    expected = mixer.float()(x.to(kind).float())  # of the rounded weights
    torch.testing.assert_close(half.float(), expected, rtol=0.1, atol=0.1)


def test_starts_as_specified():
    mixer = CausalHam(16, heads=2)
    torch.testing.assert_close(mixer.gates.bias, torch.tensor([1.0, 1, 3, 7]))
    torch.testing.assert_close(F.softplus(mixer.ridge) + 0.01, torch.ones(2, 8))
    assert mixer.gates.weight.abs().max() <= 0.1 / 16**0.5
    assert CausalHam(16, solver="none").ridge is None


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"heads": 5}, "heads must divide dim, got heads=5 and dim=12; take heads=4."),
        ({"heads": 0}, "heads must divide dim, got heads=0"),
        ({"conv": -1}, "conv must be at least 0, got -1."),
        ({"solver": "newton"}, "got 'newton'"),
        ({"grad": "two"}, "got 'two'"),
        ({"chunk": 0}, "chunk must be at least 1"),
    ],
)
def test_says_what_does_not_fit(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        CausalHam(12, **options)


@pytest.mark.parametrize("period", [1, 3])
def test_a_text_that_repeats_itself_is_read_as_exactly(period):
    """Thousands of equal keys: what rounding leaves beside them is enlarged by the inverse."""
    torch.manual_seed(1)
    mixer, x = CausalHam(16, heads=2), torch.randn(1, period, 16).repeat(1, 1200 // period, 1)
    with torch.no_grad():
        whole, cache, steps = mixer(x), mixer.init_cache(1), []
        for x_t in x.unbind(1):
            y_t, cache = mixer.step(x_t, cache)
            steps.append(y_t)
        parts, cache = [], None
        for part in x.split(7, dim=1):
            y, cache = mixer(part, cache, True)
            parts.append(y)
        exact = mixer.double()(x.double()).float()
    for found in (whole, torch.stack(steps, 1), torch.cat(parts, 1)):
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("conv", [0, 4])
def test_wrong_caches_get_one_sentence(conv):
    mixer, x = CausalHam(12, heads=3, conv=conv), torch.randn(3, 1, 12)
    for cache, sentence in (
        (mixer.init_cache(1), r"memory \(3, 3, 4, 4\) .* got \(1, 3, 4, 4\); take one of init_cache\(3\)"),
        ({}, r"memory \(3, 3, 4, 4\) .* got none"),
        ({**mixer.init_cache(3), "gram": torch.zeros(3, 3, 4)}, r"gram .* got \(3, 3, 4\)"),
    ):
        for call in (lambda c: mixer.step(x[:, 0], c), lambda c: mixer(x, c)):
            with pytest.raises(ValueError, match=sentence):
                call(cache)
    with pytest.raises(ValueError, match=r"one position, \(batch, 12\), got \(3, 1, 12\)"):
        mixer.step(x, mixer.init_cache(3))


def test_a_row_whose_sum_is_no_number_is_one_of_numbers():
    mixer, x = CausalHam(16, heads=2), torch.randn(1, 9, 16)
    x[0, 5] = 5e37
    assert mixer(x).isfinite().all()
    x[0, 5, 3] = -torch.inf
    assert mixer(x)[:, :5].isfinite().all() and not mixer(x)[:, 5:].isfinite().any()


def test_parts_of_a_long_sequence_begin_with_a_chunk(monkeypatch):
    """Of 48 positions, which do not divide the size of a part."""
    mixer, x = CausalHam(4, heads=1, chunk=48).double(), torch.randn(1, 1200, 4, dtype=torch.float64)
    in_parts = mixer(x)
    monkeypatch.setattr(causal_ham_module, "_PART", 10_000)
    torch.testing.assert_close(in_parts, mixer(x), **EXACT)

"""CausalAttention is softmax over the positions so far, all at once, in parts and in steps."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from subquad.nn import CausalAttention
from subquad.nn import causal_attention as causal_attention_module

KINDS = {"rotary": {}, "without": {"rotary": False}, "bare": {"conv": 0, "gate": False}}
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(params=KINDS)
def mixer(request):
    return CausalAttention(12, heads=3, **KINDS[request.param]).double()


def turned(x):
    """Rotary positions of (batch, n, heads, 4): pairs of channels as complex numbers."""
    speed = 10_000.0 ** (-torch.arange(2, dtype=torch.float64) / 2)
    angle = torch.arange(x.shape[1])[:, None] * speed
    first, second = x.split(2, dim=3)
    whole = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle).unsqueeze(1)
    return torch.cat((whole.real, whole.imag), dim=3)


def written(mixer, x):
    rows = mixer.query_key_value(x)
    rows = rows if mixer.conv is None else mixer.conv(rows)[0]
    q, k, v = rows.unflatten(2, (3, 3, 4)).unbind(2)
    if mixer.rotary:
        q, k = turned(q), turned(k)
    scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(4)
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    o = torch.einsum("bhij,bjhd->bihd", scores.masked_fill(later, -torch.inf).softmax(-1), v).flatten(2)
    return mixer.output(o if mixer.gate is None else o * F.silu(mixer.gate(x)))


@pytest.mark.parametrize("length", [1, 2, 13])
def test_is_what_its_formulas_say(mixer, length):
    x = torch.randn(2, length, 12, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), written(mixer, x), **EXACT)


@pytest.mark.parametrize("graph", [True, False])
def test_any_split_is_the_whole(mixer, graph, monkeypatch):
    monkeypatch.setattr(causal_attention_module, "_QUERIES", 4)
    with torch.set_grad_enabled(graph):
        x = torch.randn(2, 23, 12, dtype=torch.float64)
        whole = mixer(x)
        for sizes in ((23,), (1, 22), (3, 1, 2, 17), (1,) * 23):
            parts, cache = [], mixer.init_cache(2)
            for part in x.split(sizes, dim=1):
                y, cache = mixer(part, cache, True)
                parts.append(y)
            torch.testing.assert_close(torch.cat(parts, dim=1), whole, **EXACT)
        cache = mixer.init_cache(2)
        for x_t, expected in zip(x.unbind(1), whole.unbind(1), strict=True):
            y, cache = mixer.step(x_t, cache)
            torch.testing.assert_close(y, expected, **EXACT)
        assert cache["t"].tolist() == [23, 23]


@pytest.mark.parametrize("graph", [True, False])
def test_samples_go_on_from_where_each_ended(mixer, graph, monkeypatch):
    monkeypatch.setattr(causal_attention_module, "_QUERIES", 4)
    with torch.set_grad_enabled(graph):
        x = torch.randn(4, 30, 12, dtype=torch.float64)
        whole, lengths = mixer(x), torch.tensor([0, 1, 5, 12])
        prompt = x[:, :12].where((torch.arange(12) < lengths[:, None])[..., None], torch.nan)
        y, cache = mixer(prompt, return_cache=True, lengths=lengths)
        for sample, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(y[sample, :length], whole[sample, :length], **EXACT)
        index = lengths[:, None] + torch.arange(18)
        rest, expected = (each[torch.arange(4)[:, None], index] for each in (x, whole))
        y, cache = mixer(rest[:, :9], cache, True)
        torch.testing.assert_close(y, expected[:, :9], **EXACT)
        for t in range(9, 18):
            y, cache = mixer.step(rest[:, t], cache)
            torch.testing.assert_close(y, expected[:, t], **EXACT)


def test_nothing_comes_from_the_future(mixer):
    x = torch.randn(2, 13, 12, dtype=torch.float64)
    y = mixer(x)
    for later in (1e6, torch.nan, torch.inf):
        changed = torch.cat((x[:, :6], torch.full_like(x[:, 6:], later)), dim=1).requires_grad_()
        again = mixer(changed)
        assert torch.equal(again[:, :6], y[:, :6])
        (grad,) = torch.autograd.grad(again[:, :6].sum(), changed)
        assert not grad[:, 6:].any()
        assert grad[:, :6].isfinite().all()
        if later != 1e6:
            assert again[:, 6:].isnan().all()
            _, cache = mixer(changed[:, :8], return_cache=True)
            assert mixer(x[:, 8:], cache).isnan().all()  # it stays lost


@pytest.mark.parametrize("rotary", [True, False])
def test_the_fused_kernel_takes_it(rotary):
    mixer = CausalAttention(16, heads=2, rotary=rotary)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # which stops where it would not be taken
        mixer(torch.randn(2, 40, 16, requires_grad=True)).sum().backward()
        _, cache = mixer(torch.randn(2, 40, 16), return_cache=True)
        for _ in range(3):
            _, cache = mixer.step(torch.randn(2, 16), cache)


def test_packed_documents_are_what_each_is_alone(mixer):
    x = torch.randn(1, 11, 12, dtype=torch.float64)
    y = mixer(x, segment_ids=torch.tensor([[0] * 5 + [1] * 6]))
    torch.testing.assert_close(y[:, 5:], mixer(x[:, 5:]), **EXACT)


def test_turned_products_depend_on_the_distance_alone():
    """In float32, at position 65,536 as at the start."""
    mixer = CausalAttention(16, heads=1)
    q, k = torch.randn(2, 1, 1, 1, 16)

    def product(far):
        asks, _ = mixer._turned(q, q, torch.tensor([far + 9]))
        _, answers = mixer._turned(k, k, torch.tensor([far]))
        return (asks * answers).sum()

    torch.testing.assert_close(product(65_536), product(0), rtol=0, atol=1e-5)


def test_growing_does_not_write_into_what_a_graph_needs(mixer):
    x = torch.randn(2, 9, 12, dtype=torch.float64, requires_grad=True)
    y, cache = mixer(x, return_cache=True, lengths=torch.tensor([4, 6]))
    with torch.no_grad():
        mixer.step(torch.randn(2, 12, dtype=torch.float64), cache)
    y.sum().backward()


def test_room_is_left_for_more():
    """Rows are not copied for each position, as they would be if the cache grew by one at a time."""
    mixer, sizes = CausalAttention(8, heads=2), set()
    with torch.no_grad():
        cache = mixer.init_cache(1)
        for x_t in torch.randn(100, 1, 8):
            _, cache = mixer.step(x_t, cache)
            sizes.add(cache["key"].shape[2])
    assert len(sizes) < 30
    assert max(sizes) <= 125


def test_heads_of_odd_size_have_no_pairs():
    with pytest.raises(ValueError, match="got 4 heads of 3 channels"):
        CausalAttention(12, heads=4)
    CausalAttention(12, heads=4, rotary=False)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_runs_in_half_precision(mixer, kind):
    x = torch.randn(2, 9, 12)
    expected = mixer.float()(x)
    with torch.autocast("cpu", kind):
        y, cache = mixer(x[:, :8], return_cache=True)
        y_t, cache = mixer.step(x[:, 8], cache)
        _, cache = mixer.step(x[:, 0], mixer.init_cache(2))
    assert y.dtype == y_t.dtype == torch.float32
    torch.testing.assert_close(torch.cat((y, y_t.unsqueeze(1)), dim=1), expected, rtol=0.1, atol=0.1)
    assert mixer.to(kind)(x.to(kind)).dtype == kind

"""Keys of phases bind the tokens of a key, and queries start as keys one position late."""

import pytest
import torch
from torch.nn import functional as F

from helpers import reset_after_meta
from nightly import some_by_day
from subquad.models import create_model
from subquad.nn import CausalAttention, CausalHam

PLAIN = {"memory_keys": "unit", "query_start": "random"}

MIXERS = {
    "attention": lambda **options: CausalAttention(
        96, **{"heads": 3, "rotary": False, "start": "induction", **options}
    ),
    "unit": lambda **options: CausalHam(96, heads=3, **options),
    "phase": lambda **options: CausalHam(96, heads=3, keys="phase", **options),
}


def queries_and_keys(mixer, x):
    q, k, _ = mixer._project(x, None, None)[0]
    return (mixer._unit(q), mixer._unit(k)) if hasattr(mixer, "_unit") else (q, k)


@pytest.mark.parametrize("on_meta", [False, True])
@pytest.mark.parametrize("name", MIXERS)
def test_a_key_starts_as_the_query_one_position_before(name, on_meta):
    mixer = reset_after_meta(MIXERS[name], backwards=True) if on_meta else MIXERS[name]()
    q, k = queries_and_keys(mixer, torch.randn(2, 20, 96))
    torch.testing.assert_close(k[:, 1:], q[:, :-1], rtol=0, atol=1e-5)
    q, k = queries_and_keys(MIXERS[name](start="random"), torch.randn(2, 20, 96))
    assert (k[:, 1:] - q[:, :-1]).abs().mean() > 0.1 * q.abs().mean()


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize(
    "heads, conv, seen", [(3, 4, [1, 2, 3]), (1, 4, [3]), (3, 3, [1, 1, 2]), (2, 2, [1, 1])]
)
def test_heads_start_with_one_position_and_end_with_all(name, heads, conv, seen):
    """A query of a head changes with that many of the latest positions, and with none before them."""
    make = CausalAttention if name == "attention" else CausalHam
    options = {"rotary": False, "start": "induction"} if name == "attention" else {"keys": name}
    mixer = make(96, heads=heads, conv=conv, **options)
    x = torch.randn(1, 12, 96)
    q, _ = queries_and_keys(mixer, x)
    for back in range(conv):
        changed = x.clone()
        changed[:, 11 - back] += 1
        moved = (queries_and_keys(mixer, changed)[0] - q)[0, 11].abs().amax(-1) > 1e-3
        assert moved.tolist() == [back < n for n in seen]


def test_a_phase_key_is_the_product_of_what_its_tokens_rotate_by():
    mixer = CausalHam(64, heads=1, keys="phase").double()
    x = torch.randn(1, 4, 64, dtype=torch.float64)
    mixer.conv.bias.data.normal_()
    _, k = queries_and_keys(mixer, x)
    as_complex = torch.complex(*k[0, 3, 0].view(2, 64)) * 8
    product = torch.polar(torch.ones_like(x[0, 0]), mixer.conv.bias[64:128])
    for token, tap in zip(x[0], mixer.conv.weight[64:128, 0].unbind(1), strict=True):
        angles = mixer.query_key_value.weight[64:128] @ token * tap
        product = product * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(as_complex, product, rtol=0, atol=1e-12)
    torch.testing.assert_close(k.norm(dim=-1), torch.ones_like(k[..., 0]), rtol=0, atol=1e-12)


def test_phase_keys_tell_one_token_apart_where_unit_keys_do_not():
    """Of three tokens two agree: directions then agree by two thirds, phases by what 2 radians leave."""
    agree = {}
    for keys in ("unit", "phase"):
        mixer = CausalHam(128, heads=1, keys=keys)
        x = torch.randn(256, 3, 128)
        changed = x.clone()
        changed[:, 1] = torch.randn(256, 128)
        q, other = (queries_and_keys(mixer, each)[0][:, 2, 0] for each in (x, changed))
        agree[keys] = (q * other).sum(-1).mean().item()
    assert agree["unit"] > 0.6
    assert 0.3 < agree["phase"] < 0.5


@pytest.mark.parametrize("keys", some_by_day(["phase", "unit"], lambda keys: keys == "unit"))
def test_an_untrained_memory_reads_what_came_after(keys):
    """A passage of random tokens, other tokens, the passage again: the value read is that of the next one."""
    agree = {}
    for start in ("induction", "random"):
        torch.manual_seed(0)
        mixer = CausalHam(256, heads=1, keys=keys, chunk=8, start=start)
        mixer.gates.bias.data[1] = 9  # forgets nothing
        passage, between = torch.randn(8, 24, 256), torch.randn(8, 20, 256)
        x = torch.cat((passage, between, passage), dim=1)
        _, _, v = mixer._project(x, None, None)[0]
        mixer._normed = lambda o, start=start: agree.setdefault(start, o)
        mixer(x)
        read = agree[start][:, 48:67, 0]
        agree[start] = F.cosine_similarity(read, v[:, 5:24, 0], dim=-1).mean().item()
    assert agree["induction"] > agree["random"] + 0.25


@pytest.mark.parametrize("name", MIXERS)
def test_gradients_of_the_start_are_of_usual_size(name):
    """The first key sees no token: its length must have a derivative nevertheless."""
    sizes = {}
    for start in ("induction", "random"):
        mixer = MIXERS[name](start=start)
        mixer(torch.randn(4, 30, 96)).square().mean().backward()
        sizes[start] = torch.cat([p.grad.flatten() for p in mixer.parameters()]).norm().item()
    assert sizes["induction"] < 3 * sizes["random"]


@pytest.mark.parametrize(
    "make, options, told",
    [
        (CausalHam, {"keys": "cosine"}, "keys must be one of unit, phase, got 'cosine'"),
        (CausalHam, {"start": "warm"}, "start must be one of induction, random, got 'warm'"),
        (CausalAttention, {"start": None}, "got None"),
    ],
)
def test_bad_options_are_told(make, options, told):
    with pytest.raises(ValueError, match=told):
        make(12, **options)


@pytest.mark.parametrize("solver", ["ridge", "gradient", "none"])
def test_a_row_whose_angles_overflow_does_not_reach_those_before_it(solver):
    mixer = CausalHam(16, heads=2, keys="phase", solver=solver)
    for _ in range(5):
        x = torch.randn(1, 8, 16)
        expected = mixer(x)
        x[0, 5] = torch.randn(16).sign() * 1e38
        torch.testing.assert_close(mixer(x)[:, :5], expected[:, :5])


def test_what_the_layer_of_phases_is_replaced_by_is_called():
    """As adapters do."""
    mixer, x = CausalHam(16, heads=2, keys="phase"), torch.randn(1, 8, 16)
    expected = mixer(x)
    inner = mixer.query_key_value
    mixer.query_key_value = torch.nn.Sequential(inner, torch.nn.Tanh())
    assert not torch.allclose(mixer(x), expected, atol=1e-3)


@pytest.mark.parametrize("start, size", [("induction", 2.0), ("random", 2.0 / 3**0.5)])
def test_deviation_of_angles_at_first(start, size):
    """Of an input of deviation 1; the taps of a convolution that starts by itself are uniform within 1/2."""
    mixer = CausalHam(128, heads=1, keys="phase", start=start)
    q, _, _ = mixer._project(torch.randn(4, 200, 128), None, None)[0]
    assert q.std().item() == pytest.approx(size, rel=0.1)


def test_networks_hand_on_keys_and_start():
    network = create_model("ham_lm_tiny", dim=16, heads=2, pattern=("ham", "attention"), depth=2)
    assert [layer.mixer.start for layer in network.layers] == ["induction", "random"]
    assert network.layers[0].mixer.keys == "phase"
    asked = create_model("ham_lm_tiny", dim=16, heads=2, pattern=("attention",), query_start="induction")
    assert asked.layers[0].mixer.start == "induction"
    other = create_model("ham_lm_tiny", dim=16, heads=2, pattern=("delta", "attention"), **PLAIN)
    assert [layer.mixer.start for layer in other.layers] == ["random", "random"]
    assert other.layers[0].mixer.keys == "unit"


def test_what_is_no_tensor_of_numbers_is_told():
    mixer = CausalHam(16, heads=2)
    with pytest.raises(ValueError, match=r"lengths must be a tensor, got list; give torch.tensor"):
        mixer(torch.zeros(2, 5, 16), lengths=[5, 2])
    with pytest.raises(ValueError, match=r"floating point type, got torch.int64; use .float"):
        mixer(torch.zeros(2, 5, 16, dtype=torch.int64))


@pytest.mark.parametrize("conv", [0, 1])
def test_without_positions_before_there_is_nothing_to_start(conv):
    assert CausalHam(16, heads=2, conv=conv)(torch.randn(1, 5, 16)).isfinite().all()


@pytest.mark.parametrize("keys", ["unit", "phase"])
def test_a_cache_keeps_its_types(keys):
    mixer = CausalHam(16, heads=2, keys=keys).bfloat16()
    cache = mixer.init_cache(1)
    types = {name: tensor.dtype for name, tensor in cache.items()}
    for x_t in torch.randn(3, 1, 16).bfloat16():
        _, cache = mixer.step(x_t, cache)
        assert {name: tensor.dtype for name, tensor in cache.items()} == types

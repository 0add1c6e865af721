"""Paramixer is the chain of the paper, for any length, and keeps the promises of a mixer."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nightly import some_by_day
from subquad.nn import Paramixer, check_mixer
from subquad.nn import links as links_module

KINDS = {
    "chord": {"factors": 4},
    "cdil": {"factors": 4, "protocol": "cdil"},
    "cdil of 7": {"factors": 3, "protocol": "cdil", "links": 7},
    "fixed": {"factors": 4, "residual": "fixed", "norm": True},
    "figure": {"factors": 4, "residual": None, "recompute": True},
}


@pytest.fixture(params=KINDS)
def mixer(request):
    return Paramixer(8, 6, **KINDS[request.param])


def original(mixer, values, context):
    """The chain as the paper writes it: one network a factor, one dense matrix a factor."""
    length, h = values.shape[1], mixer.hidden
    start = values = mixer.g(mixer.norm_values(values))
    context = mixer.norm_context(context)
    for m, offsets in enumerate(mixer.offsets):
        rows = slice(m * h, (m + 1) * h)
        hidden = F.gelu(F.linear(context, mixer.links.weight1[rows], mixer.links.bias1[rows]))
        links = F.linear(hidden, mixer.links.weight2[m], mixer.links.bias2[m])
        matrix = links.new_zeros(len(values), length, length)
        for i in range(length):
            for k, offset in enumerate(offsets):
                matrix[:, i, (i + offset) % length] += links[:, i, k]
        added = {"running": values, "fixed": start, None: 0}[mixer.residual]
        values = matrix @ values + added
    return values


@pytest.mark.parametrize("length", [1, 2, 11, 16])
@pytest.mark.parametrize("own_context", [True, False], ids=["context", "values"])
def test_is_the_chain_of_the_paper(mixer, length, own_context):
    mixer = mixer.double()
    values, context = torch.randn(2, 2, length, 8, dtype=torch.float64)
    if not own_context:
        context = values
    actual = mixer(values, context if own_context else None)
    torch.testing.assert_close(actual, original(mixer, values, context), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", some_by_day(KINDS, lambda kind: kind in ("chord", "figure")))
def test_keeps_the_promises(kind):
    mixer = Paramixer(8, 6, **KINDS[kind])
    check_mixer(mixer, lambda: torch.randn(3, 13, 8), spatial=(1,), export=True).raise_if_failed()


@pytest.mark.compile
@pytest.mark.parametrize("recompute", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiles_whole_with_its_gradient(recompute):
    mixer = Paramixer(8, 6, factors=2, protocol="cdil", links=3, recompute=recompute)
    x = torch.randn(2, 11, 8, requires_grad=True)
    compiled = torch.compile(mixer, fullgraph=True)
    lengths = torch.tensor([11, 6])
    results = []
    for module in (compiled, mixer):
        y = module(x, lengths=lengths)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


def test_number_of_factors_and_parameters():
    for length, factors in {1: 1, 2: 1, 3: 2, 1024: 10, 1025: 11, 1999: 11, 4097: 13, 16385: 15}.items():
        assert Paramixer(2, 2, length=length).factors == factors
    d, h, m = 32, 16, 11
    for kind, n in {"chord": m + 1, "cdil": 9}.items():
        mixer = Paramixer(d, h, factors=m, protocol=kind)
        count = sum(p.numel() for p in mixer.parameters())
        assert count == m * (d * h + h + h * n + n) + 2 * d * h + h + d


def test_offsets_of_the_protocols():
    assert Paramixer(2, 2, factors=3).offsets == ((0, 1, 2, 4),) * 3
    cdil = Paramixer(2, 2, factors=2, protocol="cdil", links=5)
    assert cdil.offsets == ((0, 1, 2, -1, -2), (0, 2, 4, -2, -4))


def test_every_network_starts_as_pytorch_starts_its_layers():
    mixer = Paramixer(64, 256, factors=40)
    inputs = {"weight1": 64, "bias1": 64, "weight2": 256, "bias2": 256}
    for name, size in inputs.items():
        parameter = getattr(mixer.links, name).detach()
        bound = 1 / math.sqrt(size)
        assert parameter.abs().max() <= bound and parameter.abs().max() > 0.98 * bound
        assert abs(float(parameter.std()) / (bound / math.sqrt(3)) - 1) < 0.05
        layer = nn.Linear(size, 4000)
        assert abs(float(parameter.std() / layer.weight.detach().std()) - 1) < 0.05


@pytest.mark.parametrize("residual", ["running", "fixed", None])
@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_identity_start(protocol, residual):
    mixer = Paramixer(8, 6, factors=4, protocol=protocol, residual=residual, start="identity")
    x = torch.randn(2, 13, 8)
    torch.testing.assert_close(mixer(x), mixer.g(x), rtol=0, atol=0)
    mixer(x).square().sum().backward()
    assert mixer.links.weight2.grad is not None and mixer.links.weight2.grad.abs().max() > 0


@pytest.mark.parametrize("residual", ["running", None])
@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_uniform_start_is_the_sum_over_all_positions(protocol, residual):
    mixer = Paramixer(8, 6, factors=4, protocol=protocol, residual=residual, start="uniform").double()
    x = torch.randn(2, 16, 8, dtype=torch.float64)
    expected = mixer.g(x).sum(1, keepdim=True).expand(2, 16, 8) / math.sqrt(16)
    torch.testing.assert_close(mixer(x), expected, rtol=0, atol=1e-6)  # the links are float32
    mixer(x).square().sum().backward()
    gradient = mixer.links.weight2.grad
    assert gradient is not None and (gradient.abs().amax(dim=2) > 0).all()


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_uniform_start_of_other_lengths_walks_around_the_end(protocol):
    # 16 steps from position i around a circle of n: nobody is passed more than once more than another.
    mixer = Paramixer(8, 6, factors=4, protocol=protocol, start="uniform").double()
    x = torch.randn(3, 13, 8, dtype=torch.float64)
    lengths = torch.tensor([13, 5, 1])
    mixed = mixer(x, lengths=lengths)
    for sample, n in enumerate(lengths.tolist()):
        for i in range(n):
            passed = mixer.g(x[sample])[[(i + step) % n for step in range(16)]].sum(0) / 4
            torch.testing.assert_close(mixed[sample, i], passed, rtol=0, atol=1e-6)  # the links are float32


def test_a_start_that_cannot_be():
    with pytest.raises(ValueError, match="start must be one of random, identity, uniform, got 'mean'"):
        Paramixer(8, 6, factors=4, start="mean")
    with pytest.raises(ValueError, match="residual=\"running\" or None, got 5 links and residual='fixed'"):
        Paramixer(8, 6, factors=4, residual="fixed", start="uniform")
    with pytest.raises(ValueError, match="links to other positions .* got 1 links"):
        Paramixer(8, 6, factors=4, protocol="cdil", links=1, start="uniform")


def test_rotating_the_input_rotates_the_output(mixer):
    mixer = mixer.double()
    x = torch.randn(2, 13, 8, dtype=torch.float64)
    torch.testing.assert_close(mixer(x.roll(5, 1)), mixer(x).roll(5, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_every_position_reaches_every_other(protocol):
    mixer = Paramixer(4, 4, length=21, protocol=protocol).double()
    context = torch.randn(1, 21, 4, dtype=torch.float64)
    x = torch.randn(1, 21, 4, dtype=torch.float64, requires_grad=True)
    for position in (0, 13):
        (gradient,) = torch.autograd.grad(mixer(x, context)[0, position].sum(), x)
        assert (gradient.abs().amax(-1) > 0).all()


@pytest.mark.parametrize("lengths", [(7, 1, 12), (12, 12, 3), (12, 12, 12), (0, 5, 12)])
@pytest.mark.parametrize("fill", [torch.nan, torch.inf, 7.0])
def test_a_batch_of_mixed_lengths_is_its_samples_alone(mixer, lengths, fill):
    mixer = mixer.double()
    values, context = torch.randn(2, 3, 12, 8, dtype=torch.float64)
    weight = torch.randn(3, 12, 8, dtype=torch.float64)
    for sample, length in enumerate(lengths):
        values[sample, length:] = context[sample, length:] = fill
    values.requires_grad_()
    context.requires_grad_()
    y = mixer(values, context, lengths=torch.tensor(lengths))
    mask = torch.arange(12) < torch.tensor(lengths)[:, None]
    assert torch.equal(mixer(values, context, mask=mask), y)
    inputs = [values, context, *mixer.parameters()]
    actual = torch.autograd.grad((y * weight).sum(), inputs)
    expected = [torch.zeros_like(t) for t in inputs]
    for sample, length in enumerate(lengths):
        assert (y[sample, length:] == 0).all()
        if length == 0:
            continue
        cut = (slice(sample, sample + 1), slice(0, length))
        alone = mixer(values[cut], context[cut])
        torch.testing.assert_close(y[cut], alone, rtol=0, atol=1e-12)
        for total, part in zip(
            expected, torch.autograd.grad((alone * weight[cut]).sum(), inputs), strict=True
        ):
            total += part
    for got, wanted in zip(actual, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_one_mixer_takes_any_length():
    mixer = Paramixer(8, 6, length=16)
    for length in (1, 2, 15, 17, 1999):
        assert mixer(torch.randn(2, length, 8)).isfinite().all()


def gradients_and_bytes(mixer, x):
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y = mixer(x)
    return y, torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()]), sum(storages.values())


@pytest.mark.parametrize("residual", ["running", "fixed", None])
def test_recomputing_gives_the_same_gradients_and_keeps_less(residual):
    x = torch.randn(2, 300, 8, dtype=torch.float64, requires_grad=True)
    results = {}
    for recompute in (False, True):
        torch.manual_seed(1)
        mixer = Paramixer(8, 32, factors=8, residual=residual, recompute=recompute).double()
        results[recompute] = gradients_and_bytes(mixer, x)
    (y, gradients, kept), (y2, gradients2, kept2) = results[False], results[True]
    torch.testing.assert_close(y2, y)
    torch.testing.assert_close(gradients2, gradients)
    values, hidden_of_g = 8 * x.numel() * 8, 2 * 2 * 300 * 32 * 8
    assert kept2 < kept / 4 and kept2 < 1.2 * (values + hidden_of_g)


def test_the_hidden_layers_are_computed_in_parts_when_large(monkeypatch):
    mixer, x = Paramixer(8, 6, factors=5).double(), torch.randn(2, 20, 8, dtype=torch.float64)
    assert mixer.links.at_once(x) == 5
    whole = mixer(x)
    for most, parts in {500: 2, 1: 1}.items():
        monkeypatch.setattr(links_module, "_MOST_HIDDEN", most)
        assert mixer.links.at_once(x) == parts
        torch.testing.assert_close(mixer(x), whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["chord", "figure"])
def test_half_precision(kind):
    mixer, x = Paramixer(8, 6, **KINDS[kind]), torch.randn(2, 13, 8)
    expected = mixer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixer(x)
        y.square().sum().backward()
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mixer.parameters())
    y = mixer.bfloat16()(x.bfloat16(), lengths=torch.tensor([13, 4]))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y[0].float(), expected[0], rtol=0.05, atol=0.05)


def test_dropout_acts_in_training_alone():
    mixer, x = Paramixer(8, 6, factors=3, dropout=0.5), torch.randn(2, 50, 8)
    dropped = (mixer(x) == 0).float().mean()
    assert 0.4 < dropped < 0.6
    mixer.eval()
    assert torch.equal(mixer(x), mixer(x)) and (mixer(x) != 0).all()


def test_is_described():
    text = "8, 6, protocol='cdil', factors=4, n_links=9, residual='running', recompute=False"
    assert text in repr(Paramixer(8, 6, factors=4, protocol="cdil"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either factors or the length they are made for, got factors=None and length=None"),
        ({"factors": 3, "length": 8}, "got factors=3 and length=8"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"factors": 0}, "factors must be at least 1, got 0"),
        ({"factors": 3, "hidden": 0}, "hidden must be at least 1, got 0"),
        ({"factors": 3, "protocol": "dil"}, "protocol must be one of chord, cdil, got 'dil'"),
        ({"factors": 3, "protocol": "cdil", "links": 4}, "odd number of links.* got 4"),
        ({"factors": 3, "links": 7}, "one link more than factors, here 4; leave links out, got 7"),
        ({"factors": 3, "residual": "none"}, "residual must be .* got 'none'"),
        ({"factors": 3, "dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        Paramixer(8, **({"hidden": 6} | options))


GAP = torch.tensor([[True, False, True, True, False], [True] * 5])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 5), {}, r"expected values \(batch, positions, 8\) .* got \(2, 5\)"),
        ((2, 5, 7), {}, r"got \(2, 5, 7\); build Paramixer\(dim=...\)"),
        ((2, 0, 8), {}, r"got \(2, 0, 8\)"),
        ((2, 5, 8), {"context": torch.zeros(2, 4, 8)}, r"context must .* \(2, 5, 8\), got \(2, 4, 8\)"),
        ((2, 5, 8), {"mask": GAP}, "padding before a position that counts; put the positions of each"),
        ((2, 5, 8), {"mask": GAP.float()}, "mask must be boolean .* got torch.float32"),
        ((2, 5, 8), {"mask": GAP[:, :4]}, r"mask must be .* got torch.bool \(2, 4\)"),
        ((2, 5, 8), {"mask": ~GAP, "lengths": torch.ones(2)}, "a mask and lengths; give one of them"),
        ((2, 5, 8), {"lengths": torch.tensor([5, 9])}, r"lengths must be 0 to 5, .* got \[5, 9\]"),
        ((2, 5, 8), {"lengths": torch.tensor([5, 5, 5])}, "lengths must be 2 integers"),
    ],
)
def test_wrong_input(shape, options, message):
    with pytest.raises(ValueError, match=message):
        Paramixer(8, 6, factors=3)(torch.zeros(shape), **options)

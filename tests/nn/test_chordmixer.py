"""ChordMixer reaches every position in log2 steps, for any length, and keeps the promises of a mixer."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from subquad.nn import ChordMixer, check_mixer


@pytest.fixture(params=[{}, {"norm": False}, {"recompute": True}], ids=str)
def mixer(request):
    return ChordMixer(11, 6, blocks=4, **request.param)


@pytest.mark.parametrize("length", [1, 2, 11, 16])
def test_is_the_residual_of_rotated_mlps(mixer, length):
    mixer = mixer.double()
    x = torch.randn(2, length, 11, dtype=torch.float64)
    y = x
    for mlp in mixer.mlps:
        added = mlp(y)
        # 11 channels in 5 tracks, the first one wider.
        tracks = added.split([3, 2, 2, 2, 2], 2)
        y = y + torch.cat([track.roll(-o, 1) for track, o in zip(tracks, (0, 1, 2, 4, 8), strict=True)], 2)
    torch.testing.assert_close(mixer(x), y, rtol=0, atol=1e-12)


def test_keeps_the_promises(mixer):
    check_mixer(mixer, lambda: torch.randn(3, 13, 11), spatial=(1,), export=True).raise_if_failed()


@pytest.mark.parametrize("length", [2, 3, 8, 13, 16])
def test_every_position_reaches_every_other(length):
    mixer = ChordMixer(12, 16, length=length).double()
    x = torch.randn(1, length, 12, dtype=torch.float64, requires_grad=True)
    for position in {0, length // 2, length - 1}:
        (gradient,) = torch.autograd.grad(mixer(x)[0, position].square().sum(), x)
        assert (gradient.abs().amax(-1) > 0).all()


@pytest.mark.parametrize("length", [8, 16])
def test_one_block_less_does_not_reach_the_farthest(length):
    # A distance of n - 1 takes log2 n ones in base 2, and around the circle it takes no fewer.
    mixer = ChordMixer(12, 16, length=length).double()
    mixer.mlps = mixer.mlps[:-1]
    x = torch.randn(1, length, 12, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixer(x)[0, 3].square().sum(), x)
    reached = (gradient[0].abs().amax(-1) > 0).nonzero().flatten().tolist()
    blocks = len(mixer.mlps)
    assert reached == sorted((3 + d) % length for d in range(length) if d.bit_count() <= blocks)
    assert (3 + length - 1) % length not in reached


def test_number_of_blocks_and_parameters():
    for length, blocks in {1: 1, 2: 1, 3: 2, 1024: 10, 1025: 11, 4096: 12}.items():
        assert len(ChordMixer(13, 2, length=length).mlps) == blocks
    d, h, m = 24, 16, 11
    mixer = ChordMixer(d, h, blocks=m)
    assert mixer.offsets == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert sum(p.numel() for p in mixer.parameters()) == m * (2 * d * h + h + d + 2 * d)


def test_shifting_the_input_around_shifts_the_output(mixer):
    mixer = mixer.double()
    x = torch.randn(2, 13, 11, dtype=torch.float64)
    torch.testing.assert_close(mixer(x.roll(5, 1)), mixer(x).roll(5, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [(7, 1, 12), (12, 12, 3), (12, 12, 12), (0, 5, 12)])
@pytest.mark.parametrize("fill", [torch.nan, torch.inf, 7.0])
def test_a_batch_of_mixed_lengths_is_its_samples_alone(mixer, lengths, fill):
    mixer = mixer.double()
    x, weight = torch.randn(2, 3, 12, 11, dtype=torch.float64)
    for sample, length in enumerate(lengths):
        x[sample, length:] = fill
    x.requires_grad_()
    y = mixer(x, lengths=torch.tensor(lengths))
    mask = torch.arange(12) < torch.tensor(lengths)[:, None]
    assert torch.equal(mixer(x, mask=mask), y)
    inputs = [x, *mixer.parameters()]
    actual = torch.autograd.grad((y * weight).sum(), inputs)
    expected = [torch.zeros_like(t) for t in inputs]
    for sample, length in enumerate(lengths):
        assert (y[sample, length:] == 0).all()
        if length == 0:
            continue
        cut = (slice(sample, sample + 1), slice(0, length))
        alone = mixer(x[cut])
        torch.testing.assert_close(y[cut], alone, rtol=0, atol=1e-12)
        parts = torch.autograd.grad((alone * weight[cut]).sum(), inputs)
        for total, part in zip(expected, parts, strict=True):
            total += part
    for got, wanted in zip(actual, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_one_mixer_takes_any_length():
    mixer = ChordMixer(8, 6, length=16)
    for length in (1, 2, 15, 17, 1999):
        assert mixer(torch.randn(2, length, 8)).isfinite().all()


def gradients_and_bytes(mixer, x):
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y = mixer(x)
    return y, torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()]), sum(storages.values())


def test_recomputing_gives_the_same_gradients_and_keeps_less():
    x = torch.randn(2, 300, 9, dtype=torch.float64, requires_grad=True)
    results = {}
    for recompute in (False, True):
        torch.manual_seed(1)
        mixer = ChordMixer(9, 32, blocks=8, dropout=0.1, recompute=recompute).double()
        results[recompute] = gradients_and_bytes(mixer, x)
    (y, gradients, kept), (y2, gradients2, kept2) = results[False], results[True]
    torch.testing.assert_close(y2, y)
    torch.testing.assert_close(gradients2, gradients)
    assert kept2 < kept / 4 and kept2 < 1.2 * 8 * x.numel() * 8


def test_gradients_of_each_sample():
    mixer = ChordMixer(9, 6, blocks=3, recompute=True).double()
    x, lengths = torch.randn(3, 7, 9, dtype=torch.float64), torch.tensor([7, 4, 1])
    weights = dict(mixer.named_parameters())

    def loss(weights, sample, length):
        return functional_call(mixer, weights, (sample[None],), {"lengths": length[None]}).square().sum()

    together = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, lengths)
    for i, length in enumerate(lengths):
        expected = torch.autograd.grad(mixer(x[i : i + 1, :length]).square().sum(), list(weights.values()))
        torch.testing.assert_close([together[name][i] for name in weights], list(expected))


@pytest.mark.slow
@pytest.mark.compile
def test_compiles_whole_with_its_gradient():
    mixer = ChordMixer(8, 6, blocks=3).double()
    x = torch.randn(2, 11, 8, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([11, 6])
    compiled = torch.compile(mixer, fullgraph=True)
    results = []
    for module in (compiled, mixer):
        y = module(x, lengths=lengths)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


def test_half_precision(mixer):
    x = torch.randn(2, 13, 11)
    expected = mixer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixer(x)
        y.square().sum().backward()
    assert y.dtype == torch.float32  # what goes from block to block is not rounded
    torch.testing.assert_close(y, expected, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mixer.parameters())
    for half in (torch.float16, torch.bfloat16):
        y = mixer.to(half)(x.to(half), lengths=torch.tensor([13, 4]))
        assert y.dtype == half
        torch.testing.assert_close(y[0].float(), expected[0], rtol=0.1, atol=0.1)


def test_dropout_acts_in_training_alone():
    mixer, x = ChordMixer(8, 6, blocks=1, dropout=0.5), torch.randn(2, 50, 8)
    assert 0.4 < (mixer(x) == x).float().mean() < 0.6
    mixer.eval()
    assert torch.equal(mixer(x), mixer(x)) and (mixer(x) != x).all()


def test_starts_with_glorots_weights_and_no_biases():
    linear = ChordMixer(60, 340, blocks=1).mlps[0][1]
    bound = (6 / 400) ** 0.5
    assert 0.98 * bound < linear.weight.detach().abs().max() <= bound and (linear.bias == 0).all()
    linear.reset_parameters()
    assert 0.98 * bound < linear.weight.detach().abs().max() <= bound and (linear.bias == 0).all()


def test_is_described():
    assert repr(ChordMixer(8, 6, blocks=4)).startswith("ChordMixer(\n  8, 6, blocks=4, recompute=False\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either blocks or the length they are made for, got blocks=None and length=None"),
        ({"blocks": 3, "length": 8}, "got blocks=3 and length=8"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"blocks": 3, "hidden": 0}, "hidden must be at least 1, got 0"),
        ({"blocks": 8}, "8 blocks have 9 tracks of one channel at least, got dim=8; give dim=9 or more"),
        ({"blocks": 3, "dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ChordMixer(8, **({"hidden": 6} | options))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 5), {}, r"expected \(batch, positions, 8\) .* got \(2, 5\)"),
        ((2, 5, 7), {}, r"got \(2, 5, 7\); build ChordMixer\(dim=...\)"),
        (
            (2, 5, 8),
            {"mask": torch.tensor([[True, False, True, True, False]] * 2)},
            "padding before a position",
        ),
        ((2, 5, 8), {"lengths": torch.tensor([5, 9])}, r"lengths must be 0 to 5, .* got \[5, 9\]"),
    ],
)
def test_wrong_input(shape, options, message):
    with pytest.raises(ValueError, match=message):
        ChordMixer(8, 6, blocks=3)(torch.zeros(shape), **options)

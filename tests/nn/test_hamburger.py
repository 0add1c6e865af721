"""Hamburger: the original numbers, the gate, norms under masks, gradients."""

import pytest
import torch

from helpers import (
    fill,
    load_case,
    relative_error,
    sampled,
    set_dictionaries,
    solver_of,
    weights_of,
)
from nightly import some_by_day
from subquad import load_original
from subquad.nn import Hamburger, NoContext, SelfAttention, check_mixer
from subquad.nn.conv import BatchNorm, GroupNorm
from subquad.ops import CD, NMF, VQ

VERSIONS = ["v1", "v2", "v2plus"]
CASES = [
    "hamburger_v1_nmf",
    "hamburger_v1_cd",
    "hamburger_v2_nmf",
    "hamburger_v2_vq",
    "hamburger_v2plus_nmf",
]


@pytest.mark.parametrize("name", CASES)
def test_original_numbers(name):
    case = load_case(name)
    meta = case.meta
    block = Hamburger(
        meta["in_channels"],
        version=meta["version"].lower().replace("+", "plus"),
        dim=meta["dim"],
        rank=meta["rank"],
        solver=solver_of(meta),
        steps=meta["steps"],
    ).eval()
    report = load_original(block, weights_of(case))
    assert not report.missing and not report.unexpected and report.coverage == 1
    assert sum(p.numel() for p in block.parameters()) == meta["params"]
    set_dictionaries(block, meta["seed"], signed=meta["kind"] != "NMF")
    y = block(torch.from_numpy(fill.image(*meta["input"], meta["seed"])))
    assert tuple(y.shape) == tuple(case.out_shape)
    assert relative_error(sampled(y), case.out) < 1e-5


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("norm", ["batch", "group", None])
@pytest.mark.parametrize("solver", [NMF(), CD(0.5)], ids=lambda s: type(s).__name__)
def test_keeps_the_promises(version, norm, solver):
    block = Hamburger(32, version=version, dim=32, rank=4, norm=norm, solver=solver)
    if version == "v2plus":
        torch.nn.init.ones_(block.coef_ham)
    tolerance = 1e-5 if isinstance(solver, NMF) else 1e-4
    check_mixer(block, lambda: torch.randn(3, 32, 5, 6), tolerance=tolerance).raise_if_failed()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("spatial", [(9,), (4, 5), (2, 3, 4)], ids=len)
def test_a_closed_gate_changes_nothing_but_can_open(version, spatial):
    block = Hamburger(16, version=version, dim=16, rank=4, gate=True, norm="batch")
    x = torch.randn(2, 16, *spatial, requires_grad=True)
    y = block(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    if version == "v2plus":  # its own coefficient is zero too
        assert block.coef_ham.grad is not None
    else:
        assert block.gate.grad.abs() > 0


def test_v2plus_starts_without_its_ham_and_counts_heads():
    block = Hamburger(24, version="v2plus", dim=32, heads=4, rank=3)
    assert block.cheese.out_channels == 8  # the originals narrow the cheese by the heads
    x = torch.randn(2, 24, 4, 4)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_masked_training_equals_cropped(norm):
    """Norms and the ham leave the padding out, also where batch norm takes its statistics."""
    block = Hamburger(32, version="v2", dim=32, rank=4, norm=norm, start="fixed").double()
    twin = Hamburger(32, version="v2", dim=32, rank=4, norm=norm, start="fixed").double()
    twin.load_state_dict(block.state_dict())
    x = torch.randn(2, 32, 5, 9, dtype=torch.float64)
    mask = torch.zeros(2, 5, 9, dtype=torch.bool)
    mask[..., :6] = True
    padded = x.where(mask.unsqueeze(1), 100.0).requires_grad_()
    y = block(padded, mask)
    torch.testing.assert_close(y[..., :6], twin(x[..., :6]))
    for name, value in block.state_dict().items():
        torch.testing.assert_close(value, twin.state_dict()[name])
    (y[..., :6] * torch.randn_like(y[..., :6])).sum().backward()
    assert torch.count_nonzero(padded.grad[..., 6:]) == 0


HAMS = {
    "space": lambda: None,
    "attention": lambda: SelfAttention(32, heads=2),
    "nothing": NoContext,
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("norm", ["batch", "group", None])
@pytest.mark.parametrize("ham", HAMS)
@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_what_is_under_the_mask_reaches_no_weight(version, norm, ham, gate, training):
    """A gradient of zero times NaN is NaN: the padding must be gone before the first product."""
    block = Hamburger(
        32, version=version, dim=32, rank=4, norm=norm, start="fixed", gate=gate, ham=HAMS[ham]()
    ).train(training)
    for scalar in (block.coef_ham, block.gate):
        if scalar is not None:
            torch.nn.init.constant_(scalar, 0.5)
    x, mask = torch.randn(2, 32, 4, 5), torch.ones(2, 4, 5, dtype=torch.bool)
    mask[1, :, 3:] = False
    towards = torch.randn_like(x)
    seen = []
    for padding in (0.0, torch.nan, torch.inf):
        block.zero_grad()
        padded = x.where(mask.unsqueeze(1), padding).requires_grad_()
        y = block(padded, mask)
        (y * towards).sum().backward()
        assert not y[1, ..., 3:].any() and not padded.grad[1, ..., 3:].any()
        seen.append(
            [y.detach(), padded.grad, *(p.grad.clone() for p in block.parameters() if p.grad is not None)]
        )
    for other in seen[1:]:
        assert len(other) == len(seen[0])
        for actual, expected in zip(other, seen[0], strict=True):
            torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("norm", [BatchNorm(32), GroupNorm(4, 32)], ids=["batch", "group"])
@pytest.mark.parametrize("training", [False, True])
def test_masked_norms_do_not_see_nan(norm, training):
    x, mask = torch.randn(2, 32, 6), torch.arange(6).expand(2, 6) < 4
    norm.zero_grad()
    y = norm.train(training)(x.where(mask.unsqueeze(1), torch.nan), mask)
    y[..., :4].square().sum().backward()
    assert y.isfinite().all() and norm.weight.grad.isfinite().all() and norm.bias.grad.isfinite().all()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("norm", ["batch", None])
def test_float16_does_not_overflow_into_nan(version, norm):
    """Within the range of float16; the convolutions pass it, and a norm makes NaN of infinity."""
    block = Hamburger(16, version=version, dim=16, rank=4, norm=norm)
    if version == "v2plus":
        torch.nn.init.ones_(block.coef_ham)
    x = 6e4 * torch.rand(2, 16, 4, 5)
    with torch.autocast("cpu", torch.float16):
        y = block(x)
    assert y.isfinite().all()


def test_masked_norms_without_holes_are_the_library_s():
    x = torch.randn(3, 32, 4, 5)
    everything = torch.ones(3, 4, 5, dtype=torch.bool)
    torch.testing.assert_close(GroupNorm(8, 32)(x, everything), torch.nn.GroupNorm(8, 32)(x))
    torch.testing.assert_close(BatchNorm(32)(x, everything), torch.nn.BatchNorm2d(32)(x))


def test_gradient_against_float64():
    """The error of float32 is that of float32: ten times its resolution, not more."""
    block = Hamburger(
        16, version="v1", dim=16, rank=4, grad_steps=6, start="fixed", norm="group", norm_groups=4
    )
    x = torch.randn(2, 16, 6, 6)
    weights = torch.randn_like(x)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        leaf = x.to(dtype).requires_grad_()
        (block.to(dtype)(leaf) * weights.to(dtype)).sum().backward()
        gradients.append(leaf.grad)
    assert relative_error(gradients[1], gradients[0]) < 1e-5


def test_relu_in_the_lower_bread_for_nmf_only():
    x = torch.randn(2, 16, 4, 4)
    for solver, nonnegative in ((NMF(), True), (VQ(), False), (CD(), False)):
        block = Hamburger(16, dim=16, rank=4, solver=solver)
        seen = []
        block.ham.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        block(x)
        assert bool((seen[0] >= 0).all()) is nonnegative


def test_another_solver_says_whether_its_data_must_not_be_negative():
    """By an attribute, not by its class; one that says nothing takes any sign."""

    class Wanting(VQ):
        nonnegative = True

    class Silent:
        def __getattr__(self, name):
            if name == "nonnegative":
                raise AttributeError(name)
            return getattr(VQ(), name)

    x = torch.randn(2, 16, 4, 4)
    for solver, nonnegative in ((Wanting(), True), (Silent(), False)):
        block = Hamburger(16, dim=16, rank=4, solver=solver)
        seen = []
        block.ham.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        block(x)
        assert bool((seen[0] >= 0).all()) is nonnegative


def test_any_mixer_fits_in_the_hams_place():
    block = Hamburger(16, dim=32, ham=SelfAttention(32, heads=4))
    check_mixer(block, lambda: torch.randn(2, 16, 4, 5), tolerance=1e-4).raise_if_failed()


def test_nothing_at_all_fits_in_the_hams_place():
    """An empty nn.Sequential is false, and yet a module."""
    empty = torch.nn.Sequential()
    assert Hamburger(8, dim=8, rank=4, ham=empty).ham is empty


@pytest.mark.compile
@pytest.mark.parametrize("version", some_by_day(VERSIONS, lambda version: version == "v2plus"))
def test_compile_and_export_give_the_eager_numbers(version):
    block = Hamburger(16, version=version, dim=16, rank=4)
    report = check_mixer(block, lambda: torch.randn(2, 16, 4, 5), compile=True, export=True)
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": "v3"}, "version must be one of v1, v2, v2plus, got 'v3'"),
        ({"norm": "layer"}, "norm must be .* got 'layer'"),
        ({"norm": "group", "dim": 48}, "group norm splits channels into 32 groups, got 48"),
        (
            {"version": "v2plus", "cheese_factor": 7},
            "cheese_factor must divide dim, got 7 for dim 64",
        ),
        ({"version": "v2plus", "cheese_factor": 0}, "cheese_factor must divide dim, got 0 for dim 64"),
    ],
)
def test_bad_arguments_are_quoted(arguments, message):
    with pytest.raises(ValueError, match=message):
        Hamburger(16, **{"dim": 64, "rank": 4} | arguments)


def test_bad_input_is_quoted():
    with pytest.raises(ValueError, match="expected \\(batch, 16, \\*spatial\\), got \\(1, 3, 4, 4\\)"):
        Hamburger(16, dim=16, rank=4)(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("training", [False, True])
def test_group_norm_of_one_pixel_and_one_channel_a_group(training):
    """PyTorch's module refuses what has a variance of zero; it is the bias of the norm."""
    block = Hamburger(32, version="v1", dim=32, rank=4, norm="group", norm_groups=32).train(training)
    with torch.no_grad():
        block.norm.bias.fill_(2.0)
        x = torch.rand(1, 32, 1, 1)
        torch.testing.assert_close(block(x), x + 2)

"""Schedules against the spec's formulas; parameter groups against the originals' counts."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch import nn

from subquad import create_model
from subquad.engine.groups import backbone_stages, parameter_groups
from subquad.engine.optimizer import OptimizerOptions
from subquad.tasks.generation.optimizer import HamGANOptions

SEGNEXT = {"lr": 6e-5, "weight_decay": 0.01, "exempt": "backbone_norms_but_stem", "head_lr": 10.0}
VOC = {
    "kind": "sgd",
    "lr": 9e-3,
    "weight_decay": 1e-4,
    "exempt": "norms_and_biases",
    "bias_lr": 2.0,
    "warmup_steps": 0,
    "power": 0.9,
    "update_every": 10,
}
ADE_SGD = {
    "kind": "sgd",
    "lr": 0.01,
    "weight_decay": 5e-4,
    "exempt": "nothing",
    "warmup_steps": 0,
    "power": 0.9,
    "min_lr": 1e-4,
}


def rates(options, steps, network=None):
    """Return the learning rate of each step and group, as the optimiser has it."""
    optimizer, schedule = options.build(network or nn.Linear(2, 2), steps)
    for _ in range(steps):
        yield [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        schedule.step()


def groups_of(network, options):
    """Return {(lr, weight decay): number of tensors}."""
    optimizer, _ = options.build(network, 160_000)
    found = [(group["initial_lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert len(set(found)) == len(found)
    return {key: len(group["params"]) for key, group in zip(found, optimizer.param_groups, strict=True)}


def test_warm_up_and_poly_decay_are_the_spec_s():
    options = OptimizerOptions(warmup_steps=1500, power=0.9)
    steps = 160_000
    for t in (0, 1, 700, 1499, 1500, 90_000, steps - 1):
        poly = (1 - t / steps) ** 0.9
        warm = 1 - (1 - t / 1500) * (1 - 1e-6) if t < 1500 else 1
        assert options.factor(t, steps) == pytest.approx(poly * warm, rel=1e-12)
    assert options.factor(steps, steps) == 0
    assert options.factor(0, steps) == pytest.approx(1e-6)
    assert options.factor(10, 100) == pytest.approx(0.9**0.9)  # a short training warms up shortly


def test_cosine_decay_is_half_a_wave():
    options = OptimizerOptions(decay="cosine", warmup_steps=0, lr=1.0, min_lr=0.1)
    shares = [options.factor(t, 100) for t in (0, 25, 50, 75, 100)]
    assert shares == pytest.approx([1, 0.55 + 0.45 * 2**-0.5, 0.55, 0.55 - 0.45 * 2**-0.5, 0.1])


def test_power_zero_is_a_constant_rate():
    options = OptimizerOptions(power=0.0, warmup_steps=0)
    assert {options.factor(t, 100) for t in range(100)} == {1.0}


def test_poly_decay_ends_at_the_least_rate_in_every_group():
    """mmseg: (lr - min_lr) (1 - t / T)^0.9 + min_lr, with the lr of each group."""
    options = OptimizerOptions(**ADE_SGD, head_lr=10.0)
    network = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    for t, found in enumerate(rates(options, 50, network)):
        decay = (1 - t / 50) ** 0.9
        expected = [(lr - 1e-4) * decay + 1e-4 for lr in (0.01, 0.1)]
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_rate_changes_at_every_tenth_iteration_counted_from_one():
    options = OptimizerOptions(**VOC)
    found = [lr for lr, _ in rates(options, 95)]
    for iteration, lr in enumerate(found, start=1):
        assert lr == pytest.approx(9e-3 * (1 - iteration // 10 * 10 / 95) ** 0.9, rel=1e-12)
    assert len(set(found)) == 10


def test_sgd_is_momentum_without_nesterov():
    """Two steps by hand: v = 0.9 v + g + decay w; w -= lr v."""
    layer = nn.Linear(1, 1, bias=False)
    start = layer.weight.item()
    options = OptimizerOptions(kind="sgd", lr=0.1, weight_decay=0.01, warmup_steps=0, power=0.0)
    optimizer, _ = options.build(layer, 10)
    weight, velocity = start, 0.0
    for _ in range(2):
        optimizer.zero_grad()
        (layer.weight.square().sum()).backward()
        velocity = 0.9 * velocity + 2 * weight + 0.01 * weight
        weight -= 0.1 * velocity
        optimizer.step()
    assert layer.weight.item() == pytest.approx(weight, rel=1e-5)


class Miniature(nn.Module):
    """Every kind of parameter that a rule speaks of, in a place where it counts."""

    def __init__(self):
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.backbone = nn.ModuleDict({"embed": nn.ModuleDict({"stem": stem}), "norm": nn.LayerNorm(4)})
        self.backbone.scale = nn.Parameter(torch.ones(4))
        self.head = nn.ModuleDict({"conv": nn.Conv2d(4, 4, 1), "norm": nn.GroupNorm(2, 4)})
        self.head.coef_ham = nn.Parameter(torch.ones(1))
        self.head.dictionary = nn.Parameter(torch.ones(1, 4, 2))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            SEGNEXT,
            {
                "backbone.embed.stem.0.weight": (1, True),
                "backbone.embed.stem.0.bias": (1, True),
                "backbone.embed.stem.1.weight": (1, True),
                "backbone.embed.stem.1.bias": (1, True),
                "backbone.norm.weight": (1, False),
                "backbone.norm.bias": (1, False),
                "backbone.scale": (1, True),
                "head.conv.weight": (10, True),
                "head.conv.bias": (10, True),
                "head.norm.weight": (10, True),
                "head.norm.bias": (10, True),
                "head.coef_ham": (10, True),
                "head.dictionary": (10, False),
            },
        ),
        (
            VOC,
            {
                "backbone.embed.stem.0.weight": (1, True),
                "backbone.embed.stem.0.bias": (2, False),
                "backbone.embed.stem.1.weight": (1, False),
                "backbone.embed.stem.1.bias": (2, False),
                "backbone.norm.weight": (1, False),
                "backbone.norm.bias": (2, False),
                "backbone.scale": (1, False),
                "head.conv.weight": (1, True),
                "head.conv.bias": (2, False),
                "head.norm.weight": (1, False),
                "head.norm.bias": (2, False),
                "head.coef_ham": (1, False),
                "head.dictionary": (1, False),
            },
        ),
        (ADE_SGD, dict.fromkeys(dict(Miniature().named_parameters()), (1, True))),
    ],
    ids=["segnext", "voc", "ade20k_sgd"],
)
def test_each_parameter_has_the_group_of_its_rule(options, expected):
    network = Miniature()
    made = OptimizerOptions(**options)
    optimizer, _ = made.build(network, 100)
    found = {
        id(parameter): (group["initial_lr"] / made.lr, group["weight_decay"] == made.weight_decay)
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    named = {name: found[id(parameter)] for name, parameter in network.named_parameters()}
    assert named == {name: pytest.approx(value) for name, value in expected.items()}


def test_light_ham_tiny_has_the_groups_of_the_original():
    found = groups_of(create_model("light_ham_van_tiny"), OptimizerOptions())
    assert found == {(6e-5, 0.01): 255, (6e-5, 0.0): 68}


def test_segnext_tiny_has_the_groups_of_the_original():
    found = groups_of(create_model("segnext_tiny"), OptimizerOptions(**SEGNEXT))
    assert found == {(6e-5, 0.01): 378, (6e-5, 0.0): 66, (10 * 6e-5, 0.01): 13}


@pytest.mark.parametrize("version", ["v1", "v2", "v2plus"])
def test_hamnet_voc_has_the_groups_of_the_original(version):
    """1x: weights of convolutions; 1y: weights of batch norms and scalars; 2x: biases of both."""
    network = create_model("hamnet_r50_voc", version=version)
    kinds = Counter()
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                kinds["2x"] += 1
            elif parameter.dim() == 4:
                kinds["1x"] += 1
            else:
                assert isinstance(module, nn.modules.batchnorm._BatchNorm) or name.startswith("coef")
                kinds["1y"] += 1
    expected = {(9e-3, 1e-4): kinds["1x"], (9e-3, 0.0): kinds["1y"], (1.8e-2, 0.0): kinds["2x"]}
    assert groups_of(network, OptimizerOptions(**VOC)) == pytest.approx(expected)
    # 53 convolutions of a ResNet-50, two more of its deep stem, and their norms.
    assert kinds["1x"] >= 55 and kinds["2x"] - kinds["1y"] in (0, 2)


def test_hamnet_on_ade20k_decays_everything():
    network = create_model("hamnet_r50_ade20k")
    found = groups_of(network, OptimizerOptions(**ADE_SGD))
    assert found == {(0.01, 5e-4): len(list(network.parameters()))}


def test_a_learned_dictionary_is_exempt_unless_nothing_is():
    network = create_model("light_ham_van_tiny_d256", backbone="conv_tiny", start="learned", grad_steps=6)
    (dictionary,) = (p for name, p in network.named_parameters() if name.endswith("dictionary"))
    for exempt in ("backbone_norms", "backbone_norms_but_stem", "norms_and_biases", "nothing"):
        groups = parameter_groups(network, lr=1.0, weight_decay=0.5, exempt=exempt)
        (decay,) = (g["weight_decay"] for g in groups if any(p is dictionary for p in g["params"]))
        assert decay == (0.5 if exempt == "nothing" else 0)


def test_what_is_frozen_is_in_no_group():
    network = Miniature()
    network.backbone.requires_grad_(False)
    groups = parameter_groups(network, lr=1.0, weight_decay=0.1)
    assert sum(len(g["params"]) for g in groups) == len(list(network.head.parameters()))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"lr": -1}, "optimizer.lr must be positive, got -1"),
        ({"head_lr": 0.0}, "optimizer.head_lr must be positive, got 0.0"),
        ({"exempt": "norms"}, "optimizer.exempt must be one of .*, got 'norms'"),
        ({"kind": "lion"}, "optimizer.kind must be one of .*, got 'lion'"),
        ({"min_lr": 1.0}, "optimizer.min_lr must be at most lr = 6e-05, got 1.0"),
        ({"update_every": 0}, "optimizer.update_every must be at least 1, got 0"),
        ({"momentum": 1.0}, r"optimizer.momentum must be in \[0, 1\), got 1.0"),
        ({"betas": (0.9, 1.0)}, r"optimizer.betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        ({"weight_decay": -0.1}, "optimizer.weight_decay must be 0 or more, got -0.1"),
    ],
)
def test_options_are_checked(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        OptimizerOptions(**values)


@pytest.mark.parametrize("options", [{"lr": 1e38}, {"lr": 1e20, "head_lr": 1e18}])
def test_rates_leave_the_optimiser_room_in_float32(options):
    """AdamW divides the rate by 1 - beta, and PyTorch raises beyond float32."""
    with pytest.raises(ValueError, match=r"optimizer.lr.* 1e\+30 at most, got 1e\+38"):
        OptimizerOptions(**options)
    with pytest.raises(ValueError, match=r"generator_lr may be 1e\+30 at most, got 1e\+38"):
        HamGANOptions(generator_lr=1e38)


@pytest.mark.parametrize(
    ("backbone", "names", "stages"),
    [
        ("timm/tf_efficientnet_lite0", ["conv_stem", "blocks.0.", "blocks.6."], [7, 6, 0]),
        ("timm/resnet18", ["conv1", "layer1.", "layer4."], [4, 3, 0]),
        ("timm/convnext_atto", ["stem_0", "stages_0.", "stages_3."], [4, 3, 0]),
        ("van_tiny", ["stages.0.embed", "stages.1.", "stages.3."], [3, 2, 0]),
    ],
)
def test_earlier_stages_learn_more_slowly(backbone, names, stages):
    network = create_model("light_ham_van_tiny_d256", backbone=backbone)
    groups = parameter_groups(
        network, lr=1.0, weight_decay=0.0, head_lr=4.0, backbone_lr=0.5, layer_decay=0.8
    )
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    inside = "network." if backbone.startswith("timm/") else ""
    for name, stage in zip(names, stages, strict=True):
        found = {
            rate[id(p)] for n, p in network.named_parameters() if n.startswith(f"backbone.{inside}{name}")
        }
        assert len(found) == 1 and found.pop() == pytest.approx(0.5 * 0.8**stage)
    assert {rate[id(p)] for p in network.head.parameters()} == {4.0}


@pytest.mark.parametrize(
    "wrong", [{"layer_decay": 0.0}, {"layer_decay": 1.1}, {"backbone_lr": -1.0}, {"backbone_lr": 1e300}]
)
def test_rates_of_parts_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OptimizerOptions(**wrong)


@pytest.mark.parametrize("backbone", ["timm/regnety_002", "timm/densenet121"])
def test_stages_of_other_names_are_told_apart(backbone):
    network = create_model("light_ham_van_tiny_d256", backbone=backbone)
    assert len(set(backbone_stages(network).values())) == 5


def test_a_backbone_without_stages_has_no_layer_decay():
    with pytest.raises(ValueError, match=r"layer_decay 0.8 slows .* none are told apart"):
        parameter_groups(nn.Linear(2, 2), lr=1.0, weight_decay=0.0, layer_decay=0.8)


def test_a_rate_below_the_end_of_the_decay_does_not_rise():
    options = OptimizerOptions(lr=1e-3, min_lr=1e-4, backbone_lr=0.01, warmup_steps=0)
    network = create_model("light_ham_van_tiny_d256", backbone="conv_tiny")
    found = list(rates(options, 20, network))
    assert min(found[-1]) == pytest.approx(1e-5) and max(found[-1]) < 2e-4
    for before, after in pairwise(found):
        assert all(later <= earlier for earlier, later in zip(before, after, strict=True))

"""Every network of the originals: their numbers, their names, their sizes, their costs."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import fill, load_case, relative_error, sampled, set_dictionaries, weights_of
from nightly import some_by_day
from subquad import create_model, list_models, load_original
from subquad.engine.tables import count_text
from subquad.models import cost, model_config
from subquad.models.cost import parameters


@cache
def multiply_adds(name, size=None, **overrides):
    """Counted once for all tests."""
    return cost.multiply_adds(name, size or model_config(name).cost_size(), **overrides)


CASES = {
    "light_ham_van_tiny": ("light_ham_van_tiny", {}),
    "hamnet_voc_r50": ("hamnet_r50_voc", {}),
    "hamnet_mm_r50_d8": ("hamnet_r50_ade20k", {"concat_input": True}),
    "hamnet_van_tiny_os8": ("hamnet_van_tiny_os8", {}),
    "segnext_tiny": ("segnext_tiny", {}),
    "van_b0_classifier": ("van_tiny", {}),
}


@pytest.mark.parametrize("case_name", CASES)
def test_original_numbers(case_name):
    case = load_case(case_name)
    name, overrides = CASES[case_name]
    network = create_model(name, **overrides).eval()
    report = load_original(network, weights_of(case))
    assert not report.unexpected and not report.reshaped and report.backbone_coverage == 1
    # The cases leave out what only training uses.
    assert all(missing.startswith("auxiliary_head.") for missing in report.missing)
    set_dictionaries(network, case.meta["seed"])
    with torch.no_grad():
        out = network(torch.from_numpy(fill.image(*case.meta["input"], case.meta["seed"])))
    assert tuple(out.shape) == tuple(case.out_shape)
    assert relative_error(sampled(out), case.out) < 1e-5


# Spec 3.1, 4.3, 5.3, 5.4, 6.1 and 6.3, in millions.
PARAMETERS = [
    ("light_ham_van_tiny_d256", {}, 4.209),
    ("light_ham_van_tiny", {}, 4.866),
    ("light_ham_van_small_d256", {}, 13.832),
    ("light_ham_van_small", {}, 14.707),
    ("light_ham_van_base", {}, 27.424),
    ("light_ham_van_large", {}, 45.611),
    ("light_ham_van_huge", {}, 61.129),
    ("hamnet_r50_voc", {}, 35.044),
    ("hamnet_r101_voc", {}, 54.036),
    ("hamnet_r101_voc", {"version": "v1"}, 53.774),
    ("hamnet_r101_ade20k", {}, 57.32),
    ("hamnet_r101_ade20k", {"concat_input": True}, 69.12),
    ("hamnet_r50_ade20k", {"concat_input": True}, 50.12),
    ("hamnet_van_tiny_os8", {}, 11.940),
    ("hamnet_van_small_os8", {}, 24.168),
    ("hamnet_van_base_os8", {}, 36.885),
    ("hamnet_van_large_os8", {}, 55.072),
    ("van_tiny", {}, 4.106),
    ("van_small", {}, 13.862),
    ("van_base", {}, 26.578),
    ("van_large", {}, 44.766),
    ("van_huge", {}, 60.283),
    *(
        (f"segnext_{size}", {"num_classes": classes}, count)
        for size, counts in {
            "tiny": (4.263, 4.230, 4.269),
            "small": (13.933, 13.899, 13.938),
            "base": (27.636, 27.569, 27.647),
            "large": (48.927, 48.792, 48.948),
        }.items()
        for classes, count in zip((150, 19, 171), counts, strict=True)
    ),
]
# Published multiply-adds in G, and those of spec 5.4, 6.1 and 6.3. NMF's products are not counted
# in the two of 512 x 2048: 10.2 G of ours.
COSTS = [
    ("light_ham_van_tiny_d256", {}, (512, 512), 6.5),
    ("light_ham_van_tiny", {}, (512, 512), 11.3),
    ("light_ham_van_small_d256", {}, (512, 512), 15.8),
    ("light_ham_van_small", {}, (512, 512), 21.4),
    ("light_ham_van_base", {}, (512, 512), 34.4),
    ("light_ham_van_large", {}, (512, 512), 55.0),
    ("light_ham_van_huge", {}, (512, 512), 71.8),
    ("hamnet_r101_ade20k", {}, (512, 2048), 918.1 + 10.2),
    ("hamnet_r101_ade20k", {"concat_input": True}, (512, 2048), 1111.4 + 10.2),
    ("hamnet_van_tiny_os8", {}, (512, 512), 50.79),
    ("hamnet_van_small_os8", {}, (512, 512), 100.60),
    ("hamnet_van_base_os8", {}, (512, 512), 153.56),
    ("hamnet_van_large_os8", {}, (512, 512), 227.73),
    ("segnext_tiny", {}, (512, 512), 6.59),
    ("segnext_small", {}, (512, 512), 15.85),
    ("segnext_base", {}, (512, 512), 34.90),
    ("segnext_large", {}, (512, 512), 69.96),
    ("van_tiny", {}, (224, 224), 0.86),
    ("van_small", {}, (224, 224), 2.50),
    ("van_base", {}, (224, 224), 4.99),
    ("van_large", {}, (224, 224), 8.93),
    ("van_huge", {}, (224, 224), 12.14),
]


@pytest.mark.parametrize(("name", "overrides", "millions"), PARAMETERS)
def test_parameters(name, overrides, millions):
    digits = len(str(millions).split(".")[1])
    assert round(parameters(name, **overrides) / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("name", "overrides", "size", "published"),
    [
        pytest.param(*row, marks=pytest.mark.slow) if re.search("base|large|huge|101", row[0]) else row
        for row in COSTS
    ],
)
def test_multiply_adds(name, overrides, size, published):
    size = None if size == (model_config(name).cost_size(),) * 2 else size
    # As published, NMF takes D'X of its start twice; here once: 4,096 positions x 256 channels x rank 64.
    saved = 4096 * 256 * 64 if name == "light_ham_van_tiny_d256" else 0
    assert (multiply_adds(name, size, **overrides) + saved) / 1e9 == pytest.approx(published, rel=0.035)


def test_parts_of_the_voc_network():
    with torch.device("meta"):
        network = create_model("hamnet_r101_voc")
    parts = {"backbone": network.backbone, **dict(network.head.named_children())}
    millions = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in parts.items()}
    expected = {"backbone": 42.624, "squeeze": 9.438, "hamburger": 0.788, "align": 1.180, "classifier": 0.005}
    assert {name: round(millions[name], 3) for name in expected} == expected
    momenta = {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {3e-4}


def dilations(network):
    return [[block.conv2.dilation[0] for block in stage] for stage in network.backbone.stages]


@pytest.mark.parametrize(
    ("name", "overrides", "last_two"),
    [
        ("hamnet_r50_voc", {}, [[1, 2, 2, 2, 2, 2], [2, 8, 16]]),
        ("hamnet_r50_voc", {"output_stride": 16}, [[1] * 6, [1, 4, 8]]),
        ("hamnet_r50_ade20k", {}, [[1, 2, 2, 2, 2, 2], [2, 4, 4]]),
    ],
)
def test_dilations(name, overrides, last_two):
    with torch.device("meta"):
        network = create_model(name, **overrides).eval()
        maps = network.backbone(torch.empty(1, 3, 64, 64))
    assert dilations(network)[2:] == last_two
    stride = overrides.get("output_stride", 8)
    assert [64 // m.shape[-1] for m in maps] == [4, 8, stride, stride]


def small(name, **overrides):
    """Return a network of the same kind with a narrow head."""
    narrow = {"channels": 64, "dim": 64, "align_channels": 64, "rank": 4, "num_classes": 4}
    return create_model(name, **(narrow | overrides))


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (7, 64)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", ["hamnet_van_tiny_os8", "hamnet_r50_voc"])
def test_any_image_size(name, size):
    network = small(name).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 4, *size) and logits.isfinite().all()


def test_classifier_at_any_size():
    network = create_model("van_tiny", num_classes=7, in_channels=1).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 1, 33, 50)).shape == (2, 7)
    with pytest.raises(ValueError, match="expected images"):
        network(torch.randn(2, 3, 33, 50))


def test_auxiliary_head_is_for_training_alone():
    network = small("hamnet_van_tiny_os8")
    x = torch.randn(2, 3, 40, 48)
    logits, auxiliary = network.forward_with_auxiliary(x)
    assert logits.shape == auxiliary.shape == (2, 4, 40, 48)
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(x), network.forward_with_auxiliary(x)[0])
    before_last = {n for n, p in network.named_parameters() if "auxiliary" not in n}
    auxiliary = network.forward_with_auxiliary(x)[1]
    auxiliary.square().mean().backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None and n in before_last}
    assert reached and all(n.startswith("backbone.stages.") and "stages.3" not in n for n in reached)
    assert small("hamnet_van_tiny_os8", auxiliary=False).forward_with_auxiliary(x)[1] is None
    assert create_model("light_ham_van_tiny_d256").forward_with_auxiliary(x)[1] is None


def test_hamnet_plus_looks_at_the_backbone_again():
    assert small("hamnet_van_tiny_os8").head.concat is not None
    assert small("hamnet_van_tiny_os8", concat_input=False).head.concat is None


def test_corners_meet_corners_in_the_voc_network(monkeypatch):
    """With align_corners the corner of the logits is the corner of the head's output, exactly."""
    network = small("hamnet_van_tiny_os8", corners=True).eval()
    x = torch.randn(1, 3, 40, 48)
    with torch.no_grad():
        coarse = network.head(network.backbone(x))
        logits = network(x)
        other = small("hamnet_van_tiny_os8").eval()
        other.load_state_dict(network.state_dict())
        assert not torch.allclose(other(x), logits)
    torch.testing.assert_close(logits[..., [0, -1]][..., [0, -1], :], coarse[..., [0, -1]][..., [0, -1], :])


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("hamnet_r50_voc", {"output_stride": 4}, "output_stride of a ResNet must be 8 or 16, got 4"),
        ("hamnet_van_tiny_os8", {"output_stride": 16}, "must be 8 or 32, got 16"),
        ("hamnet_r50_voc", {"backbone": "mscan_tiny"}, "the output stride of mscan_tiny cannot be chosen"),
        ("hamnet_r50_voc", {"backbone": "resnet50"}, "unknown backbone 'resnet50'"),
        ("hamnet_r50_vok", {}, "Did you mean 'hamnet_r50_voc'"),
        ("segnext_tinny", {}, "Did you mean 'segnext_tiny'"),
        ("van_tiny", {"dim": 3}, "ClassifierConfig has no option 'dim'"),
    ],
)
def test_wrong_options(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **overrides)


def test_classifiers_and_segmentation_use_their_own_normalisation():
    assert create_model("van_tiny").config.normalization == ((0.5,) * 3, (0.5,) * 3)
    assert create_model("segnext_tiny").config.normalization[0] == (0.485, 0.456, 0.406)


# How people get their weights: bare, wrapped, from several processes, the backbone alone.


def as_classifier_file(weights):
    return {n.removeprefix("backbone."): w for n, w in weights.items() if n.startswith("backbone.")}


@pytest.mark.parametrize("case_name", ["light_ham_van_tiny", "segnext_tiny", "hamnet_van_tiny_os8"])
def test_backbone_alone(case_name):
    """An ImageNet file has the backbone's names without their prefix, and a head of its own."""
    name, overrides = CASES[case_name]
    weights = weights_of(load_case(case_name))
    imagenet = as_classifier_file(weights) | {"head.weight": np.zeros((1000, 256), np.float32)}
    network, whole = (create_model(name, **overrides) for _ in range(2))
    report = load_original(network, {"state_dict": {f"module.{n}": w for n, w in imagenet.items()}})
    assert report.backbone_coverage == 1 and report.unexpected == ("head.weight",)
    load_original(whole, weights)
    for key, tensor in whole.backbone.state_dict().items():
        assert torch.equal(tensor, network.backbone.state_dict()[key])


@pytest.mark.parametrize("prefix", some_by_day(["", "module."], bool))
def test_resnet_file_of_imagenet(prefix):
    """The deep-stem ImageNet files: conv1.k and bn1 for the stem, layer1 to layer4, fc."""
    weights = weights_of(load_case("hamnet_voc_r50"))
    theirs = {"fc.weight": np.zeros((1000, 2048), np.float32)}
    for name, value in as_classifier_file(weights).items():
        part, rest = name.split(".", 1)
        part = {"0": "conv1", "1": "bn1"}.get(part) or f"layer{int(part) - 3}"
        theirs[f"{part}.{rest}"] = value
    network, whole = create_model("hamnet_r50_voc"), create_model("hamnet_r50_voc")
    report = load_original(network, {f"{prefix}{n}": w for n, w in theirs.items()})
    assert report.backbone_coverage == 1
    load_original(whole, weights)
    for key, tensor in whole.backbone.state_dict().items():
        assert torch.equal(tensor, network.backbone.state_dict()[key])


def test_other_class_counts_swap_the_head_and_say_so():
    weights = weights_of(load_case("segnext_tiny"))
    network = create_model("segnext_tiny", num_classes=11)
    before = network.head.classifier.weight.clone()
    report = load_original(network, weights)
    assert report.classes == (150, 11)
    assert "150 classes, the network 11" in str(report)
    assert torch.equal(network.head.classifier.weight, before)
    assert load_original(create_model("segnext_tiny"), weights).classes is None


@pytest.mark.parametrize("version", ["v1", "v2plus"])
def test_another_hamburger_is_refused(version):
    weights = weights_of(load_case("hamnet_voc_r50"))
    network = create_model("hamnet_r50_voc", version=version)
    before = {n: t.clone() for n, t in network.state_dict().items()}
    with pytest.raises(ValueError, match=f"holds a Hamburger v2, .*is {version}; build it with version='v2'"):
        load_original(network, weights)
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


@pytest.mark.parametrize(("mine", "theirs"), [("segnext_tiny", "light_ham_van_tiny"),
                                              ("van_small", "van_b0_classifier"),
                                              ("hamnet_r101_voc", "hamnet_voc_r50")])  # fmt: skip
def test_another_backbone_is_refused(mine, theirs):
    with torch.device("meta"):
        network = create_model(mine)
    with pytest.raises(ValueError, match="is not a checkpoint of this"):
        load_original(network, weights_of(load_case(theirs)))


ROWS = re.compile(r"^\| `(\w+)` \|(?:.*\|)? ([\d,]+) \| ([\d.]+ [GM]) \|$", flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page", some_by_day(["docs/models.md", "README.md"], lambda page: page == "README.md")
)
def test_tables_in_the_documentation_are_computed_ones(page):
    rows = ROWS.findall((Path(__file__).parents[3] / page).read_text())
    assert len(rows) >= 7
    if page.startswith("docs"):
        assert {name for name, *_ in rows} == set(list_models())
    for name, count, costs in rows:
        assert int(count.replace(",", "")) == parameters(name), name
        assert count_text(multiply_adds(name)) == costs, name

"""`subquad bench models`: every network from an image to its class map; what is missing is left out."""

import json
import re

import pytest
import torch
from torch.nn import functional as F

from nightly import some_by_day
from subquad.bench import contenders
from subquad.bench import models as bench
from subquad.bench.contenders import CONTENDERS, REFERENCE, Rival
from subquad.bench.environment import environment
from subquad.bench.models import ModelsBench, NetworkRow, class_maps, optimised
from subquad.bench.timing import Timing
from subquad.cli.main import main
from subquad.models.cost import multiply_adds, parameters

NAMES = [contender.name for contender in CONTENDERS]


def built(name, classes=3):
    torch.manual_seed(0)
    (contender,) = (one for one in CONTENDERS if one.name == name)
    return contender.build(classes).eval()


@pytest.mark.parametrize("name", some_by_day(NAMES, lambda name: name in (NAMES[0], REFERENCE)))
def test_every_network_gives_logits_of_the_images_size_in_both_forms(name):
    network, images = built(name), torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        plain, twin = network(images), optimised(network)
        torch.testing.assert_close(twin(images), plain, atol=1e-4 * float(plain.abs().max()), rtol=0)
        assert torch.equal(class_maps(network, images, "plain"), plain.argmax(1))
        assert torch.equal(class_maps(twin, images, "optimised").long(), twin(images).argmax(1))
    assert plain.shape == (2, 3, 64, 96)
    assert twin is not network  # and so the plain form stays in its layout
    assert all(p.is_contiguous() for p in network.parameters())


def test_a_rival_is_resized_as_its_documentation_does_it():
    network, images = built(REFERENCE), torch.randn(1, 3, 64, 64)
    assert isinstance(network, Rival)
    with torch.inference_mode():
        coarse = network.network(images).logits
        assert coarse.shape == (1, 3, 16, 16)
        resized = F.interpolate(coarse, size=(64, 64), mode="bilinear", align_corners=False)
        assert torch.equal(network(images), resized)


def test_the_reference_is_of_the_published_size():
    """SegFormer-B0 with 150 classes: 3.8 M parameters, 8.4 G multiply-adds at 512 x 512."""
    with torch.inference_mode():
        weights, products = bench._cost(built(REFERENCE, 150), torch.zeros(2, 3, 512, 512))
    assert round(weights / 1e6, 1) == 3.8 and round(products / 1e9, 1) == 8.4


def test_ours_cost_what_their_list_says():
    name = "light_ham_van_tiny_d256"
    with torch.inference_mode():
        counted = bench._cost(built(name, 150), torch.zeros(2, 3, 64, 64))
    assert counted == (parameters(name), multiply_adds(name, 64))


def row(name, form, ms):
    return NetworkRow(name, "torch", form, 10, 20, Timing(ms, ms, ms), 30)


def test_shares_are_of_the_reference_in_its_faster_form():
    rows = (row("a", "plain", 10), row(REFERENCE, "plain", 40), row(REFERENCE, "optimised", 20))
    here = environment(torch.device("cpu"))
    result = ModelsBench(here, 32, 4, 3, 1, rows, ())
    assert [result.share(one) for one in rows] == [0.5, 2.0, 1.0]
    assert result.images_a_second(rows[0]) == 400
    alone = ModelsBench(here, 32, 4, 3, 1, rows[:1], ())
    assert alone.share(rows[0]) is None and alone.tables()[0].rows[0][-1] == "n/a"
    (chart,) = result.charts()
    assert chart.names == ["a", REFERENCE] and chart.series["optimised"][0] is None


def test_the_command_prints_every_row_and_writes(tmp_path, capsys):
    file = tmp_path / "models.json"
    small = ["--size=32", "--classes=2", "--repeats=1", f"--json={file}"]
    assert main(["bench", "models", *small, "--only", "light_ham_van*", "LR-*", REFERENCE]) == 0
    out = capsys.readouterr().out
    assert re.search(r"d256 takes of the time of SegFormer-B0: \d+\.\d\d plain, \d+\.\d\d optimised\.", out)
    written = json.loads(file.read_text())
    names = ["light_ham_van_tiny_d256", "LR-ASPP MobileNetV3", REFERENCE]
    assert [(one["name"], one["form"]) for one in written["rows"]] == [
        (name, form) for name in names for form in ("plain", "optimised")
    ]
    assert all(one["memory"] > 0 and one["multiply_adds"] > 0 for one in written["rows"])
    assert written["left_out"] == []


def test_what_is_not_installed_is_left_out_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(bench, "is_installed", lambda package: package == "torch")
    small = ["--size=32", "--classes=2", "--repeats=1", "--only", "segnext_tiny", "U-Net*", "DeepLabV3+*"]
    assert main(["bench", "models", *small]) == 0
    told = "DeepLabV3+ ResNet-18 and U-Net ResNet-18 left out: segmentation_models_pytorch is not installed"
    assert f"{told}; pip install 'subquad[bench]'." in " ".join(capsys.readouterr().out.split())
    assert main(["bench", "models", "--only", REFERENCE]) == 2
    assert "transformers is not installed; pip install 'subquad[bench]'." in capsys.readouterr().err
    assert contenders.is_installed("torch") and not contenders.is_installed("no_such_package")


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["--size=100"], "multiple of 32, got 100; 96 is one"),
        (["--size=-32"], "multiple of 32, got -32; 32 is one"),
        (["--batch=0"], "batch must be at least 1, got 0"),
        (["--classes=1"], "classes must be at least 2, got 1"),
        (["--only", "segformer-b0"], "'segformer-b0'. Did you mean 'SegFormer-B0'?"),
        (["--only"], "--only"),
        (["--device=warp"], "--device warp cannot be used"),
    ],
)
def test_wrong_options_are_one_sentence(arguments, quoted, capsys):
    assert main(["bench", "models", *arguments]) == 2
    assert quoted in capsys.readouterr().err


def test_forms_are_compared_with_the_same_form():
    """Also where the plain form happens to be the faster one of the two."""
    rows = [row(bench.AIMED, "plain", 10), row(bench.AIMED, "optimised", 12)]
    rows += [row(REFERENCE, "plain", 40), row(REFERENCE, "optimised", 24)]
    result = ModelsBench(environment(torch.device("cpu")), 32, 1, 3, 1, tuple(rows), ())
    assert result.tables()[-1].title.endswith("SegFormer-B0: 0.25 plain, 0.50 optimised.")
    assert result.tables()[1].rows[0][-1] == "0.0"  # MiB

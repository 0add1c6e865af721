"""Classifiers: any backbone, any timm network, context before the mean."""

import json

import pytest
import timm
import torch

from nightly import some_by_day
from subquad import create_model, load_model, load_original, save_model
from subquad.models import model_config
from subquad.models.classification.timm import TimmBody
from subquad.models.config_text import config_from_json, config_to_json
from subquad.models.cost import parameters
from subquad.nn import Hamburger, SelfAttention

TIMM = {  # a map with the channels first and last, tokens with a class token and without
    "resnet18": "channels_first",
    "swin_tiny_patch4_window7_224": "channels_last",
    "vit_tiny_patch16_224": "tokens",
    "mixer_s32_224": "tokens",
}


def small(**options):
    return create_model("conv_tiny", **{"num_classes": 3, "rank": 4, **options})


@pytest.mark.parametrize("context", ["hamburger", "attention"])
def test_context_changes_nothing_until_it_is_trained(context):
    plain, other = small().eval(), small(context=context).eval()
    assert not other.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(images), other(images))
    hamburger = other.get_submodule("last_map.0.context").hamburger
    torch.nn.init.constant_(hamburger.gate, 1.0)
    assert not torch.allclose(plain(images), other(images))
    inside = [module for module in other.modules() if isinstance(module, (SelfAttention, Hamburger))]
    assert any(isinstance(module, SelfAttention) for module in inside) == (context == "attention")


def test_context_is_on_the_whole_map():
    """Each position of the last map depends on all others once the gate is open."""
    network = small(context="hamburger").eval()
    torch.nn.init.constant_(network.get_submodule("last_map.0.context").hamburger.gate, 1.0)
    x = torch.rand(1, 64, 4, 4)
    other = x.clone()
    other[0, :, 3, 3] += 1
    assert not torch.equal(network.last_map(x)[0, :, 0, 0], network.last_map(other)[0, :, 0, 0])


def test_without_context_the_names_of_the_weights_are_as_before():
    names = set(create_model("van_tiny").state_dict())
    assert {name.split(".")[0] for name in names} == {"backbone", "classifier"}


@pytest.mark.parametrize("name", some_by_day(TIMM, lambda name: name.startswith(("resnet", "vit"))))
def test_any_network_of_timm(name, tmp_path):
    options = {"backbone": f"timm/{name}", "num_classes": 3, "image_size": 224}
    network = small(**options).eval()
    original = timm.create_model(name, num_classes=3)
    report = load_original(network, original.state_dict())
    assert report.coverage == 1 and not report.missing and not report.unexpected
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(images), original.eval()(images))
    in_context = small(**options, context="hamburger").eval()
    context = in_context.get_submodule("last_map.0.context")
    assert context.layout == TIMM[name] and context.prefix_tokens == (name.startswith("vit"))
    in_context.load_state_dict(network.state_dict(), strict=False)
    save_model(in_context, tmp_path / "m.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "m.safetensors")(images), network(images))


def test_weights_of_timm_with_other_classes_start_the_classifier_anew():
    network = small(backbone="timm/resnet18")
    before = network.classifier.weight.clone()
    report = load_original(network, timm.create_model("resnet18", num_classes=10).state_dict())
    assert report.backbone_coverage == 1 and report.classes == (10, 3)
    assert torch.equal(network.classifier.weight, before)


def test_a_network_of_one_size_is_built_for_the_size_of_the_pictures():
    network = small(backbone="timm/vit_tiny_patch16_224", image_size=32).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    with pytest.raises(ValueError, match="cannot be built for images of 30 x 30"):
        TimmBody("xcit_nano_12_p16_224", in_channels=3, drop_path=0.0, image_size=30)


def test_costs_are_those_of_the_size_of_the_pictures():
    assert model_config("conv_tiny").cost_size() == 32 and model_config("van_tiny").cost_size() == 224
    assert parameters("conv_tiny") < parameters("conv_tiny", context="hamburger") < 160_000
    assert model_config("conv_tiny").replaced(context="hamburger").sources[0] == "Geng et al., ICLR 2021"


def test_a_file_of_before_the_interpolation_was_an_option_means_bicubic():
    older = json.loads(config_to_json(model_config("conv_tiny")))
    del older["config"]["interpolation"]
    assert config_from_json(json.dumps(older), "m.safetensors") == model_config("conv_tiny")
    other = model_config("conv_tiny").replaced(interpolation="bilinear")
    assert config_from_json(config_to_json(other), "m.safetensors") == other


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"context": "paramixer"}, "context must be one of hamburger, attention, none"),
        ({"crop_ratio": 0.0}, "crop_ratio must be above 0 and at most 1, got 0"),
        ({"interpolation": "random"}, "interpolation must be one of bicubic, bilinear"),
        ({"image_size": 0}, "image_size must be"),
        ({"rank": 0}, "rank must be"),
        ({"backbone": "timm/no_such"}, "timm knows no network 'no_such'"),
    ],
)
def test_options_that_mean_nothing(wrong, said):
    with pytest.raises(ValueError, match=said):
        small(**wrong)


def test_weights_of_a_classifier_start_a_segmentation_network(tmp_path):
    torch.save({"state_dict": create_model("van_tiny").state_dict()}, tmp_path / "van.pth")
    report = load_original(create_model("light_ham_van_tiny", num_classes=3), tmp_path / "van.pth")
    assert report.backbone_coverage == 1

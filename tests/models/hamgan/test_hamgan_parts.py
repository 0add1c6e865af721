"""The parts of HamGAN against their formulas, and the original's numbers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import relative_error
from subquad import create_model
from subquad.models import HamGANConfig
from subquad.models.hamgan.context import GANAttention, GANHamburger, UniformNMF, make_context
from subquad.ops import CD, NMF, VQ, decompose

SMALL = {"size": 32, "width": 8, "num_classes": 5, "latent": 16, "generator_rank": 6, "discriminator_rank": 3}


def small(**overrides):
    return create_model("hamgan_baby", **SMALL | overrides)


def opened(network):
    """Return a network whose context counts: its gates start at zero."""
    for name, parameter in network.named_parameters():
        if name.endswith("gate"):
            nn.init.ones_(parameter)
    return network


def drawn(network, batch=3):
    config = network.config
    return torch.randn(batch, config.latent), torch.arange(batch) % config.num_classes


def test_blocks_are_those_written_out():
    """Upsampling before the shortcut's convolution, and pooling after it, gives the same."""
    network = small().eval()
    x, labels = torch.randn(2, 64, 4, 4), torch.tensor([1, 3])
    up = network.generator.blocks[0]
    y = F.interpolate(up.norm1(x, labels).relu(), scale_factor=2)
    y = up.conv2(up.norm2(up.conv1(y), labels).relu())
    torch.testing.assert_close(up(x, labels), y + up.shortcut(F.interpolate(x, scale_factor=2)))
    first, down, last = (network.discriminator.blocks[i] for i in (0, 1, 3))
    x = torch.randn(2, 3, 8, 8)
    y = F.avg_pool2d(first.conv2(first.conv1(x).relu()), 2) + first.shortcut(F.avg_pool2d(x, 2))
    torch.testing.assert_close(first(x), y)
    x = torch.randn(2, 8, 8, 8)
    y = F.avg_pool2d(down.conv2(down.conv1(x.relu()).relu()) + down.shortcut(x), 2)
    torch.testing.assert_close(down(x), y)
    x = torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(last(x), last.conv2(last.conv1(x.relu()).relu()) + last.shortcut(x))
    with torch.device("meta"):
        assert isinstance(HamGANConfig().build().discriminator.blocks[5].shortcut, nn.Identity)


def test_first_and_last_layers_are_those_written_out():
    network = opened(small()).eval()
    generator, discriminator = network.generator, network.discriminator
    latent, labels = drawn(network)
    x = generator.project(latent).reshape(3, 64, 4, 4)
    for block in generator.blocks[:2]:
        x = block(x, labels)
    x = generator.blocks[2](generator.context(x, labels), labels)
    images = generator.to_image(generator.norm(x).relu()).tanh()
    torch.testing.assert_close(network(latent, labels), images)
    x = discriminator.context(discriminator.blocks[0](images), labels)
    for block in discriminator.blocks[1:]:
        x = block(x)
    h = x.relu().sum((2, 3))
    expected = [discriminator.linear(row) + row @ discriminator.embedding.weight[label] for row, label in
                zip(h, labels, strict=True)]  # fmt: skip
    torch.testing.assert_close(discriminator(images, labels), torch.cat(expected))


def test_hamburgers_are_those_written_out():
    x, labels = torch.randn(2, 12, 4, 4), torch.tensor([1, 3])
    for version in ("v1", "v2"):
        config = HamGANConfig(size=32, num_classes=5, version=version, steps=2)
        block = opened(make_context(12, 3, config, num_classes=5)).eval()
        nn.init.normal_(block.norm.weight)
        nn.init.normal_(block.norm.bias)
        factors = decompose(block.lower_bread(x).relu().flatten(2), block.ham.dictionary[0], NMF(), steps=2)
        y = factors.reconstruct().reshape(x.shape)
        if version == "v1":
            y = block.norm(block.upper_bread(y), labels)
        else:
            y = block.upper_bread(block.norm(block.cheese(y), labels).relu())
        torch.testing.assert_close(block(x, labels), x + y)
        assert make_context(12, 3, config, num_classes=None).norm is None
    block = opened(make_context(12, 3, HamGANConfig(size=32, solver=CD(0.1, 0.1)), num_classes=None)).eval()
    inside = block.lower_bread(x)
    assert inside.min() < 0, "no ReLU before CD"
    factors = decompose(inside.flatten(2), block.ham.dictionary[0], CD(0.1, 0.1), steps=6)
    y = block.upper_bread(factors.reconstruct().reshape(x.shape))
    torch.testing.assert_close(block(x, labels), x + y)
    assert block.lower_bread.bias is None and block.norm is None


def test_attention_is_the_one_written_out():
    block = opened(GANAttention(16)).eval()
    x = torch.randn(2, 16, 4, 6)
    keys, values = (F.max_pool2d(part(x), 2).flatten(2) for part in (block.key, block.value))
    weights = (block.query(x).flatten(2).mT @ keys).softmax(-1)
    expected = x + block.out((values @ weights.mT).reshape(2, 8, 4, 6))
    torch.testing.assert_close(block(x, torch.tensor([0, 1])), expected)


def golden(solver):
    """Spec 1.8: the input, the start and the loss's weights of the GAN rows, float32."""
    b, c, n, r = (torch.arange(size, dtype=torch.float64) for size in (2, 4, 6, 2))
    x = (1 + 3 * c[:, None] + 7 * n + 11 * b[:, None, None]).sin()
    start = (1 + 2 * c[:, None] + 5 * r + 3 * b[:, None, None]).cos()
    start = start.abs() if isinstance(solver, NMF) else F.normalize(start, dim=1)
    return x.float().requires_grad_(), start.float(), (c[:, None] + 2 * n).cos().float()


GOLDEN = {
    "NMF": (UniformNMF(), [0.7414012, 0.980759, 0.7373911], 15.431223, -0.4325839,
            [0.2822321, -0.53246564, 0.16092828], 7.768981),
    "CD": (CD(0.01, 0.01), [0.7978395, 0.9997501, 0.7095886], -0.1229911, 0.3248483,
           [0.24333528, 0.03037539, -0.26861644], 8.704972),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_numbers(kind):
    solver, first, total, loss, first_gradient, gradient = GOLDEN[kind]
    x, start, weights = golden(solver)
    inside = x.relu() if kind == "NMF" else x
    out = decompose(inside, start, solver, steps=6).reconstruct()
    value = (weights * out).sum()
    value.backward()
    assert relative_error(out[0, 0, :3], torch.tensor(first)) < 1e-5
    # In float64: the sum is what is left of numbers seven times as large.
    assert (out.double().sum().item(), value.item()) == pytest.approx((total, loss), rel=1e-5)
    assert relative_error(x.grad[0, 0, :3], torch.tensor(first_gradient)) < 1e-5
    assert x.grad.abs().sum().item() == pytest.approx(gradient, rel=1e-5)


def test_the_solver_of_the_block_is_that_of_the_golden_rows():
    start = UniformNMF().random_dictionary((50, 40, 4))
    assert start.min() >= 0 and 0.999 < start.max() < 1 and start.mean() == pytest.approx(0.5, abs=0.01)
    nmf, cd = small().generator.context, small(solver="CD").generator.context
    assert nmf.ham.solver == UniformNMF() and nmf.nonnegative
    assert cd.ham.solver == CD(0.01, 0.01) and not cd.nonnegative
    assert nmf.ham.dictionary.max() > 0.9, "columns keep their length"
    torch.testing.assert_close(cd.ham.dictionary.norm(dim=1), torch.ones(1, 6))
    assert small(solver=CD()).config.solver == CD(0.01, 0.1), "a value is taken as it is"
    assert isinstance(small(solver=VQ()).generator.context, GANHamburger)

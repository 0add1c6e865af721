"""Images as bytes and grids; random numbers of an image that no batch changes."""

import numpy as np
import pytest
import torch
from PIL import Image

from subquad.models import create_model
from subquad.tasks.generation.images import image_grid, to_bytes, write_png
from subquad.tasks.generation.sampling import between, generate, latents, uniform_labels


def test_bytes_are_rounded_and_the_range_is_checked():
    values = torch.arange(256)
    assert torch.equal(to_bytes(values.float() * 2 / 255 - 1), values.to(torch.uint8))
    assert to_bytes(torch.tensor([-1.0005, 1.0005])).tolist() == [0, 255]
    for wrong in (torch.tensor([0.0, 1.1]), torch.tensor([0.0, float("nan")]), torch.tensor([128.0])):
        with pytest.raises(ValueError, match=r"images must be in -1..1, got values from"):
            to_bytes(wrong)
    assert to_bytes(torch.zeros(0, 3)).shape == (0, 3)


def test_a_grid_has_each_image_in_its_place(tmp_path):
    images = torch.linspace(-1, 1, 6).view(2, 3, 1, 1, 1).expand(2, 3, 1, 4, 4)
    grid = image_grid(images)
    assert grid.shape == (1, 2 * 6 + 2, 3 * 6 + 2)
    for row in range(2):
        for column in range(3):
            cell = grid[0, 2 + 6 * row : 6 + 6 * row, 2 + 6 * column : 6 + 6 * column]
            assert cell.unique().tolist() == [to_bytes(images[row, column]).unique().item()]
    assert (grid[:, :2] == 255).all() and (grid[:, 6:8] == 255).all() and (grid[:, :, -2:] == 255).all()
    for pixels in (grid, grid.expand(3, -1, -1)):
        write_png(pixels, tmp_path / "a" / "grid.png")
        read = torch.from_numpy(np.array(Image.open(tmp_path / "a" / "grid.png")))
        assert torch.equal(read, pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0))
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        write_png(grid.expand(2, -1, -1), tmp_path / "no.png")


@pytest.mark.parametrize("shape", [(3, 2, 3, 5, 7), (1, 1, 1, 2, 2)])
def test_every_pixel_of_a_grid_is_an_image_s_or_white(shape):
    """Also of one image, and of grey ones: torchvision's grid has no border there, and three channels."""
    images = torch.rand(shape) * 2 - 1
    rows, columns, channels, height, width = shape
    expected = torch.full((channels, rows * (height + 2) + 2, columns * (width + 2) + 2), 255).byte()
    for row in range(rows):
        for column in range(columns):
            top, left = 2 + row * (height + 2), 2 + column * (width + 2)
            expected[:, top : top + height, left : left + width] = to_bytes(images[row, column])
    assert torch.equal(image_grid(images), expected)


def test_latent_vectors_depend_on_seed_and_number_alone():
    all_of_them = latents(7, range(50), 100)
    assert torch.equal(latents(7, [33, 5], 100), all_of_them[[33, 5]])
    assert not torch.equal(latents(8, [5], 100), all_of_them[[5]])
    assert abs(float(all_of_them.mean())) < 0.05 and float(all_of_them.std()) == pytest.approx(1, abs=0.05)
    assert len(all_of_them.unique(dim=0)) == 50
    labels = uniform_labels(7, range(3000), 3)
    assert (torch.bincount(labels) > 900).all()
    assert torch.equal(uniform_labels(7, [2999], 3), labels[-1:])


def test_truncated_latent_vectors_are_normal_within_their_bound():
    drawn = latents(0, range(200), 100, truncation=2.0)
    assert float(drawn.abs().max()) <= 2
    # Of a normal distribution cut at 2: variance 1 - 4 phi(2) / (2 Phi(2) - 1)
    assert float(drawn.var()) == pytest.approx(0.7737, abs=0.02)
    assert torch.allclose(latents(0, [3], 100, truncation=50.0).abs().max(), torch.tensor(3.0), atol=1.5)
    with pytest.raises(ValueError, match="truncation must be positive"):
        latents(0, [0], 4, truncation=0)


def test_the_way_between_two_vectors():
    first, second = torch.randn(2, 64)
    path = between(first, second, 5)
    assert torch.equal(path[0], first) and torch.equal(path[-1], second)
    halfway = (first.norm() + second.norm()) / 2
    assert float(path[2].norm()) == pytest.approx(float(halfway), rel=0.1)
    assert torch.allclose(between(first, first, 3), first.expand(3, -1))
    with pytest.raises(ValueError, match="2 steps at least, got 1"):
        between(first, second, 1)


def test_no_batch_changes_an_image():
    """Up to rounding: convolutions of other batch sizes may add in another order."""
    torch.manual_seed(1)
    generator = create_model("hamgan_baby", size=32, width=4, num_classes=3).generator
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(0.5)  # so that the hamburger counts
    noise, labels = latents(0, range(9), 128), torch.arange(9) % 3
    whole = torch.cat([images for _, images in generate(generator, noise, labels, batch_size=9)])
    assert generator.training
    assert generator.context.ham.training
    for size in (1, 4):
        parts = list(generate(generator, noise, labels, batch_size=size))
        assert [first for first, _ in parts] == list(range(0, 9, size))
        torch.testing.assert_close(torch.cat([p for _, p in parts]), whole, rtol=0, atol=1e-5)
    again = torch.cat([images for _, images in generate(generator, noise, labels, batch_size=9)])
    assert torch.equal(again, whole)

"""The published changes of colour against HSV as Python's own colorsys has it."""

import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor

from subquad.tasks.segmentation.data import photometric
from subquad.tasks.segmentation.data.photometric import PhotometricDistortion, adjust_hue, adjust_saturation


def colors(count: int = 400) -> Tensor:
    """Random colours and the corners of the cube, (3, 1, count)."""
    rng = np.random.default_rng(0)
    corners = np.array(np.meshgrid([0, 255], [0, 255], [0, 255])).reshape(3, -1)
    greys = np.arange(0, 256, 51)[None].repeat(3, 0)
    levels = np.concatenate([corners, greys, rng.integers(0, 256, (3, count))], axis=1)
    return torch.from_numpy(levels.astype(np.uint8))[:, None]


def in_hsv(image: Tensor, factor: float = 1.0, steps: int = 0) -> Tensor:
    """Change hue and saturation one pixel at a time."""
    pixels = []
    for red, green, blue in (image[:, 0].T.double() / 255).tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        hue, saturation = (hue + steps / 180) % 1.0, min(saturation * factor, 1.0)
        pixels.append(colorsys.hsv_to_rgb(hue, saturation, value))
    return 255 * torch.tensor(pixels, dtype=torch.float64).T[:, None]


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.3, 1.5])
def test_saturation(factor: float) -> None:
    assert (adjust_saturation(colors(), factor) - in_hsv(colors(), factor)).abs().max() <= 0.51


@pytest.mark.parametrize("steps", [-18, -1, 0, 7, 17])
def test_hue(steps: int) -> None:
    assert (adjust_hue(colors(), steps) - in_hsv(colors(), steps=steps)).abs().max() <= 0.51


def test_saturation_keeps_value_and_hue() -> None:
    changed = adjust_saturation(colors(), 1.5)
    assert torch.equal(changed.amax(0), colors().amax(0))
    assert (changed.argmax(0) == colors().argmax(0)).all()


def draw(
    monkeypatch: pytest.MonkeyPatch, image: Tensor, coins: list[bool], value: float, steps: int
) -> Tensor:
    """Distort with coins that are known: brightness, contrast first, then one for each change."""
    left = list(coins)
    monkeypatch.setattr(photometric, "_coin", lambda: left.pop(0))
    monkeypatch.setattr(photometric, "_uniform", lambda low, high: value)
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor(steps))
    result = PhotometricDistortion()(image)
    assert not left
    return result


def turned(image: Tensor) -> Tensor:
    return in_hsv(image, 1.47, 7)


@pytest.mark.parametrize("first", [True, False])
def test_contrast_comes_before_or_after(first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = colors()
    coins = [False, True, True, True, True] if first else [False, False, True, True, True]
    result = draw(monkeypatch, image, coins, 1.47, 7)
    before = turned((image.double() * 1.47).clamp(0, 255))
    after = (turned(image) * 1.47).clamp(0, 255)
    expected, other = (before, after) if first else (after, before)
    # Each of the three steps may be off by one level; contrast and saturation stretch that.
    assert (result - expected).abs().max() < 4 and (result - expected).abs().mean() < 1
    assert (result - other).abs().max() > 20


def test_brightness_adds_and_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    result = draw(monkeypatch, colors(), [True, False, False, False, False], -31.5, 0)
    assert torch.equal(result, (colors().float() - 31.5).clamp(0, 255).to(torch.uint8))
    result = draw(monkeypatch, colors(), [False] * 5, -31.5, 0)
    assert torch.equal(result, colors())


def test_grey_stays_grey_and_nothing_but_torch_decides() -> None:
    grey = torch.full((3, 4, 5), 100, dtype=torch.uint8)
    seen = []
    for seed in (*range(400), 0):
        torch.manual_seed(seed)
        out = PhotometricDistortion()(grey)
        assert out.dtype == torch.uint8 and (out == out[0, 0, 0]).all()
        seen.append(int(out[0, 0, 0]))
    assert seen[0] == seen[-1]
    levels = torch.tensor(seen, dtype=torch.float)
    # Unchanged without brightness and contrast, or one that truncation hides: a quarter and a bit.
    assert 0.2 < (levels == 100).float().mean() < 0.33
    assert levels.min() < 45 and levels.max() > 170
    assert abs(levels.mean() - 100) < 4


def test_ranges_are_uniform() -> None:
    torch.manual_seed(0)
    draws = torch.tensor([photometric._uniform(-32, 32) for _ in range(2000)])
    assert draws.min() >= -32 and draws.max() < 32
    levels = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    assert (draws.quantile(levels) - (64 * levels - 32)).abs().max() < 3
    coins = torch.tensor([photometric._coin() for _ in range(2000)]).float()
    assert abs(coins.mean() - 0.5) < 0.05

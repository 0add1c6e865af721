import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.transforms import PADDING_COLOR, EvalTransform, TrainTransform


def picture(height: int, width: int) -> tuple[Tensor, Tensor]:
    """An image whose red and green channels tell the row and column, and labels that do, too."""
    rows = torch.arange(height)[:, None].expand(height, width)
    columns = torch.arange(width)[None].expand(height, width)
    image = torch.stack([rows, columns, 0 * rows]).to(torch.uint8)
    labels = (rows // 8 + columns // 8) % 2
    return image, labels.to(torch.uint8)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    crop=st.none() | st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 1000),
)
def test_output_has_the_size_of_the_crop(
    height: int, width: int, crop: tuple[int, int] | None, seed: int
) -> None:
    torch.manual_seed(seed)
    image, labels = TrainTransform(crop)(*picture(height, width))
    assert image.shape[1:] == labels.shape
    assert image.dtype == labels.dtype == torch.uint8
    assert image.is_contiguous() and labels.is_contiguous()
    if crop is not None:
        assert labels.shape == crop
    padding = labels == IGNORE_INDEX
    expected = torch.tensor(PADDING_COLOR, dtype=torch.uint8)[:, None]
    assert (image[:, padding] == expected).all()


def test_the_seed_of_torch_decides() -> None:
    pair = picture(60, 80)
    transform = TrainTransform((32, 32), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        np.random.seed(np.random.default_rng().integers(2**31))  # other generators do not matter
        outputs.append(transform(*pair))
    for first, second in zip(outputs[0], outputs[1], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(outputs[0][0], outputs[2][0])


def test_nothing_random_keeps_the_picture() -> None:
    image, labels = picture(30, 40)
    result = TrainTransform((30, 40), scale=(1, 1), flip=0)(image, labels)
    assert torch.equal(result[0], image) and torch.equal(result[1], labels)


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_image_and_labels_stay_aligned(scale: float) -> None:
    # Sixteen pixels a stripe: the label edge and the image edge must fall on the same pixel.
    rows = (torch.arange(160)[:, None] // 16 % 2).expand(160, 160).to(torch.uint8)
    labels = rows ^ rows.T
    image = (labels * 200).expand(3, -1, -1)
    torch.manual_seed(0)
    for _ in range(20):
        out, out_labels = TrainTransform((60, 60), scale=(scale, scale))(image, labels)
        agree = (out[0] > 100) == (out_labels == 1)
        # Bilinear values of exactly one half may fall on either side.
        assert agree[(out[0] < 80) | (out[0] > 120)].float().mean() > 0.99


@pytest.mark.parametrize("size", [(5, 1), (1, 1), (1, 5)])
def test_resizing_to_lines_and_points(size: tuple[int, int]) -> None:
    image = torch.arange(0, 200, 20, dtype=torch.uint8)[:, None].expand(3, 10, 4)
    out, _ = EvalTransform(size)(image, torch.zeros(10, 4, dtype=torch.uint8))
    wide, _ = EvalTransform((size[0], 8))(image, torch.zeros(10, 4, dtype=torch.uint8))
    assert torch.equal(out, wide[..., :1].expand_as(out))


def test_flip_turns_both_at_the_given_rate() -> None:
    image, labels = picture(4, 6)
    always = TrainTransform(None, scale=(1, 1), flip=1.0)(image, labels)
    assert torch.equal(always[0], image.flip(-1)) and torch.equal(always[1], labels.flip(-1))
    torch.manual_seed(0)
    transform = TrainTransform(None, scale=(1, 1), flip=0.3)
    flipped = sum(not torch.equal(transform(image, labels)[0], image) for _ in range(400))
    assert abs(flipped - 120) < 4 * (400 * 0.3 * 0.7) ** 0.5


def reference_crop(image: Tensor, labels: Tensor, scale: float, crop: int) -> tuple[Tensor, Tensor]:
    """Resize the whole picture, then crop: what the transform does at a fraction of the cost."""
    size = [round(side * scale) for side in labels.shape]
    top, left = (int(torch.randint(side - crop + 1, ())) for side in size)
    nearest = InterpolationMode.NEAREST_EXACT
    image = functional.resize(image, size, antialias=True)
    labels = functional.resize(labels[None], size, interpolation=nearest)[0]
    window = (slice(top, top + crop), slice(left, left + crop))
    return image[:, *window], labels[window]


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_crops_are_distributed_as_if_all_was_resized_first(scale: float) -> None:
    image, labels = picture(90, 120)
    transform, corners = TrainTransform((40, 40), scale=(scale, scale), flip=0), []
    torch.manual_seed(0)
    for draw in (transform, lambda image, labels: reference_crop(image, labels, scale, 40)):
        drawn = [draw(image, labels)[0].float() for _ in range(800)]
        # Red and green of the corners tell the part of the picture that was taken.
        corners.append(torch.stack([torch.stack([d[0, 2, 2], d[1, 2, 2], d[0, -3, -3]]) for d in drawn]))
    ours, theirs = corners
    for level in (0.0, 0.1, 0.5, 0.9, 1.0):
        apart = (ours.quantile(level, dim=0) - theirs.quantile(level, dim=0)).abs()
        assert apart.max() < 6, level


def test_scales_are_uniform() -> None:
    torch.manual_seed(0)
    transform = TrainTransform(None, scale=(0.5, 2.0))
    pair = picture(100, 10)
    heights = torch.tensor([transform(*pair)[1].shape[0] for _ in range(600)], dtype=torch.float)
    levels = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    assert (heights.quantile(levels) - (50 + 150 * levels)).abs().max() < 10


def test_small_pictures_are_padded_at_the_right_and_bottom() -> None:
    image, labels = picture(10, 12)
    out, out_labels = TrainTransform((16, 20), scale=(1, 1), flip=0)(image, labels)
    assert torch.equal(out[:, :10, :12], image) and torch.equal(out_labels[:10, :12], labels)
    assert (out_labels[10:] == 255).all() and (out_labels[:, 12:] == 255).all()


def test_jitter_changes_the_image_but_not_the_padding_or_the_labels() -> None:
    image, labels = picture(10, 12)
    torch.manual_seed(0)
    transform = TrainTransform((16, 20), scale=(1, 1), flip=0, brightness=0.9)
    out, out_labels = transform(image, labels)
    assert not torch.equal(out[:, :10, :12], image)
    assert torch.equal(out_labels[:10, :12], labels)
    assert out[:, -1, -1].tolist() == list(PADDING_COLOR)


def test_transforms_travel_to_other_processes() -> None:
    transform = TrainTransform((4, 4), hue=0.1)
    transform(*picture(5, 5))
    assert pickle.loads(pickle.dumps(transform)) == transform


def test_evaluation_keeps_or_resizes() -> None:
    image, labels = picture(30, 40)
    same = EvalTransform()(image, labels)
    assert torch.equal(same[0], image) and torch.equal(same[1], labels)
    half, half_labels = EvalTransform((15, 20))(image, labels)
    assert half.shape == (3, 15, 20) and half_labels.shape == (15, 20)
    assert set(half_labels.unique().tolist()) == {0, 1}
    # Antialiased: the mean of pixels 2 i and 2 i + 1 in the interior.
    assert half[0, 5:10, 3].tolist() == pytest.approx([10.5, 12.5, 14.5, 16.5, 18.5], abs=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"crop": (0, 4)}, r"crop=\(0, 4\)"),
        ({"scale": (2.0, 0.5)}, r"scale=\(2.0, 0.5\)"),
        ({"scale": (0.0, 0.5)}, r"scale=\(0.0, 0.5\)"),
        ({"flip": 1.5}, "flip=1.5: take 0 to 1"),
        ({"hue": 0.6}, "hue=0.6: take 0 to 0.5"),
    ],
)
def test_bad_arguments_are_quoted(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainTransform(**{"crop": (4, 4), **arguments})
    with pytest.raises(ValueError, match=r"size=\(4, 0\)"):
        EvalTransform((4, 0))


@pytest.mark.parametrize("transform", [TrainTransform((4, 4)), EvalTransform()])
def test_bad_pairs_are_quoted(transform: TrainTransform | EvalTransform) -> None:
    image, labels = picture(6, 8)
    with pytest.raises(ValueError, match=r"\(6, 8\), but its labels are \(6, 7\)"):
        transform(image, labels[:, 1:])
    with pytest.raises(ValueError, match=r"torch.float32, its labels are torch.uint8"):
        transform(image.float(), labels)

"""The published training transforms: sizes, windows and chances, each against the plain way to do it."""

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from subquad.tasks.segmentation.data.published_transforms import (
    PublishedTransform,
    bilinear_window,
    is_varied,
    keep_ratio_size,
    nearest_window,
)
from subquad.tasks.segmentation.data.transforms import PADDING_COLOR


def picture(height: int, width: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    image = torch.randint(256, (3, height, width), dtype=torch.uint8)
    return image, torch.randint(classes, (height, width), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("height", "width", "frame", "expected"),
    [
        (512, 683, (2048, 512), (512, 683)),
        (683, 512, (2048, 512), (683, 512)),
        (256, 256, (2048, 512), (512, 512)),
        (480, 640, (2048, 512), (512, 683)),  # 682.67
        (100, 1000, (2048, 512), (205, 2048)),  # the longest side decides: 204.8
        (1024, 2048, (2048, 1024), (1024, 2048)),
        (3, 5, (1, 1), (1, 1)),
        (2, 3, (5, 3), (3, 5)),  # 4.5 + 0.5
        (1, 3000, (2048, 512), (1, 2048)),  # at least one pixel
    ],
)
def test_keep_ratio(height: int, width: int, frame: tuple[int, int], expected: tuple[int, int]) -> None:
    assert keep_ratio_size(height, width, frame) == expected


@settings(max_examples=80, deadline=None)
@given(
    sides=st.tuples(*[st.integers(1, 30)] * 4), part=st.tuples(*[st.floats(0, 1)] * 4), align=st.booleans()
)
def test_windows_are_parts_of_the_resized_whole(
    sides: tuple[int, ...], part: tuple[float, ...], align: bool
) -> None:
    height, width, *size = sides
    image, labels = picture(height, width)
    top, left = int(part[0] * (size[0] - 1)), int(part[1] * (size[1] - 1))
    window = (
        slice(top, top + 1 + int(part[2] * (size[0] - top - 1))),
        slice(left, left + 1 + int(part[3] * (size[1] - left - 1))),
    )
    whole = F.interpolate(image[None].double(), size, mode="bilinear", align_corners=align)[0]
    ours = bilinear_window(image, (size[0], size[1]), window, align)
    assert ours.dtype == torch.uint8
    assert (ours - whole[:, *window]).abs().max() <= 0.501
    nearest = F.interpolate(labels[None, None].double(), size, mode="nearest")[0, 0].to(torch.uint8)
    # Where a position falls on the border of two entries, PyTorch's factor in floating point may round below.
    sure = [
        torch.arange(length) * side % length != 0 for side, length in zip((height, width), size, strict=True)
    ]
    differs = nearest_window(labels, (size[0], size[1]), window) != nearest[window]
    assert not (differs & sure[0][window[0], None] & sure[1][window[1]]).any()
    exact = nearest_window(labels, (height, width), (slice(0, height), slice(0, width)))
    assert torch.equal(exact, labels)


@pytest.mark.parametrize(
    ("options", "align"),
    [({"scales": (1.5,)}, True), ({"resize": (90, 60)}, False), ({"scale": (1.5, 1.5)}, False)],
)
def test_which_grid_is_taken(options: dict[str, Any], align: bool) -> None:
    image, labels = picture(40, 61)
    out, out_labels = PublishedTransform(None, flip=0, **options)(image, labels)
    size = (60, 91) if "resize" not in options else (59, 90)
    assert out_labels.shape == size
    expected = F.interpolate(image[None].float(), size, mode="bilinear", align_corners=align)[0]
    assert (out - expected).abs().max() <= 0.51


def test_factors_of_a_choice() -> None:
    torch.manual_seed(0)
    transform = PublishedTransform(None, scales=(0.5, 0.75, 1.25), flip=0)
    pair = picture(101, 11)
    heights = [transform(*pair)[1].shape for _ in range(300)]
    assert set(heights) == {(50, 5), (75, 8), (126, 13)}  # rounded down
    assert all(70 < heights.count(shape) < 130 for shape in set(heights))


def test_factors_of_a_range_are_truncated_to_whole_pixels_first() -> None:
    torch.manual_seed(0)
    transform = PublishedTransform(None, resize=(20, 10), scale=(0.5, 2.0), flip=0)
    pair = picture(16, 16)
    sides = torch.tensor([transform(*pair)[1].shape[0] for _ in range(1500)])
    # The short side of the frame is int(10 r), r from 0.5 to 2: 5 .. 19, each a fifteenth, and never 20.
    assert set(sides.tolist()) == set(range(5, 20))
    counts = torch.bincount(sides)[5:]
    assert counts.min() > 60 and counts.max() < 150


def test_size_rule_of_ade20k() -> None:
    pair = picture(37, 50)
    torch.manual_seed(3)
    factor = 0.5 + 1.5 * torch.rand(()).item()
    torch.manual_seed(3)
    _, labels = PublishedTransform(None, resize=(2048, 512), scale=(0.5, 2.0), flip=0)(*pair)
    assert labels.shape == keep_ratio_size(37, 50, (int(2048 * factor), int(512 * factor)))


def dominated(height: int = 60, width: int = 60) -> tuple[Tensor, Tensor]:
    """A picture of which a corner alone shows a second class, and a strip is ignored."""
    image, labels = picture(height, width, classes=1)
    labels[:20, :20] = 1
    labels[-10:] = 255
    return image, labels


def test_varied() -> None:
    def labels(*counts: int) -> Tensor:
        return torch.repeat_interleave(torch.tensor([0, 1, 255], dtype=torch.uint8), torch.tensor(counts))[
            None
        ]

    assert is_varied(labels(74, 26, 0), 0.75) and not is_varied(labels(75, 25, 0), 0.75)
    assert not is_varied(labels(75, 25, 100), 0.75)  # ignored pixels do not count
    assert is_varied(labels(74, 26, 900), 0.75)
    assert not is_varied(labels(100, 0, 10), 1.0) and not is_varied(labels(0, 0, 10), 0.75)


def varied_share(cat_max_ratio: float) -> float:
    torch.manual_seed(0)
    transform = PublishedTransform((20, 20), cat_max_ratio=cat_max_ratio, flip=0)
    pair = dominated()
    return sum(is_varied(transform(*pair)[1], 0.75) for _ in range(500)) / 500


def test_crops_are_redrawn_up_to_ten_times() -> None:
    once = varied_share(1.0)
    # Eleven independent tries of which the last is taken as it is.
    expected = 1 - (1 - once) ** 11
    assert 0.03 < once < 0.25
    assert abs(varied_share(0.75) - expected) < 4 * (expected * (1 - expected) / 500) ** 0.5 + 0.05


def test_a_picture_of_one_class_is_cropped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = []
    original = PublishedTransform._draw_window
    monkeypatch.setattr(
        PublishedTransform, "_draw_window", lambda self, size: draws.append(original(self, size)) or draws[-1]
    )
    image, labels = picture(30, 30, classes=1)
    out, _ = PublishedTransform((10, 10), cat_max_ratio=0.75, flip=0)(image, labels)
    assert len(draws) == 11 and torch.equal(out, image[:, *draws[-1]])


def test_crop_positions_are_uniform_and_alike_for_image_and_labels() -> None:
    torch.manual_seed(0)
    rows = torch.arange(24, dtype=torch.uint8)[:, None].expand(24, 24)
    image, transform = rows.expand(3, 24, 24), PublishedTransform((16, 30), flip=0)
    tops = []
    for _ in range(900):
        out, labels = transform(image, rows)
        assert torch.equal(out[0, :, :24], labels[:, :24])
        tops.append(int(labels[0, 0]))
    counts = torch.bincount(torch.tensor(tops))
    assert len(counts) == 9 and counts.min() > 60 and counts.max() < 145


def test_padding_is_not_distorted() -> None:
    torch.manual_seed(0)
    image, labels = picture(10, 12)
    transform = PublishedTransform((16, 20), flip=0, photometric=True)
    changed = 0
    for _ in range(20):
        out, out_labels = transform(image, labels)
        assert (out[:, 10:] == torch.tensor(PADDING_COLOR, dtype=torch.uint8)[:, None, None]).all()
        assert (out[:, :, 12:] == torch.tensor(PADDING_COLOR, dtype=torch.uint8)[:, None, None]).all()
        assert (out_labels[10:] == 255).all() and torch.equal(out_labels[:10, :12], labels)
        changed += not torch.equal(out[:, :10, :12], image)
    assert changed > 12


def test_flip() -> None:
    image, labels = picture(6, 8)
    out, out_labels = PublishedTransform((6, 8), flip=1)(image, labels)
    assert torch.equal(out, image.flip(-1)) and torch.equal(out_labels, labels.flip(-1))
    torch.manual_seed(0)
    transform = PublishedTransform((6, 8), flip=0.3)
    flipped = sum(not torch.equal(transform(image, labels)[0], image) for _ in range(400))
    assert abs(flipped - 120) < 4 * (400 * 0.3 * 0.7) ** 0.5


def test_the_seed_of_torch_decides_and_processes_agree() -> None:
    transform = PublishedTransform((32, 32), (80, 40), (0.5, 2.0), None, 0.75, 0.5, True)
    assert pickle.loads(pickle.dumps(transform)) == transform
    pair = picture(50, 60)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(transform(*pair))
        assert outputs[-1][0].shape == (3, 32, 32) and outputs[-1][0].is_contiguous()
    assert torch.equal(outputs[0][0], outputs[1][0]) and torch.equal(outputs[0][1], outputs[1][1])
    assert not torch.equal(outputs[0][0], outputs[2][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": (0, 4)}, r"crop=\(0, 4\)"),
        ({"resize": (0, 4)}, r"resize=\(0, 4\)"),
        ({"scale": (2.0, 0.5)}, r"scale=\(2.0, 0.5\)"),
        ({"scales": ()}, r"scales=\(\)"),
        ({"scales": (1.0, -1.0)}, r"scales=\(1.0, -1.0\)"),
        ({"cat_max_ratio": 1.5}, "cat_max_ratio=1.5: take 0 to 1"),
        ({"flip": -1}, "flip=-1: take 0 to 1"),
        ({"crop": None, "cat_max_ratio": 0.75}, "cat_max_ratio=0.75 chooses among crops"),
    ],
)
def test_bad_arguments_are_quoted(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PublishedTransform(**{"crop": (4, 4), **arguments})


def test_bad_pairs_are_quoted() -> None:
    image, labels = picture(6, 8)
    with pytest.raises(ValueError, match=r"\(6, 8\), but its labels are \(6, 7\)"):
        PublishedTransform((4, 4))(image, labels[:, 1:])

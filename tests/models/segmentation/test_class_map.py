"""The class of each pixel without all logits of the image: the same at every pixel, ties included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nightly import some_by_day
from subquad import create_model, load_model
from subquad.data.pictures import read_image
from subquad.engine.preprocess import preprocess
from subquad.models.segmentation import cell_map, exact_parts
from subquad.models.segmentation import class_map as ways
from subquad.models.segmentation.class_blocks import class_blocks, running_maximum
from subquad.models.segmentation.class_map import class_map
from subquad.models.segmentation.coarse import CoarseLogits
from subquad.models.segmentation.exact_parts import classes_at, whole_ratios
from tensor_sizes import Sizes

FORMATS = {"rows": torch.contiguous_format, "channels last": torch.channels_last}
MAPS = [  # whole ratios, small and large; others
    ((5, 9), (40, 72)),
    ((5, 9), (80, 144)),
    ((6, 10), (42, 70)),
    ((9, 17), (65, 131)),
    ((5, 7), (3, 2)),
    ((1, 7), (8, 50)),
]
TINY = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}


@pytest.fixture(params=["as it is", "cells", "no cells"])
def way(request, monkeypatch):
    """Each way for each number of classes, however slow it is there."""
    if request.param != "as it is":
        monkeypatch.setattr(ways, "LITTLE", 0)
        monkeypatch.setattr(ways, "AT_ONCE", 0)
        monkeypatch.setattr(exact_parts, "VALUES", 5000)
    if request.param == "cells":
        monkeypatch.setattr(ways, "MANY", 2)
        monkeypatch.setattr(cell_map, "SHARE", 100.0)
        monkeypatch.setattr(cell_map, "CELLS", 50)
        monkeypatch.setattr(cell_map, "VALUES", 10_000)
    if request.param == "no cells":
        monkeypatch.setattr(ways, "MANY", 1000)


def noise(*shape):
    return torch.randn(shape)


def smooth(batch, classes, height, width):
    return F.interpolate(torch.randn(batch, classes, 3, 4), size=(height, width), mode="bicubic")


def whole_numbers(*shape):
    return torch.randn(shape).round()


def twins(*shape):
    """Two equal channels, ahead of the others nearly everywhere."""
    logits = smooth(*shape)
    logits[:, 0] = logits[:, 1] = logits[:, 0] + 3
    return logits


def rivals(*shape):
    """The first and the last class differ by so little that rounding decides between them everywhere."""
    logits = smooth(*shape)
    logits[:, 0] += 5
    logits[:, -1] = logits[:, 0] + torch.randn_like(logits[:, 0]) * 5e-7
    return logits


def constant(*shape):
    return torch.full(shape, 0.7)


def one_only(*shape):
    logits = noise(*shape)
    logits[:, -1] += 100
    return logits


def check(logits, padded, size=None, align_corners=False):
    coarse = CoarseLogits(logits, padded, size or padded, align_corners, size is not None)
    found, expected = class_map(coarse), coarse.resized().argmax(dim=1)
    assert found.dtype == (torch.uint8 if logits.shape[1] <= 255 else torch.int64)
    assert torch.equal(found.long(), expected), f"{int((found != expected).sum())} pixels"


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    "classes", some_by_day([1, 2, 3, 11, 19, 35, 150, 300], lambda classes: classes in (1, 2, 11, 35))
)
def test_the_same_class_at_every_pixel(classes, align_corners, order, way):
    for make in (noise, smooth, whole_numbers, twins, rivals, constant, one_only):
        if classes == 1 and make in (twins, rivals):
            continue
        for coarse, image in MAPS:
            logits = make(2, classes, *coarse).contiguous(memory_format=FORMATS[order])
            check(logits, image, align_corners=align_corners)


def test_more_classes_than_a_byte_counts(way):
    for make in (noise, twins, one_only):
        check(make(1, 300, 5, 9), (40, 72))


@pytest.mark.parametrize(
    "image", [(1, 1), (1, 7), (33, 65), (517, 389), (136, 264)], ids=lambda s: f"{s[0]}x{s[1]}"
)
@pytest.mark.parametrize("classes", [2, 40])
def test_sizes(image, classes, way):
    coarse = [-(-side // 8) for side in image]
    for order in FORMATS.values():
        logits = smooth(1, classes, *coarse).contiguous(memory_format=order)
        check(logits, image)
        check(logits, tuple(8 * side for side in coarse), image)  # padded, and cut back


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize(
    ("positions", "height", "align_corners"), [(1025, 7169, True), (1025, 5555, False), (1772, 5490, True)]
)
def test_how_the_kernel_rounds_places(positions, height, align_corners, order, way):
    """Rows of 0, 1, 0, -1 show where on a large map the kernel takes a pixel to be, to 1e-5."""
    logits = torch.full((1, 4, positions, 40), -1.0)
    logits[:, 2] = torch.tensor([0.0, 1, 0, -1]).repeat(positions)[:positions, None]
    logits[:, 0, :, :20] = torch.rand(20)  # met by pixels between positions
    little = torch.logspace(-6, -3, 10)
    logits[:, 0, :, 20:] = torch.cat([little, -little])  # and by those that may be taken to be beside one
    check(logits.contiguous(memory_format=FORMATS[order]), (height, 40), align_corners=align_corners)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    classes=st.integers(2, 60),
    coarse=st.tuples(st.integers(1, 12), st.integers(1, 24)),
    ratio=st.tuples(st.floats(0.3, 20), st.floats(0.3, 20)) | st.sampled_from([(2, 2), (8, 4), (16, 16)]),
    levels=st.sampled_from([1, 3, 1000, None]),
    align_corners=st.booleans(),
    order=st.sampled_from(list(FORMATS)),
    exponent=st.integers(-12, 12),
)
def test_any_map(seed, classes, coarse, ratio, levels, align_corners, order, exponent):
    logits = torch.randn(1, classes, *coarse, generator=torch.Generator().manual_seed(seed))
    logits = logits if levels is None else (logits * levels).round() / levels
    logits = (logits * 10.0**exponent).contiguous(memory_format=FORMATS[order])
    image = tuple(max(int(side * times), 1) for side, times in zip(coarse, ratio, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ways, "MANY", 2)
        patch.setattr(ways, "LITTLE", 0)
        patch.setattr(cell_map, "SHARE", 100.0)
        check(logits, image, align_corners=align_corners)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 3e38])
@pytest.mark.parametrize("image", [(64, 80), (61, 77)], ids=["whole", "not whole"])
def test_logits_that_are_not_finite(odd, image, way):
    """NaN counts as the largest, as it does for `argmax`."""
    logits = smooth(2, 40, 8, 10)
    logits[1, 30, 3, 4] = logits[1, 2, 3, 4] = odd
    logits[1, 20, 3, 5] = -odd
    check(logits, image)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("order", FORMATS)
def test_other_types_as_they_are_resized(kind, order, way):
    logits = smooth(2, 70, 9, 20).to(kind).contiguous(memory_format=FORMATS[order])
    check(logits, (72, 160))
    check(logits, (71, 155))


def test_a_map_that_is_a_part_of_another(way):
    check(smooth(2, 40, 12, 20)[:, :, 2:9, 3:17], (56, 112))
    check(smooth(2, 40, 12, 20).movedim(3, 2), (160, 96))


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("classes", [2, 3, 4, 19, 20, 36, 150])
def test_blocks_and_parts_have_the_bits_of_the_whole(classes, kind, order):
    """What everything here rests on: how PyTorch's kernels cut channels into vectors, and choose by size."""
    for positions, image in (((6, 9), (48, 72)), ((9, 17), (67, 131)), ((9, 20), (144, 320))):
        logits = rivals(1, classes, *positions).to(kind).contiguous(memory_format=FORMATS[order])
        coarse = CoarseLogits(logits, image, image, False)
        whole = coarse.resized()
        blocks = class_blocks(coarse)
        assert [blocks[0][0], blocks[-1][1]] == [0, classes]
        for start, stop in blocks:
            assert torch.equal(coarse.of_classes(start, stop).resized(), whole[:, start:stop])
        if ratios := whole_ratios(coarse):
            y, x = (places.flatten() for places in torch.meshgrid(*map(torch.arange, image), indexing="ij"))
            some = torch.randperm(len(y))[:200]
            expected = whole.argmax(dim=1)[0, y[some], x[some]]
            assert torch.equal(classes_at(coarse, ratios, y[some], x[some]), expected)


def test_a_running_maximum_keeps_the_first():
    scores = torch.tensor([1.0, 3, 3, float("nan"), 3, float("nan")]).view(1, 6, 1, 1)
    for parts in ([1], [1, 2], [2]):
        for last in (3, 4, 6):
            shown = scores[:, :last]
            blocks = [(b, s) for b, s in zip([0, *parts], shown.tensor_split(parts, dim=1), strict=True)]
            assert running_maximum(iter(blocks)).item() == shown.argmax(dim=1).item()


@pytest.mark.parametrize("image", [(256, 384), (253, 381)], ids=["whole", "not whole"])
@pytest.mark.parametrize("make", [smooth, noise, twins, constant])
def test_no_tensor_is_as_large_as_all_logits(make, image):
    coarse = CoarseLogits(make(1, 150, 32, 48), image, image, False)
    with Sizes() as sizes:
        class_map(coarse)
    everything = 150 * image[0] * image[1]
    assert 0 < sizes.largest < everything / 4
    with Sizes() as sizes:
        coarse.resized()
    assert sizes.largest >= everything, "the meter sees it"


def test_few_classes_are_resized_in_strips():
    coarse = CoarseLogits(smooth(1, 11, 128, 128), (1024, 1024), (1024, 1024), False)
    with Sizes() as sizes:
        class_map(coarse)
    assert sizes.largest < 11 * 1024 * 1024 / 4


@pytest.mark.parametrize("classes", [5, 150])
@pytest.mark.parametrize("size", [(64, 96), (50, 77), (1, 1)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_networks(classes, size):
    network = create_model("light_ham_van_tiny_d256", **TINY, num_classes=classes).eval()
    nn.init.normal_(network.head.classifier.weight)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = network(images).argmax(dim=1)
        for order in FORMATS.values():
            found = network.to(memory_format=order).class_map(images.contiguous(memory_format=order))
            assert found.shape == expected.shape
            whole = network(images.contiguous(memory_format=order)).argmax(dim=1)
            assert torch.equal(found.long(), whole)


def test_a_network_with_logits_of_its_own_is_asked_for_them():
    network = create_model("light_ham_van_tiny_d256", **TINY, num_classes=5).eval()

    class Reversed(type(network)):
        def forward(self, images):
            return super().forward(images).flip(1)

    images = torch.randn(1, 3, 40, 56)
    plain = network.class_map(images)
    network.__class__ = Reversed
    assert torch.equal(network.class_map(images), 4 - plain)


def test_hooks_of_the_network_see_its_call():
    network, seen = create_model("light_ham_van_tiny_d256", **TINY, num_classes=5).eval(), []
    images = torch.randn(1, 3, 40, 56)
    plain = network.class_map(images)
    handle = network.register_forward_hook(lambda _, given, logits: seen.append(logits.shape) or -logits)
    found = network.class_map(images)
    assert seen == [(1, 5, 40, 56)] and not torch.equal(found, plain)
    handle.remove()
    assert torch.equal(network.class_map(images), plain) and len(seen) == 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "classes"),
    [("nuclei", 3), ("camvid", 11), pytest.param("camvid", 150, marks=pytest.mark.slow)],
)
def test_real_pictures(shared_data, folder, classes):
    """With a trained network; of more classes than its own, with mixtures of its logits."""
    network = load_model("nuclei").eval()
    mixtures = torch.eye(3) if classes == 3 else torch.randn(classes, 3)
    for path in sorted((shared_data / folder / "val" / "images").iterdir())[:2]:
        with torch.inference_mode():
            images = preprocess(read_image(path)[None], network.config)
            assert torch.equal(network.class_map(images).long(), network(images).argmax(dim=1))
            coarse = network.coarse(images)
            mixed = torch.einsum("kc,bchw->bkhw", mixtures, coarse.logits).contiguous()
            check(mixed, coarse.padded, coarse.size)


@pytest.mark.parametrize("classes", [3, 60])
def test_no_images_have_no_classes(classes):
    coarse = CoarseLogits(torch.zeros(0, classes, 40, 60), (320, 480), (320, 480), False)
    assert class_map(coarse).shape == (0, 320, 480)


def test_another_default_device_is_of_no_matter(way):
    coarse = CoarseLogits(torch.randn(1, 60, 12, 14), (96, 112), (96, 112), False)
    with torch.device("meta"):
        found = class_map(coarse)
    assert torch.equal(found, coarse.resized().argmax(1).byte())

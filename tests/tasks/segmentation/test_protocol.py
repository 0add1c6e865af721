"""Protocols against brute force: sizes, windows, flips, scales and how views are merged."""

import dataclasses
import gc
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nightly import some_by_day
from subquad import create_model
from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationConfig
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import (
    PROTOCOLS,
    EvaluationProtocol,
    predict_scores,
    protocol_from,
    view_size,
    windows,
)

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
sides = st.integers(1, 40)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CornerConfig(SegmentationConfig):
    family = "corners"

    @property
    def align_corners(self):
        return True


class Network(nn.Module):
    """A convolution that remembers what it was shown."""

    def __init__(self, kernel=1, classes=4, corners=False):
        super().__init__()
        self.config = (CornerConfig if corners else SegmentationConfig)(num_classes=classes)
        self.conv = nn.Conv2d(3, classes, kernel, padding=kernel // 2)
        self.seen = []

    def forward(self, x):
        assert not self.training and torch.is_inference_mode_enabled()
        self.seen.append(x.clone())
        return self.conv(x)

    @property
    def sizes(self):
        return [tuple(x.shape[2:]) for x in self.seen]


def pictures(height=20, width=28, batch=2):
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


def resized(x, size, corners=False):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=corners)


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@given(sides, sides, st.integers(1, 50), st.integers(1, 50), st.data())
def test_windows_cover_every_pixel_and_fit(height, width, tall, wide, data):
    stride = data.draw(st.integers(1, tall)), data.draw(st.integers(1, wide))
    counts = torch.zeros(height, width)
    found = list(windows((height, width), (tall, wide), stride))
    for rows, columns in found:
        assert 0 <= rows.start < rows.stop <= height and 0 <= columns.start < columns.stop <= width
        assert rows.stop - rows.start == min(tall, height)  # the last is shifted back, not cut
        assert columns.stop - columns.start == min(wide, width)
        counts[rows, columns] += 1
    assert counts.min() >= 1
    down = max(math.ceil((height - tall) / stride[0]), 0) + 1
    across = max(math.ceil((width - wide) / stride[1]), 0) + 1
    assert len(found) == down * across


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 24), st.integers(1, 24), st.data())
def test_windows_change_nothing_for_a_pointwise_network(tall, wide, data):
    stride = data.draw(st.integers(1, tall)), data.draw(st.integers(1, wide))
    network, images = Network(), pictures(17, 13, 1)
    whole = predict_scores(network, images, EvaluationProtocol())
    assert_equal(
        predict_scores(network, images, EvaluationProtocol(window=(tall, wide), stride=stride)), whole
    )


def test_windows_are_averaged_where_they_overlap():
    network, images = Network(kernel=5), pictures(9, 20)
    actual = predict_scores(network, images, EvaluationProtocol(window=(9, 12), stride=(9, 6)))
    x = preprocess(images, network.config)
    total, counts = torch.zeros(2, 4, 9, 20), torch.zeros(20)
    for left in (0, 6, 8):  # the last is shifted back from 12
        total[..., left : left + 12] += network.conv(x[..., left : left + 12]).detach()
        counts[left : left + 12] += 1
    assert_equal(actual, total / counts)
    assert not torch.allclose(actual, predict_scores(network, images, EvaluationProtocol()))


def test_a_window_without_stride_steps_by_itself():
    network, images = Network(), pictures(20, 28)
    predict_scores(network, images, EvaluationProtocol(window=(10, 14)))
    assert network.sizes == [(10, 14)] * 4
    predict_scores(network, images, EvaluationProtocol(window=(100, 14)))
    assert network.sizes[4:] == [(20, 14)] * 2


@pytest.mark.parametrize(
    ("image", "box", "expected"),
    [
        ((1024, 2048), (2048, 1024), (1024, 2048)),
        ((512, 683), (2048, 512), (512, 683)),
        ((480, 640), (2048, 512), (512, 683)),  # 640 * 512 / 480 = 682.67
        ((640, 480), (2048, 512), (683, 512)),
        ((100, 1000), (2048, 512), (205, 2048)),  # the long side decides: 204.8
        ((3, 5), (7, 6), (4, 7)),  # 4.2 and 7
        ((2, 3), (100, 3), (3, 5)),  # 4.5 is rounded up
    ],
)
def test_keep_ratio_rule(image, box, expected):
    assert view_size(image, EvaluationProtocol(resize=box)) == expected


def test_scaled_boxes_are_cut_to_whole_pixels():
    protocol = EvaluationProtocol(resize=(101, 51), scales=(0.5,))
    factor = min(50 / 40, 25 / 30)
    assert view_size((30, 40), protocol, 0.5) == (int(30 * factor + 0.5), int(40 * factor + 0.5))
    assert view_size((31, 45), EvaluationProtocol(), 0.75) == (23, 33)  # without a box: int(s h), int(s w)


@given(sides, sides, st.integers(1, 40))
def test_up_to_a_multiple(height, width, multiple):
    size = view_size((height, width), EvaluationProtocol(multiple=multiple))
    for new, old in zip(size, (height, width), strict=True):
        assert new % multiple == 0 and old <= new < old + multiple


def test_resized_twice_as_the_originals():
    network, images = Network(), pictures(20, 28)
    scores = predict_scores(network, images, EvaluationProtocol(resize=(50, 30), multiple=32))
    x = resized(resized(preprocess(images, network.config), (30, 42)), (32, 64))
    assert torch.equal(network.seen[0], x)
    assert_equal(scores, resized(network.conv(x), (20, 28)).detach())


@settings(deadline=None, max_examples=40)
@given(sides, sides, st.sampled_from([1, 8, 16]), st.booleans())
def test_padding_is_the_mean_colour_and_is_cropped(height, width, stride, flip):
    network, images = Network(), pictures(height, width, 1)
    scores = predict_scores(network, images, EvaluationProtocol(pad_to=stride, flip=flip))
    for x in network.seen:
        for padded, side in zip(x.shape[2:], (height, width), strict=True):
            assert padded % stride == 1 % stride and side <= padded < side + stride
            assert padded == side + (stride + 1 - side % stride) % stride
        assert torch.count_nonzero(x[:, :, height:]) == torch.count_nonzero(x[..., width:]) == 0
    plain = predict_scores(network, images, EvaluationProtocol())
    assert_equal(scores, (2 if flip else 1) * plain)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("merge", ["logits", "probabilities"])
def test_many_views_are_the_formula(corners, merge):
    network, images = Network(kernel=3, corners=corners), pictures(21, 30)
    protocol = EvaluationProtocol(scales=RATIOS, flip=True, pad_to=8, merge=merge)
    actual = predict_scores(network, images, protocol)
    x, expected = preprocess(images, network.config), 0
    for scale in RATIOS:
        size = (int(scale * 21), int(scale * 30))
        for flip in (False, True):
            view = resized(x, size, corners) if scale != 1 else x
            view = view.flip(-1) if flip else view
            down, right = ((8 + 1 - side % 8) % 8 for side in size)
            logits = network.conv(F.pad(view, (0, right, 0, down)))[..., : size[0], : size[1]]
            logits = resized(logits, (21, 30), corners).detach()
            logits = logits.flip(-1) if flip else logits
            expected = expected + (logits if merge == "logits" else logits.softmax(dim=1) / 12)
    assert_equal(actual, expected)
    # Scale-major, flip-minor.
    assert [size[0] for size in network.sizes[::2]] == [17, 17, 25, 33, 33, 41]
    assert network.sizes[::2] == network.sizes[1::2]


@pytest.mark.parametrize("merge", ["logits", "probabilities"])
def test_flipping_changes_nothing_for_a_symmetric_network(merge):
    network, images = Network(kernel=3), pictures()
    with torch.no_grad():
        network.conv.weight.copy_((network.conv.weight + network.conv.weight.flip(-1)) / 2)
    plain = predict_scores(network, images, EvaluationProtocol(merge=merge))
    flipped = predict_scores(network, images, EvaluationProtocol(merge=merge, flip=True))
    assert_equal(flipped, plain if merge == "probabilities" else 2 * plain)
    mirrored = predict_scores(network, images.flip(-1), EvaluationProtocol(merge=merge, flip=True))
    assert_equal(mirrored.flip(-1), flipped)


def test_flipped_views_are_turned_back():
    """For any network, the merged answer of a mirrored image is the mirrored answer."""
    network, images = Network(kernel=3), pictures()
    protocol = EvaluationProtocol(flip=True, scales=(1.0, 1.5))
    mirrored = predict_scores(network, images.flip(-1), protocol)
    assert_equal(mirrored.flip(-1), predict_scores(network, images, protocol))


def test_probabilities_sum_to_one_and_agree_with_one_view():
    network, images = Network(kernel=3), pictures()
    scores = predict_scores(network, images, protocol_from("light_ham_multi_scale"))
    assert scores.dtype == torch.float32 and scores.shape == (2, 4, 20, 28)
    assert_equal(scores.sum(dim=1), torch.ones(2, 20, 28))
    once = predict_scores(network, images, EvaluationProtocol(merge="probabilities"))
    assert_equal(once, predict_scores(network, images, EvaluationProtocol()).softmax(dim=1))


@pytest.mark.parametrize("merge", some_by_day(["logits", "probabilities"], lambda merge: merge == "logits"))
def test_views_are_added_one_by_one(merge):
    """However many views there were before, one tensor of scores is kept."""
    alive = []

    class Counting(Network):
        def forward(self, x):
            scores = [o for o in gc.get_objects() if type(o) is torch.Tensor and o.shape == (2, 4, 20, 28)]
            alive.append(len(scores))
            return self.conv(x)

    predict_scores(Counting(), pictures(), EvaluationProtocol(scales=RATIOS[:2], flip=True, merge=merge))
    assert alive == [0, 1, 1, 1]


def test_a_real_network_and_labels():
    network = create_model(
        "light_ham_van_tiny_d256", num_classes=5, backbone="conv_tiny", ham_channels=32, channels=32, rank=4
    ).train()
    nn.init.normal_(network.head.classifier.weight)
    images = pictures(33, 50, 1)
    protocol = EvaluationProtocol(scales=(0.5, 1.0), flip=True, window=(24, 32), stride=(16, 16))
    scores = predict_scores(network, images, protocol)
    assert scores.isfinite().all() and network.training
    assert torch.equal(predict_labels(network, images, protocol).long(), scores.argmax(dim=1))
    assert torch.equal(predict_scores(network, images, protocol), scores)
    whole = predict_scores(network, images, EvaluationProtocol())
    assert torch.equal(predict_labels(network, images).long(), whole.argmax(dim=1))


def test_published_protocols():
    multi_scale = {name for name, p in PROTOCOLS.items() if p.scales == RATIOS and p.flip}
    assert multi_scale == {
        "ade20k_multi_scale", "light_ham_multi_scale", "cityscapes_multi_scale", "voc_test",
    }  # fmt: skip
    assert all(p.scales == (1.0,) and not p.flip for n, p in PROTOCOLS.items() if n not in multi_scale)
    assert PROTOCOLS["whole"] == EvaluationProtocol()
    assert PROTOCOLS["voc_test"] == EvaluationProtocol(pad_to=8, scales=RATIOS, flip=True, merge="logits")
    light = protocol_from("light_ham_multi_scale")
    assert (light.resize, light.multiple, light.merge) == ((2048, 512), 32, "probabilities")
    city = protocol_from("cityscapes_slide")
    assert (city.window, city.stride, city.multiple) == ((1024, 1024), (768, 768), 1)
    with pytest.raises(ValueError, match="unknown protocol 'voc_tset'. Did you mean 'voc_test'"):
        protocol_from("voc_tset")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (8, 8), "stride": (8, 9)}, r"stride \(8, 9\) is larger than the window \(8, 8\)"),
        ({"stride": (4, 4)}, r"stride \(4, 4\) needs a window"),
        ({"window": (0, 8)}, r"window must be two sides of at least one pixel, got \(0, 8\)"),
        ({"resize": (512,)}, r"resize must be two sides .* got \(512,\)"),
        ({"multiple": 0}, "multiple must be at least 1 .* got 0"),
        ({"pad_to": -1}, "pad_to must be at least 0 .* got -1"),
        ({"scales": ()}, r"scales must be positive factors, at least one, got \(\)"),
        ({"scales": (1.0, -0.5)}, r"got \(1.0, -0.5\)"),
        ({"merge": "votes"}, "merge must be one of logits, probabilities, got 'votes'"),
    ],
)
def test_bad_protocols_are_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        EvaluationProtocol(**options)


def test_every_published_protocol_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(PROTOCOLS)

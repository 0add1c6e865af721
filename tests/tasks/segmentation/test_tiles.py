"""Tiles against the whole image: geometry, blending, seams, and the dictionary that they share."""

import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import relative_error
from subquad import create_model
from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationConfig
from subquad.nn import Ham, watching_input
from subquad.ops import NMF, VQ, decompose
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.tiles import predict_tiles, sharing_whole_dictionaries
from subquad.tasks.segmentation.tiling import Tiling, spans
from subquad.tasks.segmentation.whole_dictionary import _thinning, whole_dictionary

SMALL = Tiling(tile=128, overlap=0.5)


def picture(height, width):
    """Smooth, so that neighbouring pixels are alike, with a few edges."""
    rows, columns = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 13, indexing="ij")
    waves = [(rows * k).sin() + (columns + k).cos() + (rows * columns / 40).sin().sign() for k in (1, 2, 3)]
    return (127 + 42 * torch.stack(waves)).byte()


def network(**options):
    torch.manual_seed(0)
    net = create_model(
        "light_ham_van_tiny_d256",
        **{"num_classes": 5, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}
        | {"norm": "batch"} | options,
    ).eval()  # fmt: skip
    nn.init.normal_(net.head.classifier.weight)
    return net


class Answer(nn.Module):
    """A network whose scores are a function of the pixels shown and of how many calls there were."""

    def __init__(self, function, classes=3):
        super().__init__()
        self.config = SegmentationConfig(num_classes=classes)
        self.weight = nn.Parameter(torch.zeros(1))
        self.function, self.calls = function, 0

    def forward(self, x):
        self.calls += 1
        return self.function(x, self.calls)


def pointwise(x, _):
    return torch.cat([x, x.sum(dim=1, keepdim=True)], dim=1) * 3


lengths, tiles = st.integers(1, 3000), st.integers(4, 40).map(lambda n: 32 * n)
overlaps = st.floats(0.01, 0.5)


@example(385, 256, 0.5)  # the middle tile is so close to both others that its seams would touch
@given(lengths, tiles, overlaps)
def test_geometry(length, tile, overlap):
    tiling = Tiling(tile=tile, overlap=overlap)
    found = spans(length, tiling)
    assert found[0].start == found[0].first == 0 and found[-1].stop == found[-1].last == length
    assert found[0].fade_in == found[-1].fade_out == 0
    assert len(found) == max(math.ceil((length - tile) / (tile - tiling.overlap_pixels)), 0) + 1
    for span in found:
        assert span.start % 32 == span.first % 32 == 0
        assert min(tile - 31, length) <= span.stop - span.start <= tile
        assert span.start <= span.first - span.fade_in // 2 < span.last + span.fade_out // 2 <= span.stop
        assert span.first + span.fade_in // 2 <= span.last - span.fade_out // 2, "seams do not touch"
    for left, right in pairwise(found):
        assert left.last == right.first and left.start < right.start
        assert left.fade_out == right.fade_in > 0 and left.fade_out % 2 == 0
        assert left.stop - right.start >= tiling.overlap_pixels >= left.fade_out
    if overlap <= 1 / 3:
        assert all(s.fade_in == tiling.overlap_pixels for s in found[1:])


@pytest.mark.parametrize(("height", "width"), [(100, 90), (128, 300), (333, 128), (290, 411)])
def test_a_pointwise_network_is_exact_and_has_no_seams(height, width):
    image, net = picture(height, width), Answer(pointwise, classes=4)
    result = predict_tiles(net, image, SMALL)
    assert torch.equal(result.labels, predict_labels(net, image[None])[0])
    rows, columns = spans(height, SMALL), spans(width, SMALL)
    assert result.tiles == len(rows) * len(columns)
    seams = sum(s.fade_in for s in columns) * height + sum(s.fade_in for s in rows) * width
    assert result.seam_pixels == seams
    if seams:
        assert result.seam_distance < 1e-6 and result.seam_disagreement == 0
    else:
        assert math.isnan(result.seam_distance) and math.isnan(result.seam_disagreement)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 420), st.integers(1, 420), st.integers(0, 9))
def test_blending_is_the_weighted_sum_with_weights_that_sum_to_one(height, width, seed):
    """Tiles with answers of their own, added up by brute force."""
    answers = {}

    def noise(x, call):
        generator = torch.Generator().manual_seed(100 * seed + call)
        answers[call] = torch.randn(1, 3, *x.shape[2:], generator=generator).softmax(dim=1)
        return answers[call].log()

    result = predict_tiles(Answer(noise), picture(height, width), SMALL)
    rows, columns = spans(height, SMALL), spans(width, SMALL)
    total, weights = torch.zeros(3, height, width), torch.zeros(height, width)
    for call, (row, column) in enumerate(product(rows, columns), start=1):
        where = slice(row.start, row.stop), slice(column.start, column.stop)
        weight = weights_of(row)[:, None] * weights_of(column)
        total[:, *where] += weight * answers[call][0]
        weights[where] += weight
    torch.testing.assert_close(weights, torch.ones_like(weights))
    best = total.topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-5
    assert torch.equal(result.labels.long()[clear], total.argmax(dim=0)[clear])


def weights_of(span):
    """Raised cosine around both ends of a tile's own pixels, written out pixel by pixel."""
    values = []
    for pixel in range(span.start, span.stop):
        weight = 1.0
        for sign, edge, fade in ((1, span.first, span.fade_in), (-1, span.last, span.fade_out)):
            inside = sign * (pixel + 0.5 - edge) / (fade or 1)  # -0.5 to 0.5 across the seam
            if fade:
                weight *= (
                    0 if inside < -0.5 else 1 if inside > 0.5 else 0.5 + 0.5 * math.sin(math.pi * inside)
                )
        values.append(weight)
    return torch.tensor(values)


@pytest.mark.parametrize("shape", [(128, 192), (192, 128)])
def test_seam_error_worked_out(shape):
    """Two tiles of constant answers: their distance is known, and their classes differ or not."""
    constants = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.625, 0.25]])

    def constant(first, second):
        def answer(x, call):
            p = constants[first if call == 1 else second].log()
            return p.view(1, 3, 1, 1).expand(1, 3, *x.shape[2:])

        return predict_tiles(Answer(answer), picture(*shape), Tiling(tile=128, overlap=0.5))

    differing = constant(0, 1)
    assert differing.tiles == 2 and differing.seam_pixels == 64 * 128
    assert differing.seam_distance == pytest.approx(0.25) and differing.seam_disagreement == 1
    alike = constant(1, 2)
    assert alike.seam_distance == pytest.approx(0.125) and alike.seam_disagreement == 0
    assert constant(0, 0).seam_distance == 0


def test_one_tile_is_the_plain_prediction():
    net, image = network(), picture(100, 120)
    result = predict_tiles(net, image, SMALL)
    assert result.tiles == 1 and torch.equal(result.labels, predict_labels(net, image[None])[0])


def test_modes_and_shared_dictionaries_are_put_back():
    net, image = network().train(), picture(130, 200)
    predict_tiles(net, image, Tiling(tile=128, share_dictionary=True))
    ham = net.head.hamburger.ham
    assert net.training and ham.shared_dictionary is None and not ham._forward_pre_hooks
    with pytest.raises(RuntimeError, match="memory"):
        net.head.hamburger.upper_bread.register_forward_hook(fail_after(2))
        predict_tiles(net, image, Tiling(tile=128, share_dictionary=True))
    assert ham.shared_dictionary is None and not ham._forward_pre_hooks


def fail_after(calls):
    def hook(*_):
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise RuntimeError("out of memory")

    return hook


def test_more_than_255_classes():
    result = predict_tiles(
        Answer(lambda x, _: torch.eye(300)[299].view(1, 300, 1, 1).expand(1, 300, *x.shape[2:]), 300),
        picture(150, 130), SMALL,
    )  # fmt: skip
    assert result.labels.dtype == torch.int64 and result.labels.unique().tolist() == [299]


class Pointwise(nn.Module):
    """Blocks of 8 x 8 pixels, a pointwise layer and a ham: tiles have no borders."""

    def __init__(self, solver, heads=1, over="space"):
        super().__init__()
        self.config = SegmentationConfig(num_classes=4)
        self.embed = nn.Conv2d(3, 12, 8, stride=8)
        self.ham = Ham(12, 4, solver, heads=heads, steps=6, over=over)
        self.classifier = nn.Conv2d(12, 4, 1)

    def features(self, x):
        bottom, right = (-x.shape[2]) % 8, (-x.shape[3]) % 8
        return self.embed(nn.functional.pad(x, (0, right, 0, bottom))).relu()

    def forward(self, x):
        y = self.classifier(self.ham(self.features(x)))
        return y.repeat_interleave(8, 2).repeat_interleave(8, 3)[..., : x.shape[2], : x.shape[3]]


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(100, 100), (250, 333), (128, 256)])
@torch.no_grad()
def test_the_shared_dictionary_is_that_of_the_whole_image(height, width, heads):
    net = Pointwise(NMF(), heads).eval()
    image = picture(height, width)
    tiles = list(product(spans(height, SMALL), spans(width, SMALL)))

    def show(row, column):
        part = image[None, :, row.start : row.stop, column.start : column.stop]
        return net(preprocess(part, net.config))

    dictionary = whole_dictionary(net.ham, tiles, show, size=(height, width))
    whole = net.features(preprocess(image[None], net.config))
    expected = net.ham.factorize(whole).dictionary
    assert relative_error(dictionary, expected) < 1e-4


@pytest.mark.parametrize(("height", "width"), [(250, 33), (65, 333), (10, 140)])
@torch.no_grad()
def test_what_a_network_adds_to_small_tiles_is_not_of_the_image(height, width):
    net, image = Pointwise(NMF()).eval(), picture(height, width)
    net.aligned_sizes = 32
    tiles = list(product(spans(height, SMALL), spans(width, SMALL)))

    def show(row, column):
        part = preprocess(image[None, :, row.start : row.stop, column.start : column.stop], net.config)
        return net(nn.functional.pad(part, (0, -part.shape[3] % 32, 0, -part.shape[2] % 32)))

    dictionary = whole_dictionary(net.ham, tiles, show, size=(height, width), aligned=32)
    whole = net.features(preprocess(image[None], net.config))
    assert relative_error(dictionary, net.ham.factorize(whole).dictionary) < 1e-4
    with sharing_whole_dictionaries(net, tiles, show, (height, width)):
        show(*tiles[0])


@pytest.mark.parametrize("solver", [VQ(), NMF()], ids=str)
def test_sharing_removes_the_seams(solver):
    """Without borders, tiles that share a dictionary agree, and with VQ they are the whole image."""
    net, image = Pointwise(solver).eval(), picture(250, 333)
    nn.init.normal_(net.classifier.weight)
    alone = predict_tiles(net, image, SMALL)
    shared = predict_tiles(net, image, Tiling(tile=128, overlap=0.5, share_dictionary=True))
    assert alone.seam_distance > 1e-3
    assert shared.seam_distance < 1e-5 and shared.seam_disagreement < 1e-3
    whole = predict_labels(net, image[None])[0]
    disagreement = [float((r.labels != whole).float().mean()) for r in (shared, alone)]
    assert disagreement[0] < (1e-3 if isinstance(solver, VQ) else 0.02)
    assert disagreement[0] < disagreement[1]


def test_a_real_network_with_a_shared_dictionary():
    net, image = network(), picture(290, 411)
    result = predict_tiles(net, image, Tiling(tile=128, share_dictionary=True))
    again = predict_tiles(net, image, Tiling(tile=128, share_dictionary=True))
    assert torch.equal(result.labels, again.labels) and result.seam_distance == again.seam_distance
    whole = predict_labels(net, image[None])[0]
    assert (result.labels == whole).float().mean() > 0.8
    assert result.seam_distance < predict_tiles(net, image, Tiling(tile=128)).seam_distance


@given(st.integers(1, 10**6), st.integers(1, 10**5))
def test_thinning_keeps_as_much_as_an_even_grid_can(positions, most):
    rows, columns = _thinning(positions, most)
    assert rows * columns * most >= positions, "no more than `most` are left"
    assert rows - columns in (0, 1)
    smaller = (rows, columns - 1) if rows == columns else (rows - 1, columns)
    assert smaller[0] * smaller[1] * most < positions or rows == columns == 1


@torch.no_grad()
def test_large_images_are_thinned_evenly():
    net, image = Pointwise(NMF()).eval(), picture(250, 333)
    seen = []
    tiles = list(product(spans(250, SMALL), spans(333, SMALL)))

    def show(row, column):
        part = image[None, :, row.start : row.stop, column.start : column.stop]
        return net(preprocess(part, net.config))

    dictionary = whole_dictionary(net.ham, tiles, show, size=(250, 333), most=400)
    with watching_input(net.ham, seen.append):
        net(preprocess(image[None], net.config))
    (whole,) = seen  # (1, 12, 32, 42): 1344 positions, 400 allowed
    thinned = whole[:, :, ::2, ::2].flatten(2)
    expected = decompose(thinned, net.ham.dictionary[0], NMF(), steps=6).dictionary
    # The same columns in another order.
    assert thinned.shape[2] <= 400 and relative_error(dictionary, expected) < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 1000}, "tile must be a multiple of 32, .* got 1000; take 992"),
        ({"tile": 64}, "at least 128 .* got 64; take 128"),
        ({"overlap": 0.6}, "overlap must be above 0, up to 0.5 of a tile, got 0.6"),
        ({"overlap": 0.0}, "got 0.0"),
    ],
)
def test_bad_tilings_are_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        Tiling(**options)


def test_networks_that_cannot_share_are_refused():
    shared = Tiling(tile=128, share_dictionary=True)
    with pytest.raises(ValueError, match="no matrix decomposition"):
        predict_tiles(network(context="attention"), picture(140, 140), shared)
    with pytest.raises(ValueError, match='over="channel"'):
        predict_tiles(Pointwise(NMF(), over="channel"), picture(140, 140), shared)
    with pytest.raises(ValueError, match=r"one image .* got \(1, 3, 140, 140\)"):
        predict_tiles(network(), picture(140, 140)[None], SMALL)
    with pytest.raises(ValueError, match="expected uint8"):
        predict_tiles(network(), picture(140, 140).float(), SMALL)

"""Losses against their definitions: brute force over pixels, over sets, gradients against float64."""

import itertools
import math

import pytest
import torch

from subquad.tasks.segmentation.losses import hardest_pixels
from subquad.tasks.segmentation.losses.cross_entropy import pixel_cross_entropy
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.losses.region import lovasz_jaccard, lovasz_softmax, soft_dice

LOSSES = {
    "cross_entropy": pixel_cross_entropy,
    "cross_entropy_all": lambda logits, labels: pixel_cross_entropy(logits, labels, normalize="all"),
    "weighted": lambda logits, labels: pixel_cross_entropy(
        logits, labels, class_weights=torch.tensor([1.0, 2.0, 0.5, 3.0])
    ),
    "ohem": LossOptions(ohem_threshold=0.4, ohem_kept=3).evaluate,
    "dice": soft_dice,
    "lovasz": lovasz_softmax,
}


def each_loss(function):
    return pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)(function)


def some_pixels(shape=(5, 6), dtype=torch.float64, seed=0):
    """Return logits and labels of four classes; the last does not occur, some pixels are ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 4, *shape, dtype=dtype, generator=generator)
    labels = torch.randint(0, 3, (2, *shape), dtype=torch.uint8, generator=generator)
    labels[0, :2] = 255
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("normalize", ["labelled", "all"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_mean_over_pixels(weighted, normalize):
    logits, labels = some_pixels(dtype=torch.float32)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0]) if weighted else None
    total = weight = 0.0
    probabilities = logits.detach().double().softmax(dim=1)
    for b, i, j in itertools.product(range(2), range(5), range(6)):
        c = int(labels[b, i, j])
        if c != 255:
            w = float(weights[c]) if weighted else 1.0
            total -= w * math.log(probabilities[b, c, i, j])
            weight += w
    loss = pixel_cross_entropy(logits, labels, class_weights=weights, normalize=normalize)
    assert loss.item() == pytest.approx(total / (60 if normalize == "all" else weight), rel=1e-5)


def test_hard_pixels_are_those_below_the_threshold():
    logits, labels = some_pixels((30, 40))
    probability = logits.detach().softmax(dim=1).gather(1, labels.long().clamp(max=3)[:, None])[:, 0]
    hard = hardest_pixels(logits, labels, threshold=0.3, kept=10)
    expected = labels.long().where((probability < 0.3) & (labels != 255), 255)
    assert 10 < (expected != 255).sum() < (labels != 255).sum()
    assert torch.equal(hard, expected)


def test_at_least_so_many_hard_pixels_are_kept():
    logits, labels = some_pixels((30, 40))
    probability = logits.detach().softmax(dim=1).gather(1, labels.long().clamp(max=3)[:, None])[:, 0]
    probability[labels == 255] = 2
    for kept in (1, 77, 10**6):
        hard = hardest_pixels(logits, labels, threshold=1e-9, kept=kept)
        assert (hard != 255).sum() == min(kept, int((labels != 255).sum()))
        assert probability[hard != 255].max() <= probability[hard == 255].min()
    assert (hardest_pixels(logits, labels, threshold=1e-9, kept=0) == 255).all()


def test_pixels_that_are_kept_are_counted_for_each_image():
    logits, labels = some_pixels((30, 40))
    options = LossOptions(ohem_threshold=1e-9, ohem_kept=50)
    kept = hardest_pixels(logits, labels, threshold=1e-9, kept=100)
    assert options.evaluate(logits, labels) == pixel_cross_entropy(logits, kept)


def test_dice_counts_overlap_class_by_class():
    logits, labels = some_pixels()
    probabilities = logits.detach().softmax(dim=1)
    scores = []
    for c in range(3):  # the last class does not occur, so it does not count
        truth, mine = (labels == c).double(), probabilities[:, c] * (labels != 255)
        scores.append(2 * (truth * mine).sum() / (truth.sum() + mine.sum()))
    assert soft_dice(logits, labels).item() == pytest.approx(1 - torch.stack(scores).mean().item())


def jaccard(mistakes, truth):
    """Return the Jaccard loss of a set of mistaken pixels, from its definition."""
    return len(mistakes) / len(mistakes | truth)


def extension(errors, truth):
    """Return the Lovász extension as the mean of the set function over thresholds of the errors."""
    levels = [0.0, *sorted(errors)]
    total = 0.0
    for below, above in itertools.pairwise(levels):
        total += (above - below) * jaccard({i for i, e in enumerate(errors) if e > below}, truth)
    return total


def test_lovasz_is_the_jaccard_loss_on_every_set_of_mistakes():
    pixels = range(6)
    for truth in ({0}, {1, 4}, {0, 2, 3, 5}, set(pixels)):
        inside = torch.tensor([i in truth for i in pixels])
        for bits in itertools.product([0.0, 1.0], repeat=6):
            mistakes = {i for i in pixels if bits[i]}
            loss = lovasz_jaccard(torch.tensor(bits, dtype=torch.float64), inside)
            assert loss.item() == pytest.approx(jaccard(mistakes, truth))


def test_lovasz_between_the_sets_is_the_extension_and_convex():
    generator = torch.Generator().manual_seed(1)
    inside = torch.tensor([True, False, True, False, False, True, False])
    truth = set(inside.nonzero().flatten().tolist())
    for _ in range(50):
        one, two = torch.rand(2, 7, generator=generator, dtype=torch.float64)
        ends = [lovasz_jaccard(errors, inside) for errors in (one, two)]
        assert ends[0].item() == pytest.approx(extension(one.tolist(), truth))
        assert lovasz_jaccard((one + two) / 2, inside) <= (ends[0] + ends[1]) / 2 + 1e-12


def test_lovasz_softmax_is_the_mean_over_the_classes_that_occur():
    logits, labels = some_pixels()
    mask = labels != 255
    probabilities, truth = logits.detach().softmax(dim=1).movedim(1, 0)[:, mask], labels[mask].tolist()
    losses = []
    for c in range(3):
        errors = [
            1 - p if label == c else p for p, label in zip(probabilities[c].tolist(), truth, strict=True)
        ]
        losses.append(extension(errors, {i for i, label in enumerate(truth) if label == c}))
    assert lovasz_softmax(logits, labels).item() == pytest.approx(sum(losses) / 3)


def test_lovasz_weighs_the_pixels_of_a_large_image_exactly():
    """Differences of nearly equal quotients would lose all digits in float32 here."""
    errors = torch.linspace(1, 0, 4_000_000)
    inside = torch.arange(len(errors)) % 1000 == 0
    exact = lovasz_jaccard(errors.double(), inside).item()
    assert lovasz_jaccard(errors, inside).item() == pytest.approx(exact, rel=1e-5)


@each_loss
def test_gradients_are_those_of_the_loss(loss):
    logits, labels = some_pixels((2, 3))
    labels[0] = labels[1]
    labels[0, 0, 0] = 255
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits)


@each_loss
def test_ignored_pixels_have_no_gradient_and_no_influence(loss):
    logits, labels = some_pixels()
    value = loss(logits, labels)
    value.backward()
    assert torch.count_nonzero(logits.grad[0, :, :2]) == 0
    other = logits.detach().clone()
    other[0, :, :2] = 1e4
    assert loss(other, labels) == value


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_nothing_labelled_gives_zero_and_not_nan(loss, dtype):
    logits = torch.randn(1, 4, 2, 2, dtype=dtype, requires_grad=True)
    value = loss(logits, torch.full((1, 2, 2), 255))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == 0 and torch.count_nonzero(gradient) == 0


@each_loss
def test_the_order_of_pixels_does_not_matter(loss):
    logits, labels = some_pixels()
    order = torch.randperm(30)
    shuffled = logits.flatten(2)[..., order].unflatten(2, (5, 6))
    # Both images, for what is counted over the batch.
    assert loss(shuffled, labels.flatten(1)[:, order].unflatten(1, (5, 6))).item() == pytest.approx(
        loss(logits, labels).item()
    )


@each_loss
def test_half_precision_is_computed_in_float32(loss):
    logits, labels = some_pixels((100, 100), torch.float32)
    half = logits.detach().half()
    value = loss(half, labels)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(half.double(), labels).item(), rel=1e-5)


@pytest.mark.parametrize("name", ["dice", "lovasz"])
def test_overlap_losses_reach_both_ends(name):
    labels = torch.tensor([[[0, 1, 2, 255]]])
    right = 100 * torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 1).double()
    assert LOSSES[name](right, labels).item() == pytest.approx(0, abs=1e-9)
    assert LOSSES[name](right.roll(1, dims=1), labels).item() == pytest.approx(1)


def test_options_are_a_weighted_sum():
    logits, labels = some_pixels()
    weights = torch.rand(4, dtype=torch.float64)
    parts = {
        "cross_entropy": pixel_cross_entropy(logits, labels, class_weights=weights),
        "dice": soft_dice(logits, labels),
        "lovasz": lovasz_softmax(logits, labels),
    }
    assert LossOptions().evaluate(logits, labels, weights) == parts["cross_entropy"]
    for name, part in parts.items():
        only = dict.fromkeys(parts, 0.0) | {name: 2.0}
        assert LossOptions(**only).evaluate(logits, labels, weights).item() == pytest.approx(2 * part.item())
    mixed = LossOptions(cross_entropy=0.5, dice=1.0, lovasz=3.0).evaluate(logits, labels, weights)
    expected = 0.5 * parts["cross_entropy"] + parts["dice"] + 3 * parts["lovasz"]
    assert mixed.item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"dice": -1.0}, r"loss.dice must be 0 or more, got -1.0"),
        ({"cross_entropy": 0.0}, r"one of loss.cross_entropy, loss.dice, loss.lovasz must be above 0"),
        ({"normalize": "none"}, r"loss.normalize must be one of .*, got 'none'"),
        ({"ohem_threshold": 1.5}, r"loss.ohem_threshold must be in \(0, 1\], got 1.5"),
        ({"ohem_kept": -1}, r"loss.ohem_kept must be 0 or more, got -1"),
    ],
)
def test_options_of_the_loss_are_checked(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        LossOptions(**values)

"""The cross-entropy in strips against that of resized logits: value, gradients, memory, training."""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from subquad import create_model
from subquad.engine.optimizer import OptimizerOptions
from subquad.models.segmentation.class_blocks import most_likely
from subquad.models.segmentation.coarse import CoarseLogits
from subquad.models.segmentation.light_ham import LightHam
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.segmentation.losses import LossOptions, coarse_cross_entropy, pixel_cross_entropy, strips
from subquad.tasks.segmentation.losses.strips import coarse_hardness

CLASSES = 5
OPTIONS = {
    "labelled": LossOptions(),
    "all": LossOptions(normalize="all", cross_entropy=0.3),
    "ohem": LossOptions(ohem_threshold=0.2, ohem_kept=40),
    "dice": LossOptions(dice=2.0),
    "lovasz": LossOptions(lovasz=0.5, ohem_threshold=0.2, ohem_kept=40),
}
# Logits, what they are resized to, images: whole strides, cut off behind a mirror, no stride at all, a
# single position, smaller images than logits.
SIZES = {
    "even": ((6, 8), (48, 64), (48, 64)),
    "cropped": ((5, 9), (40, 72), (33, 65)),
    "odd": ((5, 9), (33, 65), (33, 65)),
    "single": ((1, 1), (8, 8), (5, 3)),
    "smaller": ((16, 12), (9, 7), (9, 7)),
}


@pytest.fixture(params=[1, 3000, 1 << 30], ids=["rows", "strips", "whole"])
def strip(request, monkeypatch):
    """Have strips of one row, of a few, of the whole image."""
    monkeypatch.setattr(strips, "CPU_STRIP", request.param)


def some_pixels(size="cropped", dtype=torch.float64, batch=2, align_corners=False):
    """Return coarse logits that a gradient can reach, and labels of which some are ignored."""
    (height, width), padded, images = SIZES[size]
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(batch, CLASSES, height, width, dtype=dtype, generator=generator)
    logits = logits.to(memory_format=torch.channels_last).requires_grad_()
    labels = torch.randint(0, CLASSES - 1, (batch, *images), dtype=torch.uint8, generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return CoarseLogits(logits, padded, images, align_corners, is_cropped=padded != images), labels


def both_ways(options, coarse, labels, weights=None):
    """Return loss and gradient in strips, and by logits that are resized as a whole."""
    return [
        (loss.detach(), torch.autograd.grad(loss, coarse.logits)[0])
        for loss in (
            options.evaluate_coarse(coarse, labels, weights),
            options.evaluate(coarse.resized(), labels, weights),
        )
    ]


@pytest.mark.parametrize("align_corners", [False, True], ids=["centres", "corners"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_strips_are_exact_in_float64(options, size, align_corners, strip):
    coarse, labels = some_pixels(size, align_corners=align_corners)
    weights = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0])
    for batch in (coarse, coarse._replace(logits=coarse.logits[:1])):
        (loss, gradient), (plain, expected) = both_ways(options, batch, labels[: len(batch.logits)], weights)
        torch.testing.assert_close(loss, plain, rtol=1e-12, atol=0)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("size", ["even", "cropped"])
def test_strips_are_as_good_as_float32_gets(size):
    coarse, labels = some_pixels(size, torch.float32)
    (loss, gradient), (plain, expected) = both_ways(LossOptions(), coarse, labels)
    torch.testing.assert_close(loss, plain, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7 * float(expected.abs().max()))
    assert gradient.is_contiguous(memory_format=torch.channels_last)  # as the classifier has its gradient


def test_derivatives_are_those_of_the_loss():
    coarse, labels = some_pixels("cropped")
    coarse = coarse._replace(logits=coarse.logits[:1, :3, :2, :2], padded=(5, 4), size=(4, 3))
    labels = labels[:1, :4, :3].clamp(max=2)
    labels[0, 0, 1] = 255

    def loss(logits):
        return LossOptions().evaluate_coarse(coarse._replace(logits=logits), labels)

    logits = coarse.logits.detach().requires_grad_()
    assert torch.autograd.gradcheck(loss, logits)
    assert torch.autograd.gradgradcheck(loss, logits)


def test_pixels_that_are_ignored_have_no_gradient(strip):
    coarse, labels = some_pixels()
    labels[1] = 255
    loss = coarse_cross_entropy(coarse, labels)
    (gradient,) = torch.autograd.grad(loss, coarse.logits)
    assert loss > 0 and gradient[0].any() and not gradient[1].any()
    with torch.no_grad():
        coarse.logits[1] = torch.nan  # what is said of them counts no more than in the plain way
    assert coarse_cross_entropy(coarse, labels) == loss
    coarse, _ = some_pixels()
    loss = coarse_cross_entropy(coarse, torch.full_like(labels, 255))
    (gradient,) = torch.autograd.grad(loss, coarse.logits)
    assert loss == 0 and not gradient.any()


def test_hardness_is_the_loss_of_each_pixel(strip):
    coarse, labels = some_pixels()
    expected = torch.nn.functional.cross_entropy(
        coarse.resized(), labels.long(), ignore_index=255, reduction="none"
    )
    torch.testing.assert_close(coarse_hardness(coarse, labels), expected.detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_under_autocast_too(dtype):
    coarse, labels = some_pixels("even", dtype)
    exact = coarse._replace(logits=coarse.logits.detach().float().requires_grad_())
    with torch.autocast("cpu", torch.bfloat16):
        loss = coarse_cross_entropy(coarse, labels)
    (gradient,) = torch.autograd.grad(loss, coarse.logits)
    (expected,) = torch.autograd.grad(pixel_cross_entropy(exact.resized(), labels), exact.logits)
    assert loss.dtype == torch.float32 and gradient.dtype == dtype
    torch.testing.assert_close(loss.detach(), pixel_cross_entropy(exact.resized(), labels).detach())
    torch.testing.assert_close(gradient, expected.to(dtype), rtol=2**-7, atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_shows(bad):
    coarse, labels = some_pixels(dtype=torch.float32)
    with torch.no_grad():
        coarse.logits[0, :, 2, 3] = bad
    assert not coarse_cross_entropy(coarse, labels.clamp(max=CLASSES - 1)).isfinite()


def test_labels_of_another_size_are_refused():
    coarse, labels = some_pixels()
    with pytest.raises(ValueError, match=r"labels \(2, 32, 65\) are not of the images' shape \(2, 33, 65\)"):
        coarse_cross_entropy(coarse, labels[:, 1:])


def learner(**options):
    torch.manual_seed(0)
    network = create_model(
        "light_ham_van_tiny_d256",
        **{"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "num_classes": 40} | options,
    )
    return SegmentationLearner(network, OptimizerOptions(lr=1e-3, warmup_steps=0))


def batch(size=(49, 64)):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 40, (2, *size), dtype=torch.uint8, generator=generator)
    labels[0, :5] = 255
    image = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator)
    return {"image": image, "labels": labels, "name": ["a", "b"]}


class Largest(TorchDispatchMode):
    """Keeps the number of entries of the largest tensor that comes about."""

    def __init__(self):
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
        self.entries = max([self.entries, *sizes])
        return found


def test_a_training_step_never_holds_the_logits_of_all_pixels(monkeypatch):
    monkeypatch.setattr(strips, "CPU_STRIP", 40 * 64 * 4 * 4)
    task, content = learner(), batch()
    with Largest() as largest:
        task.loss_of(content).backward()
    assert 0 < largest.entries < 40 * 49 * 64  # those of one of the two images
    with Largest() as largest:
        task.loss_options.evaluate(task(content["image"]), content["labels"]).backward()
    assert largest.entries >= 2 * 40 * 49 * 64


def losses(task, content, steps=5):
    optimizer, _ = task.optimizer_options.build(task.network, 100)
    found = []
    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = task.loss_of(content)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_training_has_the_losses_of_resized_logits(monkeypatch):
    in_strips = losses(learner(), batch())

    def plain(self, coarse, labels, weights=None):
        return self.evaluate(coarse.resized(), labels, weights)

    monkeypatch.setattr(LossOptions, "evaluate_coarse", plain)
    as_a_whole = losses(learner(), batch())
    assert in_strips[0] == pytest.approx(as_a_whole[0], rel=1e-6)
    assert in_strips == pytest.approx(as_a_whole, rel=1e-4)  # rounding grows from step to step
    assert in_strips[-1] < in_strips[0]


def test_validation_counts_what_the_network_says():
    task, content = learner().eval(), batch()
    task.network.backbone.aligned_sizes = 32  # the images are mirrored up to it, and cropped back
    task.on_validation_epoch_start()
    with torch.inference_mode():
        task.validation_step(content, 0)
        logits = task(content["image"])
    expected = ConfusionMatrix(40)
    expected.update(most_likely(logits, dim=1), content["labels"])
    assert torch.equal(task.confusion.counts, expected.counts)
    loss = float(pixel_cross_entropy(logits, content["labels"]))
    assert float(task.loss_sum[0] / task.loss_sum[1]) == pytest.approx(loss, rel=1e-6)


class OfAnotherPackage(LightHam):
    """Has its own way from images to logits."""

    def forward(self, images):
        return 3 * super().forward(images).roll(1, dims=1)

    def forward_with_auxiliary(self, images):
        return self(images), None


@pytest.mark.parametrize("way", ["of its class", "of the network"])
def test_a_network_with_its_own_way_is_trained_and_scored_by_that(way):
    task, content = learner(), batch()
    if way == "of its class":
        task.network.__class__ = OfAnotherPackage
    else:
        own = task.network.forward
        task.network.forward = lambda images: 3 * own(images).roll(1, dims=1)
        task.network.forward_with_auxiliary = lambda images: (task.network(images), None)
    task.eval()
    logits = task(content["image"])
    assert task.loss_of(content).item() == pytest.approx(
        pixel_cross_entropy(logits, content["labels"]).item()
    )
    task.on_validation_epoch_start()
    task.validation_step(content, 0)
    expected = ConfusionMatrix(40)
    expected.update(most_likely(logits, dim=1), content["labels"])
    assert torch.equal(task.confusion.counts, expected.counts)


def test_the_weight_of_the_cross_entropy_counts():
    coarse, labels = some_pixels()
    twice = dataclasses.replace(OPTIONS["labelled"], cross_entropy=2.0)
    assert twice.evaluate_coarse(coarse, labels) == 2 * coarse_cross_entropy(coarse, labels)


def test_a_compiler_gets_the_plain_way():
    coarse, labels = some_pixels()
    compiled = torch.compile(LossOptions().evaluate_coarse, backend="eager", fullgraph=True)
    assert compiled(coarse, labels) == LossOptions().evaluate(coarse.resized(), labels)


def test_transforms_take_the_logits_as_a_whole():
    coarse, labels = some_pixels()
    options = OPTIONS["labelled"]

    def loss(logits):
        return options.evaluate_coarse(coarse._replace(logits=logits), labels)

    logits = coarse.logits.detach().requires_grad_()
    (expected,) = torch.autograd.grad(loss(logits), logits)
    torch.testing.assert_close(torch.func.grad(loss)(logits.detach()), expected, rtol=1e-4, atol=1e-7)

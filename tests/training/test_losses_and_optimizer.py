"""The loss against its definition, and the schedule against the spec's formula."""

import math

import pytest
import torch

from subquad import create_model
from subquad.training import AdamWOptions, SegmentationTask, pixel_cross_entropy


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_mean_over_labelled_pixels(weighted):
    logits = torch.randn(2, 4, 5, 6, dtype=torch.float32, requires_grad=True)
    labels = torch.randint(0, 4, (2, 5, 6), dtype=torch.uint8)
    labels[0, :2] = 255
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0]) if weighted else None
    total = weight = 0.0
    probabilities = logits.detach().double().softmax(dim=1)
    for b in range(2):
        for i in range(5):
            for j in range(6):
                c = int(labels[b, i, j])
                if c != 255:
                    w = float(weights[c]) if weighted else 1.0
                    total -= w * math.log(probabilities[b, c, i, j])
                    weight += w
    loss = pixel_cross_entropy(logits, labels, class_weights=weights)
    assert loss.item() == pytest.approx(total / weight, rel=1e-5)
    loss.backward()
    assert torch.count_nonzero(logits.grad[0, :, :2]) == 0


def test_nothing_labelled_gives_zero_and_not_nan():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    for weights in (None, torch.ones(3)):
        loss = pixel_cross_entropy(logits, torch.full((1, 2, 2), 255), class_weights=weights)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0 and torch.count_nonzero(gradient) == 0


def test_half_precision_logits_are_reduced_in_float32():
    logits = torch.full((1, 2, 200, 200), 8.0, dtype=torch.float16)
    loss = pixel_cross_entropy(logits, torch.zeros(1, 200, 200, dtype=torch.uint8))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-5)


def test_warm_up_and_poly_decay_are_the_spec_s():
    options = AdamWOptions(warmup_steps=1500, power=0.9)
    steps = 160_000
    for t in (0, 1, 700, 1499, 1500, 90_000, steps - 1):
        poly = (1 - t / steps) ** 0.9
        warm = 1 - (1 - t / 1500) * (1 - 1e-6) if t < 1500 else 1
        assert options.factor(t, steps) == pytest.approx(poly * warm, rel=1e-12)
    assert options.factor(steps, steps) == 0
    assert options.factor(0, steps) == pytest.approx(1e-6)
    assert options.factor(10, 100) == pytest.approx(0.9**0.9)  # a short training warms up shortly


def test_options_are_checked():
    with pytest.raises(ValueError, match="optimizer.lr must be positive, got -1"):
        AdamWOptions(lr=-1)
    with pytest.raises(ValueError, match="optimizer.exempt must be one of"):
        AdamWOptions(exempt="norms")
    network = create_model("light_ham_van_tiny_d256", backbone="conv_tiny", num_classes=3)
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        SegmentationTask(network, class_weights=[1.0, 2.0])

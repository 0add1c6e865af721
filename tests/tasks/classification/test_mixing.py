"""Erased and mixed pictures, and the classes that go with them."""

import pytest
import torch
from torch.nn import functional as F

from subquad.tasks.classification.mixing import Mixing, MixOptions


@pytest.fixture
def batch():
    """Pictures of one value each, their label."""
    labels = torch.arange(6) % 3
    return labels.float().view(-1, 1, 1, 1).expand(-1, 2, 8, 8).contiguous(), labels


@pytest.mark.parametrize("options", [{}, {"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_shares_sum_to_one_and_are_those_of_the_pictures(batch, options):
    mixing = Mixing(MixOptions(**options), 3)
    for seed in range(5):
        torch.manual_seed(seed)
        images, shares = mixing(*batch)
        assert images.shape == batch[0].shape
        torch.testing.assert_close(shares.sum(1), torch.ones(6))
        # Each picture has the value of its class, so the mean of a mixed one tells the shares.
        told = (shares * torch.arange(3)).sum(1)
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), told)


def test_both_are_drawn_and_not_always(batch):
    mixing = Mixing(MixOptions(mixup=0.8, cutmix=1.0, probability=0.5), 3)
    kinds = set()
    for seed in range(30):
        torch.manual_seed(seed)
        images, shares = mixing(*batch)
        # Of mixup a picture has one value, of cutmix two, and an untouched one has a whole class.
        cut = bool((images.flatten(1).std(1) > 0.01).any())
        kinds.add("cut" if cut else "mixed" if bool((shares.max(1).values < 0.999).any()) else "none")
    assert kinds == {"cut", "mixed", "none"}


def test_each_picture_is_erased_by_itself(batch):
    images, shares = Mixing(MixOptions(erasing=1.0), 3)(*batch)
    changed = images != batch[0]
    assert changed.flatten(1).any(1).all()
    assert len({tuple(one.any(0).flatten().tolist()) for one in changed}) > 1
    assert torch.equal(shares, F.one_hot(batch[1], 3).float())


def test_the_loss_is_the_smoothed_cross_entropy(batch):
    logits = torch.randn(6, 3)
    plain, smoothed = (Mixing(MixOptions(label_smoothing=x), 3) for x in (0.0, 0.3))
    shares = plain(*batch)[1]
    torch.testing.assert_close(plain.loss(logits, shares), F.cross_entropy(logits, batch[1]))
    soft = 0.7 * shares + 0.1
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(smoothed.loss(logits, shares), expected)


@pytest.mark.parametrize(
    "wrong", [{"mixup": -1}, {"cutmix": -0.1}, {"probability": 1.5}, {"erasing": 2}, {"label_smoothing": 1}]
)
def test_what_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=f"mix.{next(iter(wrong))} must be"):
        MixOptions(**wrong)

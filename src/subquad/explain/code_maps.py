"""What the ham found: one map over the image for each dictionary column."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models import SegmentationNetwork
from subquad.nn import Ham, watching_input
from subquad.nn.mode import evaluating
from subquad.ops import Factors


def last_ham(model: nn.Module) -> Ham:
    """Return the ham of a network that is explained: its last one over space.

    Raises:
        ValueError: If the network has no such ham.
    """
    hams = [module for module in model.modules() if isinstance(module, Ham) and module.over == "space"]
    if not hams:
        raise ValueError(f"{type(model).__name__} has no ham over space, so it has no code maps.")
    return hams[-1]


@torch.inference_mode()
def ham_parts(model: nn.Module, images: Tensor) -> tuple[Tensor, Factors, torch.Size]:
    """Return what a network's last ham over space decomposed, its dictionary and codes, and its size.

    Positions of what the network adds at the far ends of the images are left out.

    Args:
        model: Used in evaluation mode.
        images: What the network takes, (batch, channels, H, W).

    Returns:
        X, (batch * heads, dim // heads, positions), the factors as of `Ham.factorize`, and the (h, w) of
        their positions, or the (n,) of a ham on tokens.

    Raises:
        ValueError: If the network has no such ham.
    """
    ham, seen = last_ham(model), []
    with evaluating(model):
        with watching_input(ham, seen.append):
            model(images)
        dictionary, codes = ham.factorize(seen[0])
    sides = _within(model, images, seen[0])
    features = seen[0].unflatten(1, (ham.heads, -1)).flatten(0, 1)
    kept = (slice(None), slice(None), *(slice(side) for side in sides))
    codes = codes.unflatten(2, seen[0].shape[2:])[kept]
    return features[kept].flatten(2), Factors(dictionary, codes.flatten(2)), sides


def ham_factors(model: nn.Module, images: Tensor) -> tuple[Factors, torch.Size]:
    """Return dictionary and codes of a network's last ham over space, and the size at which it works.

    Args:
        model: As above.
        images: As above.

    Raises:
        ValueError: As above.
    """
    _, factors, sides = ham_parts(model, images)
    return factors, sides


def _within(model: nn.Module, images: Tensor, seen: Tensor) -> torch.Size:
    """Return how many rows and columns of positions lie on the images."""
    if not isinstance(model, SegmentationNetwork):
        return seen.shape[2:]
    padded = model.padded(images).shape[2:]
    sides = zip(seen.shape[2:], images.shape[2:], padded, strict=True)
    return torch.Size([-(-positions * side // whole) for positions, side, whole in sides])


def code_maps(model: nn.Module, images: Tensor) -> Tensor:
    """Return the codes of a network's ham as maps.

    Args:
        model: A network with a `Ham` over space; used in evaluation mode. Its last ham counts.
        images: What the network takes, (batch, channels, H, W).

    Returns:
        (batch, heads * rank, h, w) at the size at which the ham works.

    Raises:
        ValueError: If the network has no such ham.
    """
    factors, size = ham_factors(model, images)
    # (batch * heads, rank, positions) to (batch, heads * rank, h, w)
    return factors.codes.unflatten(0, (images.shape[0], -1)).flatten(1, 2).unflatten(2, size)


def telling_columns(maps: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Say how much each dictionary column tells about the classes.

    Args:
        maps: Of `code_maps`, (batch, columns, h, w).
        labels: Class indices (batch, H, W); values that are no class are left out.
        num_classes: Of the labels.

    Returns:
        The share of each column's variance over all pixels that the class of the pixel explains,
        (columns,), 0 to 1: eta squared of the analysis of variance. 0 for a constant column.
    """
    size = maps.shape[2:]
    small = F.interpolate(labels.unsqueeze(1).float(), size=size, mode="nearest-exact").long().flatten()
    values = maps.movedim(1, -1).flatten(0, 2).double()  # (pixels, columns)
    valid = (small >= 0) & (small < num_classes)
    values, small = values[valid], small[valid]
    member = F.one_hot(small, num_classes).double()  # (pixels, classes)
    counts = member.sum(dim=0).clamp_min(1)
    class_means = member.mT @ values / counts.unsqueeze(1)
    total = (values - values.mean(dim=0)).square().sum(dim=0)
    within = (values - class_means[small]).square().sum(dim=0)
    return torch.where(total > 0, 1 - within / total.clamp_min(1e-300), 0.0)

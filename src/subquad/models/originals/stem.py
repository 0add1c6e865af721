"""The first convolution of a backbone that was trained on colours, for images of other channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

COLOURS = 3


def adapt_stem(ours: Mapping[str, Tensor], parameters: Iterable[str], found: dict[str, Tensor]) -> str | None:
    """Bring the first convolution's weight to the channels of the network, by timm's rule.

    One channel gets the sum over the colours: a grey image then gives what its three equal channels gave.
    More get the colours in turn, scaled by 3 / channels, so that features keep their size.

    Args:
        ours: The network's tensors.
        parameters: Names of its parameters in order; the first of four dimensions is the stem's.
        found: The file's tensors by our names; the stem's is replaced.

    Returns:
        What was done, in words; None if there was nothing to do.
    """
    stem = next((name for name in parameters if ours[name].dim() == 4), None)
    if stem is None or stem not in found:
        return None
    theirs, channels = found[stem], ours[stem].shape[1]
    wanted = (*theirs.shape[:1], channels, *theirs.shape[2:])
    if theirs.dim() != 4 or theirs.shape[1] != COLOURS or channels == COLOURS or wanted != ours[stem].shape:
        return None
    if channels == 1:
        found[stem] = theirs.sum(dim=1, keepdim=True)
        return f"{stem}: red, green and blue added up to 1 channel"
    turns = torch.arange(channels) % COLOURS
    found[stem] = theirs[:, turns] * (COLOURS / channels)
    return f"{stem}: red, green and blue in turn for {channels} channels"

"""What the kernels do not take; known without Triton, before one of them is chosen."""

from __future__ import annotations

from torch import Tensor

from subquad.ops.transforms import is_differentiated

MOST_RANK = 128  # more does not fit on the chip

_NO_FUNCTIONAL = "has no derivatives under torch.func"


def obstacle_to_links(values: Tensor, links: Tensor, offsets: tuple[int, ...]) -> str | None:
    """Return why the kernel of `link_mix` cannot run, as an error goes on after its name; None if it can."""
    if max(map(abs, offsets)) >= 2**31:
        return f"takes offsets below 2**31, got {offsets}"
    return _NO_FUNCTIONAL if is_differentiated(values, links) else None


def obstacle_to_causal_links(*tensors: Tensor | None) -> str | None:
    """Return why the kernel of causal links cannot run, as `obstacle_to_links` does."""
    return _NO_FUNCTIONAL if is_differentiated(*(x for x in tensors if x is not None)) else None


def obstacle_to_nmf(x: Tensor, dictionary: Tensor) -> str | None:
    """Return why the kernel of NMF cannot run, as an error goes on after its name; None if it can."""
    if dictionary.shape[-1] > MOST_RANK:
        return f"takes a rank of at most {MOST_RANK}, got {dictionary.shape[-1]}"
    return _NO_FUNCTIONAL if is_differentiated(x, dictionary) else None

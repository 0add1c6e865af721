"""Is anything not finite? Combinations of blocks, precisions, data and padding, and one run of each.

`experiments/reliability/nan_sweep.py` runs them all; `tests/nn/test_nan_sweep.py` a sample.
"""

import itertools
from contextlib import nullcontext
from typing import NamedTuple

import torch

from subquad.nn import Ham, Hamburger, Paramixer, SelfAttention
from subquad.ops import CD, NMF, VQ

SOLVERS = {"NMF": NMF(), "VQ": VQ(), "CD": CD()}
BLOCKS = {
    "v1": {"version": "v1", "norm": "batch"},
    "v2": {"version": "v2", "norm": "group"},
    "v2plus": {"version": "v2plus", "norm": "batch"},
    "gate": {"version": "v2", "norm": None, "gate": True},
}
# Name, options in one-step, options through all iterations. Channels have no running dictionary.
PARTS = {
    "space, random": {"start": "random"},
    "2 heads, running": {"start": "running", "heads": 2},
    "channel, fixed": {"start": "fixed", "over": "channel"},
}
GRADIENTS = {"one-step": 0, "all iterations": 4}
PRECISIONS = ("float32", "autocast bfloat16", "autocast float16", "float16")
DATA = ("1e-6", "1", "1e4", "6e4 in one place", "zeros", "equal", "one row", "rank above", "one pixel")
PADDING = {"none": None, "NaN": torch.nan, "infinity": torch.inf}
MODES = ("training", "evaluation")
CHANNELS, RANK, LARGEST = 8, 4, 6e4  # just within float16


class Combination(NamedTuple):
    """One run; `solver`, `part` and `gradient` are "" for what has none."""

    block: str
    solver: str
    part: str
    gradient: str
    precision: str
    data: str
    padding: str
    mode: str


def combinations():
    """Return all of them."""
    world = (PRECISIONS, DATA, PADDING, MODES)
    hams = itertools.product(("ham", *BLOCKS), SOLVERS, PARTS, GRADIENTS, *world)
    rivals = itertools.product(("attention", "paramixer"), [""], [""], [""], *world)
    found = [Combination(*each) for each in itertools.chain(hams, rivals)]
    # Training in float16 alone is not offered: a variance of 1e8 is beyond it. Autocast is for that.
    return [each for each in found if (each.precision, each.mode) != ("float16", "training")]


def not_finite(combination):
    """Run one, forward and backward; return the names of what is not finite, sorted."""
    torch.manual_seed(0)
    module = _module(combination).train(combination.mode == "training")
    x = _data(combination.data, nonnegative=combination.block == "ham" and combination.solver == "NMF")
    half = combination.precision == "float16"
    if half:
        module, x = module.half(), x.half()
    mask = None
    if combination.padding != "none":
        mask = torch.ones(len(x), *x.shape[2:], dtype=torch.bool)
        mask[-1].view(-1)[-2:] = False  # one pixel: a sample that is all padding
        x = x.where(mask.unsqueeze(1), PADDING[combination.padding])
    x.requires_grad_()
    with _autocast(combination.precision):
        if combination.block == "paramixer":
            mask = None if mask is None else mask.flatten(1)
            y = module(x.flatten(2).mT, mask=mask).mT.reshape(x.shape)
        else:
            y = module(x, mask)
    if mask is not None:  # a caller's loss leaves the padding out
        y = y.where(mask.view(len(x), 1, *x.shape[2:]), 0)
    y.float().mean().backward()
    seen = {"output": y, "gradient of x": x.grad}
    seen |= {f"gradient of {name}": p.grad for name, p in module.named_parameters() if p.grad is not None}
    seen |= {f"state {name}": b for name, b in module.named_buffers()}
    return sorted(name for name, tensor in seen.items() if not tensor.isfinite().all())


def _module(combination):
    if combination.block == "paramixer":
        return Paramixer(CHANNELS, CHANNELS, length=20, norm=True)
    if combination.block == "attention":
        return Hamburger(CHANNELS, dim=CHANNELS, norm_groups=2, ham=SelfAttention(CHANNELS))
    options = {
        "rank": RANK, "solver": SOLVERS[combination.solver], "steps": 4,
        "grad_steps": GRADIENTS[combination.gradient], **PARTS[combination.part],
    }  # fmt: skip
    if combination.block == "ham":
        return Ham(CHANNELS, **options)
    block = Hamburger(CHANNELS, dim=CHANNELS, norm_groups=2, **BLOCKS[combination.block], **options)
    for scalar in (block.coef_ham, block.gate):
        if scalar is not None:
            torch.nn.init.constant_(scalar, 0.5)
    return block


def _data(kind, *, nonnegative):
    """Return three images; all numbers are within the range of float16."""
    size = {"rank above": (1, 3), "one pixel": (1, 1)}.get(kind, (4, 5))
    x = torch.randn(3, CHANNELS, *size)
    if kind in ("1e-6", "1e4"):
        x *= float(kind)
    elif kind == "6e4 in one place":
        x[0, 1, 1, 2] = LARGEST
    elif kind == "zeros":
        x.zero_()
    elif kind == "equal":
        x = torch.ones_like(x)
    elif kind == "one row":  # all else is dead
        x[:, :, 1:] = 0
    x = x.clamp(-LARGEST, LARGEST)
    return x.relu() if nonnegative else x


def _autocast(precision):
    kind = precision.removeprefix("autocast ")
    return nullcontext() if kind == precision else torch.autocast("cpu", getattr(torch, kind))

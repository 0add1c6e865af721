"""The promises to the user, as a function that tests any mixer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from subquad.nn.contract_padding import check_padding, check_training
from subquad.nn.contract_report import Check, Report, error_of, within

MakeInput = Callable[[], Tensor]


def check_mixer(
    module: nn.Module,
    make_input: MakeInput,
    *,
    spatial: Sequence[int] | None = None,
    tolerance: float = 1e-5,
    mask: bool = True,
    compile: bool = False,
    export: bool = False,
) -> Report:
    """Check that a module mixes positions as `subquad`'s own modules promise to.

    The module is copied; training mode, weights and random state stay as they are. In training,
    dropout (`torch.nn`'s) is switched off, random starts are drawn from one seed, and samples may mix
    in the statistics of `torch.nn`'s batch norms alone.

    Args:
        module: Maps a tensor to one of the same positions; takes `mask=` if `mask` is checked.
        make_input: Returns a fresh input of the module's type: at least two samples and, along each
            spatial axis, at least two positions. For a mixer of non-negative data it returns such.
        spatial: Axes of the positions; None takes all from 2 on: `(batch, channels, *spatial)`. A
            mixer of (batch, positions, channels) has (1,).
        tolerance: Allowed relative error where floating point forbids equality.
        mask: Check that padding neither gives nor gets anything, whatever it holds, in batches of
            mixed sizes too.
        compile: Check `torch.compile(fullgraph=True)`; takes a C++ compiler and half a minute.
        export: Check `torch.export`.

    Returns:
        One `Check` a promise; the report is true if all hold.

    Raises:
        ValueError: If `make_input` returns fewer than two samples or positions.
    """
    devices = {p.device for p in module.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        module = copy.deepcopy(module).eval()
        x = make_input()
        axes = tuple(range(2, x.dim())) if spatial is None else tuple(spatial)
        if x.shape[0] < 2 or any(x.shape[axis] < 2 for axis in axes):
            raise ValueError(
                f"make_input must return two samples and positions at least, got {tuple(x.shape)}."
            )
        checks = _check_evaluation(module, x, axes, tolerance, compile, export)
        if x.dim() == 4 and spatial is None:
            checks.append(_layout(module, x, tolerance))
        if mask:
            checks += check_padding(module, x, axes, tolerance)
        return Report(checks + check_training(module, x, axes, tolerance, mask))


@torch.no_grad()
def _check_evaluation(
    module: nn.Module, x: Tensor, axes: Sequence[int], tolerance: float, compile: bool, export: bool
) -> list[Check]:
    y = module(x)
    checks = [
        _equal("same input, same output", module(x), y, 0.0),
        _equal("alone as in a batch", module(x[:1]), y[:1], tolerance),
        _equal("samples do not mix", module(x.flip(0)).flip(0), y, tolerance),
        _any_size(module, x, axes),
        *_finite(module, x),
    ]
    if compile:
        compiled = torch.compile(module, fullgraph=True)
        checks.append(_equal("torch.compile", compiled(x), y, tolerance))
    if export:
        program = torch.export.export(module, (x,)).module()
        checks.append(_equal("torch.export", program(x), y, tolerance))
    return checks


@torch.no_grad()
def _layout(module: nn.Module, x: Tensor, tolerance: float) -> Check:
    layout = x.contiguous(memory_format=torch.channels_last)
    return _equal("channels_last", module(layout), module(x), tolerance)


def _equal(name: str, actual: Tensor, expected: Tensor, tolerance: float) -> Check:
    return within(name, error_of([actual], [expected]), tolerance)


def _any_size(module: nn.Module, x: Tensor, axes: Sequence[int]) -> Check:
    """One position, and one less than given, along every axis."""
    for size in (1, None):
        part = x
        for axis in axes:
            part = part.narrow(axis, 0, size or x.shape[axis] - 1)
        shape = tuple(part.shape)
        y = module(part)
        if y.shape[0] != shape[0] or any(y.shape[axis] != shape[axis] for axis in axes):
            return Check("any size", False, f"{shape} became {tuple(y.shape)}")
        if not y.isfinite().all():
            return Check("any size", False, f"{shape} gave numbers that are not finite")
    return Check("any size", True, "one position, odd sizes")


def _finite(module: nn.Module, x: Tensor) -> list[Check]:
    """Zeros and other scales, with gradients, in training and in evaluation."""
    module = copy.deepcopy(module)  # training changes running statistics
    checks = []
    for name, scale in {"zeros": 0.0, "tiny": 1e-6, "large": 1e4}.items():
        for training in (False, True):
            with torch.enable_grad():
                scaled = (x * scale).requires_grad_()
                y = module.train(training)(scaled)
                gradient = torch.autograd.grad(y.sum(), scaled)[0]
            if not (y.isfinite().all() and gradient.isfinite().all()):
                mode = "training" if training else "evaluation"
                checks.append(Check(f"finite for {name}", False, f"not in {mode}"))
                break
        else:
            checks.append(Check(f"finite for {name}", True, f"scale {scale:g}"))
    return checks

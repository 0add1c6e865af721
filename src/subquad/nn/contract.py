"""The promises to the user, as a function that tests any mixer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

MakeInput = Callable[[], Tensor]


@dataclass(frozen=True)
class Check:
    """One promise: its name, whether it holds, and what was seen."""

    name: str
    passed: bool
    seen: str


@dataclass
class Report:
    """What `check_mixer` saw; true if every promise holds."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every promise holds."""
        return all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return "\n".join(f"{'ok  ' if c.passed else 'FAIL'}  {c.name}: {c.seen}" for c in self.checks)

    def raise_if_failed(self) -> None:
        """Raise AssertionError with the whole report if a promise is broken."""
        if not self.passed:
            raise AssertionError(f"the mixer breaks its promises:\n{self}")


@torch.random.fork_rng(devices=[])
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

    The module is copied; training mode, weights and random state stay as they are.

    Args:
        module: Maps a tensor to one of the same positions; takes `mask=` if `mask` is checked.
        make_input: Returns a fresh float32 input of at least two samples and, along each spatial
            axis, at least two positions. For a mixer of non-negative data it returns such.
        spatial: Axes of the positions; None takes all from 2 on: `(batch, channels, *spatial)`. A
            mixer of (batch, positions, channels) has (1,).
        tolerance: Allowed relative error where floating point forbids equality.
        mask: Check that padding neither gives nor gets anything.
        compile: Check `torch.compile(fullgraph=True)`; takes a compiler and half a minute.
        export: Check `torch.export`.

    Returns:
        One `Check` a promise; the report is true if all hold.

    Raises:
        ValueError: If `make_input` returns fewer than two samples or positions.
    """
    module = copy.deepcopy(module).eval()
    x = make_input()
    axes = tuple(range(2, x.dim())) if spatial is None else tuple(spatial)
    if x.shape[0] < 2 or any(x.shape[axis] < 2 for axis in axes):
        raise ValueError(f"make_input must return two samples and positions at least, got {tuple(x.shape)}.")
    report = Report()
    with torch.no_grad():
        y = module(x)
        report.checks += [
            _equal("same input, same output", module(x), y, 0.0),
            _equal("alone as in a batch", module(x[:1]), y[:1], tolerance),
            _equal("samples do not mix", module(x.flip(0)).flip(0), y, tolerance),
            _any_size(module, x, axes),
            *_finite(module, x),
        ]
        if x.dim() == 4 and spatial is None:
            layout = x.contiguous(memory_format=torch.channels_last)
            report.checks.append(_equal("channels_last", module(layout), y, tolerance))
        if compile:
            compiled = torch.compile(module, fullgraph=True)
            report.checks.append(_equal("torch.compile", compiled(x), y, tolerance))
        if export:
            program = torch.export.export(module, (x,)).module()
            report.checks.append(_equal("torch.export", program(x), y, tolerance))
    if mask:
        report.checks += _padding(module, x, axes, tolerance)
    return report


def _equal(name: str, actual: Tensor, expected: Tensor, tolerance: float) -> Check:
    scale = expected.abs().max().clamp_min(1e-30)
    error = float(((actual - expected).abs().max() / scale).nan_to_num(torch.inf))
    return Check(name, error <= tolerance, f"relative error {error:.1e}, allowed {tolerance:.0e}")


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


def _padding(module: nn.Module, x: Tensor, axes: Sequence[int], tolerance: float) -> list[Check]:
    """Pad the last axis with noise: the rest must not notice."""
    axis = axes[-1]
    length, extra = x.shape[axis], 3
    noise = 10 * torch.randn_like(x.narrow(axis, 0, 1)).expand(
        *(extra if a == axis else -1 for a in range(x.dim()))
    )
    padded = torch.cat([x, noise], dim=axis).requires_grad_()
    sizes = [padded.shape[a] for a in (0, *axes)]
    valid = torch.ones(sizes, dtype=torch.bool)
    valid.narrow(-1, length, extra).fill_(False)
    y = module(padded, mask=valid).narrow(axis, 0, length)
    gradient = torch.autograd.grad((y * torch.randn_like(y)).sum(), padded)[0]
    leak = float(gradient.narrow(axis, length, extra).abs().max())
    with torch.no_grad():
        cropped = module(x)
    return [
        _equal("padded equals cropped", y.detach(), cropped, tolerance),
        Check("no gradient reaches the padding", leak == 0, f"largest {leak:.1e}"),
    ]

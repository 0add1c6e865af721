"""What `check_mixer` and `check_solver` report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Check:
    """One promise: its name, whether it holds, and what was seen."""

    name: str
    passed: bool
    seen: str


@dataclass
class Report:
    """What `check_mixer` or `check_solver` saw; true if every promise holds."""

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
            raise AssertionError(f"promises are broken:\n{self}")


def error_of(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference, relative to the largest number expected; infinite for NaN."""
    largest, worst = 0.0, 0.0
    for a, e in zip(actual, expected, strict=True):
        if e.numel():
            a, e = a.cpu().double(), e.cpu().double()
            if not (a.isfinite().all() and e.isfinite().all()):
                return torch.inf
            largest, worst = max(largest, float(e.abs().max())), max(worst, float((a - e).abs().max()))
    return worst / max(largest, 1e-30)


def within(name: str, error: float, tolerance: float, where: str = "") -> Check:
    """Return the check that an error is allowed; a failure says where it was seen."""
    case = f" for {where}" if where and error > tolerance else ""
    return Check(name, error <= tolerance, f"relative error {error:.1e}{case}, allowed {tolerance:.0e}")


def worst(name: str, errors: dict[str, float], tolerance: float) -> Check:
    """Return the check that the largest of several errors is allowed."""
    where = max(errors, key=lambda case: errors[case])
    return within(name, errors[where], tolerance, where)

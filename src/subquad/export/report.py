"""What an export was compared on, and when it counts as the same."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from subquad.export.trace import Traced

AGREEMENT = 0.9999  # of the pixels must have the same most probable class

Answer = Callable[..., Tensor | tuple[Tensor, ...]]  # to the inputs of the network; then its state, if any


@dataclass(frozen=True)
class ShapeCheck:
    """One input that tracing did not see.

    Attributes:
        shape: Of the input, (batch, channels, height, width) or (batch, positions, ...).
        error: Largest absolute difference of the logits; NaN counts as infinite; None of a file that gives
            classes.
        scale: Largest absolute logit of the network itself; None of one that gives classes.
        agreement: Share of decisions (of pixels or sequences) with the same most probable class.
        repeatable: Whether the file gave the same bytes twice.
        decisions: Pixels, or sequences.
        unit: Of the answers: 1 of logits, of a regression the deviation of its values in training.
    """

    shape: tuple[int, ...]
    error: float | None
    scale: float | None
    agreement: float
    repeatable: bool
    decisions: int
    unit: float = 1.0

    def passed(self, tolerance: float) -> bool:
        """Whether answers and bytes count as the same: the error in units of `unit`, or of a larger scale."""
        if self.error is None or self.scale is None:  # classes, of which so many must agree in all
            return self.repeatable
        return self.error <= tolerance * max(self.unit, self.scale) and self.repeatable


@dataclass(frozen=True)
class ExportReport:
    """How an exported file compares with the network it was made of.

    Attributes:
        path: Of the file.
        format: "onnx" or "torch".
        smallest: Height, and width, from which on images are accepted; of sequences the length.
        takes: What the file takes, in words.
        tolerance: Allowed error; relative to the largest logit where that is above 1.
        checks: One for each input.
        versions: Of the libraries that took part.
    """

    path: Path
    format: str
    smallest: int
    takes: str
    tolerance: float
    checks: tuple[ShapeCheck, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def agreement(self) -> float:
        """Share of the decisions of all inputs with the same most probable class."""
        same = sum(check.decisions * check.agreement for check in self.checks)
        return same / sum(check.decisions for check in self.checks)

    @property
    def passed(self) -> bool:
        """Whether all inputs gave the same answers."""
        return self.agreement >= AGREEMENT and all(check.passed(self.tolerance) for check in self.checks)

    @property
    def report_path(self) -> Path:
        """The file that this report is written to, beside the exported one."""
        return self.path.with_name(f"{self.path.name}.report.json")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `rows` tells."""
        logits = ("max error", "largest logit") if self._has_logits else ()
        return ("shape", *logits, "same class", "twice the same")

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table, a row for each input; of classes without what there is of logits alone."""
        return [
            (
                " x ".join(map(str, check.shape)),
                *((f"{check.error:.1e}", f"{check.scale:.2g}") if self._has_logits else ()),
                f"{100 * check.agreement:.3f} %",
                "yes" if check.repeatable else "no",
            )
            for check in self.checks
        ]

    @property
    def _has_logits(self) -> bool:
        return all(check.error is not None for check in self.checks)

    def __str__(self) -> str:
        return "\n".join("  ".join(f"{cell:>16}" for cell in row) for row in [self.columns, *self.rows()])

    def to_json(self) -> str:
        """Return what is written beside the file."""
        content = {
            "file": self.path.name,
            "format": self.format,
            "passed": self.passed,
            "smallest": self.smallest,
            "tolerance": self.tolerance,
            "agreement": self.agreement,
            "agreement_needed": AGREEMENT,
            "checks": [asdict(check) for check in self.checks],
            "versions": self.versions,
        }
        return json.dumps(content, indent=1) + "\n"


def compare(
    traced: Traced,
    answer: Answer,
    path: str | Path,
    *,
    format: str,
    tolerance: float,
    versions: dict[str, str],
) -> ExportReport:
    """Ask a file and the network it was made of the same questions.

    Args:
        traced: The network.
        answer: Runs the file.
        path: Where the file would be written.
        format: Of the file.
        tolerance: See `ExportReport`.
        versions: Of the libraries that took part, besides torch and Python.
    """
    generator = torch.Generator().manual_seed(0)
    checks = []
    for inputs in traced.questions(generator):
        with torch.no_grad():
            (expected, *state), (first, *its), (second, *again) = (
                _parts(ask(*inputs)) for ask in (traced.network, answer, answer)
            )
        check = _check(tuple(inputs[0].shape), expected, first, second, traced.unit)
        checks.append(
            _with_state(
                check,
                _cropped(state, its, traced),
                _cropped(its, state, traced),
                _cropped(again, state, traced),
            )
        )
    return ExportReport(
        Path(path),
        format,
        traced.smallest,
        traced.takes,
        tolerance,
        tuple(checks),
        {"python": platform.python_version(), "torch": torch.__version__, **versions},
    )


def _parts(answer: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def _cropped(state: list[Tensor], other: list[Tensor], traced: Traced) -> list[Tensor]:
    """Return a state without what it has more of than another one where it grows: that is room to grow."""
    axes = traced.axes[len(traced.axes) - len(state) :]
    found = []
    for tensor, like, names in zip(state, other, axes, strict=False):
        for axis, name in enumerate(names):
            if axis and name and axis < min(tensor.dim(), like.dim()):
                tensor = tensor.narrow(axis, 0, min(tensor.shape[axis], like.shape[axis]))
        found.append(tensor)
    return found + state[len(found) :]


def _with_state(
    check: ShapeCheck, expected: list[Tensor], first: list[Tensor], second: list[Tensor]
) -> ShapeCheck:
    """Return a check that also fails where the state that is given with an answer is another one."""
    if [tensor.shape for tensor in expected] != [tensor.shape for tensor in first]:
        return replace(check, error=torch.inf)
    worst, scale = check.error, check.scale
    if worst is None or scale is None:  # of classes, and what gives them has no state
        return check
    for wanted, found in zip(expected, first, strict=True):
        if wanted.numel():
            wanted, found = wanted.double(), found.double()
            error = float((wanted - found).abs().max().nan_to_num(torch.inf))
            # As `passed` takes the error of the answer: of what is large, in units of its own size.
            worst = max(worst, error / max(1.0, float(wanted.abs().max())) * max(check.unit, scale))
    same = all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(first, second, strict=True))
    return replace(check, error=worst, repeatable=check.repeatable and same)


def _check(
    shape: tuple[int, ...], expected: Tensor, first: Tensor, second: Tensor, unit: float
) -> ShapeCheck:
    repeatable = first.numpy().tobytes() == second.numpy().tobytes()
    if not expected.is_floating_point():  # classes
        is_like = first.shape == expected.shape and first.dtype == expected.dtype
        agreement = float((first == expected).double().mean()) if is_like else 0.0
        return ShapeCheck(shape, None, None, agreement, repeatable, expected.numel(), unit)
    decisions = expected[:, 0].numel()
    if first.shape != expected.shape:
        return ShapeCheck(shape, torch.inf, float(expected.abs().max()), 0.0, False, decisions, unit)
    return ShapeCheck(
        shape=shape,
        error=float((first - expected).abs().max().nan_to_num(torch.inf)),
        scale=float(expected.abs().max()),
        agreement=float((first.argmax(1) == expected.argmax(1)).double().mean()),
        repeatable=repeatable,
        decisions=decisions,
        unit=unit,
    )

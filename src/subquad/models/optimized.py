"""Networks for inference: the same function by fewer steps, each of them checked before it is taken."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from subquad.models.folding import AGREEMENT, difference, output_of
from subquad.models.inference_steps import STEPS, Change, Example, compiled, in_bfloat16

HALF_AGREEMENT = 0.1  # of the largest output, in bfloat16: it has 8 bits, and errors grow with the depth

T = TypeVar("T", bound=nn.Module)


@dataclass(frozen=True)
class Step:
    """What one step of `optimize_for_inference` did.

    Attributes:
        name: What it is about.
        count: In how many places.
        error: Of the network with all steps up to this one: the largest difference from the plain one,
            in units of its largest output; infinite if it failed.
        refused: Why it was left out; empty: it was taken.
    """

    name: str
    count: int
    error: float
    refused: str = ""

    def __str__(self) -> str:
        places = f" ({self.count})" if self.count > 1 else ""
        return f"{self.name}{places}: {f'left out, {self.refused}' if self.refused else f'{self.error:.1e}'}"


@dataclass(frozen=True)
class InferenceReport:
    """What `optimize_for_inference` did.

    Attributes:
        steps: Those that had something to do, in their order.
        same_class: Share of the example's positions whose largest output along axis 1 is the same as the
            plain network's; of a regression it says nothing.
    """

    steps: tuple[Step, ...]
    same_class: float = 1.0

    @property
    def error(self) -> float:
        """Of the result: the largest difference from the plain network, in units of its largest output."""
        return next((step.error for step in reversed(self.steps) if not step.refused), 0.0)

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps that were left out."""
        return tuple(step for step in self.steps if step.refused)

    def __str__(self) -> str:
        return "; ".join(map(str, self.steps)) or "nothing to do"


def optimize_for_inference(
    network: T,
    example: Tensor | Example,
    *,
    dtype: Literal["bfloat16"] | None = None,
    compile: bool = False,
) -> T:
    """Return a copy of a network that does the same in less time, in evaluation.

    Norms become parts of convolutions, and so do the scales of residual branches; spectral norms are
    computed once; activations are applied by the convolution before them, and dilated depthwise
    convolutions computed by phases, where the machine gains by it; weights lie channels last. After each
    step the copy is compared with the network on the example, and a step is left out that changes more
    than rounding does (1e-4 of the largest output; 8 units in the last place of a network in half
    precision). `inference_report` tells what was done. Modules with hooks stay as they are.

    The copy is of the same class: its `config`, its hams and `coarse` are where they were, and it takes
    inputs of any size; a network that takes another way at other sizes is to be compared there, too. It is
    not to be trained or saved: its state dict has other names.

    Args:
        network: Any network that returns one tensor, such as one of `create_model`; it stays as it is.
        example: What it takes, or a tuple of it, small and on its device; for bfloat16 better a real one.
        dtype: "bfloat16" computes in it, but for the decompositions and the outputs, which stay float32;
            checked to 10 % of the largest output.
        compile: Let `torch.compile` work on it, too, for inputs of any size; the first call of each kind
            then takes a minute or so.

    Raises:
        ValueError: If `dtype` is another, or the network returns no tensor (batch, ...) of numbers.
    """
    if dtype not in (None, "bfloat16"):
        raise ValueError(f'dtype must be "bfloat16" or None, got {dtype!r}.')
    example = (example,) if isinstance(example, Tensor) else example
    expected = output_of(network, example)
    _check_output(network, expected)
    exact = _agreement(expected.dtype)
    best = copy.deepcopy(network).eval().requires_grad_(False)
    if any(p.dim() == 4 for p in best.parameters()):
        best = best.to(memory_format=torch.channels_last)
    done: list[Step] = []
    for name, change in STEPS.items():
        best = _checked(best, example, expected, name, change, exact, done)
    if dtype == "bfloat16":
        best = _checked(best, example, expected, "bfloat16", in_bfloat16, HALF_AGREEMENT, done)
    if compile:
        tolerance = HALF_AGREEMENT if dtype else exact
        best = _checked(best, example, expected, "torch.compile", compiled, tolerance, done)
    report = InferenceReport(tuple(done), _same_class(output_of(best, example), expected))
    object.__setattr__(best, _REPORT, report)
    return best


def inference_report(network: nn.Module) -> InferenceReport:
    """Return what `optimize_for_inference` did for the network that it returned.

    Raises:
        ValueError: If it is another.
    """
    report = getattr(network, _REPORT, None)
    if not isinstance(report, InferenceReport):
        raise ValueError(
            f"this {type(network).__name__} has no report; it is of what optimize_for_inference returns."
        )
    return report


_REPORT = "_inference_report"


def _checked(
    best: T, example: Example, expected: Tensor, name: str, change: Change, tolerance: float, done: list[Step]
) -> T:
    """Return the network with a change if it agrees with what is expected, and note what came of it."""
    tried = copy.deepcopy(best)
    try:
        count = change(tried, example)
        tried.eval()  # what is new, too
        error = difference(output_of(tried, example), expected) if count else 0.0
    except Exception as failed:  # of any package: the network as it was is right
        told = (str(failed).strip() or type(failed).__name__).splitlines()[0]
        done.append(Step(name, 1, float("inf"), f"it fails: {told}"))
        return best
    if not count:
        return best
    is_same = error < tolerance
    refused = "" if is_same else f"it changes the outputs by {error:.1e} of the largest"
    done.append(Step(name, count, error, refused))
    return tried if is_same else best


def _check_output(network: nn.Module, output: object) -> None:
    if isinstance(output, Tensor) and output.is_floating_point() and output.numel():
        return
    what = f"{output.dtype} {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise ValueError(
        f"{type(network).__name__} returns {what}, but what is compared is one tensor of numbers; wrap it in "
        "a module that returns one, such as output['out']."
    )


def _agreement(dtype: torch.dtype) -> float:
    """Return how far apart two ways of computing the same may be, of the largest output."""
    return max(AGREEMENT, 8 * torch.finfo(dtype).eps)


def _same_class(output: Tensor, expected: Tensor) -> float:
    """Return the share of positions with the same largest output along axis 1; 1 if there is no such axis."""
    if expected.dim() < 2:
        return 1.0
    return float((output.argmax(dim=1) == expected.argmax(dim=1)).double().mean())

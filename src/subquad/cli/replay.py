"""`subquad replay`: repeat the pass in which training became NaN."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from subquad.base.suggest import and_more
from subquad.engine.options import add_device
from subquad.engine.parsing import Parser
from subquad.tasks import task_called

if TYPE_CHECKING:
    from subquad.engine.learner import Learner
    from subquad.engine.replay import Replayed


def parser() -> Parser:
    """Return the options of `subquad replay`."""
    p = Parser(prog="subquad replay", description="Repeat the pass in which training became NaN.")
    p.add_argument("file", type=str, help="The nan_batch.pt that `subquad fit` left in the folder of a run.")
    add_device(p)
    return p


def main(arguments: list[str]) -> None:
    """Parse, repeat, print where it begins."""
    options = parser().parse_args(arguments)

    from subquad.engine.replay import replay
    from subquad.engine.tables import print_table

    result = replay(options.file, rebuild, options.device)
    print_table(f"{options.file}: {result.found.reason}", ("what", "value"), rows(result))
    sys.stdout.write(f"{verdict(result)}\n")


def rebuild(name: str, network: Any, told: Mapping[str, Any]) -> Learner:
    """Return the learner of a task."""
    return task_called(name).learner_of_replay(network, told)


def rows(result: Replayed) -> list[tuple[str, str]]:
    """Return what was found, name and value."""
    found = result.found
    rates = sorted(set(found.learning_rates))
    lines = [
        ("step", f"{found.step}{f', {found.part}' if found.part else ''}"),
        ("epoch, batch, process", f"{found.epoch}, {found.batch_index}, {found.process}"),
        ("precision", found.precision),
        ("learning rate", ", ".join(f"{rate:.3g}" for rate in rates)),
        ("samples", _some(found.samples, "not named")),
        ("inputs that are not finite", _some(result.inputs)),
        ("weights that are not finite before the pass", _some(result.weights)),
        ("first output that is not finite", _place(result.module)),
    ]
    if result.loss is not None:
        lines += [
            ("loss", f"{result.loss:.6g}"),
            ("first gradient of an output that is not finite", _place(result.gradient_at)),
            ("gradients of weights that are not finite", _some(result.gradients)),
        ]
    return lines


def verdict(result: Replayed) -> str:
    """Return one sentence that says where it begins."""
    if not result.is_repeated:
        return (
            "everything is finite this time: the step itself was too large, or the device of the training "
            "(--device) or its random numbers make the difference."
        )
    if result.inputs:
        return f"it begins in the data: the batch's {result.inputs[0]} is not finite."
    if result.weights:
        return f"it began before this pass: {result.weights[0]} was not finite already."
    if result.module:
        return f"it begins in the forward pass, in {_place(result.module)}."
    if result.loss is not None and result.loss - result.loss != 0:
        return "it begins in the loss: all outputs of modules are finite."
    return "it begins in the backward pass: the loss is finite."


def _place(place: tuple[str, str] | None) -> str:
    return "none" if place is None else f"{place[0]} ({place[1]})"


def _some(names: list[str], nothing: str = "none") -> str:
    return and_more(names, 4) if names else nothing

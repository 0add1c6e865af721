"""From facts to a plan: the rules one after the other, where a user said nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from subquad.engine.plan import Choice, Plan
from subquad.tasks.segmentation.data.opening import build_data
from subquad.tasks.segmentation.plan.classes import unnamed_classes
from subquad.tasks.segmentation.plan.facts import Facts, gather
from subquad.tasks.segmentation.plan.rules import RULES

_OF_THE_COMMAND = ("output", "overwrite", "resume", "plan", "config", "task")  # and not of the training


def plan_for(options: Any, given: Mapping[str, Any]) -> Plan:
    """Look at the data that the options name, and choose what is not given.

    Args:
        options: Of `subquad fit`.
        given: Those that the user gave, by full names.

    Raises:
        OSError, ValueError: If the data cannot be opened.
    """
    classes = unnamed_classes(options.data)
    known = options.data.num_classes if classes is None else classes
    opened = dataclasses.replace(options.data, batch_size=1, num_classes=known)  # the batch is still open
    data, trainer = build_data(opened, options.seed), options.trainer
    plan = make_plan(gather(data, trainer.accelerator, trainer.devices), given)
    if classes is None:
        return plan
    reason = (
        f"the masks hold 0 to {classes - 1}; names of them belong into a classes.json beside the pictures"
    )
    return Plan(plan.facts, (Choice("data.num_classes", classes, reason), *plan.choices))


def make_plan(facts: Facts, given: Mapping[str, Any]) -> Plan:
    """Choose what is not given.

    Args:
        facts: Of data and machine.
        given: Options by full names that the user gave; rules see them and leave them.
    """
    others = [name for name in given if name not in RULES and name not in _OF_THE_COMMAND]
    chosen, choices = dict(given), [Choice(name, given[name], "given", given=True) for name in others]
    for option, choose in RULES.items():
        if option in given:
            choices.append(Choice(option, given[option], "given", given=True))
            continue
        found = choose(facts, chosen)
        if found is not None:
            value, reason = found
            chosen[option] = value
            choices.append(Choice(option, value, reason))
    return Plan(facts.sentences(), tuple(choices))

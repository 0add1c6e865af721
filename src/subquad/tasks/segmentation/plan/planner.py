"""From facts to a plan: the rules one after the other, where a user said nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from subquad.engine.plan import Choice, Plan
from subquad.tasks.segmentation.plan.facts import Facts
from subquad.tasks.segmentation.plan.rules import RULES

_OF_THE_COMMAND = ("output", "overwrite", "resume", "plan", "config", "task")  # and not of the training


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

"""What a command chose where nothing was said: each option with its value and the reason."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from subquad.base.files import read_file, write_whole
from subquad.base.limits import LARGEST_YAML

PLAN = "plan.json"  # in the folder of a run


@dataclass(frozen=True)
class Choice:
    """One option that was chosen.

    Attributes:
        option: Its full name, such as "data.crop".
        value: As it stands in a recipe.
        reason: Half a sentence that says what it was chosen for.
        given: Whether the user gave it.
    """

    option: str
    value: Any
    reason: str
    given: bool = False


@dataclass(frozen=True)
class Plan:
    """All that was chosen for one training.

    Attributes:
        facts: What is known of data and machine, a sentence each.
        choices: In the order in which they were made.
    """

    facts: tuple[str, ...]
    choices: tuple[Choice, ...]

    def values(self) -> dict[str, Any]:
        """Return what was chosen, and not what was given, by full names."""
        return {choice.option: choice.value for choice in self.choices if not choice.given}

    def text(self) -> str:
        """Return facts and choices, to read."""
        width = max(len(_assigned(choice)) for choice in self.choices)
        lines = [f"  {_assigned(choice):<{width}}  {choice.reason}" for choice in self.choices]
        return "\n".join([*self.facts, "plan:", *lines]) + "\n"

    def recipe(self) -> str:
        """Return the choices as a recipe, what was given too, with the reasons as comments."""
        groups: dict[str, list[Choice]] = {}
        for choice in self.choices:
            groups.setdefault(choice.option.rpartition(".")[0], []).append(choice)
        lines = [f"# {fact}" for fact in self.facts]
        for group, choices in groups.items():
            lines += [f"{group}:"] if group else []
            indent = "  " if group else ""
            for choice in choices:
                name = choice.option.rpartition(".")[2]
                lines.append(f"{indent}{name}: {json.dumps(choice.value)}  # {choice.reason}")
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Return what `write` wrote.

        Raises:
            OSError, ValueError, KeyError, TypeError, RecursionError: If it is not there, or damaged.
        """
        content = json.loads(read_file(path, LARGEST_YAML))
        choices = (
            Choice(str(c["option"]), c["value"], str(c["reason"]), bool(c["given"]))
            for c in content["choices"]
        )
        return cls(tuple(str(fact) for fact in content["facts"]), tuple(choices))

    def write(self, folder: Path) -> None:
        """Write `plan.json` into the folder of a run."""
        content = {"facts": self.facts, "choices": [asdict(choice) for choice in self.choices]}
        write_whole(folder / PLAN, f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode())


def planned_in(folder: Path) -> dict[str, Any]:
    """Return what was chosen for the run in a folder, by full names; {} if it had no plan.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / PLAN
    if not path.is_file():
        return {}
    try:
        return Plan.read(path).values()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}), and tells with which options the run began; give "
            f"them as --config {folder / 'config.yaml'} --plan false."
        ) from error


def _assigned(choice: Choice) -> str:
    return f"{choice.option} {json.dumps(choice.value)}"

"""A parser whose complaints are one sentence, with a suggestion for a misspelt option."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from subquad.base.suggest import did_you_mean


class Parser(ArgumentParser):
    """jsonargparse's parser, raising ValueError instead of printing its usage and leaving."""

    recipes: Sequence[str] = ()  # named in complaints, which may be about them

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.checks: list[Callable[[Any], None]] = []  # each raises ValueError for values out of range

    def parse_args(self, args: Sequence[str]) -> Any:  # pyright: ignore
        """Parse and check; a recipe that is no text is a complaint like others."""
        try:
            options = super().parse_args(args)
        except UnicodeDecodeError as error:
            self.error("a recipe is YAML, but this file is no text", error)
        for check in self.checks:
            check(options)
        return options

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # pyright: ignore
        """Raise the message as one line."""
        text = _plain(" ".join(str(message).split()))
        options = [option for action in self._actions for option in action.option_strings]
        unknown = re.search(r"[Uu]nrecognized arguments: (--[\w.]+)", text)
        key = re.search(r"Key ['\"]?([\w.]+)['\"]? is not expected|No action for key ['\"]?([\w.]+)", text)
        if unknown:
            text += did_you_mean(unknown[1], options)
        elif key:
            text += did_you_mean(f"--{key[1] or key[2]}", options)
        group = re.search(r"Group '([\w.]+)' does not accept option '(\w+)'", text)
        if group:
            text += did_you_mean(f"--{group[1]}.{group[2]}", options)
        if self.recipes:
            text = f"with --config {', '.join(self.recipes)}: {text}"
        raise ValueError(f"{text} (`{self.prog} --help` lists the options)") from ex


def _plain(text: str) -> str:
    """Say in our words what jsonargparse says of a value of the wrong type."""
    union = r"Does not validate against any .* Subtypes: \[(.*?)\] Errors: .* Given value: (.*)"
    found = re.fullmatch(rf"(.*): (?:{union}|Expected an? (.*?)\. Got value: (.*))", text)
    if not found:
        return text
    where, *rest = found.groups()
    kinds, value = rest[:2] if rest[0] else rest[2:]
    kinds = re.sub(r"<class '(\w+)'>", r"\1", kinds).replace("NoneType", "null")
    kinds = re.sub(r"typing\.Literal\[(.*?)\]", lambda names: names[1].replace(", ", " or "), kinds)
    alternatives = re.split(r", (?![^\[]*\])", kinds)
    return f"{where}: expected {' or '.join(alternatives)}, got {value!r}"

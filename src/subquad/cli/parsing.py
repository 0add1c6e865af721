"""A parser whose complaints are one sentence, with a suggestion for a misspelt option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from jsonargparse import ArgumentParser

from subquad.models.suggest import did_you_mean


class Parser(ArgumentParser):
    """jsonargparse's parser, raising ValueError instead of printing its usage and leaving."""

    recipes: Sequence[str] = ()  # named in complaints, which may be about them

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # pyright: ignore
        """Raise the message as one line."""
        text = " ".join(str(message).split())
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

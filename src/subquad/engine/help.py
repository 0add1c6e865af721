"""`--help`: the options that people use, on one screen; `--help all` lists all of them."""

from __future__ import annotations

import sys
import textwrap
from argparse import SUPPRESS, _HelpAction  # by which jsonargparse knows what holds no value
from shutil import get_terminal_size
from typing import Any, Literal, get_args, get_origin

LEFT = 25  # columns of the names
WIDEST = 110


class Help(_HelpAction):
    """Prints the options that a parser calls usual; all of them if it is asked for all, or calls none so."""

    def __init__(self, option_strings: list[str], **options: Any) -> None:
        super().__init__(option_strings, **options)
        self.nargs, self.metavar = "?", "all"

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Print, and leave."""
        if parser.usual:
            parser.usage = _usage(parser)  # one line, where argparse would name each option
        is_short = parser.usual and values != "all"
        sys.stdout.write(usual_help(parser) if is_short else parser.format_help())
        parser.exit()


def usual_help(parser: Any) -> str:
    """Return what is said of a parser's usual options.

    Args:
        parser: A `Parser`.
    """
    width = min(get_terminal_size().columns, WIDEST) - 1
    lines = [f"usage: {_usage(parser)}", "", *textwrap.wrap(parser.description, width), ""]
    for action in parser._actions:
        if action.option_strings and action.dest not in parser.usual:
            continue
        name = f"  {action.option_strings[0] if action.option_strings else action.dest}"
        first, *rest = textwrap.wrap(_told(action), width - LEFT) or [""]
        if len(name) > LEFT - 2:  # it takes a line of its own
            lines.append(name)
            name = ""
        lines += [f"{name:{LEFT}}{first}", *(" " * LEFT + line for line in rest)]
    return "\n".join([*lines, "", f"`{parser.prog} --help all` lists all options.\n"])


def _usage(parser: Any) -> str:
    places = [action.dest for action in parser._actions if not action.option_strings]
    return " ".join([parser.prog, *places, "[options]"])


def _told(action: Any) -> str:
    """Return the help of an option, what it can be if that is one of a few names, and its default."""
    text = action.help or ""  # a configuration need not describe each of its options
    kind, default = getattr(action, "_typehint", None), action.default
    names = [str(name) for name in get_args(kind)] if get_origin(kind) is Literal else []
    rest = [", ".join(names)] if any(name not in text for name in names) else []
    if default not in (None, SUPPRESS, [], False):
        rest.append(f"default {default}")
    return text + (f" ({'; '.join(rest)})" if rest else "")

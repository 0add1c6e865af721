"""YAML of plain values: the only YAML that is read, be it a recipe, a run's config.yaml or an option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from subquad.base.files import read_file
from subquad.base.limits import DEEPEST_YAML, LARGEST_YAML, MOST_YAML_VALUES

# libyaml's, where PyYAML was built with it, is ten times as fast; both read events one by one.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a file of options.

    Args:
        path: Of a recipe or of a run's config.yaml.

    Returns:
        What it holds: by name, strings, numbers, booleans, None, lists and such dicts again. An empty
        file, or one of comments alone, holds nothing.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it cannot be read.
        ValueError: If it is no file, no UTF-8 text or no YAML of plain values, or too large.
    """
    content = read_file(path, LARGEST_YAML, "a recipe is YAML of")
    try:
        values = plain_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"a recipe is YAML, but {path} is no text in UTF-8.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no YAML of plain values: {error}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, not options; write `name: value`.")
    return values


def plain_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ValueError: If it is no YAML; if it has tags, anchors, names that occur twice or are no strings, or
            several documents; or if it is too long or too deep.
    """
    if len(text) > LARGEST_YAML:
        raise ValueError(f"it has more than {LARGEST_YAML:,} characters")
    try:
        _check_events(text)
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split()).rstrip(".")) from error


def check_text(text: str) -> None:
    """Raise ValueError for a string in which a bomb is wrapped, if it is read as YAML once more.

    A string that is the value of an option may be: "[64, 64]" is two numbers. One that is no YAML is
    just a string.
    """
    try:
        _check_events(text)
    except yaml.YAMLError:
        return


def _check_events(text: str) -> None:
    """Raise ValueError before anything is built: events come one by one, whatever they expand to."""
    values = depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = f"line {event.start_mark.line + 1}"
        values += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if getattr(event, "anchor", None) is not None:  # an alias has the anchor it stands for
            raise ValueError(f"{line} has an anchor or an alias (& or *); write the value out")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"{line} has the tag {event.tag}; write the plain value")
        if documents > 1:
            raise ValueError(f"{line} begins a second document; keep one")
        if values > MOST_YAML_VALUES:
            raise ValueError(f"it holds more than {MOST_YAML_VALUES:,} values")
        if depth > DEEPEST_YAML:
            raise ValueError(f"{line} is more than {DEEPEST_YAML} levels deep")


class _PlainLoader(_Loader):
    """Builds strings, numbers, booleans, None, lists and dicts."""

    yaml_implicit_resolvers: ClassVar[Any] = {}  # not PyYAML's, which know dates, times and merges

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        """Build a dict, if its names are strings and each is there once."""
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = self.construct_object(name_node, deep=True)
            line = f"line {name_node.start_mark.line + 1}"
            if not isinstance(name, str):
                raise ValueError(f"{line} has the name {str(name)[:60]}, which is no string")
            if name in values:
                raise ValueError(f"{line} gives {name[:60]!r} a second time; keep one of the two")
            values[name] = self.construct_object(value_node, deep=True)
        return values

    def construct_whole_number(self, node: Any) -> int:
        """Build a whole number, unless it takes more digits than any option."""
        if len(node.value) > 80:
            raise ValueError(f"line {node.start_mark.line + 1} has a number of {len(node.value)} digits")
        return self.construct_yaml_int(node)


# Of YAML 1.1 what is no surprise: 1e-3 is a number without its dot, and 12:30:00 is not 45,000.
for _tag, _pattern, _first in (
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.[0-9_]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), [c.strip("\0") for c in _first]
    )
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_whole_number)

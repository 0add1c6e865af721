"""A parser whose complaints are one sentence, and that imports and reads nothing an option names.

jsonargparse can build any class that a value names by its path, and reads files in the place of values.
Neither happens here: every option is a plain value, a recipe is read by `read_yaml` alone, and its names
must be those of options before anything else looks at it.
"""

from __future__ import annotations

import re
from argparse import SUPPRESS
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn, get_args

from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ArgumentParser,
    Namespace,  # pyright: ignore[reportPrivateImportUsage]
    set_loader,
    set_parsing_settings,
)

from subquad.base.deprecation import Deprecated, note_deprecated
from subquad.base.limits import LONGEST_ARGUMENT, LONGEST_COMPLAINT
from subquad.base.suggest import did_you_mean
from subquad.engine.bounds import check_values
from subquad.engine.complaints import nearest, plain_words
from subquad.engine.help import Help
from subquad.engine.plain_yaml import check_text, plain_yaml, read_yaml
from subquad.engine.progress import is_first_process
from subquad.engine.recipes import given_recipes

set_loader("plain", plain_yaml, (ValueError,))
# No option takes a class; should one ever, no value can name which.
set_parsing_settings(import_path_denylist=["*"], instantiate_subclass_spec_in_any=False)


class Recipe(ActionConfigFile):
    """`--config FILE`: the options that a YAML file holds; what comes later wins."""

    @staticmethod
    def apply_config(parser: Any, cfg: Any, dest: str, value: str) -> None:
        """Add the options of a file to those that are known so far."""
        content = parser.without_former(read_yaml(value))
        parser.check_names(content)
        read = parser.parse_object(content, env=False, defaults=False, _skip_validation=True)
        cfg.update(read)


class Parser(ArgumentParser):
    """jsonargparse's parser, raising ValueError instead of printing its usage and leaving.

    Names of options have underscores; dashes are taken for them.

    Attributes:
        recipes: Named in complaints, which may be about them.
        usual: Full names of the options that `--help` shows; all of them if there are none.
        paths: Full names of options that are paths to be kept as absolute ones.
        short: Options by shorter names, such as "--protocol" for "--protocol.name".
        checks: Each raises ValueError for values out of range, or settles what contradicts.
        may_change: Options that may differ when a run goes on, beside those of every run.
        former: Values that older versions wrote, of no option now.
        deprecated: Options by the full names that they had, each with its new one.
    """

    def __init__(self, arguments: Sequence[str] = (), **options: Any) -> None:
        super().__init__(
            parser_mode="plain", default_env=False, add_help=False, allow_abbrev=False, **options
        )
        self.add_argument("-h", "--help", action=Help, help="Show this, or all options.")
        self._default_env = False  # nor if the environment asks for options of the environment
        self.arguments = list(arguments)
        self.recipes: Sequence[str] = given_recipes(arguments)
        self.usual: list[str] = []
        self.paths: list[str] = []
        self.short: dict[str, str] = {}
        self.checks: list[Callable[[Any], object]] = []
        self.may_change: list[str] = []
        self.former: dict[str, Any] = {}
        self.deprecated: dict[str, Deprecated] = {}

    def is_given(self, name: str) -> bool:
        """Say whether an option is among the arguments.

        Args:
            name: Its full name, such as "protocol.name".
        """
        return any(
            argument.partition("=")[0] == f"--{name}" for argument in self._spelled_out(self.arguments)
        )

    def given(self) -> list[str]:
        """Return the full names of the options in the recipes and among the arguments."""
        found: list[str] = []
        for recipe in self.recipes:
            found += _full_names(self.by_new_names(read_yaml(recipe), note=False))
        arguments = self._spelled_out(self.arguments)
        found += [a.partition("=")[0][2:] for a in arguments if a.startswith("--")]
        return list(dict.fromkeys(found))

    def _spelled_out(self, arguments: Sequence[str]) -> list[str]:
        """Return the arguments with the names of options as they are known here."""
        known = {option for action in self._actions for option in action.option_strings}
        found = []
        for argument in arguments:
            name, joined, value = argument.partition("=")
            if name.startswith("--"):
                name = self.short.get(name, name)
                alias = f"--{name[2:].replace('-', '_')}"
                name = alias if alias in known else name
                if (old := alias[2:]) in self.deprecated:
                    name = f"--{self._new_name(old)}"
            found.append(name + joined + value)
        return found

    def _new_name(self, old: str) -> str:
        """Return what an option is called now, and note that it is."""
        new, gone_in = self.deprecated[old]
        if is_first_process():
            note_deprecated(f"the option --{old}", Deprecated(f"--{new}", gone_in))
        return new

    def parse_args(self, args: Sequence[str] | None = None) -> Any:  # pyright: ignore
        """Parse and check; without arguments, those that the parser was made for."""
        args = self._spelled_out(self.arguments if args is None else args)
        groups = self._groups()
        for argument in args:
            name = argument.partition("=")[0].removeprefix("--")
            if argument.startswith("--") and name in groups:
                self.error(f"--{name} is a group of options, such as --{groups[name]}; give them one by one")
            if len(argument) > LONGEST_ARGUMENT:
                self.error(f"{argument[:60]} ... has {len(argument):,} characters; give a recipe (--config)")
        options = super().parse_args(args)
        self._check_values(options)
        for check in self.checks:
            check(options)
        for name in self.paths:  # so that config.yaml means the same from any directory
            if options[name] is not None:
                options[name] = str(Path(options[name]).resolve())
        return options

    def without_former(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return what a recipe holds by the names of today, without what is no option and says nothing.

        Args:
            content: What the recipe holds; the config.yaml of an older run holds all options of its time.
        """
        kept = self.by_new_names(content)
        for name, value in self.former.items():
            for values, key in _places_of(name, kept):
                if type(values[key]) is type(value) and values[key] == value:  # true is not 1
                    del values[key]
        return kept

    def by_new_names(self, content: dict[str, Any], *, note: bool = True) -> dict[str, Any]:
        """Return what a recipe holds by the names of today, each option in its group.

        Args:
            content: What the recipe holds.
            note: Whether to say which names are old; not of what the user did not give.

        Raises:
            ValueError: If it has an option by both of its names.
        """
        kept = deepcopy(content)
        for old in self.deprecated:
            for values, key in _places_of(old, kept):
                new = self._new_name(old) if note else self.deprecated[old].instead
                if _places_of(new, kept):
                    self.error(f'"{old}" and "{new}" are one option; give "{new}" alone')
                value = values.pop(key)
                if not values and values is not kept:  # there may be no such group any more
                    del kept[old.rpartition(".")[0]]
                group, _, option = new.rpartition(".")
                within = kept.setdefault(group, {}) if group else kept
                if isinstance(within, dict):  # of what is no group, `check_names` complains
                    within[option] = value
        return kept

    def check_names(self, content: dict[str, Any]) -> None:
        """Raise ValueError unless the names in a recipe are those of options.

        Args:
            content: What the recipe holds.
        """
        known, groups = {action.dest: action for action in self._options()}, self._groups()

        def check(values: dict[str, Any], where: str) -> None:
            for name, value in values.items():
                key = where + name
                if key in groups:
                    if not isinstance(value, dict):
                        self.error(
                            f'"{key}" is a group of options, such as "{groups[key]}"; write them below it, '
                            f"got {str(value)[:60]!r}"
                        )
                    check(value, f"{key}.")
                elif key not in known:
                    near = did_you_mean(f"--{key}", [f"--{other}" for other in known])
                    self.error(f"there is no option {key[:100]!r}.{near}")
                elif known[key].nargs == 0 and not isinstance(value, bool):
                    self.error(f'"{key}": expected true or false, got {str(value)[:60]!r}')
                elif known[key].nargs == "+" and not isinstance(value, list):
                    self.error(f'"{key}": expected a list, got {str(value)[:60]!r}')
                for text in _strings(value):
                    try:
                        check_text(text)
                    except ValueError as error:
                        self.error(f'"{key}": {error}', error)

        check(content, "")

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # pyright: ignore
        """Raise the message as one line."""
        text = plain_words(" ".join(str(message).split()))
        options = [option for action in self._actions for option in action.option_strings]
        unknown = re.search(r"[Uu]nrecognized arguments: (--[\w.-]+)", text)
        if unknown:
            text = f"{text.rstrip('.')}.{nearest(unknown[1], options)}"
        group = re.search(r"Group '([\w.]+)' does not accept option '(\w+)'", text)
        if group:
            text += did_you_mean(f"--{group[1]}.{group[2]}", options)
        text = text if len(text) <= LONGEST_COMPLAINT else f"{text[:LONGEST_COMPLAINT]} ..."
        if self.recipes:
            told = "the options of" if "--resume" in self.arguments else "--config"
            text = f"with {told} {', '.join(self.recipes)}: {text}"
        raise ValueError(f"{text} (`{self.prog} --help` lists the options)") from ex

    def parse_content(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return what a recipe holds, each value as its option has it.

        Args:
            content: What the recipe holds.

        Raises:
            ValueError: If something is no option, or no value of one.
        """
        content = self.without_former(content)
        self.check_names(content)
        options = self.parse_object(content, env=False, defaults=False, _skip_validation=True)
        self._check_values(options)
        return options.as_dict()

    def _check_values(self, options: Namespace) -> None:
        """Raise ValueError for numbers that are absurd, and for null where it means nothing."""
        for action in self._options():
            null = action.dest in options and options[action.dest] is None
            if null and action.default is not None and not _takes_null(action):
                self.error(f"--{action.dest} cannot be null; leave it out, or give a value")
        try:
            check_values(options)
        except ValueError as error:
            self.error(str(error).rstrip("."), error)

    def _options(self) -> list[Any]:
        """Return the options that a recipe may hold."""
        # What has no value, such as --help, has no default; nor has a group as a whole.
        options = [a for a in self._actions if a.option_strings and a.default is not SUPPRESS]
        return [action for action in options if not isinstance(action, ActionConfigFile)]

    def _groups(self) -> dict[str, str]:
        """Return the groups of options, such as `data`, each with the name of its first option."""
        groups: dict[str, str] = {}
        for option in self._options():
            if "." in option.dest:
                groups.setdefault(option.dest.rpartition(".")[0], option.dest)
        return groups


def _full_names(content: dict[str, Any], group: str = "") -> Iterator[str]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _full_names(value, f"{group}{name}.")
        else:
            yield group + name


def _places_of(name: str, content: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return where a recipe holds an option: in its group, by its full name, or nowhere."""
    group, _, option = name.rpartition(".")
    places = [(content.get(group), option), (content, name)]
    return [(values, key) for values, key in places if isinstance(values, dict) and key in values]


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value; in one that is deeper than an option's, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


def _takes_null(action: Any) -> bool:
    """Say whether None is a value of an option; jsonargparse takes it for one that is not given."""
    return type(None) in get_args(getattr(action, "_typehint", None))

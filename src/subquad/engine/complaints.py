"""What jsonargparse says of wrong options, in words of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from subquad.base.suggest import did_you_mean


def nearest(name: str, options: Sequence[str]) -> str:
    """Return a hint at the option that is meant: the same name without its group, or one spelt alike."""
    plain = name.removeprefix("--").replace("-", "_")
    last = plain.rpartition(".")[2]
    meant = [
        option
        for option in options
        if option.rpartition(".")[2].removeprefix("--") == last
        or option.removeprefix("--").replace(".", "_") == plain
    ]
    return f" Did you mean {meant[0]!r}?" if len(meant) == 1 else did_you_mean(name, options)


def plain_words(text: str) -> str:
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

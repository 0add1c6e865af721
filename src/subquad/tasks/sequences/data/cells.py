"""What a cell of a table says: a sequence of tokens or of numbers, or a label."""

from __future__ import annotations

import json
import math

from subquad.tasks.sequences.data.options import Tokens

TEXTS = ("characters", "bytes")


def sequence_text(value: object, tokens: Tokens) -> str:
    """Return a cell as the text that its tokens are read from.

    Args:
        value: A text, or of JSON also a number or a list: words and ids between blanks come out of it,
            numbers as they were.
        tokens: What sequences are made of.

    Raises:
        ValueError: If it is no such sequence.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return _listed(value, tokens)
    if isinstance(value, (bool, dict)):
        raise ValueError(f"{_shown(value)} is no sequence; give a text or a list.")
    if tokens == "numbers":
        return json.dumps(value)
    if not isinstance(value, list):
        return _word(value)
    if tokens in TEXTS:
        raise ValueError(
            f"{_shown(value)} is a list, not a text of {tokens}; give --data.tokens words, ids or numbers, "
            "or write the sequence as one text."
        )
    return " ".join(_word(item) for item in value)


def label_text(value: object) -> str:
    """Return the label in a cell as text, empty if there is none.

    Raises:
        ValueError: If it is a list, an object, or NaN.
    """
    if isinstance(value, (list, dict)) or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"the label {_shown(value)} is not one value; give a text or a number.")
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _listed(text: str, tokens: Tokens) -> str:
    """Return the ids of a list that was written into a text, as data frames do; refuse such words."""
    bare = text.strip()
    if tokens not in ("ids", "words") or not (bare.startswith("[") and bare.endswith("]")):
        return text
    try:
        items = json.loads(bare.replace("'", '"'))
    except (ValueError, RecursionError):
        return text
    if tokens == "ids":
        return " ".join(_word(item) for item in items)
    if len(items) > 1:  # a single one may be a word in square brackets
        raise ValueError(
            f"{_shown(items)} is a list written as text, whose words would keep its brackets and commas; "
            "write the words with blanks between them, or take JSONL."
        )
    return text


def _word(item: object) -> str:
    """Return one word or id as text."""
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if isinstance(item, float):
        raise ValueError(
            f"{_shown(item)} is a real number; give tokens=numbers (--data.tokens numbers), or write it as a "
            "text."
        )
    if not isinstance(item, str):
        raise ValueError(f"{_shown(item)} in a list is no word and no whole number; give a plain list.")
    if item.split() != [item]:
        raise ValueError(f"{item[:40]!r} in a list is not one word; write its blanks in another way.")
    return item


def _shown(value: object) -> str:
    """Return the beginning of a value as JSON."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."

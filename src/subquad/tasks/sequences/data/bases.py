"""Bases of a nucleic acid as files write them: what is none of the sequence, and what is none at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from subquad.base.limits import MOST_FOREIGN_LETTERS
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.tables import Complain
from subquad.tasks.sequences.data.vocabulary import DNA

PLAIN = frozenset("ACGTUN")
CODE = PLAIN | frozenset(DNA.ambiguous)
# Of a block of GenBank or EMBL: positions at its beginnings or ends, its first and its last line.
_POSITIONS = re.compile(r"(?<!\S)\d+(?!\S)|\s+")
_FRAME = frozenset({"ORIGIN", "//"})
_NOT_LETTERS = re.compile(r"[^A-Za-z]")


def without_positions(line: str) -> str:
    """Return a line of a sequence without the blanks and the numbers between them."""
    bare = line.strip()
    if bare.isalpha() and bare.upper() != "ORIGIN":
        return bare
    return "" if bare.upper() in _FRAME else _POSITIONS.sub("", bare)


def bases_of(text: str) -> str:
    """Return the letters of a sequence of bases, without blanks and positions.

    Args:
        text: One or several lines.

    Raises:
        ValueError: If something is neither a letter nor between the lines.
    """
    letters = "".join(map(without_positions, text.splitlines()))
    wrong = _NOT_LETTERS.search(letters)
    if wrong is None:
        return letters
    what = "a gap or a stop" if wrong[0] in "-.*" else "no letter of the nucleic acid code"
    raise ValueError(
        f"{wrong[0]!r} is {what}, and read as N it would shift the positions after it; take it out, or write "
        "N for a base that is not known."
    )


def keep_bases(
    records: Iterable[Record], source: str | Path, problem: Complain, letters: Counter[str]
) -> list[Record]:
    """Return records in capitals, without those that are no nucleic acids.

    Args:
        records: Of letters.
        source: Their file.
        problem: What is done about a single one that is none.
        letters: Is told how often each letter occurs, as it is written.

    Raises:
        ValueError: If the letters of all of them are those of something else.
    """
    kept, foreign = [], []
    all_of_them: Counter[str] = Counter()
    for record in records:
        text = str(record.sequence)
        own = Counter({letter: text.count(letter) for letter in sorted(set(text))})
        all_of_them.update(own)
        why = _foreign(own)
        if why:
            foreign.append(f"{record.where}: it is no nucleic acid: {why}; take it out.")
        else:
            kept.append(record._replace(sequence=text.upper()))
    why = _foreign(all_of_them)
    if why:
        raise ValueError(
            f"{source} holds no nucleic acids: {why}; take proteins and other sequences as characters, from "
            "a table (--data.name csv)."
        )
    for text in foreign:
        problem(text)
    letters.update(all_of_them)
    return kept


def letter_notes(letters: Counter[str]) -> list[str]:
    """Say how letters are read that are not as the vocabulary of bases has them.

    Args:
        letters: How often each occurs, as it is written.
    """
    notes = []
    small = sum(count for letter, count in letters.items() if letter.islower())
    several = Counter({letter: n for letter, n in _upper(letters).items() if letter in DNA.ambiguous})
    if small:
        part = small / letters.total()
        notes.append(f"{part:.1%} of the letters are small, as in masked repeats, and count as capitals.")
    if several:
        shown = ", ".join(f"{letter} ({count})" for letter, count in several.most_common(3))
        notes.append(f"{several.total()} letters mean one of several bases and count as N: {shown}.")
    return notes


def _foreign(letters: Counter[str]) -> str:
    """Say why letters are no bases; empty if they are."""
    upper, total = _upper(letters), max(letters.total(), 1)
    outside = Counter({letter: count for letter, count in upper.items() if letter not in CODE})
    if outside.total() > MOST_FOREIGN_LETTERS * total:
        shown = ", ".join(letter for letter, _ in outside.most_common(5))
        return f"{outside.total() / total:.0%} of the letters ({shown}) are none of its code"
    plain = sum(count for letter, count in upper.items() if letter in PLAIN)
    return (
        f"only {plain / total:.0%} of the letters are A, C, G, T, U or N"
        if 2 * plain < letters.total()
        else ""
    )


def _upper(letters: Counter[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for letter, count in letters.items():
        counts[letter.upper()] += count
    return counts

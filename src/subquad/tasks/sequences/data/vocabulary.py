"""Vocabularies: which token has which number, the same in every process and on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

PAD, CLS, UNKNOWN = "<pad>", "<cls>", "<unk>"
Unit = Literal["bytes", "characters", "words"]
Case = Literal["keep", "upper", "lower"]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their numbers. `dataclasses.asdict` of it can be stored as JSON.

    Args:
        tokens: All tokens, special ones included, all different.
        unit: What a text is cut into: its UTF-8 bytes, its characters, or the words between spaces.
        pad_id: The number that fills up short sequences; None if sequences never differ in length.
        cls_id: The number of the token that may be put in front of a sequence; None if there is none.
        unknown_id: The number of everything that is no token; None if that is an error.
        case: Whether small letters count as capitals ("upper"), capitals as small ones ("lower"), or
            neither.
        ambiguous: Characters that count as `unknown_id` because they mean any of several tokens.

    Raises:
        ValueError: If a token occurs twice, or a number is not that of a token.
    """

    tokens: tuple[str, ...]
    unit: Unit = "characters"
    pad_id: int | None = None
    cls_id: int | None = None
    unknown_id: int | None = None
    case: Case = "keep"
    ambiguous: str = ""

    def __post_init__(self) -> None:
        """Take lists, as JSON has them, for tuples."""
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("a token of the vocabulary occurs twice; make each one unique.")
        for name in ("pad_id", "cls_id", "unknown_id"):
            number = getattr(self, name)
            if number is not None and not 0 <= number < len(self.tokens):
                raise ValueError(f"{name}={number} is no number of {len(self.tokens)} tokens.")

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> Tensor:
        """Turn a text into numbers.

        Args:
            text: Any text; of unit `"bytes"` it is encoded as UTF-8, where surrogate escapes
                stand for the bytes that are not.

        Returns:
            int64 (length,).

        Raises:
            ValueError: If something is no token and there is no `unknown_id`.
        """
        text = in_case(text, self.case)
        if self.unit == "bytes":
            data = text.encode("utf-8", "surrogateescape")
            return torch.from_numpy(np.frombuffer(data, np.uint8).astype(np.int64))
        if self.unit == "words":
            words = text.split()
            numbers = np.array([self._numbers.get(word, -1) for word in words], dtype=np.int64)
            return self._known(numbers, words)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if not len(points):
            return torch.zeros(0, dtype=torch.int64)
        numbers = self._table[np.minimum(points, len(self._table) - 1)]
        return self._known(numbers, text)

    def unknown(self, text: str) -> Counter[str]:
        """Count what is no token: characters or words that become `unknown_id`, but for `ambiguous` ones."""
        if self.unit == "bytes":
            return Counter()
        text = in_case(text, self.case)
        parts = text if self.unit == "characters" else text.split()
        missing = set(parts).difference(self._numbers, self.ambiguous)
        return Counter(part for part in parts if part in missing) if missing else Counter()

    def count(self, text: str) -> int:
        """Return how many tokens a text is."""
        if self.unit == "bytes":
            return len(text.encode("utf-8", "surrogateescape"))
        return len(text) if self.unit == "characters" else len(text.split())

    def decode(self, numbers: Tensor) -> str:
        """Turn numbers (length,) into a text, without padding and the token in front."""
        special = {self.pad_id, self.cls_id}
        kept = [number for number in numbers.tolist() if number not in special]
        if self.unit == "bytes":
            return bytes(kept).decode("utf-8", "surrogateescape")
        return (" " if self.unit == "words" else "").join(self.tokens[number] for number in kept)

    def with_cls(self) -> Vocabulary:
        """Return the vocabulary with a token to put in front; itself if it has one."""
        if self.cls_id is not None:
            return self
        return replace(self, tokens=(*self.tokens, CLS), cls_id=len(self.tokens))

    def _known(self, numbers: np.ndarray[Any, Any], parts: str | list[str]) -> Tensor:
        missing = numbers < 0
        if missing.any():
            if self.unknown_id is None:
                raise ValueError(f"{parts[int(missing.argmax())]!r} is none of the tokens {self._shown}.")
            numbers = np.where(missing, self.unknown_id, numbers)
        return torch.from_numpy(numbers)

    @property
    def _shown(self) -> str:
        return " ".join(self.tokens[:20]) + (" ..." if len(self) > 20 else "")

    @cached_property
    def _numbers(self) -> dict[str, int]:
        special = {self.pad_id, self.cls_id, self.unknown_id}
        named = {token: number for number, token in enumerate(self.tokens) if len(token) == 1}
        words = {token: number for number, token in enumerate(self.tokens) if number not in special}
        return named if self.unit == "characters" else words

    @cached_property
    def _table(self) -> np.ndarray[Any, Any]:
        """The number of each code point, -1 where there is none; the last entry stands for all beyond."""
        highest = max((ord(token) for token in self._numbers), default=0)
        table = np.full(highest + 2, -1, dtype=np.int64)
        for token, number in self._numbers.items():
            table[ord(token)] = number
        return table


def in_case(text: str, case: Case) -> str:
    """Return a text in capitals or small letters, a character for each of its own."""
    if case == "keep":
        return text
    change = str.upper if case == "upper" else str.lower
    changed = change(text)
    if len(changed) == len(text):
        return changed
    # A few letters, such as the German sharp s, are two in the other case: they stay.
    return "".join(new if len(new := change(letter)) == 1 else letter for letter in text)


def learned_vocabulary(tokens: Iterable[str], unit: Unit, case: Case = "keep") -> Vocabulary:
    """Make a vocabulary of what occurs in training: sorted, then unknown, padding and `<cls>`.

    Args:
        tokens: The characters or words, in any order and number.
        unit: Which of the two they are.
        case: Whether they count in capitals, in small letters, or as they are.
    """
    cased = {in_case(token, case) for token in set(tokens)}
    return replace(_with_special(sorted(cased - {PAD, CLS, UNKNOWN}), unit), case=case)


def numbered_vocabulary(size: int) -> Vocabulary:
    """Make the vocabulary of sequences that are numbers already: 0 .. size - 1, then the special ones.

    Args:
        size: One more than the largest number in training.
    """
    return _with_special(map(str, range(size)), "words")


def _with_special(tokens: Iterable[str], unit: Unit) -> Vocabulary:
    tokens = (*tokens, UNKNOWN, PAD, CLS)
    size = len(tokens)
    return Vocabulary(tokens, unit, pad_id=size - 2, cls_id=size - 1, unknown_id=size - 3)


def vocabulary_of(tokens: tuple[str, ...], unit: Unit | None) -> Vocabulary:
    """Return the vocabulary that has these tokens: what a network that names its tokens can read.

    Args:
        tokens: All of them, in the order of their numbers.
        unit: What texts are cut into, unless the tokens are those of a fixed vocabulary, which knows;
            None: real numbers, of which there is no vocabulary.

    Raises:
        ValueError: If no vocabulary of ours has such tokens, or not with that unit.
    """
    for fixed in FIXED:
        for vocabulary in (fixed, fixed.with_cls()):
            if vocabulary.tokens == tokens:
                return vocabulary
    if tokens[-3:] != (UNKNOWN, PAD, CLS):
        raise ValueError(
            f"{len(tokens)} tokens that end in {tokens[-3:]} are of no vocabulary of subquad, which ends in "
            f"{(UNKNOWN, PAD, CLS)}; turn the texts into numbers as in training."
        )
    known = tokens[:-3]
    long = [token for token in known if len(token) > 1]
    if unit not in ("characters", "words") or (unit == "characters" and long):
        shown = ", ".join(map(repr, (long or known)[:3]))
        kind = "ids" if all(token.isdecimal() for token in known) else "words" if long else "characters"
        raise ValueError(
            f"the network's tokens are {kind} such as {shown}; give tokens={kind} (--data.tokens {kind})."
        )
    return _with_special(known, unit)


BYTES = Vocabulary((*(f"<{byte:02x}>" for byte in range(256)), PAD, CLS), "bytes", 256, 257)
# The numbers of the original's second genome task; other letters of the nucleic acid code mean "any of".
DNA = Vocabulary(
    ("A", "G", "C", "T", "N", PAD), "characters", pad_id=5, unknown_id=4, case="upper", ambiguous="RYSWKMBDHV"
)
# The original's numbers: digits, the closing bracket, then the operators as ASCII sorts them.
LISTOPS = Vocabulary((*"0123456789", "]", "[MAX", "[MED", "[MIN", "[SM", PAD, CLS), "words", 15, 16)
ORDER = Vocabulary(("0", "1", "2", "3", "X", "Y"), "characters")
GREY = Vocabulary(tuple(map(str, range(256))), "words")
FIXED = (BYTES, DNA, LISTOPS, ORDER, GREY)

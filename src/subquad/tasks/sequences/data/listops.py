"""ListOps: nested operations on lists of digits, whose value is the class."""

from __future__ import annotations

import random
from collections.abc import Iterable
from statistics import median

from torch import Tensor

from subquad.tasks.sequences.data.samples import SequenceInfo, SequenceSample
from subquad.tasks.sequences.data.synthetic import Generated
from subquad.tasks.sequences.data.vocabulary import LISTOPS

DIGITS = tuple("0123456789")
OPERATORS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(median(values)),
    "[SM": lambda values: sum(values) % 10,
}
LEAF_PROBABILITY = 0.75
MAX_DEPTH = MAX_ARGUMENTS = 10


class TooLong(Exception):
    """The expression has outgrown its limit."""


class ListOps(Generated):
    """Expressions of the grammar of Long Range Arena (Tay et al., ICLR 2021).

    Operators are `[MIN`, `[MAX`, `[MED` (of an even number of values the mean of the middle two, without
    its fraction) and `[SM` (sum modulo 10), with 2 to 10 arguments, nested up to depth 10. Below the
    root three in four arguments are digits. An expression is kept if `shortest < tokens < longest`,
    where the closing bracket counts. The class is the value.

    Args:
        samples: The number of samples.
        shortest: Expressions have more tokens than this.
        longest: They have fewer tokens than this.
        seed: Another seed gives other samples.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, samples: int, *, shortest: int = 500, longest: int = 2000, seed: int = 0, split: str = "train"
    ) -> None:
        super().__init__(samples, seed=seed, split=split)
        if not 0 <= shortest <= 3000 or not max(shortest + 2, 5) <= longest <= 10_000:
            raise ValueError(
                f"no expression, or hardly one, has more than {shortest} and fewer than {longest} tokens; "
                f"take at most 3000 and 10000, and the second larger by 2 at least."
            )
        self.shortest, self.longest = shortest, longest

    @property
    def info(self) -> SequenceInfo:
        """Ten classes of the 15 tokens and the special ones."""
        return SequenceInfo("classification", self.longest - 1, DIGITS, LISTOPS)

    @property
    def lengths(self) -> Tensor | None:
        """None: an expression must be made before its length is known."""
        return None

    def make(self, seed: int) -> SequenceSample:
        """Make an expression and its value."""
        tokens, value = self.expression(seed)
        return SequenceSample(LISTOPS.encode(" ".join(tokens)), value)

    def expression(self, seed: int) -> tuple[list[str], int]:
        """Return the tokens of the expression of a seed, and their value."""
        rng = random.Random(seed)
        while True:
            tokens: list[str] = []
            try:
                value = self._operation(rng, tokens, 1)
            except TooLong:
                continue
            if len(tokens) > self.shortest:
                return tokens, value

    def _operation(self, rng: random.Random, tokens: list[str], depth: int) -> int:
        """Write an operation and its arguments; a root that is a digit is too short in any case."""
        operator = rng.choice(tuple(OPERATORS))
        tokens.append(operator)
        values = []
        for _ in range(rng.randint(2, MAX_ARGUMENTS)):
            if depth + 1 < MAX_DEPTH and rng.random() > LEAF_PROBABILITY:
                values.append(self._operation(rng, tokens, depth + 1))
            else:
                digit = rng.randrange(10)
                tokens.append(DIGITS[digit])
                values.append(digit)
        tokens.append("]")
        if len(tokens) >= self.longest:
            raise TooLong
        return OPERATORS[operator](values)


def clean_listops(text: str) -> list[str]:
    """Cut an expression into tokens, without the round brackets that only mark how it was parsed."""
    return [token for token in text.split() if token not in {"(", ")"}]


def evaluate_listops(expression: str | Iterable[str]) -> int:
    """Compute the value of an expression.

    Args:
        expression: Its text, with or without round brackets, or its tokens.

    Returns:
        0 to 9.

    Raises:
        ValueError: If it is no expression.
    """
    tokens = clean_listops(expression) if isinstance(expression, str) else list(expression)
    pending: list[tuple[str, list[int]]] = [("", [])]
    for token in tokens:
        if token in OPERATORS:
            pending.append((token, []))
        elif token in {"]", "X"} and len(pending) > 1 and pending[-1][1]:
            operator, values = pending.pop()
            pending[-1][1].append(OPERATORS[operator](values))
        elif token in DIGITS:
            pending[-1][1].append(int(token))
        else:
            raise ValueError(f"{token!r} of {' '.join(tokens)[:80]!r} is no ListOps token in its place.")
    if len(pending) > 1 or len(pending[0][1]) != 1:
        raise ValueError(f"{' '.join(tokens)[:80]!r} is not one whole ListOps expression.")
    return pending[0][1][0]

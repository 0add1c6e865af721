"""Tokens that a network never saw: how many there are, and what would make them known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from subquad.base.limits import MOST_UNKNOWN
from subquad.tasks.sequences.data.vocabulary import Case, Vocabulary, in_case

SHOWN = 5  # tokens
ALLOW = "unknown=allow (--data.unknown allow)"


@dataclass
class UnknownTokens:
    """What a vocabulary does not have, counted over sequences.

    Attributes:
        vocabulary: Of the network, or of training.
        counts: How often each token occurs that is unknown.
        tokens: How many tokens there are in all.
        rows: Sequences with an unknown token.
        all_rows: Sequences.
    """

    vocabulary: Vocabulary
    counts: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    rows: int = 0
    all_rows: int = 0

    def add(self, text: str) -> Counter[str]:
        """Count a sequence; returns its unknown tokens."""
        found = self.vocabulary.unknown(text)
        self.counts.update(found)
        self.tokens += self.vocabulary.count(text)
        self.rows += bool(found)
        self.all_rows += 1
        return found

    @property
    def share(self) -> float:
        """Part of all tokens, 0 to 1."""
        return self.counts.total() / max(self.tokens, 1)

    @property
    def too_many(self) -> bool:
        """Whether the sequences are of another alphabet than the network."""
        return self.share > MOST_UNKNOWN

    def sentence(self, knower: str) -> str:
        """Say how many of which, without a point at the end; empty if there are none.

        Args:
            knower: Who does not know them, such as "the network".
        """
        if not self.counts:
            return ""
        shown = ", ".join(f"{token[:40]!r} ({count})" for token, count in self.counts.most_common(SHOWN))
        more = f" and {len(self.counts) - SHOWN} others" if len(self.counts) > SHOWN else ""
        number = self.vocabulary.unknown_id
        read = "" if number is None else f", read as {self.vocabulary.tokens[number]}"
        return (
            f"{self.counts.total()} of {self.tokens} tokens ({self.share:.1%}) in {self.rows} of "
            f"{self.all_rows} sequences are unknown to {knower}{read}: {shown}{more}"
        )

    def remedy(self) -> str:
        """Say what would make most of them known, as the start of a sentence."""
        cases: tuple[tuple[Case, str], ...] = (("upper", "capitals"), ("lower", "small letters"))
        for case, name in cases:
            if self._mends({token: in_case(token, case) for token in self.counts}):
                return f"they are known in {name}: give case={case} (--data.case {case})"
        for old, new, why in (
            ("U", "T", "RNA has U for the T of DNA"),
            ("T", "U", "DNA has T for the U of RNA"),
        ):
            table = str.maketrans(old + old.lower(), new + new.lower())
            if self._mends({token: token.translate(table) for token in self.counts if old in token.upper()}):
                return f"{why}: write {new} for {old}"
        return "give sequences of the tokens of training"

    def _mends(self, changed: dict[str, str]) -> bool:
        """Say whether other ways to write tokens make more than half of what is unknown known."""
        known = (
            count for token, count in self.counts.items() if self._knows(token, changed.get(token, token))
        )
        return 2 * sum(known) > self.counts.total()

    def _knows(self, token: str, written: str) -> bool:
        return written != token and not self.vocabulary.unknown(written)


def count_unknown(texts: Iterable[str], vocabulary: Vocabulary) -> UnknownTokens:
    """Count what a vocabulary does not have.

    Args:
        texts: Sequences.
        vocabulary: Of the network, or of training.
    """
    found = UnknownTokens(vocabulary)
    for text in texts:
        found.add(text)
    return found


def refuse_unknown(found: UnknownTokens, source: str, knower: str, allowed: bool) -> None:
    """Raise ValueError if too many tokens are unknown.

    Args:
        found: What was counted.
        source: Where, for the message.
        knower: Who does not know them.
        allowed: Whether the user wants it all the same.
    """
    if found.too_many and not allowed:
        raise ValueError(
            f"{source}: {found.share:.1%} of the tokens are unknown to {knower}, more than "
            f"{MOST_UNKNOWN:.0%}; {found.remedy()}, or {ALLOW} to go on."
        )

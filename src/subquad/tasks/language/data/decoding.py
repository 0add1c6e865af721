"""Text of tokens that come one by one: never half a character."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

LONGEST_CHARACTER = 4  # bytes in UTF-8
FOLLOWED = 1024  # of the tokens before, the most that can matter to the text of the next
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def _letters() -> dict[str, int]:
    """Return the byte that each letter of a byte-level tokenizer stands for.

    Bytes that are visible letters of Latin-1 stand for themselves, the others in their order for the
    letters from 256 on.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _letters()


class Decoder(ABC):
    """Makes text of tokens that come one by one."""

    @abstractmethod
    def feed(self, token: int) -> str:
        """Return the text that is known now and was not before; "" if it is not known yet."""

    @abstractmethod
    def finish(self) -> str:
        """Return what stands for a character that was not completed; "" if there is none."""

    @abstractmethod
    def follow(self, tokens: Sequence[int]) -> None:
        """Begin after tokens whose text is shown already, and is whole."""

    @abstractmethod
    def state(self) -> list[int]:
        """Return what it takes to go on amid a character."""

    @abstractmethod
    def restore(self, state: list[int]) -> None:
        """Go on from a `state`.

        Raises:
            ValueError: If it is none.
        """


class ByteDecoder(Decoder):
    """Of tokens that are bytes, one or several; what is no UTF-8 is replaced.

    Args:
        bytes_of: The bytes of a token.
    """

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        self.bytes_of = bytes_of
        self.utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Return the characters that are whole now."""
        return self.utf8.decode(self.bytes_of(token))

    def finish(self) -> str:
        """Return what stands for a character that was not completed."""
        text = self.utf8.decode(b"", final=True)
        self.utf8.reset()
        return text

    def follow(self, tokens: Sequence[int]) -> None:
        """Do nothing: what bytes say does not depend on those before."""

    def state(self) -> list[int]:
        """Return the bytes of a character that is not complete."""
        return list(self.utf8.getstate()[0])

    def restore(self, state: list[int]) -> None:
        """Begin with these bytes, which are none that could be shown."""
        if self.utf8.decode(bytes(state)):
            raise ValueError(f"{state} is more than a part of a character.")


class TextDecoder(Decoder):
    """Of tokens whose text may depend on the one before, such as a space that only the first has not.

    Args:
        tokenizer: Of the package `tokenizers`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.shown: list[int] = []  # of those, the last that gave text
        self.waiting: list[int] = []  # and those after it

    def feed(self, token: int) -> str:
        """Return the text of tokens that ends with a whole character."""
        self.waiting.append(token)
        before, text = (self._text(tokens) for tokens in (self.shown, [*self.shown, *self.waiting]))
        is_half = text.endswith(REPLACEMENT) and len(self.waiting) < LONGEST_CHARACTER
        if is_half or len(text) <= len(before):
            return ""
        self.shown, self.waiting = self.waiting, []
        return text[len(before) :]

    def finish(self) -> str:
        """Return what stands for a character that was not completed."""
        before, text = (self._text(tokens) for tokens in (self.shown, [*self.shown, *self.waiting]))
        self.shown, self.waiting = [], []
        return text[len(before) :]

    def follow(self, tokens: Sequence[int]) -> None:
        """Take these for shown."""
        for token in tokens[-FOLLOWED:]:
            self.feed(token)
        self.shown, self.waiting = [*self.shown, *self.waiting], []

    def state(self) -> list[int]:
        """Return the tokens that wait, after the last that gave text."""
        return [*self.shown, *self.waiting]

    def restore(self, state: list[int]) -> None:
        """Begin with these tokens; what of them is whole was shown."""
        if any(token >= self.tokenizer.get_vocab_size() for token in state):
            raise ValueError(f"{state} has numbers of no token.")
        for token in state:
            self.feed(token)

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=False)

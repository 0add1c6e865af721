"""Text as tokens: bytes, or those of a tokenizer of the package `tokenizers`; the last ends a document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import read_file
from subquad.base.limits import LARGEST_TOKENIZER, LARGEST_WIDTH, MIB
from subquad.tasks.language.data.decoding import BYTE_OF, ByteDecoder, Decoder, TextDecoder

PIECE = MIB // 4  # bytes that a tokenizer sees as one text
AT_ONCE = 4  # pieces, in threads of its own: what it returns takes about 100 times the memory of the text


class Tokens(ABC):
    """What text is made of.

    Attributes:
        kind: As a network's configuration has it.
        vocab_size: Their number, that which ends a document included: the last one.
        json: What it takes to make them again; "" of bytes.
    """

    kind: str
    vocab_size: int
    json: str = ""

    @property
    def end(self) -> int:
        """The token that ends a document, and stands before the first."""
        return self.vocab_size - 1

    @abstractmethod
    def encode(self, document: bytes) -> Any:
        """Return the tokens of a document, integers (n,).

        Raises:
            ValueError: If it is not UTF-8 and has to be.
        """

    def parts(self, document: bytes) -> Iterator[Any]:
        """Yield the same tokens, of a long document some at a time."""
        yield self.encode(document)

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return what makes text of tokens that come one by one."""

    @abstractmethod
    def keeps(self, piece: bytes) -> bool:
        """Say whether the tokens of a piece of text give it back, spaces at its ends aside."""


class ByteTokens(Tokens):
    """Bytes, and the end of a document: whatever a file holds."""

    kind = "bytes"
    vocab_size = 257

    def encode(self, document: bytes) -> NDArray[np.uint8]:
        """Return the bytes."""
        return np.frombuffer(document, np.uint8)

    def decoder(self) -> Decoder:
        """Return a decoder of UTF-8; what is not, is replaced."""
        return ByteDecoder(lambda token: bytes([token]))

    def keeps(self, piece: bytes) -> bool:
        """Say yes."""
        return True


class TextTokens(Tokens):
    """Tokens of a tokenizer of the package `tokenizers`.

    Truncation and padding are switched off: a file may have them on for what it was used for before.

    Args:
        json: As `Tokenizer.to_str` gives it.
        where: It is from, for complaints.

    Raises:
        ValueError: If it is no tokenizer, or `tokenizers` is not installed.
    """

    kind = "tokenizer"

    def __init__(self, json: str, where: str = "the tokenizer") -> None:
        library = _tokenizers()
        try:
            self.tokenizer: Any = library.Tokenizer.from_str(json)
        except Exception as error:  # its errors have no common base
            raise ValueError(
                f"{where} is no tokenizer of `tokenizers` ({' '.join(str(error).split())[:100]}); give a "
                f"tokenizer.json."
            ) from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.json, self.vocab_size = self.tokenizer.to_str(), self.tokenizer.get_vocab_size() + 1
        self.added = set(self.tokenizer.get_added_tokens_decoder())
        self.is_byte_level = type(self.tokenizer.decoder) is library.decoders.ByteLevel
        if max(self.tokenizer.get_vocab().values(), default=0) >= self.vocab_size - 1:
            raise ValueError(f"{where} leaves numbers out among those of its tokens; number them from 0 on.")
        if not 2 <= self.vocab_size <= LARGEST_WIDTH:
            raise ValueError(
                f"{where} has {self.vocab_size - 1:,} tokens, and 1 to {LARGEST_WIDTH - 1:,} are usual."
            )

    def encode(self, document: bytes) -> list[int]:
        """Return the tokens; special ones are not added."""
        return [token for part in self.parts(document) for token in part]

    def parts(self, document: bytes) -> Iterator[list[int]]:
        """Yield the same tokens, of a long document some at a time."""
        pieces = (piece.decode() for piece in in_pieces(document))
        while some := [*islice(pieces, AT_ONCE)]:
            for found in self.tokenizer.encode_batch(some, add_special_tokens=False):
                yield found.ids

    def decoder(self) -> Decoder:
        """Return a decoder that waits for whole characters."""
        if self.is_byte_level:
            return ByteDecoder(self._bytes_of)
        return TextDecoder(self.tokenizer)

    def keeps(self, piece: bytes) -> bool:
        """Say whether nothing is unknown to the tokenizer, or taken for something else."""
        text = piece.decode()
        found = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.tokenizer.decode(found, skip_special_tokens=False).strip() == text.strip()

    def _bytes_of(self, token: int) -> bytes:
        text = self.tokenizer.id_to_token(token)
        if token in self.added:
            return text.encode()
        return bytes(BYTE_OF.get(letter, ord("?")) for letter in text)


def tokens_of(kind: str, json: str, where: str) -> Tokens:
    """Return the tokens that a configuration names.

    Args:
        kind: "bytes" or "tokenizer".
        json: Of the tokenizer.
        where: It is from, for complaints.

    Raises:
        ValueError: If they mean no text, or the tokenizer cannot be made.
    """
    if kind == "bytes":
        return ByteTokens()
    if kind == "tokenizer":
        return TextTokens(json, f"the tokenizer of {where}")
    raise ValueError(f"the tokens of {where} are {kind} that mean no text; give a network of `subquad fit`.")


def read_tokens(path: Path) -> TextTokens:
    """Return the tokens of a tokenizer.json.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no such file.
    """
    content = read_file(path, LARGEST_TOKENIZER, "tokenizers have")
    try:
        return TextTokens(content.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no JSON in UTF-8; give a tokenizer.json.") from error


def train_tokens(documents: Iterable[NDArray[np.uint8]], vocab_size: int) -> TextTokens:
    """Learn a byte-level BPE: it can say any text, and the same documents give the same tokens.

    Args:
        documents: In UTF-8.
        vocab_size: Tokens, the end of a document among them; at least 258.

    Raises:
        ValueError: If the text is too short for so many.
    """
    library = _tokenizers()
    level = library.pre_tokenizers.ByteLevel
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = level(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size - 1, initial_alphabet=sorted(level.alphabet()), show_progress=False
    )
    texts = (piece.decode() for document in documents for piece in in_pieces(document.tobytes()))
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size() + 1
    if found < vocab_size:
        raise ValueError(
            f"the text of training gives no more than {found:,} tokens, and vocab_size={vocab_size:,} are "
            f"asked for; lower it (--data.vocab_size)."
        )
    return TextTokens(tokenizer.to_str())


def in_pieces(document: bytes, size: int = PIECE) -> Iterator[bytes]:
    """Cut a document where a line or a word ends, if one does; never inside of a character."""
    start = 0
    while len(document) - start > size:
        cuts: Sequence[int] = [document.rfind(mark, start, start + size) for mark in (b"\n", b" ")]
        cut = next((cut for cut in cuts if cut > start), start + size)
        while document[cut] & 0xC0 == 0x80:
            cut -= 1
        yield document[start:cut]
        start = cut
    yield document[start:]


def _tokenizers() -> Any:
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise ValueError(f"a tokenizer needs {error.name}: pip install 'subquad[language]'.") from error
    return tokenizers

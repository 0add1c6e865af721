"""From options to the tokens of training, validation and testing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.limits import MIB
from subquad.base.suggest import beside
from subquad.data.shared import data_folder
from subquad.data.text_files import find_file
from subquad.tasks.language.data.documents import TEXTS, Documents, Flat, Note, read_documents
from subquad.tasks.language.data.options import LanguageOptions
from subquad.tasks.language.data.tokens import ByteTokens, Tokens, in_pieces, read_tokens, train_tokens

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "dev"), "test": ("test",)}
LOOKED_AT = 4 * MIB  # of larger texts, about so many bytes are made text again, evenly spread
HASHED, BLOCK = 256 * MIB, MIB  # of larger texts, so many bytes are looked at, in blocks


@dataclass(frozen=True)
class Text:
    """A stream of documents: before each of them, and after the last, stands the token of their end.

    Attributes:
        tokens: Integers (n,).
        documents: How many.
        bytes: Of all documents.
        end: The token between them.
        lossless: Whether the tokens give the text back; of the text of training it is not asked.
    """

    tokens: NDArray[Any]
    documents: int
    bytes: int
    end: int
    lossless: bool = True

    @property
    def bytes_per_token(self) -> float:
        """Bytes for each token that can be told, the ends of documents among these."""
        return self.bytes / (len(self.tokens) - 1)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Yield a digest of the tokens; of very many, of evenly spread ones."""
        raw = self.tokens.view(np.uint8)
        apart = max(1, -(-len(raw) // HASHED)) * BLOCK
        digest = blake2b(digest_size=16)
        for start in range(0, len(raw), apart):
            digest.update(raw[start : start + BLOCK].tobytes())
        yield digest.digest() + len(raw).to_bytes(8, "little")


def open_texts(
    options: LanguageOptions,
    wanted: Sequence[str] = tuple(SPLITS),
    tokens: Tokens | None = None,
    note: Note = lambda _: None,
) -> tuple[Tokens, dict[str, Text]]:
    """Read what the options name, hold out what is not given, and make tokens of it.

    Args:
        options: Which text, and how.
        wanted: Of "train", "val" and "test"; the others are read only if it takes them.
        tokens: Those of a network; None: as the options say, learned from the text of training if so.
        note: Told what is done.

    Returns:
        The tokens, and the splits; "val" and "test" where they are given or their fraction is not 0.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If a text cannot be understood.
    """
    utf8, known = options.vocab_size is not None or options.tokenizer is not None, tokens is not None
    if tokens is not None:
        utf8 = not isinstance(tokens, ByteTokens)
    elif options.tokenizer is not None:
        tokens = read_tokens(Path(options.tokenizer))
    paths = _paths(options)
    if not set(wanted) <= paths.keys() or (tokens is None and options.vocab_size is not None):
        wanted = [*wanted, "train"]
    read = {
        split: read_documents(path, options.field, utf8=utf8, known=known, note=note)
        for split, path in paths.items()
        if split in wanted
    }
    if options.name == "imdb" and "train" in read:  # its reviews are sorted by what they say
        read["train"] = read["train"].shuffled(0)
    splits = held_out(read, options, [*paths]) if "train" in read else read
    if tokens is None and options.vocab_size is not None:
        note(f"learning {options.vocab_size} tokens")
        tokens = train_tokens(splits["train"], options.vocab_size)
    tokens = tokens or ByteTokens()
    return tokens, {
        split: encode(documents, tokens, note, check=split != "train")
        for split, documents in splits.items()
        if split in wanted
    }


def held_out(
    read: dict[str, Documents], options: LanguageOptions, given: Sequence[str]
) -> dict[str, Documents]:
    """Return the splits; those that are not given are the last parts of training, first val, then test."""
    whole = read["train"]
    end, splits = len(whole.content), dict(read)
    for split in ("test", "val"):
        fraction = getattr(options, f"{split}_fraction")
        if split not in given and fraction:
            start = cut(whole, end, fraction)
            if not 0 < start < end:
                raise ValueError(
                    f"training has {len(whole.content)} bytes, and {split}_fraction={fraction} of them is no "
                    f"text; give more text, or {split}_file (--data.{split}_file)."
                )
            splits[split], end = whole.part(start, end), start
    splits["train"] = whole if end == len(whole.content) else whole.part(0, end)
    return splits


def cut(documents: Documents, end: int, fraction: float) -> int:
    """Return where the last part begins: between two documents, unless they are too long for that.

    Args:
        documents: All of them.
        end: Of the part, in bytes.
        fraction: Of all bytes.
    """
    size = fraction * len(documents.content)
    wanted = end - round(size)
    ends = documents.ends[documents.ends < end]
    if len(ends):
        nearest = int(ends[np.abs(ends - wanted).argmin()])
        if abs(nearest - wanted) <= size / 2:
            return nearest
    while 0 < wanted < end and documents.content[wanted] & 0xC0 == 0x80:  # inside of a character
        wanted += 1
    return wanted


def encode(documents: Documents, tokens: Tokens, note: Note = lambda _: None, *, check: bool = False) -> Text:
    """Make tokens of documents; with `check`, see whether they give the text back."""
    with Flat(np.min_scalar_type(tokens.end)) as flat:
        flat.append([tokens.end])
        for number, document in enumerate(documents):
            note(f"tokens of document {number + 1:,} of {len(documents):,}")
            for part in tokens.parts(document.tobytes()):
                flat.append(part)
            flat.append([tokens.end])
        lossless = not check or are_kept(documents, tokens)
        return Text(flat.whole(), len(documents), len(documents.content), tokens.end, lossless)


def are_kept(documents: Documents, tokens: Tokens) -> bool:
    """Say whether tokens give back what documents hold; of long ones, pieces are looked at."""
    pieces = (piece for document in documents for piece in in_pieces(document.tobytes()))
    apart = -(-len(documents.content) // LOOKED_AT)
    return all(tokens.keeps(piece) for piece in islice(pieces, 0, None, apart))


def _paths(options: LanguageOptions) -> dict[str, Path]:
    """Return the file or folder of each split that is given."""
    if options.file is not None:
        given = {"train": options.file, "val": options.val_file, "test": options.test_file}
        return {split: Path(path) for split, path in given.items() if path is not None}
    if options.name == "imdb":
        root = data_folder("imdb", options.root, who="name='imdb'", give="root (--data.root)")
    elif options.root is None:
        raise ValueError(
            "name='text' does not know where the text is; give file (--data.file), or root (--data.root)."
        )
    else:
        root = Path(options.root)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {beside(root)}")
    found = {}
    for split, names in SPLITS.items():
        folders = [root / name for name in names if (root / name).is_dir()]
        path = folders[0] if folders else find_file(root, names, TEXTS)
        if path is not None:
            found[split] = path
    if "train" in found:
        return found
    if found or options.name == "imdb":
        there = f", but {', '.join(found)}" if found else ""
        raise FileNotFoundError(f"{root} has no text called train{there}; {beside(root / 'x')}")
    return {"train": root}

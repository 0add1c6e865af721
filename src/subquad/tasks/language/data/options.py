"""The options of text, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

DataName = Literal["text", "imdb"]


@dataclass
class LanguageOptions:
    """Which text, and how it is presented.

    Attributes:
        name: "text" (files of your own) or "imdb" (reviews).
        root: A folder with the splits: train, val and test, each a folder or a file (.txt, .jsonl, also
            with .gz or .xz); or one of documents, whose last part is held out. imdb looks into
            $SUBQUAD_DATA/imdb if it is not given.
        file: Instead of `root`, the text of training: a text file, a .jsonl, or a folder of them.
        val_file: The same of validation; the last part of training if there is none.
        test_file: The same of testing.
        field: What holds the text of a document in a JSONL.
        val_fraction: Part of training that becomes validation if there is no text of it.
        test_fraction: The same of testing.
        vocab_size: Tokens that a BPE learns from the text of training, the end of a document among them;
            not given: bytes.
        tokenizer: A tokenizer.json to take instead.
        context: Tokens of a window, from which each next one is told.
        stride: New tokens of each window of an evaluation; fewer than `context` give each token the more
            of what is before it. Not given: `context`, so that the first of a window sees nothing.
        isolate_documents: Whether a document does not see those before it in its window.
        batch_size: Windows of training at a time, for each process.
        eval_batch_size: The same of evaluation.
        workers: Loader processes for each training process; 0 loads in the training process.

    Raises:
        ValueError: If a value is out of range.
    """

    name: DataName = "text"
    root: str | None = None
    file: str | None = None
    val_file: str | None = None
    test_file: str | None = None
    field: str = "text"
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    vocab_size: int | None = None
    tokenizer: str | None = None
    context: int = 256
    stride: int | None = None
    isolate_documents: bool = False
    batch_size: int = 16
    eval_batch_size: int = 32
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.name not in get_args(DataName):
            raise ValueError(f"name={self.name!r}: take one of {', '.join(get_args(DataName))}.")
        for name, low in {"context": 1, "batch_size": 1, "eval_batch_size": 1, "workers": 0}.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}.")
        if self.stride is not None and not 1 <= self.stride <= self.context:
            raise ValueError(f"stride must be 1 to context = {self.context}, got {self.stride}.")
        if self.vocab_size is not None and self.vocab_size < 258:
            raise ValueError(
                f"vocab_size must be 258 at least, got {self.vocab_size}: a BPE begins with the 256 bytes "
                "and the end of a document; leave it out (--data.vocab_size) for bytes alone."
            )
        if self.vocab_size is not None and self.tokenizer is not None:
            raise ValueError(
                f"vocab_size={self.vocab_size} learns a tokenizer, and tokenizer={self.tokenizer} is one; "
                "give one of the two."
            )
        if min(self.val_fraction, self.test_fraction) < 0 or self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction={self.val_fraction} and test_fraction={self.test_fraction} must be from 0 on "
                "and leave something for training."
            )
        if self.root is not None and self.file is not None:
            raise ValueError(f"root={self.root} and file={self.file} both name the text; give one of them.")

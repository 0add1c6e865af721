"""Windows of a text: at random for training, side by side for an evaluation.

The batch that training and data meet on is a dictionary:

    tokens       int64 (batch, context + 1): each but the first is to be told from those before it
    segment_ids  int64 (batch, context), which document each token is of; only if they are isolated
    counted      bool (batch, context), which of the tokens to be told an evaluation counts; not in training
    index        int64 (batch,), which window of its split each one is; -1 where a process has fewer than
                 another, and nothing is counted
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from subquad.base.seeds import mix_seed
from subquad.data.loading import Key
from subquad.tasks.language.data.text import Text

collate = default_collate


class LanguageBatch(TypedDict):
    """See the head of this file."""

    tokens: Tensor
    segment_ids: NotRequired[Tensor]
    counted: NotRequired[Tensor]
    index: Tensor


class Windows(Dataset[dict[str, Any]]):
    """Windows of a text.

    A window of training starts anywhere: where, is decided by seed, epoch and index, so that a resumed run
    sees what an uninterrupted one would have seen. The windows of an evaluation count each token once.

    Args:
        text: The text.
        context: Tokens from which the next ones are told.
        stride: New tokens of each window of an evaluation, 1 to `context`.
        isolate: Whether documents do not see each other.
        seed: Of the random starts; None: the windows of an evaluation.

    Raises:
        ValueError: If the text is shorter than a window of training.
    """

    def __init__(
        self, text: Text, context: int, *, stride: int | None = None, isolate: bool = False, seed: int | None
    ) -> None:
        self.text, self.context, self.isolate, self.seed = text, context, isolate, seed
        self.stride = stride or context
        told = len(text.tokens) - 1
        if seed is None:
            self.count = 1 + max(0, -(-(told - context) // self.stride))
        else:
            self.count = told // context
            if not self.count:
                raise ValueError(
                    f"the text of training has {told} tokens to be told, and a window has context={context}; "
                    f"give more text, or lower it (--data.context)."
                )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Key | int) -> dict[str, Any]:
        if self.seed is not None:
            assert isinstance(key, tuple)
            starts = len(self.text.tokens) - self.context
            return self._window(mix_seed(self.seed, *key) % starts, key[1])
        assert isinstance(key, int)
        first = 1 if key <= 0 else self.context + 1 + (key - 1) * self.stride  # that is counted
        last = self.context + 1 + max(key, 0) * self.stride  # the first that is not any more
        start = last - 1 - self.context
        window = self._window(start, key)
        numbers = torch.arange(start + 1, start + 1 + self.context)
        counted = (numbers >= first) & (numbers < min(last, len(self.text.tokens)))
        return {**window, "counted": counted & (key >= 0)}

    def _window(self, start: int, index: int) -> dict[str, Any]:
        part = self.text.tokens[start : start + self.context + 1].astype(np.int64)
        tokens = torch.full((self.context + 1,), self.text.end)
        tokens[: len(part)] = torch.from_numpy(part)
        window: dict[str, Any] = {"tokens": tokens, "index": index}
        if self.isolate:
            numbers = (tokens[:-1] == self.text.end).cumsum(0)
            # What fills up a window is of one document: else each of its ends would be read alone.
            numbers[len(part) :] = numbers[len(part) - 1 : len(part)]
            window["segment_ids"] = numbers
        return window

    def fingerprint_parts(self) -> Any:
        """Return what tells the text from others."""
        return self.text.fingerprint_parts()

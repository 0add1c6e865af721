"""Text for Lightning: training, validation and testing as loaders."""

from __future__ import annotations

from collections.abc import Sequence

from subquad.data.loading import Batches, TrainingOrder, even_share, in_batches
from subquad.engine.data import RunData
from subquad.tasks.language.data.documents import Note
from subquad.tasks.language.data.options import LanguageOptions
from subquad.tasks.language.data.text import open_texts
from subquad.tasks.language.data.tokens import Tokens
from subquad.tasks.language.data.windows import Windows, collate


class LanguageData(RunData[Windows]):
    """Loaders of `LanguageBatch`, seeded and resumable.

    Args:
        options: Which text, and how it is presented.
        seed: Decides the windows of training and their order.
        wanted: The splits that are opened.
        tokens: Those of a network; None: as the options say.
        note: Told what is done while the text is read.

    Attributes:
        options: As given.
        tokens: What the text is made of.
        texts: Those of each split.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If a text cannot be understood, or is too short.
    """

    def __init__(
        self,
        options: LanguageOptions,
        seed: int = 0,
        wanted: Sequence[str] = ("train", "val"),
        tokens: Tokens | None = None,
        note: Note = lambda _: None,
    ) -> None:
        self.tokens, self.texts = open_texts(options, wanted, tokens, note)
        self.options = options
        windows = {
            split: Windows(
                text,
                options.context,
                stride=options.stride,
                isolate=options.isolate_documents,
                seed=seed if split == "train" else None,
            )
            for split, text in self.texts.items()
        }
        super().__init__(
            windows,
            batch_size=options.batch_size,
            eval_batch_size=options.eval_batch_size,
            workers=options.workers,
            seed=seed,
        )

    def training_batches(self, dataset: Windows, rank: int, processes: int) -> Batches:
        """Return batches of windows that start anywhere."""
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(dataset, order, collate)

    def evaluation_batches(self, dataset: Windows, rank: int, processes: int) -> Batches:
        """Return batches of windows side by side."""
        mine = even_share(range(len(dataset)), rank, processes)
        return Batches(dataset, in_batches(mine, self.eval_batch_size), collate)

    def missing(self, split: str) -> str:
        """Say how a split is had."""
        return (
            f"there is no text of {split}; give {split}_file (--data.{split}_file), or {split}_fraction "
            f"(--data.{split}_fraction) above 0."
        )

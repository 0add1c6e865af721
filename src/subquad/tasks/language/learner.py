"""Training and evaluation of a network that says how a text goes on, as a Lightning module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.engine.learner import Learner
from subquad.engine.optimizer import OptimizerOptions
from subquad.models import LanguageConfig
from subquad.nn.packing import segment_starts
from subquad.tasks.language.data.windows import LanguageBatch
from subquad.tasks.language.scores import LanguageScores, LanguageSums


class LanguageLearner(Learner):
    """A network, its loss, its optimiser and its scores.

    It takes the batches that `subquad.tasks.language.data.windows` describes.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        seed: Of the steps' randomness.
        bytes_per_token: Of the text of evaluations.
        lossless: Whether its tokens give it back.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    score_name = "bits_per_byte"
    score_words = "bits per byte"

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerOptions | None = None,
        seed: int = 0,
        bytes_per_token: float = 1.0,
        lossless: bool = True,
    ) -> None:
        super().__init__(network, seed, optimizer)
        assert isinstance(self.config, LanguageConfig)
        self.sums = LanguageSums(bytes_per_token, lossless)
        self.scores: LanguageScores | None = None

    def loss_of(self, batch: LanguageBatch, part: str = "") -> Tensor:
        """Return the mean cross-entropy of the tokens to be told."""
        return F.cross_entropy(self.outputs_of(batch).flatten(0, 1).float(), batch["tokens"][:, 1:].flatten())

    def outputs_of(self, batch: LanguageBatch) -> Tensor:
        """Return the logits of each next token, (batch, context, vocab_size)."""
        return self.network(batch["tokens"][:, :-1], segment_ids=batch.get("segment_ids"))

    @property
    def score_text(self) -> str | None:
        """The score of the last evaluation as it is read."""
        return None if self.score is None else f"{-self.score:.4f}"

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.guard.begin_evaluation()
        self.sums.reset()

    def validation_step(self, batch: LanguageBatch, batch_idx: int) -> None:
        """Count a batch."""
        assert "counted" in batch
        logits, counted = self.outputs_of(batch), batch["counted"]
        before = tokens_before(batch["tokens"][:, :-1], batch.get("segment_ids"))
        targets = batch["tokens"][:, 1:][counted]
        loss = self.sums.update(logits[counted], targets, before[counted], counted.shape[1])
        self.guard.see_outputs(self, batch, batch_idx, logits, loss)

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        self.sums.sum_over_processes(self.device)
        scores = self.scores = self.sums.scores()
        self.score = -scores.bits_per_byte
        # Equal on all processes already: nothing is left to synchronise.
        found = {name: getattr(scores, name) for name in ("loss", "bits_per_byte", "perplexity", "accuracy")}
        log = {name: torch.tensor(x, dtype=torch.float32) for name, x in found.items() if x is not None}
        self.log_dict({f"val/{name}": value for name, value in log.items()})
        self.log(self.score_name, log[self.score_name], prog_bar=True, logger=False)


def tokens_before(tokens: Tensor, segment_ids: Tensor | None) -> Tensor:
    """Return from how many tokens each next one is told, (batch, n).

    Args:
        tokens: (batch, n).
        segment_ids: (batch, n), which document each is of; None: all see all that is before them.
    """
    numbers = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    if segment_ids is None:
        return numbers + 1
    return numbers - numbers.where(segment_starts(segment_ids), 0).cummax(1).values + 1

"""Writing: which token comes next, one after another, until something ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.base.finite import all_finite
from subquad.base.seeds import mix_seed
from subquad.nn.causal import Cache

PART = 4096  # tokens of a prompt that are read at a time


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen.

    Attributes:
        temperature: By which logits are divided; 0 always takes the most probable token.
        top_k: Of so many most probable tokens; None: of all.
        top_p: Of the fewest most probable tokens that have this share of the probability; None: of all.

    Raises:
        ValueError: If a value means nothing.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"--temperature must be 0 or more, got {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"--top_k must be at least 1, got {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"--top_p must be above 0 and at most 1, got {self.top_p}.")

    def choose(self, logits: Tensor, chance: Tensor) -> Tensor:
        """Return a token for each sample.

        Args:
            logits: (batch, vocab_size).
            chance: (batch,) float64 in [0, 1): where in the probability of all tokens that may be chosen,
                the likelier first. The same logits and chance give the same token.

        Returns:
            (batch,) on the CPU.

        Raises:
            ValueError: If a logit is not finite.
        """
        logits = logits.double().cpu()
        if not all_finite([logits]):
            raise ValueError("the network gives numbers that are not finite, so nothing more is written.")
        if self.temperature == 0:
            return logits.argmax(dim=1)
        # Before the division: a tiny temperature leaves the largest at 0, and others at minus infinity.
        logits = (logits - logits.amax(dim=1, keepdim=True)) / self.temperature
        shares, tokens = logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
        if self.top_k is not None:
            shares[:, self.top_k :] = 0
            shares /= shares.sum(dim=1, keepdim=True)
        below = shares.cumsum(dim=1)
        if self.top_p is not None:
            shares = shares.where(below - shares < self.top_p, 0)  # the first reaches any share from below
            below = shares.cumsum(dim=1)
        place = (below <= chance.unsqueeze(1) * below[:, -1:]).sum(dim=1, keepdim=True)
        last = (shares > 0).sum(dim=1, keepdim=True) - 1  # rounding must not lead beyond
        return tokens.gather(1, place.minimum(last)).squeeze(1)


@dataclass
class Place:
    """Where in a text a network is: what it takes to go on.

    Attributes:
        cache: Of all that was read and written.
        logits: Of the next token, (batch, vocab_size).
        written: Tokens that were chosen so far, in each sample.
        seed: Of all samples; each choice has a seed of its own.
    """

    cache: Cache
    logits: Tensor
    written: int
    seed: int

    @property
    def batch(self) -> int:
        """Samples."""
        return len(self.logits)


@torch.no_grad()
def read(network: Any, tokens: Tensor, place: Place | None = None, *, batch: int = 1, seed: int = 0) -> Place:
    """Read a prompt, all positions at once; all samples read the same.

    Args:
        network: Of `create_model`, in evaluation mode, on any device.
        tokens: (n,), at least one.
        place: Where to go on; None: at the beginning.
        batch: Samples; those of `place` if that is given, as `seed`.
        seed: Of the choices to come.
    """
    device = next(network.parameters()).device
    if place is not None:
        batch, seed = place.batch, place.seed
    cache, logits = None if place is None else place.cache, None
    for part in tokens.to(device).split(PART):
        logits, cache = network.prefill(part.expand(batch, -1), cache)
    assert logits is not None and cache is not None
    return Place(cache, logits, 0 if place is None else place.written, seed)


@torch.no_grad()
def write(network: Any, place: Place, sampling: Sampling, instead: Tensor | None = None) -> Tensor:
    """Choose the next token of each sample, and read it.

    Args:
        network: As above.
        place: Is moved on.
        sampling: How.
        instead: What samples read whatever is chosen, (batch,); -1 where it is what is chosen.

    Returns:
        What was read, (batch,) on the CPU.
    """
    numbers = [mix_seed(place.seed, sample, place.written) for sample in range(place.batch)]
    chance = torch.tensor(numbers, dtype=torch.float64) / 2**63  # rounds up to 1 at most
    tokens = sampling.choose(place.logits, chance)
    if instead is not None:
        tokens = tokens.where(instead < 0, instead)
    place.logits, place.cache = network.step(tokens.to(place.logits.device), place.cache)
    place.written += 1
    return tokens


class Until:
    """Lets text through until it holds a word; keeps back what may be the beginning of it.

    Args:
        stop: The word; None: nothing stops.

    Attributes:
        is_over: Whether it came.
    """

    def __init__(self, stop: str | None) -> None:
        self.stop, self.is_over = stop, False
        self._kept = ""

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        if self.stop is None or self.is_over:
            return "" if self.is_over else text
        text = self._kept + text
        place = text.find(self.stop)
        if place >= 0:
            self.is_over, self._kept = True, ""
            return text[:place]
        most = min(len(text), len(self.stop) - 1)
        kept = next((n for n in range(most, 0, -1) if self.stop.startswith(text[-n:])), 0)
        self._kept = text[len(text) - kept :]
        return text[: len(text) - kept]

    def finish(self) -> str:
        """Return what was kept back: the word did not come."""
        text, self._kept = self._kept, ""
        return text

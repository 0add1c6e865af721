"""What a solver is to `decompose`: its methods, and what they are given and return."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.dispatch import Impl
from subquad.ops.products import collect, product, project


class Factors(NamedTuple):
    """The two factors of X, about equal to `dictionary @ codes`.

    Attributes:
        dictionary: D, (batch, dim, rank).
        codes: C, (batch, rank, positions).
    """

    dictionary: Tensor
    codes: Tensor

    def reconstruct(self) -> Tensor:
        """Return D C, (batch, dim, positions), in the precision of the factors under any autocast."""
        with autocast_off(self.dictionary):
            return product(self.dictionary, self.codes)


class Problem(NamedTuple):
    """What does not change from iteration to iteration.

    Attributes:
        x: X, (batch, dim, positions), zero where masked; divided by `unit` if `scaled`.
        mask: True where a position counts, (batch, 1, positions); None if all do.
        unit: The scale of X in each sample, (batch, 1, 1): 1 for ordinary data, so that the
            epsilons are the papers'; smaller or larger for data far from 1, so that they follow.
        norm: `|column of X|`, (batch, 1, positions); None if the solver has no use for it.
        scaled: Whether `x` is a copy of X in this unit.
        short: X in bfloat16, where products are asked for in it; `decompose` sets it.
    """

    x: Tensor
    mask: Tensor | None
    unit: Tensor
    norm: Tensor | None = None
    scaled: bool = False
    short: Tensor | None = None

    def project(self, dictionary: Tensor) -> Tensor:
        """Return D'X, (batch, rank, positions)."""
        if self.short is None:
            return project(self.x, dictionary)
        return project(self._short(), dictionary.bfloat16())

    def collect(self, codes: Tensor) -> Tensor:
        """Return X C', (batch, dim, rank)."""
        if self.short is None:
            return collect(self.x, codes)
        return collect(self._short(), codes.bfloat16())

    def _short(self) -> Tensor:
        """Return X in bfloat16, with a graph where one is wanted: the copy was made outside of it."""
        assert self.short is not None
        needs_graph = torch.is_grad_enabled() and self.x.requires_grad
        return self.x.bfloat16() if needs_graph else self.short


@runtime_checkable
class Solver(Protocol):
    """One decomposition: a frozen value of hyper-parameters with pure methods.

    Iteration k of `decompose` is `update_codes` (`first_codes` in the first one), then
    `update_dictionary`. `final_codes` follows the last iteration and always carries the gradient.

    A solver whose data must not be negative says so by an attribute `nonnegative = True`, as `NMF` does:
    a Hamburger then puts a ReLU before it. Without the attribute it takes data of any sign. One that takes
    its long products by `Problem.project` and `Problem.collect` says `short_products = True`: these are what
    `precision="bfloat16"` makes faster.
    """

    @abstractmethod
    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw a start dictionary (..., dim, rank) with columns of length one."""
        ...

    @abstractmethod
    def admissible(self, dictionary: Tensor) -> Tensor:
        """Map any tensor to a dictionary the solver accepts; accepted ones stay as they are."""
        ...

    @abstractmethod
    def prepare(self, x: Tensor, mask: Tensor | None) -> Problem:
        """Compute what does not change from iteration to iteration.

        With the one-step gradient this is outside the graph: hand on `x` itself, for the final codes.
        """
        ...

    @abstractmethod
    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Return the codes of the first iteration, from the start dictionary alone."""
        ...

    @abstractmethod
    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Return better codes for this dictionary."""
        ...

    @abstractmethod
    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """Return a better dictionary for these codes."""
        ...

    @abstractmethod
    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Return the codes that are handed out, in the units of X."""
        ...


@runtime_checkable
class Descending(Solver, Protocol):
    """A solver that says what its iterations make smaller, and never larger."""

    @abstractmethod
    def objective(self, x: Tensor, factors: Factors) -> Tensor:
        """Return what is minimised, (batch,), of X and what `decompose` returns of it after any step."""
        ...


@runtime_checkable
class Iterating(Solver, Protocol):
    """A solver with a faster form of its iterations for where no graph is kept."""

    def iterate(self, problem: Problem, dictionary: Tensor, steps: int, impl: Impl) -> Factors | None:
        """Return the factors after so many iterations from a start; None where the updates are as fast."""
        ...


def wants_nonnegative(solver: Solver) -> bool:
    """Say whether the data of a solver must not be negative."""
    return bool(getattr(solver, "nonnegative", False))

"""Ham: matrix decomposition as a module; a drop-in for self-attention, O(positions)."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self, TypedDict, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.base.suggest import did_you_mean
from subquad.nn.layout import is_channels_last
from subquad.nn.precision import in_range
from subquad.nn.running import end_step_of, move_once_a_step, start_of_step
from subquad.nn.tracing import one_node
from subquad.ops import NMF, Factors, Solver, decompose, encode
from subquad.ops.autocast import autocast_off
from subquad.ops.checks import check_is_solver
from subquad.ops.precision import Precision, check_precision, is_short
from subquad.ops.products import product

StartDictionary = Literal["random", "fixed", "learned", "running"]
Over = Literal["space", "channel"]

# The fewest iterations in the graph that learnt context as well as all of them: docs/gradients.md.
GRAD_STEPS = 2


class HamOptions(TypedDict, total=False):
    """Options of `Ham` by name, for what hands them on to it."""

    rank: int
    solver: Solver
    heads: int
    steps: int
    eval_steps: int | None
    grad_steps: int | None
    start: StartDictionary
    precision: Precision


def handed_on(options: HamOptions) -> HamOptions:
    """Return options on their way to `Ham`; raise TypeError for one that is not its own.

    What they pass on the way may have others by that name.
    """
    for name in options.keys() - HamOptions.__annotations__.keys():
        hint = did_you_mean(name, HamOptions.__annotations__)
        raise TypeError(f"there is no option {name!r}.{hint} See the documentation of what was called.")
    return options


class Ham(nn.Module):
    """Replace x by its low-rank reconstruction: X = D C + E becomes D C.

    Evaluation is deterministic: it always starts from `dictionary`, which the state dict holds.
    All of it runs in float32 under any autocast, the product D C too, unless `precision` says otherwise; the
    result has the type and layout of `x`, in float16 with what is beyond its range at its largest number.

    Args:
        dim: Channels of the input.
        rank: Columns of the dictionary, r.
        solver: `NMF`, `VQ` or `CD` of `subquad.ops`, with their hyper-parameters.
        heads: Decompose `dim` in so many contiguous groups of channels; must divide `dim`.
        steps: Iterations K while training.
        eval_steps: Iterations in evaluation; None takes `steps`.
        grad_steps: Last iterations kept in the graph: 0 is the paper's one-step gradient, with which no
            position hears what it does for another one; `steps` is back-propagation through time. None takes
            two, which suffice (docs/gradients.md), or all with a start that is learned. At most `steps`;
            evaluation takes what it has.
        start: Where the dictionary starts while training. "random" draws one per sample, "fixed"
            takes `dictionary`, "learned" makes it a parameter (trained only if
            `grad_steps == steps`), "running" takes `dictionary` and moves it towards the mean of
            the final dictionaries, once a training step (see `subquad.nn.running`).
        over: "space" takes each position for a column of X (dictionary in channel space);
            "channel" takes each channel for a column. There the start is X' `dictionary`, random
            mixtures of the channels, so that it fits images of any size.
        precision: Of the long products: "bfloat16" rounds their factors to 8 bits and adds up in float32, in
            which all else is, too; an error of less than 1 % for entries of about 1. (Larger ones sharpen the
            start, and another solution may be found that is as good.) Where that would not be faster, as on
            a CPU without such instructions, the first forward pass refuses. Exports are in float32.

    Attributes:
        dictionary: The start dictionary, (heads, dim // heads, rank).

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021, section 2.
    """

    dictionary: Tensor
    shared_dictionary: Tensor | None = None  # set by `sharing_dictionary` alone
    carried: list[Tensor] | None = None  # the last dictionary, if any; set by `carrying_dictionary` alone

    def __init__(
        self,
        dim: int,
        rank: int = 64,
        solver: Solver = NMF(),  # noqa: B008  a frozen value
        *,
        heads: int = 1,
        steps: int = 6,
        eval_steps: int | None = None,
        grad_steps: int | None = None,
        start: StartDictionary = "random",
        over: Over = "space",
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        check_precision(precision)
        check_is_solver(solver)
        eval_steps = steps if eval_steps is None else eval_steps
        if grad_steps is None:
            grad_steps = steps if start == "learned" else min(GRAD_STEPS, steps)
        _check_arguments(dim, rank, heads, steps, eval_steps, grad_steps, start, over)
        self.dim, self.rank, self.heads, self.solver = dim, rank, heads, solver
        self.steps, self.eval_steps, self.grad_steps = steps, eval_steps, grad_steps
        self.start, self.over = start, over
        self.precision: Precision = precision
        dictionary = torch.empty(heads, dim // heads, rank, dtype=torch.float32)
        if start == "learned":
            self.dictionary = nn.Parameter(dictionary)
        else:
            self.register_buffer("dictionary", dictionary)
        if start == "running":
            self.register_state_dict_pre_hook(_end_step)
            self.register_load_state_dict_pre_hook(_end_step)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the start dictionary."""
        if self.dictionary.is_meta:  # what is not to cost memory is not drawn either
            return
        # Its own generator: building a network twice gives the same dictionary.
        generator = torch.Generator().manual_seed(0)
        shape = self.dictionary.shape
        self.dictionary.copy_(self.solver.random_dictionary(shape, generator=generator, device="cpu"))

    @one_node
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the reconstruction of `x`.

        Args:
            x: `(batch, dim, *spatial)`, any number of spatial axes; non-negative for NMF.
            mask: `(batch, *spatial)`, True where a position counts. The others are zero in the
                result and change nothing elsewhere.

        Raises:
            ValueError: If the channels are not `dim`, or the mask does not fit.
        """
        dictionary, codes = self.factorize(x, mask)
        with autocast_off(x):
            if is_short(self.precision, codes.dtype):
                dictionary, codes = dictionary.bfloat16(), codes.bfloat16()
            if self.over == "channel":
                flat = product(dictionary, codes).mT
            elif self.heads == 1 and is_channels_last(x):
                flat = product(codes.mT, dictionary.mT).mT  # D C, laid out as x is
            else:
                flat = product(dictionary, codes)
        return in_range(flat.to(x.dtype)).reshape(x.shape)

    def factorize(self, x: Tensor, mask: Tensor | None = None) -> Factors:
        """Return the factors behind `forward`, in float32.

        Returns:
            The dictionary (batch * heads, columns' length, rank) and the codes
            (batch * heads, rank, columns). Over space, row r of the codes is the map of
            dictionary column r over the positions.
        """
        self._check_input(x, mask)
        columns = x.flatten(2).unflatten(1, (self.heads, -1)).flatten(0, 1)
        if mask is not None:
            mask = mask.flatten(1).repeat_interleave(self.heads, dim=0)
        steps = self.steps if self.training else self.eval_steps
        if self.shared_dictionary is not None and not self.training:
            shared = self.shared_dictionary.to(x.device).repeat(x.shape[0], 1, 1)
            codes = encode(columns, shared, self.solver, steps=steps, mask=mask, precision=self.precision)
            return Factors(shared, codes)
        grad_steps = min(self.grad_steps, steps)
        dictionary, account = self._start_dictionary(x)
        if self.over == "channel":
            columns, dictionary = self._channel_problem(columns, dictionary, mask)
            mask = None
        factors = decompose(
            columns, dictionary, self.solver,
            steps=steps, grad_steps=grad_steps, mask=mask, precision=self.precision,
        )  # fmt: skip
        if self.carried is not None and not self.training:
            self.carried[:] = [factors.dictionary.detach()]
        if account is not None:
            with torch.no_grad():
                mean = factors.dictionary.unflatten(0, (-1, self.heads)).mean(dim=0)
                move_once_a_step(self.dictionary, account, mean, x.shape[0])
        return factors

    def _start_dictionary(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return a start for each sample and head, (batch * heads, dim // heads, rank).

        The second is the account of the running dictionary, None if this pass does not move it.
        """
        account, precision = None, torch.promote_types(x.dtype, torch.float32)
        if self.training and self.start == "random":
            shape = (x.shape[0] * self.heads, *self.dictionary.shape[1:])
            return self.solver.random_dictionary(shape, device=x.device).to(precision), None
        if self.carried and not self.training:
            # Columns of length one, as every start has: the first codes of NMF depend on their scale.
            return F.normalize(self.carried[0].to(x.device, precision), dim=-2), None
        dictionary = self.dictionary
        if self.training and self.start == "running":
            with torch.no_grad():
                dictionary, account = start_of_step(dictionary)
        dictionary = dictionary.to(precision)
        if self.start == "learned":
            dictionary = self.solver.admissible(dictionary)
        return dictionary.expand(x.shape[0], -1, -1, -1).flatten(0, 1), account

    def _channel_problem(
        self, columns: Tensor, mixture: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return X with a channel a column, and its start: normalised mixtures of the channels."""
        x = columns.mT.to(mixture.dtype)  # (batch * heads, positions, dim // heads)
        if mask is not None:
            x = x.where(mask.unsqueeze(-1), 0)
        with autocast_off(x):
            return x, F.normalize(x.detach() @ mixture, dim=-2)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; evaluation ends the step of a running dictionary."""
        if not mode:
            _end_step(self)
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made from: the dictionary, and not where its step began."""
        _end_step(self)
        return self.__dict__

    def _check_input(self, x: Tensor, mask: Tensor | None) -> None:
        if x.dim() < 3 or x.shape[1] != self.dim:
            raise ValueError(
                f"expected (batch, {self.dim}, *spatial), got {tuple(x.shape)}; build "
                f"Ham(dim=...) with the channels of the input."
            )
        if 0 in x.shape:
            raise ValueError(f"expected at least one sample and one position, got {tuple(x.shape)}.")
        if mask is not None and (mask.dtype != torch.bool or mask.shape != (x.shape[0], *x.shape[2:])):
            raise ValueError(
                f"mask must be boolean of shape {(x.shape[0], *x.shape[2:])} (True where a position "
                f"counts), got {mask.dtype} {tuple(mask.shape)}."
            )

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return (
            f"{self.dim}, rank={self.rank}, solver={self.solver}, heads={self.heads}, steps={self.steps}, "
            f"eval_steps={self.eval_steps}, grad_steps={self.grad_steps}, start={self.start!r}, "
            f"over={self.over!r}, precision={self.precision!r}"
        )


def _end_step(ham: Ham, *_: Any) -> None:
    if ham.start == "running":
        end_step_of(ham.dictionary)


def _check_arguments(
    dim: int,
    rank: int,
    heads: int,
    steps: int,
    eval_steps: int,
    grad_steps: int,
    start: str,
    over: str,
) -> None:
    sizes = {"dim": dim, "rank": rank, "heads": heads, "steps": steps, "eval_steps": eval_steps}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if dim % heads:
        raise ValueError(f"heads must divide dim, got {heads} heads for dim {dim}.")
    if not 0 <= grad_steps <= steps:
        raise ValueError(f"grad_steps must be 0 to steps = {steps}, got {grad_steps}.")
    if start not in get_args(StartDictionary):
        raise ValueError(f"start must be one of {', '.join(get_args(StartDictionary))}, got {start!r}.")
    if over not in get_args(Over):
        raise ValueError(f'over must be "space" or "channel", got {over!r}.')
    if start == "running" and over == "channel":
        raise ValueError('start="running" keeps a dictionary of channel space; it needs over="space".')
    if start == "learned" and grad_steps < steps:
        warnings.warn(
            f'start="learned" is trained only through all iterations; with grad_steps={grad_steps} of '
            f"{steps} the dictionary stays as it is. Set grad_steps={steps}.",
            stacklevel=3,
        )

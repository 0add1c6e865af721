"""The chain of causal links with its own gradient, by blocks: some heads of some samples at a time.

With u_0 the values and a_m the gates, factor m gives ``u_{m+1}[i] = u_m[i] + a_m[i] (u_m[i - o] - u_m[i])``,
o = 2**m, and nothing before the start. Scaled at the end only, so that a factor is one pass. Back, with g the
gradient of u_{m+1}::

    of a_m[i]:  <g[i], u_m[i - o] - u_m[i]>        of u_m[i]:  (1 - a_m[i]) g[i] + a_m[i + o] g[i + o]

Inside a block the positions of a channel lie side by side, whatever the layout outside: a shift is then a
view, and a gate is a row for all channels of its head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.link_rows import precision_of

# Entries of the values in a block: what they are between factors stays in the cache. On a GPU every
# operation is a launch, and blocks are few.
_BLOCK = 2**18
_BLOCK_ON_GPU = 2**22

Plain = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]
Block = tuple[slice, slice]  # samples and heads


def chain_by_blocks(
    values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None, plain: Plain
) -> Tensor:
    """Return the mixed values; see `causal_link_chain`.

    Args:
        values: (batch, n, dim).
        logits: (M, heads).
        hidden: (batch, n, width), or None.
        weight: (M, heads, width), or None.
        plain: The same in ordinary operations, for gradients that are to be differentiated again.
    """
    y = _ByBlocks.apply(values, logits, hidden, weight, plain)
    assert isinstance(y, Tensor)
    return y


class _ByBlocks(torch.autograd.Function):
    """The chain, of which the arguments alone are kept."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None, plain: Plain
    ) -> Tensor:
        """Return the mixed values."""
        ctx.save_for_backward(values, logits, hidden, weight)
        ctx.plain = plain
        with autocast_off(values):
            return _mixed(values, logits, hidden, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of all tensors; with a graph of their own where that is wanted."""
        (grad,) = grads
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad
        if not torch.is_grad_enabled():
            with autocast_off(grad):
                return (*_gradients(grad, *saved, gates_too=any(needed[1:])), None)
        # Views: what one argument owes to another has its own way back.
        views = [None if x is None else x.view_as(x) for x in saved]
        wanted: list[Any] = [
            view for view, is_wanted in zip((*views, None), needed, strict=True) if is_wanted
        ]
        found = iter(torch.autograd.grad(ctx.plain(*views), wanted, grad, create_graph=True))
        return tuple(next(found) if is_wanted else None for is_wanted in needed)


def _mixed(values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None) -> Tensor:
    y = torch.empty_like(values)
    chain = _Chain(values, logits, hidden, weight)
    for block in chain.blocks():
        now, gates = chain.copied(values, block), chain.gates(block)
        then = torch.empty_like(now)
        for m in range(chain.factors):
            _mix(now, gates[:, m], 2**m, then)
            now, then = then, now
        chain.cut(y, block).copy_(now.mul_(chain.scale))
    return y


def _gradients(
    grad: Tensor,
    values: Tensor,
    logits: Tensor,
    hidden: Tensor | None,
    weight: Tensor | None,
    *,
    gates_too: bool,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of values, logits, hidden and weight; of the values alone unless `gates_too`."""
    chain = _Chain(values, logits, hidden, weight)
    to_values, sums = torch.empty_like(values), chain.zeros()
    for block in chain.blocks():
        g, gates = chain.copied(grad, block).mul_(chain.scale), chain.gates(block)
        if gates_too:
            inputs = g.new_empty(chain.factors, *g.shape)
            inputs[0] = chain.cut(values, block)
            for m in range(1, chain.factors):
                _mix(inputs[m - 1], gates[:, m - 1], 2 ** (m - 1), inputs[m])
            to_gates = torch.empty_like(gates, memory_format=torch.contiguous_format)
            _go_back(g, gates, inputs, to_gates)
            chain.add(to_gates.mul_(gates * (1 - gates)), block, sums)
        else:
            _go_back(g, gates)
        chain.cut(to_values, block).copy_(g)
    if not gates_too:
        return to_values, None, None, None
    beside = zip(sums, (logits, hidden, weight), strict=True)
    return to_values, *(None if x is None or total is None else total.to(x.dtype) for total, x in beside)


class _Chain:
    """The arguments in the precision of sums, block by block."""

    def __init__(self, values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None) -> None:
        self.dtype = precision_of(values)
        self.batch, self.n, self.dim = values.shape
        self.factors, self.heads = logits.shape
        self.scale = 2 ** (self.factors / 2)
        self.most = _BLOCK_ON_GPU if values.is_cuda else _BLOCK
        self.logits = logits.to(self.dtype)
        self.hidden = None if hidden is None else hidden.to(self.dtype)
        self.weight = None if weight is None else weight.to(self.dtype)

    def blocks(self) -> Iterator[Block]:
        """Yield which samples and heads to take at a time."""
        of_head = self.n * self.dim // self.heads
        samples = min(self.batch, max(1, self.most // of_head))
        heads = max(1, self.most // (of_head * samples))
        for first in range(0, self.batch, samples):
            for head in range(0, self.heads, heads):
                yield slice(first, first + samples), slice(head, head + heads)

    def cut(self, x: Tensor, block: Block) -> Tensor:
        """Return a block of (batch, n, dim) as (samples, heads, channels of a head, n), a view."""
        samples, heads = block
        return x[samples].mT.unflatten(1, (self.heads, -1))[:, heads]

    def copied(self, x: Tensor, block: Block) -> Tensor:
        """Return a copy of the block with positions side by side."""
        part = self.cut(x, block)
        return torch.empty(part.shape, dtype=self.dtype, device=x.device).copy_(part)

    def gates(self, block: Block) -> Tensor:
        """Return the gates of a block, (samples, M, heads, n)."""
        samples, heads = block
        logits, size = self.logits[:, heads], len(range(self.batch)[samples])
        if self.hidden is None or self.weight is None:
            return logits.sigmoid().view(1, *logits.shape, 1).expand(size, -1, -1, self.n)
        weight = self.weight[:, heads].flatten(0, 1).expand(size, -1, -1)
        flat = torch.baddbmm(logits.reshape(-1, 1), weight, self.hidden[samples].mT)
        return flat.sigmoid_().unflatten(1, logits.shape)

    def zeros(self) -> list[Tensor | None]:
        """Return where the gradients of logits, hidden and weight are summed up."""
        return [None if x is None else torch.zeros_like(x) for x in (self.logits, self.hidden, self.weight)]

    def add(self, grad: Tensor, block: Block, sums: list[Tensor | None]) -> None:
        """Add what a block gives, of the gradient of its logits (samples, M, heads, n)."""
        samples, heads = block
        to_logits, to_hidden, to_weight = sums
        assert to_logits is not None
        to_logits[:, heads] += grad.sum((0, 3))
        if self.hidden is None or self.weight is None or to_hidden is None or to_weight is None:
            return
        flat = grad.flatten(1, 2)
        weight = self.weight[:, heads].flatten(0, 1).expand(len(flat), -1, -1)
        to_hidden[samples].baddbmm_(flat.mT, weight)
        to_weight[:, heads] += (flat @ self.hidden[samples]).sum(0).unflatten(0, (self.factors, -1))


def _mix(u: Tensor, gates: Tensor, offset: int, y: Tensor) -> None:
    """Write a factor of `u`, (samples, heads, channels, n), into `y`; gates are (samples, heads, n)."""
    a, n = gates.unsqueeze(2), u.shape[-1]
    start = min(offset, n)
    first = u[..., :start]
    torch.addcmul(first, first, a[..., :start], value=-1, out=y[..., :start])
    torch.lerp(u[..., start:], u[..., : n - start], a[..., start:], out=y[..., start:])


def _go_back(g: Tensor, gates: Tensor, inputs: Tensor | None = None, to_gates: Tensor | None = None) -> None:
    """Make the gradient of the result of all factors that of their values, in place.

    Args:
        g: (samples, heads, channels, n).
        gates: (samples, M, heads, n).
        inputs: Of each factor, as `g`; with it the gradients of the gates are written.
        to_gates: Where to, as `gates`.
    """
    n, work = g.shape[-1], torch.empty_like(g)
    for m in reversed(range(gates.shape[1])):
        start = min(2**m, n)
        if inputs is not None and to_gates is not None:
            u = inputs[m]
            torch.neg(u[..., :start], out=work[..., :start])
            torch.sub(u[..., : n - start], u[..., start:], out=work[..., start:])
            torch.sum(work.mul_(g), dim=2, out=to_gates[:, m])
        torch.mul(g, gates[:, m].unsqueeze(2), out=work)
        g -= work
        g[..., : n - start] += work[..., start:]

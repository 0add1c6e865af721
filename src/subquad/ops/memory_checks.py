"""What a linear memory is given, looked at before anything is computed."""

from __future__ import annotations

from torch import Tensor

SOLVERS = ("ridge", "gradient", "none")
GRADIENTS = ("one_step", "full")


def check_options(solver: str, grad: str, chunk: int) -> None:
    """Raise ValueError for a solver, a kind of gradient or a chunk that there is not."""
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}.")
    if grad not in GRADIENTS:
        raise ValueError(f"grad must be one of {', '.join(GRADIENTS)}, got {grad!r}.")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}.")


def check_memory(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_gamma: Tensor, solver: str, ridge: Tensor | None
) -> None:
    """Raise ValueError if shapes or types do not fit; the last axis of q, k and v is that of a head."""
    shapes = [tuple(x.shape) for x in (q, k, v, beta, log_gamma)]
    fits = shapes[0] == shapes[1] and shapes[0][:-1] == shapes[2][:-1] == shapes[3] == shapes[4]
    if not fits or 0 in shapes[0]:
        raise ValueError(
            "q, k and v must be of the same batch, heads and positions, of which beta and log_gamma have one "
            f"number each, q and k of the same size, got {', '.join(map(str, shapes))}."
        )
    for name, x in {"q": q, "k": k, "v": v, "beta": beta, "log_gamma": log_gamma}.items():
        if not x.is_floating_point():
            raise ValueError(f"{name} must be of a floating point type, got {x.dtype}; use .float().")
    if solver != "ridge":
        return
    if ridge is None or ridge.shape != (q.shape[1], q.shape[-1]):
        raise ValueError(
            f'solver="ridge" takes a ridge (heads, key size) = {(q.shape[1], q.shape[-1])}, got '
            f"{None if ridge is None else tuple(ridge.shape)}."
        )

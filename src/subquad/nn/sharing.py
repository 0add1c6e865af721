"""Hams that work otherwise for a while: one dictionary for the tiles of an image, another number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from subquad.nn.ham import Ham


@contextmanager
def sharing_dictionary(ham: Ham, dictionary: Tensor) -> Iterator[None]:
    """Let a ham in evaluation encode every input with this dictionary instead of finding one for each.

    What a position gets then depends on its own column alone. Training is as ever.

    Args:
        ham: With over="space".
        dictionary: (heads, dim // heads, rank), such as `ham.factorize(columns).dictionary` of a
            single sample.

    Raises:
        ValueError: If the ham decomposes over channels, or the dictionary is not of that shape.
    """
    refuse_channels(ham)
    if dictionary.shape != ham.dictionary.shape:
        raise ValueError(
            f"the dictionary must be (heads, dim // heads, rank) = {tuple(ham.dictionary.shape)}, got "
            f"{tuple(dictionary.shape)}."
        )
    before = ham.shared_dictionary
    ham.shared_dictionary = dictionary
    try:
        yield
    finally:
        ham.shared_dictionary = before


@contextmanager
def carrying_dictionary(ham: Ham, carried: list[Tensor]) -> Iterator[None]:
    """Let a ham in evaluation start where it ended the last time, as for the next frame of a film.

    Training is as ever, and so is the ham afterwards: what is carried is the caller's.

    Args:
        ham: With over="space".
        carried: Empty at first, so that the ham starts as ever; then it holds the last dictionary
            (batch * heads, dim // heads, rank). Empty it where nothing goes on.

    Raises:
        ValueError: If the ham decomposes over channels.
    """
    refuse_channels(ham)
    before = ham.carried
    ham.carried = carried
    try:
        yield
    finally:
        ham.carried = before


@contextmanager
def watching_input(ham: Ham, see: Callable[[Tensor], None]) -> Iterator[None]:
    """Show each input of a ham, `(batch, dim, *spatial)`, to a function before it is decomposed."""
    handle = ham.register_forward_pre_hook(lambda _, arguments: see(arguments[0]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def evaluating_steps(module: nn.Module, steps: int | None) -> Iterator[None]:
    """Let all hams of a module take so many iterations in evaluation.

    Args:
        module: Not to be used by another thread meanwhile: the number is the ham's own.
        steps: At least 1; None leaves each ham its own.
    """
    hams = [part for part in module.modules() if isinstance(part, Ham)]
    before = [ham.eval_steps for ham in hams]
    for ham in hams:
        ham.eval_steps = ham.eval_steps if steps is None else steps
    try:
        yield
    finally:
        for ham, own in zip(hams, before, strict=True):
            ham.eval_steps = own


def refuse_channels(ham: Ham) -> None:
    """Raise ValueError if the dictionary of a ham is tied to one input."""
    if ham.over == "channel":
        raise ValueError(
            'a ham with over="channel" has a dictionary of positions, which fits one image; only one '
            'with over="space" can share it.'
        )

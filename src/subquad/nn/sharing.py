"""One dictionary for several inputs of a ham, such as the tiles of one image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

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
def watching_input(ham: Ham, see: Callable[[Tensor], None]) -> Iterator[None]:
    """Show each input of a ham, `(batch, dim, *spatial)`, to a function before it is decomposed."""
    handle = ham.register_forward_pre_hook(lambda _, arguments: see(arguments[0]))
    try:
        yield
    finally:
        handle.remove()


def refuse_channels(ham: Ham) -> None:
    """Raise ValueError if the dictionary of a ham is tied to one input."""
    if ham.over == "channel":
        raise ValueError(
            'a ham with over="channel" has a dictionary of positions, which fits one image; only one '
            'with over="space" can share it.'
        )

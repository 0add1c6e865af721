"""Whether the classes of a network are those of its data."""

from __future__ import annotations

from collections.abc import Sequence

from subquad.base.suggest import first_of
from subquad.models import NetworkConfig


def check_class_count(asked: int | None, names: Sequence[str]) -> None:
    """Raise ValueError if another number of classes is asked for than the data have.

    Args:
        asked: Of `--model.num_classes`; None if it is not given.
        names: Of the classes of the data; of values to be told instead, there are none.
    """
    count = len(names) or 1
    if asked is not None and asked != count:
        known = f" ({first_of(names)})" if names else ""
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {count} classes{known}; leave the option out."
        )


def check_same_classes(config: NetworkConfig, names: Sequence[str], checkpoint: str) -> None:
    """Raise ValueError unless a network was trained on the classes of the data.

    Args:
        config: Of the network; one without names is taken at its number of classes.
        names: Of the classes of the data; none where they are values.
        checkpoint: What it is called in the complaint.
    """
    known = config.class_names or tuple(names)
    if config.num_classes != (len(names) or 1) or tuple(names) != known:
        ours = f" ({first_of(config.class_names)})" if config.class_names else ""
        theirs = f"{len(names)} ({first_of(names)})" if names else "values, not classes"
        raise ValueError(
            f"{checkpoint} knows {config.num_classes} classes{ours}, the data has {theirs}; evaluate on the "
            f"data it was trained for."
        )

"""The options of an evaluation protocol: a published one by name, and what differs from it."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_type_hints

from subquad.tasks.segmentation.protocol import EvaluationProtocol, protocol_from


def _protocol_options() -> type[Any]:
    """Make the options from those of `EvaluationProtocol`: each optional, None for the named protocol's."""
    hints = get_type_hints(EvaluationProtocol)
    fields: list[Any] = [
        ("name", str, "whole"),
        *((f.name, hints[f.name] | None, None) for f in dataclasses.fields(EvaluationProtocol)),
    ]
    options = dataclasses.make_dataclass("ProtocolOptions", fields)
    described = inspect.cleandoc(EvaluationProtocol.__doc__ or "").partition("Attributes:\n")[2]
    options.__doc__ = (
        "How images are presented to the network, and what differs from the named protocol.\n\n"
        "Attributes:\n    name: A published protocol, such as voc_test; short: `--protocol voc_test`.\n"
        + described
    )
    return options


ProtocolOptions = _protocol_options()


def resolve_protocol(options: Any) -> EvaluationProtocol:
    """Return the protocol of these options.

    Raises:
        ValueError: If its name is unknown or a value does not fit.
    """
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(EvaluationProtocol)}
    differing = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(protocol_from(options.name), **differing)


def protocol_defaults(saved: dict[str, Any]) -> dict[str, Any]:
    """Return the protocol that a run was evaluated by as defaults of `--protocol.*`.

    Args:
        saved: The section `protocol` of a run's config.yaml.
    """
    plain = dataclasses.asdict(EvaluationProtocol())
    return {
        f"protocol.{name}": value
        for name, value in saved.items()
        if (tuple(value) if isinstance(value, list) else value) != plain.get(name)
    }

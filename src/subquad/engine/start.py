"""The weights that a training starts from: what they ask of the network, and how they get there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from subquad.engine.options import given_options
from subquad.engine.parsing import Parser
from subquad.engine.progress import is_first_process
from subquad.engine.recipes import check_start
from subquad.engine.run_folder import is_resumable


def settle_start(p: Parser, options: Any) -> None:
    """Take the start that is among the arguments, where a recipe names the other kind of start.

    A planned run's `config.yaml` names `pretrained`; another run may begin from that run's weights. The
    backbone stays the one that `pretrained` told.

    Args:
        p: The parser.
        options: What it parsed; `pretrained` or `weights` is set to None.
    """
    names = ("model.weights", "model.pretrained")
    for one, other in (names, names[::-1]):
        if one in options and other in options and options[one] and p.is_given(one) and not p.is_given(other):
            if "model.backbone" in options and options["model.backbone"] is None:
                options["model.backbone"] = _backbone_of(options[other])
            options[other] = None


def _backbone_of(start: Any) -> str | None:
    """Return the backbone of pretrained weights that have a name; None for all others."""
    from subquad.models.pretrained import PACKAGED

    return PACKAGED[start].backbone if start in PACKAGED else None


def started(config: Any, options: Any) -> Any:
    """Return a configuration with the backbone, mean and standard deviation of the weights to start from.

    Args:
        config: Of the network with all that is given.
        options: Of the model; `weights` or `pretrained` names the weights.

    Raises:
        ValueError: If both are named, or they do not fit the network.
    """
    from subquad.models.pretrained import with_pretrained, with_start

    if options.weights and options.pretrained:
        raise ValueError(
            f"--model.weights {options.weights} and --model.pretrained {options.pretrained} both tell where "
            f"to start from; give one of the two."
        )
    given = given_options(options)
    if options.weights:
        return with_start(config, options.weights, given)
    return with_pretrained(config, options.pretrained, given)


def load_start(network: Any, options: Any, folder: Path) -> None:
    """Fill the network from a file, if one is named and no run goes on, and print what was loaded.

    Args:
        network: What is trained.
        options: Of the model; `weights`, or `pretrained` where there is that option.
        folder: Of the run.
    """
    from subquad.models import load_original
    from subquad.models.pretrained import pretrained_file

    weights, pretrained = options.weights, getattr(options, "pretrained", None)
    if is_resumable(folder):
        return
    if weights:
        check_start(weights)
        path = weights
    elif pretrained:
        path = pretrained_file(pretrained, network.config.backbone)
    else:
        return
    report = load_original(network, path)
    if is_first_process():
        sys.stdout.write(f"{path}: {report}\n")

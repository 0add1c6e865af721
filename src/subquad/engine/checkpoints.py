"""Which checkpoint a command means, and where its network shall work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subquad.models import list_models
from subquad.models.ready import READY, ready_path


def is_checkpoint(model: str) -> bool:
    """Say whether the model of a command is a checkpoint rather than a name of `subquad models`."""
    if ready_path(model) is not None:
        return True
    return model not in list_models() and (Path(model).exists() or "/" in model or "." in model)


def checkpoint_path(path: str) -> Path:
    """Return the weights that a path means: a file, the best of a run's folder, or a ready network's.

    Raises:
        FileNotFoundError: If there is neither.
    """
    if (ready := ready_path(path)) is not None:
        return ready
    found = Path(path)
    if found.is_dir():
        found = found / "best.safetensors"
        last = Path(path) / "last.safetensors"
        if not found.is_file() and last.is_file():
            raise FileNotFoundError(
                f"there is no {found}: the run in {path} has had no evaluation; give the weights of its end: "
                f"{last}."
            )
        if not found.is_file() and (Path(path) / "last.ckpt").is_file():
            raise FileNotFoundError(
                f"there is no {found} yet: the run in {path} has had no evaluation; go on with it: subquad "
                f"fit --config {Path(path) / 'config.yaml'} --resume."
            )
    if not found.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint {found}; give a .safetensors file or a folder that `subquad fit` wrote, "
            f"or {', '.join(READY)}, which comes with subquad."
        )
    return found


def move(network: Any, device: str) -> Any:
    """Return a network on a device.

    Raises:
        ValueError: If the device cannot be used.
    """
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {device} cannot be used here: {reason}") from error

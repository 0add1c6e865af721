"""Checkpoints: one safetensors file that holds the weights and what they belong to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from subquad.base.files import write_whole
from subquad.models.config import NetworkConfig, solver_from_json, solver_to_json
from subquad.models.registry import FAMILIES

_KEY = "subquad"
_FORMAT = 1


def save_model(model: nn.Module, path: str | Path) -> None:
    """Write weights and configuration to one file, atomically: a file that is there is whole.

    Args:
        model: A network of `create_model`.
        path: Of the file; ".safetensors" by custom. Its folder is made if needed.

    Raises:
        ValueError: If the model has no configuration of ours.
    """
    from safetensors.torch import save

    config = getattr(model, "config", None)
    if not isinstance(config, NetworkConfig):
        raise ValueError(f"only networks of subquad.create_model can be saved, got {type(model).__name__}.")
    # safetensors stores rows in order: weights in channels_last are copied.
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_whole(path, save(tensors, metadata={_KEY: config_to_json(config)}))


def load_model(path: str | Path) -> nn.Module:
    """Rebuild a network from a file of `save_model`; nothing else is needed.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, or its weights do not fit its configuration.
    """
    tensors, metadata = read_safetensors(path)
    model = _config_in(metadata, path).build()
    ours = model.state_dict()
    wrong = [n for n in ours if n not in tensors or tensors[n].shape != ours[n].shape]
    wrong += [n for n in tensors if n not in ours]
    if wrong:
        raise ValueError(
            f"{path} does not fit its own configuration: {len(wrong)} tensors such as {wrong[0]!r} are "
            f"missing, surplus or of another shape; the file is damaged."
        )
    model.load_state_dict(tensors)
    return model.eval()


def read_config(path: str | Path) -> NetworkConfig:
    """Return the configuration in a file of `save_model`, without its weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file.
    """
    return _config_in(_read(path, weights=False)[1], path)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a safetensors file.
    """
    return _read(path, weights=True)


def _read(path: str | Path, *, weights: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys()) if weights else []  # the file itself is no mapping
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        start = path.read_bytes()[:16]
        raise ValueError(
            f"{path} is not a safetensors file (it starts with {start!r}: {error}); copy it "
            f"again, or give the file that is meant."
        ) from error


def holds_config(path: str | Path) -> bool:
    """Say whether a safetensors file is one of `save_model`; errors as of `read_safetensors`."""
    return _KEY in _read(path, weights=False)[1]


def _config_in(metadata: dict[str, str], path: str | Path) -> NetworkConfig:
    if _KEY not in metadata:
        raise ValueError(
            f"{path} holds weights but no subquad configuration; build the network with create_model "
            f"and fill it with load_original(model, path)."
        )
    return config_from_json(metadata[_KEY], path)


def config_to_json(config: NetworkConfig) -> str:
    """Return a configuration as text, with its family."""
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    if "solver" in values:
        values["solver"] = solver_to_json(values["solver"])
    return json.dumps({"format": _FORMAT, "family": config.family, "config": values})


def config_from_json(text: str, path: str | Path) -> NetworkConfig:
    """Inverse of `config_to_json`.

    Raises:
        ValueError: If the text is of a newer version or of an unknown family; `path` is quoted.
    """
    content = json.loads(text)
    if content["format"] > _FORMAT or content["family"] not in FAMILIES:
        raise ValueError(
            f"{path} holds a network of family {content['family']!r}, format {content['format']}, which this "
            f"version of subquad does not know; update subquad."
        )
    values: dict[str, Any] = {name: _tuples(value) for name, value in content["config"].items()}
    if "solver" in values:
        values["solver"] = solver_from_json(values["solver"])
    return FAMILIES[content["family"]](**values)


def _tuples(value: Any) -> Any:
    """JSON knows only lists; a frozen configuration holds tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

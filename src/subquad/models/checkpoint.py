"""Checkpoints: one safetensors file that holds the weights and what they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from subquad.base.files import write_whole
from subquad.base.finite import not_finite
from subquad.base.limits import LARGEST_HEADER, MOST_TENSORS
from subquad.base.suggest import and_more
from subquad.models.blueprint import blueprint
from subquad.models.config import NetworkConfig
from subquad.models.config_text import config_from_json, config_to_json
from subquad.models.portable import made_portable
from subquad.models.ready import ready_path
from subquad.models.registry import family_called
from subquad.models.wrappers import bare_state, unwrapped

if TYPE_CHECKING:
    from subquad.models.network import Network

_KEY = "subquad"


def save_model(model: nn.Module, path: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write weights and configuration to one file, atomically: a file that is there is whole.

    Args:
        model: A network of `create_model`; also compiled, in data parallelism, or averaged: it is saved
            under its own names.
        path: Of the file; ".safetensors" by custom. Its folder is made if needed.
        dtype: Of the numbers in the file: `torch.float16` halves it, and `load_model` gives float32 again.
            None writes them as they are.

    Raises:
        ValueError: If a weight does not fit into `dtype`, or the file could not be loaded again: the model
            has no configuration of ours, its family is not registered, or it is no longer the network that
            its configuration builds.
    """
    from safetensors.torch import save

    config = getattr(unwrapped(model), "config", None)
    if not isinstance(config, NetworkConfig):
        raise ValueError(f"only networks of subquad.create_model can be saved, got {type(model).__name__}.")
    if family_called(config.family) is not type(config):
        raise ValueError(
            f"{type(config).__name__} is not registered as the family {config.family!r}, so its file could "
            f"not be loaded again; decorate it with subquad.models.register_family."
        )
    try:
        text = config_to_json(config)
        is_same = config_from_json(text, path) == config
    except (TypeError, ValueError) as error:
        raise ValueError(f"a file cannot hold the options of {type(config).__name__}: {error}") from error
    if not is_same:
        raise ValueError(f"a file cannot hold the options of {type(config).__name__}: {text} differs.")
    state = bare_state(model)
    _check_built(state, config)
    # safetensors stores rows in order: weights in channels_last are copied, and so are shared ones.
    seen: set[int] = set()
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        ours = _stored(name, tensor.detach().cpu().contiguous(), dtype)
        shared = ours.untyped_storage().data_ptr() in seen
        tensors[name] = ours.clone() if shared else ours
        seen.add(tensors[name].untyped_storage().data_ptr())
    write_whole(path, save(tensors, metadata={_KEY: text}))


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Return a tensor as the file holds it."""
    if dtype is None or not tensor.is_floating_point():
        return tensor
    stored = tensor.to(dtype)
    if not_finite({name: stored}) and not not_finite({name: tensor}):
        most = float(tensor.abs().max())
        raise ValueError(f"{name} holds {most:.3g}, which is too large for {dtype}; save it as it is.")
    return stored


def load_model(path: str | Path, *, allow_not_finite: bool = False) -> Network:
    """Rebuild a network from a file of `save_model`; nothing else is needed.

    Args:
        path: Of the file; or the name of a network that comes with the package, such as "nuclei".
        allow_not_finite: Load weights that are NaN or infinite, to look at them.

    Returns:
        The network on the CPU, in evaluation mode; in float32, with a warning, if it was trained with
        products in bfloat16 and this machine would not be faster with them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, its weights do not fit its configuration, or they are not
            finite.
    """
    with _opened(path) as file:
        config = _config_in(file, path)
        _check_header(file, _asked_for(config, path), path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    model = config.build()
    model.load_state_dict(tensors)
    if not allow_not_finite:
        refuse_not_finite(model.state_dict(), path)
    made_portable(model, path)
    return model.eval()


def read_config(path: str | Path) -> NetworkConfig:
    """Return the configuration in a file of `save_model`, without its weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file.
    """
    with _opened(path) as file:
        return _config_in(file, path)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a safetensors file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def holds_config(path: str | Path) -> bool:
    """Say whether a safetensors file is one of `save_model`; errors as of `read_safetensors`."""
    with _opened(path) as file:
        return _KEY in (file.metadata() or {})


def refuse_not_finite(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raise ValueError if a weight is NaN or infinite, naming the tensors and where they are from."""
    wrong = not_finite(tensors)
    if wrong:
        raise ValueError(
            f"{and_more(wrong)} in {where} hold{'' if wrong[1:] else 's'} NaN or infinity; take weights from "
            f"before that."
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """Open a safetensors file; what is wrong with it, then or while it is read, is one sentence."""
    from safetensors import SafetensorError, safe_open

    path = ready_path(path) or Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file, such as the best.safetensors of a run.")
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}.")
    with path.open("rb") as file:
        start = file.read(16)
    header = int.from_bytes(start[:8], "little")
    try:
        if LARGEST_HEADER < header <= path.stat().st_size:
            raise ValueError(f"{path} has a header of {header:,} bytes, and {LARGEST_HEADER:,} are the most.")
        with safe_open(path, framework="pt") as file:
            count = len(file.keys())
            if count > MOST_TENSORS:
                raise ValueError(f"{path} holds {count:,} tensors, and {MOST_TENSORS:,} are the most.")
            yield file
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a safetensors file (it starts with {start!r}: {error}); copy it "
            f"again, or give the file that is meant."
        ) from error


def _config_in(file: Any, path: str | Path) -> NetworkConfig:
    metadata = file.metadata() or {}
    if _KEY not in metadata:
        raise ValueError(
            f"{path} holds weights but no subquad configuration; build the network with create_model "
            f"and fill it with load_original(model, path)."
        )
    return config_from_json(metadata[_KEY], path)


def _asked_for(config: NetworkConfig, path: str | Path) -> dict[str, Tensor]:
    try:
        return blueprint(config)
    except Exception as error:  # a backbone that is unknown, widths that do not divide, and so on
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ValueError(f"no network can be built from the configuration in {path}: {reason}.") from error


def _check_header(file: Any, ours: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise ValueError unless a file holds what its network asks for; no weight is read for that."""
    theirs = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  no mapping
    wrong = [
        name
        for name, tensor in ours.items()
        if name not in theirs
        or theirs[name].get_shape() != list(tensor.shape)
        or _is_real(theirs[name].get_dtype()) != tensor.is_floating_point()
    ]
    wrong += [name for name in theirs if name not in ours]
    if wrong:
        raise ValueError(
            f"{path} does not fit its own configuration: {len(wrong)} tensors such as {wrong[0]!r} are "
            f"missing, surplus or of another shape; the file is damaged."
        )


def _is_real(dtype: str) -> bool:
    """Say whether the numbers of a safetensors type, such as "BF16" or "I64", have a fraction."""
    return dtype.startswith(("F", "BF"))


def _check_built(state: Mapping[str, Tensor], config: NetworkConfig) -> None:
    """Raise ValueError unless a state dict is that of the network that the configuration builds."""
    ours = blueprint(config)
    found = {
        "surplus": [name for name in state if name not in ours],
        "missing": [name for name in ours if name not in state],
        "of another shape": [n for n, t in ours.items() if n in state and state[n].shape != t.shape],
        "without values": [n for n in ours if n in state and state[n].is_meta],
    }
    told = [f"{and_more(names)} {what}" for what, names in found.items() if names]
    if told:
        raise ValueError(
            f"the network is not the one that its configuration builds, so its file could not be loaded "
            f"again: {'; '.join(told)}; undo what changed it (remove_context for insert_context), or keep "
            f"its state_dict() with torch.save."
        )

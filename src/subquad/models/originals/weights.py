"""Weights from any file: plain tensors by name, out of whatever they were wrapped in."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad.base.files import check_unpacked
from subquad.base.limits import LARGEST_UNPACKED
from subquad.base.pickles import Ignored, load_plain
from subquad.models.checkpoint import read_safetensors, refuse_not_finite
from subquad.models.fields import shown
from subquad.models.wrappers import WRAPPERS, bare_names, find_weights


def read_weights(source: str | Path | Mapping[str, Any], *, known: Iterable[str] = ()) -> dict[str, Tensor]:
    """Return the bare state dict of a file or of a wrapped state dict.

    Args:
        source: See `load_original`.
        known: The names of the network that is to be filled, if there is one: those are never shortened.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read safely, holds no weights, or one that is no finite number.
    """
    content: Any = source
    where = source if isinstance(source, (str, Path)) else "the state dict"
    if isinstance(source, (str, Path)):
        content = _read_file(Path(source))
    found = find_weights(content)
    found = {n: value for n, value in found.items() if isinstance(n, str) and hasattr(value, "shape")}
    if not found:
        raise ValueError(
            f"no weights in {where}: it holds {', '.join(map(shown, list(content)[:8])) or 'nothing'}; "
            f"they are looked for there and under {', '.join(WRAPPERS)}."
        )
    names = bare_names(found, known)
    tensors = {names[name]: _plain(name, value, where) for name, value in found.items()}
    refuse_not_finite(tensors, where)
    return tensors


def _plain(name: str, value: Any, where: object) -> Tensor:
    """Return an ordinary tensor; refuse what is none, or larger than what stands behind it."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} in {where} is no tensor of numbers, but {type(value).__name__}.") from error
    ordinary = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized)
    if not ordinary or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(
            f"{name} in {where} is no plain tensor (sparse, quantised, without values, repeated by "
            f"strides); save it with .to_dense(), .dequantize() or .clone()."
        )
    # float8 and the like cannot be asked whether they are finite
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() == 1 else tensor


def _read_file(path: Path) -> Any:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file of weights, such as one in it.")
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}.")
    if path.suffix == ".npz":
        return _read_npz(path)
    try:
        content = load_plain(path, ignore_others=True)
    except Exception as error:
        with path.open("rb") as file:
            is_pickle = file.read(1) == b"\x80"
        if is_pickle and isinstance(error, pickle.UnpicklingError):
            raise ValueError(
                f"{path} is a pickle that torch.load refuses to read, since it would run what that names, "
                f"or a damaged one; where it was made, store its state dict with torch.save."
            ) from error
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(
            f"{path} is no checkpoint of PyTorch, or a damaged one ({why}); copy it again."
        ) from error
    if isinstance(content, Ignored):
        raise ValueError(
            f"{path} holds a pickled object, such as a whole module, whose code is not run; where it was "
            f"made, save its state_dict()."
        )
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict.")
    return content


def _read_npz(path: Path) -> dict[str, Any]:
    import numpy as np

    try:
        check_unpacked(path, LARGEST_UNPACKED)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays, or a damaged one ({type(error).__name__}); write it "
            f"again with numpy.savez."
        ) from error
    return {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}

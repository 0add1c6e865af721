"""Weights of the original checkpoints: their names in ours, and a report of what was loaded."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.checkpoint import read_safetensors
from subquad.models.hamgan import Discriminator, Generator, HamGAN
from subquad.models.hamgan.tensorflow import from_tensorflow
from subquad.models.mismatch import remedy
from subquad.models.original_links import stack_links
from subquad.models.original_names import hamburger_version, renaming
from subquad.models.token_rows import TABLE, place_token_rows, token_names
from subquad.nn import Hamburger
from subquad.nn.spectral_norm import settle_vectors


@dataclass(frozen=True)
class LoadReport:
    """What became of a checkpoint, by names.

    Attributes:
        loaded: Of the network, filled.
        missing: Of the network, left as they were.
        unexpected: Of the checkpoint, without a place in the network.
        reshaped: "name: their shape, our shape" of those that fit by name but not by shape; left
            as they were.
        coverage: Share of the network's parameters that were filled, 0 to 1.
        backbone_coverage: The same of its backbone or blocks; of all but the classifier if it has neither.
        classes: Of the checkpoint and of the network, if they differ: the classifier was left as it was.
        new_tokens: The network's tokens of which the checkpoint has no vector, if the names of the tokens
            differ: their vectors were left as they were, the others found by name.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    coverage: float
    backbone_coverage: float
    classes: tuple[int, int] | None = None
    new_tokens: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"loaded {len(self.loaded)} tensors: {self.coverage:.1%} of all parameters, "
            f"{self.backbone_coverage:.1%} of the backbone's"
        ]
        if self.classes:
            lines.append(
                f"the checkpoint has {self.classes[0]} classes, the network {self.classes[1]}: "
                f"its classifier starts anew"
            )
        elif any("classifier.weight:" in entry for entry in self.reshaped):
            lines.append("the classifier has other inputs than the network's, which starts anew")
        if self.new_tokens:
            shown = ", ".join(f"{token[:40]!r}" for token in self.new_tokens[:5])
            more = f" and {len(self.new_tokens) - 5} more" if len(self.new_tokens) > 5 else ""
            lines.append(
                f"the checkpoint has no vectors of {len(self.new_tokens)} of the network's tokens, which "
                f"start anew: {shown}{more}"
            )
        for name in ("missing", "unexpected", "reshaped"):
            entries = getattr(self, name)
            if entries:
                more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
                lines.append(f"{name}: {', '.join(entries[:3])}{more}")
        return "\n".join(lines)


def load_original(
    network: nn.Module, source: str | Path | Mapping[str, Any], *, minimum: float = 0.95
) -> LoadReport:
    """Fill a network or block from a checkpoint of the original code, or from plain weights of ours.

    Args:
        network: Any network of `create_model`, a backbone, a `Hamburger`, a `Paramixer` (of the
            checkpoint's first block), or one half of a HamGAN.
        source: A state dict (tensors or arrays), or the path of a .safetensors, .pth or .npz file: of
            the whole network, or of its ImageNet backbone. The wrappers `state_dict`, `net` and `model`
            and the prefix `module.` are seen through. For a HamGAN, TensorFlow's variables.
        minimum: Least share of the backbone's parameters that must be filled, 0 to 1.

    Returns:
        What was loaded and what was not. A classifier of another class count is left as it was.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If less than `minimum` of the backbone is covered, or the Hamburger is of another
            version; the network is then unchanged.
    """
    tensors = read_weights(source)
    if isinstance(network, (HamGAN, Generator, Discriminator)):
        tensors = from_tensorflow(tensors, network)
    ours = network.state_dict()
    _check_version(network, tensors)
    our_name = renaming(network)
    renamed = {our_name(name, ours): tensor for name, tensor in stack_links(tensors).items()}
    new_tokens = place_token_rows(network, renamed, token_names(source))
    fitting = {n: t for n, t in renamed.items() if n in ours and t.shape == ours[n].shape}
    report = _report(network, ours, renamed, fitting, new_tokens)
    if report.backbone_coverage < minimum:
        where = source if isinstance(source, (str, Path)) else "the state dict"
        raise ValueError(
            f"{where} is not a checkpoint of this {type(network).__name__}: it covers "
            f"{report.backbone_coverage:.1%} of the backbone's parameters and {minimum:.0%} are needed; "
            f"unexpected names such as {report.unexpected[:2]}, missing such as {report.missing[:2]}, "
            f"other shapes such as {report.reshaped[:1]}. {remedy(network, tensors)}"
        )
    network.load_state_dict(fitting, strict=False)
    if isinstance(network, (HamGAN, Generator, Discriminator)):
        settle_vectors(network, fitting)
    return report


def _check_version(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse another version of the Hamburger: some of its names would fit where they do not belong."""
    theirs = hamburger_version(tensors)
    for name, module in network.named_modules():
        if theirs and isinstance(module, Hamburger) and module.version != theirs:
            raise ValueError(
                f"the checkpoint holds a Hamburger {theirs}, the network's {name or 'own'} is "
                f"{module.version}; build it with version={theirs!r}."
            )


def read_weights(source: str | Path | Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the bare state dict of a file or of a wrapped state dict.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read safely, holds no weights, or one that is no finite number.
    """
    content: Any = source
    where = source if isinstance(source, (str, Path)) else "the state dict"
    if isinstance(source, (str, Path)):
        content = _read_file(Path(source))
    for wrapper in ("state_dict", "net", "model"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {
        # "network." is that of the checkpoints from which `subquad fit` resumes.
        name.removeprefix("module.").removeprefix("network."): torch.as_tensor(value)
        for name, value in content.items()
        if hasattr(value, "shape")
    }
    if not tensors:
        raise ValueError(f"no weights in {where}.")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} in {where} holds NaN or infinity; take weights from before that.")
    return tensors


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
        content = _load_weights_only(path)
    except Exception as error:
        with path.open("rb") as file:
            is_pickle = file.read(1) == b"\x80"
        if is_pickle and isinstance(error, pickle.UnpicklingError):
            raise ValueError(
                f"{path} is a pickle that torch.load refuses to read, since it would run what that names, "
                f"or a damaged one; where it was made, store its state dict with torch.save."
            ) from error
        raise ValueError(
            f"{path} is no checkpoint of PyTorch, or a damaged one ({type(error).__name__}); copy it again."
        ) from error
    if isinstance(content, _Ignored):
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
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays, or a damaged one ({type(error).__name__}); write it "
            f"again with numpy.savez."
        ) from error
    return {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}


class _Ignored:
    """Stands for an object of a class that a checkpoint brings along besides its weights."""

    def __init__(self, *arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _load_weights_only(path: Path) -> Any:
    """Read tensors and plain values; nothing that the file names is imported or called.

    Training frameworks store their own objects beside the weights (mmengine its message hub), which
    `weights_only` alone refuses.
    """
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # a file of before torch 1.6, which cannot be looked into
        foreign = []
    with torch.serialization.safe_globals([(_Ignored, name) for name in foreign]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other protocols of pickle
        return torch.load(path, map_location="cpu", weights_only=True)


def _report(
    network: nn.Module,
    ours: Mapping[str, Tensor],
    renamed: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
    new_tokens: tuple[str, ...],
) -> LoadReport:
    reshaped = [n for n in renamed if n in ours and n not in fitting]
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    backbone = {n: s for n, s in sizes.items() if n.startswith(("backbone.", "blocks."))}
    backbone = backbone or {n: s for n, s in sizes.items() if not n.startswith("classifier.")}

    def share(part: Mapping[str, int]) -> float:
        return sum(size for name, size in part.items() if name in fitting) / max(1, sum(part.values()))

    new_rows = len(new_tokens) * ours[TABLE][0].numel() if new_tokens else 0
    theirs, own = (state.get(_classifier(network)) for state in (renamed, ours))
    classes = None if theirs is None or own is None else (len(theirs), len(own))
    return LoadReport(
        loaded=tuple(fitting),
        # A start dictionary is not part of the originals' checkpoints.
        missing=tuple(n for n in ours if n not in renamed and not n.endswith("dictionary")),
        unexpected=tuple(n for n in renamed if n not in ours),
        reshaped=tuple(f"{n}: {tuple(renamed[n].shape)}, {tuple(ours[n].shape)}" for n in reshaped),
        coverage=share(sizes) - new_rows / max(1, sum(sizes.values())),
        backbone_coverage=share(backbone),
        classes=classes if classes and classes[0] != classes[1] else None,
        new_tokens=new_tokens,
    )


def _classifier(network: nn.Module) -> str:
    """Return the name of a tensor with an entry a class."""
    if isinstance(network, (HamGAN, Discriminator)):
        own = "embedding.parametrizations.weight.original"
        return own if isinstance(network, Discriminator) else f"discriminator.{own}"
    return "head.classifier.bias" if hasattr(network, "head") else "classifier.bias"

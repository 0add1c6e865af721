"""Variables of the original TensorFlow checkpoints: their names and layouts in ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from subquad.models.hamgan.config import FIRST_SIDE, HamGANConfig
from subquad.models.hamgan.discriminator import Discriminator
from subquad.models.hamgan.generator import Generator
from subquad.models.hamgan.network import HamGAN

# (a layer of theirs, its place in ours); "<1>": theirs count from 1, ours from 0.
_LAYERS = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"g_snh0/dense", "generator.project"),
        (r"g_block(\d+)/snconv([12])", r"generator.blocks.<\1>.conv\2"),
        (r"g_block(\d+)/snconv3", r"generator.blocks.<\1>.shortcut"),
        (r"g_block(\d+)/cbn_0", r"generator.blocks.<\1>.norm1"),
        (r"g_block(\d+)/cbn_1", r"generator.blocks.<\1>.norm2"),
        (r"g_ops/sn_(lower_bread|cheese|upper_bread)", r"generator.context.\1"),
        (r"g_ops/(?:upper_bread|cheese)_bn", "generator.context.norm"),
        (r"g_ops", "generator.context"),
        (r"g_bn", "generator.norm"),
        (r"g_snconv_last", "generator.to_image"),
        (r"d_(?:optimized_)?block(\d+)/sn_conv([12])", r"discriminator.blocks.<\1>.conv\2"),
        (r"d_(?:optimized_)?block(\d+)/sn_conv3", r"discriminator.blocks.<\1>.shortcut"),
        (r"d_ops/sn_(lower_bread|cheese|upper_bread)", r"discriminator.context.\1"),
        (r"d_ops", "discriminator.context"),
        (r"d_sn_linear/dense", "discriminator.linear"),
        (r"d_embedding", "discriminator.embedding"),
    )
)
_ROOT = re.compile(
    r"g_(?:snh0|block\d+|ops|bn|snconv_last)|d_(?:(?:optimized_)?block\d+|ops|sn_linear|embedding)"
)
_KERNELS = ("kernel", "weights", "embedding_map")
_VECTOR = "/spectral_normalize/spectral_norm/spectral_norm_u"
_OF_TRAINING = re.compile(r"(.*/)?(global_step|beta[12]_power(_\d+)?|Adam(_\d+)?)")
_WEIGHT, _U = "parametrizations.weight.original", "parametrizations.weight.0.u"
_NAMES = {
    **dict.fromkeys(_KERNELS, _WEIGHT),
    "u": _U,
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "norm.running_mean",
    "moving_variance": "norm.running_var",
    "sigma_ratio": "gate",
}
# What `options_of` needs: (place, kind) and their name.
_TELLING = {
    ("generator.project", "kernel"): "g_snh0/dense/kernel",
    ("generator.to_image", "kernel"): "g_snconv_last/kernel",
    ("generator.blocks.0.norm1", "gamma"): "g_block1/cbn_0/gamma",
}


def from_tensorflow(
    tensors: Mapping[str, Tensor], network: HamGAN | Generator | Discriminator
) -> dict[str, Tensor]:
    """Rename and lay out TensorFlow's variables as a network of ours has them.

    The outer scopes `Generator/` and `Discriminator/` and the suffix `:0` may be there or not. What
    the optimisers keep, and the step, is left out; what is not TensorFlow's comes back as it is.

    Args:
        tensors: By name.
        network: A `HamGAN`, or its generator or discriminator alone.

    Raises:
        ValueError: If the variables have another context module than the network.
    """
    layers = {name: _layer(name) for name in tensors}
    kernels = {layer[0]: tensors[name] for name, layer in layers.items() if layer and layer[1] in _KERNELS}
    found: dict[str, Tensor] = {}
    for name, layer in layers.items():
        if layer is not None:
            place, kind = layer
            found[f"{place}.{_NAMES[kind]}"] = _laid_out(tensors[name], place, kind, kernels.get(place))
            if kind == "moving_mean":
                found[f"{place}.norm.num_batches_tracked"] = torch.tensor(0)
        elif not _OF_TRAINING.fullmatch(name.removesuffix(":0")):
            found[name] = tensors[name]
    _check_context(found, network.config)
    if isinstance(network, HamGAN):
        return found
    halves = ("generator.", "discriminator.")
    own, other = halves if isinstance(network, Generator) else halves[::-1]
    return {n.removeprefix(own): tensor for n, tensor in found.items() if not n.startswith(other)}


def options_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options of the HamGAN that TensorFlow's variables belong to, where they are not the default.

    The number of classes, the context module and its version are always told.

    Raises:
        ValueError: If a variable of the generator that tells them is not there.
    """
    by_layer = {layer: tensors[name] for name in tensors if (layer := _layer(name)) is not None}
    for layer, theirs in _TELLING.items():
        if layer not in by_layer:
            raise ValueError(
                f"the checkpoint has no variable {theirs}, which tells the network's sizes; store all "
                f"variables of the generator."
            )
    first, last = by_layer[("generator.project", "kernel")], by_layer[("generator.to_image", "kernel")]
    blocks = {place.split(".")[2] for place, _ in by_layer if place.startswith("generator.blocks.")}
    default = HamGANConfig()
    found = {
        "in_channels": last.shape[-1],
        "size": FIRST_SIDE * 2 ** len(blocks),
        "latent": first.shape[0],
        "width": last.shape[-2],
    }
    found = {name: value for name, value in found.items() if value != getattr(default, name)}
    classes = len(by_layer[("generator.blocks.0.norm1", "gamma")])
    return {"num_classes": classes, **_context_of(place for place, _ in by_layer), **found}


def _layer(name: str) -> tuple[str, str] | None:
    """Return the place in our network and the kind of a variable; None if it is none of the networks'."""
    path = name.removesuffix(":0")
    kind = "u" if path.endswith(_VECTOR) else ""
    parts = path.removesuffix(_VECTOR).split("/")
    # Layers repeat their name; a vector's has the full name of its kernel inside its scope.
    parts = [part for index, part in enumerate(parts) if index == 0 or part != parts[index - 1]]
    roots = [index for index, part in enumerate(parts) if _ROOT.fullmatch(part)]
    if not roots:
        return None
    *layer, own = parts[roots[-1] :]
    if kind and own not in _KERNELS:
        layer.append(own)
    kind = kind or own
    if kind not in _NAMES:
        return None
    for pattern, place in _LAYERS:
        match = pattern.fullmatch("/".join(layer))
        if match:
            return re.sub(r"<(\d+)>", lambda number: str(int(number[1]) - 1), match.expand(place)), kind
    return None


def _laid_out(tensor: Tensor, place: str, kind: str, kernel: Tensor | None) -> Tensor:
    if kind == "u":
        if kernel is None or kernel.dim() != 4:
            return tensor.flatten()
        height, width, channels, _ = kernel.shape
        return tensor.reshape(height, width, channels).permute(2, 0, 1).flatten()
    if kind in ("gamma", "beta"):
        return tensor.reshape(len(tensor), -1)
    if kind == "sigma_ratio":
        return tensor.reshape(1)
    if kind in ("kernel", "weights"):
        tensor = tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.mT
    if place == "generator.project":
        # Theirs is a map (height, width, channels), ours (channels, height, width).
        rows = tensor.unflatten(0, (FIRST_SIDE, FIRST_SIDE, -1))
        tensor = rows.movedim(2, 0).flatten(0, 2)
    return tensor


def _context_of(names: Iterable[str]) -> dict[str, str]:
    """Return the options of the context module, told from names of ours."""
    names = list(names)
    for part, options in {
        "context.cheese": {"context": "hamburger", "version": "v2"},
        "context.lower_bread": {"context": "hamburger", "version": "v1"},
        "context.query": {"context": "attention"},
    }.items():
        if any(part in name for name in names):
            return options
    return {"context": "none"}


def _check_context(names: Iterable[str], config: HamGANConfig) -> None:
    names = list(names)
    # Of something else altogether, the shares of what fits tell more.
    if not any(name.endswith(("project.bias", f"embedding.{_WEIGHT}")) for name in names):
        return
    theirs = _context_of(names)
    own = {name: getattr(config, name) for name in theirs}
    if own != theirs:
        raise ValueError(
            f"the checkpoint has {_told(theirs)}, the network {_told(own)}; build it with {_told(theirs)}."
        )


def _told(options: dict[str, str]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())

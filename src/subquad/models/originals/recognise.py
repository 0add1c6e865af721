"""Which network a checkpoint of the originals is of, told from its names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from subquad.models.cost import on_meta
from subquad.models.hamgan.network import HamGAN
from subquad.models.originals.links import holds_links
from subquad.models.originals.names import hamburger_version, renaming
from subquad.models.originals.recognise_sequence import recognise_sequence
from subquad.models.originals.tensorflow import from_tensorflow, options_of
from subquad.models.registry import list_models, model_config

# (a pattern of a tensor's name, the pattern of our names); the first whose tensor is there counts.
_KINDS = (
    (r"(backbone\.)?block\d\.\d+\.attn\.spatial_gating_unit\.conv0_1\.weight", "segnext_*"),
    (r"decode_head\.hamburger\.ham_in\.conv\.weight", "light_ham_van_*"),
    (r"decode_head\.ham_in\.conv\.weight .* conv_spatial", "hamnet_van_*_os8"),
    (r"decode_head\.ham_in\.conv\.weight", "hamnet_*_ade20k"),
    (r"hamburger\.lower_bread(\.0)?\.weight", "hamnet_*_voc"),
    (r"block\d\.\d+\.attn\.spatial_gating_unit\.conv_spatial\.weight", "van_*"),
    (r"(.*/)?g_snh0/dense/kernel(:0)?", "hamgan_*"),
)
_CLASSIFIERS = ("decode_head.conv_seg.weight", "fc.1.weight", "head.weight")
_STEMS = ("patch_embed1.proj.weight", "patch_embed1.proj.0.weight", "stem.0.weight", "0.0.weight")
V2PLUS_RANK = 512  # of both published checkpoints


class Recognised(NamedTuple):
    """A named network and what differs from its defaults.

    Attributes:
        name: Of `list_models()`.
        overrides: For `create_model`.
        assumed: What no checkpoint tells, as a sentence; empty if nothing was assumed.
    """

    name: str
    overrides: dict[str, Any]
    assumed: str


def recognise(tensors: Mapping[str, Tensor], given: Mapping[str, Any] | None = None) -> Recognised:
    """Return the network that a state dict of the originals belongs to.

    Args:
        tensors: With the originals' names, as `read_weights` returns them.
        given: Options that are known from elsewhere; they come before what is read or assumed.

    Raises:
        ValueError: If no named network has these names and shapes.
    """
    if holds_links(tensors):
        name, overrides, assumed = recognise_sequence(tensors)
        return Recognised(name, overrides | dict(given or {}), assumed)
    pattern = _kind(tensors)
    overrides = _overrides(tensors, pattern)
    best, best_share = "", 0.0
    for name in list_models(pattern):
        share = _share_that_fits(tensors, name, overrides)
        if share > best_share:
            best, best_share = name, share
    if best_share < 1:
        raise ValueError(
            f"the checkpoint looks like one of {pattern}, but some tensors are missing, surplus or of "
            f"another shape: the nearest, {best or 'none'}, shares {best_share:.1%} of them. A backbone "
            f"alone is a start for training (--model.weights); for a changed network use create_model with "
            f"its options, then load_original."
        )
    overrides |= given or {}
    config = model_config(best, **overrides)
    return Recognised(best, overrides, _assumed(best, config, tensors, given or {}))


def kind_of(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the pattern of our names that the names in a state dict belong to, if any."""
    names = "\n".join(tensors)
    for pattern, kind in _KINDS:
        first, *others = pattern.split(" .* ")
        if re.search(rf"^{first}$", names, flags=re.MULTILINE) and all(o in names for o in others):
            return kind
    return None


def _kind(tensors: Mapping[str, Tensor]) -> str:
    kind = kind_of(tensors)
    if kind is not None:
        return kind
    raise ValueError(
        f"the checkpoint's names (such as {', '.join(list(tensors)[:3])}) are of no network known here: "
        "there are HamNet, Light-Ham, SegNeXt, VAN, HamGAN and Paramixer."
    )


def _overrides(tensors: Mapping[str, Tensor], pattern: str) -> dict[str, Any]:
    if pattern.startswith("hamgan"):
        return options_of(tensors)
    found: dict[str, Any] = {}
    for name in _CLASSIFIERS:
        if name in tensors:
            found["num_classes"] = tensors[name].shape[0]
    for name in _STEMS:
        stem = tensors.get(f"backbone.{name}", tensors.get(name))
        if stem is not None and stem.dim() == 4 and stem.shape[1] != 3:
            found["in_channels"] = stem.shape[1]
    if pattern.endswith("_voc"):
        version = hamburger_version(tensors)
        found["version"] = version
        if version == "v2plus":
            found["rank"] = V2PLUS_RANK
        if "hamburger.lower_bread.weight" in tensors:
            # No ReLU follows this lower bread: VQ or CD, which have the same names.
            found["solver"] = "CD"
        bases = tensors.get("hamburger.ham.bases")
        if bases is not None:
            found |= {"heads": bases.shape[0], "rank": bases.shape[2], "start": "fixed"}
    elif pattern.startswith("hamnet"):
        found["concat_input"] = "decode_head.conv_cat.conv.weight" in tensors
        found["auxiliary"] = any(name.startswith("auxiliary_head.") for name in tensors)
    return found


def _share_that_fits(tensors: Mapping[str, Tensor], name: str, overrides: dict[str, Any]) -> float:
    """Return the share of tensors that both have, of those that either has."""
    network = on_meta(name, **overrides)
    ours, our_name = network.state_dict(), renaming(network)
    if isinstance(network, HamGAN):
        tensors = from_tensorflow(tensors, network)
    renamed = {our_name(theirs, ours): tensor for theirs, tensor in tensors.items()}
    common = {n for n, tensor in renamed.items() if n in ours and ours[n].shape == tensor.shape}
    # Old files lack the counter of batch norm, and few hold a start dictionary.
    needed = {n for n in ours if not n.endswith(("num_batches_tracked", ".dictionary"))}
    return len(common) / len(common | needed | renamed.keys())


def _assumed(name: str, config: Any, tensors: Mapping[str, Tensor], given: Mapping[str, Any]) -> str:
    """Return what is assumed of a network's decomposition; nothing if it has none."""
    if getattr(config, "context", "hamburger") != "hamburger":
        return ""
    if hasattr(config, "generator_rank"):
        parts = [f"ranks {config.generator_rank} and {config.discriminator_rank}"]
        parts += [] if "solver" in given else ["the solver NMF"]
    elif hasattr(config, "rank") and getattr(config, "context", "") != "none":
        told = "hamburger.ham.bases" in tensors or "rank" in given
        parts = [] if told else [f"rank {config.rank}"]
    else:
        return ""
    parts.append(f"{config.steps} steps ({config.eval_steps or config.steps} in evaluation)")
    if "hamburger.lower_bread.weight" in tensors and "solver" not in given:
        parts.append("the solver CD")
    if name.startswith("hamgan"):
        name = "hamgan_baby or hamgan_strong (the same network)"
    return f"assumed as published for {name}, since no checkpoint tells it: {', '.join(parts)}"

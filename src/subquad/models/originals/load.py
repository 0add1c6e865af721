"""Weights of the original checkpoints: their names in ours, and a report of what was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from subquad.base.suggest import and_more
from subquad.models.checkpoint import refuse_not_finite
from subquad.models.hamgan.discriminator import Discriminator
from subquad.models.hamgan.generator import Generator
from subquad.models.hamgan.network import HamGAN
from subquad.models.originals.links import stack_links
from subquad.models.originals.mismatch import remedy
from subquad.models.originals.names import hamburger_version, renaming
from subquad.models.originals.stem import adapt_stem
from subquad.models.originals.tensorflow import from_tensorflow
from subquad.models.originals.timm_names import timm_names
from subquad.models.originals.token_rows import TABLE, place_token_rows, token_names
from subquad.models.originals.weights import read_weights
from subquad.models.wrappers import unwrapped
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
        left_out: Of a pretrained backbone's file: its classifier, and what else the network has no use for.
        stem: How the first convolution was brought to other channels than red, green and blue, if it was.
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
    left_out: tuple[str, ...] = ()
    stem: str | None = None

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
            shown = and_more([f"{token[:40]!r}" for token in self.new_tokens], 5)
            lines.append(
                f"the checkpoint has no vectors of {len(self.new_tokens)} of the network's tokens, which "
                f"start anew: {shown}"
            )
        if self.stem:
            lines.append(f"other channels: {self.stem}")
        is_of_backbone = self.backbone_coverage == 1 and self.coverage < 1
        for what, entries in (
            ("start anew, as the file is of a backbone" if is_of_backbone else "missing", self.missing),
            ("unexpected", self.unexpected),
            ("reshaped", self.reshaped),
            ("left out, as they are of no use here", self.left_out),
        ):
            if entries:
                lines.append(f"{what}: {and_more(entries)}")
        return "\n".join(lines)


def load_original(
    network: nn.Module, source: str | Path | Mapping[str, Any], *, minimum: float = 0.95
) -> LoadReport:
    """Fill a network or block from a checkpoint of the original code, or from plain weights of ours.

    Args:
        network: Any network of `create_model`, a backbone, a `Hamburger`, a `Paramixer` (of the
            checkpoint's first block), or one half of a HamGAN.
        source: A state dict (tensors or arrays), or the path of a .safetensors, .pth or .npz file: of
            the whole network, or of its ImageNet backbone, for a timm backbone as timm or torchvision
            names its tensors. Wrappers such as `state_dict`, `model` and
            `ema`, and what compiling, data parallelism and Lightning put in front of the names, are seen
            through. For a HamGAN, TensorFlow's variables.
        minimum: Least share of the backbone's parameters that must be filled, 0 to 1.

    Returns:
        What was loaded and what was not. A classifier of another class count is left as it was.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read safely, a weight is not finite, less than `minimum` of the
            backbone is covered, or the Hamburger is of another version; the network is then unchanged.
    """
    network = unwrapped(network)
    ours = network.state_dict()
    where = source if isinstance(source, (str, Path)) else "the state dict"
    tensors = read_weights(source, known=ours)
    if isinstance(network, (HamGAN, Generator, Discriminator)):
        tensors = from_tensorflow(tensors, network)
    _check_version(network, tensors)
    our_name, of_timm = renaming(network), timm_names(network, tensors, ours)
    renamed = {
        of_timm.get(name) or our_name(name, ours): tensor for name, tensor in stack_links(tensors).items()
    }
    stem = adapt_stem(ours, (name for name, _ in network.named_parameters()), renamed)
    new_tokens = place_token_rows(network, renamed, token_names(source))
    fitting = {n: t.to(ours[n].dtype) for n, t in renamed.items() if n in ours and t.shape == ours[n].shape}
    refuse_not_finite(fitting, where)  # float64 holds numbers that float32 does not
    report = _report(network, ours, renamed, fitting, new_tokens)
    if of_timm and report.backbone_coverage == 1:  # of a classifier's file, whose head is not wanted
        report = replace(report, unexpected=(), left_out=report.unexpected)
    report = replace(report, stem=stem)
    if report.backbone_coverage < minimum:
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


def _report(
    network: nn.Module,
    ours: Mapping[str, Tensor],
    renamed: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
    new_tokens: tuple[str, ...],
) -> LoadReport:
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    backbone = {n: size for n, size in sizes.items() if n.startswith(("backbone.", "blocks."))}
    backbone = backbone or {n: size for n, size in sizes.items() if not n.startswith("classifier.")}
    new_rows = len(new_tokens) * ours[TABLE][0].numel() if new_tokens else 0
    theirs, own = (state.get(_classifier(network)) for state in (renamed, ours))
    classes = None if theirs is None or own is None else (len(theirs), len(own))
    return LoadReport(
        loaded=tuple(fitting),
        # A start dictionary is not part of the originals' checkpoints.
        missing=tuple(n for n in ours if n not in renamed and not n.endswith("dictionary")),
        unexpected=tuple(n for n in renamed if n not in ours),
        reshaped=tuple(
            f"{n}: {tuple(tensor.shape)}, {tuple(ours[n].shape)}"
            for n, tensor in renamed.items()
            if n in ours and n not in fitting
        ),
        coverage=_share(sizes, fitting) - new_rows / max(1, sum(sizes.values())),
        backbone_coverage=_share(backbone, fitting),
        classes=classes if classes and classes[0] != classes[1] else None,
        new_tokens=new_tokens,
    )


def _share(sizes: Mapping[str, int], fitting: Mapping[str, Tensor]) -> float:
    """Return the share of parameters that are filled, 0 to 1."""
    return sum(size for name, size in sizes.items() if name in fitting) / max(1, sum(sizes.values()))


def _classifier(network: nn.Module) -> str:
    """Return the name of a tensor with an entry a class."""
    if isinstance(network, (HamGAN, Discriminator)):
        own = "embedding.parametrizations.weight.original"
        return own if isinstance(network, Discriminator) else f"discriminator.{own}"
    return "head.classifier.bias" if hasattr(network, "head") else "classifier.bias"

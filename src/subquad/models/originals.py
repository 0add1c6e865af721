"""Weights of the original checkpoints: their names in ours, and a report of what was loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.checkpoint import read_safetensors

Rules = tuple[tuple[str, str], ...]  # (pattern, replacement), the first that matches counts

# Hamburger of the VOC code (V1, V2, V2+); VQ and CD have no ".0" in their lower bread.
_HAMBURGER: Rules = (
    (r"lower_bread(?:\.0)?\.(weight|bias)", r"lower_bread.\1"),
    (r"upper_bread\.0\.weight", r"upper_bread.weight"),
    (r"upper_bread\.1\.(\w+)", r"norm.\1"),
    (r"upper_bread\.weight", r"upper_bread.weight"),
    (r"cheese\.conv\.weight", r"cheese.weight"),
    (r"cheese\.bn\.(\w+)", r"norm.\1"),
    (r"(coef_shortcut|coef_ham)", r"\1"),
    (r"ham\.bases", r"ham.dictionary"),
    # Hamburger of the mmseg heads.
    (r"ham_in\.conv\.(\w+)", r"lower_bread.\1"),
    (r"ham_out\.conv\.weight", r"upper_bread.weight"),
    (r"ham_out\.gn\.(\w+)", r"norm.\1"),
)

_LARGE_KERNEL = {"conv0": "local", "conv_spatial": "dilated", "conv1": "mix"}
_VAN: Rules = (
    (r"patch_embed(\d)\.proj\.(\w+)", r"stages.<\1>.embed.conv.\2"),
    (r"patch_embed(\d)\.norm\.(\w+)", r"stages.<\1>.embed.norm.\2"),
    (r"block(\d)\.(\d+)\.layer_scale_([12])", r"stages.<\1>.blocks.\2.scale\3"),
    (r"block(\d)\.(\d+)\.(norm[12])\.(\w+)", r"stages.<\1>.blocks.\2.\3.\4"),
    (r"block(\d)\.(\d+)\.attn\.proj_1\.(\w+)", r"stages.<\1>.blocks.\2.attention.project_in.\3"),
    (r"block(\d)\.(\d+)\.attn\.proj_2\.(\w+)", r"stages.<\1>.blocks.\2.attention.project_out.\3"),
    *(
        (
            rf"block(\d)\.(\d+)\.attn\.spatial_gating_unit\.{theirs}\.(\w+)",
            rf"stages.<\1>.blocks.\2.attention.large_kernel.{ours}.\3",
        )
        for theirs, ours in _LARGE_KERNEL.items()
    ),
    (r"block(\d)\.(\d+)\.mlp\.fc1\.(\w+)", r"stages.<\1>.blocks.\2.mlp.expand.\3"),
    (r"block(\d)\.(\d+)\.mlp\.dwconv\.dwconv\.(\w+)", r"stages.<\1>.blocks.\2.mlp.depthwise.\3"),
    (r"block(\d)\.(\d+)\.mlp\.fc2\.(\w+)", r"stages.<\1>.blocks.\2.mlp.reduce.\3"),
    (r"norm(\d)\.(\w+)", r"stages.<\1>.norm.\2"),
)
_LIGHT_HAM: Rules = (
    *((rf"backbone\.{theirs}", f"backbone.{ours}") for theirs, ours in _VAN),
    *((theirs, f"backbone.{ours}") for theirs, ours in _VAN),  # an ImageNet file has no prefix
    (r"decode_head\.(squeeze|align)\.conv\.weight", r"head.\1.conv.weight"),
    (r"decode_head\.(squeeze|align)\.gn\.(\w+)", r"head.\1.norm.\2"),
    *((rf"decode_head\.hamburger\.{theirs}", f"head.hamburger.{ours}") for theirs, ours in _HAMBURGER),
    (r"decode_head\.conv_seg\.(\w+)", r"head.classifier.\1"),
)
RULES: dict[str, Rules] = {"Hamburger": _HAMBURGER, "VAN": _VAN, "LightHam": _LIGHT_HAM}


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
        backbone_coverage: The same of its backbone; of the whole network if it has none.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    coverage: float
    backbone_coverage: float

    def __str__(self) -> str:
        lines = [
            f"loaded {len(self.loaded)} tensors: {self.coverage:.1%} of all parameters, "
            f"{self.backbone_coverage:.1%} of the backbone's"
        ]
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
        network: A `LightHam`, `VAN` or `Hamburger`.
        source: A state dict (tensors or arrays), or the path of a .safetensors or .pth file. The
            wrappers `state_dict` and `net` and the prefix `module.` are seen through.
        minimum: Least share of the backbone's parameters that must be filled, 0 to 1.

    Returns:
        What was loaded and what was not. A classifier of another class count is left as it was.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If less than `minimum` of the backbone is covered; the network is then unchanged.
    """
    tensors = _read(source)
    ours = network.state_dict()
    renamed = {_our_name(name, network, ours): tensor for name, tensor in tensors.items()}
    fitting = {n: t for n, t in renamed.items() if n in ours and t.shape == ours[n].shape}
    report = _report(network, ours, renamed, fitting)
    if report.backbone_coverage < minimum:
        where = source if isinstance(source, (str, Path)) else "the state dict"
        raise ValueError(
            f"{where} is not a checkpoint of this {type(network).__name__}: it covers "
            f"{report.backbone_coverage:.1%} of the backbone's parameters and {minimum:.0%} are needed; "
            f"unexpected names such as {report.unexpected[:2]}, missing such as {report.missing[:2]}, "
            f"other shapes such as {report.reshaped[:1]}. Check the size of the network."
        )
    network.load_state_dict(fitting, strict=False)
    return report


def _read(source: str | Path | Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the bare state dict."""
    content: Any = source
    if isinstance(source, (str, Path)):
        content = _read_file(Path(source))
    for wrapper in ("state_dict", "net", "model"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {
        name.removeprefix("module."): torch.as_tensor(value)
        for name, value in content.items()
        if hasattr(value, "shape")
    }
    if not tensors:
        raise ValueError(f"no weights in {source if isinstance(source, (str, Path)) else 'the state dict'}.")
    return tensors


def _read_file(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} is not a checkpoint that can be read safely (weights only): {reason}"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict.")
    return content


def _our_name(name: str, network: nn.Module, ours: Mapping[str, Tensor]) -> str:
    if name in ours:
        return name
    for pattern, replacement in RULES.get(type(network).__name__, ()):
        match = re.fullmatch(pattern, name)
        if match:
            # Their stages count from 1, ours from 0.
            return re.sub(r"<(\d)>", lambda stage: str(int(stage[1]) - 1), match.expand(replacement))
    return name


def _report(
    network: nn.Module,
    ours: Mapping[str, Tensor],
    renamed: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
) -> LoadReport:
    reshaped = [n for n in renamed if n in ours and n not in fitting]
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    backbone = {n: s for n, s in sizes.items() if n.startswith("backbone.")} or sizes

    def share(part: Mapping[str, int]) -> float:
        return sum(size for name, size in part.items() if name in fitting) / max(1, sum(part.values()))

    return LoadReport(
        loaded=tuple(fitting),
        # A start dictionary is not part of the originals' checkpoints.
        missing=tuple(n for n in ours if n not in renamed and not n.endswith("dictionary")),
        unexpected=tuple(n for n in renamed if n not in ours),
        reshaped=tuple(f"{n}: {tuple(renamed[n].shape)}, {tuple(ours[n].shape)}" for n in reshaped),
        coverage=share(sizes),
        backbone_coverage=share(backbone),
    )

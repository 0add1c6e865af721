"""The names of the originals' tensors in our networks: patterns and replacements, a table a part."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from subquad.models.backbones import MSCAN, VAN, ResNet
from subquad.models.backbones.mscan import STRIPS
from subquad.models.classification.timm import TimmBody
from subquad.models.sequence.network import SequenceNetwork
from subquad.nn import Paramixer
from subquad.nn.hamburger import Version

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

# "<1>" stands for stage 1 of the originals, whose stages count from 1; ours count from 0.
_PYRAMID: Rules = (
    (r"patch_embed(\d)\.proj\.(weight|bias)", r"stages.<\1>.embed.conv.\2"),
    (r"patch_embed(\d)\.norm\.(\w+)", r"stages.<\1>.embed.norm.\2"),
    (r"block(\d)\.(\d+)\.layer_scale_([12])", r"stages.<\1>.blocks.\2.scale\3"),
    (r"block(\d)\.(\d+)\.(norm[12])\.(\w+)", r"stages.<\1>.blocks.\2.\3.\4"),
    (r"block(\d)\.(\d+)\.attn\.proj_1\.(\w+)", r"stages.<\1>.blocks.\2.attention.project_in.\3"),
    (r"block(\d)\.(\d+)\.attn\.proj_2\.(\w+)", r"stages.<\1>.blocks.\2.attention.project_out.\3"),
    (r"block(\d)\.(\d+)\.mlp\.fc1\.(\w+)", r"stages.<\1>.blocks.\2.mlp.expand.\3"),
    (r"block(\d)\.(\d+)\.mlp\.dwconv\.dwconv\.(\w+)", r"stages.<\1>.blocks.\2.mlp.depthwise.\3"),
    (r"block(\d)\.(\d+)\.mlp\.fc2\.(\w+)", r"stages.<\1>.blocks.\2.mlp.reduce.\3"),
    (r"norm(\d)\.(\w+)", r"stages.<\1>.norm.\2"),
)


def _gate(parts: Mapping[str, str]) -> Rules:
    """Return the rules of the attention's gate."""
    theirs, ours = r"block(\d)\.(\d+)\.attn\.spatial_gating_unit", r"stages.<\1>.blocks.\2.attention"
    return tuple(
        (rf"{theirs}\.{name}\.(\w+)", rf"{ours}.large_kernel.{place}.\3") for name, place in parts.items()
    )


_VAN: Rules = (*_PYRAMID, *_gate({"conv0": "local", "conv_spatial": "dilated", "conv1": "mix"}))
_MSCAN: Rules = (
    (r"patch_embed1\.proj\.([0134])\.(\w+)", r"stages.0.embed.stem.\1.\2"),
    *_PYRAMID,
    *_gate(
        {"conv0": "local", "conv3": "mix"}
        | {
            f"conv{strip}_{part}": f"strips.{strip}.{part - 1}"
            for strip in range(len(STRIPS))
            for part in (1, 2)
        }
    ),
)
# Of mmseg, of the VOC code (its stem is module 0, the stem's last norm module 1, the stages 4 to 7),
# and of the ImageNet files of the VOC code.
_RESNET: Rules = (
    (r"stem\.(\d)\.(\w+)", r"stem.\1.\2"),
    (r"(?:0|conv1)\.(\d)\.(\w+)", r"stem.\1.\2"),
    (r"(?:1|bn1)\.(\w+)", r"stem.7.\1"),
    (r"layer(\d)\.(\d+)\.(.+)", r"stages.<\1>.\2.\3"),
    *((rf"{stage + 4}\.(\d+)\.(.+)", rf"stages.{stage}.\1.\2") for stage in range(4)),
)


def _under(theirs: str, ours: str, rules: Rules) -> Rules:
    """Return rules for a part that lies deeper, in their networks and in ours."""
    return tuple((rf"{theirs}{pattern}", f"{ours}{replacement}") for pattern, replacement in rules)


# Heads of the mmseg code. HamNet's Hamburger has no name of its own there, Light-Ham's has.
_MMSEG_HEADS: Rules = (
    (r"decode_head\.(squeeze|align)\.conv\.weight", r"head.\1.conv.weight"),
    (r"decode_head\.(squeeze|align)\.gn\.(\w+)", r"head.\1.norm.\2"),
    (r"decode_head\.conv_cat\.conv\.weight", r"head.concat.conv.weight"),
    (r"decode_head\.conv_cat\.gn\.(\w+)", r"head.concat.norm.\1"),
    (r"decode_head\.conv_seg\.(\w+)", r"head.classifier.\1"),
    (r"auxiliary_head\.convs\.0\.conv\.weight", r"auxiliary_head.mix.conv.weight"),
    (r"auxiliary_head\.convs\.0\.gn\.(\w+)", r"auxiliary_head.mix.norm.\1"),
    (r"auxiliary_head\.conv_seg\.(\w+)", r"auxiliary_head.classifier.\1"),
    *_under(r"decode_head\.(?:hamburger\.)?", "head.hamburger.", _HAMBURGER),
)
_VOC_HEAD: Rules = (
    (r"(squeeze|align)\.conv\.weight", r"head.\1.conv.weight"),
    (r"(squeeze|align)\.bn\.(\w+)", r"head.\1.norm.\2"),
    (r"fc\.1\.(\w+)", r"head.classifier.\1"),
    *_under(r"hamburger\.", "head.hamburger.", _HAMBURGER),
)
# Once the link networks are stacked; PSF-Attn, the method before, calls its positions differently.
_PARAMIXER: Rules = (
    (r"(?:apc|pos)_embedding\.weight", r"positions.weight"),
    (r"init_linear\.(weight|bias)", r"input.\1"),
    (r"attention\.(\d+)\.links\.(\w+)", r"blocks.\1.links.\2"),
    (r"attention\.(\d+)\.g\.network\.([02])\.(\w+)", r"blocks.\1.g.\2.\3"),
    (r"final\.(weight|bias)", r"classifier.\1"),
)
_PARAMIXER_BLOCK: Rules = (
    (r"attention\.0\.links\.(\w+)", r"links.\1"),
    (r"attention\.0\.g\.network\.([02])\.(\w+)", r"g.\1.\2"),
)
_CLASSIFIER: Rules = ((r"head\.(weight|bias)", r"classifier.\1"),)

_BACKBONES: tuple[tuple[type[nn.Module], Rules], ...] = ((VAN, _VAN), (MSCAN, _MSCAN), (ResNet, _RESNET))


def renaming(network: nn.Module) -> Callable[[str, Mapping[str, Tensor]], str]:
    """Return the function from a tensor's original name and our state dict to our name.

    Names that are ours already, and those that no rule knows, come back as they are.
    """
    rules = [(re.compile(pattern), replacement) for pattern, replacement in _rules_of(network)]

    def our_name(name: str, ours: Mapping[str, Tensor]) -> str:
        if name in ours:
            return name
        for pattern, replacement in rules:
            match = pattern.fullmatch(name)
            if match:
                found = re.sub(r"<(\d)>", lambda stage: str(int(stage[1]) - 1), match.expand(replacement))
                if found in ours:
                    return found
        return name

    return our_name


def _rules_of(network: nn.Module) -> Rules:
    own = next((rules for kind, rules in _BACKBONES if isinstance(network, kind)), None)
    if own is not None:
        return own
    if isinstance(network, SequenceNetwork):
        return _PARAMIXER
    if isinstance(network, Paramixer):
        return _PARAMIXER_BLOCK
    backbone = getattr(network, "backbone", None)
    if backbone is None:
        return _HAMBURGER
    if isinstance(backbone, TimmBody):  # whose file has timm's own names, without a prefix
        last = re.escape(backbone.last_layer or "")
        return ((rf"{last}\.(weight|bias)", r"classifier.\1"),)  # of the others `timm_names` knows
    inner = next((rules for kind, rules in _BACKBONES if isinstance(backbone, kind)), ())
    heads = (*_MMSEG_HEADS, *_VOC_HEAD) if hasattr(network, "head") else _CLASSIFIER
    return (
        *heads,
        *_under(r"backbone\.", "backbone.", inner),
        *_under("", "backbone.", inner),  # an ImageNet file has no prefix
    )


def hamburger_version(tensors: Mapping[str, Tensor]) -> Version | None:
    """Return the version of the Hamburger in a state dict, theirs or ours; None if there is none."""
    names = list(tensors)
    if any(name.endswith("coef_ham") for name in names):
        return "v2plus"
    if any("cheese." in name for name in names):
        return "v2"
    breads = r"(.*\.)?(upper_bread\.0\.weight|ham_out\.conv\.weight|hamburger\.norm\.weight)"
    return "v1" if any(re.fullmatch(breads, name) for name in names) else None

"""Which parameters have weight decay, and which another learning rate."""

from __future__ import annotations

import re
from typing import Any, Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)
Exempt = Literal["backbone_norms", "backbone_norms_but_stem", "norms_and_biases", "nothing"]
_NUMBERED = re.compile(
    r"backbone\.(network\.)?(features[._])?(denseblock|blocks?|stages?|layers?|s)[._]?\d+\."
)
GroupKey = tuple[float, bool]  # factor of the learning rate, whether there is no weight decay


def parameter_groups(
    network: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    exempt: Exempt = "backbone_norms",
    head_lr: float = 1.0,
    bias_lr: float = 1.0,
    backbone_lr: float = 1.0,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Split the trainable parameters by learning rate and weight decay.

    Args:
        network: Its `backbone`, if it has one, is told from the rest.
        lr: Learning rate.
        weight_decay: Of those that are not exempt.
        exempt: See `OptimizerOptions`. A learned start dictionary is exempt under every rule but
            "nothing": decay would only change its scale, and the originals train none.
        head_lr: Factor of the learning rate of all that is not in the backbone.
        bias_lr: Factor of the learning rate of all biases, those of norms too.
        backbone_lr: Factor of the learning rate of the backbone.
        layer_decay: Factor of the learning rate from each stage of the backbone to the one before it.

    Returns:
        Groups for a PyTorch optimiser, by growing learning rate, those with decay first.

    Raises:
        ValueError: If there is a `layer_decay` and the backbone has no stages that are told apart.
    """
    norm_parameters = {
        f"{name}.{kind}"
        for name, module in network.named_modules()
        if isinstance(module, NORMS)
        for kind, _ in module.named_parameters(recurse=False)
    }

    def is_bias(name: str) -> bool:
        return name.split(".")[-1].startswith("bias")  # of link networks, stacked, bias1 and bias2

    def is_exempt(name: str, dims: int) -> bool:
        if exempt == "nothing":
            return False
        if name.split(".")[-1] == "dictionary":
            return True
        if exempt == "norms_and_biases":
            return dims <= 1 or is_bias(name)
        is_kept = exempt == "backbone_norms_but_stem" and ".stem." in name
        return name in norm_parameters and name.startswith("backbone.") and not is_kept

    stages = backbone_stages(network)
    if layer_decay != 1 and not any(stages.values()):
        raise ValueError(
            f"optimizer.layer_decay {layer_decay} slows the earlier stages of a backbone, and none are told "
            f"apart in this one; leave it out, or give optimizer.backbone_lr."
        )

    def factor(name: str) -> float:
        stage = stages.get(name)
        of_part = head_lr if stage is None else backbone_lr * layer_decay**stage
        return of_part * (bias_lr if is_bias(name) else 1.0)

    members: dict[GroupKey, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = factor(name), is_exempt(name, parameter.dim())
            members.setdefault(key, []).append(parameter)
    return [
        {"params": members[key], "lr": lr * key[0], "weight_decay": 0.0 if key[1] else weight_decay}
        for key in sorted(members)
    ]


def backbone_stages(network: nn.Module) -> dict[str, int]:
    """Return how many stages lie between each parameter of the backbone and its end, by name.

    A stage is what the backbone, or timm's network in it, numbers at the top ("stages.2", "blocks.5",
    "layer3"); what stands before the first is the stem, what stands after one belongs to it.
    """
    names = [name for name, _ in network.named_parameters() if name.startswith("backbone.")]
    stages, found = ["stem"], {}
    for name in names:
        numbered = _NUMBERED.match(name)
        if numbered and numbered[0] not in stages:
            stages.append(numbered[0])
        found[name] = stages.index(numbered[0]) if numbered else len(stages) - 1
    return {name: len(stages) - 1 - index for name, index in found.items()}

"""Blocks against attention, networks against SegFormer-B0, steps of training."""

import importlib.util
from collections.abc import Callable

import torch
from gpu_lab import HALF, Lab
from torch import Tensor, nn
from torch.nn import functional as F

from subquad import create_model
from subquad.nn import Hamburger, NoContext, SelfAttention


def time_blocks(lab: Lab) -> None:
    for side in (4,) if lab.quick else (16, 32, 64, 128, 181):
        channels = 8 if lab.quick else 512
        x = torch.randn(1, channels, side, side, device=lab.device)
        for dtype in (torch.float32, HALF):
            blocks = {
                "NMF": Hamburger(channels, dim=channels, rank=4 if lab.quick else 64),
                "attention (SDPA)": Hamburger(channels, dim=channels, ham=SelfAttention(channels)),
                "no context": Hamburger(channels, dim=channels, ham=NoContext()),
            }
            for mode in ("inference", "training"):
                for block in blocks.values():
                    block.to(lab.device).train(mode == "training")
                ways = {
                    name: block_way(block, x, dtype, mode == "training") for name, block in blocks.items()
                }
                lab.time(f"block, {mode}", ways, mode == "inference", positions=side * side, dtype=str(dtype))


def block_way(block: nn.Module, x: Tensor, dtype: torch.dtype, training: bool) -> Callable[[], object]:
    def run() -> object:
        with torch.set_grad_enabled(training), torch.autocast(x.device.type, dtype, enabled=dtype == HALF):
            y = block(x)
        return torch.autograd.grad(y.sum(), list(block.parameters())) if training else y

    return run


def networks(lab: Lab) -> dict[str, nn.Module]:
    """Return the networks to compare; SegFormer-B0 if transformers is there."""
    classes = 3 if lab.quick else 150
    small = {"backbone": "conv_tiny", "channels": 32, "ham_channels": 32, "rank": 4}
    ours = create_model("light_ham_van_tiny_d256", num_classes=classes, **(small if lab.quick else {}))
    found = {"light_ham_van_tiny_d256": ours}
    if importlib.util.find_spec("transformers") is not None and not lab.quick:
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        segformer = SegformerForSemanticSegmentation(SegformerConfig(num_labels=classes))
        found["SegFormer-B0"] = SegFormer(segformer)
    return {name: network.to(lab.device).eval() for name, network in found.items()}


class SegFormer(nn.Module):
    """Logits of the size of the image, as ours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.network(images).logits, size=images.shape[2:], mode="bilinear")


def time_inference(lab: Lab) -> None:
    side, batches = (32, (1,)) if lab.quick else (512, (1, 8))
    for name, network in networks(lab).items():
        compiled = torch.compile(network, backend="eager" if lab.quick else "inductor")
        for batch in batches:
            images = torch.randn(batch, 3, side, side, device=lab.device)
            last = images.to(memory_format=torch.channels_last)
            ways = {
                "float32": infer(network, images, False),
                "channels_last": infer(network, last, False),
                "bfloat16": infer(network, images, True),
                "bfloat16, channels_last": infer(network, last, True),
                "compiled": infer(compiled, images, False),
                "compiled, bfloat16": infer(compiled, images, True),
            }
            lab.time(name, ways, batch=batch, side=side)


def infer(network: Callable[[Tensor], Tensor], images: Tensor, half: bool) -> Callable[[], object]:
    @torch.no_grad()
    def run() -> object:
        with torch.autocast(images.device.type, HALF, enabled=half):
            return network(images)

    return run


def time_training(lab: Lab) -> None:
    batch, side = (2, 32) if lab.quick else (8, 512)
    for name, network in networks(lab).items():
        network.train()
        images = torch.randn(batch, 3, side, side, device=lab.device)
        labels = torch.randint(3, (batch, side, side), device=lab.device)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-4)

        def step(half: bool, network=network, images=images, labels=labels, optimizer=optimizer) -> None:
            optimizer.zero_grad()
            with torch.autocast(images.device.type, HALF, enabled=half):
                logits = network(images)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

        ways = {"float32": lambda step=step: step(False), "bfloat16": lambda step=step: step(True)}
        lab.time(f"{name}, a step of training", ways, False, batch=batch, side=side)

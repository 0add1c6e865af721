"""Training of the proxy features: a small classifier on the labels of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from subquad.tasks.generation.proxy import ProxyConfig, ProxyFeatures


def train_proxy(
    config: ProxyConfig,
    training: Callable[[int], Iterable[dict[str, Any]]],
    evaluation: Iterable[dict[str, Any]],
    *,
    steps: int,
    epochs: int = 2,
    lr: float = 3e-3,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> ProxyFeatures:
    """Train a classifier whose features stand in for Inception's.

    Args:
        config: Of which pictures; its accuracy, epochs and seed are filled in.
        training: Batches of an epoch, as `subquad.data.class_images` describes them, by its number.
        evaluation: Batches for the accuracy.
        steps: Batches in an epoch.
        epochs: Passes over the training set.
        lr: Highest learning rate, of AdamW in one cycle.
        seed: Of the weights.
        device: Where to train.

    Returns:
        The network in evaluation mode, on the device.

    Raises:
        ValueError: If there is nothing to train for, or the loss is no finite number.
    """
    if epochs < 1 or steps < 1:
        raise ValueError(f"training needs an epoch and a batch at least, got {epochs} of {steps} batches.")
    torch.manual_seed(seed)
    network: Any = ProxyFeatures(config).to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    network.train()
    optimizer = AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    schedule = OneCycleLR(optimizer, lr, total_steps=epochs * steps + 1)
    for epoch in range(epochs):
        for batch in training(epoch):
            loss = F.cross_entropy(network(batch["image"].to(device)), batch["label"].to(device))
            if not bool(loss.isfinite()):
                raise ValueError(
                    f"the features became NaN in epoch {epoch + 1} of {epochs} (learning rate {lr}); "
                    f"start again with a lower --lr."
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    accuracy = proxy_accuracy(network, evaluation, device)
    network.config = dataclasses.replace(config, accuracy=accuracy, epochs=epochs, seed=seed)
    return network


def proxy_accuracy(
    network: ProxyFeatures, batches: Iterable[dict[str, Any]], device: torch.device | str = "cpu"
) -> float:
    """Return the share of pictures whose class is recognised; leaves the network in evaluation mode."""
    network.eval()
    right, count = 0, 0
    with torch.no_grad():
        for batch in batches:
            counts: Tensor = batch["index"] >= 0
            told = network(batch["image"].to(device)).argmax(dim=1).cpu()
            right += int(((told == batch["label"]) & counts).sum())
            count += int(counts.sum())
    return right / count

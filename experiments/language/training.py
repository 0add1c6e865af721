"""One loop for all: AdamW, warm-up, then a cosine to a tenth; what is measured after which step."""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import designs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).parent
Batch = tuple[Tensor, Tensor]  # tokens and targets (batch, n); a target below 0 is not counted


def train(
    network: nn.Module,
    batches: Callable[[], Batch],
    *,
    steps: int,
    lr: float,
    report: Iterable[int],
    evaluate: Callable[[nn.Module], dict[str, float]],
    enough: Callable[[dict[str, float]], bool] = lambda found: False,
) -> Iterator[dict[str, Any]]:
    """Train, and yield what was found after the steps of `report`.

    Args:
        network: Tokens to logits.
        batches: Gives the next batch.
        steps: Of the whole schedule: weights in the middle of it have not been annealed.
        lr: The highest learning rate.
        report: After which steps to evaluate.
        evaluate: Of the network in evaluation mode, without a graph.
        enough: Whether what was found ends it.
    """
    decayed = [p for p in network.parameters() if p.dim() >= 2]
    others = [p for p in network.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    warmup, begun = max(1, steps // 20), time.perf_counter()
    for step in range(1, steps + 1):
        along = max(0.0, (step - warmup) / max(1, steps - warmup))
        now = lr * min(step / warmup, 0.1 + 0.45 * (1 + math.cos(math.pi * along)))
        for group in optimizer.param_groups:
            group["lr"] = now
        tokens, targets = batches()
        logits = network(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss of step {step} is {loss.item()}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step in set(report):
            network.eval()
            with torch.inference_mode():
                found = evaluate(network)
            network.train()
            seconds = time.perf_counter() - begun
            yield {"step": step, "steps": steps, "lr": lr, "seconds": round(seconds, 1), **found}
            if enough(found):
                return


def compare(
    options: Any,
    sizes: dict[str, Any],
    draw_batch: Callable[[torch.Generator], Batch],
    evaluate: Callable[[nn.Module], dict[str, float]],
    report: Iterable[int],
) -> None:
    """Train each design with each seed and learning rate; a line of results for each of `report`.

    Args:
        options: Of the command, see `parser`.
        sizes: Of all networks.
        draw_batch: Gives the next batch.
        evaluate: Of a network.
        report: After which steps.
    """
    for seed in options.seeds:
        for design in options.designs:
            for lr in options.lrs or [searched(options.search, design)]:
                torch.manual_seed(seed)
                network = designs.network(design, **sizes)
                about = {"design": design, "seed": seed, **sizes, "batch": options.batch}
                about["parameters"] = sum(p.numel() for p in network.parameters())
                draw = torch.Generator().manual_seed(1000 + seed)
                run = train(
                    network,
                    partial(draw_batch, draw),
                    steps=options.steps,
                    lr=lr,
                    report=report,
                    evaluate=evaluate,
                )
                for found in run:
                    write(options.name, {**about, **found})


def searched(name: str, design: str) -> float:
    """Return the learning rate that was the best of a design in results/NAME.jsonl, after the last step."""
    lines = (HERE / "results" / f"{name}.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["design"] == design and row["step"] == row["steps"]]
    if not rows:
        raise SystemExit(f"{name}.jsonl has no learning rate of {design!r}; give --lrs.")
    best = max(rows, key=lambda row: -row["bits"] if "bits" in row else row["recall_16"])
    return best["lr"]


def parser(
    description: str | None, name: str, search: str, *, steps: int, dim: int, batch: int
) -> argparse.ArgumentParser:
    """Return the options that all comparisons have; the numbers are their defaults."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--designs", nargs="+", default=list(designs.DESIGNS))
    made.add_argument("--seeds", nargs="+", type=int, default=[0])
    made.add_argument("--lrs", nargs="+", type=float, help="Without: the best of --search, of each design.")
    made.add_argument("--search", default=search, help="File of results with learning rates.")
    made.add_argument("--steps", type=int, default=steps, help="Of the whole schedule.")
    made.add_argument("--dim", type=int, default=dim)
    made.add_argument("--depth", type=int, default=2)
    made.add_argument("--heads", type=int, default=4)
    made.add_argument("--batch", type=int, default=batch)
    made.add_argument("--name", default=name, help="Of the file of results.")
    return made


def write(name: str, row: dict[str, Any]) -> None:
    """Add a line to results/NAME.jsonl, with the commit and the device."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.strip()
    device = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    line = {**row, "commit": commit, "device": device}
    with (HERE / "results" / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    sys.stderr.write(json.dumps(row) + "\n")

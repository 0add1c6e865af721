"""Steps of training a second before and after, in turn, with their losses and their memory.

python experiments/speed/train.py --output experiments/speed/train.json

On a machine that does nothing else. "before" resizes the logits of all classes to the image, gives freed
memory back to the system, and leaves VAN's dilated convolution to PyTorch; "strips" changes the first of
these alone, "after" all three.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from subquad import create_model
from subquad.base.allocation import keep_freed_memory
from subquad.bench import Watch
from subquad.models.backbones.van import DilatedDepthwise
from subquad.tasks.generation.learner import GENERATOR, GenerationLearner
from subquad.tasks.generation.loss import average_into
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.segmentation.losses import LossOptions
from subquad.tasks.sequences.learner import SequenceLearner

WAYS = ("before", "strips", "after")
LIGHT_HAM = "light_ham_van_tiny_d256"
LITE0 = {"backbone": "timm/tf_efficientnet_lite0", "detail": 32}


def segmentation(name: str, batch: int, size: tuple[int, int], **overrides):
    """Return a step of a segmentation network on random pictures, a twentieth of whose pixels is ignored."""
    learner = SegmentationLearner(create_model(name, **overrides))
    optimizer, _ = learner.optimizer_options.build(learner.network, 1000)
    labels = torch.randint(0, learner.config.num_classes, (batch, *size), dtype=torch.uint8)
    labels[torch.rand(labels.shape) < 0.05] = 255
    images = torch.randint(0, 256, (batch, 3, *size), dtype=torch.uint8)
    return one_loss(learner, optimizer, {"image": images, "labels": labels})


def sequence():
    """Return a step of the Paramixer that classifies images of 1,024 pixels as sequences."""
    learner = SequenceLearner(create_model("paramixer_image"))
    optimizer, _ = learner.optimizer_options.build(learner.network, 1000)
    targets = torch.randint(0, 10, (16,))
    inputs = torch.randint(0, 256, (16, 1024))
    return one_loss(
        learner, optimizer, {"inputs": inputs, "lengths": torch.full((16,), 1024), "targets": targets}
    )


def one_loss(learner, optimizer, batch):
    """Return a step of a learner that has one optimiser."""
    learner.train()

    def step(seed: int) -> float:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        loss = learner.loss_of(batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def hamgan():
    """Return both updates of a HamGAN."""
    network = create_model("hamgan_baby", width=16, size=32, in_channels=1, num_classes=10)
    learner = GenerationLearner(network, ema=0.999)
    learner.train()
    for_generator, for_discriminator = learner.configure_optimizers()
    labels = torch.arange(32) % 10
    batch = {"image": torch.rand(32, 1, 32, 32) * 2 - 1, "label": labels, "index": torch.arange(32)}

    def step(seed: int) -> float:
        torch.manual_seed(seed)
        total = 0.0
        for part, optimizer in (("", for_discriminator), (GENERATOR, for_generator)):
            loss = learner.loss_of(batch, part)
            optimizer.zero_grad()
            loss.backward()
            learner.network.discriminator.requires_grad_(True)
            optimizer.step()
            total += loss.item()
        average_into(network.generator, learner.generator, 0.999)
        return total

    return step


CASES = {
    "Light-Ham, 150 classes, 8 x 240 x 320": lambda: segmentation(LIGHT_HAM, 8, (240, 320)),
    "Light-Ham, 11 classes, 8 x 240 x 320": lambda: segmentation(LIGHT_HAM, 8, (240, 320), num_classes=11),
    "Light-Ham on EfficientNet-Lite0, 11 classes, 8 x 240 x 320": lambda: segmentation(
        LIGHT_HAM, 8, (240, 320), num_classes=11, **LITE0
    ),
    "HamNet on VAN-Tiny, 150 classes, 4 x 120 x 160": lambda: segmentation(
        "hamnet_van_tiny_os8", 4, (120, 160)
    ),
    "Paramixer, 16 x 1024": sequence,
    "HamGAN, 32 x 32 x 32": hamgan,
}


def change(name: str) -> None:
    """Have this process take steps in one way."""

    def resized(self, coarse, labels, class_weights=None):
        return self.evaluate(coarse.resized(), labels, class_weights)

    if name == "before":
        LossOptions.evaluate_coarse = resized
    if name == "after":
        keep_freed_memory()
    else:
        DilatedDepthwise._conv_forward = nn.Conv2d._conv_forward


def work(case: str, name: str) -> None:
    """Take a step for each line of the input; tell its seconds, its loss, and the MiB that steps took."""
    torch.manual_seed(0)
    change(name)
    step = CASES[case]()
    before = resident("VmRSS")
    for line in sys.stdin:
        started = time.perf_counter()
        loss = step(int(line))
        seconds = time.perf_counter() - started
        sys.stdout.write(f"{seconds} {loss!r} {(resident('VmHWM') - before) / 1024}\n")
        sys.stdout.flush()


def resident(kind: str) -> int:
    """Return the KiB of this process now ("VmRSS") or at most so far ("VmHWM"), on Linux."""
    return int(Path("/proc/self/status").read_text().partition(f"{kind}:")[2].split()[0])


def measure(case: str, steps: int) -> dict[str, dict]:
    """Return what each way took: processes of their own, for memory is a process's, step by step in turn."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in WAYS:
            command = [sys.executable, __file__, "--only", case, "--work", name]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            workers[name] = stack.enter_context(subprocess.Popen(command, text=True, bufsize=1, **pipes))
        told = {name: [] for name in WAYS}
        for seed in range(steps):
            for name, worker in workers.items():
                worker.stdin.write(f"{seed}\n")
                told[name].append([float(word) for word in worker.stdout.readline().split()])
    return {name: summary(*zip(*answers, strict=True)) for name, answers in told.items()}


def summary(seconds: list[float], losses: list[float], memory: list[float]) -> dict:
    """Return quantiles without the first three steps, in which buffers and plans are made."""
    deciles = statistics.quantiles([1 / second for second in seconds[3:]], n=10)
    rates = {"p20": deciles[1], "p50": deciles[4], "p80": deciles[7]}
    return {"steps a second": rates, "peak MiB": memory[-1], "losses": losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CASES, help="one case")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--work", choices=WAYS, help="take steps in one way, as the input says")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.work:
        work(given.only, given.work)
        return
    found = json.loads(given.output.read_text()) if given.output and given.output.exists() else {}
    for case in [given.only] if given.only else CASES:
        watch = Watch(torch.device("cpu"))
        ways = measure(case, given.steps)
        found[case] = {"environment": asdict(watch.environment()), **ways}
        words = [f"{n} {w['steps a second']['p50']:.3g}/s {w['peak MiB']:.0f} MiB" for n, w in ways.items()]
        losses = zip(ways["before"]["losses"], ways["after"]["losses"], strict=True)
        apart = max(abs(a / b - 1) for a, b in losses)
        sys.stdout.write(f"{case}: {', '.join(words)}; losses differ by {apart:.1e} at most\n")
        sys.stdout.flush()
        if given.output:
            given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

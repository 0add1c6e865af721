"""How much each solver leaves out before training, and how a position's gradient reaches the others.

python experiments/contexts/before.py      adds a line to before.jsonl for each new case; half a minute

It prints the numbers of the README's tables from the lines.

The network of Scenes with random weights, on eight of its pictures, from one draw of the dictionary.
"left out" is |X - D C| / |X|; "others" is |gradient at other positions| / |gradient handed in|, of a random
gradient at one position, through all iterations; "alike" is by how much the mean cosine of two positions is
larger after the ham than before.
"""

import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from subquad import create_model
from subquad.bench.environment import environment
from subquad.engine.experiment_results import add_line, read_lines
from subquad.explain.code_maps import last_ham
from subquad.nn import watching_input
from subquad.ops import CD, NMF, VQ, decompose
from subquad.tasks.segmentation.data.scenes import Scenes

sys.path.insert(0, str(Path(__file__).parents[1] / "solvers"))

import candidates as new

RESULTS = Path(__file__).parent / "before.jsonl"
PICTURES, DIM, POSITION = 8, 128, 70
# Solver, rank, steps.
CASES = {
    "subspace": (new.Subspace(), 16, 6),
    "semi-NMF": (new.SemiNMF(), 16, 6),
    "HALS": (new.HALS(), 16, 6),
    "NMF, 24 steps": (NMF(), 16, 24),
    "accelerated NMF": (new.AcceleratedNMF(), 16, 6),
    "CD": (CD(), 16, 6),
    "NMF, rank 64": (NMF(), 64, 6),
    "NMF": (NMF(), 16, 6),
    "accelerated NMF, rank 4": (new.AcceleratedNMF(), 4, 6),
    "accelerated NMF, 2 steps": (new.AcceleratedNMF(), 16, 2),
    "NMF, 1 step": (NMF(), 16, 1),
    "ISTA": (new.ISTA(), 16, 6),
    "VQ": (VQ(), 16, 6),
    "CD, T 0.1": (CD(temperature=0.1), 16, 6),
    "VQ, T 0.1": (VQ(temperature=0.1), 16, 6),
    "EM attention": (new.EM(), 16, 6),
    "subspace, rank 4": (new.Subspace(), 4, 6),
    "semi-NMF, rank 4": (new.SemiNMF(), 4, 6),
    "HALS, rank 4": (new.HALS(), 4, 6),
    "HALS, 1 step": (new.HALS(), 16, 1),
    "NMF, 8 steps": (NMF(), 16, 8),
    "NMF, 12 steps": (NMF(), 16, 12),
    "NMF, rank 4": (NMF(), 4, 6),
    "NMF, rank 8": (NMF(), 8, 6),
    "NMF, rank 32": (NMF(), 32, 6),
    "NMF, rank 128": (NMF(), 128, 6),
}
RUNNING = {f"NMF, running, rank {rank}": (NMF(), rank, 6) for rank in (16, 4)}


def features(solver, images):
    """Return what the ham of a new network sees, (PICTURES, DIM, positions)."""
    torch.manual_seed(0)
    network = create_model(
        "light_ham_van_tiny_d256",
        backbone="conv_tiny", ham_channels=DIM, channels=DIM, norm="batch", num_classes=7, solver=solver,
    )  # fmt: skip
    seen = []
    with watching_input(last_ham(network), seen.append):
        network.train()((images - 0.5) / 0.25)
    return seen[-1].detach().flatten(2).double()


def likeness(x):
    """Return the mean cosine of two positions of a picture."""
    return float(F.normalize(x, dim=1).mean(dim=2).square().sum(dim=1).mean())


def running_dictionary(rank, passes=24):
    """Return where a running start of NMF is after so many passes of other pictures, (1, DIM, rank)."""
    data = Scenes(PICTURES * passes, size=(96, 96), split="train")
    draw = torch.Generator().manual_seed(3)
    start = NMF().random_dictionary((1, DIM, rank), generator=draw, dtype=torch.float64)
    for number in range(passes):
        chosen = [data[number * PICTURES + i].image for i in range(PICTURES)]
        x = features(NMF(), torch.stack(chosen).float() / 255)
        found = decompose(x, start.expand(PICTURES, -1, -1), NMF(), steps=6).dictionary
        start = F.normalize(start + 0.9 * (found.mean(0, keepdim=True) - start), dim=1)
    return start


def measured(name, images):
    """Return the three numbers of a case."""
    solver, rank, steps = (CASES | RUNNING)[name]
    x = features(solver, images).requires_grad_()
    draw = torch.Generator().manual_seed(3)
    start = solver.random_dictionary((PICTURES, DIM, rank), generator=draw, dtype=torch.float64)
    if name in RUNNING:
        start = running_dictionary(rank).expand(PICTURES, -1, -1)
    y = decompose(x, start, solver, steps=steps, grad_steps=steps).reconstruct()
    handed = torch.randn(PICTURES, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((y[..., POSITION] * handed).sum(), x)
    gradient[..., POSITION] = 0
    left = float(((x - y).norm() / x.norm()).detach())
    with torch.no_grad():
        alike = likeness(y) - likeness(x)
    return {"left_out": left, "others": float(gradient.norm() / handed.norm()), "alike": alike}


def main() -> None:
    data = Scenes(PICTURES, size=(96, 96), split="train")
    images = torch.stack([sample.image for sample in data]).float() / 255
    where = environment(torch.device("cpu")).provenance
    done = {line["case"] for line in read_lines(RESULTS)}
    for name in (name for name in (*CASES, *RUNNING) if name not in done):
        begun = time.monotonic()
        line = {"case": name, **measured(name, images)}
        add_line(RESULTS, {**line, "seconds": round(time.monotonic() - begun, 2), **where})
    lines = {line["case"]: line for line in read_lines(RESULTS)}
    print("| | left out | others | alike |\n|---|--:|--:|--:|")
    for name in (*CASES, *RUNNING):
        line = lines[name]
        print(f"| {name} | {line['left_out']:.2f} | {line['others']:.3f} | {line['alike']:.2f} |")


if __name__ == "__main__":
    main()

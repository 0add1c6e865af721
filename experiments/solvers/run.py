"""What each solver costs, and attention in its place: forward and backward pass, and memory.

OMP_NUM_THREADS=1 python experiments/solvers/run.py      on a machine that does nothing else; a minute or two

Each line of results.jsonl is one way on one map: `grad_steps` of six iterations in the graph. Times are
medians of rounds in turn, memory the most that PyTorch holds beside weights and inputs.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import candidates as new
import torch

from subquad.base.files import write_whole
from subquad.bench import Watch, peak_memory, side_by_side
from subquad.bench.modules import LinearAttention
from subquad.engine.experiment_results import read_lines
from subquad.nn import Ham, SelfAttention
from subquad.ops import CD, NMF, VQ

HERE = Path(__file__).parent
MAPS = {
    "Scenes": (16, 128, 12, 12, 16),
    "photograph": (1, 512, 64, 64, 64),
}  # batch, dim, height, width, rank
SOLVERS = {
    "NMF": NMF(),
    "CD": CD(),
    "VQ": VQ(),
    "accelerated NMF": new.AcceleratedNMF(),
    "HALS": new.HALS(),
    "semi-NMF": new.SemiNMF(),
    "ISTA": new.ISTA(),
    "subspace": new.Subspace(),
    "EM attention": new.EM(),
}


def ways(shape: tuple[int, ...], grad_steps: list[int]) -> dict[str, Callable[[], object]]:
    """Return forward and backward passes by "name|grad_steps"."""
    batch, dim, height, width, rank = shape
    x = torch.rand(batch, dim, height, width, requires_grad=True)
    modules = {
        f"{name}|{steps}": Ham(dim, rank, solver, grad_steps=steps)
        for name, solver in SOLVERS.items()
        for steps in grad_steps
    }
    modules |= {"self-attention, 4 heads|": SelfAttention(dim, 4), "linear attention|": LinearAttention(dim)}
    return {name: lambda m=module: m(x).square().mean().backward() for name, module in modules.items()}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--repeats", type=int, default=20)
    p.add_argument("--maps", nargs="+", choices=MAPS, default=list(MAPS))
    p.add_argument("--grad_steps", type=int, nargs="+", default=[0, 2, 6])
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = p.parse_args()
    lines = []
    for name in given.maps:
        made = ways(MAPS[name], given.grad_steps)
        watch = Watch(torch.device("cpu"))
        times = side_by_side(made, repeats=given.repeats, device=watch.device)
        place = watch.environment(times)
        where = place.provenance | {"quiet": place.quiet, "reason": place.reason}
        for way, timing in times.items():
            case, steps = way.split("|")
            line = {"map": name, "case": case, "grad_steps": int(steps) if steps else None}
            line |= {"ms": timing.p50, "p20": timing.p20, "p80": timing.p80}
            lines.append({**line, "peak": peak_memory(made[way], watch.device), **where})
    measured = {place_of(line) for line in lines}
    kept = [line for line in read_lines(given.output) if place_of(line) not in measured]
    text = "".join(json.dumps(line) + "\n" for line in kept + lines)
    write_whole(given.output, text.encode())


def place_of(line: dict) -> tuple:
    """Return what a line measures: a newer one of the same takes its place."""
    return line["map"], line["case"], line["grad_steps"]


if __name__ == "__main__":
    main()

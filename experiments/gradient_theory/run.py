"""The gradients of `grad_steps` against the implicit one, and against BPTT: the numbers of docs/gradients.md.

SUBQUAD_DATA=... python experiments/gradient_theory/run.py      adds a line to results.jsonl for each new case

Rank one, where all is known in closed form, for the cotangent with the largest error; the ham of a small
Light-Ham with random weights on two pictures of noise, to several tolerances; how slowly epsilon moves the
scale of NMF; and the ham of the network for nuclei, on one picture. One to two minutes on one core.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad import create_model, load_model
from subquad.bench.environment import environment
from subquad.data.shared import data_folder
from subquad.engine.experiment_results import add_line, finite, read_lines
from subquad.explain import gradients
from subquad.explain.fixed_point import fixed_point, iterated, output_of, problem_of
from subquad.explain.recorded import Loss
from subquad.nn import Ham
from subquad.ops import CD, NMF, Factors
from subquad.tasks.segmentation.data import SegmentationFolder
from subquad.tasks.segmentation.protocol import as_shown, protocol_for

HERE = Path(__file__).parent
EPS, ITERATIONS = 1e-6, 1000  # of NMF; so long its scale is watched

Line = dict[str, Any]


def rank_one(most_steps: int) -> Line:
    """Return what is measured for the worst cotangent, and the bound of the theorem as "theorem"."""
    torch.manual_seed(0)
    x = torch.rand(6, 20, dtype=torch.float64) ** 4
    left, values, right = torch.linalg.svd(x)
    rate = float((values[1] / values[0]) ** 2)
    worst = torch.outer(left[:, 1], right[0]) + math.sqrt(rate) * torch.outer(left[:, 0], right[1])
    ham = Ham(6, rank=1, solver=NMF(eps=1e-13), steps=12).double()
    found = measured(ham, x.unsqueeze(0), 1e-10, most_steps, loss=lambda y: (y * worst).sum())
    unit = float(torch.linalg.vector_norm(worst)) / (found["implicit"] or math.nan)
    steps = [one["grad_steps"] for one in found["gradients"]]
    return {**found, "theorem": [unit * (1 + rate) * rate**k / (1 - rate) for k in steps]}


def noise(solver: NMF | CD, tolerance: float) -> Callable[[int], Line]:
    """Return the measurement of a network with random weights."""

    def measure(most_steps: int) -> Line:
        torch.manual_seed(0)
        network = create_model(
            "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4,
            num_classes=3, solver=solver,
        )  # fmt: skip
        return measured(network, torch.randn(2, 3, 41, 56), tolerance, most_steps)

    return measure


def nuclei(most_steps: int) -> Line:
    data = SegmentationFolder(data_folder("nuclei", None, who="this script", give="it there"), "val")
    network = load_model("nuclei")
    picture = as_shown(network, data[0].image[None, :, :128, :128], protocol_for(network.config))
    return measured(network, picture, 1e-4, min(most_steps, 30_000))


def measured(
    network: torch.nn.Module, batch: Tensor, tolerance: float, most_steps: int, loss: Loss | None = None
) -> Line:
    """Return the report on the only ham of a network."""
    report = gradients(network, batch, loss=loss, tolerance=tolerance, most_steps=most_steps)
    print(report)
    (ham,) = report.to_json()["hams"]
    return {"tolerance": tolerance, "most_steps": most_steps, **ham}


def scale(most_steps: int) -> Line:
    """Return in how many iterations the scale comes nearer to its end by a factor of e, for rank one.

    "moved" is what D twice and C half as large as at the end make of the output, relative to its length.
    """
    torch.manual_seed(0)
    x, solver, limit = torch.rand(1, 6, 20, dtype=torch.float64), NMF(EPS), NMF(1e-14)
    start = limit.random_dictionary((1, 6, 1), dtype=torch.float64)
    dictionary, codes = fixed_point(x, start, limit, most_steps=most_steps).factors
    even = (codes.sum() / dictionary.sum()).sqrt()  # at the end the sums of D and C are equal
    factors = {by: Factors(dictionary * even * by, codes / even / by) for by in (1, 2)}
    problem = problem_of(x, solver, None)
    for _ in range(ITERATIONS):
        factors = {by: iterated(solver, problem, each) for by, each in factors.items()}
    balanced, doubled = (output_of(solver, problem, each) for each in factors.values())
    left = float((factors[2].dictionary.sum() / factors[2].codes.sum()).log()) / math.log(4)
    moved = float((doubled - balanced).norm() / balanced.norm())
    return {"eps": EPS, "mean": float(x.mean()), "iterations": -ITERATIONS / math.log(left), "moved": moved}


CASES = {
    "rank one, NMF": rank_one,
    "noise, NMF, to 1e-4": noise(NMF(), 1e-4),
    "noise, NMF, to 1e-6": noise(NMF(), 1e-6),
    "noise, NMF, to 1e-10": noise(NMF(), 1e-10),
    "noise, CD, to 1e-6": noise(CD(), 1e-6),
    "scale of NMF": scale,
    "nuclei, NMF": nuclei,
}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    p.add_argument("--most_steps", type=int, default=100_000, help="iterations after which to give up")
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = p.parse_args()
    where = environment(torch.device("cpu")).provenance
    done = {line["case"] for line in read_lines(given.output)}
    for case in given.cases:
        if case in done:
            continue
        print(case, flush=True)
        begun = time.monotonic()
        line = finite({"case": case, **CASES[case](given.most_steps)})
        add_line(given.output, {**line, "seconds": round(time.monotonic() - begun, 2), **where})


if __name__ == "__main__":
    main()

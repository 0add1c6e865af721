"""Errors of the gradients of `grad_steps` against the implicit one: docs/gradients.png, in half a minute.

python experiments/gradient_theory/picture.py

Left: NMF of rank one, where all is known in closed form, for the cotangent with the largest error. Middle and
right: the ham of a small Light-Ham with random weights, shown two pictures of noise, with NMF and with CD.
"""

import io
import math
from pathlib import Path

import torch
from matplotlib.figure import Figure

from subquad import create_model
from subquad.base.files import write_whole
from subquad.explain import HamGradients, gradients
from subquad.nn import Ham
from subquad.ops import CD, NMF

DOCS = Path(__file__).parents[2] / "docs"
OWN, LIMIT, BOUND = "#00798c", "#d1495b", "#777777"


def rank_one() -> tuple[HamGradients, list[float]]:
    """Return what is measured for the worst cotangent, and the bound of the theorem."""
    torch.manual_seed(0)
    x = torch.rand(6, 20, dtype=torch.float64) ** 4
    left, values, right = torch.linalg.svd(x)
    rate = float((values[1] / values[0]) ** 2)
    worst = torch.outer(left[:, 1], right[0]) + math.sqrt(rate) * torch.outer(left[:, 0], right[1])
    ham = Ham(6, rank=1, solver=NMF(eps=1e-13), steps=12).double()
    (found,) = gradients(ham, x.unsqueeze(0), loss=lambda y: (y * worst).sum()).hams
    unit = float(torch.linalg.vector_norm(worst)) / (found.implicit or math.nan)
    return found, [unit * (1 + rate) * rate**one.grad_steps / (1 - rate) for one in found.gradients]


def small_network(solver: NMF | CD) -> HamGradients:
    torch.manual_seed(0)
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=3,
        solver=solver,
    )  # fmt: skip
    report = gradients(network, torch.randn(2, 3, 41, 56), tolerance=1e-6)
    print(report)
    return report.hams[0]


def main() -> None:
    closed, theorem = rank_one()
    hams = {
        "NMF of rank 1, worst case": closed,
        "untrained Light-Ham, NMF of rank 4": small_network(NMF()),
        "untrained Light-Ham, CD of rank 4": small_network(CD()),
    }
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    for panel, (title, ham) in zip(figure.subplots(1, 3), hams.items(), strict=True):
        steps = [one.grad_steps for one in ham.gradients]
        bounds = theorem if ham is closed else [one.bound or math.nan for one in ham.gradients]
        own, limit = ([getattr(one, name) for one in ham.gradients] for name in ("error", "limit_error"))
        panel.plot(steps, bounds, color=BOUND, label="bound at the fixed point", linewidth=6, alpha=0.3)
        panel.plot(steps, limit, "o-", color=LIMIT, label="at the fixed point", markersize=4)
        panel.plot(steps, own, "s-", color=OWN, label="of decompose, from the start", markersize=3.5)
        panel.set_yscale("log")
        panel.set_title(f"{title}, {ham.steps} steps", fontsize=10)
        panel.set_xlabel("grad_steps")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    first = figure.axes[0]
    first.set_ylabel("error / length of the implicit gradient")
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_whole(DOCS / "gradients.png", buffer.getvalue())


if __name__ == "__main__":
    main()

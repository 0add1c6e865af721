"""Draw docs/mixers.png: how much each position of a sequence hears of each other one, for five mixers.

python experiments/mixers/picture.py

Each panel is |d y_i / d x_j| (Frobenius norm over the channels) of a module with random weights, on one
sequence of 64 positions of 16 channels: three segments, of which the first and the last are alike.
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from subquad.nn import Ham, Paramixer, SelfAttention

DOCS = Path(__file__).parents[2] / "docs"
POSITIONS, DIM = 64, 16


def sequence() -> Tensor:
    """Return three noisy segments, (1, DIM, POSITIONS), the first and the last of one kind."""
    draw = torch.Generator().manual_seed(0)
    kinds = torch.rand(2, DIM, generator=draw)
    kind = torch.tensor([0] * 20 + [1] * 24 + [0] * 20)
    return (kinds[kind].T + 0.15 * torch.rand(DIM, POSITIONS, generator=draw))[None].double()


def influence(module: nn.Module, x: Tensor) -> Tensor:
    """Return |d y_i / d x_j|, (positions, positions), divided by its largest entry beside the diagonal."""
    jacobian = torch.autograd.functional.jacobian(module, x)  # (1, dim, i, 1, dim, j)
    norms = jacobian[0, :, :, 0].square().sum(dim=(0, 2)).sqrt()
    return norms / (norms - norms.diag().diag()).max()


class AsMap(nn.Module):
    """A Paramixer, which takes (batch, positions, dim), for (batch, dim, positions)."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor) -> Tensor:
        return self.mixer(x.mT).mT


def main() -> None:
    torch.manual_seed(0)
    x = sequence()
    modules = {
        "3-tap convolution": nn.Conv1d(DIM, DIM, 3, padding=1),
        "self-attention": SelfAttention(DIM, 1),
        "Ham, NMF, rank 4": Ham(DIM, 4, grad_steps=6),
        "Paramixer, one factor": AsMap(Paramixer(DIM, 16, factors=1)),
        "Paramixer, six factors": AsMap(Paramixer(DIM, 16, factors=6)),
    }
    figure = Figure(figsize=(12, 2.9), layout="constrained")
    for axes, (name, module) in zip(figure.subplots(1, len(modules)), modules.items(), strict=True):
        axes.imshow(influence(module.double().eval(), x), cmap="Blues", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set_xticks([0, 20, 44])
        axes.set_yticks([0, 20, 44])
        axes.set_xlabel("heard position j", fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].set_ylabel("position i", fontsize=9)
    figure.savefig(DOCS / "mixers.png", dpi=110)


if __name__ == "__main__":
    main()

"""One forward pass over a very long sequence, in a process of its own: time and peak memory."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from subquad.bench.checks import check_numbers
from subquad.bench.environment import Environment, Watch
from subquad.bench.result import Chart, Table
from subquad.bench.timing import seconds_of
from subquad.nn import Paramixer


@dataclass(frozen=True)
class LongForward:
    """What `long_forward` measured.

    Attributes:
        seconds: Of one forward pass, after one over 1,024 positions to warm up.
        peak: Largest resident memory of the whole process in bytes, Python and PyTorch included.
    """

    environment: Environment
    tokens: int
    dim: int
    seconds: float
    peak: int

    def tables(self) -> list[Table]:
        """Return one line."""
        return [
            Table(
                f"{self.tokens:,} tokens, dim {self.dim}: {self.seconds:.2f} s, at most "
                f"{self.peak / 2**30:.2f} GiB in the whole process"
            )
        ]

    def charts(self) -> list[Chart]:
        """Return nothing: it is one number."""
        return []


def long_forward(tokens: int = 2**20, *, dim: int = 32) -> LongForward:
    """Run a Paramixer block with CHORD links and `hidden = dim` once over `tokens` positions on the CPU.

    Args:
        tokens: Positions, at least 1.
        dim: Channels.
    """
    check_numbers({"tokens": tokens, "dim": dim})
    place = torch.device("cpu")
    watch = Watch(place)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, peak = pool.submit(_run, tokens, dim, torch.get_num_threads()).result()
    return LongForward(watch.environment(), tokens, dim, seconds, peak)


@torch.no_grad()
def _run(tokens: int, dim: int, threads: int) -> tuple[float, int]:
    import resource

    torch.set_num_threads(threads)
    mixer = Paramixer(dim, dim, length=tokens).eval()
    x = torch.randn(1, tokens, dim)
    mixer(x[:, :1024])
    seconds = seconds_of(lambda: mixer(x), torch.device("cpu"))
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

"""What a mixer costs: time and memory of forward and backward, and a token decoded after so many others.

    OMP_NUM_THREADS=1 python experiments/language/cost.py

Batch 1, dim 128, 4 heads (Paramixer 16), factors for the length; causal attention by PyTorch's fused kernel,
with rotary positions and the gate that all have. Ratios are of medians of rounds in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

import torch
import training
from torch import nn

from subquad.bench import Watch, peak_memory, side_by_side
from subquad.nn import CausalAttention, CausalHam, CausalParamixer

DIM = 128


def mixers(length: int) -> dict[str, nn.Module]:
    """Return the mixers for a length."""
    return {
        "attention": CausalAttention(DIM, heads=4),
        "paramixer": CausalParamixer(DIM, length=length),
        "ridge": CausalHam(DIM, heads=4, solver="ridge", keys="phase"),
        "ridge, unit keys": CausalHam(DIM, heads=4, solver="ridge", keys="unit"),
        "delta": CausalHam(DIM, heads=4, solver="gradient", keys="phase"),
        "linear": CausalHam(DIM, heads=4, solver="none", keys="phase"),
    }


def passes(length: int) -> tuple[torch.Tensor, dict[str, Callable[[], object]]]:
    """Return an input and forward and backward passes of it."""
    x = torch.randn(1, length, DIM, requires_grad=True)
    made = mixers(length).items()
    return x, {name: lambda m=mixer: m(x).square().mean().backward() for name, mixer in made}


def times_of(length: int, repeats: int) -> None:
    """Time forward and backward passes."""
    x, ways = passes(length)
    watch = Watch(x.device)
    times = side_by_side(ways, repeats=repeats, device=x.device)
    environment = asdict(watch.environment(times))
    for name, timing in times.items():
        ratio = timing.p50 / times["attention"].p50
        row = {"mixer": name, "length": length, "ms": asdict(timing), "to_attention": round(ratio, 4)}
        training.write("cost", {"what": "forward and backward", **row, "environment": environment})


def memory_of(length: int) -> None:
    """Tell the most bytes that forward and backward passes hold; the gradients are there before."""
    x, ways = passes(length)
    peaks = {}
    for name, way in ways.items():
        way()
        peaks[name] = peak_memory(way, x.device)
        row = {"mixer": name, "length": length, "peak": peaks[name]}
        ratio = round(peaks[name] / peaks["attention"], 4)
        training.write("cost", {"what": "memory", **row, "to_attention": ratio})


def decoding(lengths: list[int], tokens: int) -> None:
    """Time tokens after a prefix: the caches are made by a pass over it."""
    for length in lengths:
        ways: dict[str, Callable[[], object]] = {}
        sizes = {}
        for name, mixer in mixers(max(lengths)).items():
            with torch.inference_mode():
                _, cache = mixer.eval()(torch.randn(1, length, DIM), return_cache=True)
            sizes[name] = sum(tensor.nbytes for tensor in cache.values())
            ways[name] = lambda m=mixer, c=cache: decode(m, c, tokens)
        watch = Watch(torch.device("cpu"))
        times = side_by_side(ways, repeats=10, device=torch.device("cpu"))
        environment = asdict(watch.environment(times))
        for name, timing in times.items():
            row = {"mixer": name, "after": length, "ms": round(timing.p50 / tokens, 4), "cache": sizes[name]}
            training.write("cost", {"what": "decoding", **row, "environment": environment})


@torch.inference_mode()
def decode(mixer: nn.Module, cache: dict[str, torch.Tensor], tokens: int) -> None:
    """Mix some more tokens, one by one."""
    for x in torch.randn(tokens, 1, DIM):
        _, cache = mixer.step(x, cache)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", nargs="+", type=int, default=[1024, 4096, 16384])
    parser.add_argument("--after", nargs="+", type=int, default=[256, 4096, 16384, 65536])
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=20)
    options = parser.parse_args()
    for length in options.lengths:
        times_of(length, options.repeats)
    decoding(options.after, options.tokens)
    for length in options.lengths:
        memory_of(length)


if __name__ == "__main__":
    main()

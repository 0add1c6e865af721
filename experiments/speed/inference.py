"""Before and after `optimize_for_inference`, for each family: one process, the ways in turn.

    OMP_NUM_THREADS=2 python experiments/speed/inference.py [NAME ...]      rows of inference.json

`plain` is the network with its weights channels last (on images), `optimised` float32, then bfloat16,
and `compiled` what torch.compile makes of the optimised one, with the seconds that it takes first.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from subquad.base.allocation import keep_freed_memory
from subquad.bench import Watch, side_by_side
from subquad.models import SegmentationNetwork, create_model, inference_report, optimize_for_inference

RESULTS = Path(__file__).with_suffix(".json")
DEVICE = torch.device("cpu")
SIDE = 512
NETWORKS: dict[str, tuple[int, int]] = {  # side or length, rounds
    "light_ham_van_tiny_d256": (SIDE, 15),
    "light_ham_van_base": (SIDE, 5),
    "light_ham_efficientnet_lite0": (SIDE, 15),
    "segnext_tiny": (SIDE, 15),
    "hamnet_van_tiny_os8": (SIDE, 5),
    "hamnet_r50_ade20k": (SIDE, 3),
    "hamnet_r50_voc": (513, 3),
    "van_tiny": (224, 25),
    "hamgan_baby": (0, 15),
    "paramixer_image": (1024, 15),
}
COMPILED = ("light_ham_van_tiny_d256", "light_ham_efficientnet_lite0", "van_tiny", "paramixer_image")


def measure(name: str, size: int, repeats: int, *, with_compile: bool) -> dict[str, object]:
    """Return times and errors of one network."""
    torch.manual_seed(0)
    network = create_model(name).eval()
    example = tuple(
        torch.randn_like(x) if x.is_floating_point() else x
        for x in network.config.example(size or network.config.cost_size())
    )
    begun = time.perf_counter()
    fast = {"optimised": optimize_for_inference(network, example)}
    prepared = {"optimised": round(time.perf_counter() - begun, 1)}
    fast["bfloat16"] = optimize_for_inference(network, example, dtype="bfloat16")
    if with_compile:
        begun = time.perf_counter()
        fast["compiled"] = optimize_for_inference(network, example, compile=True)
        prepared["compiled"] = round(time.perf_counter() - begun, 1)
    if any(p.dim() == 4 for p in network.parameters()):
        network = network.to(memory_format=torch.channels_last)
    networks = {"plain": network, **fast}
    watch = Watch(DEVICE)
    with torch.inference_mode():
        times = side_by_side(
            {way: lambda n=n: _answer(n, example) for way, n in networks.items()},
            repeats=repeats,
            device=DEVICE,
        )
    reports = {way: inference_report(n) for way, n in fast.items()}
    return {
        "input": [list(x.shape) for x in example],
        "median_ms": {way: round(t.p50, 2) for way, t in times.items()},
        "ms": {way: asdict(t) for way, t in times.items()},
        "environment": asdict(watch.environment(times)),
        "seconds_to_prepare": prepared,
        "error": {way: r.error for way, r in reports.items()},
        "same_class": {way: r.same_class for way, r in reports.items()},
        "steps": {way: [str(s) for s in r.steps] for way, r in reports.items()},
    }


def _answer(network: nn.Module, example: tuple[Tensor, ...]) -> object:
    """Ask a segmentation network for the class of each pixel, as `predict` does."""
    return network.class_map(*example) if isinstance(network, SegmentationNetwork) else network(*example)


def main(names: list[str]) -> None:
    """Measure the networks named, or all, each of which becomes a row of the file."""
    kept = keep_freed_memory()
    rows = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in names or NETWORKS:
        row = measure(name, *NETWORKS[name], with_compile=name in COMPILED)
        rows[name] = {**row, "keeps_freed_memory": kept}
        sys.stderr.write(f"{name}: {row['median_ms']}\n")
        RESULTS.write_text(json.dumps({n: rows[n] for n in NETWORKS if n in rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

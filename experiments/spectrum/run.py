"""The spectrum of what a ham sees and of what it hands on, of the network for nuclei that comes along.

SUBQUAD_DATA=... python experiments/spectrum/run.py      adds a line to results.jsonl for each new picture

"energy" is the share of the sum of squares that the first 1, 2, 4 ... directions have together.
"""

import argparse
import time
from pathlib import Path

import torch

from subquad import load_model
from subquad.bench.environment import environment
from subquad.data.shared import data_folder
from subquad.engine.experiment_results import add_line, read_lines
from subquad.explain.spectrum import (
    effective_rank,
    energy_shares,
    relative_residual,
    singular_values,
    singular_values_of_product,
)
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.data import SegmentationFolder

HERE = Path(__file__).parent
DIRECTIONS = (1, 2, 4, 8, 16, 32)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pictures", type=int, default=32, help="evenly spread over the validation split")
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = p.parse_args()
    network = load_model("nuclei").eval()
    data = SegmentationFolder(data_folder("nuclei", None, who="this script", give="it there"), "val")
    where = environment(torch.device("cpu")).provenance
    step = max(1, len(data) // given.pictures)
    done = {line["picture"] for line in read_lines(given.output)}
    for index in range(0, len(data), step)[: given.pictures]:
        if index in done:
            continue
        begun = time.monotonic()
        codes = codes_of(network, data[index].image, None, keeps_features=True)
        features, factors = codes.features, codes.factors
        spectra = {"before": singular_values(features), "after": singular_values_of_product(factors)}
        line = {"picture": index, "positions": features.shape[-1], "rank": factors.codes.shape[1]}
        line |= {"residual": relative_residual(features, factors)}
        for name, values in spectra.items():
            energy = energy_shares(values).cumsum(0)
            line[f"effective_rank_{name}"] = effective_rank(values)
            line[f"energy_{name}"] = [round(float(energy[min(n, len(energy)) - 1]), 5) for n in DIRECTIONS]
        add_line(given.output, {**line, "seconds": round(time.monotonic() - begun, 2), **where})
        print(f"picture {index}: effective rank {line['effective_rank_before']:.1f} before", flush=True)


if __name__ == "__main__":
    main()

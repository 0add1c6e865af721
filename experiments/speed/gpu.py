"""Check and time on a GPU what was written for one, in one call of at most eight minutes.

python experiments/speed/gpu.py --output gpu.json --measured measured.json
python experiments/speed/gpu.py --quick --device cpu        the script itself, in seconds

A stage that fails or takes too long says so in the file, and the next one begins.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from gpu_kernels import check_links, check_nmf, check_solvers, time_links, time_nmf
from gpu_lab import Lab
from gpu_networks import time_blocks, time_inference, time_training

# What a stage does, and its share of the time.
STAGES = {
    "check solvers": (check_solvers, 0.05),
    "check NMF": (check_nmf, 0.12),
    "check links": (check_links, 0.08),
    "NMF": (time_nmf, 0.15),
    "links": (time_links, 0.12),
    "blocks": (time_blocks, 0.15),
    "inference": (time_inference, 0.23),
    "training": (time_training, 0.1),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: nothing but this script is tested")
    parser.add_argument("--seconds", type=float, default=440, help="for all stages together")
    parser.add_argument(
        "--only", nargs="*", choices=STAGES, default=STAGES, metavar="STAGE", help=", ".join(STAGES)
    )
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--measured", type=Path, help="a file like measured.json, to which entries are added")
    given = parser.parse_args(arguments)
    if given.device == "cpu":
        os.environ.setdefault("TRITON_INTERPRET", "1")
    elif not torch.cuda.is_available():
        parser.error("there is no GPU; --quick --device cpu tests the script without one")
    known = []
    if given.measured is not None and given.measured.exists():
        known = json.loads(given.measured.read_text())
        if not isinstance(known, list):
            parser.error(f"{given.measured} is no list of measurements; name another file")
    lab = Lab(given.device, given.quick, given.seconds, given.output)
    for name in given.only:
        lab.run(name, *STAGES[name])
    if given.measured is not None:
        write_measurements(given.measured, known + lab.found["measured"])
    print(f"{'passed' if lab.found['passed'] else 'FAILED'}: {given.output}")
    return 0 if lab.found["passed"] else 1


def write_measurements(path: Path, entries: list[dict]) -> None:
    """Write one entry a line; of the same operation, device, type and sizes the last one counts."""

    def key(entry: dict) -> tuple:
        return (entry["operation"], entry["device"], entry["dtype"], tuple(entry["sizes"]))

    last = {key(entry): entry for entry in entries}
    path.write_text("[\n" + ",\n".join(json.dumps(last[each]) for each in sorted(last)) + "\n]\n")


if __name__ == "__main__":
    sys.exit(main())

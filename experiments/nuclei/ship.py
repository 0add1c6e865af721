"""Write the network that comes with the package: the best weights of a run, as float16.

python experiments/nuclei/ship.py runs/nuclei
"""

import sys
from pathlib import Path

import torch

from subquad import load_model, save_model
from subquad.models import ready

TARGET = Path(ready.__file__).parent / "weights" / "nuclei.safetensors"


def main() -> None:
    network = load_model(Path(sys.argv[1]) / "best.safetensors")
    save_model(network, TARGET, dtype=torch.float16)
    print(f"{TARGET}: {TARGET.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()

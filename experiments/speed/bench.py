"""The measurements of docs/bench.md on a CPU, each a file beside this one.

python experiments/speed/bench.py          on a machine that does nothing else; then tables.py
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHES = {"solvers": [], "modules": [], "scaling": ["--budget=12"], "models": []}


def bench(name: str, *options: str) -> None:
    subprocess.run([sys.executable, "-m", "subquad", "bench", name, *options], check=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one of them on a small map: to see that it runs")
    p.add_argument("--output", help="of --quick: its file")
    given = p.parse_args()
    if given.quick:
        bench("modules", "--height=8", "--width=8", "--dim=64", "--repeats=1", f"--json={given.output}")
        return
    for name, options in BENCHES.items():
        bench(name, *options, f"--json={HERE / f'{name}.json'}")


if __name__ == "__main__":
    main()

"""Train the Light-Ham of the demo, and measure flicker and accuracy of videos with it.

python experiments/video/all.py          adds lines to results.jsonl
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def python(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="a few steps and one video: to see that it runs")
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = p.parse_args()
    few = ["--clips", 1, "--noise", 2] if given.quick else []
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        python("-m", "subquad", "demo", "--steps", 5 if given.quick else 300, "--output", demo)
        python(HERE / "run.py", demo / "hamburger", "--output", given.output, *few)


if __name__ == "__main__":
    main()

"""All measurements of mixing: the product, a block beside attention, a million positions, many lengths.

python experiments/mixing/run.py          on a machine that does nothing else
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SPEED = HERE.parent / "speed"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="short sequences, one round: to see that it runs")
    p.add_argument("--output", type=Path, help="of --quick: a file in whose folder the files go")
    given = p.parse_args()
    mixing = ["--repeats", "100", "--json", str(SPEED / "mixing.json")]
    scaling = ["--budget", "12", "--json", str(SPEED / "scaling.json")]
    tokens, lengths = ["--tokens", "1048576", "--json", str(HERE / "long.json")], HERE / "lengths.json"
    if given.quick:
        folder = given.output.parent
        mixing = [
            "--repeats",
            "1",
            "--length",
            "64",
            "--compile",
            "false",
            "--json",
            str(folder / "mixing.json"),
        ]
        scaling = []
        tokens, lengths = ["--tokens", "1024", "--json", str(folder / "long.json")], folder / "lengths.json"
    bench = [sys.executable, "-m", "subquad", "bench"]
    subprocess.run([*bench, "mixing", *mixing], check=True)
    if scaling:
        subprocess.run([*bench, "scaling", *scaling], check=True)
    subprocess.run([*bench, "mixing", *tokens], check=True)
    command = [sys.executable, str(HERE / "lengths.py"), *["--repeats=1", "--batch=2"] * given.quick]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lengths.write_text(printed.splitlines()[-1] + "\n")


if __name__ == "__main__":
    main()

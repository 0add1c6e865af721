"""All trainings of the tables, one call of run.py after the other; what has a line is not run again.

python experiments/sequences/all.py          many hours on one core
"""

import subprocess
import sys
from pathlib import Path

# Task, positions, mixer, what is read out, seeds, and options of run.py and of `subquad fit`.
RUNS = """
adding 128 linformer cls 0
adding 128 none cls 0
adding 128 nystromformer cls 0
adding 128 paramixer cls 0,1,2 --compile=true
adding 128 performer cls 0
adding 128 transformer cls 0
adding 128 none flatten 0
adding 128 none mean 0
adding 512 linformer cls 0,1,2 --first=16 --data.samples=51200
adding 512 paramixer cls 0,1,2 --compile=true
adding 512 paramixer cls 0,1,2 --first=16 --compile=true --data.samples=51200
adding 512 performer cls 0,1,2 --first=16 --data.samples=51200
adding 512 transformer cls 0
adding 512 transformer cls 0,1,2 --first=16 --data.samples=51200
adding 2048 linformer cls 0 --first=16 --data.samples=51200
adding 2048 paramixer cls 0 --first=16 --compile=true --data.samples=102400
adding 2048 paramixer cls 0,1,2 --first=16 --compile=true --data.samples=102400 --data.batch_size=16
adding 2048 paramixer cls 0,1 --first=16 --compile=true --data.samples=51200
adding 2048 performer cls 0 --first=16 --data.samples=51200
adding 2048 transformer cls 0 --first=16 --data.samples=51200
order 128 linformer cls 0,1,2 --data.samples=51200
order 128 none cls 0,1,2 --data.samples=51200
order 128 paramixer cls 0,1,2 --compile=true --data.samples=51200
order 128 performer cls 0,1,2 --data.samples=51200
order 128 transformer cls 0
order 128 transformer cls 0,1,2 --data.samples=51200
order 128 none flatten 0
order 128 none mean 0
order 512 linformer cls 0 --data.samples=51200
order 512 linformer cls 0,1,2 --first=16 --data.samples=51200
order 512 paramixer cls 0,1,2 --compile=true
order 512 paramixer cls 0,1,2 --compile=true --data.samples=51200
order 512 paramixer cls 0,1,2 --first=16 --compile=true --data.samples=51200
order 512 performer cls 0 --data.samples=51200
order 512 performer cls 0,1,2 --first=16 --data.samples=51200
order 512 transformer cls 0 --data.samples=51200
order 512 transformer cls 0,1,2 --first=16 --data.samples=51200
order 2048 linformer cls 0 --data.samples=51200
order 2048 linformer cls 0 --first=16 --data.samples=51200
order 2048 paramixer cls 0 --compile=true --data.samples=51200 --data.batch_size=16
order 2048 paramixer cls 0,1,2 --first=16 --compile=true --data.samples=102400 --data.batch_size=16
order 2048 paramixer cls 0 --first=16 --compile=true --data.samples=51200
order 2048 performer cls 0 --first=16 --data.samples=51200
order 2048 transformer cls 0 --first=16 --data.samples=51200
"""


def main() -> None:
    for text in RUNS.strip().splitlines():
        task, length, mixer, readout, seeds, *options = text.split()
        what = ["--tasks", task, "--lengths", length, "--mixers", mixer, "--readouts", readout]
        command = [sys.executable, str(Path(__file__).parent / "run.py"), *what, "--seeds", *seeds.split(",")]
        subprocess.run([*command, *options], check=True)


if __name__ == "__main__":
    main()

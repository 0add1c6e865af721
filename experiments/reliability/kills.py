"""Runs that are killed at any moment, and disks that are full: what is left is whole, and goes on."""

from __future__ import annotations

import csv
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from forked import Outcome, run
from PIL import Image
from safetensors.torch import load_file

from base import TINY, Base

STEPS = 60


def arguments(base: Base, output: Path) -> list[str]:
    """Return those of the run that is killed."""
    return [
        "fit", f"--data.root={base.data}", *TINY, f"--output={output}", "--save_every=5",
        f"--trainer.max_epochs={STEPS // 3}", "--trainer.log_every_n_steps=1", "--optimizer.lr=1e-3",
    ]  # fmt: skip


def losses(folder: Path) -> dict[int, str]:
    """Return the loss of each step, as written, the last of what was tried several times."""
    found: dict[int, str] = {}
    for log in sorted(folder.glob("logs/version_*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with log.open(newline="") as file:
            found |= {
                int(row["step"]): row["train/loss"] for row in csv.DictReader(file) if row.get("train/loss")
            }
    return found


def kills(base: Base, times: int = 20, seed: int = 0) -> dict[str, int]:
    """Kill a run so many times, at random moments, resume it, and compare it with one left alone."""
    counts: Counter[str] = Counter()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="drill-kill-") as name:
        whole = Path(name) / "whole"
        begun = time.monotonic()
        if run(arguments(base, whole), Path(name), limit=300).code != 0:
            raise SystemExit("the run that is left alone fails")
        usual = time.monotonic() - begun
        expected = losses(whole)
        for number in range(times):
            output = Path(name) / f"run{number}"
            killed(arguments(base, output), chance.uniform(0.2, usual))
            counts["killed before anything was written"] += not output.is_dir()
            for path in output.glob("*.safetensors"):
                load_file(path)  # whole, or it raises
            resume = run([*arguments(base, output), "--resume"], Path(name), limit=300)
            if resume.code == 2 and not (output / "last.ckpt").is_file():
                counts["refused: nothing to resume"] += 1
            elif resume.code != 0:
                counts["FAULT not resumed"] += 1
                print(f"kill {number}: exit {resume.code}: {resume.err.strip()[-300:]}")
            elif final(output) != final(whole):
                counts["FAULT other weights"] += 1
            else:
                counts["resumed to the same weights"] += 1
                got = losses(output)
                if any(got[step] != expected[step] for step in got.keys() & expected.keys()):
                    counts["FAULT other losses"] += 1
            left = [path.name for path in output.rglob("*.tmp")]
            counts["FAULT temporary files left"] += bool(left)
            shutil.rmtree(output, ignore_errors=True)
            print(f"killed {number + 1}/{times}", flush=True)
    return {answer: count for answer, count in counts.items() if count}


def final(folder: Path) -> str:
    """Return a digest of the weights at the end."""
    tensors = load_file(folder / "last.safetensors")
    return str({name: tensor.double().sum().item() for name, tensor in sorted(tensors.items())})


def killed(command: list[str], seconds: float) -> None:
    """Start a command in a process of its own, and kill it hard after so many seconds of training."""
    child = subprocess.Popen(
        [sys.executable, "-c", FORKED, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    child.stdout.readline()  # everything is imported
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.communicate()


FORKED = """
import sys
import lightning.pytorch, torchvision
from subquad.cli.main import main
print("ready", flush=True)
sys.exit(main(sys.argv[1:]))
"""


def disks(base: Base) -> dict[str, int]:
    """Give commands a disk on which a file cannot grow beyond some size, as on a full one."""
    counts: Counter[str] = Counter()
    for size in (0, 1_000, 20_000, 100_000, 300_000):

        def full(size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        with tempfile.TemporaryDirectory(prefix="drill-disk-") as name:
            folder = Path(name)
            shutil.copytree(base.run, folder / "run")
            before = {path.name: path.read_bytes() for path in (folder / "run").glob("*.*") if path.is_file()}
            for command in (
                ["predict", "run", str(base.data / "val/images"), "--output", "p"],
                ["predict", str(base.sequence_run), str(base.table), "--output", "q.csv"],
                ["test", "run", "--json", "scores.json"],
                ["export", "run", "--output", "m.onnx"],
                [
                    "fit",
                    "--config",
                    "run/config.yaml",
                    "--resume",
                    "--output",
                    "run",
                ],
                arguments(base, folder / "other"),
            ):
                outcome = run(command, folder, limit=120, before=full)
                told(counts, outcome, command[0])
            for path in [*folder.glob("p/*.png"), *folder.glob("*/*.safetensors"), *folder.glob("*.onnx")]:
                counts["FAULT half a file"] += not is_whole(path)
            for part, content in before.items():
                path = folder / "run" / part
                if part.endswith(("best.safetensors", ".ckpt")) and not path.is_file():
                    counts["FAULT lost"] += 1
                    print(f"{part} was {len(content)} bytes")
        print(f"files of at most {size} bytes tried", flush=True)
    return {answer: count for answer, count in counts.items() if count}


def told(counts: Counter[str], outcome: Outcome, command: str) -> None:
    """Count the answer of a command on a full disk."""
    if outcome.code == 0:
        counts["room enough"] += 1
    elif "Traceback" in outcome.err or outcome.code in (None, 1):
        counts["FAULT traceback"] += 1
        print(f"{command}: exit {outcome.code}: {outcome.err.strip()[-400:]}")
    else:
        counts["refused in one sentence"] += 1


def is_whole(path: Path) -> bool:
    """Say whether a file can be read to its end."""
    try:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".safetensors":
            load_file(path)
        return os.path.getsize(path) > 0
    except Exception:
        return False

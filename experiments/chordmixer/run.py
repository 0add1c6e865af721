"""ChordMixer, Paramixer and a Transformer of equal size on four kinds of sequences, with one short budget.

SUBQUAD_DATA=... python experiments/chordmixer/run.py          adds lines to results.jsonl
python experiments/chordmixer/run.py --tasks listops --mixers chordmixer

Each run is a process of its own with one thread, one after the other; a run that is there is not run again.
Each mixer learns with both rates with seed 0; the rate with the better validation is that of the other seeds.
The test split is scored once a run, at the end: nothing is chosen by it.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from files import write_pixels, write_reviews

from subquad import load_model
from subquad.models import SequenceConfig, model_config
from subquad.models.cost import parameters_of

HERE = Path(__file__).parent
DATA = Path(os.environ.get("SUBQUAD_DATA", "data"))
RATES = (1e-3, 3e-3)
PARAMETERS = 50_000  # of all but the vectors of positions

TASKS: dict[str, dict[str, Any]] = {
    "listops": {
        "data": [
            "--data.name=listops", "--data.length=200", "--data.samples=38400", "--data.eval_samples=2000",
        ],
        "tokens": 16, "length": 200, "classes": 10, "steps": 1200, "batch": 32, "seeds": (0, 1, 2),
    },
    "pixels": {
        "data": ["--data.sequence_column=pixels", "--data.tokens=numbers"],
        "tokens": None, "length": 784, "classes": 10, "steps": 250, "batch": 32, "seeds": (0, 1, 2),
    },
    "genes": {
        "data": [
            "--data.name=genome", f"--data.file={DATA}/dna_chimp_dog/sequences.tsv.xz",
            "--data.sequence_column=sequence", "--data.label_column=gene_family", "--data.length=1024",
            "--data.val_fraction=0.15", "--data.test_fraction=0.2",
        ],
        "tokens": 6, "length": 1024, "classes": 7, "steps": 250, "batch": 16, "seeds": (0, 1, 2),
    },
    "reviews": {
        "data": ["--data.sequence_column=text", "--data.tokens=bytes", "--data.length=4096"],
        "tokens": 257, "length": 4096, "classes": 2, "steps": 200, "batch": 16, "seeds": (0,),
    },
}  # fmt: skip

# As each is published: a Transformer tells positions by vectors alone, Paramixer has them but in
# reviews, ChordMixer has none. Norms, mean pooling and training are the same.
MIXERS: dict[str, dict[str, Any]] = {
    "chordmixer": {"depth": 1},
    "paramixer": {"depth": 2, "start": "uniform"},
    "transformer": {"depth": 2, "heads": 2},
}


def network_options(task: str, mixer: str) -> dict:
    """Return the options of a network, with the hidden width at which it is nearest to the size wanted."""
    told = TASKS[task]
    length = told["length"]
    tracks = (length - 1).bit_length() + 1
    options = {
        "context": mixer, "norm": True, "pooling": "mean", "dropout": 0.0, "length": length,
        "dim": tracks * max(4, 48 // tracks) if mixer == "chordmixer" else 48,
        "positions": mixer == "transformer" or (mixer == "paramixer" and task != "reviews"),
    } | MIXERS[mixer]  # fmt: skip
    shape = {"vocab_size": told["tokens"], "num_classes": told["classes"]}

    def size(hidden: int) -> int:
        config = model_config("paramixer", **shape, **options | {"hidden": hidden})
        assert isinstance(config, SequenceConfig)
        return parameters_of(config) - (config.length * config.dim if config.positions else 0)

    one, two = size(1), size(2)  # it grows evenly
    return options | {"hidden": 1 + round((PARAMETERS - one) / (two - one))}


def run(task: str, mixer: str, seed: int, rate: float, folder: str, extra: list[str]) -> dict:
    """Train one network, and return its scores."""
    told = TASKS[task]
    options = network_options(task, mixer)
    output = f"{folder}/{task}_{mixer}_{seed}_{rate}"
    started, cpu = time.perf_counter(), os.times().children_user
    _command(
        "fit", "--task=sequences", "--model.name=paramixer", f"--output={output}", f"--seed={seed}",
        *[f"--model.{name}={str(value).lower()}" for name, value in options.items()],
        *told["data"], *_files(task, folder), f"--data.batch_size={told['batch']}",
        f"--data.eval_batch_size={told['batch']}", f"--trainer.max_steps={told['steps']}",
        "--trainer.max_epochs=-1", f"--trainer.val_check_interval={told['steps']}",
        "--trainer.check_val_every_n_epoch=null", "--trainer.gradient_clip_val=1.0",
        f"--optimizer.lr={rate}", f"--optimizer.warmup_steps={told['steps'] // 10}",
        "--optimizer.decay=cosine", "--optimizer.weight_decay=0.01", "--report_samples=0", *extra,
    )  # fmt: skip
    seconds, cpu = time.perf_counter() - started, os.times().children_user - cpu
    _command("test", output, f"--json={output}/test.json", *_files(task, folder))
    with next(Path(output, "logs").glob("*/metrics.csv")).open() as file:
        validation = [float(row["val/accuracy"]) for row in csv.DictReader(file) if row["val/accuracy"]][-1]
    test = json.loads(Path(output, "test.json").read_text())
    sizes = {name: p.numel() for name, p in load_model(Path(output, "best.safetensors")).named_parameters()}
    positions = sizes.pop("positions.weight", 0)
    return {
        "task": task, "mixer": mixer, "seed": seed, "rate": rate,
        "accuracy": test["accuracy"], "loss": test["loss"], "validation": validation,
        "parameters": sum(sizes.values()), "positions": positions,
        "dim": options["dim"], "hidden": options["hidden"],
        "steps": told["steps"], "batch": told["batch"], "options": extra,
        "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1),
    }  # fmt: skip


def _files(task: str, folder: str) -> list[str]:
    if task not in ("pixels", "reviews"):
        return []
    names = {"file": "train", "val_file": "val", "test_file": "test"}
    return [f"--data.{option}={folder}/{task}_{name}.jsonl" for option, name in names.items()]


def _command(*arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "subquad", *arguments], check=True, env=environment)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    p.add_argument("--mixers", nargs="+", choices=MIXERS, default=list(MIXERS))
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given, extra = p.parse_known_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    told = {
        "commit": commit.stdout.strip(),
        "device": f"{platform.machine()} CPU, 1 thread",
        "torch": torch.__version__,
    }
    lines = given.output.read_text().splitlines() if given.output.exists() else []
    found = {(r["task"], r["mixer"], r["seed"], r["rate"]): r for r in map(json.loads, lines)}
    with tempfile.TemporaryDirectory() as folder:
        if "pixels" in given.tasks:
            write_pixels(DATA / "fashion_mnist", Path(folder))
        if "reviews" in given.tasks:
            write_reviews(DATA / "imdb", Path(folder))

        def once(task: str, mixer: str, seed: int, rate: float) -> dict:
            of = task, mixer, seed, rate
            if of not in found:
                found[of] = run(*of, folder, extra) | told
                with given.output.open("a") as file:
                    file.write(json.dumps(found[of]) + "\n")
            return found[of]

        for task in given.tasks:
            for mixer in given.mixers:
                first = [once(task, mixer, 0, rate) for rate in RATES]
                best = max(first, key=lambda r: r["validation"])["rate"]
                for seed in TASKS[task]["seeds"][1:]:
                    once(task, mixer, seed, best)


if __name__ == "__main__":
    main()

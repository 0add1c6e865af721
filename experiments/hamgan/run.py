"""One small HamGAN with the hamburger, with self-attention and with no context, some seeds each.

SUBQUAD_DATA=... python experiments/hamgan/run.py --steps 2000     adds a line and a grid for each new run

Each run is a process of its own, so that its memory is its own. What is not known here goes to
`subquad fit`, such as --data.batch_size 64 --trainer.accelerator cuda.
"""

import argparse
import csv
import dataclasses
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from subquad.bench.environment import environment
from subquad.engine.experiment_results import add_line, read_lines
from subquad.models.hamgan import HamGAN, HamGANConfig
from subquad.tasks.fitting import fit, fit_parser
from subquad.tasks.generation.commands.evaluate import open_others, pictures
from subquad.tasks.generation.commands.features import main as make_features
from subquad.tasks.generation.features import open_features
from subquad.tasks.generation.learner import GenerationLearner
from subquad.tasks.generation.scores import GenerationProtocol, score_generator
from subquad.tasks.generation.task import TASK

HERE = Path(__file__).parent
RECIPES = HERE.parents[1] / "recipes" / "hamgan"
CONTEXTS = ("hamburger", "attention", "none")


def timed(seconds: list[float]):
    """Return a training step that also tells how long it took."""
    original = GenerationLearner.training_step

    def step(self, batch, batch_idx):
        started = time.perf_counter()
        original(self, batch, batch_idx)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)

    return step


def move_context(network: HamGAN, side: int) -> None:
    """Give the context modules to the maps of that side, in the generator and in the discriminator."""

    class Moved(HamGANConfig):
        context_side = side

    options = {f.name: getattr(network.config, f.name) for f in dataclasses.fields(HamGANConfig) if f.init}
    moved = HamGAN(Moved(**options))
    network.generator, network.discriminator = moved.generator, moved.discriminator


def run(context: str, seed: int, given: argparse.Namespace, extra: list[str]) -> dict:
    p = fit_parser(TASK)
    arguments = [
        f"--config={given.recipe}",
        f"--model.context={context}",
        f"--seed={seed}",
        f"--features={given.features}",
        f"--trainer.max_steps={given.steps}",
        f"--trainer.val_check_interval={given.steps // given.evaluations}",
        "--trainer.max_epochs=-1",
        *extra,
    ]
    seconds: list[float] = []
    GenerationLearner.training_step = timed(seconds)
    with tempfile.TemporaryDirectory() as folder:
        options = p.instantiate(p.parse_args(arguments))
        alter = None if given.side is None else lambda network: move_context(network, given.side)
        task = fit(TASK, options, Path(folder), alter=alter)
        log = Path(folder) / "logs" / "version_0" / "metrics.csv"
        rows = [row for row in csv.DictReader(log.open(newline="")) if row.get("val/proxy-FID")]
        if given.grid == "true":
            grid = sorted((Path(folder) / "samples").iterdir())[-1]
            shutil.copy(grid, Path(given.output).parent / f"{given.called or context}_seed{seed}.png")
    on_gpu = torch.cuda.is_available() and bool(torch.cuda.max_memory_allocated())
    device = "cuda" if on_gpu else "cpu"
    megabytes = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else most_memory()
    network = task.network.to(device).eval()
    real = TASK.open_data(options, network.config).datasets["test"]
    others = open_others(network.config, options.data, real)
    protocol = GenerationProtocol(samples=given.samples, seed=1000, allow_small=given.samples < 10_000)
    scores = score_generator(
        network.generator,
        open_features(given.features, None).to(device),
        pictures(real, protocol.samples, 500),
        pictures(others, protocol.samples, 500),
        protocol,
        batch_size=200,
    )
    return {
        "device": torch.cuda.get_device_name() if on_gpu else cpu_name(),
        "commit": environment(torch.device("cpu")).commit,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "curve": [[int(row["step"]) + 1, float(row["val/proxy-FID"])] for row in rows],
        "milliseconds_per_step": round(1000 * statistics.median(seconds), 2),
        "megabytes": round(megabytes),
        "memory_of": "most tensors on the GPU at once, in training and its evaluations"
        if on_gpu
        else "most of the process at once, with Python, the data and the evaluations",
        **scores.to_json(),
    }


def most_memory() -> float:
    """Return the most MB that this process held. `ru_maxrss` would begin with those of the one before it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def what(given: argparse.Namespace, extra: list[str], context: str, seed: int) -> dict:
    """Return what a run is of."""
    told = {"case": given.called or context, "context": context, "seed": seed, "steps": given.steps}
    return told | {"recipe": f"hamgan/{Path(given.recipe).name}", "side": given.side, "options": extra}


def is_run(line: dict, wanted: dict) -> bool:
    """Say whether a line is of that run. Older ones have no context, and their steps among the options."""
    options = [option for option in line.get("options", []) if not option.startswith("--steps=")]
    same = all(line.get(name) == wanted[name] for name in ("case", "seed", "steps", "recipe", "side"))
    return same and options == wanted["options"]


def cpu_name() -> str:
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        allow_abbrev=False,  # an option of `subquad fit` may begin like one of these
    )
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments.add_argument("--contexts", nargs="+", default=list(CONTEXTS), choices=CONTEXTS)
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--evaluations", type=int, default=5)
    arguments.add_argument("--recipe", help="that of --data if not given")
    arguments.add_argument("--data", default="fashion_mnist", choices=("fashion_mnist", "cifar10"))
    arguments.add_argument("--features", help="proxy features; made with --feature_epochs if not given")
    arguments.add_argument("--feature_epochs", type=int, default=2)
    arguments.add_argument("--output", default=str(HERE / "results.jsonl"))
    arguments.add_argument("--samples", type=int, default=10_000, help="images of the last evaluation")
    arguments.add_argument(
        "--side", type=int, help="of the maps that get context; that of HamGAN if not given"
    )
    arguments.add_argument("--called", help="what the lines and pictures call it, instead of its context")
    arguments.add_argument("--grid", default="true", choices=("true", "false"), help="keep the last images")
    arguments.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given, extra = arguments.parse_known_args()
    given.recipe = given.recipe or str(RECIPES / f"{given.data}.yaml")
    if given.one:
        result = run(given.one[0], int(given.one[1]), given, extra)
        Path(given.one[2]).write_text(json.dumps(result))
        return
    output = Path(given.output)
    wanted = [what(given, extra, context, seed) for seed in given.seeds for context in given.contexts]
    runs = [line for line in read_lines(output) if any(is_run(line, one) for one in wanted)]
    missing = [one for one in wanted if not any(is_run(line, one) for line in runs)]
    if missing and given.features is None:
        given.features = str(Path(tempfile.mkdtemp()) / "features.safetensors")
        make_features(
            [f"--data.name={given.data}", f"--epochs={given.feature_epochs}", f"--output={given.features}"]
        )
    result = Path(tempfile.mkdtemp()) / "one.json"
    for one in missing:
        same = [f"--{name}={getattr(given, name)}" for name in ("steps", "evaluations", "recipe", "samples")]
        same += [f"--features={given.features}", f"--output={given.output}"]
        same += [f"--{n}={v}" for n in ("side", "called", "grid") if (v := getattr(given, n)) is not None]
        of = [one["context"], str(one["seed"]), str(result)]
        subprocess.run([sys.executable, __file__, "--one", *of, *same, *extra], check=True)
        runs.append(one | json.loads(result.read_text()))
        add_line(output, runs[-1])
    print("| context | proxy-FID | classes recognised | ms / step | MB at most |\n|---|--:|--:|--:|--:|")
    for context in given.contexts:
        mine = [r for r in runs if r["case"] == (given.called or context)]
        distances = [r["distance"] for r in mine]
        spread = statistics.stdev(distances) if len(mine) > 1 else float("nan")
        right = 100 * statistics.mean(r["class_accuracy"] for r in mine)
        milliseconds = statistics.median(r["milliseconds_per_step"] for r in mine)
        megabytes = max(r["megabytes"] for r in mine)
        print(
            f"| {context} | {statistics.mean(distances):.2f} ± {spread:.2f} | {right:.1f} % | "
            f"{milliseconds:.0f} | {megabytes} |"
        )
    print(f"real to real: {runs[0]['real_distance']:.3f}")


if __name__ == "__main__":
    main()

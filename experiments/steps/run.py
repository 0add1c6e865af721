"""What the start of a decomposition buys, and what fewer steps in evaluation cost: one line a measurement.

python experiments/steps/run.py QUESTION NETWORK --data scenes     adds to experiments/steps/results.jsonl

reconstruction: |X - DC| / |X| over the number of steps, for each start, of what the network's ham sees.
iou: mean IoU over eval_steps; NETWORK is a folder of runs on Scenes by start and seed, trained where missing.
dial: mean IoU over eval_steps, of one network; with its start, and with the running one of training pictures.
latency: milliseconds over eval_steps, of its ham and of all of it.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad import load_model
from subquad.bench.environment import Watch
from subquad.bench.timing import side_by_side
from subquad.data.shared import data_folder
from subquad.engine.checkpoints import checkpoint_path
from subquad.explain.code_maps import last_ham
from subquad.models import SegmentationNetwork
from subquad.models.solvers import solver_from_json
from subquad.nn import Ham, watching_input
from subquad.nn.ham import StartDictionary
from subquad.nn.running import RUNNING_RATE
from subquad.nn.sharing import evaluating_steps
from subquad.ops import Factors, Solver, decompose
from subquad.tasks.segmentation.confusion import mean_iou_of
from subquad.tasks.segmentation.data import CamVid, SegmentationFolder
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.labels import for_inference, predict_labels

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes" / "scenes_light_ham.yaml"
CPU = torch.device("cpu")
FRAMES, SHIFT, SIDE = 4, 2, 512  # of a video: frames, pixels from one to the next, largest side
BATCH, BATCHES = 4, 4  # training pictures that move the running dictionary
LATER = "running, put in later"  # into a network that was trained with another start
USUAL = 6  # steps that found the dictionaries of other pictures

Line = dict[str, Any]


def open_data(name: str, split: Literal["train", "val"], margin: int = 0) -> Any:
    """Return pictures and labels; those of Scenes so much wider than the trained size."""
    if name == "scenes":
        return Scenes(200, size=(96, 96 + margin), split=split)
    if name == "camvid":
        return CamVid(split=split)
    return SegmentationFolder(data_folder(name, None, who="this script", give="it there"), split)


def spread(data: Any, count: int | None, first: int = 0) -> list[Any]:
    """Return so many samples, evenly spread over a data set; all if no number is given."""
    step = 1 if count is None else max(1, len(data) // count)
    return [data[index] for index in range(first % step, len(data), step)][:count]


def opened(network: str) -> SegmentationNetwork:
    return cast(SegmentationNetwork, load_model(checkpoint_path(network))).eval()


class Seen:
    """What the ham of a network sees, as columns (heads, dim // heads, positions)."""

    def __init__(self, network: SegmentationNetwork) -> None:
        self.network, self.ham = network, last_ham(network)

    def columns(self, pixels: Tensor) -> Tensor:
        return self.features(pixels)[0].flatten(1).unflatten(0, (self.ham.heads, -1))

    def features(self, pixels: Tensor) -> Tensor:
        seen: list[Tensor] = []
        with watching_input(self.ham, seen.append):
            predict_labels(self.network, pixels[None])
        return seen[-1].clone()

    def frames(self, pixels: Tensor) -> list[Tensor]:
        """Return the columns of the frames of a camera that pans over a picture."""
        width = min(pixels.shape[2], SIDE) - SHIFT * (FRAMES - 1)
        lefts = range(0, SHIFT * FRAMES, SHIFT)
        return [self.columns(pixels[:, :SIDE, left : left + width]) for left in lefts]


@torch.inference_mode()
def solve(x: Tensor, start: Tensor, solver: Solver, steps: int = USUAL) -> Factors:
    return decompose(x, start, solver, steps=steps)


def unit(dictionary: Tensor) -> Tensor:
    """Return it with columns of length one, as every start has them."""
    return F.normalize(dictionary, dim=-2)


def moved(dictionary: Tensor, batch: list[Tensor], solver: Solver) -> Tensor:
    """Return where a step of training with `start="running"` moves a dictionary."""
    found = torch.stack([solve(x, dictionary, solver).dictionary for x in batch])
    return unit(torch.lerp(dictionary, found.mean(0), RUNNING_RATE))


def running(seen: Seen, solver: Solver, start: Tensor, pictures: list[Any]) -> Tensor:
    """Return where training pictures move a dictionary, by batches."""
    columns = [seen.columns(sample.image[:, :SIDE, :SIDE]) for sample in pictures]
    for first in range(0, len(columns), BATCH):
        start = moved(start, columns[first : first + BATCH], solver)
    return start


def first_dictionary(ham: Ham, solver: Solver, seed: int) -> Tensor:
    """Return a draw; with seed 0 the one that every ham begins with."""
    return solver.random_dictionary(ham.dictionary.shape, generator=torch.Generator().manual_seed(seed))


def warm(frames: list[Tensor], start: Tensor, solver: Solver, steps: int) -> Tensor:
    """Return the dictionary of the last frame but one: all but the first frame took so many steps."""
    dictionary = unit(solve(frames[0], start, solver).dictionary)
    for x in frames[1:-1]:
        dictionary = unit(solve(x, dictionary, solver, steps).dictionary)
    return dictionary


def errors(
    seen: Seen, solver: Solver, given: argparse.Namespace, seed: int
) -> Mapping[tuple[str, int], float]:
    """Return the mean relative error of each start and number of steps, over pictures of this seed."""
    ham = seen.ham
    margin = SHIFT * (FRAMES - 1)
    pictures = spread(open_data(given.data, "val", margin), given.pictures or 12, first=seed)
    training = spread(open_data(given.data, "train"), 1 if given.quick else BATCH * BATCHES, first=seed)
    fixed = first_dictionary(ham, solver, 0)
    starts = {"fixed": fixed, "running": running(seen, solver, fixed, training)}
    if isinstance(ham.dictionary, torch.nn.Parameter):
        starts["learned"] = solver.admissible(ham.dictionary)
    sums: dict[tuple[str, int], float] = {}
    other = unit(solve(seen.columns(training[0].image[:, :SIDE, :SIDE]), fixed, solver).dictionary)
    for index, sample in enumerate(pictures):
        frames = seen.frames(sample.image)
        x = frames[-1]
        starts["random"] = first_dictionary(ham, solver, 1000 * (seed + 1) + index)
        starts["another picture"] = other
        for steps in given.steps:
            for name, start in {**starts, "last frame": warm(frames, fixed, solver, steps)}.items():
                left = x - solve(x, start, solver, steps).reconstruct()
                share = float(left.norm() / x.norm()) / len(pictures)
                sums[name, steps] = sums.get((name, steps), 0.0) + share
        other = unit(solve(x, fixed, solver).dictionary)
    return sums


def reconstruction(given: argparse.Namespace) -> Iterator[Line]:
    seen = Seen(opened(given.network))
    for name in given.solvers:
        solver = solver_from_json({"type": name})
        for seed in given.seeds:
            found = errors(seen, solver, given, seed)
            for (start, steps), value in found.items():
                yield {"start": start, "solver": name, "steps": steps, "seed": seed, "value": value}


def train(solver: str, start: str, seed: int, folder: Path, extra: list[str]) -> None:
    from subquad.tasks.fitting import fit, fit_parser  # Lightning takes seconds
    from subquad.tasks.segmentation.task import TASK

    p = fit_parser(TASK)
    arguments = [f"--config={RECIPE}", "--model.grad_steps=6", f"--model.start={start}"]
    arguments += [f"--model.solver={solver}", f"--seed={seed}"]
    fit(TASK, p.instantiate(p.parse_args([*arguments, *extra])), folder)


def mean_iou(network: SegmentationNetwork, samples: list[Any], classes: int, steps: int) -> float:
    with evaluating_steps(network, steps):
        return mean_iou_of(lambda image: predict_labels(network, image[None])[0], samples, classes)


def iou(given: argparse.Namespace) -> Iterator[Line]:
    data = open_data("scenes", "val")
    samples = spread(data, given.pictures)
    for solver in given.solvers:
        for seed in given.seeds:
            for start in given.starts:
                name = f"{start}_{seed}" if solver == "NMF" else f"{start}_{solver}_{seed}"
                folder = Path(given.network) / name
                if not (folder / "best.safetensors").is_file():
                    train(solver, start, seed, folder, given.extra)
                network = opened(str(folder))
                for steps in given.steps:
                    value = mean_iou(network, samples, data.labels.num_classes, steps)
                    yield {"start": start, "solver": solver, "steps": steps, "seed": seed, "value": value}


def for_predicting(given: argparse.Namespace) -> tuple[SegmentationNetwork, Line, Any]:
    """Return a network as `predict` has it, what its ham is, and the data."""
    network = for_inference(opened(given.network))
    ham = last_ham(network)
    data = open_data(given.data, "val")
    return network, {"start": ham.start, "solver": type(ham.solver).__name__, "seed": None}, data


def dial(given: argparse.Namespace) -> Iterator[Line]:
    network, about, data = for_predicting(given)
    samples, seen = spread(data, given.pictures), Seen(network)
    training = spread(open_data(given.data, "train"), 1 if given.quick else BATCH * BATCHES)
    own = seen.ham.dictionary.detach().clone()
    starts = {about["start"]: own, LATER: running(seen, seen.ham.solver, own, training)}
    for start, dictionary in starts.items():
        seen.ham.dictionary.detach().copy_(dictionary)
        for steps in given.steps:
            value = mean_iou(network, samples, data.labels.num_classes, steps)
            yield {**about, "start": start, "steps": steps, "value": value, "pictures": len(samples)}


def latency(given: argparse.Namespace) -> Iterator[Line]:
    network, about, data = for_predicting(given)
    seen, pixels = Seen(network), data[0].image
    features, ham = seen.features(pixels), seen.ham
    inputs = {"of": {"ham": list(features.shape), "network": list(pixels.shape)}}

    def run(part: torch.nn.Module, steps: int) -> None:
        with evaluating_steps(part, steps), torch.inference_mode():
            ham(features) if part is ham else predict_labels(network, pixels[None])

    for name, part, rounds in (("ham", ham, 24), ("network", network, 8)):
        ways = {str(steps): (lambda p=part, s=steps: run(p, s)) for steps in given.steps}
        watch = Watch(CPU)
        timings = side_by_side(ways, repeats=1 if given.quick else rounds, device=CPU)
        seen_load = watch.environment(timings)
        noise = {"load": seen_load.load, "quiet": seen_load.quiet, "reason": seen_load.reason}
        for steps, timing in timings.items():
            spread_of = {"p20": timing.p20, "p80": timing.p80, "size": inputs["of"][name]}
            yield {**about, "part": name, "steps": int(steps), "value": timing.p50, **spread_of, **noise}


QUESTIONS = {"reconstruction": reconstruction, "iou": iou, "dial": dial, "latency": latency}
STEPS = {"reconstruction": [1, 2, 3, 4, 5, 6, 8, 12], "iou": [1, 2, 3, 4, 6, 8, 12]}


def main(arguments: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("question", choices=QUESTIONS)
    p.add_argument("network", help="weights, a run, or the name of a ready network; for iou a folder of runs")
    p.add_argument("--data", required=True, help="scenes, camvid, or a folder below $SUBQUAD_DATA")
    p.add_argument("--name", default="Scenes", help="what the network is called in the tables")
    p.add_argument("--solvers", nargs="+", default=["NMF"], help="by the names they are registered under")
    p.add_argument("--starts", nargs="+", default=list(get_args(StartDictionary)))
    p.add_argument("--steps", type=int, nargs="+")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument("--pictures", type=int, help="of the data; all by default, 12 for reconstruction")
    p.add_argument("--quick", action="store_true", help="one picture and round: to see that it runs")
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given, given.extra = p.parse_known_args(arguments)
    if given.quick:
        given.pictures, given.seeds, given.steps = 1, given.seeds[:1], given.steps or [1, 2]
    given.steps = given.steps or STEPS.get(given.question, list(range(1, 9)))
    where = Watch(CPU).environment()
    place = where.provenance
    begun = time.monotonic()
    with given.output.open("a") as file:
        for found in QUESTIONS[given.question](given):
            seconds = round(time.monotonic() - begun, 2)
            line = {"question": given.question, "network": given.name, "data": given.data, **found}
            line["value"] = float(f"{line['value']:.6g}")
            text = json.dumps({**line, "seconds": seconds, **place})
            file.write(text + "\n")
            file.flush()
            print(text, flush=True)
            begun = time.monotonic()


if __name__ == "__main__":
    main()

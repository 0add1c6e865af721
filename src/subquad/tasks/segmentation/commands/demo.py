"""`subquad demo`: what global context adds, in two minutes, on pictures made here."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from subquad.engine.parsing import Parser
from subquad.engine.recipes import recipe
from subquad.engine.tables import print_table
from subquad.tasks.fitting import WEIGHTS, fit, fit_parser
from subquad.tasks.segmentation.confusion import SegmentationScores
from subquad.tasks.segmentation.task import TASK

RUNS = {"without the ham": "none", "with the ham": "hamburger"}
SHOWN, MAPS = 5, 4  # scenes in the report, code maps of each
STEPS = 400


def parser() -> Parser:
    """Return the options of `subquad demo`."""
    p = Parser(
        prog="subquad demo",
        description="Train a Light-Ham on built-in scenes with and without its ham, on the CPU, "
        "and write a report.",
    )
    p.add_argument(
        "--output", type=str, default="demo", help="Folder to write to; replaced if it is a demo's."
    )
    p.add_argument("--steps", type=int, default=STEPS, help="Training steps of each of the two runs.")
    p.add_argument("--seed", type=int, default=0, help="Of everything random.")
    return p


def main(arguments: list[str]) -> None:
    """Train twice, print the table, write the report."""
    options = parser().parse_args(arguments)
    if options.steps < 5:
        raise ValueError(f"--steps must be at least 5, got {options.steps}.")
    folder = Path(options.output)
    _make_room(folder)
    results, seconds = {}, {}
    for title, context in RUNS.items():
        sys.stdout.write(f"training {options.steps} steps {title}\n")
        sys.stdout.flush()
        started = time.monotonic()
        results[title] = _train(context, folder / context, options.steps, options.seed)
        seconds[title] = time.monotonic() - started
    columns, rows = _table(results, seconds)
    print_table("Scenes: IoU in percent on scenes that training never saw", columns, rows)
    _write_report(folder, columns, rows, options)
    sys.stdout.write(
        f"report:     {folder / 'report.html'}\ncheckpoint: {folder / RUNS['with the ham'] / WEIGHTS}\n"
    )


def _make_room(folder: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    import shutil

    if folder.exists() and any(folder.iterdir()):
        parts = (*RUNS.values(), "report.html")
        found = {path.name for path in folder.iterdir()}
        runs = found & {*RUNS.values()}  # of a demo that was interrupted, not all of them
        if found - {*parts} or not runs or not all((folder / run / "logs").is_dir() for run in runs):
            raise ValueError(f"{folder} holds other files; choose another --output.")
        for part in parts:
            path = folder / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _train(context: str, folder: Path, steps: int, seed: int) -> SegmentationScores:
    p = fit_parser(TASK)
    options: Any = p.parse_args([f"--config={recipe('scenes_light_ham')}", f"--seed={seed}"])
    options.model.context = context
    options.data.length = steps * options.data.batch_size
    options.trainer.val_check_interval = max(1, steps // 5)
    folder.mkdir(parents=True)
    return fit(TASK, p.instantiate(options), folder).scores


def _table(
    results: dict[str, SegmentationScores], seconds: dict[str, float]
) -> tuple[list[str], list[list[str]]]:
    rows = [
        [name, *(f"{100 * scores.iou[index]:.1f}" for scores in results.values())]
        for index, name in enumerate(next(iter(results.values())).names)
    ]
    rows.append(["training, s", *(f"{seconds[title]:.0f}" for title in results)])
    rows.append(["mean IoU", *(f"{100 * scores.mean_iou:.1f}" for scores in results.values())])
    return ["class", *results], rows


def _write_report(
    folder: Path,
    columns: list[str],
    rows: list[list[str]],
    options: Any,
) -> None:
    import subquad
    from subquad.engine.preprocess import preprocess
    from subquad.explain import HtmlReport, code_maps, telling_columns
    from subquad.explain.figures import curves, map_grid, side_by_side
    from subquad.tasks.segmentation.data.colors import index_to_color
    from subquad.tasks.segmentation.data.scenes import Scenes
    from subquad.tasks.segmentation.labels import predict_labels

    models: dict[str, Any] = {
        title: subquad.load_model(folder / run / WEIGHTS) for title, run in RUNS.items()
    }
    scenes = Scenes(64, seed=1, split="val")
    images = torch.stack([scenes[i].image for i in range(len(scenes))])
    truth = torch.stack([scenes[i].labels for i in range(len(scenes))])
    palette = scenes.labels.palette

    def painted(labels: Any) -> list[Any]:
        return [torch.from_numpy(index_to_color(item.numpy(), palette)) for item in labels[:SHOWN]]

    report = HtmlReport(
        "What global context adds",
        "In these scenes the class of a disk is told by the colour of one small marker far away. The "
        "backbone sees 31 pixels, so it cannot know; the ham, a matrix decomposition of the whole "
        "feature map, can.",
    )
    report.heading("Scores")
    report.table(columns, rows)
    report.note(
        f"IoU in percent on 200 scenes that training never saw, one seed ({options.seed}). Command: subquad "
        f"demo --steps {options.steps} --seed {options.seed}, subquad {subquad.__version__}, torch "
        f"{torch.__version__}, CPU with {torch.get_num_threads()} threads."
    )
    report.heading("Training")
    report.figure(
        curves({title: next((folder / run).glob("logs/*/metrics.csv")) for title, run in RUNS.items()}),
        "training loss and mean IoU by step",
    )
    report.heading("Predictions")
    pictures = {"image": list(images[:SHOWN]), "truth": painted(truth)}
    pictures |= {title: painted(predict_labels(model, images[:SHOWN])) for title, model in models.items()}
    report.figure(side_by_side(pictures), "image, truth, and the predictions of both networks")
    report.heading("What the ham found")
    model = models["with the ham"]
    maps = code_maps(model, preprocess(images, model.config))
    telling = telling_columns(maps, truth, scenes.labels.num_classes)
    best = telling.argsort(descending=True)[:MAPS]
    report.text(
        "Each map shows how much of one dictionary column the ham put into each place: its code. "
        "These columns tell most about the classes; the number is the share of the code's variance "
        "that the class of the pixel explains."
    )
    titles = [f"column {int(c)}: {telling[c]:.0%}" for c in best]
    report.figure(
        map_grid(images[:SHOWN], maps[:SHOWN, best], titles),
        "code maps of the most telling columns",
    )
    report.save(folder / "report.html")

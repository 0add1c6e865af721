"""What others rely on is what the lists in `golden/` say: names, options, networks, keys of files.

`make golden` renews the lists; docs/stability.md says which changes of them are allowed.
"""

import csv
import difflib
import hashlib
import json
import os
from dataclasses import MISSING, fields
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path
from pkgutil import walk_packages

import pytest

import subquad
from classification_data import fit_classes, write_classes
from cli_helpers import reported_fit_arguments, write_data
from hamgan_data import TINY as TINY_HAMGAN
from hamgan_data import write_class_folder
from subquad.cli import advise, bench, convert, data, export, info, models, replay, report, reproduce
from subquad.cli import compare as compare_runs
from subquad.cli.main import main
from subquad.engine.nan_batch import NanBatch
from subquad.engine.resume import RUN_KEY, read_checkpoint
from subquad.export.report import ExportReport, ShapeCheck
from subquad.models import list_models, model_config
from subquad.models.blueprint import blueprint
from subquad.models.registry import FAMILIES
from subquad.tasks import Task, commands, task_called, task_names
from subquad.tasks.asking import ask_parser
from subquad.tasks.explaining import explain_parser
from subquad.tasks.fitting import fit_parser

GOLDEN = Path(__file__).parent / "golden"
RENEW = os.environ.get("SUBQUAD_RENEW_GOLDEN") == "1"

TASKS = task_names()


def compare(name, lines):
    """Compare lines with a file of `golden/`, or write them there."""
    path, text = GOLDEN / name, "\n".join(lines) + "\n"
    if RENEW:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    kept = path.read_text() if path.is_file() else ""
    if text != kept:
        shown = difflib.unified_diff(
            kept.splitlines(), text.splitlines(), f"tests/golden/{name}", "now", n=0, lineterm=""
        )
        told = "What others rely on has changed: see docs/stability.md. `make golden` renews the lists."
        pytest.fail("\n".join([*shown, "", told]), pytrace=False)


def keys(value, prefix=""):
    """Return the full names of what is in nested dictionaries and lists, such as "classes[].iou"."""
    if isinstance(value, dict):
        return sorted({name for key, inner in value.items() for name in keys(inner, f"{prefix}.{key}")})
    if isinstance(value, list):
        return sorted({name for inner in value or [0] for name in keys(inner, f"{prefix}[]")})
    return [prefix.removeprefix(".")]


def is_ours(config):
    return config.__module__.startswith("subquad.")


def listed(parser):
    """Return the options of a parser, each with its default."""
    options = sorted(parser._options(), key=lambda action: action.dest)
    return [
        *(f"{action.dest}" for action in parser._actions if not action.option_strings),
        *(f"--{action.dest} = {json.dumps(action.default, default=str)}" for action in options),
        *(f"{name} is {long}" for name, long in sorted(parser.short.items())),
    ]


def test_public_names():
    found = []
    packages = [one.name for one in walk_packages(subquad.__path__, "subquad.") if one.ispkg]
    for package in ["subquad", *packages]:
        module = import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            assert value.__doc__ or not (isclass(value) or isfunction(value)), f"{package}.{name}"
            found.append(f"{package}.{name}")
    compare("names.txt", sorted(found))


@pytest.mark.parametrize("name", TASKS)
def test_options_of_a_task(name):
    task = task_called(name)
    parsers = {"fit": fit_parser(task), "test": ask_parser("test", task)}
    if name != "generation":  # it has `subquad generate`
        parsers["predict"] = ask_parser("predict", task)
    if task.explains:
        parsers["explain"] = explain_parser(task)
    if task.generates:
        parsers["generate"] = import_module(task.generates.partition(":")[0]).parser()
    if task.formats:
        parsers["data_check"] = data.parser(task, "")
    if type(task).convert_data is not Task.convert_data:
        parsers["data_convert"] = data.parser(task, "", action="convert")
    for command, parser in parsers.items():
        compare(f"options/{command}_{name}.txt", listed(parser))


def test_options_of_other_commands():
    own = {name: import_module(command.where.partition(":")[0]) for name, command in commands().items()}
    modules = {
        "advise": advise, "compare": compare_runs, "convert": convert, "export": export, "info": info,
        "models": models, "replay": replay, "report": report, "reproduce": reproduce, **own,
    }  # fmt: skip
    for name, module in modules.items():
        compare(f"options/{name}.txt", listed(module.parser()))
    for what in bench.BENCHES:
        compare(f"options/bench_{what}.txt", listed(bench.parser(what)))


def test_networks_and_the_tensors_of_their_checkpoints():
    """The digest is of names and shapes: who renames a tensor makes files that cannot be read."""
    found = []
    for name in list_models():
        config = model_config(name)
        if not is_ours(type(config)):
            continue
        tensors = sorted((key, *tensor.shape) for key, tensor in blueprint(config).items())
        digest = hashlib.sha256(json.dumps(tensors).encode()).hexdigest()[:12]
        found.append(f"{name}: {config.family}, {len(tensors)} tensors, {digest}")
        for field in fields(config):
            value = getattr(config, field.name)
            if value != field.default:
                found.append(f"    {field.name} = {json.dumps(value, default=str)}")
    compare("models.txt", found)


def test_options_in_checkpoints():
    found = []
    ours = [name for name, config in FAMILIES.items() if is_ours(config)]  # other tests register some
    for name in sorted(ours):
        for field in sorted(fields(FAMILIES[name]), key=lambda field: field.name):
            told = "required" if field.default is MISSING else json.dumps(field.default, default=str)
            found.append(f"{name}.{field.name} = {told}")
    compare("families.txt", found)


LOG = "--trainer.log_every_n_steps=1"


def run_segmentation(root):
    write_data(root / "data")
    run(*reported_fit_arguments(root / "data", root / "run", LOG))
    run("test", root / "run", "--json", root / "test.json")
    run("data", "check", root / "data", "--json", root / "data.json")
    run("info", root / "run", "--json", root / "info.json")
    run("models", "van_tiny", "--json", root / "models.json")
    picture = root / "data/val/images/val0.png"
    files = f"--output={root / 'explain.html'}", "--json", root / "explain.json"
    run("explain", picture, "--model", root / "run", "--at", "2,3", *files)


def run_sequences(root):
    rows = [f"{'AACG' * (1 + n % 3)}{'T' * (n % 5)},{'cat' if n % 2 else 'dog'}" for n in range(30)]
    (root / "table.csv").write_text("\n".join(["text,kind", *rows]) + "\n")
    run(
        "fit", "--model.name=paramixer", "--model.dim=8", "--model.hidden=8", "--trainer.max_epochs=1",
        "--data.batch_size=4", f"--data.file={root / 'table.csv'}", "--data.sequence_column=text",
        "--data.label_column=kind", "--trainer.accelerator=cpu", f"--output={root / 'run'}", LOG,
    )  # fmt: skip
    run("test", root / "run", "--json", root / "test.json")
    run("predict", root / "run", root / "table.csv", f"--output={root / 'predictions.csv'}")
    files = f"--output={root / 'explain.html'}", "--json", root / "explain.json"
    run("explain", root / "table.csv", "--model", root / "run", *files)


def run_generation(root):
    write_class_folder(root / "data")
    data = f"--data.root={root / 'data'}", "--data.eval_batch_size=8"
    features = f"--features={root / 'f.safetensors'}"
    run("features", *data, "--data.batch_size=6", "--epochs=1", "--width=4", f"--output={features[11:]}")
    run(
        "fit", *TINY_HAMGAN, *data, "--trainer.max_steps=2", "--trainer.val_check_interval=2",
        "--grids.every=2", "--grids.columns=2", f"--output={root / 'run'}", features,
    )  # fmt: skip
    run("test", root / "run", "--samples=18", "--allow_small=true", "--json", root / "test.json")


def run_classification(root):
    write_classes(root / "data")
    run(*fit_classes(root / "data", root / "run", LOG))
    run("test", root / "run", "--json", root / "test.json")
    run("predict", root / "run", root / "data/val/red", f"--output={root / 'predictions.csv'}")


def run_language(root):
    (root / "text.txt").write_text("".join(f"{n} green bottles on the wall, " for n in range(200)))
    run(
        "fit", "--model.name=ham_lm_tiny", "--model.dim=16", "--data.context=16", "--data.batch_size=4",
        f"--data.file={root / 'text.txt'}", "--trainer.accelerator=cpu", "--trainer.max_steps=2",
        "--trainer.val_check_interval=2", f"--output={root / 'run'}", LOG,
    )  # fmt: skip
    run("test", root / "run", "--json", root / "test.json")
    run("predict", root / "run", root / "text.txt", f"--output={root / 'predictions.csv'}")
    files = f"--output={root / 'explain.html'}", "--json", root / "explain.json"
    run("explain", root / "text.txt", "--model", root / "run", *files)


RUNS = {
    "segmentation": run_segmentation, "sequences": run_sequences, "generation": run_generation,
    "classification": run_classification, "language": run_language,
}  # fmt: skip


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0, arguments


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore:.*is of 18 images, fewer")
def test_what_is_in_the_files_of_a_run(name, tmp_path):
    assert name in RUNS, f"a new task: add run_{name}, a run of seconds, to RUNS"
    RUNS[name](tmp_path)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    others = ("events.out", "last.previous")  # of chance, and of the clock
    found = sorted(str(path.relative_to(tmp_path)) for path in files if not path.name.startswith(others))
    (logged,) = (tmp_path / "run").rglob("metrics.csv")
    for path in (logged, *tmp_path.glob("*predictions.csv")):
        with path.open() as file:
            found += [f"{path.name}: {column}" for column in next(csv.reader(file))]
    last = read_checkpoint(tmp_path / "run" / "last.ckpt")
    found += [f"last.ckpt: {key}" for key in sorted(last)]
    found += [f"last.ckpt callbacks: {key}" for key in sorted(last["callbacks"])]
    found += [f"last.ckpt {RUN_KEY}: {key}" for key in sorted(json.loads(last[RUN_KEY]))]
    for path in (*sorted(tmp_path.glob("*.json")), tmp_path / "run" / "run.json"):
        found += [f"{path.name}: {key}" for key in keys(json.loads(path.read_text()))]
    compare(f"files_{name}.txt", found)


def test_what_is_in_other_files():
    check = ShapeCheck((1, 3, 8, 8), 0.0, 1.0, 1.0, True, 64)
    report = ExportReport(Path("m.onnx"), "onnx", 1, "images", 1e-4, (check,), {"torch": "2"})
    found = [f"nan_batch.pt: {field.name}" for field in fields(NanBatch)]
    compare("files.txt", [*found, *(f"report.json: {key}" for key in keys(json.loads(report.to_json())))])

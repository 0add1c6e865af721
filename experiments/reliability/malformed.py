"""Malformed input of every kind, given to every command that reads it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import broken
from safetensors.torch import load_file, save_file

from base import TINY, Base


@dataclass(frozen=True)
class Case:
    """One input and one command.

    Attributes:
        name: What is broken, and how.
        prepare: Writes the input into an empty folder.
        arguments: Of the command, which runs in that folder.
    """

    name: str
    prepare: Callable[[Path], None]
    arguments: list[str]


def writing(files: dict[str, bytes | str | Path]) -> Callable[[Path], None]:
    """Return what writes files, or links to what is there, into a folder."""

    def prepare(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def cases(base: Base) -> Iterator[Case]:
    """Yield all of them."""
    for source in (
        recipes,
        runs,
        checkpoints,
        weights,
        pictures,
        masks,
        class_files,
        tables,
        options,
        no_files,
    ):
        for case in source(base):
            yield Case(f"{source.__name__}: {case.name}", case.prepare, case.arguments)


def recipes(base: Base) -> Iterator[Case]:
    """Recipes of `fit`."""
    fit = ["fit", "--config", "r.yaml", f"--data.root={base.data}", *TINY, "--output", "out"]
    last = ["--trainer.max_steps=1", "--trainer.limit_val_batches=1"]
    for name, text in broken.broken_yaml():
        yield Case(name, writing({"r.yaml": text}), [*fit, *([] if "max_steps" in name else last)])
    for name, data in broken.broken_bytes(base.recipe.read_bytes(), seed=1):
        yield Case(name, writing({"r.yaml": data}), [*fit, *last])


def runs(base: Base) -> Iterator[Case]:
    """The config.yaml and the last.ckpt of a run."""
    whole: dict[str, bytes | str | Path] = {
        f"run/{path.name}": path for path in base.run.iterdir() if path.is_file()
    }
    for name, text in broken.broken_yaml():
        yield Case(f"config.yaml {name}", writing(whole | {"run/config.yaml": text}), ["test", "run"])
    for name, text in list(broken.broken_yaml())[:12]:
        files = {"run/config.yaml": text, "run/best.safetensors": base.sequence_run / "best.safetensors"}
        arguments = ["predict", "run", str(base.table), "--output", "p.csv"]
        yield Case(f"config.yaml of sequences {name}", writing({**files}), arguments)
    resume = ["fit", "--config", "run/config.yaml", "--resume", "--output", "run"]
    for name, data in broken.broken_bytes((base.run / "last.ckpt").read_bytes(), seed=2):
        yield Case(f"last.ckpt {name}", writing(whole | {"run/last.ckpt": data}), resume)


def checkpoints(base: Base) -> Iterator[Case]:
    """Checkpoints whose configuration or bytes are damaged."""
    for kind, run in {"segmentation": base.run, "sequences": base.sequence_run}.items():
        tensors, metadata = load_file(run / "best.safetensors"), base.metadata(run)
        config = json.loads(metadata["subquad"])
        texts = list(broken.broken_json(config, seed=4))
        inner = broken.broken_json(config["config"], seed=5)
        texts += [(f"config {name}", text_of(config, text)) for name, text in inner]

        def prepare(folder: Path, tensors: Any = tensors, text: str = "") -> None:
            save_file(tensors, folder / "m.safetensors", metadata={"subquad": text})

        given = base.picture if kind == "segmentation" else base.table
        for number, (name, text) in enumerate(texts):
            commands = (
                ["info", "m.safetensors"],
                ["predict", "m.safetensors", str(given), "--output", "p.csv"],
            )
            yield Case(
                f"{kind} {name}",
                lambda folder, text=text, prepare=prepare: prepare(folder, text=text),
                [*commands[number % 2]],
            )
    good = (base.run / "best.safetensors").read_bytes()
    for name, data in broken.broken_bytes(good, seed=6, flips=40):
        arguments = ["predict", "m.safetensors", str(base.picture), "--output", "p"]
        yield Case(name, writing({"m.safetensors": data}), arguments)
    names = {f"t{n}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in range(100_000)}
    header = json.dumps(names).encode()
    data = len(header).to_bytes(8, "little") + header + bytes(8)
    yield Case("100,000 tensors", writing({"m.safetensors": data}), ["info", "m.safetensors"])
    huge = (2**62).to_bytes(8, "little") + b"{}"
    yield Case("header of 2^62", writing({"m.safetensors": huge}), ["info", "m.safetensors"])


def text_of(config: dict[str, Any], inner: str) -> str:
    """Return a configuration with another inner part, which may be no JSON."""
    marker = "\0inner\0"
    return json.dumps(config | {"config": marker}).replace(json.dumps(marker), inner)


def weights(base: Base) -> Iterator[Case]:
    """Files of weights to start from, or to convert."""
    good = (base.run / "last.ckpt").read_bytes()
    for name, data in broken.broken_bytes(good, seed=7):
        yield Case(
            f"convert {name}", writing({"w.pth": data}), ["convert", "w.pth", "--output", "n.safetensors"]
        )
    for name, data in broken.broken_bytes(good, seed=8, flips=4):
        fit = ["fit", f"--data.root={base.data}", *TINY, "--model.weights=w.pth", "--output=out"]
        yield Case(f"fit {name}", writing({"w.pth": data}), fit)


def pictures(base: Base) -> Iterator[Case]:
    """Pictures that are none."""
    for name, data in broken.broken_pictures(base.picture.read_bytes()):
        yield Case(
            f"predict {name}",
            writing({"x.png": data}),
            ["predict", str(base.run / "best.safetensors"), "x.png", "--output", "p"],
        )
        files = {f"d/train/{part}": base.data / "train" / part for part in ("labels",)}
        files |= {f"d/train/images/{path.name}": path for path in (base.data / "train/images").iterdir()}
        first = min(files, key=lambda file: "images" not in file)
        yield Case(
            f"check {name}", writing({**files, "d/classes.json": "[]", first: data}), ["data", "check", "d"]
        )


def masks(base: Base) -> Iterator[Case]:
    """Masks that are none, in training."""
    mask = next((base.data / "train/labels").iterdir())
    images: dict[str, bytes | str | Path] = {
        "d/train/images": base.data / "train/images",
        "d/val": base.data / "val",
        "d/classes.json": base.data / "classes.json",
    }
    others = {f"d/train/labels/{path.name}": path for path in mask.parent.iterdir()}
    fit = ["fit", "--data.root=d", *TINY, "--output=out", "--trainer.max_steps=3"]
    for number, (name, data) in enumerate(broken.broken_pictures(mask.read_bytes())):
        files = writing({**images, **others, f"d/train/labels/{mask.name}": data})
        yield Case(name, files, ["data", "check", "d"] if number % 3 else fit)


def class_files(base: Base) -> Iterator[Case]:
    """Files of class names."""
    good = {
        "classes": ["road", "sky", "car"],
        "palette_rgb": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
        "ignore_rgb": None,
    }
    splits: dict[str, bytes | str | Path] = {f"d/{split}": base.data / split for split in ("train", "val")}
    many = json.dumps({f"k{n}": n for n in range(1_000_000)})
    for name, text in [*broken.broken_json(good, seed=9), ("a million keys", many)]:
        yield Case(name, writing({**splits, "d/classes.json": text}), ["data", "check", "d"])


def tables(base: Base) -> Iterator[Case]:
    """Tables, to look over, to train on, and to predict."""
    fit = ["--trainer.max_steps=1", "--trainer.accelerator=cpu", "--output=out", "--data.batch_size=4"]
    for number, (name, data, suffix) in enumerate(broken.broken_tables()):
        file = f"t{suffix}"
        prepare = writing({file: data})
        yield Case(f"check {name}", prepare, ["data", "check", file])
        arguments = (
            ["predict", str(base.sequence_run), file, "--output", "p.csv"],
            ["fit", "--model.name=paramixer", "--model.dim=8", f"--data.file={file}", *fit],
        )[number % 2]
        yield Case(f"use {name}", prepare, arguments)
    for name, data in broken.broken_bytes(b">one\nACGTACGT\n>two\nGGTTAACC\n" * 20, seed=10):
        prepare = writing({"t.fa": data})
        yield Case(f"fasta {name}", prepare, ["predict", str(base.sequence_run), "t.fa", "--output", "p.csv"])


def options(base: Base) -> Iterator[Case]:
    """Numbers that nobody means."""
    chance = random.Random(11)
    fit = ["fit", f"--data.root={base.data}", *TINY, "--output=out", "--trainer.max_steps=1"]
    numbers = "-1", "0", "1e9", "nan", "inf", "x", "", "[]", "1000000000000", "null", "0.5"
    for option in (
        "seed", "save_every", "ema", "optimizer.lr", "optimizer.weight_decay", "optimizer.betas",
        "data.batch_size", "data.eval_batch_size", "data.workers", "data.crop", "data.scale", "data.flip",
        "model.rank", "model.steps", "model.drop_path", "model.dropout", "model.std", "model.channels",
        "model.in_channels", "model.heads", "trainer.max_epochs", "trainer.devices", "trainer.precision",
        "trainer.limit_val_batches", "trainer.accumulate_grad_batches", "trainer.gradient_clip_val",
    ):  # fmt: skip
        for number in chance.sample(numbers, 5):
            yield Case(f"--{option}={number}", writing({}), [*fit, f"--{option}={number}"])
    for device in ("meta", "cuda:99", "x", "", "mps", "cpu:7"):
        command = ["predict", str(base.run), str(base.picture), "--output=p", "--device", device]
        yield Case(f"--device {device}", writing({}), command)


def no_files(base: Base) -> Iterator[Case]:
    """Folders, devices and loops in the place of files."""

    def special(kind: str) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            for name in ("x.png", "x.csv", "x.yaml", "x.safetensors", "x.pth", "x.fa.xz", "classes.json"):
                path = folder / name
                if kind == "folder":
                    path.mkdir()
                elif kind == "pipe":
                    os.mkfifo(path)
                elif kind == "loop":
                    path.symlink_to(path.name)
                elif kind == "dangling":
                    path.symlink_to("nowhere")
                elif kind != "missing":
                    path.symlink_to(kind)

        return prepare

    best, table_options = str(base.run / "best.safetensors"), ["--output", "p.csv"]
    for kind in ("missing", "folder", "pipe", "loop", "dangling", "/dev/zero", "/dev/null", "/proc/self/mem"):
        for arguments in (
            ["predict", best, "x.png", "--output", "p"],
            ["predict", str(base.sequence_run), "x.csv", *table_options],
            ["predict", str(base.sequence_run), "x.fa.xz", *table_options],
            ["predict", "x.safetensors", str(base.picture), "--output", "p"],
            ["info", "x.safetensors"],
            ["test", "x.safetensors", f"--data.root={base.data}"],
            ["fit", "--config", "x.yaml"],
            ["fit", "--model.name=paramixer", "--data.file=x.csv", "--output=out"],
            ["fit", f"--data.root={base.data}", *TINY, "--model.weights=x.pth", "--output=out"],
            ["convert", "x.pth", "--output", "n.safetensors"],
            ["data", "check", "x.csv"],
            ["data", "check", "."],
        ):
            shown = " ".join(word for word in arguments[:2] if "/" not in word)
            yield Case(f"{kind} as input of {shown}", special(kind), arguments)

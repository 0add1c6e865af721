"""What the drills break: a small data set, a table, and a run on each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forked import run
from PIL import Image
from safetensors import safe_open

TINY = [
    "--model.backbone=conv_tiny", "--model.ham_channels=32", "--model.channels=32", "--model.rank=4",
    "--data.batch_size=2", "--trainer.accelerator=cpu",
]  # fmt: skip


@dataclass(frozen=True)
class Base:
    """Good input of every kind, below one folder.

    Attributes:
        folder: Of all of it.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """Pictures with masks."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        """A run of segmentation on them."""
        return self.folder / "run"

    @property
    def table(self) -> Path:
        """Sequences of letters."""
        return self.folder / "table.csv"

    @property
    def sequence_run(self) -> Path:
        """A run on them."""
        return self.folder / "sequence_run"

    @property
    def recipe(self) -> Path:
        """The options of a run."""
        return self.run / "config.yaml"

    @property
    def picture(self) -> Path:
        """One picture."""
        return self.data / "val/images/val0.png"

    @staticmethod
    def metadata(run: Path) -> dict[str, str]:
        """Return what a checkpoint says beside its weights."""
        with safe_open(run / "best.safetensors", framework="pt") as file:
            return dict(file.metadata())

    def fingerprint(self) -> str:
        """Return a digest of all of it: no drill may change its input."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                digest.update(str(path).encode() + path.read_bytes())
        return digest.hexdigest()


def make_base(folder: Path) -> Base:
    """Write the data, and train on it for a moment."""
    base, rng = Base(folder), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for index in range(count):
            mask = np.sort(rng.integers(0, 3, (40, 48), np.uint8))
            image = (mask[..., None] * 80 + rng.integers(0, 60, (40, 48, 3))).astype(np.uint8)
            for kind, pixels in {"images": image, "labels": mask}.items():
                (base.data / split / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(base.data / split / kind / f"{split}{index}.png")
    (base.data / "classes.json").write_text(json.dumps({"classes": ["road", "sky", "car"]}))
    rows = [f"{''.join(rng.choice(list('ACGT'), 12))},{'xy'[n % 2]}" for n in range(60)]
    base.table.write_text("\n".join(["sequence,label", *rows]) + "\n")
    short = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    for arguments in (
        ["fit", f"--data.root={base.data}", *TINY, *short, f"--output={base.run}"],
        [
            "fit", "--model.name=paramixer", "--model.dim=8", "--model.hidden=8", f"--data.file={base.table}",
            "--data.batch_size=4", *short, f"--output={base.sequence_run}",
        ],
    ):  # fmt: skip
        outcome = run(arguments, folder, limit=120)
        if outcome.code != 0:
            raise SystemExit(f"the good input fails: {outcome.err}")
    return base

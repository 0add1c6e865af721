"""What the mean hides: the scores of single classes at each evaluation, and those that stay at zero."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.base.suggest import and_more
from subquad.tasks.segmentation.confusion import SegmentationScores

MOST_CLASSES = 12  # on the lines of an evaluation: with more, those with the lowest IoU
PATIENCE = 3  # evaluations in which a class found nothing
PATIENT_SHARE = 1 / 3  # of training, before which a class at zero is a beginning


class ClassReport(Callback):
    """After each evaluation, print the IoU of the classes; say once of each that it stays at zero.

    A class stays at zero if it has pixels and none of them was found in the last three evaluations, a third
    of training or more having passed.
    """

    def __init__(self) -> None:
        self.at_zero: dict[str, int] = {}  # evaluations, one after another
        self.told: set[str] = set()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print them."""
        scores = getattr(pl_module, "scores", None)
        if trainer.sanity_checking or not isinstance(scores, SegmentationScores):
            return
        trainer.print(class_lines(scores))
        found = zip(scores.names, scores.iou.tolist(), scores.pixels.tolist(), strict=True)
        zero = [name for name, iou, pixels in found if pixels and iou == 0]
        self.at_zero = {name: self.at_zero.get(name, 0) + 1 for name in zero}
        share = trainer.global_step / max(1, int(trainer.estimated_stepping_batches))
        stuck = [name for name in zero if self.at_zero[name] >= PATIENCE and name not in self.told]
        if stuck and share >= PATIENT_SHARE:
            self.told |= set(stuck)
            is_weighed = getattr(pl_module, "class_weights", None) is not None
            trainer.print(remedy(stuck, trainer.global_step, is_weighed))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"at_zero": self.at_zero, "told": sorted(self.told)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.at_zero, self.told = state_dict["at_zero"], set(state_dict["told"])


def class_lines(scores: SegmentationScores) -> str:
    """Return the IoU of each class on a few lines; of the lowest ones if there are many."""
    known = [(iou, name) for iou, name in zip(scores.iou.tolist(), scores.names, strict=True) if iou == iou]
    title = "IoU %"
    if len(known) > MOST_CLASSES:
        title = f"IoU %, the {MOST_CLASSES} lowest of {len(known)} classes"
        known = sorted(known)[:MOST_CLASSES]
    said = ", ".join(f"{_short(name)} {100 * iou:.1f}" for iou, name in known) or "no class occurs"
    return textwrap.fill(f"{title}: {said}", 100, initial_indent="  ", subsequent_indent="    ")


def remedy(names: Sequence[str], step: int, is_weighed: bool = False) -> str:
    """Return a sentence on classes of which nothing is found; rare ones may have more weight already."""
    quoted = and_more([repr(_short(name)) for name in names], 5)
    weigh = "" if is_weighed else "weigh rare classes with --class_weights median, "
    return (
        f"step {step}: no pixel of {quoted} was found in {PATIENCE} evaluations: {weigh}take crops in which "
        f"they are larger (--data.crop, --data.scale), raise --optimizer.lr, or train for more steps."
    )


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"

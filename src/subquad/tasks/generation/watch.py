"""What is watched while a GAN trains: its images, and the two ways in which it collapses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from subquad.tasks.generation.grids import GridOptions, class_samples
from subquad.tasks.generation.images import image_grid, write_png

SATURATED = 0.01  # of a hinge loss that is 2 for a discriminator that says nothing
IDENTICAL = 0.02  # standard deviation of images in -1..1, of one class at one pixel
LOOK_EVERY = 10


class SampleGrids(Callback):
    """Write `samples/step_0000500.png` and so on, always of the same latent vectors.

    Warns, once, of images of one class that are nearly identical: if they were not so before, or are
    so for long. A new generator begins like that.

    Args:
        options: How often, and how many images.
        seed: Of the latent vectors.
        after: Step from which identical images are no beginning any more.
    """

    def __init__(self, options: GridOptions, seed: int, *, after: int = 1000) -> None:
        self.options, self.seed, self.after = options, seed, after
        self._widest = 0.0
        self._warned = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write one if it is time."""
        if trainer.global_step % self.options.every == 0:
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last one."""
        self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, task: Any) -> None:
        task.refuse_not_finite()
        if not trainer.is_global_zero:
            return
        images = class_samples(task.network.generator, self.options, self.seed)
        path = Path(trainer.default_root_dir) / "samples" / f"step_{trainer.global_step:07d}.png"
        write_png(image_grid(images), path)
        spread = float(images.std(dim=1).mean())
        self._widest = max(self._widest, spread)
        late = trainer.global_step >= self.after or self._widest > 2 * IDENTICAL
        if spread < IDENTICAL and late and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"step {trainer.global_step}: images of one class are nearly identical (standard deviation "
                f"{spread:.4f} in -1..1, see {path}): the generator has collapsed; lower "
                f"--optimizer.generator_lr, or raise --data.batch_size.",
                category=UserWarning,
            )


class CollapseWatch(Callback):
    """Warn, once, of a discriminator that has told all images apart for long.

    Args:
        patience: For how many steps.
    """

    def __init__(self, patience: int = 500) -> None:
        self.patience = patience
        self._since: int | None = None
        self._warned = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the losses now and then."""
        step = trainer.global_step
        if self._warned or step % LOOK_EVERY:
            return
        assert isinstance(pl_module.last, dict)
        last = {name: float(value) for name, value in pl_module.last.items()}
        if last["train/loss"] >= SATURATED:
            self._since = None
            return
        self._since = step if self._since is None else self._since
        if step - self._since >= self.patience:
            self._warned = True
            rank_zero_warn(
                f"step {step}: the discriminator has told all images apart for {step - self._since} steps "
                f"(loss {last['train/loss']:.3f}, mean logits {last['train/logit_real']:.1f} of "
                f"real and {last['train/logit_fake']:.1f} of generated images) and learns nothing "
                f"more: lower --optimizer.discriminator_lr, or give more data.",
                category=UserWarning,
            )

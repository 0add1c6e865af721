"""What Lightning's trainer cannot do for two networks that take turns."""

from __future__ import annotations

from typing import Any

FIND_UNUSED = "ddp_find_unused_parameters_true"
STRATEGIES = ("auto", "ddp", FIND_UNUSED)
PRECISIONS = (None, 16, 32, "16", "32", "bf16", "32-true", "16-mixed", "bf16-mixed")


def check_gan_trainer(trainer: Any) -> None:
    """Raise ValueError where Lightning would ask for what a GAN cannot do."""
    for name, usual in {"gradient_clip_val": None, "accumulate_grad_batches": 1}.items():
        if trainer[name] != usual:
            raise ValueError(
                f"--trainer.{name} {trainer[name]} is for networks with one optimiser, a GAN has two; leave "
                f"it out."
            )
    if trainer.precision not in PRECISIONS:
        raise ValueError(
            f"--trainer.precision {trainer.precision} does not keep the weights in float32, as the spectral "
            f"norms and Adam of a GAN need; give 32-true, bf16-mixed or 16-mixed."
        )
    if trainer.strategy not in STRATEGIES:
        raise ValueError(
            f"--trainer.strategy {trainer.strategy} cannot train two networks that take turns; give one of "
            f"{', '.join(STRATEGIES)}."
        )

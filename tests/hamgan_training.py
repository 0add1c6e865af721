"""What several tests of training a HamGAN need."""

import warnings

import torch
from lightning.pytorch import Trainer

from subquad.data.class_images import PicturesInMemory
from subquad.models import create_model
from subquad.tasks.generation.data.module import ClassImageData

NAMES = ("a", "b", "c")


def pictures(count=24):
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(256, (count, 1, 32, 32), dtype=torch.uint8, generator=generator)
    return PicturesInMemory(pixels, torch.arange(count) % 3, NAMES, "pictures")


def network(**options):
    sizes = {"size": 32, "width": 2, "latent": 8, "generator_rank": 4, "discriminator_rank": 4}
    return create_model("hamgan_baby", num_classes=3, in_channels=1, **{**sizes, **options})


def trained(task, steps, folder, **options):
    for message in (".*many workers.*", ".*litlogger.*", ".*smaller than the logging.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)  # Lightning's advice; pytest takes the filters out again
    data = ClassImageData(pictures(), pictures(9), batch_size=4, eval_batch_size=4)
    options = {"num_sanity_val_steps": 0, **options}
    trainer = Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, **options,
    )  # fmt: skip
    trainer.fit(task, data)
    return trainer

"""Training of a HamGAN, as a Lightning module."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from subquad.engine.learner import Learner
from subquad.models.hamgan import HamGAN
from subquad.models.hamgan.generator import Generator
from subquad.nn.distributed import sum_over_processes
from subquad.tasks.generation.features import FeatureNet
from subquad.tasks.generation.frechet import FeatureStatistics, frechet_distance
from subquad.tasks.generation.grids import GridOptions
from subquad.tasks.generation.images import to_bytes
from subquad.tasks.generation.loss import average_into, discriminator_loss, generator_loss
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.generation.sampling import latents, uniform_labels
from subquad.tasks.generation.scores import LEAST_SAMPLES, WatchedDistance
from subquad.tasks.generation.trainer import FIND_UNUSED
from subquad.tasks.generation.watch import CollapseWatch, SampleGrids

OPTIONS_KEY = "subquad_hamgan"  # in a checkpoint to resume from
GENERATOR = "generator"  # the part of a step that updates it, after the discriminator


class GenerationLearner(Learner):
    """Generator and discriminator against each other, with the hinge loss.

    It takes the batches that `subquad.data.class_images` describes. A step is one update of the
    discriminator, on the batch and as many generated images, and then one of the generator; each
    draws its own noise and its own classes, uniformly. The discriminator sees real and generated
    images in one pass. Lightning's `global_step` and `max_steps` count the generator's updates.

    An evaluation generates an image for each real one, always the same latent vectors and classes.
    With features it gives their Frechet distance, without the discriminator's loss on real images
    that it was not trained on. Lightning's sanity check tells nothing and leaves nothing behind.

    Args:
        network: Of `create_model`; its generator is the one that is evaluated and saved.
        optimizer: Hyper-parameters of training.
        seed: Of the steps' randomness, and of the images that are looked at.
        ema: Decay of the moving average of the generator, such as 0.999, which takes the place of the
            generator in `network`; None: no average.
        features: What evaluations compare; None: nothing.
        grids: Of images while training; None: none.

    Attributes:
        generator: The one that is trained: the network's, or the one behind the average.
        score: 1 / (1 + Frechet distance), while the distance itself is logged; without features the step:
            then the newest counts as best, and nothing is logged.
        distance: Frechet distance of the last evaluation; None without features.

    Raises:
        ValueError: If the network is no HamGAN, or the decay is not between 0 and 1.
    """

    score_name = "score"
    score_words = "Frechet distance"
    averages = True
    files = {"images": "samples"}  # noqa: RUF012
    remedies = (
        "lower --optimizer.generator_lr and --optimizer.discriminator_lr, or --trainer.precision 32-true"
    )

    def __init__(
        self,
        network: HamGAN,
        optimizer: HamGANOptions | None = None,
        seed: int = 0,
        *,
        ema: float | None = None,
        features: FeatureNet | None = None,
        grids: GridOptions | None = None,
    ) -> None:
        if not isinstance(network, HamGAN):
            raise ValueError(f"only a HamGAN can be trained to generate, got {type(network).__name__}.")
        if ema is not None and not 0 < ema < 1:
            raise ValueError(f"ema is a decay between 0 and 1, such as 0.999; got {ema}.")
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        super().__init__(network, seed)
        self.automatic_optimization = False
        self.optimizer_options = optimizer or HamGANOptions()
        self.optimizer_options.set_momentum(network.generator)
        self.ema, self.features, self.grids = ema, features, grids
        if ema is not None:
            self.behind_average = copy.deepcopy(network.generator)
            network.generator.requires_grad_(False)
        if features is not None:
            self.score_name = features.distance_name  # pyright: ignore[reportAttributeAccessIssue]
            self.score_words = features.distance_name  # pyright: ignore[reportAttributeAccessIssue]
        self.distance: float | None = None
        self.last: dict[str, Tensor] = {}  # losses and logits of the last step
        self._real: FeatureStatistics | None = None
        self._real_counted = False  # by a whole evaluation, so that the next ones need not
        self._made: FeatureStatistics | None = None
        self._sums = torch.zeros(2, dtype=torch.float64)

    @property
    def generator(self) -> Generator:
        """The generator that is trained."""
        return self.network.generator if self.ema is None else self.behind_average

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Make images with the generator that is saved."""
        return self.network(latent, labels)

    def configure_callbacks(self) -> list[Callback]:
        """Bring along what looks at the images and the losses."""
        grids = [] if self.grids is None else [SampleGrids(self.grids, self.seed)]
        return [*grids, CollapseWatch()]

    def strategy(self, trainer: Any) -> str:
        """Return the strategy for the devices: in each update one of the two networks has no gradient."""
        if trainer.strategy == "auto":
            # Only Lightning knows how many devices "auto" and -1 are.
            found = Trainer(
                accelerator=trainer.accelerator,
                devices=trainer.devices,
                num_nodes=trainer.num_nodes,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
            )
            if found.num_devices * found.num_nodes == 1:
                return "auto"
        return FIND_UNUSED

    def configure_optimizers(self) -> Any:
        """Return the optimisers of generator and discriminator."""
        return self.optimizer_options.build(self.generator, self.network)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update the discriminator, then the generator."""
        optimizers: Any = self.optimizers()
        for_generator, for_discriminator = optimizers
        loss, on_real, on_fake = self._discriminator_loss(batch)
        for_discriminator.zero_grad()
        self.manual_backward(loss)
        # By the strategy: the optimiser's own step would be counted as one of training.
        self.trainer.strategy.optimizer_step(for_discriminator.optimizer, _nothing)

        self.guard.begin(self, batch, batch_idx, GENERATOR)
        made_loss = self._generator_loss(batch)
        for_generator.zero_grad()
        self.manual_backward(made_loss)
        self.network.discriminator.requires_grad_(True)
        for_generator.step()
        if self.ema is not None:
            average_into(self.network.generator, self.behind_average, self.ema)

        self.last = {
            "train/loss": loss.detach(),
            "train/generator_loss": made_loss.detach(),
            "train/logit_real": on_real.detach().float().mean(),
            "train/logit_fake": on_fake.detach().float().mean(),
        }
        self.log_dict(self.last, prog_bar=False)

    def loss_of(self, batch: dict[str, Tensor], part: str = "") -> Tensor:
        """Return the loss of the generator or, in the first part of a step, of the discriminator."""
        return self._generator_loss(batch) if part == GENERATOR else self._discriminator_loss(batch)[0]

    def outputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the discriminator's logits of real images or, if there are features, generated images."""
        if self.features is None:
            return self.network.discriminator(batch["image"], batch["label"])
        indices = batch["index"].tolist()
        chosen = uniform_labels(self.seed, indices, self.config.num_classes).to(self.device)
        return self(latents(self.seed, indices, self.config.latent).to(self.device), chosen)

    def replay_options(self) -> dict[str, Any]:
        """Return whether there is an average, and the seed of evaluations."""
        return {"ema": self.ema, "seed": self.seed}

    @classmethod
    def for_replay(cls, network: Any, options: Mapping[str, Any]) -> Self:
        """Rebuild the learner of `replay_options`."""
        return cls(network, ema=options["ema"], seed=options["seed"])

    def on_validation_epoch_start(self) -> None:
        """Start counting anew; the real images are the same each time, and counted once."""
        self.guard.begin_evaluation()
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        if self.features is not None:
            self.features.to(self.device)
            self._made = FeatureStatistics(self.features.length, self.device)
            if not self._real_counted:
                self._real = FeatureStatistics(self.features.length, self.device)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch of real images, and generate as many."""
        counts = batch["index"] >= 0
        batch = {name: batch[name][counts] for name in ("image", "label", "index")}
        if not counts.any():
            return
        outputs = self.outputs_of(batch)
        self.guard.see_outputs(self, batch, batch_idx, outputs)
        if self.features is None:
            self._sums += torch.stack([(1 - outputs.double()).relu().sum(), counts.sum()])
            return
        if self.guard.evaluated is not None:  # it ends when all processes are there; NaN is no picture
            return
        assert self._made is not None and self._real is not None
        self._made.update(self.features(to_bytes(outputs.float()))[0])
        if not self._real_counted:
            self._real.update(self.features(to_bytes(batch["image"]))[0])

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        if self.trainer.sanity_checking:
            return
        if self.features is None:
            sum_over_processes(self._sums)
            self.score = float(self.global_step)
            found = {"val/loss": float(self._sums[0] / self._sums[1])}
        else:
            assert self._made is not None and self._real is not None
            self._made.sum_over_processes()
            if not self._real_counted:
                self._real.sum_over_processes()
                self._real_counted = True
                self._warn_of_few(self._real.count)
            self.distance = frechet_distance(self._made, self._real)
            self.scores = WatchedDistance(self.score_name, self.distance)
            self.score = 1 / (1 + self.distance)
            found = {f"val/{self.score_name}": self.distance}
            value = torch.tensor(self.distance, dtype=torch.float32)
            self.log(self.score_name, value, prog_bar=True, logger=False)
        # Equal on all processes already: nothing is left to synchronise.
        self.log_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in found.items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in the checkpoint which network it is of, and how it is trained."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[OPTIONS_KEY] = self._told()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raise ValueError if the run that goes on had another average or other features."""
        ours = self._told()
        theirs = checkpoint.get(OPTIONS_KEY, ours)
        for name, value in ours.items():
            # Earlier runs did not name the fingerprint of their features.
            if theirs[name] != value and not str(value).startswith(f"{theirs[name]}, sha256 "):
                raise ValueError(
                    f"the checkpoint to resume from was made with {name} {theirs[name]}, not {value}; resume "
                    f"with the options of config.yaml beside it, or choose another --output."
                )

    @property
    def score_text(self) -> str | None:
        """The distance of the last evaluation as it is read; None without features."""
        return None if self.distance is None else f"{self.distance:.3f}"

    def _discriminator_loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return its loss, and its logits of the real images and of as many generated ones."""
        real = batch["image"].contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            fake, fake_labels = self._generated(len(real))
        # Autocast would hand the weights that it cast here, which know no gradient, to the next update.
        torch.clear_autocast_cache()
        logits = self.network.discriminator(torch.cat([real, fake]), torch.cat([batch["label"], fake_labels]))
        on_real, on_fake = logits.split(len(real))
        return discriminator_loss(on_real, on_fake), on_real, on_fake

    def _generator_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return its loss; the discriminator has no gradient from then on."""
        self.network.discriminator.requires_grad_(False)
        fake, fake_labels = self._generated(len(batch["image"]))
        return generator_loss(self.network.discriminator(fake, fake_labels))

    def _generated(self, count: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(self.config.num_classes, (count,), device=self.device)
        size = count, self.config.latent
        return self.generator(torch.randn(size, dtype=torch.float32, device=self.device), labels), labels

    def _told(self) -> dict[str, Any]:
        features = None if self.features is None else self.features.description
        return {"ema": self.ema, "features": features}

    def _warn_of_few(self, count: int) -> None:
        if count < LEAST_SAMPLES:
            rank_zero_warn(
                f"each {self.score_name} of this run is of {count} images, fewer than {LEAST_SAMPLES}, and "
                "so too large: compare it with those of as many images alone.",
                category=UserWarning,
            )


def _nothing() -> None:
    """Be the closure of an optimiser whose gradients are there already."""

"""What a run is fed with: loaders that are seeded, shared among processes, and resumable."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from subquad.base.interruption import outlive
from subquad.data.loading import Batches, TrainingLoader

D = TypeVar("D")


class RunData(LightningDataModule, Generic[D]):
    """The data sets of a run as loaders; how far training is in them is kept in each checkpoint.

    What a new task gives: its data sets to `__init__`, and two methods that say how batches are made of
    one. If a data set has `fingerprint_parts`, a run is not resumed with another one of the same length::

        class MyData(RunData[MyDataset]):
            def training_batches(self, dataset, rank, processes):
                order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
                return Batches(MySamples(dataset), order, my_collate)  # asked for by (epoch, index)

            def evaluation_batches(self, dataset, rank, processes):
                mine = even_share(range(len(dataset)), rank, processes)  # the learner leaves FILLER out
                return Batches(dataset, in_batches(mine, self.eval_batch_size), my_collate)

    Args:
        datasets: By the names "train", "val" and "test"; None where there is none. Where one set is both
            "val" and "test", it is given twice.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process.
        workers: Loader processes for each training process; 0 loads in the training process.
        seed: Decides the order of training and everything random.

    Attributes:
        datasets: Those that are there.

    Raises:
        ValueError: If a batch would be empty.
    """

    def __init__(
        self,
        datasets: Mapping[str, D | None],
        *,
        batch_size: int,
        eval_batch_size: int,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.datasets = {name: dataset for name, dataset in datasets.items() if dataset is not None}
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.workers, self.seed = workers, seed
        self._loader: TrainingLoader | None = None
        self._position: dict[str, int] | None = None

    @abstractmethod
    def training_batches(self, dataset: D, rank: int, processes: int) -> Batches:
        """Return the batches of one process, in a `TrainingOrder`."""

    @abstractmethod
    def evaluation_batches(self, dataset: D, rank: int, processes: int) -> Batches:
        """Return the batches of one process, of which all processes must have equally many."""

    def missing(self, split: str) -> str:
        """Return the complaint about a split that is not there."""
        return f"this data has no {'training' if split == 'train' else split} set."

    def train_dataloader(self) -> TrainingLoader:
        """Return the training batches of this process.

        Raises:
            ValueError: If there is no training set, or it does not fill a batch.
        """
        batches = self.training_batches(self._dataset("train"), *self._place())
        self._loader = TrainingLoader(batches, self.workers)
        if self._position is not None:
            self._loader.load_state_dict(self._position)
        return self._loader

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation batches of this process.

        Raises:
            ValueError: If there is no validation set.
        """
        return self._evaluating("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test batches of this process.

        Raises:
            ValueError: If there is no test set.
        """
        return self._evaluating("test")

    def state_dict(self) -> dict[str, Any]:
        """Return how far training is in its data."""
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next training loader begin there.

        Lightning also hands the position to the loader itself, but only to one that is made after
        the checkpoint was read; a schedule that asks for the number of steps makes it before.
        """
        self._position = state_dict or None

    def _evaluating(self, split: str) -> DataLoader[Any]:
        batches = self.evaluation_batches(self._dataset(split), *self._place())
        return DataLoader(
            batches.samples,
            batch_sampler=batches.order,
            num_workers=self.workers,
            worker_init_fn=outlive,
            collate_fn=batches.collate,
            persistent_workers=self.workers > 0,
        )

    def _dataset(self, split: str) -> D:
        if split not in self.datasets:
            raise ValueError(self.missing(split))
        return self.datasets[split]

    def _place(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

"""The task: its data, its training, and what the commands ask of it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import Dataset, default_collate

from subquad.data import Batches, TrainingOrder, in_batches
from subquad.engine import (
    Learner,
    OptimizerOptions,
    RunData,
    Table,
    add_trainer_options,
    check_outputs,
    check_same_classes,
    defaults_of,
    evaluate,
    given_options,
    mix_seed,
    model_options,
    write_whole,
)
from subquad.models import model_config
from subquad.tasks import Task
from subquad_toy.network import ToyConfig

ToyModelOptions = model_options([ToyConfig], "toy_small", told=("num_classes", "class_names"))


@dataclass(frozen=True, kw_only=True)
class ToyOptions:
    """Which waves.

    Attributes:
        waves: In each split.
        batch_size: Of training and of evaluation.
    """

    waves: int = 64
    batch_size: int = 8


class Waves(Dataset):
    """Waves of 32 positions, round or square."""

    def __init__(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        self.targets = torch.randint(2, (count,), generator=generator)
        start = torch.rand(count, 1, generator=generator)
        wave = (6.2832 * (torch.arange(32) / 16 + start)).sin()
        self.waves = wave.sign().where(self.targets[:, None] == 1, wave)[:, None]

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, key):
        _, index = key
        return {"wave": self.waves[index], "target": self.targets[index]}


class ToyData(RunData[Waves]):
    """The three splits, made by the seed."""

    class_names = ("round", "square")

    def __init__(self, options, seed):
        splits = {
            name: Waves(options.waves, mix_seed(seed, i)) for i, name in enumerate(("train", "val", "test"))
        }
        super().__init__(splits, batch_size=options.batch_size, eval_batch_size=options.batch_size, seed=seed)

    def training_batches(self, dataset, rank, processes):
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(dataset, order, default_collate)

    def evaluation_batches(self, dataset, rank, processes):
        mine = [(0, index) for index in range(rank, len(dataset), processes)]
        return Batches(dataset, in_batches(mine, self.eval_batch_size), default_collate)


@dataclass(frozen=True)
class ToyScores:
    """What an evaluation found."""

    count: int
    accuracy: float

    def tables(self):
        return [Table(f"accuracy {self.accuracy:.1%} of {self.count} waves")]

    def to_json(self):
        return asdict(self)


class ToyLearner(Learner):
    """The loss, and what an evaluation counts."""

    score_name = score_words = "accuracy"

    def loss_of(self, batch, part=""):
        return F.cross_entropy(self.outputs_of(batch), batch["target"])

    def outputs_of(self, batch):
        return self.network(batch["wave"])

    def on_validation_epoch_start(self):
        self.guard.begin_evaluation()
        self.sums = torch.zeros(2)

    def validation_step(self, batch, batch_idx):
        logits = self.outputs_of(batch)
        self.guard.see_outputs(self, batch, batch_idx, logits)
        self.sums += torch.tensor([(logits.argmax(1) == batch["target"]).sum(), len(logits)])

    def on_validation_epoch_end(self):
        self.guard.end_evaluation(self)
        right, count = self.sums.tolist()
        self.scores = ToyScores(int(count), right / count)
        self.score = self.scores.accuracy
        self.log("val/accuracy", self.score)

    def replay_options(self):
        return {}

    @classmethod
    def for_replay(cls, network, options):
        return cls(network, 0)


class Toy(Task):
    """Is a wave round or square?"""

    name = "toy"
    default_model = "toy_small"
    formats = ("waves",)
    fit_defaults = {"optimizer.lr": 1e-2}  # noqa: RUF012

    def add_fit_options(self, p):
        p.add_class_arguments(ToyModelOptions, "model")
        p.add_class_arguments(ToyOptions, "data")
        p.add_class_arguments(OptimizerOptions, "optimizer")

    def open_data(self, options, config=None):
        return ToyData(options.data, options.seed)

    def configure(self, options, data):
        given = given_options(options.model)
        return model_config(options.model.name, **given, class_names=data.class_names)

    def learner(self, network, data, options):
        return ToyLearner(network, options.seed, options.optimizer)

    def learner_of_replay(self, network, options):
        return ToyLearner.for_replay(network, options)

    def add_test_options(self, p, run):
        p.add_argument("--seed", type=int, default=0, help="Of the waves.")
        p.add_class_arguments(ToyOptions, "data")
        add_trainer_options(p, training=False)
        p.set_defaults(defaults_of(run) | {"seed": run.get("seed", 0)})

    def check_fits(self, config, data, checkpoint):
        check_same_classes(config, data.class_names, checkpoint)

    def evaluate(self, network, data, options):
        return evaluate(ToyLearner(network, options.seed), data, options)

    def add_predict_options(self, p, run):
        p.add_argument("wave", type=str, help="A text file, a number on each line.")
        p.add_argument("--output", type=str, default="class.txt", help="File to write.")

    def predict(self, network, options, run):
        check_outputs([Path(options.output)], [options.wave], overwrite=options.overwrite)
        wave = torch.tensor([float(line) for line in Path(options.wave).read_text().split()])
        with torch.no_grad():
            found = network(wave[None, None].to(options.device)).argmax().item()
        write_whole(Path(options.output), f"{network.config.class_names[found]}\n".encode())
        return f"wrote the class of {options.wave} to {options.output}"


TASK = Toy()

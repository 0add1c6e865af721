"""Training stops at the first number that is none; what was written is whole; the pass can be repeated."""

import warnings
import zipfile

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.utils.data import DataLoader

from hamgan_training import network as hamgan
from hamgan_training import trained as train_hamgan
from subquad import create_model
from subquad.base.seeds import step_seed
from subquad.cli.replay import rebuild
from subquad.engine import finite
from subquad.engine.callbacks import ModelAverage, SaveFinal
from subquad.engine.finite import LOSS, TOLERATED_SKIPS, FiniteGuard
from subquad.engine.nan_batch import read_nan_batch
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.replay import replay
from subquad.tasks.generation.learner import GenerationLearner
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.sequences.learner import SequenceLearner

HUGE = OptimizerOptions(lr=1e30, warmup_steps=0, power=0)
STEADY = OptimizerOptions(lr=1e-3, warmup_steps=0)


def sequences(count=6, poisoned=()):
    """Return batches of values; a poisoned one holds what float32 holds, but no square of it."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for number in range(count):
        inputs = torch.rand(4, 8, 2, generator=generator)
        if number in poisoned:
            inputs[1, 3, 0] = torch.inf
        index = torch.arange(4) + 4 * number
        targets = torch.randint(2, (4,), generator=generator)
        lengths = torch.full((4,), 8)
        batches.append({"inputs": inputs, "lengths": lengths, "targets": targets, "index": index})
    return batches


def sequence_task(optimizer=STEADY, **options):
    sizes = {"length": 8, "dim": 4, "hidden": 4, "depth": 1, "vocab_size": None, "in_features": 2, **options}
    return SequenceLearner(create_model("paramixer_text", num_classes=2, **sizes), optimizer)


def pictures():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8, generator=generator)
    return [{"image": image, "labels": labels, "name": ["street", "field"]}] * 6


def segmentation_task(optimizer=STEADY):
    options = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}
    return SegmentationLearner(create_model("light_ham_van_tiny_d256", **options), optimizer)


def fit(task, batches, folder, evaluated=None, **options):
    for message in (
        ".*many workers.*",
        ".*litlogger.*",
        ".*smaller than the logging.*",
        ".*LeafSpec.*",
        ".*no `val_.*",
    ):
        warnings.filterwarnings("ignore", f".*{message}")
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, default_root_dir=folder, num_sanity_val_steps=0,
        limit_val_batches=1.0 if evaluated else 0, **quiet, **options,
    )  # fmt: skip
    loaders = [None if part is None else DataLoader(part, batch_size=None) for part in (batches, evaluated)]
    trainer.fit(task, *loaders)
    return trainer


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The file of a run that became NaN."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(ValueError, match="training became NaN"):
        fit(sequence_task(HUGE), sequences(), folder)
    return folder / "nan_batch.pt"


def is_finite(task):
    return all(bool(tensor.isfinite().all()) for tensor in task.state_dict().values())


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize(
    ("make", "batches", "samples"),
    [
        (segmentation_task, pictures, "samples street, field"),
        (sequence_task, sequences, "number 4, "),
    ],
)
def test_a_loss_that_is_no_number_stops_before_the_weights_move(make, batches, samples, tmp_path):
    task = make(HUGE)
    with pytest.raises(ValueError, match="training became NaN by step 1 ") as stopped:
        fit(task, batches(), tmp_path)
    for part in (
        "the loss is not finite", "learning rate 1e+30", "32-true", "lower --optimizer.lr",
        "--trainer.gradient_clip_val", "the data", samples, f"subquad replay {tmp_path / 'nan_batch.pt'}",
    ):  # fmt: skip
        assert part in str(stopped.value)
    assert is_finite(task)
    found = read_nan_batch(tmp_path / "nan_batch.pt")
    assert (found.step, found.epoch, found.batch_index, found.process) == (1, 0, 1, 0)
    assert found.state.keys() == task.state_dict().keys()
    moved = dict(task.named_parameters())
    assert all(torch.equal(found.state[name], moved[name]) for name in moved), "the weights before the step"
    again = replay(tmp_path / "nan_batch.pt", rebuild)
    assert again.loss != again.loss and again.module and not again.weights and not again.inputs


def test_a_generator_and_its_discriminator_stop_alike(tmp_path):
    task = GenerationLearner(hamgan(), HamGANOptions(generator_lr=1e30, discriminator_lr=1e-4), ema=0.5)
    with pytest.raises(ValueError, match="training became NaN by step 1 .*lower --optimizer.generator_lr"):
        train_hamgan(task, 9, tmp_path, limit_val_batches=0)
    assert is_finite(task)
    again = replay(tmp_path / "nan_batch.pt", rebuild)
    assert again.is_repeated and again.module[0].startswith("behind_average.")


def test_the_pass_of_the_generator_is_repeated_from_where_it_began(tmp_path, monkeypatch):
    """After the update of the discriminator, with the random numbers of that moment."""
    task, losses = GenerationLearner(hamgan()), []
    look = FiniteGuard.see_loss

    def see_loss(self, loss):
        losses.append(float(loss.detach()))
        look(self, loss * torch.nan if len(losses) == 4 else loss)

    monkeypatch.setattr(FiniteGuard, "see_loss", see_loss)
    with pytest.raises(ValueError, match="by step 1 "):
        train_hamgan(task, 9, tmp_path, limit_val_batches=0)
    again = replay(tmp_path / "nan_batch.pt", rebuild)
    assert again.found.part == "generator" and again.loss == pytest.approx(losses[3], rel=1e-6)
    assert not again.is_repeated


def test_dropout_and_start_dictionaries_are_those_of_the_pass(tmp_path, monkeypatch):
    task, losses = segmentation_task(), []

    def see_loss(self, loss):
        losses.append(float(loss.detach()))
        self.passes[-1].loss = loss.detach() * (torch.nan if len(losses) == 3 else 1)

    monkeypatch.setattr(FiniteGuard, "see_loss", see_loss)
    with pytest.raises(ValueError, match="by step 2 "):
        fit(task, pictures(), tmp_path)
    assert replay(tmp_path / "nan_batch.pt", rebuild).loss == pytest.approx(losses[2], rel=1e-6)


class Root(nn.Module):
    """Its loss is finite, its gradient is not: the root of zero."""

    def __init__(self):
        super().__init__()
        self.config = create_model("paramixer_text", length=8, dim=4, hidden=4, depth=1).config
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs, lengths=None):
        self.seen += 1
        return (self.weight * inputs[:, 0]).sqrt()


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_gradient_that_is_no_number_moves_nothing(tmp_path, accumulated):
    batches = sequences()
    batches[3]["inputs"][:] = 0
    task = SequenceLearner(Root(), STEADY)
    with pytest.raises(ValueError, match="the norm of the gradients is not finite.*samples number 12"):
        fit(task, batches, tmp_path, accumulate_grad_batches=accumulated)
    assert is_finite(task) and read_nan_batch(tmp_path / "nan_batch.pt").batch_index == 3


def scaled(scale):
    return [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_loss_scaler_may_skip_steps(tmp_path):
    task = sequence_task()
    plugins = scaled(2.0**22)  # too large for the first few steps
    fit(task, sequences(12), tmp_path, plugins=plugins)
    assert plugins[0].scaler.get_scale() < 2**21, "some were skipped"
    assert is_finite(task) and task.guard.skipped[""] == 0
    assert not (tmp_path / "nan_batch.pt").exists()


def test_but_not_for_ever_and_its_statistics_stay_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(finite, "TOLERATED_SKIPS", 3)
    batches = sequences(8)
    for batch in batches[2:]:
        batch["inputs"][:] = 0
    task = SequenceLearner(Root(), STEADY)
    with pytest.raises(ValueError, match="training became NaN by step"):
        fit(task, batches, tmp_path, plugins=scaled(8.0))
    found = read_nan_batch(tmp_path / "nan_batch.pt")
    assert found.batch_index == 5, "three are tolerated, and the fourth is not"
    assert found.scale == 1.0 and found.precision == "16-mixed"
    assert found.state["network.seen"] == 2, "skipped steps leave the statistics as they were"
    assert TOLERATED_SKIPS >= 16, "until nothing is scaled any more"


def test_on_a_gpu_it_is_seen_one_pass_later_with_the_weights_before(tmp_path, monkeypatch):
    before = []
    start = SequenceLearner.on_train_batch_start

    def keep(self, batch, batch_idx):
        before.append({name: tensor.clone() for name, tensor in self.state_dict().items()})
        start(self, batch, batch_idx)

    monkeypatch.setattr(SequenceLearner, "on_train_batch_start", keep)
    monkeypatch.setattr(FiniteGuard, "_lag", lambda self, task: 1)
    task = sequence_task()
    with pytest.raises(ValueError, match="by step 2 .*samples number 8"):
        fit(task, sequences(poisoned=[2]), tmp_path)
    assert len(before) == 4 and same(task.state_dict(), before[2])
    assert same(read_nan_batch(tmp_path / "nan_batch.pt").state, before[2])
    with pytest.raises(ValueError, match="by step 5 "):  # whoever writes or evaluates looks first
        fit(sequence_task(), sequences(poisoned=[5]), tmp_path)


def test_an_evaluation_that_is_no_number_stops(tmp_path):
    """Though its weights are finite, and the argmax of NaN is a class."""
    task = sequence_task()
    with pytest.raises(ValueError, match="outputs of the evaluation are not finite.*samples number 4"):
        fit(task, sequences(), tmp_path, sequences(poisoned=[1]))
    assert task.score is None and is_finite(task)
    again = replay(tmp_path / "nan_batch.pt", rebuild)
    assert again.found.part == "evaluation" and again.inputs == ["inputs"] and again.module
    tester = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match="not finite for samples number 4.*there is no score"):
        tester.test(task, DataLoader(sequences(poisoned=[1]), batch_size=None), verbose=False)


@pytest.mark.parametrize("labelled", [True, False])
def test_logits_that_are_no_numbers_are_seen_where_nothing_is_labelled_too(labelled, tmp_path):
    task, batches = segmentation_task(), pictures()[:1]
    batches[0]["labels"][:] = 1 if labelled else 255
    with torch.no_grad():
        task.network.head.classifier.bias.fill_(torch.nan)
    tester = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match="not finite for samples street, field"):
        tester.test(task, DataLoader(batches, batch_size=None), verbose=False)


@pytest.mark.parametrize("average", [False, True])
def test_weights_that_are_not_finite_are_not_written(tmp_path, average):
    """Those of the last step, which no loss tells of; and the moving average of them."""
    task, steps = sequence_task(), []

    class Break(ModelAverage):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            steps.append(batch_idx)
            if batch_idx == 5:
                broken = self._average_model if average else pl_module
                next(iter(broken.parameters())).data.fill_(torch.nan)

    path = tmp_path / "checkpoint.ckpt"
    trainer = fit(sequence_task(), sequences(), tmp_path)
    trainer.save_checkpoint(path)
    whole = path.read_bytes()
    with pytest.raises(ValueError, match="training became NaN by step 6 .*weights such as"):
        trainer = fit(task, sequences(), tmp_path, callbacks=[Break(decay=0.5), SaveFinal(tmp_path)])
    assert len(steps) == 6 and not (tmp_path / "last.safetensors").exists()
    assert path.read_bytes() == whole


def test_a_checkpoint_holds_no_average_that_is_not_finite():
    task = sequence_task()
    state = task.state_dict()
    task.on_save_checkpoint({"state_dict": state})
    broken = {name: tensor.float() * torch.nan for name, tensor in state.items()}
    for other in ({"state_dict": broken}, {"state_dict": state, "current_model_state": broken}):
        with pytest.raises(ValueError, match="training became NaN by step 0 .*weights such as"):
            task.on_save_checkpoint(other)


def test_all_processes_stop_at_once_and_the_one_that_is_wrong_writes(tmp_path, monkeypatch):
    """A sum over two processes, of which the other one has a loss that is no number at its third step."""
    calls = []

    def summed(flags):
        calls.append(flags.tolist())
        flags[1] += LOSS if len(calls) == 3 else 0

    monkeypatch.setattr(finite, "sum_over_processes", summed)
    monkeypatch.setattr(Trainer, "world_size", 2)
    with pytest.raises(ValueError, match="training became NaN by step 2 .*the loss is not finite"):
        fit(sequence_task(), sequences(), tmp_path)
    assert calls[:3] == [[0, 0]] * 3, "mine were all finite"
    assert len(calls) == 4, "they leave together, when all is written"
    assert not (tmp_path / "nan_batch.pt").exists(), "the other one writes it"


def test_two_processes_draw_different_numbers(monkeypatch):
    assert step_seed(0, 1, 2, 0) != step_seed(0, 1, 2, 1)
    task, drawn = sequence_task(), []
    monkeypatch.setattr(FiniteGuard, "begin", lambda *_: None)
    for rank in (0, 1, 0):
        monkeypatch.setattr(SequenceLearner, "global_rank", rank)
        task.on_train_batch_start({}, 0)
        drawn.append(torch.rand(()).item())
    assert drawn[0] == drawn[2] != drawn[1]


def damaged(path, how):
    content = torch.load(path, weights_only=True)
    if how == "bytes":
        path.write_bytes(b"not a checkpoint at all")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "packed":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
    elif how == "pickle":
        torch.save(Trainer, path)
    else:
        torch.save(how(content), path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("bytes", "damaged or no nan_batch.pt"),
        ("cut", "damaged or no nan_batch.pt"),
        ("packed", "torch.save packs nothing"),
        ("pickle", "damaged or no nan_batch.pt"),
        (lambda content: [content], "damaged or no nan_batch.pt"),
        (lambda content: content | {"format": 2}, "newer subquad .format 2."),
        (lambda content: content | {"step": "3"}, "step is wrong"),
        (lambda content: content | {"surplus": 1}, "a surplus field is wrong"),
        (lambda content: {n: v for n, v in content.items() if n != "batch"}, "batch is wrong"),
        (lambda content: content | {"config": "{}"}, "does not fit together"),
        (lambda content: content | {"config": "nonsense"}, "does not fit together"),
        (lambda content: content | {"kind": "os.system"}, "unknown task 'os.system'"),
        (lambda content: content | {"precision": "os.system"}, "precision 'os.system'"),
        (lambda content: content | {"state": {}}, "does not fit together"),
        (lambda content: content | {"batch": {"inputs": torch.zeros(2)}}, "does not fit together"),
        (lambda content: content | {"random": {"cpu": torch.zeros(3)}}, "does not fit together"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(stopped, how, message, tmp_path):
    path = tmp_path / "nan_batch.pt"
    path.write_bytes(stopped.read_bytes())
    damaged(path, how)
    with pytest.raises(ValueError, match=message) as refused:
        replay(path, rebuild)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        replay(tmp_path / "nan_batch.pt", rebuild)

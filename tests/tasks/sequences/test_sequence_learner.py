"""Training and evaluation of sequence networks: losses, scores, and that a run can be taken up again."""

import csv

import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from torch.utils.data import DataLoader

from subquad import create_model
from subquad.tasks.fitting import fit, fit_parser
from subquad.tasks.sequences.learner import SequenceLearner
from subquad.tasks.sequences.scores import TOLERANCE
from subquad.tasks.sequences.task import TASK


def batches(outputs, targets, size=4, **extra):
    """Return batches whose inputs are one value a sequence, so that a network can pass them on."""
    return [
        {
            "inputs": outputs[first : first + size, None, :],
            "lengths": torch.ones(len(targets[first : first + size]), dtype=torch.int64),
            "targets": targets[first : first + size],
            "index": torch.arange(len(outputs))[first : first + size],
        }
        | {name: value[first : first + size] for name, value in extra.items()}
        for first in range(0, len(outputs), size)
    ]


class Passing(torch.nn.Module):
    """Gives as outputs what comes in at the first position."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, lengths=None):
        return inputs[:, 0]


def evaluated(task, found):
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.test(task, DataLoader(found, batch_size=None), verbose=False)
    return task.scores


def network(task="text", **options):
    return create_model(f"paramixer_{task}", length=8, dim=4, hidden=4, depth=1, **options)


def test_scores_of_two_classes():
    torch.manual_seed(0)
    logits, targets = torch.randn(50, 2), torch.randint(2, (50,))
    task = SequenceLearner(Passing(network().config))
    scores = evaluated(task, batches(logits, targets))
    chance = logits.softmax(1)[:, 1]
    assert scores.count == 50
    assert scores.accuracy == pytest.approx(float((logits.argmax(1) == targets).float().mean()))
    assert scores.loss == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-6)
    assert scores.roc_auc == pytest.approx(roc_auc_score(targets, chance), abs=1e-6)
    assert task.score == scores.accuracy


def test_scores_of_values_count_what_is_near():
    values = torch.tensor([[0.5], [0.5], [0.5], [0.5], [0.5]])
    targets = torch.tensor([0.5, 0.5 + 0.039, 0.5 - 0.041, 0.9, 0.53])
    task = SequenceLearner(Passing(network("adding").config))
    scores = evaluated(task, batches(values, targets))
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.loss == pytest.approx(float(F.mse_loss(values[:, 0], targets)), rel=1e-6)
    assert scores.roc_auc is None
    assert TOLERANCE == 0.04


def test_fillers_of_an_uneven_share_do_not_count():
    logits, targets = torch.randn(9, 3), torch.randint(3, (9,))
    fillers = torch.tensor([0, 1, 2, 3, 4, 5, 6, -1, -1])
    targets[7:] = -100
    task = SequenceLearner(Passing(network(num_classes=3).config))
    scores = evaluated(task, batches(logits, targets, index=fillers))
    assert scores.count == 7
    assert scores.loss == pytest.approx(float(F.cross_entropy(logits[:7], targets[:7])), rel=1e-6)


ARGUMENTS = [
    "--model.name=paramixer_order",
    "--model.dropout=0.2",
    "--model.dim=8",
    "--data.name=order",
    "--data.length=16",
    "--data.samples=64",
    "--data.eval_samples=10",
    "--data.batch_size=4",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--save_every=7",
]


def losses(folder):
    found = {}
    for log in sorted(folder.glob("logs/version_*/metrics.csv")):
        with log.open(newline="") as file:
            found |= {row["step"]: row["train/loss"] for row in csv.DictReader(file) if row.get("train/loss")}
    return found


def trained(folder, *extra):
    p = fit_parser(TASK)
    return fit(TASK, p.instantiate(p.parse_args([*ARGUMENTS, *extra])), folder).scores


def test_a_run_cut_off_in_the_middle_of_an_epoch_equals_the_whole_one(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    scores = trained(whole, "--trainer.max_epochs=2")
    step = SequenceLearner.training_step

    def broken(self, batch, batch_idx):
        if self.global_step == 24:
            raise RuntimeError("the power is cut")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SequenceLearner, "training_step", broken)
    with pytest.raises(RuntimeError, match="the power is cut"):
        trained(cut, "--trainer.max_epochs=2")
    monkeypatch.undo()
    again = trained(cut, "--trainer.max_epochs=2")  # from step 21 of 32, 16 in an epoch
    assert len(losses(whole)) == 32
    assert losses(cut) == losses(whole)
    assert again == scores


def test_one_class_alone_has_no_roc_curve():
    logits, targets = torch.randn(8, 2), torch.ones(8, dtype=torch.int64)
    assert evaluated(SequenceLearner(Passing(network().config)), batches(logits, targets)).roc_auc is None


def test_a_network_learns_by_mixing_alone(tmp_path):
    # The class is that of the last token; only mixing brings it to the first position.
    torch.manual_seed(0)
    tokens = torch.randint(4, (256, 16))
    found = {}
    for mixer in ("paramixer", "none"):
        torch.manual_seed(1)
        net = create_model(
            "paramixer_order", length=16, dim=16, hidden=16, context=mixer, norm=True, start="uniform"
        )
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        for _ in range(60):
            loss = F.cross_entropy(net(tokens), tokens[:, -1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found[mixer] = loss.item()
    assert found["paramixer"] < 0.1
    assert found["none"] > 1.2

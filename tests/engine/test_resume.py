"""A killed run continues as if nothing had happened; several processes agree with one."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from subquad.base.seeds import mix_seed
from subquad.cli.main import main
from subquad.data.loading import Batches, TrainingLoader, TrainingOrder
from subquad.engine.generations import Generations
from subquad.tasks.fitting import WEIGHTS, fit, fit_parser
from subquad.tasks.segmentation.data.batches import EvaluationSamples, TrainingSamples, collate
from subquad.tasks.segmentation.data.module import SegmentationData
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.data.transforms import EvalTransform, TrainTransform
from subquad.tasks.segmentation.task import TASK

# Dropout, stochastic start dictionaries, random transforms: everything random is on.
SMALL = [
    "--model.backbone=conv_tiny",
    "--model.ham_channels=32",
    "--model.channels=32",
    "--model.rank=4",
    "--model.dropout=0.2",
    "--data.name=scenes",
    "--data.size=[64,64]",
    "--data.crop=[64,64]",
    "--data.scale=[0.7,1.3]",
    "--data.brightness=0.3",
    "--data.length=40",
    "--data.batch_size=4",
    "--data.eval_batch_size=50",
    "--optimizer.lr=1e-3",
    "--optimizer.warmup_steps=3",
    "--save_every=4",
    "--trainer.max_epochs=3",
    "--trainer.log_every_n_steps=1",
    "--trainer.limit_val_batches=1",
]


def fitting(output, *extra):
    return ["fit", f"--output={output}", *SMALL, *extra]


def program(*arguments):
    return [sys.executable, "-m", "subquad", *arguments]


def command(output, *extra):
    return program(*fitting(output, *extra))


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1"}


def losses(folder):
    """Return the training loss of each step over all parts of a run, as text: every digit counts."""
    found = {}
    for log in sorted(folder.glob("logs/version_*/metrics.csv")):
        with log.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("train/loss")]
        found |= {int(row["step"]): row["train/loss"] for row in rows}
    return found


def run_here(*arguments):
    """In this process, which has imported everything."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert main([*arguments]) == 0
    finally:
        torch.set_num_threads(threads)


def run_and_kill(output, extra, enough):
    process = subprocess.Popen(
        command(output, *extra),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not enough(output) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((), id="plain"),
        pytest.param(("--ema=0.9", "--trainer.accumulate_grad_batches=2"), id="ema", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(tmp_path, extra):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_here(*fitting(whole, *extra))
    expected = losses(whole)
    # Killed in the middle of the second epoch: ten steps each, a checkpoint every four.
    run_and_kill(cut, extra, lambda folder: max(losses(folder) or {0: ""}) >= (6 if extra else 13))
    run_here(*fitting(cut, *extra, "--resume"))
    assert losses(cut) == expected
    final = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (whole, cut)]
    assert final[0].keys() == final[1].keys()
    assert all(torch.equal(final[0][name], final[1][name]) for name in final[0])
    assert (whole / "best.safetensors").read_bytes() == (cut / "best.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("length", "extra"),
    [
        pytest.param(
            12,
            ["--trainer.val_check_interval=2", "--trainer.max_epochs=2"],
            id="evaluated amid epochs",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            16,
            [
                "--trainer.accumulate_grad_batches=2",
                "--trainer.check_val_every_n_epoch=2",
                "--trainer.max_steps=3",
            ],
            id="ended amid an epoch",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_goes_on_from_each_of_its_checkpoints(tmp_path, monkeypatch, length, extra):
    """Be it of a step, an evaluation, or the end: weights, optimiser and best come out to the last digit."""
    arguments = ["fit", *SMALL, f"--data.length={length}", "--trainer.accelerator=cpu"]
    arguments += ["--ema=0.9", "--save_every=1", *extra]
    whole, write = tmp_path / "whole", Generations.save_checkpoint

    def write_and_copy(self, checkpoint, path, storage_options=None):
        write(self, checkpoint, path, storage_options)
        shutil.copytree(whole, tmp_path / f"from{checkpoint['global_step']}")

    with monkeypatch.context() as patch:
        patch.setattr(Generations, "save_checkpoint", write_and_copy)
        assert main([*arguments, f"--output={whole}"]) == 0
    final = torch.load(whole / "last.ckpt", weights_only=True)
    cuts = list(tmp_path.glob("from*"))
    assert len(cuts) == final["global_step"]
    for cut in cuts:
        assert main([*arguments, f"--output={cut}", "--resume"]) == 0
        for name in ("best.safetensors", "last.safetensors"):
            assert (cut / name).read_bytes() == (whole / name).read_bytes(), (cut, name)
        resumed = torch.load(cut / "last.ckpt", weights_only=True)
        torch.testing.assert_close(resumed["optimizer_states"], final["optimizer_states"], rtol=0, atol=0)
        assert losses(cut).items() <= losses(whole).items()
        assert len(losses(cut)) >= len(losses(whole)) - 1, "all but the step that was being written"


@pytest.mark.slow
def test_two_processes_that_end_before_their_first_evaluation(tmp_path):
    two = command(
        tmp_path, "--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.accelerator=cpu",
        "--trainer.max_steps=2",
    )  # fmt: skip
    ended = subprocess.run(two, env=environment(), check=True, capture_output=True, text=True, timeout=240)
    assert "mean IoU" in ended.stdout and (tmp_path / "best.safetensors").is_file()
    four = [argument.replace("devices=2", "devices=1") for argument in two]
    refused = subprocess.run(
        [*four, "--resume"], env=environment(), capture_output=True, text=True, timeout=240
    )
    assert refused.returncode == 2 and "made with 2" in refused.stderr


@pytest.mark.slow
def test_two_processes_that_are_told_to_end(tmp_path):
    """One of them is told: both write, both leave, one speaks."""
    two = command(
        tmp_path, "--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.accelerator=cpu",
        "--trainer.max_epochs=10000",
    )  # fmt: skip
    process = subprocess.Popen(
        two, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not losses(tmp_path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors.count("interrupted by SIGTERM") == 1 and "Traceback" not in errors
    assert (tmp_path / "last.ckpt").is_file()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """Return the folder of a run of two processes, with samples that do not divide evenly."""
    folder = tmp_path_factory.mktemp("two") / "run"
    two = command(
        folder, "--trainer.max_epochs=1", "--trainer.limit_val_batches=1.0", "--data.eval_batch_size=7",
        "--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.accelerator=cpu",
    )  # fmt: skip
    for _ in range(2):
        done = subprocess.run(two, env=environment(), capture_output=True, text=True, timeout=240)
        if not re.search("address already in use|EADDRINUSE", done.stderr, re.IGNORECASE):
            break
        shutil.rmtree(folder, ignore_errors=True)  # another process took the port that Lightning had found
    assert done.returncode == 0, done.stderr
    return folder


def asked(folder, scores, processes):
    """Return the arguments that evaluate a run, and leave its scores in a file."""
    asked = ["test", str(folder), f"--json={scores}", "--data.eval_batch_size=7"]
    return [*asked, f"--trainer.devices={processes}", "--trainer.accelerator=cpu"]


@pytest.mark.filterwarnings("ignore")
def test_two_processes_agree_with_one(of_two, tmp_path):
    """Evaluation over two processes, while they train, gives the scores of one to all logged digits."""
    run_here(*asked(of_two, tmp_path / "one.json", 1))
    one = json.loads((tmp_path / "one.json").read_text())
    (log,) = of_two.glob("logs/version_*/metrics.csv")
    with log.open(newline="") as file:
        (two,) = [row for row in csv.DictReader(file) if row["val/mean_iou"]]
    for name in ("mean_iou", "pixel_accuracy"):  # logged in single precision
        assert float(two[f"val/{name}"]) == torch.tensor(one[name]).item() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_that_are_asked_give_the_very_counts_of_one(of_two, tmp_path):
    run_here(*asked(of_two, tmp_path / "one.json", 1))
    two = program(*asked(of_two, tmp_path / "two.json", 2), "--trainer.strategy=ddp")
    subprocess.run(two, env=environment(), check=True, capture_output=True, timeout=240)
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


def test_two_processes_train_on_the_batches_of_one():
    one = TrainingOrder(103, 8, seed=3, rank=0, processes=1)
    two = [TrainingOrder(103, 4, seed=3, rank=rank, processes=2) for rank in (0, 1)]
    for epoch in (0, 1):
        for order in (one, *two):
            order.set_epoch(epoch)
        assert len(one) == len(two[0]) == 12
        for whole, *parts in zip(one, *two, strict=True):
            assert sorted(whole) == sorted(key for part in parts for key in part)
    assert {key[1] for batch in one for key in batch} <= set(range(103))


def loader(workers=0, **position):
    data = Scenes(12, size=(64, 64))
    samples = TrainingSamples(data, TrainTransform((48, 48), (0.5, 2.0), brightness=0.5), seed=7)
    made = TrainingLoader(Batches(samples, TrainingOrder(12, 3, 7), collate), workers)
    if position:
        made.load_state_dict(position)
    return made


def test_a_loader_continues_where_it_was_with_any_number_of_workers():
    whole = loader()
    batches = []
    for epoch in (0, 1):
        whole.order.set_epoch(epoch)
        for batch in whole:
            batches.append((whole.state_dict(), batch))
    assert len(batches) == 8
    for start in (0, 2, 3, 5):  # 3: the last batch of the first epoch was handed out
        resumed = loader(workers=start % 3, **batches[start][0])
        rest = list(resumed)
        resumed.order.set_epoch(1)
        rest += list(resumed) if batches[start][0]["epoch"] == 0 and start != 3 else []
        for (_, expected), actual in zip(batches[start + 1 :], rest, strict=True):
            assert expected["name"] == actual["name"]
            assert torch.equal(expected["image"], actual["image"])
            assert torch.equal(expected["labels"], actual["labels"])


def test_epochs_differ_in_order_and_in_what_is_random():
    first, second = loader(), loader(epoch=1, batch=0)
    images = [torch.cat([b["image"] for b in part]) for part in (first, second)]
    assert not torch.equal(*images)
    assert len({mix_seed(0, a, b) for a in range(30) for b in range(30)}) == 900


def test_filler_samples_change_no_metric():
    scenes = Scenes(5, size=(64, 64), split="val")

    shares = [EvaluationSamples(scenes, EvalTransform(), rank, 2) for rank in (0, 1)]
    assert [len(share) for share in shares] == [3, 3]
    names = [share[i]["name"] for share in shares for i in range(3) if (share[i]["labels"] != 255).any()]
    assert sorted(names) == sorted(scenes[i].name for i in range(5))


def test_a_training_set_smaller_than_a_batch_is_said():
    with pytest.raises(ValueError, match="3 samples, fewer than one batch of 4 for 1 process"):
        TrainingOrder(3, 4, 0, 0, 1)


def test_classes_of_both_sets_must_be_the_same():
    scenes = Scenes(2, size=(64, 64))

    class Other:
        labels = type(scenes.labels).generic(2)

        def __len__(self):
            return 1

    with pytest.raises(ValueError, match="give both the same class file"):
        SegmentationData(
            scenes, Other(), train_transform=TrainTransform(None), eval_transform=EvalTransform()
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_learns(tmp_path):
    p = fit_parser(TASK)
    options = p.parse_args([*SMALL, "--trainer.max_epochs=6", "--trainer.enable_model_summary=false"])
    learner = fit(TASK, p.instantiate(options), tmp_path)
    trace = losses(tmp_path)
    assert float(trace[59]) < 0.75 * float(trace[0])
    assert (tmp_path / WEIGHTS).is_file() and learner.scores.pixel_accuracy > 0.5

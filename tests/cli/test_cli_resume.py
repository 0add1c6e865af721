"""`fit --resume`: goes on with the same run, or says in one sentence what is not the same."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Timer

from cli_helpers import contents, fit_arguments, write_pair
from subquad.base.deprecation import Deprecated
from subquad.engine.learner import CONFIG_KEY
from subquad.engine.resume import RUN_KEY, check_resumable
from subquad.engine.run_record import LENGTHS, MAY_CHANGE, RunOptions
from subquad.engine.trainer_options import FORMER
from subquad.models import create_model
from subquad.models.checkpoint import config_to_json
from subquad.tasks import task_called, task_names
from subquad.tasks.fitting import fit_parser, take_older_defaults
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.sequences.learner import SequenceLearner


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "run")


def options_of(kind, *arguments):
    p = fit_parser(task_called(kind))
    return RunOptions(p, p.parse_args(list(arguments)))


def record_of(kind, *arguments, data=None, processes=1, depends=False):
    return options_of(kind, *arguments).record(data or {}, processes, depends)


def written(record):
    return {"options": record.options, "data": record.data, "processes": record.processes}


@pytest.mark.parametrize(
    ("kind", "name", "value", "before"),
    [
        ("segmentation", "optimizer.lr", "0.5", "6e-05"),
        ("segmentation", "data.batch_size", "3", "8"),
        ("segmentation", "seed", "4", "0"),
        ("segmentation", "ema", "0.9", "not given"),
        ("segmentation", "loss.dice", "1.0", "0.0"),
        ("segmentation", "class_weights", "log", "none"),
        ("segmentation", "protocol.flip", "True", "not given"),
        ("segmentation", "model.weights", "x.pth", "not given"),
        ("segmentation", "trainer.precision", "bf16-mixed", "not given"),
        ("segmentation", "trainer.accumulate_grad_batches", "2", "1"),
        ("segmentation", "trainer.limit_train_batches", "3", "not given"),
        ("segmentation", "trainer.val_check_interval", "3", "not given"),
        ("sequences", "optimizer.lr", "0.5", "0.001"),
        ("sequences", "data.tokens", "words", "characters"),
        ("generation", "optimizer.generator_lr", "0.5", "0.0001"),
        ("generation", "optimizer.betas", "[0.1, 0.9]", "[0.0, 0.999]"),
    ],
)
def test_what_decides_training_is_refused_by_name(tmp_path, kind, name, value, before):
    theirs = written(record_of(kind))
    with pytest.raises(ValueError) as refused:
        record_of(kind, f"--{name}={value}").refuse_other(theirs, {}, tmp_path / "last.ckpt")
    sentence = str(refused.value)
    assert f"--{name} is {value}, but the run was made with {before}" in sentence
    assert "config.yaml" in sentence and "--output" in sentence and sentence.count("made with") == 1


@pytest.mark.parametrize("kind", task_names())
def test_what_may_change_is_an_option_and_is_taken(tmp_path, kind):
    """The same options are taken whatever else there is, and the list names nothing that is not there."""
    same = record_of(kind)
    same.refuse_other(written(same), {}, tmp_path)
    options = ["data.workers=2", "save_every=7", "trainer.log_every_n_steps=3", "output=elsewhere"]
    options += ["data.root=elsewhere", "trainer.max_time=00:00:01:00", "data.eval_batch_size=2"]
    other = record_of(kind, *(f"--{option}" for option in [*options, "trainer.accelerator=cpu"]))
    other.refuse_other(written(same), {}, tmp_path)


def test_the_list_of_what_may_change_names_options_that_there_are():
    from fnmatch import filter as matching

    known = {name for kind in task_names() for name in options_of(kind).flat()}
    assert [name for name in (*MAY_CHANGE, *LENGTHS) if not matching(known, name)] == ["config"]
    for kind in task_names():
        known = options_of(kind).flat()
        assert all(matching(known, name) for name in record_of(kind).may_change)


def test_the_length_may_change_where_the_rate_does_not_depend_on_it(tmp_path):
    for option in ("--trainer.max_epochs=7", "--trainer.max_steps=7"):
        longer = record_of("generation", option)
        longer.refuse_other(written(record_of("generation")), {}, tmp_path)
        fixed = record_of("segmentation", option, depends=True)
        with pytest.raises(ValueError, match=r"the learning rate depends on --trainer.max_"):
            fixed.refuse_other(written(record_of("segmentation")), {}, tmp_path)


def test_as_many_batches_of_another_size_are_another_evaluation(tmp_path):
    limited = "--trainer.limit_val_batches=2"
    with pytest.raises(ValueError, match=r"--data.eval_batch_size is 2, but the run was made with 1"):
        record_of("segmentation", limited, "--data.eval_batch_size=2").refuse_other(
            written(record_of("segmentation", limited)), {}, tmp_path
        )


def test_other_data_and_another_number_of_processes_are_refused(tmp_path):
    ours = record_of("segmentation", data={"train": "6 samples, aa", "val": "4 samples, bb"})
    for other, told in (
        (record_of("segmentation", data={"train": "7 samples, cc", "val": "4 samples, bb"}), "7 samples, cc"),
        (record_of("segmentation", data=ours.data, processes=2), "1 processes.* made with 2"),
    ):
        with pytest.raises(ValueError, match=told):
            ours.refuse_other(written(other), {}, tmp_path)


def test_options_of_other_versions(tmp_path):
    """One that an older version did not have had its default then; one of a newer version is not ignored."""
    ours, defaults = record_of("sequences", "--optimizer.decay=poly"), options_of("sequences").defaults()
    older = written(record_of("sequences"))
    del older["options"]["optimizer.decay"]
    with pytest.raises(ValueError, match="--optimizer.decay is poly, but the run was made with cosine"):
        ours.refuse_other(older, defaults, tmp_path)
    record_of("sequences").refuse_other(older, defaults, tmp_path)
    newer = written(record_of("sequences"))
    newer["options"] |= {"optimizer.unheard": None}
    record_of("sequences").refuse_other(newer, defaults, tmp_path)
    newer["options"]["optimizer.unheard"] = 0.3
    with pytest.raises(ValueError, match="--optimizer.unheard is not given, but the run was made with 0.3"):
        record_of("sequences").refuse_other(newer, defaults, tmp_path)


def test_what_older_recipes_hold_and_nothing_reads_is_no_other_run(tmp_path):
    """They held all of Lightning's options; a value that changed something is not dropped in silence."""
    former = "trainer:\n  limit_predict_batches: null\n  profiler: null\n  barebones: "
    (tmp_path / "config.yaml").write_text(f"{former}false\n")
    ours = record_of("sequences", f"--config={tmp_path / 'config.yaml'}")
    older = written(ours)
    older["options"] |= FORMER
    ours.refuse_other(older, {}, tmp_path)
    (tmp_path / "config.yaml").write_text(f"{former}true\n")
    with pytest.raises(ValueError, match="there is no option 'trainer.barebones'"):
        record_of("sequences", f"--config={tmp_path / 'config.yaml'}")


def test_how_often_an_older_hamgan_looked_for_nan_is_no_other_run(tmp_path):
    (tmp_path / "config.yaml").write_text("optimizer:\n  check_every: 50\n")
    ours = record_of("generation", f"--config={tmp_path / 'config.yaml'}")
    older = written(ours)
    older["options"]["optimizer.check_every"] = 50
    ours.refuse_other(older, {}, tmp_path)


@pytest.mark.parametrize("known", [False, True])
def test_a_run_on_values_from_before_standard_units_goes_on_without(tmp_path, known):
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "config.yaml").write_text(
        "data:\n  standard_units: true\n" if known else "data:\n  tokens: numbers\n"
    )
    p = fit_parser(task_called("sequences"))
    options = p.parse_args(["--model.name=paramixer_text"])
    take_older_defaults(task_called("sequences"), p, options, tmp_path)
    assert RunOptions(p, options).defaults()["data.standard_units"] is known
    found = options.data.standard_units, options.model.norm, options.model.start
    assert found == ((True, None, None) if known else (False, False, "random"))


@pytest.mark.parametrize("known", [False, True])
def test_a_run_of_text_from_before_phases_goes_on_without(tmp_path, known):
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "config.yaml").write_text(f"model:\n  {'memory_keys' if known else 'dim'}: null\n")
    p = fit_parser(task_called("language"))
    options = p.parse_args([])
    take_older_defaults(task_called("language"), p, options, tmp_path)
    found = options.model.memory_keys, options.model.query_start
    assert found == ((None, None) if known else ("unit", "random"))


def test_what_older_defaults_are_told_has_the_names_of_today(tmp_path):
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "config.yaml").write_text("data:\n  units: true\n")
    p = fit_parser(task_called("sequences"))
    p.deprecated["data.units"] = Deprecated("data.standard_units", "0.3")
    options = p.parse_args(["--model.name=paramixer_text"])
    take_older_defaults(task_called("sequences"), p, options, tmp_path)
    assert options.data.standard_units, "the run was taken for one from before they were there"


def test_a_network_of_an_older_version_has_the_defaults_of_what_it_did_not_know(tmp_path):
    network = create_model("paramixer_adding", dim=4, hidden=4, length=8)
    task = SequenceLearner(network)
    content = json.loads(config_to_json(network.config))
    del content["config"]["start"]
    torch.save({CONFIG_KEY: json.dumps(content)}, tmp_path / "last.ckpt")
    check_resumable(tmp_path / "last.ckpt", task)
    content["config"]["depth"] = network.config.depth + 1
    torch.save({CONFIG_KEY: json.dumps(content)}, tmp_path / "last.ckpt")
    with pytest.raises(
        ValueError, match=f"its depth is {network.config.depth + 1}, not {network.config.depth}"
    ):
        check_resumable(tmp_path / "last.ckpt", task)


def test_refused_options_leave_the_run_and_its_record_as_they_were(complains, trained, run):
    sentence = complains(
        *fit_arguments(trained.data, run, "--resume", "--optimizer.lr=0.5", "--seed=3", "--save_every=1"),
        quoting=["--optimizer.lr is 0.5, but the run was made with 6e-05", "--seed is 3"],
    )
    assert str(run / "last.ckpt") in sentence and contents(run) == contents(trained.run)


@pytest.mark.parametrize("with_record", [True, False])
def test_a_run_from_before_an_option_was_renamed_goes_on(call, trained, run, monkeypatch, with_record):
    segmentation = type(task_called("segmentation"))
    add_options = segmentation.add_fit_options

    def renamed(self, p):
        add_options(self, p)
        p.deprecated["optimizer.rate"] = Deprecated("optimizer.lr", "0.3")

    monkeypatch.setattr(segmentation, "add_fit_options", renamed)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["optimizer"]["rate"] = config["optimizer"].pop("lr")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    record = json.loads(checkpoint.pop(RUN_KEY))
    record["options"]["optimizer.rate"] = record["options"].pop("optimizer.lr")
    torch.save(checkpoint | ({RUN_KEY: json.dumps(record)} if with_record else {}), run / "last.ckpt")
    refused = call(*fit_arguments(trained.data, run, "--resume", "--optimizer.lr=0.5"))
    assert refused.code == 2 and "is 0.5, but the run was made with 6e-05" in refused.err.splitlines()[-1]
    resumed = call("fit", "--config", run / "config.yaml", "--output", run, "--resume")
    assert resumed.code == 0, resumed.err
    assert yaml.safe_load((run / "config.yaml").read_text())["optimizer"]["lr"] == 6e-05


def test_options_that_are_not_repeated_are_those_of_the_run(call, complains, trained, run):
    """The command with which a run was begun had options; to go on, its folder is enough."""
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
    result = call("fit", trained.data, "--output", run, "--resume", "--save_every=5")
    assert result.code == 0, result.err
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 1 and config["save_every"] == 5
    other = ("--resume", f"--output={run}", "--seed=3")
    complains("fit", *other, quoting="--seed is 3, but the run was made with 0")


def test_other_pictures_are_refused(complains, trained, run, tmp_path):
    data = shutil.copytree(trained.data, tmp_path / "data")
    write_pair(data / "train", "one_more", np.zeros((40, 48), np.uint8), np.random.default_rng(0))
    complains(*fit_arguments(data, run, "--resume"), quoting=["data of train", "7 samples", "6 samples"])
    assert contents(run) == contents(trained.run)


def test_a_checkpoint_of_an_older_version_is_compared_with_its_recipe(call, complains, trained, run):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    assert json.loads(checkpoint.pop(RUN_KEY))["processes"] == 1
    torch.save(checkpoint, run / "last.ckpt")
    other = fit_arguments(trained.data, run, "--resume", "--save_every=2", "--optimizer.lr=0.5")
    complains(*other, quoting="--optimizer.lr is 0.5, but the run was made with 6e-05")
    (run / "config.yaml").write_text("a: [")
    complains(*other, quoting=["config.yaml is damaged", "last.ckpt"])
    shutil.copy(trained.run / "config.yaml", run)
    assert call(*other[:-1]).code == 0


def test_the_generation_before_is_taken_with_a_sentence(call, trained, run):
    """What may change takes effect, and config.yaml tells it once it is used."""
    (run / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes()[:5000])
    result = call(*fit_arguments(trained.data, run, "--resume", "--save_every=9"))
    assert result.code == 0, result.err
    (sentence,) = result.err.splitlines()
    assert "last.ckpt is damaged" in sentence and f"going on from {run / 'last.previous.ckpt'}" in sentence
    for name in ("best.safetensors", "last.safetensors"):
        assert contents(run)[name] == contents(trained.run)[name], "as if nothing had happened"
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 3
    assert yaml.safe_load((run / "config.yaml").read_text())["save_every"] == 9


def test_a_checkpoint_that_was_lost_is_replaced_by_the_one_before(call, trained, run):
    (run / "last.ckpt").unlink()
    result = call(*fit_arguments(trained.data, run, "--resume", "--save_every=1"))
    assert result.code == 0 and "going on from" in result.err
    assert contents(run)["last.safetensors"] == contents(trained.run)["last.safetensors"]


@pytest.mark.parametrize("part", ["loops", "optimizer_states", "state_dict", RUN_KEY])
@pytest.mark.parametrize("value", [None, "text"])
def test_a_checkpoint_that_is_damaged_inside(complains, trained, run, part, value):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    if value is None and part != RUN_KEY:
        del checkpoint[part]
    else:
        checkpoint[part] = value
    torch.save(checkpoint, run / "last.ckpt")
    (run / "last.previous.ckpt").unlink()
    before = contents(run)
    complains(*fit_arguments(trained.data, run, "--resume"), quoting=str(run / "last.ckpt"))
    after = contents(run)
    assert {name: after[name] for name in before} == before


def test_a_run_without_its_checkpoint_is_not_begun_anew(complains, trained, run):
    """Killed before the first one: its best weights were replaced by worse ones without a word."""
    for name in ("last.ckpt", "last.previous.ckpt"):
        (run / name).unlink()
    before = contents(run)
    complains(*fit_arguments(trained.data, run, "--resume"), quoting=["no last.ckpt", "best.safetensors"])
    assert contents(run) == before


def test_the_weights_to_start_from_are_not_needed_any_more(call, trained, run):
    """They are in the checkpoint; the file may be gone."""
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    record = json.loads(checkpoint[RUN_KEY])
    record["options"]["model.weights"] = "gone.safetensors"
    torch.save({**checkpoint, RUN_KEY: json.dumps(record)}, run / "last.ckpt")
    assert call(*fit_arguments(trained.data, run, "--resume", "--model.weights=gone.safetensors")).code == 0


@pytest.mark.parametrize(("signum", "code", "told"), [("SIGTERM", 143, "SIGTERM"), ("SIGINT", 130, "Ctrl-C")])
def test_a_signal_ends_with_its_code_and_a_sentence_and_loses_nothing(
    call, trained, tmp_path, monkeypatch, signum, code, told
):
    step = SegmentationLearner.training_step

    def interrupted(self, batch, batch_idx):
        if batch_idx == 1:
            os.kill(os.getpid(), getattr(signal, signum))
        return step(self, batch, batch_idx)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationLearner, "training_step", interrupted)
        result = call(*fit_arguments(trained.data, run))
    assert result.code == code
    (sentence,) = result.err.splitlines()
    assert f"interrupted by {told}; {run / 'last.ckpt'} is of step 2" in sentence and "--resume" in sentence
    resumed = call("fit", "--config", run / "config.yaml", "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert contents(run)["best.safetensors"] == contents(trained.run)["best.safetensors"]


def test_a_signal_before_training_leaves_nothing(call, trained, tmp_path, monkeypatch):
    def interrupted(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(type(task_called("segmentation")), "open_data", interrupted)
    result = call(*fit_arguments(trained.data, tmp_path / "run"))
    assert result.code == 143 and result.err == "subquad fit: interrupted by SIGTERM.\n"
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_keeps_the_checkpoint_before(complains, trained, tmp_path, monkeypatch):
    from subquad.engine import generations

    write = generations.write_checkpoint

    def full(checkpoint, path):
        if checkpoint["global_step"] > 2:
            raise OSError(28, "No space left on device")
        write(checkpoint, path)

    run = tmp_path / "run"
    monkeypatch.setattr(generations, "write_checkpoint", full)
    complains(
        *fit_arguments(trained.data, run, "--save_every=1"),
        quoting=["last.ckpt of step 3", "No space left on device", "of step 2, is whole", "--resume"],
    )
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2


def test_time_that_is_over_is_told(call, trained, tmp_path, monkeypatch):
    """The run goes on in the middle of its epoch, and ends as if it had never been stopped."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Timer, "time_remaining", lambda *_: 0.0)
        patch.setattr(
            Timer, "_check_time_remaining", lambda _, t: setattr(t, "should_stop", t.global_step >= 2)
        )
        ended = call(*fit_arguments(trained.data, run, "--trainer.max_time=00:00:01:00"))
    assert ended.code == 0 and "ended by --trainer.max_time at step 2" in ended.out
    assert "ended by" not in call(*fit_arguments(trained.data, run, "--resume")).out
    for name in ("best.safetensors", "last.safetensors"):
        assert contents(run)[name] == contents(trained.run)[name]


@pytest.mark.parametrize(
    ("option", "is_evaluated"),
    [
        ("--trainer.limit_val_batches=0", False),
        ("--trainer.check_val_every_n_epoch=9", True),
        ("--trainer.overfit_batches=1", True),
        ("--trainer.fast_dev_run=true", True),
        ("--trainer.max_steps=2", True),
    ],
)
def test_training_without_an_evaluation_in_its_turn_ends_well(call, data, tmp_path, option, is_evaluated):
    run = tmp_path / "run"
    result = call(*fit_arguments(data, run, option))
    assert result.code == 0, result.err
    assert (run / "last.safetensors").is_file() and (run / "best.safetensors").is_file() == is_evaluated
    assert ("mean IoU" in result.out) == is_evaluated
    assert str(run / ("best.safetensors" if is_evaluated else "last.safetensors")) in result.out


@pytest.mark.parametrize("option", ["max_epochs=0", "max_steps=0", "limit_train_batches=0"])
def test_training_without_a_step_is_refused(complains, data, tmp_path, option):
    complains(
        *fit_arguments(data, tmp_path / "run", f"--trainer.{option}"), quoting=f"--trainer.{option[:-2]} 0"
    )
    assert not (tmp_path / "run").exists()


def test_a_second_run_into_the_folder_is_refused(complains, trained, run):
    from subquad.engine.run_folder import locked

    with locked(run):
        complains(*fit_arguments(trained.data, run, "--resume"), quoting=[str(os.getpid()), str(run)])

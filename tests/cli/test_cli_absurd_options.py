"""Numbers that nothing can be made of are refused in one sentence, before anything is made."""

import pytest

from subquad import create_model, save_model
from subquad.base.limits import MOST_PROCESSES
from subquad.engine.bounds import MOST, check_device

OF_FIT = {
    "--trainer.devices=-2": "means no device",
    "--trainer.devices=0": "means no device",
    "--trainer.devices=[]": "means no device",
    "--trainer.devices=1x": "means no device",
    "--trainer.devices=[0,99]": "trains on the CPU",
    "--trainer.devices=-1": "trains on the CPU",
    f"--trainer.devices={MOST_PROCESSES + 1}": "at most",
    "--trainer.num_nodes=0": "at least 1",
    "--trainer.max_epochs=-5": "at least -1",
    "--trainer.max_steps=-2": "at least -1",
    "--trainer.min_epochs=101": "more than --trainer.max_epochs 100",
    "--trainer.max_time=nonsense": "days:hours:minutes:seconds",
    "--trainer.max_time=99": "days:hours:minutes:seconds",
    "--trainer.val_check_interval=0": "never evaluate",
    "--trainer.val_check_interval=soon": "days:hours:minutes:seconds",
    "--trainer.limit_val_batches=1.5": "a share of them",
    "--trainer.limit_train_batches=-1": "a share of them",
    "--trainer.limit_train_batches=0": "nothing to do",
    "--trainer.accumulate_grad_batches=0": "at least 1",
    "--trainer.gradient_clip_val=-1": "at least 0",
    "--trainer.precision=transformer-engine": "is unknown",
    "--data.batch_size=1000000000": "at most",
    "--data.workers=100000": "at most",
    "--data.max_pixels=0": "at least 1",
    "--data.size=[0,0]": "at least 1",
    "--data.size=[64,100000]": "at most",
    "--data.crop=[100000000,100000000]": "at most",
    "--data.scale=[1e9,1e9]": "at most 64",
    "--data.scale=[1,.inf]": "finite",
    "--data.eval_size=[0,4]": "at least 1",
    "--optimizer.lr=.nan": "finite",
    "--ema=.nan": "finite",
    f"--seed={10**30}": "64 bits",
    f"--data.length={10**12}": "at most",
    "--model=somewhere": "group of options",
}  # fmt: skip


@pytest.mark.parametrize("option", OF_FIT)
def test_options_of_fit(complains, tmp_path, option):
    text = OF_FIT[option].replace("at most 64", "64 at most")
    run = tmp_path / "run"
    sentence = complains(
        "fit", "--data.name=scenes", "--trainer.accelerator=cpu", f"--output={run}", option,
        quoting=option.partition("=")[0],
    )  # fmt: skip
    assert text in sentence, sentence
    assert not run.exists()


@pytest.mark.parametrize("name", ["meta", "cuda:99", "cpu:x", "lazy", "", "hpu", "vulkan", "privateuseone"])
def test_devices_that_do_not_compute(name):
    with pytest.raises(ValueError, match=f"--device {name} cannot be used here"):
        check_device(name)
    check_device("cpu")


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "x", "y"],
        ["explain", "x", "--model=text.safetensors"],
        ["generate", "text.safetensors"],
        ["bench", "mixing"],
        ["features"],
    ],
)
def test_every_command_looks_at_its_device(complains, tmp_path, monkeypatch, command):
    (tmp_path / "x").touch()
    save_model(create_model("ham_lm_tiny", dim=16, depth=1), tmp_path / "text.safetensors")
    monkeypatch.chdir(tmp_path)
    complains(*command, "--device=meta", quoting="--device meta cannot be used here")


def test_limits_are_of_options_that_there_are():
    """A name that is spelt wrongly limits nothing."""
    from subquad.cli import bench, data, export
    from subquad.tasks import task_called, task_names
    from subquad.tasks.asking import ask_parser
    from subquad.tasks.fitting import fit_parser
    from subquad.tasks.generation.commands import features, generate

    tasks = [task_called(name) for name in task_names()]
    parsers = [command.parser() for command in (export, features, generate)]
    parsers += [bench.parser(what) for what in bench.BENCHES]
    parsers += [fit_parser(task) for task in tasks]
    parsers += [ask_parser("test", task) for task in tasks]
    parsers += [ask_parser("predict", task) for task in tasks if task.name != "generation"]
    parsers += [data.parser(task, "") for task in tasks]
    known = {option.dest for p in parsers for option in p._options()}
    assert set(MOST) <= known


def test_too_little_memory_is_a_sentence(complains, monkeypatch):
    from subquad.cli import info

    for error in (MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 9 bytes\nmore")):

        def ask(arguments, error=error):
            raise error

        monkeypatch.setattr(info, "main", ask)
        complains("info", quoting="there is not enough memory")


def test_a_loader_that_was_ended_from_outside_is_a_sentence(complains, monkeypatch):
    from subquad.cli import info

    def ask(arguments):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(info, "main", ask)
    assert "lower --data.workers" in complains("info", quoting="killed by signal: Killed")

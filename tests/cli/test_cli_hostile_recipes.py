"""A recipe holds plain values: it runs no code, reads no other file, and is small."""

import os
import sys
import time
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightly import some_by_day
from subquad.base.limits import LARGEST_YAML
from subquad.engine.plain_yaml import plain_yaml
from subquad.tasks import task_called, task_names
from subquad.tasks.fitting import fit_parser

CANARY = "somebodys_module"
PARSERS = [partial(fit_parser, task_called(name)) for name in task_names()]


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A module on the path that must not be imported."""
    (tmp_path / "on_path").mkdir()
    (tmp_path / "on_path" / f"{CANARY}.py").write_text("class Anything: ...\ndef anything(): ...\n")
    monkeypatch.syspath_prepend(tmp_path / "on_path")
    yield f"{CANARY}.Anything"
    assert CANARY not in sys.modules


OF_TRAINER = [
    "profiler", "strategy", "accelerator", "plugins", "callbacks", "logger", "precision", "max_time",
    "default_root_dir", "barebones", "model_registry", "devices", "limit_val_batches", "val_check_interval",
]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    some_by_day(
        OF_TRAINER, lambda name: name in ("callbacks", "strategy", "precision", "val_check_interval")
    ),
)
def test_no_option_of_the_trainer_names_a_class(complains, canary, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    for value in (canary, f"{{class_path: {canary}}}", f"[{{class_path: {canary}, init_args: {{}}}}]"):
        recipe.write_text(f"data: {{name: scenes}}\ntrainer: {{{name}: {value}}}\n")
        complains("fit", "--config", recipe, quoting=name)
        complains("fit", f"--trainer.{name}", value, quoting=name)
        complains("fit", f"--trainer.{name}.class_path={value}", quoting=name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["simple", "advanced", "pytorch"])
def test_no_profiler_writes_where_it_likes(complains, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(f"trainer: {{profiler: {name}}}\n")
    complains("fit", "--config=recipe.yaml", quoting="trainer.profiler")


@pytest.mark.parametrize("make", PARSERS)
def test_no_group_of_options_is_a_class_or_a_file(canary, tmp_path, make):
    (tmp_path / "data.yaml").write_text("name: scenes\n")
    p = make()
    groups = {option.dest.partition(".")[0] for option in p._actions if "." in option.dest}
    assert {"model", "data", "trainer"} <= groups
    for group in groups:
        for value in (canary, str(tmp_path / "data.yaml"), "null", f"{{class_path: {canary}}}"):
            (tmp_path / "recipe.yaml").write_text(f"{group}: {value}\n")
            by_recipe, by_name = [f"--config={tmp_path / 'recipe.yaml'}"], [f"--{group}", value]
            # `--protocol NAME` is short for an option that is text.
            for arguments in [by_recipe] if f"--{group}" in p.short else [by_recipe, by_name]:
                with pytest.raises(ValueError, match=group):
                    p.parse_args(arguments)


@pytest.mark.parametrize("make", PARSERS)
def test_no_option_takes_a_class_or_any_value(canary, tmp_path, make):
    """Every option, by a recipe: whatever is accepted stays a plain value."""
    p, recipe = make(), tmp_path / "recipe.yaml"
    for option in p._options():
        lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(option.dest.split("."))]
        recipe.write_text("\n".join(lines) + f" {{class_path: {canary}, init_args: {{}}}}\n")
        with pytest.raises(ValueError, match=option.dest):
            p.parse_args([f"--config={recipe}"])


def test_the_environment_holds_no_options(monkeypatch, canary):
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("SUBQUAD_FIT_CONFIG", canary)
    monkeypatch.setenv("SUBQUAD_FIT_MODEL__RANK", "7")
    p = fit_parser(task_called("segmentation"))
    p.env_prefix = "SUBQUAD_FIT"
    assert p.parse_args([]).model.rank is None


BOMBS = {
    "aliases": "a: &a [x, x]\n"
    + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcd", "bcde", strict=True)),
    "an anchor": "model: &a {rank: 3}\n",
    "in a value": "data: {crop: '&a [*a, *a]'}\n",
    "laughs in a value": "data: {crop: '[&a [x, x], &b [*a, *a], *b]'}\n",
    "laughs in a list": "data: {scales: ['[&a [x, x], *a]']}\n",
    "nested lists": "data: " + "[" * 100_000,
    "nested dicts": "data: " + "{a: " * 100_000,
    "nested in a value": "data: {crop: '" + "[" * 100_000 + "'}\n",
    "nested dashes": "- " * 100_000,
    "long": "#" * LARGEST_YAML + "\n",
    "a million values": f"model: {{rank: [{'1,' * 400_000}]}}\n",
    "a long number": f"seed: {'9' * 100_000}\n",
    "a long text": f"class_weights: {'x' * 500_000}\n",
    "a tag": "model: !!python/object/apply:os.system [touch x]\n",
    "a tag of text": "seed: !!int '3'\n",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "a name twice": "seed: 1\nseed: 2\n",
    "a name twice below": "model: {rank: 1, rank: 2}\n",
    "a name that is none": "model: {1: 2}\n",
    "another file": "config: /dev/zero\n",
    "a device in a value": "data: {crop: /dev/zero}\n",
    "null": "trainer: null\n",
    "a number for a group": "model: 3\n",
    "a list": "- 1\n",
    "a word": "model\n",
    "a number for yes or no": "resume: 3\n",
    "null for a value": "model: {name: null}\n",
    "no list": "freeze: 3\n",
    "not a number": "optimizer: {lr: .nan}\n",
    "infinity": "optimizer: {lr: .inf}\n",
    "too large": f"seed: {10**30}\n",
    "a control character": "seed: \x01\n",
    "not UTF-8": b"seed: \xff\n",
}


@pytest.mark.parametrize("what", BOMBS)
def test_recipes_that_are_no_plain_values_are_refused_at_once(complains, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    text = BOMBS[what]
    (tmp_path / "r.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = time.process_time()
    sentence = complains("fit", "--config=r.yaml", quoting="r.yaml")
    assert time.process_time() - begun < 5 and len(sentence) < 1500
    assert sorted(os.listdir(tmp_path)) == ["r.yaml"]


def test_what_is_no_file_is_no_recipe(complains, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path, tmp_path / "loop", tmp_path / "none", "{seed: 3}"):
        complains("fit", "--config", path, quoting=str(path))


def test_a_long_argument_is_refused(complains):
    """Older libraries of YAML crash on it, and nobody types it."""
    complains("fit", "--data.crop=" + "[" * 100_000, quoting=["--data.crop=[[[", "100,012 characters"])


def test_an_empty_recipe_changes_nothing(tmp_path):
    for text in ("", "# nothing\n", "---\n", "{}\n"):
        (tmp_path / "r.yaml").write_text(text)
        found = fit_parser(task_called("segmentation")).parse_args([f"--config={tmp_path / 'r.yaml'}"])
        assert found.seed == 0


def test_plain_values_are_what_they_look_like():
    text = (
        "a: 1e-3\nb: [1, -2, 0x10]\nc: {d: null, e: ~}\nf: 1_000\ng: .5\nh: yes\ni: 12:30:00\nj: 2020-01-01"
    )
    assert plain_yaml(text) == {
        "a": 0.001, "b": [1, -2, 16], "c": {"d": None, "e": None}, "f": 1000, "g": 0.5, "h": True,
        "i": "12:30:00", "j": "2020-01-01",
    }  # fmt: skip


KEYS = st.sampled_from(
    ["model", "data", "trainer", "seed", "name", "crop", "devices", "solver", "class_path"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("[1, 2]"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


PARSER = fit_parser(task_called("segmentation"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | VALUES)
def test_any_bytes_give_options_or_one_sentence(tmp_path, content):
    import yaml

    recipe = tmp_path / "r.yaml"
    recipe.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    try:
        PARSER.parse_args([f"--config={recipe}"])
    except (ValueError, OSError) as error:
        assert str(error).strip() and "\n" not in str(error)

"""Every recipe parses and takes a step, on data that is here or on a tiny copy of its layout."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from cli_helpers import contents, write_data
from nightly import some_by_day
from published_layouts import write_published
from subquad.tasks.fitting import fit_parser
from subquad.tasks.segmentation.data.published import published_labels
from subquad.tasks.segmentation.network import resolve
from subquad.tasks.segmentation.protocol import PROTOCOLS, EvaluationProtocol
from subquad.tasks.segmentation.protocol_options import resolve_protocol
from subquad.tasks.segmentation.task import TASK

ROOT = Path(__file__).parents[2]
BASES = sorted((ROOT / "recipes").glob("*/base.yaml"))
OTHER_KINDS = {  # see test_cli_sequences, test_cli_language, test_cli_hamgan and test_classification_recipes
    path
    for kind in ("sequences", "hamgan", "classification", "language")
    for path in (ROOT / "recipes" / kind).glob("*.yaml")
}
RECIPES = sorted(set((ROOT / "recipes").rglob("*.yaml")) - set(BASES) - OTHER_KINDS)
PUBLISHED = [path for path in RECIPES if path.parent != ROOT / "recipes"]

# The least of the same family, where the network itself would take minutes.
SMALL = {"resnet": "resnet50", "van": "van_tiny", "mscan": "mscan_tiny"}
TINY = [
    "--data.crop=[40,40]", "--data.batch_size=2", "--data.workers=0", "--trainer.devices=1",
    "--trainer.strategy=auto", "--trainer.accelerator=cpu", "--trainer.max_steps=2",
    "--trainer.val_check_interval=2", "--trainer.limit_val_batches=1", "--model.weights=null",
]  # fmt: skip

# Tables of the spec: millions of parameters with the classes of the data, auxiliary heads included.
MILLIONS = {
    "ade20k/hamnet_plus_r101": 69.12,
    "ade20k/hamnet_r101": 57.32,
    "ade20k/hamnet_van_base_os8": 36.885,
    "ade20k/hamnet_van_large_os8": 55.072,
    "ade20k/hamnet_van_small_os8": 24.168,
    "ade20k/hamnet_van_tiny_os8": 11.940,
    "ade20k/light_ham_van_base": 27.424,
    "ade20k/light_ham_van_huge": 61.129,
    "ade20k/light_ham_van_large": 45.611,
    "ade20k/light_ham_van_small": 14.707,
    "ade20k/light_ham_van_small_d256": 13.832,
    "ade20k/light_ham_van_tiny": 4.866,
    "ade20k/light_ham_van_tiny_d256": 4.209,
    "ade20k/segnext_base": 27.636,
    "ade20k/segnext_large": 48.927,
    "ade20k/segnext_small": 13.933,
    "ade20k/segnext_tiny": 4.263,
    "cityscapes/segnext_base": 27.569,
    "cityscapes/segnext_large": 48.792,
    "cityscapes/segnext_small": 13.899,
    "cityscapes/segnext_tiny": 4.230,
    "voc/hamnet_r101_trainaug": 54.036,
    "voc/hamnet_r101_trainval": 54.036,
    "voc/hamnet_r101_v2plus_trainaug": 54.036,
    "voc/hamnet_r101_v2plus_trainval": 54.036,
}
# Images a step, all devices together: spec 3.4, 4.4, 5.3, 5.4, 6.3.
BATCHES = {name: 16 for name in MILLIONS} | {
    name: 32 if name.endswith("os8") else 8
    for name in MILLIONS
    if name.endswith("os8") or name.startswith("cityscapes")
}


def name_of(path):
    return str(path.relative_to(ROOT / "recipes").with_suffix(""))


def each(recipes):
    return pytest.mark.parametrize("recipe", recipes, ids=name_of)


def configs(recipe):
    """Return the options that read a recipe: its base first, if it has one."""
    base = [] if recipe.parent == ROOT / "recipes" else [f"--config={recipe.parent / 'base.yaml'}"]
    return [*base, f"--config={recipe}"]


@cache
def parsed(recipe):
    """Return the options of a recipe, instantiated; they are for all tests, to be left as they are."""
    p = fit_parser(TASK)
    return p.instantiate(p.parse_args(configs(recipe)))


def resolved(options):
    """Return the configuration of the network of a recipe, for the classes of its data."""
    return resolve(options.model, published_labels(options.data.name))


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Return the folders of tiny copies of the published sets, by name."""
    root = tmp_path_factory.mktemp("layouts")
    return {
        name: write_published(name, root / name, train=2, val=2, size=(48, 56))
        for name in ("voc", "ade20k", "cityscapes")
    }


def test_there_is_a_recipe_for_each_published_number():
    assert {name_of(path) for path in PUBLISHED} == MILLIONS.keys()
    assert len(RECIPES) - len(PUBLISHED) >= 2
    assert {path.parent for path in PUBLISHED} == {path.parent for path in BASES}


OURS = [path for path in RECIPES if path not in PUBLISHED]


@each(some_by_day(OURS, lambda recipe: recipe.stem != "camvid_pretrained"))
def test_a_recipe_takes_one_step(call, recipe, tmp_path):
    data = write_data(tmp_path / "data")
    result = call(
        "fit", "--config", recipe, "--data.name=folder", f"--data.root={data}", "--data.batch_size=2",
        "--trainer.max_steps=1", "--trainer.accelerator=cpu", f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert "best.safetensors" in contents(tmp_path / "run")


BY_DAY = ("segnext_tiny", "hamnet_r101_trainaug")


@each(some_by_day(PUBLISHED, lambda recipe: recipe.stem in BY_DAY))
def test_a_published_recipe_takes_two_steps_on_its_layout(call, recipe, layouts, tmp_path):
    options = parsed(recipe)
    config = resolved(options)
    kind, _, rest = config.backbone.partition("_")
    small = SMALL[re.sub(r"\d+", "", kind)] + (f"_{rest}" if kind.startswith("resnet") else "")
    tiny = [*TINY, f"--model.backbone={small}", f"--data.root={layouts[options.data.name]}"]
    if config.family == "hamnet":
        tiny += ["--model.channels=64", "--model.dim=64", "--model.align_channels=64"]
    if options.data.resize is not None:
        tiny.append("--data.resize=[64,48]")
    protocol = resolve_protocol(options.protocol)
    if protocol.resize is not None:
        tiny.append("--protocol.resize=[64,48]")
    if protocol.window is not None:
        tiny += ["--protocol.window=[40,40]", "--protocol.stride=[24,24]"]
    result = call("fit", *configs(recipe), *tiny, f"--output={tmp_path / 'run'}")
    assert (result.code, result.err) == (0, "")
    for name in ("best.safetensors", "last.safetensors", "last.ckpt"):
        (tmp_path / "run" / name).unlink()  # they are large, and must be there
    assert "step 2/2: train/loss" in result.out


@each(PUBLISHED)
def test_a_published_recipe_is_of_the_network_and_the_batch_of_its_number(recipe):
    options = parsed(recipe)
    with torch.device("meta"):
        network = resolved(options).build()
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(MILLIONS[name_of(recipe)], abs=6e-4 if millions < 56 else 6e-3)
    assert options.data.batch_size * options.trainer.devices == BATCHES[name_of(recipe)]
    # The one-step gradient is HamNet's for VOC; all others were trained through all iterations.
    assert network.config.grad_steps == (0 if options.data.name == "voc" else 6)
    assert options.trainer.sync_batchnorm and options.loss.normalize == "all"
    assert options.output == f"runs/{name_of(recipe)}"


@each([*BASES, *RECIPES])
def test_a_recipe_holds_what_differs_from_the_defaults(recipe):
    p = fit_parser(TASK)
    before = configs(recipe)[:-1] if recipe not in BASES else []
    plain = p.parse_args(before) if before else p.get_defaults()
    options = p.parse_args([*before, f"--config={recipe}"])
    given = flat(yaml.safe_load(recipe.read_text()))
    kept = [name for name in given if options[name] == plain[name]]
    assert not [name for name in kept if name != "model.name"], (
        "a model may be named even if it is the default"
    )


@each(RECIPES)
def test_a_recipe_says_its_claim_and_its_command(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert head[0].startswith("# Claim:")
    files = [option.replace(f"{ROOT}/", "").replace("=", " ") for option in configs(recipe)]
    assert any(f"subquad fit {' '.join(files)}" in line for line in head)


@each(PUBLISHED)
def test_a_published_recipe_says_how_its_number_is_measured(recipe):
    """And that it is not ours; a first stage has no number of its own."""
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert "# Ours: not trained yet." in head
    tests = [shlex.split(line) for line in head if "subquad test" in line]
    assert bool(tests) != recipe.stem.endswith("trainaug")
    for words in tests:
        run, protocol = words[words.index("test") + 1], words[words.index("--protocol") + 1]
        assert run.startswith(f"runs/{name_of(recipe)}")
        assert protocol in PROTOCOLS


def test_the_second_stage_starts_where_the_first_ended():
    for second in (ROOT / "recipes" / "voc").glob("*_trainval.yaml"):
        first = Path(str(second).replace("trainval", "trainaug"))
        one, two = parsed(first), parsed(second)
        assert two.model.weights == f"{one.output}/last.safetensors"
        assert two.optimizer.lr == pytest.approx(one.optimizer.lr / 10)
        assert resolved(one) == resolved(two)


def test_while_training_one_view_is_evaluated():
    for recipe in PUBLISHED:
        protocol = resolve_protocol(parsed(recipe).protocol)
        assert protocol in PROTOCOLS.values() and protocol != EvaluationProtocol(), name_of(recipe)
        assert protocol.scales == (1.0,) and not protocol.flip


def flat(values, before=""):
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found

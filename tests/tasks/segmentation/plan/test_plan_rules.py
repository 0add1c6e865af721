"""The rules of a plan, one by one: what they choose from which facts, and what they leave alone."""

import dataclasses

import torch
from pytest import approx, fixture, mark, raises

from subquad.models import list_models
from subquad.models.pretrained import PACKAGED
from subquad.tasks.segmentation.plan import facts as facts_module
from subquad.tasks.segmentation.plan import rules
from subquad.tasks.segmentation.plan.facts import Facts
from subquad.tasks.segmentation.plan.memory import step_bytes
from subquad.tasks.segmentation.plan.planner import make_plan

CPU = Facts(
    train=48,
    evaluation=12,
    height=360,
    width=480,
    class_names=("ground", "nature", "structure", "mover"),
    shares=(0.4, 0.3, 0.25, 0.05),
    channels=3,
    cores=2,
    memory=16 * 2**30,
    gpu=None,
    bfloat16=False,
    starts=tuple(PACKAGED),
)
GPU = dataclasses.replace(CPU, gpu="a GPU", bfloat16=True, cores=16, memory=80 * 2**30)


@fixture(autouse=True)
def small_steps(request, monkeypatch):
    """Spare the rules that are not of memory a pass of the network."""
    if "fit" not in request.node.name:
        monkeypatch.setattr(rules, "step_bytes", lambda *_: (2**25, 2**27))


def chosen(facts, given=None):
    return make_plan(facts, given or {}).values()


def test_every_rule_has_a_test():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert not [option for option in rules.RULES if f'"{option}"' not in text]


@mark.parametrize(
    ("facts", "name", "start"),
    [
        (CPU, "light_ham_efficientnet_lite0", "efficientnet_lite0"),
        (GPU, "light_ham_efficientnet_lite2", "efficientnet_lite2"),
        (dataclasses.replace(CPU, starts=()), "light_ham_van_tiny_d256", None),
        (dataclasses.replace(GPU, starts=("efficientnet_lite0",)), "light_ham_efficientnet_lite0", None),
    ],
)
def test_network_and_start_are_those_that_are_there(facts, name, start):
    plan = chosen(facts)
    assert plan["model.name"] == name in list_models()
    if start:
        assert plan["model.pretrained"] == start
    elif not facts.starts:
        assert "model.pretrained" not in plan


def test_what_is_given_is_kept_and_seen():
    plan = make_plan(CPU, {"data.batch_size": 2, "model.backbone": "timm/resnet18"})
    assert "data.batch_size" not in plan.values()
    assert "model.pretrained" not in plan.values()  # of another backbone
    assert plan.values()["optimizer.lr"] == approx(8e-4 * (2 * 4 / 8) ** 0.5)
    assert plan.values()["trainer.accumulate_grad_batches"] == 4
    assert [c.value for c in plan.choices if c.option == "data.batch_size" and c.given] == [2]
    assert chosen(CPU, {"model.weights": "mine.safetensors"}).get("model.pretrained") is None


def test_large_photographs_are_reduced_in_training_and_evaluation_alike():
    large = dataclasses.replace(CPU, height=3000, width=4000)
    plan = chosen(large)
    assert plan["data.resize"] == plan["model.resize"] == [1024, 768]
    assert plan["data.photometric"] is True
    assert not plan.keys() & {"data.brightness", "data.contrast", "data.saturation"}
    assert plan["data.crop"] == [256, 320]
    assert chosen(dataclasses.replace(CPU, height=4000, width=3000))["data.crop"] == [320, 256]
    small = chosen(CPU)
    assert not small.keys() & {"data.resize", "model.resize", "data.photometric"}
    assert [small[f"data.{name}"] for name in ("brightness", "contrast", "saturation")] == [0.3] * 3
    assert "data.brightness" not in chosen(dataclasses.replace(CPU, channels=5))


@mark.parametrize(
    ("height", "width", "crop"),
    [
        (360, 480, [256, 320]),
        (256, 256, [256, 256]),
        (480, 360, [320, 256]),
        (100, 1000, [32, 320]),
        (8, 8, [32, 32]),
    ],
)
def test_a_crop_has_the_pictures_shape_on_the_networks_grid(height, width, crop):
    assert chosen(dataclasses.replace(CPU, height=height, width=width))["data.crop"] == crop
    assert chosen(dataclasses.replace(GPU, height=1000, width=1000))["data.crop"] == [512, 512]


def test_few_pictures_make_small_batches():
    for train in (1, 2, 5, 12, 30, 1000):
        size = chosen(dataclasses.replace(CPU, train=train))["data.batch_size"]
        assert 1 <= size <= min(train, 8)
        assert train // size >= 2 or train <= 4
    assert chosen(GPU)["data.batch_size"] == 12
    assert chosen(dataclasses.replace(GPU, train=400))["data.batch_size"] == 16


def test_a_batch_that_does_not_fit_is_halved_and_accumulated():
    own, each = step_bytes({"model.name": "light_ham_efficientnet_lite0", "data.crop": [256, 320]}, 4, 3)
    tight = dataclasses.replace(CPU, memory=round((own + 3 * each) / 0.6))
    plan = make_plan(tight, {})
    assert plan.values()["data.batch_size"] == 2
    assert plan.values()["trainer.accumulate_grad_batches"] == 4
    assert "halved from 8" in plan.text()
    assert plan.values()["optimizer.lr"] == chosen(CPU)["optimizer.lr"]  # the step is the same
    assert "trainer.accumulate_grad_batches" not in chosen(CPU)


def test_what_a_step_keeps_grows_with_the_crop_and_not_with_the_batch_of_the_count():
    model = {"model.name": "light_ham_efficientnet_lite0"}
    small, large = (step_bytes(model | {"data.crop": [side, side]}, 4, 3)[1] for side in (128, 256))
    assert large == approx(4 * small, rel=0.1)
    own, _ = step_bytes(model | {"data.crop": [64, 64]}, 4, 3)
    assert own == approx(16 * 3_092_000, rel=0.02)  # four copies of float32 weights
    before = torch.get_rng_state()
    step_bytes(model | {"data.crop": [64, 64]}, 4, 3)
    assert torch.equal(before, torch.get_rng_state())


def test_rare_classes_are_weighed():
    assert chosen(CPU)["class_weights"] == "log"
    even = dataclasses.replace(CPU, shares=(0.3, 0.3, 0.3, 0.1))
    assert "class_weights" not in chosen(even)


def test_names_of_sides_forbid_the_mirror():
    sided = dataclasses.replace(CPU, class_names=("ground", "left_hand", "right_hand", "other"))
    assert chosen(sided)["data.flip"] == 0.0
    assert "data.flip" not in chosen(CPU)
    assert "data.flip" not in chosen(dataclasses.replace(CPU, class_names=("cleft", "bright", "a", "b")))


def test_length_suits_the_number_of_pictures():
    for train in (4, 48, 400, 100_000):
        facts = dataclasses.replace(CPU, train=train)
        plan = chosen(facts)
        per_epoch = train // (plan["data.batch_size"] * plan.get("trainer.accumulate_grad_batches", 1))
        steps = plan["trainer.max_epochs"] * per_epoch
        assert rules.LEAST_STEPS <= steps <= rules.MOST_STEPS["cpu"] + per_epoch
        assert (
            5 <= plan["trainer.max_epochs"] / plan["trainer.check_val_every_n_epoch"] <= 15 or train > 10_000
        )
        evaluations = plan["trainer.max_epochs"] / plan["trainer.check_val_every_n_epoch"]
        assert ("patience" in plan) == (evaluations > rules.PATIENCE)


def test_small_pictures_of_one_size_are_enlarged():
    """As in CamVid, where that was worth three points; the same number of pixels makes a step."""
    facts = dataclasses.replace(CPU, alike=True, train=400)
    plan = chosen(facts)
    assert plan["model.resize"] == [720, 540] and "data.resize" not in plan
    assert plan["data.scale"] == [1.0, 2.1]
    assert plan["data.crop"] == [352, 480] and plan["data.batch_size"] == 4
    assert chosen(dataclasses.replace(facts, height=480, width=360))["data.crop"] == [480, 352]
    assert chosen(dataclasses.replace(facts, gpu="a GPU"))["data.crop"] == [544, 704]
    square = dataclasses.replace(facts, height=256, width=256)  # tiles of something larger, as a rule
    for other in (CPU, dataclasses.replace(facts, width=rules.SMALL + 1), square):
        assert "model.resize" not in chosen(other)
    assert "model.resize" not in chosen(facts, {"data.scale": [0.5, 2.0]})


def test_a_size_that_is_asked_for_is_that_of_training_too():
    plan = chosen(CPU, {"model.resize": [240, 180]})
    assert (
        plan["data.scale"] == [0.33, 0.7] and plan["data.crop"] == [192, 256] and plan["data.batch_size"] == 8
    )


def test_the_warm_up_is_a_tenth_of_a_short_training():
    for given in ({"trainer.max_steps": 20}, {"trainer.max_epochs": 4}):
        facts = dataclasses.replace(CPU, train=48)
        plan = chosen(facts, given)
        per_epoch = 48 // (plan["data.batch_size"] * plan.get("trainer.accumulate_grad_batches", 1))
        assert plan["optimizer.warmup_steps"] == given.get("trainer.max_steps", 4 * per_epoch) // 10
    assert chosen(CPU, {"trainer.max_epochs": -1})["optimizer.warmup_steps"] == rules.WARM_UP


def test_the_rest_is_as_the_recipes_have_it():
    plan = chosen(CPU)
    assert plan["data.scale"] == [0.75, 1.75]
    assert (plan["optimizer.weight_decay"], plan["optimizer.warmup_steps"]) == (0.02, 63)  # of 630 steps
    assert plan["trainer.gradient_clip_val"] == 1.0
    assert "data.workers" not in plan and "trainer.precision" not in plan
    assert chosen(GPU)["data.workers"] == 8
    assert chosen(GPU)["trainer.precision"] == "bf16-mixed"


def test_facts_tell_of_an_installed_start(monkeypatch):
    monkeypatch.setattr(facts_module, "find_spec", lambda name: None if "lite0" in name else object())
    assert "efficientnet_lite0" not in facts_module.installed_starts()
    assert "efficientnet_lite1" in facts_module.installed_starts()


def test_a_plan_of_nothing_labelled_is_refused():
    class Sample:
        labels = torch.full((4, 4), 255, dtype=torch.uint8)
        image = torch.zeros(3, 4, 4, dtype=torch.uint8)

    class Data:
        train = evaluation = (Sample(),)

        class labels:
            num_classes, names = 2, ("a", "b")

    with raises(ValueError, match="no pixel of the training pictures is labelled"):
        facts_module.gather(Data())


@mark.parametrize(("widths", "alike"), [((40, 44), True), ((40, 45), False), ((44, 30), False)])
def test_pictures_of_one_camera_are_told_from_others(widths, alike):
    class Sample:
        def __init__(self, width):
            self.labels = torch.zeros(30, width, dtype=torch.uint8)
            self.image = torch.zeros(3, 30, width, dtype=torch.uint8)

    class Data:
        train, evaluation, remarks = [Sample(width) for width in widths], (), ()

        class labels:
            num_classes, names = 2, ("a", "b")

    assert facts_module.gather(Data(), "cpu").alike == alike


def test_other_weights_of_the_kind_are_better_than_none():
    plan = chosen(dataclasses.replace(CPU, starts=("efficientnet_lite1",)))
    assert plan["model.pretrained"] == "efficientnet_lite1"


def test_a_length_that_is_asked_for_is_the_length():
    plan = chosen(CPU, {"trainer.max_steps": 5000})
    assert plan["trainer.max_epochs"] == -1  # as many as it takes
    assert plan["trainer.check_val_every_n_epoch"] == 56  # of 834 epochs, the last cut short
    for endless in (None, -1):
        assert "trainer.check_val_every_n_epoch" not in chosen(CPU, {"trainer.max_epochs": endless})


@mark.parametrize(
    ("given", "left"),
    [
        ({"data.photometric": True}, {"data.brightness", "data.contrast", "data.saturation"}),
        ({"data.scales": (0.5, 1.0)}, {"data.brightness", "data.scale"}),
        ({"data.cat_max_ratio": 0.75}, {"data.brightness"}),
    ],
)
def test_what_does_not_go_with_what_is_given_is_left_out(given, left):
    assert not chosen(CPU, given).keys() & left


def test_a_jitter_of_ones_own_leaves_large_photographs_as_they_are():
    large = dataclasses.replace(CPU, height=3000, width=4000)
    assert not chosen(large, {"data.hue": 0.1}).keys() & {"data.resize", "model.resize", "data.photometric"}


def test_devices_share_an_epoch_and_make_larger_steps():
    one, two = (
        chosen(dataclasses.replace(CPU, train=400)),
        chosen(dataclasses.replace(CPU, train=400, devices=2)),
    )
    assert two["optimizer.lr"] == approx(one["optimizer.lr"] * 2**0.5, rel=1e-3)
    assert two["trainer.max_epochs"] == one["trainer.max_epochs"] == 42  # the same passes, half the steps
    for devices, count in (("auto", 1), (-1, 1), (2, 2), ([0, 3], 2), ("0,1,2", 3), ("2", 2)):
        assert facts_module._count(devices, 1) == count


def test_sgd_has_rates_of_its_own():
    plan = chosen(CPU, {"optimizer.kind": "sgd"})
    assert plan["optimizer.lr"] == approx(0.02)
    assert "optimizer.weight_decay" not in plan


def test_the_last_epoch_is_evaluated():
    for train in range(4, 900, 7):
        plan = chosen(dataclasses.replace(CPU, train=train))
        assert plan["trainer.max_epochs"] % plan["trainer.check_val_every_n_epoch"] == 0, train


def test_no_crop_is_too_large_to_be_counted_and_what_never_fits_is_said():
    plan = make_plan(CPU, {"data.crop": [8192, 8192]})
    assert plan.values()["data.batch_size"] == 2
    assert "give a smaller --data.crop" in plan.text()


def test_evaluations_are_counted_and_patience_needs_enough_of_them():
    few = {"trainer.max_steps": 12}
    plan = make_plan(dataclasses.replace(CPU, train=32), few)
    told = {choice.option: choice for choice in plan.choices}
    assert told["trainer.check_val_every_n_epoch"].reason == "3 evaluations, of which the best is kept"
    assert "patience" not in told  # which could not end it
    assert chosen(CPU)["patience"] == rules.PATIENCE
    short = make_plan(dataclasses.replace(CPU, train=32), {"trainer.max_steps": 2})  # half a pass
    told = {choice.option: choice for choice in short.choices}
    assert told["trainer.check_val_every_n_epoch"].reason == "one evaluation"
    assert "patience" not in told


def test_classes_without_a_pixel_are_told():
    facts = dataclasses.replace(CPU, class_names=("road", "sky", "moon"), shares=(0.5, 0.5, 0.0))
    assert "no training pixel was seen of 'moon': leave such classes out" in facts.sentences()
    assert not any("no training pixel" in told for told in CPU.sentences())

"""The updates of a HamGAN, and a run that goes on as if nothing had happened."""

import copy
import csv
import math

import pytest
import torch

from hamgan_data import TINY, write_class_folder
from hamgan_training import NAMES, network, trained
from nightly import some_by_day
from subquad.models import load_model
from subquad.nn import ConditionalBatchNorm
from subquad.tasks.fitting import fit, fit_parser
from subquad.tasks.generation.features import Proxy
from subquad.tasks.generation.grids import GridOptions
from subquad.tasks.generation.learner import GenerationLearner
from subquad.tasks.generation.loss import average_into, discriminator_loss, generator_loss
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.generation.proxy import ProxyConfig, ProxyFeatures
from subquad.tasks.generation.task import TASK


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module, before):
    """Return what differs by more than the step of a learning rate of 1e-30."""
    return {n for n, tensor in module.state_dict().items() if float((tensor - before[n]).abs().max()) > 1e-20}


def test_hinge_losses_and_their_gradients_by_hand():
    real = torch.tensor([2.0, 0.5, -1.0], requires_grad=True)
    fake = torch.tensor([-3.0, 0.0, 1.0], requires_grad=True)
    loss = discriminator_loss(real, fake)
    assert loss.item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)
    loss.backward()
    assert real.grad.tolist() == pytest.approx([0, -1 / 3, -1 / 3])
    assert fake.grad.tolist() == pytest.approx([0, 1 / 3, 1 / 3])
    assert float(discriminator_loss(torch.zeros(4), torch.zeros(4))) == 2
    logits = torch.tensor([3.0, -1.0], requires_grad=True)
    loss = generator_loss(logits)
    loss.backward()
    assert loss.item() == -1 and logits.grad.tolist() == [-0.5, -0.5]
    assert discriminator_loss(real.bfloat16(), fake.bfloat16()).dtype == torch.float32


def test_each_update_changes_its_own_network_alone(tmp_path, monkeypatch):
    task = GenerationLearner(network())
    seen = []
    original = GenerationLearner.manual_backward

    def backward(self, loss):
        original(self, loss)
        seen.append(
            {n: p.grad is not None and bool(p.grad.any()) for n, p in self.network.named_parameters()}
        )
        self.zero_grad(set_to_none=True) if len(seen) == 2 else None  # the second update then does nothing

    monkeypatch.setattr(GenerationLearner, "manual_backward", backward)
    before = state(task.network)
    weights = {n for n, _ in task.network.named_parameters()}
    trained(task, 1, tmp_path, limit_val_batches=0)
    moved = changed(task.network, before) & weights
    assert moved and all(name.startswith("discriminator.") for name in moved)
    first, second = seen
    assert not any(has for name, has in first.items() if name.startswith("generator."))
    assert all(first[name] == second[name] for name in first if name.startswith("discriminator."))
    assert any(has for name, has in second.items() if name.startswith("generator."))
    assert all(p.requires_grad for p in task.network.parameters())


def test_the_discriminator_stays_while_the_generator_is_updated(tmp_path, monkeypatch):
    task = GenerationLearner(network(), HamGANOptions(discriminator_lr=1e-30))
    before = state(task.network)
    weights = {n for n, _ in task.network.named_parameters()}
    trainer = trained(task, 1, tmp_path, limit_val_batches=0)
    moved = changed(task.network, before) & weights
    assert moved and all(name.startswith("generator.") for name in moved)
    assert trainer.global_step == 1  # the updates of the generator are counted


def test_the_optimisers_are_the_published_ones():
    task = GenerationLearner(network())
    of_generator, of_discriminator = task.configure_optimizers()
    for optimizer, lr, part in ((of_generator, 1e-4, "generator"), (of_discriminator, 4e-4, "discriminator")):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["eps"]) == (lr, (0.0, 0.999), 1e-8)
        assert {id(p) for p in group["params"]} == {id(p) for p in getattr(task.network, part).parameters()}
    norms = [m for m in network().modules() if isinstance(m, ConditionalBatchNorm)]
    assert norms and all(norm.momentum == 0.001 for norm in norms)
    GenerationLearner(changed_network := network(), HamGANOptions(norm_momentum=0.1))
    norms = [m for m in changed_network.modules() if isinstance(m, ConditionalBatchNorm)]
    assert all((norm.momentum, norm.norm.momentum) == (0.1, 0.1) for norm in norms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generator_lr": 0}, "generator_lr must be positive, got 0"),
        ({"betas": (0.0, 1.0)}, "two numbers in"),
        ({"norm_momentum": 0}, "norm_momentum must be in"),
    ],
)
def test_wrong_options_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        HamGANOptions(**options)
    with pytest.raises(ValueError, match="only a HamGAN can be trained to generate, got Linear"):
        GenerationLearner(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="ema is a decay between 0 and 1"):
        GenerationLearner(network(), ema=1.0)
    with pytest.raises(ValueError, match="grids.columns must be at least 2, got 1"):
        GridOptions(columns=1)


def test_the_average_is_moved_by_its_formula():
    average, live = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    with torch.no_grad():
        live.weight.fill_(3.0)
        live.running_mean.fill_(5.0)
    average_into(average, live, 0.9)
    average_into(average, live, 0.9)
    assert average.weight.tolist() == pytest.approx([0.81 * 1 + 0.19 * 3] * 3)
    assert average.running_mean.tolist() == [5.0] * 3


def test_the_average_is_what_is_evaluated_and_saved(tmp_path):
    net = network()
    first = state(net.generator)
    task = GenerationLearner(net, ema=0.5)
    trained(task, 1, tmp_path, limit_val_batches=0)
    for name, parameter in net.generator.named_parameters():
        live = task.behind_average.get_parameter(name)
        torch.testing.assert_close(parameter, 0.5 * first[name] + 0.5 * live)
        assert not parameter.requires_grad and live.requires_grad
    assert changed(task.behind_average, first)
    noise, labels = torch.randn(2, 8), torch.tensor([0, 1])
    net.eval()
    assert torch.equal(task(noise, labels), net.generator(noise, labels))
    task.behind_average.eval()
    assert not torch.equal(task(noise, labels), task.behind_average(noise, labels))


def test_an_evaluation_generates_the_same_images_each_time(tmp_path):
    proxy = Proxy(ProxyFeatures(ProxyConfig(class_names=NAMES, channels=1, side=32, width=4)))
    task = GenerationLearner(network(), HamGANOptions(generator_lr=1e-30), features=proxy)
    with pytest.warns(UserWarning, match="each proxy-FID of this run is of 9 images, fewer than 10000"):
        trainer = trained(task, 1, tmp_path, val_check_interval=1)
    distance = task.distance
    assert distance > 0 and task.score == 1 / (1 + distance)
    assert float(trainer.callback_metrics["val/proxy-FID"]) == pytest.approx(distance, rel=1e-6)
    assert task._made.count == task._real.count == 9
    trainer.validate(task, trainer.datamodule, verbose=False)  # what was counted once is not counted again
    assert task.distance == pytest.approx(distance, rel=1e-6)
    without = GenerationLearner(network())
    trained(without, 3, tmp_path, val_check_interval=3)
    assert without.distance is None and without.score == 3  # the newest counts as best


@pytest.mark.filterwarnings("ignore:each proxy-FID")
def test_a_sanity_check_leaves_nothing_behind(tmp_path):
    torch.manual_seed(4)
    proxy = Proxy(ProxyFeatures(ProxyConfig(class_names=NAMES, channels=1, side=32, width=4)))
    found = []
    for checked in (0, 1):  # one batch: not the whole evaluation set
        torch.manual_seed(3)
        task = GenerationLearner(network(), features=proxy)
        seen = []
        task.on_train_start = lambda seen=seen, task=task: seen.append((task.distance, task.score))
        trained(task, 1, tmp_path, val_check_interval=1, num_sanity_val_steps=checked)
        assert seen == [(None, None)] and task._real.count == 9
        found.append(task.distance)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_run_goes_on_with_the_average_and_the_features_that_it_had():
    proxy = Proxy(ProxyFeatures(ProxyConfig(class_names=NAMES, channels=1, side=32, width=4)), "those of A")
    task, checkpoint = GenerationLearner(network(), ema=0.9, features=proxy), {}
    task.on_save_checkpoint(checkpoint)
    task.on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match=r"made with ema 0.9, not None; resume with the options of config"):
        GenerationLearner(network(), features=proxy).on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match="made with features those of A, not None"):
        GenerationLearner(network(), ema=0.9).on_load_checkpoint(checkpoint)
    named = Proxy(proxy.network, "those of A, sha256 0123456789ab")
    task = GenerationLearner(network(), ema=0.9, features=named)
    task.on_load_checkpoint(checkpoint)  # of a run from before features had a fingerprint
    task.on_save_checkpoint(checkpoint)
    other = GenerationLearner(
        network(), ema=0.9, features=Proxy(proxy.network, "those of A, sha256 ba9876543210")
    )
    with pytest.raises(ValueError, match="made with features those of A, sha256 0123456789ab, not"):
        other.on_load_checkpoint(checkpoint)


@torch.no_grad()
def test_pictures_that_fill_up_do_not_count():
    proxy = Proxy(ProxyFeatures(ProxyConfig(class_names=NAMES, channels=1, side=32, width=4)))
    task = GenerationLearner(network(), features=proxy).eval()
    task.on_validation_epoch_start()
    batch = {"image": torch.zeros(3, 1, 32, 32), "label": torch.zeros(3, dtype=torch.int64)}
    task.validation_step({**batch, "index": torch.tensor([4, -1, 0])}, 0)
    task.validation_step({**batch, "index": torch.tensor([-1, -1, -1])}, 1)
    assert task._made.count == task._real.count == 2
    without = GenerationLearner(network()).eval()
    without.on_validation_epoch_start()
    without.validation_step({**batch, "index": torch.tensor([4, -1, 0])}, 0)
    assert without._sums[1] == 2


def test_nan_stops_with_a_sentence_and_writes_nothing(tmp_path):
    task = GenerationLearner(network(), HamGANOptions(generator_lr=1e30, discriminator_lr=1e30))
    with pytest.raises(
        ValueError, match=r"training became NaN by step [0-4] .*lower --optimizer.generator_lr"
    ):
        trained(task, 50, tmp_path, limit_val_batches=0)
    broken = GenerationLearner(network())
    trainer = trained(broken, 1, tmp_path, limit_val_batches=0)
    path = tmp_path / "good.ckpt"
    trainer.save_checkpoint(path)
    good = path.read_bytes()
    vector = broken.network.generator.project.parametrizations.weight[0].u
    for tensor in (vector, next(broken.network.parameters())):
        kept = tensor.detach().clone()
        tensor.data.fill_(math.nan)
        with pytest.raises(ValueError, match="training became NaN"):
            trainer.save_checkpoint(path)
        tensor.data.copy_(kept)
    assert path.read_bytes() == good


def run_of(folder, data, *extra):
    p = fit_parser(TASK)
    arguments = [
        *TINY, f"--data.root={data}", "--trainer.max_steps=7", "--trainer.val_check_interval=3",
        "--trainer.check_val_every_n_epoch=null", "--save_every=3", "--grids.every=100", "--seed=3",
        "--optimizer.generator_lr=1e-3", "--trainer.enable_model_summary=false", *extra,
    ]  # fmt: skip
    return fit(TASK, p.instantiate(p.parse_args(arguments)), folder)


def losses(folder):
    found = {}
    for log in sorted(folder.glob("logs/version_*/metrics.csv")):
        with log.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("train/loss")]
        found |= {int(row["step"]): (row["train/loss"], row["train/generator_loss"]) for row in rows}
    return found


@pytest.mark.parametrize(
    "extra", some_by_day([(), ("--ema=0.9", "--trainer.precision=bf16-mixed")], bool), ids=["plain", "ema"]
)
def test_killed_and_resumed_equals_uninterrupted(tmp_path, monkeypatch, extra):
    data = write_class_folder(tmp_path / "data", count=5)  # three batches an epoch
    run_of(tmp_path / "whole", data, *extra)
    original = GenerationLearner.training_step
    with monkeypatch.context() as patch:

        def step(self, batch, batch_idx):
            if self.global_step == 5:  # a checkpoint was written at 3
                raise SystemError("killed")
            return original(self, batch, batch_idx)

        patch.setattr(GenerationLearner, "training_step", step)
        with pytest.raises(SystemError):
            run_of(tmp_path / "cut", data, *extra)
    assert not (tmp_path / "cut" / "last.safetensors").exists()
    run_of(tmp_path / "cut", data, *extra)
    whole, cut = losses(tmp_path / "whole"), losses(tmp_path / "cut")
    assert whole == cut and len(whole) == 7
    ends = [
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    saved = load_model(tmp_path / "cut" / "last.safetensors")
    assert saved.config.class_names == ("bird", "cat", "dog")
    assert torch.equal(saved.generator.norm.weight, ends[1]["network.generator.norm.weight"])


def test_two_seeds_differ_and_one_does_not(tmp_path):
    ends = []
    for seed in (0, 0, 1):
        torch.manual_seed(9)
        task = GenerationLearner(network(), seed=seed)
        torch.manual_seed(len(ends))  # what was drawn before does not matter
        trained(task, 2, tmp_path, limit_val_batches=0)
        ends.append(copy.deepcopy(task.network.state_dict()))
    same, other = ([torch.equal(ends[0][n], e[n]) for n in ends[0]] for e in ends[1:])
    assert all(same) and not all(other)

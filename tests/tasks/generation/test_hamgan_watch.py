"""What is watched while a HamGAN trains, and the training of proxy features."""

import numpy as np
import pytest
import torch
from PIL import Image

from hamgan_training import NAMES, network, pictures, trained
from subquad.tasks.generation.grids import GridOptions, class_samples
from subquad.tasks.generation.learner import GenerationLearner
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.generation.proxy import ProxyConfig
from subquad.tasks.generation.proxy_training import proxy_accuracy, train_proxy
from subquad.tasks.generation.watch import CollapseWatch, SampleGrids


def test_a_saturated_discriminator_is_warned_of_once():
    class Step:
        global_step = 0

    task = GenerationLearner(network())
    watch = CollapseWatch(patience=50)
    watched = {"train/loss": 0.0, "train/logit_real": 3.0, "train/logit_fake": -4.0}

    def run(steps, **losses):
        for _ in range(steps):
            Step.global_step += 1
            task.last = {n: torch.tensor(v) for n, v in {**watched, **losses}.items()}
            watch.on_train_batch_end(Step, task, None, None, 0)

    run(45)
    run(10, **{"train/loss": 1.0})  # it began to learn again
    run(50)
    with pytest.warns(UserWarning, match=r"told all images apart for 50 steps \(loss 0.000, mean logits 3.0"):
        run(20)
    run(500)


def test_identical_samples_are_warned_of_and_grids_have_a_row_a_class(tmp_path):
    task = GenerationLearner(
        net := network(), HamGANOptions(1e-30), grids=GridOptions(every=2, rows=2, columns=3)
    )
    with torch.no_grad():
        net.generator.norm.weight.fill_(0)
    trained(task, 3, tmp_path, limit_val_batches=0)  # a beginning: no warning
    for before, after in ((9.0, 1000), (0.0, 2)):  # it was better before; or it is late
        grids = SampleGrids(task.grids, 0, after=after)
        grids._widest = before
        with pytest.warns(UserWarning, match="step 3: images of one class are nearly identical"):
            grids.on_train_end(task.trainer, task)
        grids.on_train_end(task.trainer, task)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [
        "step_0000002.png", "step_0000003.png",
    ]  # fmt: skip
    shown = np.asarray(Image.open(tmp_path / "samples" / "step_0000003.png"))
    assert shown.shape == (2 * 34 + 2, 3 * 34 + 2)
    images = class_samples(network().generator, GridOptions(rows=5, columns=4), seed=0)
    assert images.shape == (3, 4, 1, 32, 32)
    assert float(images.std(dim=1).mean()) > 0.02


def test_no_grid_is_drawn_of_nan(tmp_path):
    task = GenerationLearner(net := network(), grids=GridOptions(every=2))
    trained(task, 1, tmp_path, limit_val_batches=0)
    with torch.no_grad():
        net.generator.norm.norm.running_mean.fill_(float("nan"))
    with pytest.raises(ValueError, match="training became NaN by step 1"):
        SampleGrids(task.grids, 0).on_train_end(task.trainer, task)


def test_a_proxy_learns_and_counts_no_filler():
    data = pictures(60)
    for number in range(3):
        data.pixels[data.classes == number, :, :, 10 * number : 10 * number + 8] = 255
    everything = {"image": data.pictures(range(60)), "label": data.classes, "index": torch.arange(60)}
    everything["index"][:3] = -1
    everything["label"] = everything["label"].clone()
    config = ProxyConfig(class_names=NAMES, channels=1, side=32, width=4)
    proxy = train_proxy(config, lambda epoch: [everything] * 5, [everything], steps=5, epochs=6, lr=0.02)
    assert proxy.config.accuracy > 0.9 and proxy.config.epochs == 6 and not proxy.training
    everything["label"][:3] = 2 - everything["label"][:3]
    assert proxy_accuracy(proxy, [everything]) == proxy.config.accuracy
    with pytest.raises(ValueError, match="an epoch and a batch at least, got 0 of 5"):
        train_proxy(config, lambda epoch: [], [], steps=5, epochs=0)
    everything["image"] = everything["image"] * float("nan")
    with pytest.raises(ValueError, match=r"became NaN in epoch 1 of 2 \(learning rate 0.003\); start again"):
        train_proxy(config, lambda epoch: [everything] * 5, [everything], steps=5)

"""The Lightning module: auxiliary loss, evaluation by a protocol, frozen parts, synchronised batch norm."""

import dataclasses

import pytest
import torch
from torch import nn

from subquad import create_model
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationConfig
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.segmentation.losses.cross_entropy import pixel_cross_entropy
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores

MULTI_SCALE = EvaluationProtocol(scales=(0.5, 1.0), flip=True, merge="probabilities")


def light_ham(**options):
    return create_model(
        "light_ham_van_tiny_d256",
        **{"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "num_classes": 3} | options,
    )


def hamnet(**options):
    return create_model("hamnet_van_tiny_os8", **{"num_classes": 3, "channels": 32, "dim": 32} | options)


def batch(size=(40, 48)):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, *size), dtype=torch.uint8, generator=generator)
    labels[0, :5] = 255
    image = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator)
    return {"image": image, "labels": labels, "name": ["a", "b"]}


@pytest.fixture
def logged(monkeypatch):
    """Return what is logged, by name, without a trainer."""
    found = {}
    monkeypatch.setattr(
        SegmentationLearner, "log", lambda self, name, value, **_: found.update({name: value})
    )
    monkeypatch.setattr(SegmentationLearner, "log_dict", lambda self, values, **_: found.update(values))
    return found


def test_the_auxiliary_loss_is_added_with_its_weight_and_logged(logged):
    network = hamnet(auxiliary_weight=0.3, dropout=0.0, drop_path=0.0, start="fixed")
    loss = LossOptions(dice=2.0, normalize="all")
    task = SegmentationLearner(network, class_weights=[1.0, 2.0, 3.0], loss=loss)
    content = batch()
    total = task.training_step(content, 0)
    x = preprocess(content["image"], network.config)
    main, auxiliary = (
        loss.evaluate(logits, content["labels"], task.class_weights)
        for logits in network.forward_with_auxiliary(x)
    )
    torch.testing.assert_close(logged["train/aux_loss"], auxiliary)
    torch.testing.assert_close(total, main + 0.3 * auxiliary)
    assert logged["train/loss"] is total


@pytest.mark.parametrize("name", ["light_ham_van_tiny_d256", "segnext_tiny", "hamnet_van_tiny_os8"])
def test_every_parameter_takes_part(name, logged):
    """Or training on several devices would stop: it is told to look for no unused parameters."""
    network = create_model(name, num_classes=3)
    SegmentationLearner(network).training_step(batch(), 0).backward()
    assert not [n for n, parameter in network.named_parameters() if parameter.grad is None]


def test_a_network_without_auxiliary_head_logs_no_auxiliary_loss(logged):
    network = light_ham(dropout=0.0, drop_path=0.0, start="fixed")
    content = batch()
    total = SegmentationLearner(network).training_step(content, 0)
    logits = network(preprocess(content["image"], network.config))
    torch.testing.assert_close(total, pixel_cross_entropy(logits, content["labels"]))
    assert set(logged) == {"train/loss"}


def evaluated(task, content, logged):
    task.eval()
    task.on_validation_epoch_start()
    with torch.inference_mode():
        task.validation_step(content, 0)
    task.on_validation_epoch_end()
    return float(logged["val/loss"])


def test_the_default_protocol_is_the_plain_call(logged):
    network = light_ham()
    plain, default = SegmentationLearner(network), SegmentationLearner(network, protocol=EvaluationProtocol())
    assert default.protocol is None
    assert evaluated(plain, batch(), logged) == evaluated(default, batch(), logged)
    assert torch.equal(plain.confusion.counts, default.confusion.counts)


@pytest.mark.parametrize("merge", ["logits", "probabilities"])
def test_validation_by_a_protocol_counts_its_answers(merge, logged):
    network, content = light_ham().eval(), batch()
    protocol = dataclasses.replace(MULTI_SCALE, merge=merge)
    task = SegmentationLearner(network, protocol=protocol)
    loss = evaluated(task, content, logged)
    scores = predict_scores(network, content["image"], protocol)
    labelled = content["labels"] != 255
    truth, answers = content["labels"][labelled].long(), scores.argmax(dim=1)[labelled]
    expected = torch.bincount(3 * truth + answers, minlength=9).view(3, 3)
    assert torch.equal(task.confusion.counts, expected)
    # The cross-entropy of the mean probability, or of the mean logit of the four views.
    log = (scores / 4).log_softmax(dim=1) if merge == "logits" else scores.log()
    picked = log.gather(1, content["labels"].long().clamp(max=2)[:, None])[:, 0]
    assert loss == pytest.approx(-picked[labelled].mean().item(), rel=1e-5)


def test_one_view_has_the_same_loss_by_either_merge(logged):
    network, content = light_ham(), batch()
    losses = [
        evaluated(SegmentationLearner(network, protocol=protocol), content, logged)
        for protocol in (
            None,
            EvaluationProtocol(multiple=8),
            EvaluationProtocol(multiple=8, merge="probabilities"),
        )
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_a_frozen_part_keeps_weights_and_statistics(logged):
    network = light_ham(backbone="van_tiny")
    task = SegmentationLearner(network, OptimizerOptions(lr=0.1, warmup_steps=0), frozen=["backbone"])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer, _ = task.optimizer_options.build(network, 10)
    for begin in (task.on_train_start, task.train):
        begin()
        assert network.head.training
        assert not any(module.training for module in network.backbone.modules())
        task.eval()
    task.train()
    for _ in range(2):
        optimizer.zero_grad()
        task.training_step(batch(), 0).backward()
        optimizer.step()
    after = network.state_dict()
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert same >= {name for name in before if name.startswith("backbone.")}
    assert "head.squeeze.conv.weight" not in same


def test_what_cannot_be_frozen_is_said():
    with pytest.raises(ValueError, match="no part 'backbnoe' to freeze. Did you mean 'backbone'"):
        SegmentationLearner(light_ham(), frozen=["backbnoe"])
    with pytest.raises(ValueError, match="nothing is left to train when backbone, head is frozen"):
        SegmentationLearner(light_ham(), frozen=["backbone", "head"])


def test_class_weights_are_one_a_class():
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        SegmentationLearner(light_ham(), class_weights=[1.0, 2.0])


@pytest.mark.parametrize("make", [light_ham, hamnet, lambda: light_ham(norm="batch")])
def test_batch_norm_becomes_synchronised_and_nothing_else_changes(make):
    """What Lightning does for `--trainer.sync_batchnorm true`; networks call norms without masks."""
    network = make()
    assert isinstance(network.config, SegmentationConfig)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    x, state = torch.randn(2, 3, 40, 48), {n: t.clone() for n, t in network.state_dict().items()}
    groups = [len(group["params"]) for group in OptimizerOptions().build(network, 10)[0].param_groups]
    torch.manual_seed(0)
    expected = network(x)
    network.load_state_dict(state)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    found = [m for m in converted.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert norms and len(found) == len(norms)
    assert [(n.momentum, n.eps) for n in found] == [(n.momentum, n.eps) for n in norms]
    assert converted.state_dict().keys() == state.keys()
    torch.manual_seed(0)
    assert torch.equal(converted(x), expected), "outside of a distributed run, it is the same norm"
    after = [len(group["params"]) for group in OptimizerOptions().build(converted, 10)[0].param_groups]
    assert after == groups

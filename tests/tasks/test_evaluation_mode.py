"""Predictions are made in evaluation mode whatever mode a network has, and its parts get theirs back."""

import pytest
import torch

from subquad import create_model
from subquad.explain import code_maps
from subquad.nn.mode import evaluating
from subquad.tasks.generation.sampling import generate
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import Tiling
from subquad.tasks.sequences.prediction import predict_sequences

TINY = {"num_classes": 3, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}


def segmentation():
    return create_model("light_ham_van_tiny_d256", dropout=0.5, **TINY)


def sequence():
    return create_model("paramixer", length=16, dim=8, hidden=8, dropout=0.5, vocab_size=9)


def generator():
    return create_model("hamgan_baby", size=32, width=4, num_classes=2, latent=4).generator


IMAGES = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
LARGE = IMAGES[0].repeat(1, 4, 5)
PREDICTORS = {
    "labels": (segmentation, lambda network: predict_labels(network, IMAGES)),
    "scores": (segmentation, lambda network: predict_scores(network, IMAGES, EvaluationProtocol())),
    "tiles": (
        segmentation,
        lambda network: predict_tiles(network, IMAGES[0].repeat(1, 4, 5), Tiling(tile=128)).labels,
    ),
    "code maps": (segmentation, lambda network: code_maps(network, IMAGES / 255)),
    "sequences": (sequence, lambda network: predict_sequences(network, [torch.arange(9), torch.arange(4)])),
    "images": (
        generator,
        lambda network: next(generate(network, torch.ones(2, 4), torch.tensor([0, 1])))[1],
    ),
}


@pytest.mark.parametrize("name", PREDICTORS)
def test_every_prediction_is_made_in_evaluation_mode(name):
    build, predict = PREDICTORS[name]
    network = build().train()
    frozen = next(network.children()).eval()  # as a frozen backbone is kept
    modes = {part: part.training for part in network.modules()}
    found = predict(network)
    assert {part: part.training for part in network.modules()} == modes
    assert not frozen.training
    assert torch.equal(found, predict(network.eval()))


def test_modes_come_back_after_an_error():
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with pytest.raises(RuntimeError, match="broken"), evaluating(network):
        assert not network[0].training
        raise RuntimeError("broken")
    assert (network.training, network[0].training, network[1].training) == (True, True, False)

"""From uint8 images to class indices: what the network was told about its input, and nothing else."""

import pytest
import torch
from torch import nn

from subquad import create_model
from subquad.engine.preprocess import preprocess
from subquad.models import model_config
from subquad.models.segmentation.class_blocks import most_likely
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores
from tensor_sizes import Sizes

NAME = "light_ham_van_tiny_d256"
TINY = {"num_classes": 5, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}


def tiny(**overrides):
    network = create_model(NAME, **TINY | overrides)
    for module in network.modules():  # statistics that differ from the batch's, and a telling classifier
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(network.head.classifier.weight)
    return network


def pictures(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("overrides", "mean", "std"),
    [
        ({}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ({"mean": (0.1, 0.2, 0.3), "std": (0.5, 2.0, 1.0)}, (0.1, 0.2, 0.3), (0.5, 2.0, 1.0)),
        ({"in_channels": 1}, (0.5,), (0.25,)),
        ({"in_channels": 4}, (0.5,) * 4, (0.25,) * 4),
        ({"in_channels": 2, "mean": (0.0, 1.0)}, (0.0, 1.0), (0.25, 0.25)),
    ],
)
def test_preprocess_is_the_configs_normalisation(overrides, mean, std):
    images = pictures(2, len(mean), 3, 5)
    result = preprocess(images, model_config(NAME, **overrides))
    assert result.shape == images.shape and result.dtype == torch.float32
    for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
        expected = (images[:, channel].double() / 255 - m) / s
        torch.testing.assert_close(result[:, channel].double(), expected, rtol=1e-5, atol=1e-5)


def test_labels_are_the_largest_logits_in_evaluation():
    network = tiny()
    images = pictures(2, 3, 40, 56)
    labels = predict_labels(network.train(), images)
    with torch.no_grad():
        logits = network.eval()(preprocess(images, network.config))
    assert labels.dtype == torch.uint8 and labels.shape == (2, 40, 56)
    assert torch.equal(labels.long(), logits.argmax(dim=1))
    assert labels.unique().numel() > 1, "a constant prediction would prove little"


@pytest.mark.parametrize("classes", [5, 40])
@pytest.mark.parametrize(
    "shown",
    [
        {"resize": (64, 48)},
        {"resize": (90, 33), "multiple": 32},
        {"pad_to": 8},
        {"resize": (30, 30), "pad_to": 8},
    ],
    ids=["resized", "multiple", "padded", "both"],
)
def test_of_one_view_the_class_with_the_largest_score(shown, classes):
    """Some classes at a time, where the logits are resized a second time."""
    network, protocol = tiny(num_classes=classes), EvaluationProtocol(**shown)
    for images in (pictures(2, 3, 40, 56), pictures(1, 3, 71, 33)):
        scores = predict_scores(network, images, protocol)
        with Sizes() as sizes:
            labels = predict_labels(network, images, protocol)
        assert torch.equal(labels.long(), scores.argmax(dim=1))
        if classes == 40 and "multiple" not in shown:  # there the view is larger than the image
            assert sizes.largest < scores.numel(), "no tensor holds the scores of all classes"
        labels[0, 0, 0] = 1  # a tensor like any other, outside of inference mode, too


def test_the_configs_mean_reaches_the_network():
    images = pictures(1, 3, 32, 32)
    network = tiny()
    state = network.state_dict()
    other = tiny(mean=(0.0, 0.9, 0.1), std=(0.1, 0.9, 0.3))
    other.load_state_dict(state)
    assert not torch.equal(predict_labels(network, images), predict_labels(other, images))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (31, 33), (64, 65)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_any_image_size(size):
    network = tiny(ham_channels=64, channels=64)
    assert predict_labels(network, pictures(1, 3, *size)).shape == (1, *size)


def test_same_again_and_alone_in_a_batch():
    network, images = tiny(), pictures(3, 3, 40, 48)
    before = torch.get_rng_state()
    labels = predict_labels(network.train(), images)
    assert torch.equal(predict_labels(network, images), labels)
    assert torch.equal(torch.get_rng_state(), before), "evaluation draws no random number"
    alone = torch.cat([predict_labels(network, image.unsqueeze(0)) for image in images])
    assert (alone == labels).float().mean() > 0.999  # a tie may fall either way


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored_even_after_an_error(training):
    network = tiny().train(training)
    predict_labels(network, pictures(1, 3, 16, 16))
    assert all(module.training == training for module in network.modules())

    def stop(*_):
        raise RuntimeError("out of memory")

    network.head.register_forward_hook(stop)
    with pytest.raises(RuntimeError, match="out of memory"):
        predict_labels(network, pictures(1, 3, 16, 16))
    assert all(module.training == training for module in network.modules())


@pytest.mark.parametrize(
    ("images", "quoted"),
    [
        (
            torch.zeros(1, 1, 8, 9, dtype=torch.uint8),
            r"\(1, 1, 8, 9\)",
        ),  # grey would be taken for three channels
        (torch.zeros(3, 8, 9, dtype=torch.uint8), r"\(3, 8, 9\)"),
        (torch.zeros(1, 4, 8, 9, dtype=torch.uint8), r"\(1, 4, 8, 9\)"),
        (torch.zeros(1, 3, 8, 9), "float32"),  # 0..1 already, and divided by 255 once more
    ],
    ids=["grey", "no batch", "four channels", "float"],
)
def test_other_images_are_refused_rather_than_misread(images, quoted):
    with pytest.raises(ValueError, match=quoted):
        predict_labels(tiny(), images)


def test_a_frozen_part_stays_frozen():
    """Batch norm that was put into evaluation mode must not thaw because somebody looked."""
    network = tiny().train()
    network.backbone.eval()
    predict_labels(network, pictures(1, 3, 16, 16))
    assert network.training and network.head.training
    assert not any(module.training for module in network.backbone.modules())


def test_running_statistics_do_not_move():
    network = tiny().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    predict_labels(network, pictures(2, 3, 32, 32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("classes", "dtype"), [(255, torch.uint8), (256, torch.int64)])
def test_indices_fit_their_type(classes, dtype):
    network = tiny(num_classes=classes)
    with torch.no_grad():
        network.head.classifier.bias[classes - 1] = 1e6
    labels = predict_labels(network, pictures(1, 3, 16, 16))
    assert labels.dtype == dtype and labels.unique().tolist() == [classes - 1]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_images_have_the_type_that_weights_have(kind):
    """Lightning's `bf16-true` and the like make it the default while a step is computed."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
        images = preprocess(black, model_config("light_ham_van_tiny_d256"))
    finally:
        torch.set_default_dtype(before)
    assert images.dtype == kind


@pytest.mark.parametrize("dim", [0, 1])
def test_of_equal_scores_the_first_is_taken(dim):
    """Of whole numbers there are ties at nearly every pixel."""
    scores = torch.randint(0, 3, (7, 7, 33, 65), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(most_likely(scores, dim), scores.argmax(dim))
    first = (scores == scores.amax(dim, keepdim=True)).int().argmax(dim)
    assert torch.equal(most_likely(scores, dim), first)

"""What a report tells of segmentation: which pictures, where they are wrong, and what the ham looks at."""

import re

import numpy as np
import pytest
import torch

from subquad.models import create_model
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.data.transforms import EvalTransform
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol
from subquad.tasks.segmentation.report import UNKNOWN, WRONG, count_pixels, error_map, parted, sections


class Data:
    """Four scenes."""

    def __init__(self):
        self.evaluation = Scenes(4, size=(64, 64), split="val", distance=10)
        self.labels, self.eval_transform = self.evaluation.labels, EvalTransform(None)


def network_of(**more):
    options = {"backbone": "conv_tiny", "channels": 32, "ham_channels": 32, "rank": 4, "num_classes": 7}
    return create_model("light_ham_van_tiny_d256", **options | more).eval()


@pytest.fixture
def network():
    return network_of()


def test_wrong_pixels_are_red_and_unlabelled_ones_white():
    photo = np.full((2, 3, 3), 100, np.uint8)
    labels = torch.tensor([[0, 1, 255], [0, 1, 2]])
    found = error_map(photo, labels, torch.tensor([[0, 1, 1], [1, 1, 2]]))
    assert tuple(found[1, 0]) == WRONG and tuple(found[0, 2]) == UNKNOWN
    others = {tuple(found[row, column]) for row, column in ((0, 0), (0, 1), (1, 1), (1, 2))}
    assert len(others) == 1 and len(set(others.pop())) == 1, "the rest is grey"
    assert error_map(photo[..., :1], labels, labels).shape == (2, 3, 3), "of a grey photo, too"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"Worst": [0]}),
        (2, {"Worst": [0], "Typical": [1]}),
        (3, {"Worst": [0], "Typical": [1], "Best": [2]}),
        (7, {"Worst": [0, 1], "Typical": [3, 4], "Best": [6, 5]}),
        (50, {"Worst": [0, 1, 2], "Typical": [24, 25, 26], "Best": [49, 48, 47]}),
    ],
)
def test_pictures_are_from_both_ends_and_the_middle_each_once(count, expected):
    assert parted(list(range(count))) == expected


def test_counts_are_those_of_each_picture(network):
    data, protocol = Data(), EvaluationProtocol()
    counts = count_pixels(network, data, protocol, most=200)
    assert len(counts.samples) == counts.of == 4
    for index in range(4):
        sample = data.evaluation[index]
        told = predict_labels(network, sample.image[None])[0]
        right, true, _ = counts.margins()[index]
        assert right.sum() == int((told == sample.labels).sum())
        assert true.tolist() == torch.bincount(sample.labels.flatten(), minlength=7).tolist()


def test_the_worst_picture_is_shown_first(network):
    data, protocol = Data(), EvaluationProtocol()
    counts = count_pixels(network, data, protocol, most=200)
    pictures = next(s for s in sections(network, data, protocol, counts) if s.title.startswith("Pictures"))
    shown = [float(x) for x in re.findall(r"<figcaption>[^<]*: ([\d.]+) % mean IoU", pictures.html())]
    scores = sorted(100 * counts.sample_scores())
    assert shown == pytest.approx([scores[0], scores[2], scores[3]], abs=0.06)
    assert pictures.html().count("<img") == 3 * 4, "picture, truth, prediction and errors"


def test_code_maps_are_shown_of_pictures_of_any_size(network):
    data = Data()
    data.evaluation = [data.evaluation[0], *(_cut(data.evaluation[i], 48 + 8 * i) for i in range(1, 3))]
    counts = count_pixels(network, data, EvaluationProtocol(), most=200)
    *_, maps = sections(network, data, EvaluationProtocol(), counts)
    assert maps.title == "What the ham looks at" and maps.html().count("<img") == 3 * (1 + 4)
    shares = [int(x) for x in re.findall(r"column \d+: (\d+)%</figcaption>", maps.html())]
    assert shares[:4] == sorted(shares[:4], reverse=True) and 0 <= min(shares) <= max(shares) <= 100


def test_code_maps_are_of_what_the_network_is_shown():
    """A network that was trained on reduced pictures is not shown whole ones in a report, either."""
    reduced, sizes = network_of(resize=(32, 32)), []
    data = Data()
    counts = count_pixels(reduced, data, EvaluationProtocol(), most=200)
    reduced.register_forward_hook(lambda _, images, __: sizes.append(tuple(images[0].shape[2:])))
    sections(reduced, data, EvaluationProtocol(), counts)
    assert sizes and set(sizes) == {(32, 32)}
    sizes.clear()
    sections(reduced, data, EvaluationProtocol(resize=(48, 48)), counts)
    assert set(sizes) == {(48, 48)}, "as it was evaluated"


def _cut(sample, side):
    return sample._replace(image=sample.image[:, :side], labels=sample.labels[:side])


def test_pictures_that_nobody_labelled_have_no_place_in_the_order(network):
    data = Data()
    blank = data.evaluation[0]
    data.evaluation = [blank._replace(labels=torch.full_like(blank.labels, 255))]
    counts = count_pixels(network, data, EvaluationProtocol(), most=200)
    assert [s.title for s in sections(network, data, EvaluationProtocol(), counts)] == [
        "Classes", "Which class is taken for which",
    ]  # fmt: skip

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from subquad.tasks.segmentation.data.scenes import FIRST_DISK, MARKER, Item, Outline, Scenes

NUM_SAMPLES = 300


@pytest.fixture(scope="module")
def samples() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    data = Scenes(NUM_SAMPLES)
    return [(data[i].image.numpy(), data[i].labels.numpy()) for i in range(NUM_SAMPLES)]


def disk_class(labels: NDArray[np.uint8]) -> int:
    (present,) = set(np.unique(labels).tolist()) & {4, 5, 6}
    return present


def least_distance(pixels: NDArray[np.bool_], others: NDArray[np.bool_], over: Callable[..., float]) -> float:
    """The distance to the nearest of the others, taken `over` all pixels: np.min or np.max."""
    apart = np.argwhere(pixels)[:, None] - np.argwhere(others)[None]
    return float(over(np.sqrt((apart**2).sum(-1)).min(1)))


def distance_of_disk_and_marker(labels: NDArray[np.uint8]) -> float:
    return least_distance(labels == MARKER, labels >= FIRST_DISK, np.min)


def test_shapes_and_types() -> None:
    image, labels, name = Scenes(2, size=(64, 120))[1]
    assert image.shape == (3, 64, 120) and labels.shape == (64, 120)
    assert image.dtype == labels.dtype == torch.uint8
    assert image.is_contiguous() and name == "train_0_000001"


def test_a_sample_depends_on_seed_split_and_index_only() -> None:
    first = Scenes(5, seed=3)[4]
    again = Scenes(100, seed=3)
    _ = again[0]
    assert torch.equal(again[4].image, first.image) and torch.equal(again[4].labels, first.labels)
    assert torch.equal(Scenes(5, seed=3)[-1].image, first.image)
    others = [Scenes(5, seed=4)[4], Scenes(5, seed=3, split="val")[4], Scenes(5, seed=3)[3]]
    assert not any(torch.equal(other.image, first.image) for other in others)


def test_streams_of_splits_and_seeds_are_disjoint() -> None:
    seen = set()
    for seed in (0, 1, 2**32):  # the last one has the same lower 32 bits as the first
        for split in ("train", "val"):
            data = Scenes(20, seed=seed, split=split)
            seen |= {data[index].image.numpy().tobytes() for index in range(20)}
    assert len(seen) == 3 * 2 * 20


def test_marker_and_disks_are_there(samples: list) -> None:
    for _, labels in samples:
        assert 45 < (labels == MARKER).sum() < 385
        assert (labels >= FIRST_DISK).sum() > 100
        disk_class(labels)  # all disks of a picture are of one class


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (64, 160)])
def test_disks_are_far_from_the_marker(size: tuple[int, int]) -> None:
    data = Scenes(120, size=size)
    nearest = min(distance_of_disk_and_marker(data[i].labels.numpy()) for i in range(120))
    assert 28 <= nearest < 34  # kept, and not wasted


def test_the_last_resort_keeps_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subquad.tasks.segmentation.data.scenes.LAYOUT_TRIALS", 0)
    for size in ((64, 64), (96, 160)):
        data = Scenes(8, size=size)
        for index in range(8):
            labels = data[index].labels.numpy()
            assert distance_of_disk_and_marker(labels) >= 28
            assert {0, 1, 2, 3} < set(np.unique(labels).tolist())


@pytest.mark.parametrize("points, inner", [(0, 0.0), (0, 3.6), (3, 5.0), (5, 5.5), (8, 5.5)])
def test_outlines_stay_within_their_circle(points: int, inner: float) -> None:
    outline = Outline(Item(MARKER, 0.0, 0.0, radius=10.0), points, inner, angle=0.4)
    down, right = np.random.default_rng(0).uniform(-14, 14, (2, 5000)).astype(np.float32)
    distance, reach = outline.distance(down, right), np.hypot(down, right)
    assert (distance >= reach - 10 - 1e-4).all()
    assert reach[distance < 0].max() > 9  # and fill it
    assert (distance < 0)[reach < inner].all() == (points > 0 or inner == 0)


def test_the_greatest_distance_is_across_the_picture() -> None:
    data = Scenes(4, distance=95)
    assert all(distance_of_disk_and_marker(data[index].labels.numpy()) >= 95 for index in range(4))


def test_the_last_resort_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = Scenes._corner_layout
    data = Scenes(200)
    monkeypatch.setattr(
        Scenes, "_corner_layout", lambda self, turn: calls.append(turn) or original(self, turn)
    )
    for index in range(200):
        data[index]
    assert len(calls) <= 2


def test_only_the_marker_shows_the_class() -> None:
    data = Scenes(1)
    for seed in range(20):
        drawn = [data.draw(np.random.default_rng(seed), marker_color=color) for color in range(3)]
        (gold, gold_labels), (_, _), (violet, violet_labels) = drawn
        changed = (gold != violet).any(axis=0)
        marker = gold_labels == MARKER
        assert changed[marker].all()
        disks = gold_labels >= FIRST_DISK
        # Its smoothed edge colours pixels that are not labelled; they keep the distance, too.
        assert least_distance(changed, marker, np.max) < 4
        assert least_distance(changed, disks, np.min) >= 28
        assert (gold_labels[disks] == 4).all() and (violet_labels[disks] == 6).all()
        assert (gold_labels[~disks] == violet_labels[~disks]).all()


def test_the_look_of_disks_does_not_depend_on_the_class(samples: list) -> None:
    features: dict[int, list[list[float]]] = {4: [], 5: [], 6: []}
    for image, labels in samples:
        disks = labels >= FIRST_DISK
        pixels = image[:, disks] / 255
        look = [*pixels.mean(1), *pixels.std(1), np.log(disks.sum()), image.mean() / 255]
        features[disk_class(labels)].append(look)
    groups = [np.array(rows) for rows in features.values()]
    everything = np.concatenate(groups)
    for group in groups:
        error = everything.std(0) / np.sqrt(len(group))
        score = np.abs(group.mean(0) - everything.mean(0)) / error
        assert score.max() < 3.5  # of 24 scores; a real difference of half a deviation gives 5


def test_marker_colors_are_uniform(samples: list) -> None:
    counts = np.bincount([disk_class(labels) for _, labels in samples], minlength=7)[4:]
    expected = NUM_SAMPLES / 3
    assert ((counts - expected) ** 2 / expected).sum() < 9.2  # chi square of 2, 1 %


def test_marker_colors_occur_nowhere_else(samples: list) -> None:
    for image, labels in samples:
        pixels = image[:, (labels != MARKER)].astype(float)
        high, low = pixels.max(0), pixels.min(0)
        # A marker is more saturated than anything else, but for its own smoothed edge.
        assert np.mean((high - low) / high.clip(1) > 0.72) < 0.005


def test_index_beyond_the_length() -> None:
    data = Scenes(3)
    assert len([sample for sample in data]) == 3
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"no index {index}"):
            data[index]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"length": 0}, "length=0"),
        ({"seed": -1}, "seed=-1"),
        ({"split": "test"}, "no split 'test'"),
        ({"size": (32, 96)}, r"size=\(32, 96\)"),
        ({"disk_radius": (9.0, 8.0)}, r"\(9.0, 8.0\)"),
        ({"distance": 120.0}, "a distance of 120.0 pixels .* does not fit into 96 x 96"),
    ],
)
def test_bad_arguments_are_quoted(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scenes(**{"length": 1, **arguments})


def test_the_radii_can_be_tuned() -> None:
    small, big = Scenes(20, marker_radius=(4, 4)), Scenes(20, marker_radius=(12, 12))
    areas = [np.mean([(data[i].labels == MARKER).sum() for i in range(20)]) for data in (small, big)]
    assert areas[1] == pytest.approx(9 * areas[0], rel=0.3)

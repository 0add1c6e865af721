"""Pictures with classes: sizes, splits, seeds, and what is refused."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from classification_data import NAMES, write_classes, write_picture
from subquad.data.class_images.samples import PicturesInMemory
from subquad.data.fingerprint import fingerprint
from subquad.tasks.classification.data.batches import TrainingSamples
from subquad.tasks.classification.data.module import ClassificationData, usual_size
from subquad.tasks.classification.data.options import PictureOptions, open_pictures
from subquad.tasks.classification.data.splits import hold_out
from subquad.tasks.classification.data.transforms import EvalTransform, train_transform


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("classes"))


def options(root, **others):
    return PictureOptions(root=str(root), batch_size=4, **others)


def made(count=12, size=32):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    return PicturesInMemory(pixels, torch.arange(count) % 3, NAMES, "made")


def test_size_channels_and_classes_come_from_the_data(root):
    data = ClassificationData(options(root), 0)
    assert (data.size, data.channels, data.class_names, data.crop_ratio) == (20, 3, NAMES, 1.0)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 20, 20) and batch["image"].dtype == torch.uint8
    grey = ClassificationData(options(root, channels=1, size=12), 0)
    assert next(iter(grey.val_dataloader()))["image"].shape == (12, 1, 12, 12)
    known = ClassificationData(options(root), 0, training=False, channels=1, size=16, crop_ratio=0.8)
    assert (known.size, known.channels, known.crop_ratio) == (16, 1, 0.8)


def test_of_large_pictures_no_more_is_taken_than_networks_are_used_to(tmp_path):
    write_classes(tmp_path, {"train": 1}, size=(300, 260))
    assert usual_size(open_pictures(options(tmp_path), "train")) == 224


def test_the_same_pictures_whatever_loads_them(root):
    """They depend on (seed, epoch, index) alone; the generators of the process stay as they were."""
    wanted = options(root, scale=(0.3, 1.0), interpolation="random", rand_augment="rand-m9-mstd0.5-inc1")
    shown = []
    for workers in (0, 1):
        data = ClassificationData(PictureOptions(**{**vars(wanted), "workers": workers}), 5)
        shown.append(torch.cat([batch["image"] for batch in data.train_dataloader()]))
    assert torch.equal(*shown)
    samples = TrainingSamples(data.datasets["train"], data.train_transform, 5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = samples[0, 3][0]
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    random.seed(1)
    torch.manual_seed(9)
    assert torch.equal(first, samples[0, 3][0]) and not torch.equal(first, samples[1, 3][0])
    other = TrainingSamples(data.datasets["train"], data.train_transform, 6)
    assert not torch.equal(first, other[0, 3][0])


def test_an_evaluation_sees_the_middle():
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    image[:, 10:30, 20:40] = 200
    assert torch.equal(EvalTransform(20, 0.5)(image), torch.full((3, 20, 20), 200, dtype=torch.uint8))
    assert torch.equal(EvalTransform(40)(image), image[:, :, 10:50])
    assert EvalTransform(224, 0.9).shorter == 248  # as published for VAN
    for size in ((3, 1, 1), (3, 7, 300), (1, 500, 3)):
        assert EvalTransform(16, 0.9)(torch.zeros(size, dtype=torch.uint8)).shape == (size[0], 16, 16)


def test_a_training_picture_is_shifted_and_flipped():
    picture = made().decoded(0)
    change = train_transform(PictureOptions(padding=2, flip=0), 32, 3)
    for _ in range(5):
        shifted = change(picture)
        padded = torch.nn.functional.pad(picture, (2, 2, 2, 2))
        windows = [padded[:, y : y + 32, x : x + 32] for y in range(5) for x in range(5)]
        assert any(torch.equal(shifted, window) for window in windows)
    flipped = train_transform(PictureOptions(padding=0, flip=1), 32, 3)(picture)
    assert torch.equal(flipped, picture.flip(2))


def test_a_share_of_each_class_is_held_out():
    pictures = made(30)
    kept, held_out = hold_out(pictures, 0.2, seed=1)
    assert held_out.classes.bincount().tolist() == [2, 2, 2] and len(kept) == 24
    assert sorted([*kept.indices.tolist(), *held_out.indices.tolist()]) == list(range(30))
    assert torch.equal(held_out.decoded(3), pictures.decoded(int(held_out.indices[3])))
    again, other = (hold_out(pictures, 0.2, seed=seed)[1] for seed in (1, 2))
    assert torch.equal(again.indices, held_out.indices) and not torch.equal(other.indices, held_out.indices)
    assert fingerprint(again) == fingerprint(held_out) != fingerprint(other)
    one_each = made(6)
    assert len(hold_out(one_each, 0.01, 0)[1]) == len(hold_out(one_each, 0.99, 0)[0]) == 3
    with pytest.raises(ValueError, match=r"one picture of 'blue' in made.*needs two"):
        hold_out(made(3), 0.5, 0)


def test_a_folder_without_splits_is_split_or_refused(tmp_path):
    write_classes(tmp_path / "all", {".": 5})
    with pytest.raises(ValueError, match=r"has no folders train and val.*--data.val_fraction 0.1"):
        ClassificationData(options(tmp_path / "all"), 0)
    data = ClassificationData(options(tmp_path / "all", val_fraction=0.4), 0)
    assert (len(data.datasets["train"]), len(data.datasets["val"])) == (9, 6)


def test_all_pictures_count_once_in_every_share(root):
    """Of three processes, too, where twelve pictures divide evenly, and of five, where they do not."""
    data = ClassificationData(options(root), 0)
    for processes in (1, 3, 5):
        shares = []
        for rank in range(processes):
            batches = data.evaluation_batches(data.datasets["val"], rank, processes)
            shares.append([key[1] for keys in batches.order for key in keys])
        assert len({len(share) for share in shares}) == 1
        assert sorted(index for share in shares for index in share if index >= 0) == list(range(12))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "cifar100"}, "data.name must be one of class_folder, cifar10, fashion_mnist"),
        ({"channels": 2}, r"data.channels must be 1 \(grey\) or 3, got 2"),
        ({"val_fraction": 1.0}, r"data.val_fraction must be in \[0, 1\)"),
        ({"crop_ratio": 0.0}, "data.crop_ratio must be above 0"),
        ({"interpolation": "nearest"}, "data.interpolation must be one of bicubic, bilinear, random, got"),
        ({"scale": (0.5, 0.1)}, "data.scale must be two growing numbers"),
        ({"scale": (0.5, 1.5)}, "data.scale"),
        ({"ratio": (0.0, 1.0)}, "data.ratio must be two growing numbers"),
        ({"scale": (0.5, 1.0), "padding": 4}, "data.padding does not go with data.scale"),
        ({"flip": 2.0}, "data.flip must be"),
        ({"padding": -1}, "data.padding must be at least 0"),
        ({"batch_size": 0}, "data.batch_size must be at least 1"),
    ],
)
def test_options_that_mean_nothing(wrong, said):
    with pytest.raises(ValueError, match=said):
        PictureOptions(**wrong)


def test_data_that_teach_nothing(root, tmp_path, shared_data):
    (tmp_path / "only" / "train" / "cat").mkdir(parents=True)
    write_picture(tmp_path / "only" / "train" / "cat" / "a.png", 0, np.random.default_rng(0))
    write_picture(tmp_path / "only" / "val" / "cat" / "a.png", 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"has one class \(cat\), which teaches nothing"):
        ClassificationData(options(tmp_path / "only"), 0)
    with pytest.raises(ValueError, match=r"fewer than one batch of 99"):
        ClassificationData(PictureOptions(root=str(root), batch_size=99), 0)
    with pytest.raises(ValueError, match=r"fashion_mnist have 1 channel\(s\), but 3 are asked for"):
        open_pictures(PictureOptions(name="fashion_mnist", channels=3), "test")
    with pytest.raises(ValueError, match="is no policy of timm's"):
        train_transform(PictureOptions(rand_augment="sharp"), 32, 3)
    with pytest.raises(ValueError, match="rand_augment changes colours, and the pictures are grey"):
        train_transform(PictureOptions(rand_augment="rand-m9"), 32, 1)


def test_a_picture_is_read_with_the_channels_that_are_wanted(tmp_path):
    for name, colour in {"a": (250, 0, 0), "b": (0, 0, 250)}.items():
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (4, 5), colour).save(tmp_path / "train" / name / "x.png")
    red, blue = (open_pictures(options(tmp_path, channels=1), "train").decoded(i) for i in (0, 1))
    assert red.shape == (1, 5, 4) and red.unique().tolist() == [75] and blue.unique().tolist() == [28]

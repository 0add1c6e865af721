"""The options of the command line that are about data, and those that all networks share."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import jsonargparse
import pytest

from published_layouts import NUM_CLASSES, write_published
from subquad.engine.options import model_options
from subquad.tasks.segmentation.data.annotations import recognise
from subquad.tasks.segmentation.data.opening import DATA_SETS, build_data, open_split, train_transform
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.published_sets import PUBLISHED
from subquad.tasks.segmentation.data.published_transforms import PublishedTransform
from subquad.tasks.segmentation.data.transforms import TrainTransform
from subquad.tasks.segmentation.network import ModelOptions, resolve
from subquad.tasks.segmentation.task import ANNOTATIONS, PUBLISHED_SETS


def test_names_are_those_of_the_data_layer() -> None:
    assert PUBLISHED_SETS == PUBLISHED and set(PUBLISHED) < set(DATA_SETS)
    assert sorted(ANNOTATIONS) == sorted(recognise.ANNOTATIONS) and set(ANNOTATIONS) < set(DATA_SETS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_batches_of_every_set(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    options = DataOptions(
        name, str(root), crop=(32, 32), resize=(64, 32), scale=(0.5, 2.0), cat_max_ratio=0.75,
        photometric=True, batch_size=2,
    )  # fmt: skip
    data = build_data(options, seed=0)
    assert data.labels.num_classes == NUM_CLASSES[name]
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 3, 32, 32) and batch["labels"].shape == (2, 32, 32)
    assert [batch["image"].shape for batch in data.val_dataloader()] == [(1, 3, 48, 64)] * 2


def test_new_options_change_nothing_unless_they_are_set() -> None:
    options = DataOptions(crop=(8, 9), scale=(0.5, 2.0), flip=0.25, brightness=0.1, hue=0.2)
    assert train_transform(options) == TrainTransform((8, 9), (0.5, 2.0), 0.25, 0.1, 0.0, 0.0, 0.2)


@pytest.mark.parametrize(
    "options", [{"resize": (64, 32)}, {"scales": (0.5, 1.0)}, {"cat_max_ratio": 0.75}, {"photometric": True}]
)
def test_each_new_option_takes_the_published_transform(options: dict[str, Any]) -> None:
    transform = train_transform(DataOptions(crop=(8, 9), flip=0.25, **options))
    assert transform == PublishedTransform((8, 9), flip=0.25, **options)
    with pytest.raises(ValueError, match="--data.contrast 0.5 does not go with"):
        train_transform(DataOptions(crop=(8, 9), contrast=0.5, **options))


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="takes the place of --data.scale"):
        train_transform(DataOptions(scales=(0.5, 1.0), scale=(0.5, 2.0)))


def test_unknown_sets_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'cityscapes'"):
        open_split(DataOptions("cityscape"), "train", 0)
    with pytest.raises(ValueError, match="--data.root PATH"):
        open_split(DataOptions("voc"), "val", 0)
    with pytest.raises(FileNotFoundError, match="sceneparsing"):
        open_split(DataOptions("ade20k", str(tmp_path)), "val", 0)


@dataclass
class First:
    """One family.

    Attributes:
        num_classes: Channels of the logits.
        style: Of its kind
            in two lines.
        norm: Of the head.
    """

    family: ClassVar[str] = "first"
    num_classes: int = 3
    style: Literal["plain", "wide"] = "plain"
    norm: str = "group"
    palette: tuple[int, ...] = ()


@dataclass
class Second:
    """Another.

    Attributes:
        num_classes: Channels of the logits.
        style: Whatever fits.
    """

    family: ClassVar[str] = "second"
    num_classes: int = 3
    style: Literal["narrow"] | int = 2


def test_options_of_families_that_differ() -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(model_options([First, Second], "first", ["palette"]), "model")
    for text, value in {"wide": "wide", "narrow": "narrow", "4": 4}.items():
        assert parser.parse_args([f"--model.style={text}"]).model.style == value
    assert parser.parse_args([]).model.style is None
    with pytest.raises(jsonargparse.ArgumentError, match="wider"):
        parser.parse_args(["--model.style=wider"])
    text = " ".join(parser.format_help().split())
    assert "Of its kind in two lines. For second: Whatever fits." in text
    assert "palette" not in text and text.count("Channels of the logits.") == 1


def test_classifiers_are_no_segmentation_networks() -> None:
    from subquad.tasks.segmentation.data.published import published_labels

    with pytest.raises(ValueError, match="van_tiny classifies whole images; give a segmentation network"):
        resolve(ModelOptions(name="van_tiny"), published_labels("voc"))
    config = resolve(ModelOptions(name="light_ham_van_tiny"), published_labels("ade20k"))
    assert config.num_classes == 150 and config.class_names[0] == "wall"


def test_options_need_no_torchvision() -> None:
    """It takes seconds to import, and options are read before anything is said."""
    code = "import sys, subquad.tasks.segmentation.data.options; assert 'torchvision' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    from subquad.tasks.segmentation import data

    assert all(getattr(data, name) is not None for name in data.__all__)

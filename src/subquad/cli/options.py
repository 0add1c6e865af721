"""The options of the command line, as typed values; recipes hold what differs from them."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from subquad.models import SegmentationConfig, model_config
from subquad.models.registry import FAMILIES
from subquad.models.suggest import did_you_mean

DATA_SETS = ("scenes", "camvid", "folder")
SCENES_EVALUATED = 200


@dataclass
class DataOptions:
    """Which data, and how it is presented.

    Attributes:
        name: "scenes" (built in), "camvid", or "folder" (images and masks of your own).
        root: Folder of the data. camvid looks into $SUBQUAD_DATA/camvid if it is not given.
        classes: File of class names and colours; the folder's classes.json or classes.txt if not given.
        num_classes: Instead of a file of class names.
        train: Name of the training split.
        evaluation: Name of the split that is evaluated.
        length: Number of training scenes ("scenes" only).
        size: Height and width of scenes ("scenes" only).
        crop: Height and width of training crops; the whole image if not given.
        scale: Smallest and largest random factor of the image size.
        flip: Probability of a horizontal flip.
        brightness: Strength of the random change, 0 to 1.
        contrast: Strength of the random change, 0 to 1.
        saturation: Strength of the random change, 0 to 1.
        hue: Strength of the random change, 0 to 0.5.
        eval_size: Height and width to which evaluated images are resized; as they are if not given.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process; 1 takes images of any sizes.
        workers: Loader processes for each training process; 0 loads in the training process.
    """

    name: str = "folder"
    root: str | None = None
    classes: str | None = None
    num_classes: int | None = None
    train: str = "train"
    evaluation: str = "val"
    length: int = 4000
    size: tuple[int, int] = (96, 96)
    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    eval_size: tuple[int, int] | None = None
    batch_size: int = 8
    eval_batch_size: int = 1
    workers: int = 0


def build_data(options: DataOptions, seed: int, *, training: bool = True) -> Any:
    """Return the `SegmentationData` of these options."""
    from subquad.data import EvalTransform, TrainTransform
    from subquad.data.module import SegmentationData

    return SegmentationData(
        open_split(options, options.train, seed) if training else None,
        open_split(options, options.evaluation, seed),
        train_transform=TrainTransform(
            options.crop,
            options.scale,
            options.flip,
            options.brightness,
            options.contrast,
            options.saturation,
            options.hue,
        ),
        eval_transform=EvalTransform(options.eval_size),
        batch_size=options.batch_size,
        eval_batch_size=options.eval_batch_size,
        workers=options.workers,
        seed=seed,
    )


def open_split(options: DataOptions, split: str, seed: int) -> Any:
    """Open one split of a data set.

    Raises:
        ValueError: If the data set's name is unknown, or its files do not fit together.
        FileNotFoundError: If its folder is not there.
    """
    from subquad.data import CamVid, Scenes, SegmentationFolder

    if options.name == "scenes":
        # The scenes that are evaluated are always the same, whatever the seed of training.
        return (
            Scenes(options.length, seed=seed, size=options.size)
            if split == "train"
            else Scenes(SCENES_EVALUATED, seed=0, size=options.size, split="val")
        )
    if options.name == "camvid":
        return CamVid(options.root, split)  # pyright: ignore[reportArgumentType]  checked there
    if options.name == "folder":
        if options.root is None:
            raise ValueError("the data set needs a folder: give --data.root PATH.")
        if not Path(options.root).is_dir():
            raise FileNotFoundError(f"there is no folder {options.root}; correct --data.root.")
        return SegmentationFolder(
            options.root, split, classes=options.classes, num_classes=options.num_classes
        )
    raise ValueError(
        f"unknown data set {options.name!r}.{did_you_mean(options.name, DATA_SETS)} There are "
        f"{', '.join(DATA_SETS)}."
    )


def _model_options() -> type[Any]:
    """Make the options of a model from all configurations: each optional, None for its default."""
    types: dict[str, Any] = {}
    for family in FAMILIES.values():
        hints = get_type_hints(family)
        types |= {f.name: hints[f.name] for f in dataclasses.fields(family)}
    for name in ("class_names", "palette"):  # told by the data
        del types[name]
    types["solver"] = str | dict[str, Any]
    fields: list[Any] = [
        ("name", str, "light_ham_van_tiny_d256"),
        ("weights", str | None, None),
        *((name, kind | None, None) for name, kind in types.items()),
    ]
    options = dataclasses.make_dataclass("ModelOptions", fields)
    described = "\n".join(_attributes(base) for base in (SegmentationConfig, *FAMILIES.values()))
    options.__doc__ = (
        "Which network, and what differs from its defaults.\n\nAttributes:\n"
        "    name: One of `subquad models`.\n"
        "    weights: A file of weights to start from, ours or the originals'.\n" + described
    )
    return options


def _attributes(config: type[Any]) -> str:
    """Return the attribute section of a docstring, without its heading."""
    section = re.search(r"Attributes:\n((?:        .*\n|\s*\n)*)", config.__doc__ or "")
    return re.sub(r"^    ", "", section[1].rstrip(), flags=re.MULTILINE) if section else ""


ModelOptions = _model_options()


def resolve_model(options: Any, labels: Any) -> SegmentationConfig:
    """Return the configuration of a network for these options and the classes of the data.

    Raises:
        ValueError: If the class count asked for is not that of the data, or an option is unknown.
    """
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    overrides = {n: v for n, v in values.items() if v is not None and n not in ("name", "weights")}
    asked = overrides.setdefault("num_classes", labels.num_classes)
    if asked != labels.num_classes:
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {labels.num_classes} classes "
            f"({', '.join(labels.names[:3])}, ...); leave the option out."
        )
    if isinstance(overrides.get("solver"), dict):
        from subquad.models.config import solver_from_json

        overrides["solver"] = solver_from_json(overrides["solver"])
    return model_config(options.name, **overrides, class_names=labels.names, palette=labels.palette)


ClassWeights = Literal["none", "log", "median"]
COUNTED = 500  # samples are enough to know how often classes occur


def weights_of_classes(rule: ClassWeights, data: Any) -> list[float]:
    """Return one weight a class, from how often it occurs in the training set; empty for "none"."""
    if rule == "none":
        return []
    from subquad.data import class_frequencies, class_weights

    return class_weights(class_frequencies(data.train, most=COUNTED), rule).tolist()


def checkpoint_path(path: str) -> Path:
    """Return the weights that a path means: a file, or the best of a folder that `fit` wrote.

    Raises:
        FileNotFoundError: If there is neither.
    """
    found = Path(path)
    if found.is_dir():
        found = found / "best.safetensors"
    if not found.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint {found}; give a .safetensors file or a folder that `subquad fit` wrote."
        )
    return found


def check_classes(network: Any, labels: Any, path: str) -> None:
    """Raise ValueError unless a checkpoint was trained on these classes."""
    config: SegmentationConfig = network.config
    known = config.class_names or labels.names
    if config.num_classes != labels.num_classes or known != labels.names:
        raise ValueError(
            f"{path} knows {config.num_classes} classes ({', '.join(known[:3])}, ...), the data has "
            f"{labels.num_classes} ({', '.join(labels.names[:3])}, ...); evaluate on the data it was "
            f"trained for."
        )

"""`subquad test` of a HamGAN: FID and IS, or proxy-FID."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any, Literal

from subquad.base.files import write_whole
from subquad.base.suggest import first_of
from subquad.data.class_images import ClassImageOptions, open_class_images
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.evaluation_run import add_test_options, config_of_run, data_defaults
from subquad.engine.outputs import check_scores
from subquad.engine.parsing import Parser
from subquad.engine.run import check_seed
from subquad.tasks.generation.commands.fit import add_feature_options
from subquad.tasks.generation.commands.generate import load_hamgan

Preset = Literal["hamgan", "standard", "small"]


def parser() -> Parser:
    """Return the options of `subquad test` for HamGANs."""
    p = Parser(prog="subquad test", description="Score the images of a HamGAN.")
    add_test_options(p)
    add_feature_options(p)
    p.add_argument(
        "--preset",
        type=Preset,  # pyright: ignore[reportArgumentType]
        default="small",
        help="hamgan: 50,176 images, Inception score of all at once, as published; standard: 50,000 images, "
        "10 splits; small: 10,000 images.",
    )
    for name, kind, help in (
        ("samples", int, "Generated images, instead of the preset's."),
        ("splits", int, "Of the Inception score, instead of the preset's."),
        ("truncation", float, "Bound of the latent vectors; not given: not truncated."),
    ):
        p.add_argument(f"--{name}", type=kind | None, default=None, help=help)  # pyright: ignore[reportArgumentType]
    p.add_argument(
        "--seed", type=int, default=1000, help="Of latent vectors and classes, not those that `fit` looks at."
    )
    p.add_argument("--allow_small", type=bool, default=False, help="Score fewer than 10,000 images.")
    p.add_argument("--device", type=str, default="cpu", help="Such as cpu or cuda.")
    p.add_argument("--batch_size", type=int, default=64, help="Of generated images.")
    p.add_class_arguments(ClassImageOptions, "data")
    return p


def main(arguments: list[str]) -> None:
    """Parse, score, print."""
    from subquad.engine.tables import print_table
    from subquad.tasks.generation.features import check_features, open_features
    from subquad.tasks.generation.scores import score_generator

    p = parser()
    p.set_defaults(_options_of_run(arguments))
    options: Any = p.instantiate(p.parse_args(arguments))
    check_seed(options.seed)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1, got {options.batch_size}.")
    check_scores(options.json, "preset", [checkpoint_path(options.checkpoint)])
    protocol = resolve_protocol(options)
    features = open_features(options.features, options.inception)
    network = load_hamgan(options.checkpoint, options.device)
    check_features(features, network.config)
    real, others = open_real(network.config, options.data, options.checkpoint)
    scores = score_generator(
        network.generator,
        features.to(options.device),
        pictures(real, protocol.samples, options.data.eval_batch_size),
        None if others is None else pictures(others, protocol.samples, options.data.eval_batch_size),
        protocol,
        batch_size=options.batch_size,
    )
    name = scores.distance_name
    rows = [(name, f"{scores.distance:.3f}")]
    if scores.real_distance is not None:
        rows.append((f"{name} of other real images", f"{scores.real_distance:.3f}"))
    if scores.inception_score is not None:
        rows.append(("Inception score", f"{scores.inception_score:.3f} ± {scores.inception_score_sd:.3f}"))
    if scores.class_accuracy is not None:
        rows.append(("classes recognised", f"{100 * scores.class_accuracy:.2f} %"))
    print_table(f"{scores.generated:,} generated, {scores.real:,} real images", ("score", "value"), rows)
    sys.stdout.write(f"features: {scores.features}; resized: {scores.resize}\n")
    if options.json:
        found = {"preset": options.preset, "real_images": real.where, **scores.to_json()}
        write_whole(options.json, f"{json.dumps(found, indent=1)}\n".encode())


def resolve_protocol(options: Any) -> Any:
    """Return the protocol of the preset with what is given besides."""
    from subquad.tasks.generation.scores import PROTOCOLS

    given = {name: getattr(options, name) for name in ("samples", "splits", "truncation")}
    given = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(
        PROTOCOLS[options.preset], **given, seed=options.seed, allow_small=options.allow_small
    )


def open_real(config: Any, data: ClassImageOptions, checkpoint: str) -> tuple[Any, Any]:
    """Return the split to compare with, and the training split if it is another one.

    Raises:
        ValueError: If the network was trained for other classes or other images.
    """
    split = open_class_images(data, data.evaluation, side=config.size, channels=config.in_channels)
    if config.num_classes != len(split.class_names) or (
        config.class_names and config.class_names != split.class_names
    ):
        raise ValueError(
            f"{checkpoint} knows {config.num_classes} classes ({first_of(config.class_names)}), "
            f"the data has {len(split.class_names)} ({first_of(split.class_names)}); evaluate on "
            f"the data it was trained for."
        )
    try:
        others = open_class_images(data, data.train, side=config.size, channels=config.in_channels)
    except FileNotFoundError:
        return split, None
    return split, None if others.where == split.where else others


def pictures(split: Any, most: int, batch_size: int) -> Any:
    """Yield batches of at most so many pictures in -1..1, drawn from all classes."""
    import torch

    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].tolist()
    for first in range(0, len(order), batch_size):
        yield split.pictures(order[first : first + batch_size])


def _options_of_run(arguments: list[str]) -> dict[str, Any]:
    """Return the data and the features of the run whose folder is among the arguments, as defaults."""
    content = config_of_run(arguments, "generation")
    if not content or any(other.startswith(("--features", "--inception")) for other in arguments):
        return data_defaults(content)
    return data_defaults(content) | {name: content.get(name) for name in ("features", "inception")}

"""`subquad generate`: images of a class, as files and as a grid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from subquad.base.suggest import did_you_mean, first_of
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_checkpoint, add_device, add_optional, add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing
from subquad.models import load_model
from subquad.models.hamgan import HamGANConfig

SIDE = 16  # images in a row, and rows, of the grid at most
COUNT, ROWS = 64, 8


def parser() -> Parser:
    """Return the options of `subquad generate`."""
    p = Parser(
        prog="subquad generate",
        description="Make images. Writes CLASS_NUMBER.png for each, and grid.png; a seed gives the same "
        "images whatever their number and the batch size. Of a network of text: `subquad generate RUN "
        "--help`.",
    )
    add_checkpoint(p)
    for name, kind, help in (
        ("class", str, "Number or name of the class; not given: each of them."),
        ("count", int, "Images of each class, 64 if not given; with --interpolate rows, 8 if not given."),
        ("truncation", float, "Bound of the latent vectors, such as 2 or 0.7: less variety, better images."),
        ("interpolate", int, "Write interpolation.png instead: so many steps from one image to the next."),
    ):
        add_optional(p, name, kind, help)
    p.add_argument("--seed", type=int, default=0, help="Of the latent vectors.")
    p.add_argument("--output", type=str, default="generated", help="Folder to write to.")
    add_overwrite(p)
    add_device(p)
    p.add_argument("--batch_size", type=int, default=64, help="Images that are made at once.")
    return p


def main(arguments: list[str]) -> None:
    """Parse, generate, write."""
    p = parser()
    options = p.parse_args(arguments)
    count = options.count if options.count is not None else ROWS if options.interpolate else COUNT
    if count < 1 or options.batch_size < 1:
        raise ValueError(
            f"--count and --batch_size must be at least 1, got {count} and {options.batch_size}."
        )
    if options.seed < 0:
        raise ValueError(f"--seed must be 0 or more, got {options.seed}.")
    network = load_hamgan(options.checkpoint, options.device)
    classes = find_classes(options["class"], network.config)
    folder, read = Path(options.output), [checkpoint_path(options.checkpoint)]
    if options.interpolate is not None:
        written = [folder / "interpolation.png"]
        check_outputs(written, read, overwrite=options.overwrite)
        with doing("making images"):
            _interpolate(network, classes, count, options, written[0])
    else:
        written = [folder / f"{number:03d}_{i:05d}.png" for number in classes for i in range(count)]
        check_outputs([*written, folder / "grid.png"], read, overwrite=options.overwrite)
        with doing("making images"):
            _single(network, classes, count, options, written)
    sys.stdout.write(f"{len(written)} image(s) in {folder}\n")


def load_hamgan(path: str, device: str) -> Any:
    """Load a HamGAN in evaluation mode on a device.

    Raises:
        ValueError: If the checkpoint is of another network, or the device cannot be used.
        FileNotFoundError: If there is none.
    """
    network: Any = load_model(checkpoint_path(path))
    if not isinstance(network.config, HamGANConfig):
        raise ValueError(
            f"{path} is a {type(network).__name__}, which does not generate images; give a HamGAN."
        )
    return move(network, device)


def find_classes(asked: str | None, config: HamGANConfig) -> list[int]:
    """Return the number of the class asked for by number or name; without one, all of them.

    Raises:
        ValueError: If there is no such class.
    """
    names, count = config.class_names, config.num_classes
    if asked is None:
        return list(range(count))
    if asked in names:
        return [names.index(asked)]
    if asked.isdecimal() and int(asked) < count:
        return [int(asked)]
    known = f" ({first_of(names)})" if names else ""
    raise ValueError(
        f"--class {asked!r}, but the network has the classes 0 to {count - 1}{known}."
        f"{did_you_mean(asked, names)}"
    )


def _single(network: Any, classes: list[int], count: int, options: Any, paths: list[Path]) -> None:
    import torch

    from subquad.tasks.generation.images import image_grid, to_bytes, write_png
    from subquad.tasks.generation.sampling import generate, latents

    noise = latents(options.seed, range(count), network.config.latent, options.truncation)
    labels = torch.tensor(classes).repeat_interleave(count)
    kept: dict[int, Any] = {}
    columns = min(count, SIDE)
    rows = min(SIDE, -(-count // columns)) if len(classes) == 1 else min(SIDE, len(classes))
    for first, images in generate(
        network.generator, noise.repeat(len(classes), 1), labels, batch_size=options.batch_size
    ):
        for number, image in enumerate(images.cpu(), start=first):
            write_png(to_bytes(image), paths[number])
            # A row holds one class; of a single class, all rows go on with it.
            place = number if len(classes) == 1 else number // count * columns + number % count
            if place < rows * columns and (len(classes) == 1 or number % count < columns):
                kept[place] = image
    white = torch.ones_like(next(iter(kept.values())))
    grid = torch.stack([kept.get(place, white) for place in range(rows * columns)])
    write_png(image_grid(grid.unflatten(0, (rows, columns))), Path(options.output) / "grid.png")


def _interpolate(network: Any, classes: list[int], rows: int, options: Any, path: Path) -> None:
    import torch

    from subquad.tasks.generation.images import image_grid, write_png
    from subquad.tasks.generation.sampling import between, generate, latents

    steps = options.interpolate
    ends = latents(options.seed, range(rows + 1), network.config.latent, options.truncation)
    noise = torch.cat([between(ends[row], ends[row + 1], steps) for row in range(rows)])
    labels = torch.tensor([classes[row % len(classes)] for row in range(rows)]).repeat_interleave(steps)
    made = generate(network.generator, noise, labels, batch_size=options.batch_size)
    images = torch.cat([part.cpu() for _, part in made])
    write_png(image_grid(images.unflatten(0, (rows, steps))), path)

"""`subquad convert`: a checkpoint of the originals to one of ours."""

from __future__ import annotations

import sys
from pathlib import Path

from subquad.engine.options import add_optional, add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser


def parser() -> Parser:
    """Return the options of `subquad convert`."""
    p = Parser(
        prog="subquad convert",
        description="Turn a checkpoint of HamNet, Light-Ham, SegNeXt, VAN, Paramixer or HamGAN into a "
        ".safetensors file with its configuration; the network is recognised by its names and shapes.",
    )
    p.add_argument("checkpoint", type=str, help="That of the originals: .pth, .safetensors or .npz.")
    p.add_argument("--output", type=str, required=True, help="The file to write; --to is the same.")
    p.short["--to"] = "--output"
    add_overwrite(p)
    for name, kind, what in (
        (
            "classes",
            str,
            "File of class names and colours, or a set such as ade20k; kept in the checkpoint.",
        ),
        ("rank", int, "Of the decomposition, which no checkpoint tells; as published if not given."),
        ("solver", str, "NMF, VQ or CD, where the checkpoint does not tell."),
    ):
        add_optional(p, name, kind, what)
    return p


def main(arguments: list[str]) -> None:
    """Recognise, load, report, write."""
    from subquad.base.files import check_writable
    from subquad.models import create_model, load_original, model_config, save_model
    from subquad.models.originals.load import read_weights
    from subquad.models.originals.recognise import recognise
    from subquad.tasks import task_of

    options = parser().parse_args(arguments)
    original, target = options.checkpoint, Path(options.output)
    if target.suffix != ".safetensors":
        raise ValueError(f"--output {target} must end in .safetensors.")
    check_writable(target)
    read = [original, *([options.classes] if options.classes is not None else [])]
    check_outputs([target], read, overwrite=options.overwrite)
    _refuse_ours(Path(original))
    tensors = read_weights(original)
    given = {n: options[n] for n in ("rank", "solver") if options[n] is not None}
    name, overrides, assumed = recognise(tensors, given)
    if options.classes is not None:
        told = task_of(model_config(name)).classes_of(options.classes)
        names = told["class_names"]
        count = overrides.get("num_classes")
        if count != len(names):
            raise ValueError(f"{options.classes} names {len(names)} classes, the checkpoint has {count}.")
        overrides |= told
    network = create_model(name, **overrides)
    report = load_original(network, tensors)
    save_model(network, target)
    sys.stdout.write(f"{original}: {name}\n{report}\n")
    if assumed:
        unknown = [f"--{option}" for option in ("rank", "solver") if f"{option} " in assumed]
        remedy = f"; {' and '.join(unknown)} change{'' if unknown[1:] else 's'} it" if unknown else ""
        sys.stdout.write(f"{assumed}{remedy}\n")
    sys.stdout.write(f"wrote {target}\n")


def _refuse_ours(path: Path) -> None:
    """Raise ValueError if there is nothing to convert."""
    from subquad.models.checkpoint import holds_config

    if path.suffix == ".safetensors" and path.is_file() and holds_config(path):
        raise ValueError(f"{path} is a checkpoint of subquad already; load_model and all commands read it.")

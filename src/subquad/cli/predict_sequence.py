"""`subquad predict` of a sequence network: a class, or a value, for each sequence of a file."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

from subquad.cli.checkpoints import checkpoint_path, move
from subquad.cli.evaluation_run import config_of_run, data_defaults
from subquad.cli.parsing import Parser
from subquad.data.sequences import SequenceOptions
from subquad.models import SequenceConfig, load_model
from subquad.models.files import check_writable, write_whole

# Of `--data`: what tells how the sequences of training were read.
READING = {"sequence_column", "header", "tokens", "crop", "cls"}
OTHERS = {field.name for field in dataclasses.fields(SequenceOptions)} - READING


def parser() -> Parser:
    """Return the options of `subquad predict` for sequences."""
    p = Parser(
        prog="subquad predict",
        description="Classify sequences. Writes a table with a row for each: where it was read, the class, "
        "and the probabilities of all classes; of a regression the value.",
    )
    p.add_argument(
        "checkpoint",
        type=str,
        help="A .safetensors file, or a folder that `fit` wrote; the folder also tells how data are read.",
    )
    p.add_argument(
        "sequences", type=str, help="A table (.csv, .tsv, .jsonl), FASTA, a .txt file or a folder of them."
    )
    p.add_argument("--output", type=str, default="predictions.csv", help="Table to write.")
    p.add_argument("--overwrite", action="store_true", help="Replace a file that is there.")
    p.add_argument("--batch_size", type=int, default=64, help="Sequences at a time.")
    p.add_argument("--device", type=str, default="cpu", help="Such as cpu or cuda.")
    p.add_class_arguments(SequenceOptions, "data", skip=set[str | int](OTHERS))
    return p


def main(arguments: list[str]) -> None:
    """Parse, predict, write."""
    from subquad.data.sequences.unlabelled import encode_all, read_unlabelled, unlabelled_encoder
    from subquad.evaluation import predict_sequences

    p = parser()
    run = data_defaults(config_of_run(arguments))
    p.set_defaults({name: value for name, value in run.items() if name.removeprefix("data.") in READING})
    options: Any = p.instantiate(p.parse_args(arguments))
    target = Path(options.output)
    check_writable(target)
    if target.exists() and not options.overwrite:
        raise ValueError(f"{target} is there already; give --overwrite, or another --output.")
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1, got {options.batch_size}.")
    network: Any = load_model(checkpoint_path(options.checkpoint))
    network = move(network, options.device)
    config: SequenceConfig = network.config
    kind = run.get("data.name", "csv")
    vocabulary = vocabulary_of_network(config, kind, options.data.tokens, options.checkpoint)
    problems: list[str] = []
    records = read_unlabelled(Path(options.sequences), options.data, problems.append)
    encoded = encode_all(records, unlabelled_encoder(vocabulary), problems.append)
    shown, inputs, longer = fit_to_network(encoded, config, vocabulary, options.data, problems)
    if inputs:
        outputs = predict_sequences(network, inputs, options.batch_size)
        write_whole(target, as_table(shown, outputs, config).encode())
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if longer:
        longest = config.length - options.data.cls
        kept = "first" if options.data.crop == "head" else "last"
        sys.stdout.write(
            f"of {longer} sequences only the {kept} {longest} positions were read, as in training\n"
        )
    if problems:
        done = f"the other {len(inputs)} are in {target}" if inputs else "nothing is written"
        raise ValueError(f"{len(problems)} sequences of {options.sequences} cannot be read; {done}.")
    sys.stdout.write(f"wrote {len(inputs)} predictions to {target}\n")


def vocabulary_of_network(config: SequenceConfig, kind: str, tokens: str, path: str) -> Any:
    """Return the vocabulary of a network; None if it reads real values.

    Raises:
        ValueError: If the network does not say what its tokens are.
    """
    from subquad.data.sequences.unlabelled import UNITS
    from subquad.data.sequences.vocabulary import vocabulary_of

    if config.vocab_size is None:
        return None
    if not config.token_names:
        raise ValueError(
            f"{path} does not say what its {config.vocab_size} tokens stand for; give a checkpoint of "
            f"`subquad fit`."
        )
    # The texts of long documents are characters, whatever the option says.
    unit = "characters" if kind == "long_document" else UNITS.get(tokens, "characters")
    return vocabulary_of(config.token_names, unit)


def fit_to_network(
    encoded: list[Any], config: SequenceConfig, vocabulary: Any, options: Any, problems: list[str]
) -> tuple[list[Any], list[Any], int]:
    """Cut sequences as in training; those with another number of values at a position become problems.

    Returns:
        The records, what the network reads of them, and how many were cut.
    """
    from subquad.data.sequences.samples import cut, with_cls

    longest = config.length - options.cls
    shown, inputs, longer = [], [], 0
    for record, sequence in encoded:
        if vocabulary is None and sequence.shape[1] != config.in_features:
            problems.append(
                f"{record.where}: {sequence.shape[1]} values at each position, but the network reads "
                f"{config.in_features}."
            )
            continue
        longer += len(sequence) > longest
        sequence = cut(sequence, longest, options.crop)
        inputs.append(with_cls(sequence, vocabulary) if options.cls else sequence)
        shown.append(record)
    return shown, inputs, longer


def as_table(records: list[Any], outputs: Any, config: SequenceConfig) -> str:
    """Return a CSV with a row for each sequence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if config.regression:
        writer.writerow(["where", "prediction"])
        values = outputs[:, 0].tolist()
        writer.writerows(
            [record.where, f"{value:.6g}"] for record, value in zip(records, values, strict=True)
        )
        return text.getvalue()
    names = config.class_names or tuple(map(str, range(config.num_classes)))
    writer.writerow(["where", "prediction", *(f"p({name})" for name in names)])
    for record, shares in zip(records, outputs.double().softmax(dim=1), strict=True):
        writer.writerow(
            [record.where, names[int(shares.argmax())], *(f"{share:.6f}" for share in shares.tolist())]
        )
    return text.getvalue()

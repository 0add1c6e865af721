"""`subquad predict` of a sequence network: a class, or a value, for each sequence of a file."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subquad.base.files import check_writable, write_whole
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.options import defaults_of
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.models import SequenceConfig
from subquad.tasks.sequences.data.options import USUAL_LENGTH, SequenceOptions
from subquad.tasks.sequences.data.samples import cut, with_cls
from subquad.tasks.sequences.data.unknown import UnknownTokens, refuse_unknown
from subquad.tasks.sequences.data.unlabelled import UNITS, encode_all, read_unlabelled, unlabelled_encoder
from subquad.tasks.sequences.data.vocabulary import FIXED, ORDER, vocabulary_of
from subquad.tasks.sequences.prediction import predict_sequences

# Of `--data`: what tells how the sequences of training were read.
READING = {"sequence_column", "header", "tokens", "crop", "cls", "case"}
ASKED = {"separator", "unknown"}  # of the new sequences, whatever those of training were
MOST_TOLD = 20  # problems
COLUMNS = {"text": "text", "listops": "Source"}  # of the published files
OTHERS = {field.name for field in dataclasses.fields(SequenceOptions)} - READING - ASKED


def add_options(p: Parser, run: Mapping[str, Any]) -> None:
    """Add which sequences, and how they are read.

    Args:
        p: The parser.
        run: The options of the run whose network it is; config.yaml beside its weights tells them.
    """
    p.add_argument(
        "sequences", type=str, help="A table (.csv, .tsv, .jsonl), FASTA, a .txt file or a folder of them."
    )
    p.add_argument(
        "--output",
        type=str,
        default="predictions.csv",
        help="Table to write, a row for each sequence: where it was read, the class, and the probabilities "
        "of all classes; of a regression the value.",
    )
    p.add_argument("--batch_size", type=int, default=64, help="Sequences at a time.")
    p.add_class_arguments(SequenceOptions, "data", skip=set[str | int](OTHERS))
    p.set_defaults(reading_of_run(run))


def predict(network: Any, options: Any, run: Mapping[str, Any]) -> str:
    """Write the table; returns what was written."""
    target = Path(options.output)
    check_writable(target)
    read = [checkpoint_path(options.checkpoint), options.sequences]
    check_outputs([target], read, overwrite=options.overwrite)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1, got {options.batch_size}.")
    config: SequenceConfig = network.config
    vocabulary = vocabulary_of_network(config, run, options.data, options.checkpoint)
    longest = longest_of_run(config, run, options.data.cls)
    problems: list[str] = []
    source = Path(options.sequences)
    encoded = _encoded(source, options.data, vocabulary, config, problems)
    if encoded:
        kept = [
            inputs if longest is None else cut(inputs, longest, options.data.crop) for _, inputs in encoded
        ]
        kept = [with_cls(inputs, vocabulary) for inputs in kept] if options.data.cls else kept
        outputs = predict_sequences(network, kept, options.batch_size)
        table = as_table([record for record, _ in encoded], outputs, config)
        write_whole(target, table.encode(errors="surrogateescape"))
    longer = sum(longest is not None and len(inputs) > longest for _, inputs in encoded)
    if longer:
        end = "first" if options.data.crop == "head" else "last"
        why = "as in training" if run else "more does not fit the network"
        sys.stdout.write(f"of {longer} sequences only the {end} {longest} positions were read: {why}\n")
    if problems:
        done = f"the other {len(encoded)} are in {target}" if encoded else "nothing is written"
        more = len(problems) - MOST_TOLD
        told = "\n".join([*problems[:MOST_TOLD], *([f"and {more} more problems"] if more > 0 else [])])
        raise ValueError(f"{told}\n{len(problems)} problem(s) in {options.sequences}; {done}.")
    return f"wrote {len(encoded)} predictions to {target}"


def _encoded(
    source: Path, data: SequenceOptions, vocabulary: Any, config: SequenceConfig, problems: list[str]
) -> list[tuple[Any, Any]]:
    """Return each sequence that could be read, and its numbers; what could not is among the problems."""
    records = read_unlabelled(source, data, vocabulary, problems.append, tell)
    unknown = None if vocabulary is None else UnknownTokens(vocabulary)
    encoded = encode_all(
        records, unlabelled_encoder(vocabulary, unknown), config.in_features, problems.append
    )
    if unknown is not None and unknown.counts:
        tell(f"{source}: {unknown.sentence('the network')}.")
        refuse_unknown(unknown, str(source), "the network", data.unknown == "allow")
    return encoded


def tell(note: str) -> None:
    """Print what a user may want to know."""
    sys.stdout.write(f"note: {note}\n")


def reading_of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run read its sequences, as defaults of `--data.*`."""
    known = defaults_of(run)
    defaults = {name: value for name, value in known.items() if name.removeprefix("data.") in READING}
    column = COLUMNS.get(known.get("data.name", ""))
    return defaults if column is None else defaults | {"data.sequence_column": column}


def vocabulary_of_network(
    config: SequenceConfig, run: Mapping[str, Any], data: SequenceOptions, path: str
) -> Any:
    """Return the vocabulary of a network; None if it reads real values.

    Raises:
        ValueError: If the network does not say what its tokens are, or the options cannot be those of
            its training.
    """
    if config.vocab_size is None:
        return None
    if not config.token_names:
        raise ValueError(
            f"{path} does not say what its {config.vocab_size} tokens stand for; give a checkpoint of "
            f"`subquad fit`."
        )
    # The texts of long documents are characters, whatever the option says.
    is_document = run.get("data", {}).get("name") == "long_document"
    vocabulary = vocabulary_of(config.token_names, "characters" if is_document else UNITS.get(data.tokens))
    if data.case != "keep" and vocabulary.case == "keep":
        vocabulary = dataclasses.replace(vocabulary, case=data.case)
    if data.cls and vocabulary.cls_id is None:
        raise ValueError(f"--data.cls true, but the tokens of {path} have no <cls>; leave --data.cls out.")
    always = vocabulary in [fixed.with_cls() for fixed in FIXED if fixed.cls_id is None]
    reads_first = config.pooling == "cls" and vocabulary != ORDER
    if not data.cls and (always or reads_first):
        raise ValueError(f"{path} was trained with <cls> in front of each sequence; give --data.cls true.")
    return vocabulary


def longest_of_run(config: SequenceConfig, run: Mapping[str, Any], cls: bool) -> int | None:
    """Return how many positions of a sequence were read in training, without `<cls>`.

    Without a run it is the most that the network takes; None: any number.
    """
    data = run.get("data", {})
    longest = data.get("length") or USUAL_LENGTH.get(data.get("name", ""))
    if run and longest is None and run.get("model", {}).get("length") is None:
        longest = config.length - cls  # it was built for the longest of training
    if config.longest is not None:
        longest = min(longest or config.longest, config.longest - cls)
    if longest == 0:
        raise ValueError("the network takes one position, and <cls> is one; leave --data.cls out.")
    return longest


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

"""`subquad explain` of a sequence network: which positions decide, and how they are linked."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad.base.table import Table
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.engine.tables import percent
from subquad.explain.explanation import Explanation
from subquad.explain.influence import gradients_at, influences, shares_of
from subquad.explain.influence_page import InfluenceView, explain_influence
from subquad.explain.link_maps import links_of
from subquad.models import SequenceConfig
from subquad.tasks.sequences.commands.predict import (
    OTHERS,
    longest_of_run,
    reading_of_run,
    tell,
    vocabulary_of_network,
)
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.samples import Record, cut, with_cls
from subquad.tasks.sequences.data.tables import refuse
from subquad.tasks.sequences.data.unknown import UnknownTokens, refuse_unknown
from subquad.tasks.sequences.data.unlabelled import encode_all, read_unlabelled, unlabelled_encoder
from subquad.tasks.sequences.prediction import hashing_alike, predict_sequences

MOST_ROWS = 10  # of classes


def add_options(p: Parser, run: Mapping[str, Any]) -> None:
    """Add which sequence, and how it is read.

    Args:
        p: The parser.
        run: The options of the run whose network it is.
    """
    p.add_argument(
        "--row", type=int, default=1, help="Which of the sequences, from 1 on; the head of a table is none."
    )
    p.add_class_arguments(SequenceOptions, "data", skip=set[str | int](OTHERS))
    p.set_defaults(reading_of_run(run))
    p.usual.append("row")
    p.checks.append(_check_row)


def _check_row(options: Any) -> None:
    if options.row < 1:
        raise ValueError(f"--row must be at least 1, the first sequence, got {options.row}.")


def explain(network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
    """Return what the network says of a sequence, what decides that, and the links between positions."""
    config: SequenceConfig = network.config
    vocabulary = vocabulary_of_network(config, run, options.data, options.model)
    longest = longest_of_run(config, run, options.data.cls)
    record, whole = _sequence(options, vocabulary, config)
    inputs = whole if longest is None else cut(whole, longest, options.data.crop)
    notes = []
    if len(inputs) < len(whole):
        end = "first" if options.data.crop == "head" else "last"
        why = "as in training" if run else "more does not fit the network"
        notes.append(f"Only the {end} {len(inputs):,} of its {len(whole):,} positions are read: {why}.")
        tell(notes[0].removesuffix("."))
    if options.data.cls:
        inputs = with_cls(inputs, vocabulary)
    outputs = predict_sequences(network, [inputs])[0].double()
    told, number, said, content = _said(outputs, config)
    note("what decides that")
    embed = network.input if vocabulary is None else network.embedding

    def run_once() -> Tensor:
        device = next(network.parameters()).device
        lengths = torch.tensor([len(inputs)])
        with hashing_alike(device):
            return network(inputs.unsqueeze(0).to(device), lengths=lengths)

    shares = shares_of(influences(gradients_at(network, embed, lambda: run_once()[:, number]))[0].cpu())
    return explain_influence(
        InfluenceView(
            name=f"sequence {options.row}: {record.where}",
            network=Path(options.model).name,
            score=told,
            vectors="values, as its first layer maps them" if vocabulary is None else "token vector",
            said=said,
            shares=shares,
            texts=None if vocabulary is None else texts_of(inputs, vocabulary),
            values=inputs.numpy() if vocabulary is None else None,
            links=links_of(network, run_once),
            without_links=f"Its context is {config.context!r}, which has no links; Paramixers have them.",
            content={"positions": len(inputs), **content},
            notes=notes,
        )
    )


def texts_of(inputs: Tensor, vocabulary: Any) -> list[str]:
    """Return what each token adds to the text, "" amid a letter of several bytes.

    Args:
        inputs: Tokens (n,).
        vocabulary: Theirs.
    """
    tokens = [vocabulary.tokens[number] for number in inputs.tolist()]
    if vocabulary.unit == "words":
        return [f"{token} " for token in tokens]
    if vocabulary.unit == "characters":
        return tokens
    decoder, found = codecs.getincrementaldecoder("utf-8")("replace"), []
    for number, token in zip(inputs.tolist(), tokens, strict=True):
        found.append(decoder.decode(bytes([number])) if number < 256 else token)
    return found


def _sequence(options: Any, vocabulary: Any, config: SequenceConfig) -> tuple[Record, Tensor]:
    """Return the sequence that is asked for, as it was read and as numbers."""
    source = Path(options.input)
    problems: list[str] = []
    records = read_unlabelled(source, options.data, vocabulary, problems.append, tell)
    if not records and problems:
        raise ValueError(problems[0])
    if problems:
        tell(f"{len(problems)} rows of {source} cannot be read, and do not count: {problems[0].rstrip('.')}")
    if options.row > len(records):
        raise ValueError(f"--row {options.row}, but {source} has {len(records):,} sequences.")
    unknown = None if vocabulary is None else UnknownTokens(vocabulary)
    chosen = records[options.row - 1 : options.row]
    encoded = encode_all(chosen, unlabelled_encoder(vocabulary, unknown), config.in_features, refuse)
    if unknown is not None and unknown.counts:
        tell(f"{chosen[0].where}: {unknown.sentence('the network')}.")
        refuse_unknown(unknown, str(source), "the network", options.data.unknown == "allow")
    return encoded[0]


def _said(outputs: Tensor, config: SequenceConfig) -> tuple[str, int, Table, dict[str, Any]]:
    """Return what is decided, which of the outputs that is, and what is said in a table and as JSON."""
    if config.regression:
        value = float(outputs[0])
        return (
            "the value",
            0,
            Table("the value", ("", "value"), [("value", f"{value:.6g}")]),
            {"value": value},
        )
    names = config.class_names or tuple(map(str, range(config.num_classes)))
    shares = outputs.softmax(dim=0)
    order = shares.argsort(descending=True, stable=True).tolist()
    rows = [(names[index], percent(float(shares[index]))) for index in order[:MOST_ROWS]]
    content = {"classes": [{"index": i, "name": names[i], "probability": float(shares[i])} for i in order]}
    table = Table("the class of the sequence", ("class", "probability %"), rows)
    return f"the logit of {names[order[0]]!r}", order[0], table, content

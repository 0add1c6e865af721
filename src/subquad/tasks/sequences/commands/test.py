"""`subquad test` of a sequence network."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from subquad.base.files import write_whole
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.evaluation_run import add_test_options, config_of_run, data_defaults
from subquad.engine.outputs import check_scores
from subquad.engine.parsing import Parser
from subquad.engine.run import evaluate, is_first_process, quiet_lightning
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import SequenceConfig, load_model
from subquad.tasks.sequences.data import SequenceOptions
from subquad.tasks.sequences.notes import check_unknown, tell_notes


def parser() -> Parser:
    """Return the options of `subquad test` for sequences."""
    p = Parser(prog="subquad test", description="Evaluate a checkpoint of a sequence network.")
    add_test_options(p)
    p.add_argument("--seed", type=int, default=0, help="Of made sequences and of the split.")
    p.add_class_arguments(SequenceOptions, "data", skip={"seed"})
    add_trainer_options(p, training=False)
    return p


def main(arguments: list[str]) -> None:
    """Parse, evaluate on the test split, print the scores."""
    from subquad.engine.tables import print_sequence_scores
    from subquad.tasks.sequences.data import SequenceData
    from subquad.tasks.sequences.learner import SequenceTask

    p = parser()
    run = config_of_run(arguments, "sequences")
    p.set_defaults(data_defaults(run) | {"seed": run.get("seed", 0)})
    options: Any = p.instantiate(p.parse_args(arguments))
    quiet_lightning()
    check_scores(options.json, "count", [checkpoint_path(options.checkpoint)])
    network = load_model(checkpoint_path(options.checkpoint))
    data = SequenceData(dataclasses.replace(options.data, seed=options.seed))
    check_fits(network.config, data, options.checkpoint)
    tell_notes(data)
    check_unknown(data, "test")
    task = SequenceTask(network)
    evaluate(task, data, options)
    assert task.scores is not None
    if is_first_process():
        print_sequence_scores(task.scores)
        if options.json:
            text = json.dumps(dataclasses.asdict(task.scores), indent=1)
            write_whole(options.json, f"{text}\n".encode())


def check_fits(config: Any, data: Any, path: str) -> None:
    """Raise ValueError unless a checkpoint was trained on such sequences with these classes."""
    assert isinstance(config, SequenceConfig)
    known = config.class_names or data.class_names
    if config.num_classes != (data.num_classes or 1) or known != data.class_names:
        raise ValueError(
            f"{path} tells {config.num_classes} classes ({', '.join(known[:3]) or 'none named'}), the data "
            f"has {data.num_classes or 'values'} ({', '.join(data.class_names[:3]) or 'none named'}); "
            f"evaluate on the data it was trained for."
        )
    tokens = data.vocabulary.tokens if data.vocabulary else ()
    if config.token_names and tokens and config.token_names != tokens:
        other = next(
            i for i, pair in enumerate(zip(config.token_names, tokens, strict=False)) if len(set(pair)) > 1
        )
        raise ValueError(
            f"{path} reads {len(config.token_names)} tokens, and number {other} is not {tokens[other]!r} as "
            f"in the data; give the data it was trained for."
        )
    if config.vocab_size != data.vocab_size or (data.in_features or 1) != config.in_features:
        theirs, ours = (
            f"{tokens} tokens" if tokens else f"{features} values at a position"
            for tokens, features in (
                (config.vocab_size, config.in_features),
                (data.vocab_size, data.in_features),
            )
        )
        raise ValueError(
            f"{path} reads {theirs}, the data has {ours}; evaluate on the data it was trained for."
        )

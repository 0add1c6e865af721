"""`subquad explain` of a network of text: which tokens decide what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.base.table import Table
from subquad.data.text_files import read_bytes
from subquad.engine.parsing import Parser
from subquad.engine.tables import percent
from subquad.explain.explanation import Explanation
from subquad.explain.influence import gradients_at, influences, shares_of
from subquad.explain.influence_page import InfluenceView, explain_influence
from subquad.tasks.language.data.decoding import REPLACEMENT
from subquad.tasks.language.data.tokens import Tokens, tokens_of

MOST_ROWS = 10  # of next tokens


def add_options(p: Parser) -> None:
    """Add how much of the text is read."""
    p.add_argument("--tokens", type=int, default=1024, help="The last tokens of the text to read, at most.")
    p.usual.append("tokens")
    p.checks.append(_check_tokens)


def _check_tokens(options: Any) -> None:
    if options.tokens < 1:
        raise ValueError(f"--tokens must be at least 1, got {options.tokens}.")


def explain(network: Any, options: Any) -> Explanation:
    """Return what comes next, and what decides that."""
    config = network.config
    tokens = tokens_of(config.tokens, config.tokenizer, options.model)
    whole = _read(tokens, Path(options.input))
    read = whole[-options.tokens :]
    notes = []
    if len(read) < len(whole):
        notes.append(f"Only the last {len(read):,} of {len(whole):,} tokens are read; --tokens takes more.")
    text = torch.tensor(read, device=next(network.parameters()).device).unsqueeze(0)
    found: list[Tensor] = []

    def score() -> Tensor:
        logits = network.prefill(text)[0].float()  # (1, vocab_size)
        found.append(logits.detach()[0].double().cpu())
        return logits.max(dim=1).values

    shares = shares_of(influences(gradients_at(network, network.embedding, score))[0].cpu())
    told, said, content = _said(found[0], tokens)
    return explain_influence(
        InfluenceView(
            name=Path(options.input).name,
            network=Path(options.model).name,
            score=told,
            vectors="token vector",
            said=said,
            shares=shares,
            texts=texts_of(read, tokens),
            without_links="Links are shown of Paramixers on whole sequences alone.",
            content={"positions": len(read), **content},
            notes=notes,
        )
    )


def texts_of(read: list[int], tokens: Tokens) -> list[str]:
    """Return what each token adds to the text, "" amid a letter of several.

    Args:
        read: Numbers of tokens.
        tokens: What they are.
    """
    decoder, found = tokens.decoder(), []
    for token in read:
        found.append("<end>" if token == tokens.end else decoder.feed(token))
    return found


def _read(tokens: Tokens, path: Path) -> list[int]:
    """Return the tokens of a text file, that which stands before each document in front."""
    content = read_bytes(path)
    if not content:
        raise ValueError(f"{path} is empty; give a text.")
    try:
        return [tokens.end, *np.asarray(tokens.encode(content)).tolist()]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8, and this network reads nothing else; write it in UTF-8."
        ) from error


def _said(logits: Tensor, tokens: Tokens) -> tuple[str, Table, dict[str, Any]]:
    """Return what is decided, and what is said, in a table and as JSON."""
    shares = logits.softmax(dim=0)
    order = shares.argsort(descending=True, stable=True).tolist()[:MOST_ROWS]
    names = [_name(token, tokens) for token in order]
    probabilities = [float(shares[token]) for token in order]
    rows = [(name, percent(share)) for name, share in zip(names, probabilities, strict=True)]
    content = [
        {"token": token, "text": name, "probability": share}
        for token, name, share in zip(order, names, probabilities, strict=True)
    ]
    return (
        f"the logit of {names[0]}, the next token",
        Table("what comes next", ("token", "probability %"), rows),
        {"next": content},
    )


def _name(token: int, tokens: Tokens) -> str:
    if token == tokens.end:
        return "the end"
    decoder = tokens.decoder()
    text = decoder.feed(token) + decoder.finish()
    return f"number {token}" if REPLACEMENT in text else repr(text)

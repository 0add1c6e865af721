"""`subquad predict` of text: what each document of a file costs."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.base.files import check_writable, write_whole
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.nn.mode import evaluating
from subquad.tasks.language.data.documents import read_documents
from subquad.tasks.language.data.text import are_kept
from subquad.tasks.language.data.tokens import tokens_of
from subquad.tasks.language.scores import LOSSY

PART = 4096  # tokens that are read at a time; what was before them is in a cache


def add_options(p: Parser) -> None:
    """Add which documents."""
    p.add_argument(
        "documents", type=str, help="A text file, a .jsonl with a document in each row, or a folder of them."
    )
    p.add_argument("--field", type=str, default="text", help="What holds the text in a row of a .jsonl.")
    p.add_argument(
        "--output",
        type=str,
        default="predictions.csv",
        help="Table to write, a row for each document: its bytes and tokens, bits per byte, and the "
        "perplexity of a token.",
    )


def predict(network: Any, options: Any) -> str:
    """Write the table; returns what was written."""
    target = Path(options.output)
    check_writable(target)
    read = [checkpoint_path(options.checkpoint), options.documents]
    check_outputs([target], read, overwrite=options.overwrite)
    config = network.config
    tokens = tokens_of(config.tokens, config.tokenizer, options.checkpoint)
    utf8 = tokens.kind != "bytes"
    documents = read_documents(
        Path(options.documents), options.field, utf8=utf8, known=True, option="--field", note=note
    )
    rows = []
    for number, document in enumerate(documents, 1):
        note(f"document {number:,} of {len(documents):,}")
        text = torch.tensor([tokens.end, *tokens.encode(document.tobytes()), tokens.end])
        loss = cost_of(network, text)
        if not math.isfinite(loss):
            raise ValueError(
                f"the network gives numbers that are not finite for document {number} of "
                f"{options.documents}, so nothing is written; take other weights."
            )
        mean = loss / (len(text) - 1)
        bits = loss / math.log(2) / len(document)
        rows.append((number, len(document), len(text) - 1, f"{bits:.4f}", f"{math.exp(min(mean, 700)):.6g}"))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["document", "bytes", "tokens", "bits per byte", "perplexity"])
    writer.writerows(rows)
    write_whole(target, table.getvalue().encode())
    lossy = "" if are_kept(documents, tokens) else f"\n{LOSSY}"
    return f"wrote what {len(rows):,} documents cost to {target}{lossy}"


@torch.no_grad()
def cost_of(network: Any, text: Tensor, part: int = PART) -> float:
    """Return the cross-entropy of all tokens of a text but the first, in nats, each told from all before.

    Args:
        network: Of `create_model`, on any device; used in evaluation mode.
        text: (n,), at least two tokens.
        part: Tokens that are read at a time, at least 1.
    """
    device = next(network.parameters()).device
    cache, loss = None, 0.0
    with evaluating(network):
        for start in range(0, len(text) - 1, part):
            tokens = text[start : start + part + 1].to(device)
            logits, cache = network(tokens[None, :-1], cache, True)
            loss += float(F.cross_entropy(logits[0].float(), tokens[1:], reduction="sum"))
    return loss

"""`subquad generate` of text: go on with a prompt, and show it as it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from subquad.base.files import check_writable
from subquad.data.text_files import read_bytes
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.options import add_checkpoint, add_device, add_optional, add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing, note
from subquad.engine.sample_counts import digest
from subquad.models import load_model
from subquad.tasks.language.data.decoding import Decoder
from subquad.tasks.language.data.tokens import Tokens, tokens_of
from subquad.tasks.language.state import load_place, save_place
from subquad.tasks.language.writing import Place, Sampling, Until, read, write


def parser() -> Parser:
    """Return the options of `subquad generate` of a network of text."""
    p = Parser(
        prog="subquad generate",
        description="Go on with a text, and print it as it is written. The same seed gives the same text.",
    )
    add_checkpoint(p)
    p.add_argument("--prompt", type=str, default="", help="How the text begins; it is printed, too.")
    add_optional(p, "prompt_file", str, "A file that is read before the prompt, and not printed.")
    p.add_argument("--tokens", type=int, default=200, help="Most tokens to write, from 0 on.")
    p.add_argument("--temperature", type=float, default=1.0, help="0 always takes the most probable token.")
    add_optional(p, "top_k", int, "Choose among so many most probable tokens.")
    add_optional(
        p,
        "top_p",
        float,
        "Choose among the fewest most probable tokens that have this share of the probability.",
    )
    add_optional(p, "seed", int, "Of all choices; 0 if not given, or that of --continue_from.")
    add_optional(
        p, "batch", int, "Samples that are written at once, 1 if not given; several are printed whole."
    )
    add_optional(
        p, "stop", str, "End before this text; a text that ends by itself is not gone on with either."
    )
    add_optional(p, "state", str, "File to write at the end: what it takes to go on.")
    add_optional(p, "continue_from", str, "Go on from such a file; a prompt is what comes next.")
    add_overwrite(p)
    add_device(p)
    return p


def main(arguments: list[str]) -> None:
    """Parse, read the prompt, write."""
    options = parser().parse_args(arguments)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    _check(options)
    path = checkpoint_path(options.checkpoint)
    if options.state is not None:
        check_writable(options.state)
        files = [path, *(name for name in (options.continue_from, options.prompt_file) if name is not None)]
        check_outputs([Path(options.state)], files, overwrite=options.overwrite, option="--state")
    with doing("reading the prompt", to=sys.stderr):
        network: Any = move(load_model(path), options.device)
        tokens = tokens_of(network.config.tokens, network.config.tokenizer, options.checkpoint)
        place, decoders = _begin(network, tokens, options, path)
    samples = [Sample(decoder, options.stop, tokens.end) for decoder in decoders]
    if len(samples) == 1:
        _stream(network, place, sampling, samples[0], options)
    else:
        _together(network, place, sampling, samples, options)
    if options.state is not None:
        save_place(Path(options.state), place, [decoder.state() for decoder in decoders], digest(path))


class Sample:
    """One of the texts that are written.

    Args:
        decoder: Makes text of its tokens.
        stop: Ends it.
        end: The token that does, too.

    Attributes:
        is_over: Whether it has ended.
    """

    def __init__(self, decoder: Decoder, stop: str | None, end: int) -> None:
        self.decoder, self.until, self.end = decoder, Until(stop), end
        self.is_over = False

    def feed(self, token: int) -> str:
        """Return the text that can be shown with one token more."""
        if self.is_over:
            return ""
        text = self.until.feed(self.decoder.finish() if token == self.end else self.decoder.feed(token))
        self.is_over = token == self.end or self.until.is_over
        return text

    def finish(self) -> str:
        """Return what was kept back; half a character stays where it is."""
        return self.until.finish()


def _check(options: Any) -> None:
    """Raise ValueError for values that mean nothing."""
    for name, least in {"tokens": 0, "seed": 0, "batch": 1}.items():
        if options[name] is not None and options[name] < least:
            raise ValueError(f"--{name} must be at least {least}, got {options[name]}.")
    if options.stop == "":
        raise ValueError("--stop is empty; give a text, or leave it out.")
    if options.stop is not None and options.state is not None:
        raise ValueError(
            f"--stop {options.stop!r} ends a text before a word that was read to be seen: --state would hold "
            "what was not printed; leave one of the two out."
        )


def _begin(network: Any, tokens: Tokens, options: Any, path: Path) -> tuple[Place, list[Decoder]]:
    """Return where writing begins, and what makes text of the tokens of each sample."""
    start, place, waiting = [tokens.end], None, []
    if options.continue_from is not None:
        place, waiting = load_place(Path(options.continue_from), network, digest(path))
        start = []
        place.seed = place.seed if options.seed is None else options.seed
        if options.batch not in (None, place.batch):
            raise ValueError(
                f"--batch {options.batch}, but {options.continue_from} has {place.batch}; leave --batch out."
            )
    prompt: list[int] = []
    for where, text in _prompts(options):
        prompt += _encoded(tokens, text, where)
    start += prompt
    samples = options.batch or 1 if place is None else place.batch
    decoders = [tokens.decoder() for _ in range(samples)]
    if start:
        place = read(network, torch.tensor(start), place, batch=samples, seed=options.seed or 0)
        for decoder in decoders:
            decoder.follow(prompt)
    else:  # nothing comes between the halves of a character
        _restore(decoders, waiting, options.continue_from)
    assert place is not None
    return place, decoders


def _prompts(options: Any) -> Iterator[tuple[str, bytes]]:
    """Yield what is read at first, and where it is from."""
    if options.prompt_file is not None:
        yield options.prompt_file, read_bytes(Path(options.prompt_file))
    if options.prompt:
        yield "--prompt", options.prompt.encode(errors="surrogateescape")


def _encoded(tokens: Tokens, text: bytes, where: str) -> list[int]:
    """Return the tokens of a prompt."""
    if tokens.kind != "bytes":
        try:
            text.decode()
        except UnicodeDecodeError as error:
            byte = text[error.start]
            raise ValueError(
                f"{where} is not UTF-8, it holds the byte 0x{byte:02x}, and this network reads nothing else; "
                "write it in UTF-8."
            ) from error
    return np.asarray(tokens.encode(text)).tolist()


def _restore(decoders: list[Decoder], waiting: list[list[int]], path: Any) -> None:
    """Go on amid characters."""
    try:
        for decoder, state in zip(decoders, waiting, strict=True):
            decoder.restore(state)
    except ValueError as error:
        raise ValueError(f"{path} is damaged; write it again.") from error


def _stream(network: Any, place: Place, sampling: Sampling, sample: Sample, options: Any) -> None:
    """Write one text, and print it as it comes."""
    _show(options.prompt)
    for _ in range(options.tokens):
        _show(sample.feed(int(write(network, place, sampling))))
        if sample.is_over:
            break
    _show(f"{sample.finish()}\n")


def _together(network: Any, place: Place, sampling: Sampling, samples: list[Sample], options: Any) -> None:
    """Write several texts, then print them one after another."""
    texts = [options.prompt] * len(samples)
    running = torch.full((len(samples),), -1)
    with doing(f"writing {len(samples)} texts", to=sys.stderr):
        for number in range(options.tokens):
            note(f"token {number + 1:,} of {options.tokens:,}")
            # Of a text that is over, a state must hold nothing that was not shown.
            over = torch.tensor([each.is_over for each in samples])
            found = write(network, place, sampling, running.masked_fill(over, samples[0].end)).tolist()
            texts = [text + each.feed(token) for text, each, token in zip(texts, samples, found, strict=True)]
            if all(each.is_over for each in samples):
                break
    for number, (text, each) in enumerate(zip(texts, samples, strict=True), start=1):
        _show(f"--- {number} of {len(samples)}\n{text}{each.finish()}\n")


def _show(text: str) -> None:
    sys.stdout.write(text.encode(errors="surrogateescape").decode(errors="replace"))
    sys.stdout.flush()

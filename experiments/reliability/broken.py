"""Ways to break a file: the same for every kind, seeded, so that a finding can be tried again by its name."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

NUMBERS = (None, True, -1, 0, 2, 0.5, 1e9, 10**12, float("nan"), float("inf"), -1e-9)
THINGS = (*NUMBERS, "", "x", "../x", [], [1], [[]], {}, {"a": 1})


def broken_bytes(good: bytes, seed: int = 0, flips: int = 12) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes): cut off, overwritten, of another kind."""
    chance = random.Random(seed)
    yield "empty", b""
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        yield f"cut at {share}", good[: int(len(good) * share)]
    for number in range(flips):
        data = bytearray(good)
        place = chance.randrange(len(data)) if number % 2 else chance.randrange(min(200, len(data)))
        data[place] ^= 1 << chance.randrange(8)
        yield f"bit {place}", bytes(data)
    for number in range(3):
        data = bytearray(good)
        place = chance.randrange(len(data))
        data[place : place + 40] = chance.randbytes(40)
        yield f"block {number} at {place}", bytes(data)
    yield "random", chance.randbytes(3000)
    yield "zeros", bytes(3000)
    yield "doubled", good + good
    yield "packed", gzip.compress(good)
    yield "a shell script", b"#!/bin/sh\ntouch PWNED\n"
    yield "a pickle", b"\x80\x04cposix\nsystem\n(\x8c\x0btouch PWNEDtR."
    yield "html", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    yield "git-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n"


def broken_yaml() -> Iterator[tuple[str, str]]:
    """Yield (name, text) of recipes that no recipe may be."""
    yield "tag that calls", "!!python/object/apply:os.system ['touch PWNED']\n"
    yield "tag that imports", "model: !!python/module:canary ''\n"
    yield "own tag", "model: !thing {name: x}\n"
    yield (
        "aliases",
        "a: &a [x, x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
        ),
    )
    yield "alias of itself", "model: &m\n  a: *m\n"
    yield "deep", "[" * 50_000
    yield "deep mapping", "\n".join(" " * n + "a:" for n in range(2000))
    yield "long key", f"{'k' * 3_000_000}: 1\n"
    yield "many keys", "".join(f"k{n}: 1\n" for n in range(100_000))
    yield "scalar", "3\n"
    yield "list", "- model\n- data\n"
    yield "twice", "seed: 1\nseed: 2\n"
    yield "tabs", "model:\n\tname: x\n"
    yield "half", "model: {name: x\n"
    yield "nul", "seed: 1\0\n"
    yield "two documents", "seed: 1\n---\nseed: 2\n"
    for section in ("model", "data", "optimizer", "trainer", "loss", "protocol"):
        for value in ("null", "3", "[]", "x", "{nothing: 1}", "true"):
            yield f"{section} is {value}", f"{section}: {value}\n"
    for option in ("profiler", "strategy", "accelerator", "logger", "callbacks", "plugins", "precision"):
        yield f"class path {option}", f"trainer:\n  {option}:\n    class_path: canary.Thing\n"
        yield (
            f"init args {option}",
            (
                f"trainer:\n  {option}:\n    class_path: lightning.pytorch.profilers.SimpleProfiler\n"
                "    init_args: {dirpath: elsewhere, filename: PWNED}\n"
            ),
        )
    for name, value in {
        "seed": 10**30, "trainer.max_epochs": -5, "trainer.devices": -2, "trainer.devices ": 10**6,
        "optimizer.lr": float("nan"), "data.batch_size": 10**9, "data.workers": 10**6, "ema": 2,
        "data.scale": [0, 1e9], "data.crop": [10**9, 10**9], "trainer.max_time": "never",
        "trainer.limit_val_batches": -1, "trainer.gradient_clip_val": float("inf"), "save_every": 0,
    }.items():  # fmt: skip
        section, _, option = name.strip().rpartition(".")
        text = f"{option}: {json.dumps(value)}\n"
        yield f"{name.strip()} {value}", f"{section}:\n  {text}" if section else text


def broken_json(good: dict[str, Any], seed: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (name, text) with each entry of an object replaced by other things, or gone."""
    yield "null", "null"
    yield "list", "[]"
    yield "half", json.dumps(good)[:-5]
    yield "deep", "[" * 100_000
    yield "extra key", json.dumps(good | {"nothing_that_we_know": 1})
    chance = random.Random(seed)
    for name in good:
        yield f"no {name}", json.dumps({key: value for key, value in good.items() if key != name})
        for thing in chance.sample(THINGS, 6):
            yield f"{name} is {thing!r}", json.dumps(good | {name: thing})


def broken_tables() -> Iterator[tuple[str, bytes, str]]:
    """Yield (name, bytes, suffix) of tables with columns `sequence` and `label`, more or less."""
    rows = [f"{'ACGT' * (n % 5 + 1)},{'xy'[n % 2]}" for n in range(40)]
    good = "\n".join(["sequence,label", *rows]) + "\n"
    yield "semicolons", good.replace(",", ";").encode(), ".csv"
    yield "sep line", b"sep=,\n" + good.encode(), ".csv"
    yield "utf-16", good.encode("utf-16"), ".csv"
    yield "latin-1", good.replace("A", "\xe4").encode("latin-1"), ".csv"
    yield "bom", b"\xef\xbb\xbf" + good.encode(), ".csv"
    yield "stray quote", good.replace("ACGT,", 'AC"GT,', 1).encode(), ".csv"
    yield "open quote", good.replace("ACGT,", '"ACGT,', 1).encode(), ".csv"
    yield "nul", good.replace("A", "\0").encode(), ".csv"
    yield "duplicate columns", good.replace("label", "sequence").encode(), ".csv"
    yield "no header", "\n".join(rows).encode(), ".csv"
    yield "header alone", b"sequence,label\n", ".csv"
    yield "empty rows", good.replace("\n", "\n\n").encode(), ".csv"
    yield "missing cells", good.replace(",x", "").encode(), ".csv"
    yield "one class", good.replace(",y", ",x").encode(), ".csv"
    yield "many columns", (",".join(f"c{n}" for n in range(100_000)) + "\n").encode() * 3, ".csv"
    yield "a long field", b"sequence,label\n" + b"A" * 30_000_000 + b",x\n", ".csv"
    yield "one long line", b"A" * 50_000_000, ".tsv"
    # Packed streams may follow one another: 2 GiB of zeros, and one field of 3 GiB, in a moment.
    for suffix, pack in {".xz": partial(lzma.compress, preset=1), ".gz": gzip.compress}.items():
        yield "bomb of zeros", pack(bytes(2**26)) * 32, f".tsv{suffix}"
        yield "bomb of one field", pack(b"sequence,label\n") + pack(b"A" * 2**26) * 48, f".csv{suffix}"
    lists = "".join(json.dumps({"sequence": [n, n + 1], "label": "xy"[n % 2]}) + "\n" for n in range(30))
    yield "lists", lists.encode(), ".jsonl"
    yield "lists of lists of lists", lists.replace("[", "[[[").replace("]", "]]]").encode(), ".jsonl"
    yield "numbers", lists.replace('"x"', "1e400").encode(), ".jsonl"
    yield "NaN", lists.replace("[0,", "[NaN,").encode(), ".jsonl"
    yield "deep", b"[" * 1_000_000, ".jsonl"
    yield "duplicate keys", lists.replace('"label"', '"sequence"').encode(), ".jsonl"
    yield "arrays", b"[1, 2]\n" * 30, ".jsonl"
    yield "surrogates", b'{"sequence": "\\ud800", "label": "x"}\n' * 30, ".jsonl"
    for number, (name, data) in enumerate(broken_bytes(good.encode(), seed=3)):
        yield name, data, (".csv", ".tsv", ".jsonl")[number % 3]


def png(width: int, height: int, depth: int = 8, color: int = 0, data: bytes = b"") -> bytes:
    """Return a PNG whose header says this, whatever its data say."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    packed = zlib.compress(data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def broken_pictures(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of files called x.png."""
    yield "header of 50,000 x 50,000", png(50_000, 50_000)
    yield "13,000 x 13,000", png(13_000, 13_000, data=bytes(13_000 * 13_001))
    yield "0 x 0", png(0, 0)
    yield "2^31 wide", png(2**31 - 1, 1)
    yield "eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(PWNED) (w) file closefile\n"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"
    yield "bmp header", b"BM" + struct.pack("<IHHIIiiHH", 10**6, 0, 0, 54, 40, 10**5, 10**5, 1, 24)
    yield "gif header", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
    yield "tiff header", b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535)
    yield "webp", b"RIFF\xff\xff\xff\xffWEBPVP8 "
    yield "psd", b"8BPS\0\1" + bytes(20)
    yield from broken_bytes(good, seed=5, flips=30)

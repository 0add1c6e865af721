"""Any bytes give records or one sentence, in every reader of files of sequences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subquad.tasks.sequences.data import BYTES, DNA, LISTOPS, SequenceOptions, check_sequences, open_sequences
from subquad.tasks.sequences.data.unlabelled import encode_all, read_unlabelled, unlabelled_encoder
from subquad.tasks.sequences.data.values import parse_numbers
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary

QUICK = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Bytes that readers look at, among any others.
PIECES = [
    b"sequence", b"label", b",", b";", b"\t", b'"', b"'", b"\n", b"\r\n", b"\r", b"sep=;\n", b">", b">x\n",
    b"ACGT", b"acgu", b"MKVLPE", b" ", b"12", b"-", b"*", b"1e39", b"nan", b"-1", b"1,5", b"[", b"]", b"{",
    b"}", b":", b'{"sequence": ', b'"label": 1}', b"[1, 2]", b"true", b"null", b"[MAX", b"\0", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\xc3\xa9", b"\\ud800", b"9" * 30, b"[" * 3000, b"0 1 2 3", b"Source\tTarget\n",
    b"\x1f\x8b",
]  # fmt: skip
NUMBERS = ["1", "-2.5", "1e39", "1e-60", "[", "]", ",", " ", "inf", "1_0", "null"]
ARRAYS = st.dictionaries(
    st.sampled_from(["header", "bodies", "offsets", "labels"]), st.lists(st.integers(-3, 300), max_size=4)
)
ANY = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
HEADED = ANY.map(lambda data: b"sequence,label\nAC,x\n" + data)


def one_sentence(read: Callable[[], Any]) -> Any:
    """Return what is read, or None after one line of complaint; anything else is a fault."""
    try:
        return read()
    except (ValueError, OSError) as error:
        assert str(error) and len(str(error).splitlines()) == 1, repr(str(error))
        return None


def well_formed(splits: dict[str, Any] | None) -> None:
    for data in (splits or {}).values():
        for index in range(len(data)):
            inputs, target = data[index]
            assert len(inputs) and inputs.isfinite().all()
            assert target == target and abs(target) <= torch.finfo(torch.float32).max


TABLES = [
    ("a.csv", {"tokens": "characters"}),
    ("a.csv", {"tokens": "words", "case": "lower"}),
    ("a.csv", {"tokens": "ids"}),
    ("a.csv", {"tokens": "numbers", "task": "regression"}),
    ("a.csv", {"tokens": "bytes", "header": False, "sequence_column": "0", "label_column": "1"}),
    ("a.tsv", {"tokens": "characters"}),
    ("a.jsonl", {"tokens": "ids"}),
    ("a.jsonl", {"tokens": "words"}),
    ("a.jsonl", {"tokens": "numbers"}),
    ("a.csv.gz", {}),
    ("genes.csv", {"name": "genome"}),
    ("basic.tsv", {"name": "listops"}),
]


@pytest.mark.parametrize(("name", "options"), TABLES, ids=lambda value: str(value)[:40])
@given(data=st.one_of(ANY, HEADED))
@QUICK
def test_tables(name: str, options: dict[str, Any], data: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    whole = SequenceOptions(file=str(path), val_fraction=0, test_fraction=0, **options)
    opened = one_sentence(lambda: open_sequences(whole))
    well_formed(opened)
    report = one_sentence(lambda: check_sequences(whole))
    if report is not None:
        assert len(str(report).splitlines()) < 200
        assert opened is not None or not report.ok  # what is refused is a problem


@pytest.mark.parametrize("name", ["a.fa", "a.txt", "b/c.fa"])
@pytest.mark.parametrize("kind", ["genome", "long_document"])
@given(data=ANY)
@QUICK
def test_folders(kind: str, name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    whole = SequenceOptions(
        "genome" if kind == "genome" else "long_document", str(tmp_path), val_fraction=0, test_fraction=0
    )
    well_formed(one_sentence(lambda: open_sequences(whole)))
    one_sentence(lambda: check_sequences(whole))


@pytest.mark.parametrize(
    "vocabulary",
    [None, BYTES, DNA, LISTOPS, learned_vocabulary("ACGT", "characters"), learned_vocabulary("ab", "words")],
    ids=["numbers", "bytes", "bases", "listops", "characters", "words"],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.fa", "a.txt", "a.txt.gz"])
@given(data=ANY)
@settings(QUICK, max_examples=12)
def test_what_a_network_is_asked(vocabulary: Any, name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    problems: list[str] = []
    options = SequenceOptions(
        tokens="words" if vocabulary is not None and vocabulary.unit == "words" else "characters"
    )
    records = one_sentence(lambda: read_unlabelled(path, options, vocabulary, problems.append)) or []
    for _, inputs in encode_all(records, unlabelled_encoder(vocabulary), 1, problems.append):
        assert len(inputs) and inputs.isfinite().all()
    assert all(len(problem.splitlines()) == 1 for problem in problems)


@given(text=st.one_of(st.text(max_size=30), st.lists(st.sampled_from(NUMBERS), max_size=9).map("".join)))
@QUICK
def test_numbers(text: str) -> None:
    values = one_sentence(lambda: parse_numbers(text))
    if values is not None:
        assert values.dtype == torch.float32 and values.dim() == 2 and values.isfinite().all()


@given(data=ANY, arrays=ARRAYS)
@QUICK
def test_packed_pictures(data: bytes, arrays: dict[str, list[int]], tmp_path: Path) -> None:
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", **{key: np.array(value) for key, value in arrays.items()})
    one_sentence(lambda: open_sequences(SequenceOptions("image", str(tmp_path))))
    (tmp_path / "train.npz").write_bytes(data)
    one_sentence(lambda: open_sequences(SequenceOptions("image", str(tmp_path))))

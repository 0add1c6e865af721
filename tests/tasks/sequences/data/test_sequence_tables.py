"""Tables of a user's own, whole and broken."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
import torch

from subquad.tasks.sequences.data import (
    SequenceData,
    SequenceDataset,
    SequenceOptions,
    check_sequences,
    open_sequences,
)

WHOLE = {"val_fraction": 0.0, "test_fraction": 0.0}
ROWS = "sequence,label\nab,x\nbca,y\n"


def table(path: Path, text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    packed = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)(data)
    path.write_bytes(packed)
    return str(path)


def opened(file: str, **options: Any) -> SequenceDataset:
    return open_sequences(SequenceOptions("csv", file=file, **WHOLE | options))["train"]


def decoded(data: SequenceDataset, index: int) -> str:
    assert data.info.vocabulary is not None
    return data.info.vocabulary.decode(data[index].inputs)


@pytest.mark.parametrize("packing", ["", ".gz", ".xz"])
@pytest.mark.parametrize(
    "kind, text",
    [
        (".csv", '\ufefflabel,"sequence"\r\nx,"a,b"\r\ny,"c ""d"""\r\n'),
        (".tsv", 'id\tsequence\tlabel\n1\ta,b\tx\n2\tc "d"\ty\n\n'),
        (".jsonl", '{"label": "x", "sequence": "a,b"}\n{"sequence": "c \\"d\\"", "label": "y"}\n'),
    ],
)
def test_kinds_of_tables(kind: str, text: str, packing: str, tmp_path: Path) -> None:
    data = opened(table(tmp_path / f"my{kind}{packing}", text))
    vocabulary = data.info.vocabulary
    assert vocabulary is not None and data.info.class_names == ("x", "y") and data.info.length == 5
    assert [vocabulary.decode(data[i].inputs) for i in range(2)] == ["a,b", 'c "d"']
    assert [data[i].target for i in range(2)] == [0, 1]


def test_tokens(tmp_path: Path) -> None:
    words = opened(table(tmp_path / "w.csv", "sequence,label\nto be or,1\nnot to,10\nbe,2\n"), tokens="words")
    assert words[0].inputs.tolist() == [3, 0, 2] and words.info.class_names == ("1", "2", "10")
    assert words.lengths is not None and words.lengths.tolist() == [3, 2, 1]
    ids = opened(table(tmp_path / "i.csv", "sequence,label\n3 0 7,a\n1,b\n"), tokens="ids")
    assert ids[0].inputs.tolist() == [3, 0, 7] and len(ids.info.vocabulary or ()) == 11
    coded = opened(table(tmp_path / "b.csv", "sequence,label\né,a\n1,b\n"), tokens="bytes")
    assert coded[0].inputs.tolist() == [0xC3, 0xA9]
    real = opened(
        table(tmp_path / "n.csv", "sequence,label\n1.5 2 -3e2,0.25\n4,1\n"),
        tokens="numbers",
        task="regression",
    )
    assert real[0].inputs.tolist() == [[1.5], [2], [-300]] and real[0].inputs.dtype == torch.float32
    assert (real[0].target, real.info.in_features, real.info.class_names) == (0.25, 1, ())
    rows = [{"sequence": [[1, 2], [3, 4.5]], "label": 1}, {"sequence": [[0, 0]], "label": 0}]
    pairs = opened(table(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows))), tokens="numbers", cls=True)
    assert pairs[0].inputs.tolist() == [[0, 0], [1, 2], [3, 4.5]] and pairs.info.in_features == 2
    assert pairs[0].target == 1 and pairs.info.length == 3


def test_characters_that_json_writes_in_halves(tmp_path: Path) -> None:
    row = json.dumps({"sequence": "a😀", "label": 1})
    assert r"\ud83d\ude00" in row
    data = opened(table(tmp_path / "a.jsonl", row), tokens="bytes")
    assert data.lengths is not None and data.lengths.tolist() == [5] == [len(data[0].inputs)]


def test_without_header(tmp_path: Path) -> None:
    file = table(tmp_path / "n.tsv", "x\tab\ny\tba\n")
    data = opened(file, header=False, sequence_column="1", label_column="0")
    assert len(data) == 2 and data.info.class_names == ("x", "y")


def test_given_files_and_folders(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", ROWS)
    table(tmp_path / "dev.csv.gz", "sequence,label\nzz,y\n")
    splits = open_sequences(SequenceOptions(root=str(tmp_path), test_fraction=0))
    assert list(splits) == ["train", "val"] and splits["val"][0].target == 1
    assert splits["val"][0].inputs.tolist() == [3, 3]  # unknown to training
    files = {"file": str(tmp_path / "train.csv"), "test_file": str(tmp_path / "dev.csv.gz")}
    assert list(open_sequences(SequenceOptions(**files, val_fraction=0))) == ["train", "test"]


def test_split_is_stratified_and_seeded(tmp_path: Path) -> None:
    rows = "".join(f"{n:03},{'rare' if n < 10 else 'often'}\n" for n in range(100)) + "solo,once\n"
    file = table(tmp_path / "a.csv", "sequence,label\n" + rows)
    splits = [open_sequences(SequenceOptions(file=file, seed=seed)) for seed in (0, 0, 1)]
    texts = [
        {
            name: [data.info.vocabulary.decode(data[i].inputs) for i in range(len(data))]
            for name, data in s.items()
        }  # type: ignore[union-attr]
        for s in splits
    ]
    assert texts[0] == texts[1] != texts[2]
    for parts in texts:
        assert [len(parts[name]) for name in ("train", "val", "test")] == [81, 10, 10]
        assert len({text for part in parts.values() for text in part}) == 101
        assert [sum(text < "010" for text in parts[name]) for name in ("val", "test")] == [1, 1]
        assert "solo" in parts["train"]


def test_equal_sequences_stay_on_one_side(tmp_path: Path) -> None:
    rows = "".join(f"{n % 20:03},{'x' if n % 2 else 'y'}\n" for n in range(100))
    splits = open_sequences(
        SequenceOptions(file=table(tmp_path / "a.csv", "sequence,label\n" + rows), val_fraction=0.2)
    )
    texts = [{tuple(data[i].inputs.tolist()) for i in range(len(data))} for data in splits.values()]
    assert list(map(len, texts)) == [14, 4, 2] and list(map(len, splits.values())) == [70, 20, 10]


def test_tables_too_small_to_split(tmp_path: Path) -> None:
    file = table(tmp_path / "four.csv", ROWS + "cc,x\nb,y\n")
    remedy = r"; give val_file \(--data.val_file\) or more rows, or, with root, val beside train\.$"
    with pytest.raises(ValueError, match=f"^4 sequences leave none for val{remedy}"):
        open_sequences(SequenceOptions(file=file))
    assert (
        check_sequences(SequenceOptions(file=file)).problems[0].startswith("4 sequences leave none for val")
    )
    data = SequenceData(SequenceOptions(file=file, val_file=file))  # training can do without testing
    with pytest.raises(ValueError, match=r"^4 sequences leave none for test; give test_file"):
        data.test_dataloader()


BROKEN: dict[str, tuple[str, str | bytes, dict[str, Any], str]] = {
    "column": (
        "a.csv",
        "text,class\nab,x\n",
        {},
        r"row 2: .* 'sequence'; its columns are 'text', 'class'; give .*\(--data.label_column\)\.$",
    ),
    "label column": (
        "a.csv",
        ROWS,
        {"label_column": "y"},
        "no column 'y'; its columns are 'sequence', 'label'",
    ),
    "key": (
        "a.jsonl",
        '{"text": "ab"}\n',
        {},
        "row 1: there is no column 'sequence'; its columns are 'text'",
    ),
    "empty row": ("a.csv", "sequence,label\nab,x\n\nb,y\n", {}, "row 3: the row is empty"),
    "empty row of commas": ("a.csv", "sequence,label\nab,x\n,\nb,y\n", {}, "row 3: the row is empty"),
    "empty sequence": ("a.csv", "sequence,label\nab,x\n ,y\n", {}, "row 3: the sequence is empty"),
    "empty label": ("a.jsonl", '{"sequence": "ab", "label": null}\n', {}, "row 1: the label is empty"),
    "cells": ("a.csv", "sequence,label\na,b,x\n", {}, "row 2: there are 3 cells for 2 columns"),
    "no rows": ("a.csv", "sequence,label\n", {}, "holds no row with a sequence and a label"),
    "nothing": ("a.csv", "", {}, "holds no row with a sequence and a label"),
    "no number": (
        "a.csv",
        ROWS,
        {"task": "regression"},
        r"row 2: the label 'x' is no finite number; .* task=classification \(--data.task classification\)",
    ),
    "infinite": (
        "a.csv",
        "sequence,label\na,inf\n",
        {"task": "regression"},
        "the label 'inf' is no finite number",
    ),
    "json": ("a.jsonl", '{"sequence": "a", "label": 1}\n{"seq\n', {}, r"row 2: the line is no JSON \("),
    "list": ("a.jsonl", "[1, 2]\n", {}, "row 1: the line is no JSON object"),
    "utf-8": (
        "a.csv",
        b"sequence,label\na\xe9,x\n",
        {},
        "a.csv is not UTF-8, it holds the byte 0xe9; save it as UTF-8",
    ),
    "half a character": (
        "a.jsonl",
        '{"sequence": "a", "label": 1}\n{"sequence": "b\\ud83d", "label": 1}\n',
        {"tokens": "bytes"},
        r"row 2: it holds '\\ud83d', half of a character",
    ),
    "half a label": (
        "a.jsonl",
        '{"sequence": "a", "label": "\\udc80"}\n',
        {},
        r"row 1: it holds '\\udc80', half of a character",
    ),
    "quotes": ("a.csv", 'sequence,label\n"ab,x\n', {}, "cannot be read as a table"),
    "kind": ("a.xls", "x", {}, "is no table; take .csv, .tsv, .jsonl"),
    "ids": (
        "a.csv",
        "sequence,label\n1 -2,x\n",
        {"tokens": "ids"},
        r"row 2: '-2' .* \(--data.tokens words\)",
    ),
    "large ids": (
        "a.csv",
        "sequence,label\n99999999 1,x\n",
        {"tokens": "ids"},
        r"row 2: the id 99999999 is above .* \(--data.tokens words\)",
    ),
    "numbers": (
        "a.csv",
        "sequence,label\n1 b,x\n",
        {"tokens": "numbers"},
        "row 2: '1 b' is no sequence of numbers",
    ),
    "ragged": (
        "a.jsonl",
        '{"sequence": [[1], [1, 2]], "label": 1}',
        {"tokens": "numbers"},
        "is no sequence of numbers",
    ),
    "hollow": (
        "a.jsonl",
        '{"sequence": [], "label": 1}',
        {"tokens": "numbers"},
        "holds no sequence of numbers",
    ),
    "nan": ("a.csv", "sequence,label\n1 nan,x\n", {"tokens": "numbers"}, "holds a number that is not finite"),
    "features": (
        "a.jsonl",
        '{"sequence": [1], "label": 1}\n{"sequence": [[1, 2]], "label": 1}',
        {"tokens": "numbers"},
        "row 2: 2 values at each position, but 1 in .*row 1",
    ),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_broken_tables_say_what_and_where(
    case: tuple[str, str | bytes, dict[str, Any], str], tmp_path: Path
) -> None:
    name, text, options, message = case
    with pytest.raises(ValueError, match=message) as error:
        opened(table(tmp_path / name, text), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("packing", [".gz", ".xz"])
def test_broken_packing(packing: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.csv{packing}"
    whole = Path(table(path, "sequence,label\n" + "abc,x\n" * 5000)).read_bytes()
    for data in (whole[: len(whole) // 2], b"no such packing", whole[:20] + bytes(20) + whole[40:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"a.csv{packing} cannot be unpacked .*cut off or corrupt"):
            opened(str(path))


def test_missing_file(tmp_path: Path) -> None:
    table(tmp_path / "mine.csv", ROWS)
    with pytest.raises(
        FileNotFoundError, match=r"there is no file .*my.csv; .* holds mine.csv; correct the path"
    ):
        opened(str(tmp_path / "my.csv"))
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a/b/my.csv; .* holds mine.csv"):
        opened(str(tmp_path / "a/b/my.csv"))


def test_class_of_testing_alone(tmp_path: Path) -> None:
    test = table(tmp_path / "test.csv", "sequence,label\na,x\nb,z\n")
    with pytest.raises(
        ValueError, match=r"row 3: the class 'z' occurs in test, but not in training \(x, y\)"
    ):
        opened(table(tmp_path / "train.csv", ROWS), test_file=test)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "adding", "length": 0}, "length must be at least 1, got 0"),
        ({"name": "dna"}, "name='dna': take one of adding, order"),
        ({"tokens": "letters"}, "tokens='letters': take one of characters"),
        ({"val_fraction": 0.6, "test_fraction": 0.4}, "leave something for training"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceOptions(**options)

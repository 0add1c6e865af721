"""ListOps: the generator against its grammar, the evaluator against 10,000 published rows."""

import lzma
import math
from pathlib import Path
from typing import Any

import pytest

from subquad.base.seeds import mix_seed
from subquad.tasks.sequences.data import LISTOPS, ListOps, SequenceOptions, evaluate_listops, open_sequences

SAMPLES = 150


def parse(tokens: list[str]) -> tuple[Any, int]:
    """Return a nested list, and how many tokens it took: written apart from the code under test."""
    if tokens[0].isdigit():
        return int(tokens[0]), 1
    tree, position = [tokens[0]], 1
    while tokens[position] != "]":
        child, used = parse(tokens[position:])
        tree.append(child)
        position += used
    return tree, position + 1


def depth(tree: Any) -> int:
    return 1 if isinstance(tree, int) else 1 + max(map(depth, tree[1:]))


def operations(tree: Any) -> list[list[Any]]:
    return [] if isinstance(tree, int) else [tree, *(op for child in tree[1:] for op in operations(child))]


def value(tree: Any) -> int:
    if isinstance(tree, int):
        return tree
    values = sorted(map(value, tree[1:]))
    half = len(values) // 2
    middle = values[half] if len(values) % 2 else math.floor((values[half - 1] + values[half]) / 2)
    return {"[MIN": values[0], "[MAX": values[-1], "[MED": middle, "[SM": sum(values) % 10}[tree[0]]


def test_samples_follow_the_grammar() -> None:
    data, arguments, names, leaves, children = ListOps(SAMPLES), [], [], 0, 0
    for index in range(SAMPLES):
        inputs, target = data[index]
        tokens = LISTOPS.decode(inputs).split()
        assert 500 < len(tokens) < 2000 and len(inputs) == len(tokens)
        tree, used = parse(tokens)
        assert used == len(tokens) and depth(tree) <= 10
        assert target == value(tree) == evaluate_listops(tokens) == evaluate_listops(" ".join(tokens))
        for operation in operations(tree):
            arguments.append(len(operation) - 1)
            names.append(operation[0])
            children += len(operation) - 1
            leaves += sum(isinstance(child, int) for child in operation[1:])
    assert set(arguments) == set(range(2, 11))
    assert all(names.count(name) / len(names) == pytest.approx(0.25, abs=0.02) for name in set(names))
    assert len(set(names)) == 4 and leaves / children == pytest.approx(0.8, abs=0.06)


def test_lengths_are_those_of_the_rules() -> None:
    """Quantiles of 2,000 accepted trees of an independent simulation."""
    lengths = sorted(len(ListOps(400)[index].inputs) for index in range(400))
    for part, expected in {0.25: 703, 0.5: 959, 0.75: 1336}.items():
        assert lengths[int(part * 400)] == pytest.approx(expected, rel=0.1)


def test_a_sample_is_a_function_of_seed_split_and_index() -> None:
    seen = set()
    for seed in (0, 1):
        for split in ("train", "val", "test"):
            data = ListOps(10, seed=seed, split=split)
            seen |= {tuple(data[index].inputs.tolist()) for index in range(10)}
            assert data[3].inputs.equal(ListOps(100, seed=seed, split=split)[3].inputs)
    assert len(seen) == 60


def test_short_expressions() -> None:
    lengths = [len(ListOps(200, shortest=25, longest=101)[index].inputs) for index in range(200)]
    assert min(lengths) > 25 and max(lengths) <= 100
    data = open_sequences(SequenceOptions("listops", length=100, samples=20))["train"]
    assert data.info.length == 100 and all(25 < len(data[i].inputs) <= 100 for i in range(20))
    assert data.lengths is None


def test_the_usual_length_may_be_given() -> None:
    given, usual = (
        open_sequences(SequenceOptions("listops", length=length))["train"] for length in (1999, None)
    )
    assert isinstance(given, ListOps) and isinstance(usual, ListOps)
    assert (given.shortest, given.longest) == (usual.shortest, usual.longest) == (500, 2000)
    for length in (4, 5, 7, 11, 200):
        data = open_sequences(SequenceOptions("listops", length=length, samples=20))["train"]
        assert all((length + 1) // 4 < len(data[index].inputs) <= length for index in range(20))


def test_tokens_have_the_numbers_of_the_original() -> None:
    assert [LISTOPS.tokens[i] for i in (0, 9, 10, 11, 12, 13, 14)] == [*"09]", "[MAX", "[MED", "[MIN", "[SM"]
    assert (LISTOPS.pad_id, LISTOPS.cls_id, len(LISTOPS)) == (15, 16, 17)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("7", 7),
        ("( ( ( [MAX 3 ) 5 ) ] )", 5),
        ("[MED 1 4 ]", 2),
        ("[MED 1 4 5 ]", 4),
        ("[SM 9 9 [MIN 3 2 X ]", 0),
    ],
)
def test_evaluator(text: str, expected: int) -> None:
    assert evaluate_listops(text) == expected


@pytest.mark.parametrize("text", ["", "[MAX 1 2", "1 2", "]", "[MAX ]", "[FIRST 1 2 ]", "12", "[MAX 1 2 ] ]"])
def test_evaluator_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="ListOps"):
        evaluate_listops(text)


def test_limits() -> None:
    with pytest.raises(ValueError, match="more than 500 and fewer than 501"):
        ListOps(1, longest=501)
    assert ListOps(1).expression(mix_seed(0, 0, 0))[1] == ListOps(1)[0].target


@pytest.mark.data
def test_evaluator_agrees_with_the_original(shared_data: Path) -> None:
    path = shared_data / "listops_original_test" / "test_d20s.tsv.xz"
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    assert len(rows) == 10_000
    assert all(evaluate_listops(text) == int(label) for label, text in rows)
    splits = open_sequences(SequenceOptions("listops", file=str(path)))
    assert sum(map(len, splits.values())) == 10_000 and splits["train"].info.length == 939


def write(path: Path, rows: list[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_files_of_both_layouts(tmp_path: Path) -> None:
    for split, label in {"train": 5, "val": 3, "test": 5}.items():
        write(
            tmp_path / "lra" / f"basic_{split}.tsv",
            ["Source\tTarget", f"( ( ( [MAX 3 ) {label} ) ] )\t{label}"],
        )
    splits = open_sequences(SequenceOptions("listops", root=str(tmp_path / "lra")))
    assert list(splits) == ["train", "val", "test"]
    inputs, target = splits["train"][0]
    assert inputs.tolist() == [11, 3, 5, 10] and target == 5
    file = write(tmp_path / "original.tsv", ["4\t( ( ( [MED 4 ) 5 ) ] )", "7\t7"])
    data = open_sequences(SequenceOptions("listops", file=file, val_fraction=0, test_fraction=0))["train"]
    assert [data[i].target for i in range(2)] == [4, 7] and data[1].inputs.tolist() == [7]
    broken = write(tmp_path / "broken.tsv", ["Source\tTarget", "7\t7", "[MAX 1 2 ]"])
    with pytest.raises(ValueError, match="row 3: it is not an expression, a tab, and a digit"):
        open_sequences(SequenceOptions("listops", file=broken))
    header = write(tmp_path / "header.tsv", ["Source\tTarget"])
    with pytest.raises(ValueError, match="header.tsv holds no expression"):
        open_sequences(SequenceOptions("listops", file=header))
    unknown = write(tmp_path / "unknown.tsv", ["5\t[FIRST 5 2 ]"])
    with pytest.raises(ValueError, match=r"row 1: '\[FIRST' is none of the tokens"):
        open_sequences(SequenceOptions("listops", file=unknown, val_fraction=0, test_fraction=0))

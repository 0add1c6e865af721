"""What the cells of tables say: lists, numbers, labels, and what is none of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from subquad.base.limits import LARGEST_ID, LARGEST_WIDTH
from subquad.tasks.sequences.data import SequenceOptions, check_sequences, open_sequences
from subquad.tasks.sequences.data.cells import label_text, sequence_text
from subquad.tasks.sequences.data.values import parse_numbers
from subquad.tasks.sequences.data.vocabulary import numbered_vocabulary


@pytest.mark.parametrize(
    ("value", "tokens", "text"),
    [
        ([3, 17, 0], "ids", "3 17 0"),
        (["3", "17"], "ids", "3 17"),
        (5, "ids", "5"),
        ("[3, 17]", "ids", "3 17"),
        ("3 17", "ids", "3 17"),
        (["to", "be"], "words", "to be"),
        ([3, 17], "words", "3 17"),
        ("[MAX 2 3 ]", "words", "[MAX 2 3 ]"),
        ("[1]", "words", "[1]"),
        ("[1, 2]", "characters", "[1, 2]"),
        (1234, "characters", "1234"),
        ([1.5, 2], "numbers", "[1.5, 2]"),
        (None, "words", ""),
        ([], "words", ""),
    ],
)
def test_a_list_is_its_items(value: Any, tokens: Any, text: str) -> None:
    assert sequence_text(value, tokens) == text


@pytest.mark.parametrize(
    ("value", "tokens", "message"),
    [
        (
            ["to", "be"],
            "characters",
            r'\["to", "be"\] is a list, not a text of characters; give --data.tokens',
        ),
        ([3, 17], "bytes", "is a list, not a text of bytes"),
        ([[3], [17]], "ids", r"\[3\] in a list is no word and no whole number; give a plain list"),
        ([["a"]], "words", "in a list is no word"),
        ([3.0, 17.0], "ids", r"3.0 is a real number; give tokens=numbers \(--data.tokens numbers\)"),
        ([1, True], "ids", "true in a list is no word"),
        (["a", None], "words", "null in a list is no word"),
        (["New York"], "words", "'New York' in a list is not one word"),
        (["a", ""], "words", "'' in a list is not one word"),
        ("['to', 'be']", "words", "is a list written as text"),
        ("[3, 17]", "words", "is a list written as text"),
        (0.5, "characters", "0.5 is a real number"),
        (True, "characters", "true is no sequence"),
        ({"a": 1}, "numbers", "is no sequence; give a text or a list"),
    ],
)
def test_what_is_no_sequence_is_refused(value: Any, tokens: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        sequence_text(value, tokens)
    assert "\n" not in str(error.value)


def test_a_label_is_one_value() -> None:
    assert [label_text(value) for value in (" x ", 3, True, None)] == ["x", "3", "true", ""]
    for value in ([0, 1], {"a": 1}, float("nan")):
        with pytest.raises(ValueError, match="is not one value"):
            label_text(value)


def lines(path: Path, *rows: str) -> SequenceOptions:
    path.write_text("\n".join(rows) + "\n")
    return SequenceOptions(file=str(path), val_fraction=0, test_fraction=0, tokens="words")


def test_lists_of_json_are_read_token_by_token(tmp_path: Path) -> None:
    rows = (json.dumps({"sequence": [3, 0, 7], "label": "x"}), '{"sequence": "1 2", "label": "y"}')
    options = lines(tmp_path / "a.jsonl", *rows)
    words = open_sequences(options)["train"].info.vocabulary
    assert words is not None and words.tokens[:5] == ("0", "1", "2", "3", "7")
    options.tokens = "ids"
    assert open_sequences(options)["train"][0].inputs.tolist() == [3, 0, 7]


def test_broken_objects_are_named(tmp_path: Path) -> None:
    options = lines(
        tmp_path / "a.jsonl",
        '{"sequence": "a", "label": "x"}',
        '{"sequence": "a", "sequence": "b", "label": "x"}',
        '{"sequence": ' + "[" * 100_000,
        '{"sequence": "b", "label": ["x"]}',
        '{"sequence": "b", "label": "y"}',
    )
    found = check_sequences(options).problems
    for problem, part in zip(
        found,
        (
            "row 2: the key 'sequence' occurs twice",
            "row 3: the line is nested too deeply",
            'row 4: the label ["x"] is not one value',
        ),
        strict=True,
    ):
        assert part in problem


def test_a_list_of_objects_is_no_json_lines(tmp_path: Path) -> None:
    options = lines(tmp_path / "a.jsonl", "[", '{"sequence": "a", "label": "x"}', "]")
    with pytest.raises(ValueError, match="a.jsonl: it is one JSON list; write one object"):
        open_sequences(options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1e39", "it holds 1e39, which float32 cannot hold"),
        ("1 -1e400", "a number that is not finite, -1e400;"),
        ("1 inf", "not finite, inf;"),
        ("[1, NaN]", "not finite, nan;"),
        ("[1, 1e39]", r"it holds 1e\+39, which float32"),
        ("[1, null]", "not finite, nan;"),
        ("1e-60 0", "it holds 1e-60 and nothing larger, which float32"),
        ("1,5 2,0", "a comma stands in it: write a decimal point"),
        ("1_000 2", "is no sequence of numbers"),
        ("[true, 2]", "is no sequence of numbers"),
        (f"[{'9' * 400}]", "is no sequence of numbers"),
        ("[[[1]]]", "holds no sequence of numbers"),
    ],
)
def test_numbers_that_float32_cannot_hold_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse_numbers(text)
    assert "\n" not in str(error.value)


def test_small_numbers_beside_others_are_zero() -> None:
    assert torch.equal(parse_numbers("1e-60 2"), torch.tensor([[0.0], [2.0]]))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("1e39", "the label '1e39' is a number which float32 cannot hold"),
        ("1e-60", "the label '1e-60' is a number which float32 cannot hold"),
        ("1e400", "the label '1e400' is no finite number"),
        ("1_0", "the label '1_0' is no finite number"),
        ('"1,5"', "the label '1,5' is no finite number .a comma stands in it: write a decimal point"),
    ],
)
def test_targets_that_float32_cannot_hold_are_refused(label: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"sequence,label\nab,1.5\nba,{label}\n")
    options = SequenceOptions(file=str(path), task="regression", val_fraction=0, test_fraction=0)
    with pytest.raises(ValueError, match=f"row 3: {message}"):
        open_sequences(options)
    assert message[:20] in check_sequences(options).problems[0]


def test_ids_with_thousands_of_digits_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"sequence,label\n1 2,x\n{'9' * 5000},y\n")
    with pytest.raises(ValueError, match="row 3: the id 99999999999999999999 is above"):
        open_sequences(SequenceOptions(file=str(path), tokens="ids", val_fraction=0, test_fraction=0))
    path.write_text(f"sequence,label\na,1\nb,{'9' * 5000}\n")
    assert len(open_sequences(SequenceOptions(file=str(path), val_fraction=0, test_fraction=0))["train"]) == 2


def test_the_largest_id_is_one_that_a_network_can_have() -> None:
    assert len(numbered_vocabulary(LARGEST_ID + 1)) == LARGEST_WIDTH

"""One folder is divided by a seed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subquad.tasks.segmentation.data.split import Split, seeded_split

NAMES = [f"p{n}" for n in range(60)]


def test_the_seed_decides_and_the_order_of_names_does_not() -> None:
    first = seeded_split(NAMES, seed=3)
    assert first == seeded_split(NAMES[::-1], seed=3) != seeded_split(NAMES, seed=4)
    assert len(first.val) == 12 and sorted(first.train + first.val) == sorted(NAMES)
    assert [*first.val] == sorted(first.val) and first.seed == 3
    # Written down: another version must not divide a run's pictures anew.
    assert seeded_split([f"p{n}" for n in range(6)], seed=0).val == ("p1",)


@given(st.lists(st.sets(st.integers(0, 6)), min_size=2, max_size=30), st.integers(0, 5))
def test_no_class_leaves_training(classes: list[set[int]], seed: int) -> None:
    """Unless one part must have a picture that alone shows a class."""
    of = {f"p{n}": kinds for n, kinds in enumerate(classes)}
    split = seeded_split([*of], of, seed=seed)
    assert split.train and split.val and not {*split.train} & {*split.val}
    counts = {kind: sum(kind in kinds for kinds in classes) for kind in range(7)}
    free = [name for name in of if all(counts[kind] > 1 for kind in of[name])]
    if len(split.val) == 1 and free:
        shown = set().union(*(of[name] for name in split.train))
        assert shown == set().union(*classes)


def test_a_rare_class_stays_in_training_and_comes_to_evaluation_if_there_are_two() -> None:
    for seed in range(20):
        of = {name: {0} for name in NAMES} | {"p7": {0, 1}, "p8": {0, 2}, "p9": {0, 2}}
        split = seeded_split(NAMES, of, seed=seed)
        assert "p7" in split.train and len({"p8", "p9"} & {*split.val}) == 1


def test_at_least_one_picture_each() -> None:
    assert len(seeded_split(["a", "b"], seed=0).val) == 1
    assert len(seeded_split(["a", "b", "c"], seed=0, share=0.99).train) == 1
    with pytest.raises(ValueError, match="one picture cannot be divided"):
        seeded_split(["a"], seed=0)
    with pytest.raises(ValueError, match="above 0 and below 1, got 1"):
        seeded_split(["a", "b"], seed=0, share=1)


def test_it_is_written_and_read(tmp_path: Path) -> None:
    split = Split(7, ("a", "ü b"), ("c",))
    split.write(tmp_path / "split.json")
    assert json.loads((tmp_path / "split.json").read_text()) == {
        "seed": 7,
        "train": ["a", "ü b"],
        "val": ["c"],
    }
    assert Split.read(tmp_path / "split.json") == split
    (tmp_path / "split.json").write_text('{"train": ["a"], "val": ["c"], "note": 1}')
    assert Split.read(tmp_path / "split.json") == Split(None, ("a",), ("c",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no split"),
        ("[]", "is no split"),
        ('{"train": ["a"]}', "is no split"),
        ('{"train": ["a"], "val": []}', "two lists of names"),
        ('{"train": "a", "val": ["b"]}', "two lists of names"),
        ('{"train": ["a", "b"], "val": ["b"]}', "has 'b' in both"),
        ("[" * 100000, "is no split"),
    ],
    ids=range(7),
)
def test_what_is_no_split_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Split.read(tmp_path / "x.json")


def test_names_that_are_gone(tmp_path: Path) -> None:
    Split(0, ("a",), ("b",)).check({"a", "b", "c"}, tmp_path)
    with pytest.raises(ValueError, match=r"1 of the 2 pictures of the split are not in .* any more \('b'\)"):
        Split(0, ("a",), ("b",)).check({"a"}, tmp_path)


def test_the_golden_of_classes() -> None:
    of: dict[str, Any] = {f"p{n}": {n % 3} for n in range(9)}
    assert seeded_split([*of], of, seed=1) == seeded_split([*of][::-1], of, seed=1)

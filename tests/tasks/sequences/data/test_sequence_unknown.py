"""Tokens that a network never saw are counted, named, and refused if they are many."""

from pathlib import Path

import pytest

from subquad.tasks.sequences.data import DNA, SequenceData, SequenceOptions, Vocabulary, check_sequences
from subquad.tasks.sequences.data.unknown import count_unknown, refuse_unknown
from subquad.tasks.sequences.data.vocabulary import in_case, learned_vocabulary

ACGT = learned_vocabulary("ACGT", "characters")


def test_unknown_tokens_are_counted_and_the_commonest_named() -> None:
    found = count_unknown(["ACGT", "AxxT", "xyzuvwA"], ACGT)
    assert (found.counts.total(), found.tokens, found.rows, found.all_rows) == (8, 15, 2, 3)
    assert found.sentence("the network") == (
        "8 of 15 tokens (53.3%) in 2 of 3 sequences are unknown to the network, read as <unk>: "
        "'x' (3), 'y' (1), 'z' (1), 'u' (1), 'v' (1) and 1 others"
    )
    assert not count_unknown(["ACGT"], ACGT).sentence("the network")


def test_a_fifth_is_let_through_and_no_more() -> None:
    refuse_unknown(count_unknown(["ACGTx"], ACGT), "a.csv", "the network", allowed=False)
    many = count_unknown(["ACGx"], ACGT)
    with pytest.raises(
        ValueError, match=r"a.csv: 25.0% of the tokens are unknown .* \(--data.unknown allow\)"
    ):
        refuse_unknown(many, "a.csv", "the network", allowed=False)
    refuse_unknown(many, "a.csv", "the network", allowed=True)


@pytest.mark.parametrize(
    ("vocabulary", "text", "remedy"),
    [
        (ACGT, "acgtX", "known in capitals: give case=upper (--data.case upper)"),
        (learned_vocabulary("acgt", "characters"), "ACGT", "known in small letters: give case=lower"),
        (learned_vocabulary(["good", "film"], "words"), "Good Film", "known in small letters"),
        (ACGT, "ACUU", "RNA has U for the T of DNA: write T for U"),
        (learned_vocabulary("ACGU", "characters"), "ACTT", "write U for T"),
        (DNA, "ACUU", "write T for U"),
        (ACGT, "WXYZ", "give sequences of the tokens of training"),
        (ACGT, "aWXYZ", "give sequences of the tokens of training"),
    ],
)
def test_a_remedy_fits(vocabulary: Vocabulary, text: str, remedy: str) -> None:
    assert remedy in count_unknown([text], vocabulary).remedy()


def test_letters_for_several_bases_are_no_fault() -> None:
    assert not DNA.unknown("acgtRYSWKMBDHVN") and DNA.unknown("acgtX!") == {"X": 1, "!": 1}


def test_case_is_that_of_each_character() -> None:
    assert in_case("straße", "upper") == "STRAßE" and in_case("İA", "lower") == "İa"
    upper = learned_vocabulary("aBß", "characters", "upper")
    assert upper.tokens[:3] == ("A", "B", "ß") and upper.encode("Abß").tolist() == [0, 1, 2]


def test_case_and_unknown_tokens_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("sequence,label\n" + "ACGT,x\nCAGT,y\n" * 3)
    (tmp_path / "val.csv").write_text("sequence,label\nacgt,x\nACGg,y\n")
    options = SequenceOptions(root=str(tmp_path), test_fraction=0, batch_size=1)
    found = SequenceData(options).unknown("val")
    assert found is not None and dict(found.counts) == {"a": 1, "c": 1, "g": 2, "t": 1} and found.too_many
    (problem,) = check_sequences(options).problems
    assert problem.startswith("val: 5 of 8 tokens (62.5%)") and "--data.case upper" in problem
    options.unknown = "allow"
    assert check_sequences(options).ok
    options.unknown, options.case = "refuse", "upper"
    assert check_sequences(options).ok
    found = SequenceData(options).unknown("val")
    assert found is not None and not found.counts
    with pytest.raises(ValueError, match="case='upper' is for characters and words"):
        SequenceOptions(tokens="ids", case="upper")


def test_some_new_words_are_usual(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("sequence,label\n" + "to be or,x\nnot to be,y\n")
    (tmp_path / "val.csv").write_text("sequence,label\nto be or not to seem,x\n")
    options = SequenceOptions(root=str(tmp_path), test_fraction=0, tokens="words")
    report = check_sequences(options)
    assert report.ok and "val: 1 of 6 tokens (16.7%)" in str(report)
    (tmp_path / "val.csv").write_text("sequence,label\nto seem,x\n")
    assert not check_sequences(options).ok

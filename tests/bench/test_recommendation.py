"""What to take is a function of the numbers: the fastest that hears of all, of equals attention."""

import dataclasses

import pytest

from subquad.bench.mixers import ATTENTION
from subquad.bench.recommendation import MixerRow, crossover, recommend
from subquad.bench.timing import Timing

GIB = 2**30


def row(name, ms, *, fewer=None, memory=1, is_global=True, skipped=""):
    time = None if skipped else Timing(ms, ms, ms)
    return MixerRow(name, "", is_global, 1, f"write({name})", time, ms, fewer, memory, skipped)


def chosen(*rows, memory=10):
    return recommend(rows, 1000, memory).choice


def test_attention_is_taken_when_it_is_faster():
    assert chosen(row(ATTENTION, 5), row("ham", 9)) == ATTENTION


def test_something_else_is_taken_when_it_is_faster():
    assert chosen(row(ATTENTION, 9), row("ham", 5), row("paramixer", 4)) == "paramixer"


@pytest.mark.parametrize(("ms", "choice"), [(10.9, ATTENTION), (11.1, "ham")])
def test_of_equals_the_first_is_taken(ms, choice):
    assert chosen(row(ATTENTION, ms), row("ham", 10)) == choice
    assert chosen(row(ATTENTION, 90), row("NMF", 10.5), row("VQ", 10)) == "NMF"


def test_what_hears_of_a_few_positions_is_never_taken():
    assert chosen(row(ATTENTION, 9), row("convolution", 1, is_global=False)) == ATTENTION


def test_what_does_not_fit_into_memory_is_not_taken():
    rows = row(ATTENTION, 1, memory=9 * GIB), row("ham", 50, memory=1)
    found = recommend(rows, 1000, 2 * GIB)
    assert found.choice == "ham" and "9.0 GiB of the 2.0 GiB" in found.sentences[0]
    with pytest.raises(ValueError, match="no mixer fits: ham takes 3.0 GiB of the 2.0 GiB"):
        recommend([row(ATTENTION, 1, memory=9 * GIB), row("ham", 1, memory=3 * GIB)], 1000, 2 * GIB)


def test_what_was_predicted_is_said_to_be():
    found = recommend([row(ATTENTION, 5000, skipped="long"), row("ham", 50)], 1000, 10)
    assert (
        found.sentences[0]
        == "Take ham: 50 ms, 100.0 times faster than attention (about 5e+03 ms, predicted)."
    )
    assert found.sentences[-2] == "Write write(ham)."
    assert "Not known" in found.sentences[-1]


def test_the_crossover_is_where_two_powers_meet():
    """n**2 / 1e6 against n / 1e3, at 4,000: they meet at 1,000; and at 16,000 against 32,000 / 1e3 n."""
    square, line = row(ATTENTION, 16, fewer=1), row("ham", 4, fewer=1)
    assert crossover(square, line, 4000) == crossover(line, square, 4000) == 1000
    assert crossover(square, row("ham", 32, fewer=8), 4000) == 8000
    assert crossover(line, row("other", 5, fewer=1.25), 4000) is None  # parallel
    assert crossover(square, row("ham", 0.5, fewer=0.125), 4000) is None  # at 125: not near
    assert crossover(square, row("ham", 4), 4000) is None  # not known


@pytest.mark.parametrize(
    ("attention", "ham", "told"),
    [
        ((16, 1), (4, 1), f"Below about 1,000 positions {ATTENTION} would be faster; there are 4,000."),
        ((16, 1), (32, 8), "Above about 8,000 positions ham would be faster; there are 4,000."),
        # As good as equal: attention is taken, though the other is a little faster already.
        ((16, 1), (15.5, 15.5 / 4), "Above about 3,875 positions ham would be faster; there are 4,000."),
        ((0.5, 1 / 32), (64, 16), None),
    ],
)
def test_where_it_turns_is_told_if_that_is_near(attention, ham, told):
    rows = [row(ATTENTION, attention[0], fewer=attention[1]), row("ham", ham[0], fewer=ham[1])]
    turns = [s for s in recommend(rows, 4000, 10).sentences if "would be faster" in s]
    assert turns == ([] if told is None else [told])


def test_of_several_rivals_the_fastest_is_where_attention_ends():
    rows = row(ATTENTION, 4, fewer=0.25), row("slow", 8, fewer=4), row("quick", 5, fewer=2)
    found = recommend(rows, 1000, 10)
    assert found.choice == ATTENTION
    assert any("quick would be faster" in sentence for sentence in found.sentences)


def test_a_ratio_below_one_is_not_called_faster():
    rows = row(ATTENTION, 5, memory=8 * GIB), row("ham", 10)
    told = recommend(rows, 1000, 2 * GIB).sentences[0]
    assert told == "Take ham: 10 ms; attention takes 8.0 GiB of the 2.0 GiB there are."
    rows = row(ATTENTION, 30, memory=8 * GIB), row("ham", 10)
    told = recommend(rows, 1000, 2 * GIB).sentences[0]
    assert "3.0 times faster than attention, which takes 8.0 GiB of the 2.0 GiB there are." in told


def test_what_does_not_fit_is_no_rival():
    rows = row(ATTENTION, 5, fewer=1), row("huge", 1, fewer=0.5, memory=9 * GIB), row("ham", 9, fewer=4)
    sentences = recommend(rows, 1000, 2 * GIB).sentences
    assert "no other that is global and fits into the memory is clearly faster (ham: 9 ms)" in sentences[0]
    assert not any("huge" in sentence for sentence in sentences)


def test_the_axes_of_the_input_are_told():
    one = dataclasses.replace(row("ham", 5), takes="(batch, channels, length)")
    told = recommend([one], 10, 10).sentences[-2]
    assert told == "Write write(ham), which takes (batch, channels, length)."

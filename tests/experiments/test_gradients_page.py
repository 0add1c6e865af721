"""The numbers in the prose of docs/gradients.md are those of the lines that experiments wrote."""

import math
from pathlib import Path
from statistics import fmean

import pytest

from subquad.engine.experiment_results import read_lines

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments"
WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def words_of(path):
    return " ".join((ROOT / path).read_text().split())


PAGE = words_of("docs/gradients.md")
SHOWS = words_of("experiments/gradient_theory/experiment.yaml").partition("shows: >-")[2]


@pytest.fixture(scope="module")
def hams():
    return {line["case"]: line for line in read_lines(FOLDER / "gradient_theory" / "results.jsonl")}


def all_of(ham, name):
    return [one[name] for one in ham["gradients"]]


def test_rank_one_is_as_bad_as_the_theorem_allows(hams):
    """So that in the picture the line of the bound lies under the points."""
    ham = hams["rank one, NMF"]
    assert all_of(ham, "limit_error") == pytest.approx(ham["theorem"], rel=1e-5)
    assert f"`decompose` with {ham['steps']} steps follows it" in PAGE


def test_the_networks_of_the_picture_are_told_as_measured(hams):
    nmf, cd = hams["noise, NMF, to 1e-6"], hams["noise, CD, to 1e-6"]
    assert f"the rate is {nmf['rate']:.3f}, and the bound, more than 100 times the gradient" in PAGE
    assert min(all_of(nmf, "bound")) > 100
    times = [b / e for b, e in zip(all_of(cd, "bound"), all_of(cd, "limit_error"), strict=True)]
    told = f"{WORDS[round(min(times))]} to {WORDS[round(max(times))]} times the error at the fixed point"
    assert f"the bound is {told}, but after {cd['steps']} steps" in PAGE
    errors, lengths = all_of(cd, "error"), all_of(cd, "length")
    assert errors == sorted(errors) and f"up to {lengths[-1]:.0f} times the implicit one for BPTT" in PAGE
    off = all_of(nmf, "error")
    assert f"off by {min(off):.2f} to {max(off):.2f} of the implicit one's length" in SHOWS
    assert f"CD's by {errors[0]:.2f} with the one-step gradient" in SHOWS
    assert f"up to {errors[-1]:.1f} times" in SHOWS


def test_what_a_larger_tolerance_changes_is_told_as_measured(hams):
    rough, fine = (hams[f"noise, NMF, to {tolerance}"] for tolerance in ("1e-4", "1e-10"))
    assert [rough["tolerance"], fine["tolerance"]] == [1e-4, 1e-10]
    both = f"{rough['iterations']:,} iterations in place of {fine['iterations']:,}"
    assert f"takes {both}, and {rough['terms']:,} terms in place of {fine['terms']:,}" in PAGE
    pairs = zip(all_of(rough, "angle"), all_of(fine, "angle"), strict=True)
    assert f"no angle changes by more than {max(abs(a - b) for a, b in pairs):.4f} degrees" in PAGE
    bounds = (all_of(ham, "bound")[0] for ham in (rough, fine))
    assert "the bound is {:.0f} times the gradient in place of {:.0f}".format(*bounds) in PAGE


def test_the_network_for_nuclei_is_told_as_measured(hams):
    ham = hams["nuclei, NMF"]
    assert not ham["found"]
    assert f"({ham['shape'][1]} channels, rank {ham['rank']}) has not come to rest" in PAGE
    assert f"not come to rest after {ham['iterations']:,}" in PAGE
    assert f"not come to rest after {ham['iterations']:,} iterations" in SHOWS
    assert f"what the {WORDS[ham['steps']]} steps compute" in PAGE
    (angle, two), (length, shorter) = (
        (all_of(ham, name)[0], all_of(ham, name)[2]) for name in ("bptt_angle", "bptt_length")
    )
    assert f"off by {angle:.0f} degrees and {length:.2f} times as long" in PAGE
    assert f"two iterations by {two:.0f} degrees and {shorter:.2f}." in PAGE
    assert f"off by {angle:.0f} degrees, and two iterations in the graph by {two:.0f}." in SHOWS


def test_scales_and_saddles_move_as_slowly_as_told(hams):
    line = hams["scale of NMF"]
    assert line["eps"] == 1e-6 and f"in {line['iterations'] / 1e6:.1f} million iterations" in PAGE
    assert f"off by {line['moved']:.1e} of its length".replace("e-07", "e-7") in PAGE
    grown = math.log(1e17) / math.log(1.006)
    assert f"From 1e-17 to 1 at 0.6 % an iteration are {round(grown, -2):,.0f} iterations" in PAGE


def test_what_was_trained_is_told_as_measured():
    lines = read_lines(FOLDER / "gradient" / "results.jsonl")

    def each(case, name="mean_iou", factor=100):
        found = {line["seed"]: factor * line[name] for line in lines if line["case"] == case}
        return [found[seed] for seed in (0, 1, 2)]

    def most(case):  # of the gradient that arrives, as a share of what left
        return [a * b for a, b in zip(each(case, "passed_on", 1), each(case, "grown", 1), strict=True)]

    one_step, one, two, six = (each(f"NMF, {steps}") for steps in ("one-step", "1", "2", "all 6"))
    more = [after - before for before, after in zip(one_step, one, strict=True)]
    whole = {round(fmean(enough) - fmean(one_step)) for enough in (two, six)}
    assert f"({min(more):.0f} to {max(more):.0f} points, of {whole.pop()})" in PAGE and not whole
    arrived = most("CD, T 0.1, all 6") + most("VQ, T 0.1, all 6")
    assert f"at most {min(arrived):.0f} to {max(arrived):.0f} times as large as it left" in PAGE
    arrived = most("CD, T 0.1, 2") + most("VQ, T 0.1, 2")
    assert f"through two at most {max(arrived):.1f} times" in PAGE
    cd, vq = (fmean(each(f"{solver}, all 6", "passed_on", 1)) for solver in ("CD", "VQ"))
    assert f"at CD {WORDS[round(cd)]} times and at VQ more than twenty" in PAGE and 20 < vq < 30

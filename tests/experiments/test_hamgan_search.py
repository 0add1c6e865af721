"""The search of HamGAN: what it trains next, what it joins, and what it refuses to compare."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "hamgan_search"


@pytest.fixture
def search(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import search

    yield search
    sys.modules.pop("search", None)


def done(search, distance):
    """Train all that is asked for; return the lines in their order."""
    lines = []
    while missing := search.trials(lines):
        context, name, seed = missing[0]
        found = distance(context, name)
        lines.append({"case": search.called(context, name), "seed": seed, "distance": found})
        assert len(lines) < 100
    return lines


def test_each_change_is_tried_then_all_that_help_then_the_best_with_fresh_seeds(search):
    better = {"ranks 8, 4": 2.0, "version 2": 2.5, "3 steps": 2.9}

    def distance(context, name):
        joined = search.AND in name
        return 1.0 if joined else better.get(name, 3.0 if name == search.START else 3.5)

    lines = done(search, distance)
    cases = [(line["case"], line["seed"]) for line in lines]
    alone = sum(1 + len(of) for of in search.CHANGES.values())
    assert len(set(cases)) == len(cases) and all(seed == 0 for _, seed in cases[:alone])
    assert cases[alone] == ("hamburger, ranks 8, 4 + version 2", 0)  # three steps are not clearly better
    fresh = cases[alone + 1 :]
    best = ["none, as published", "attention, as published", cases[alone][0], "hamburger, as published"]
    assert fresh == [(case, seed) for seed in search.FRESH for case in best]


def test_of_changes_that_say_different_things_of_the_same_the_better_one_is_joined(search):
    distances = {search.START: 9.0} | {name: 1.0 + i for i, name in enumerate(search.CHANGES["hamburger"])}
    joined = search.together("hamburger", distances).split(search.AND)
    assert joined[0] == "ranks 8, 4" and "ranks 64, 32" not in joined
    iterations = {"2 in the graph", "all 6 in the graph", "3 steps", "a start that stays"}
    assert len(iterations & {*joined}) == 1


def test_distances_by_other_features_are_refused(search, tmp_path):
    (tmp_path / "features").write_bytes(b"x")
    with pytest.raises(ValueError, match="but the results are of proxy features, sha256 123"):
        search.check_features(str(tmp_path / "features"), [{"features": "proxy features, sha256 123"}])
    search.check_features(str(tmp_path / "features"), [{"features": "proxy features, of before"}])

"""The harness: who runs when, what is measured, and when the machine counts as quiet."""

import subprocess
from collections import Counter
from itertools import pairwise

import pytest
import torch

from subquad.bench import Timing, Watch, environment, side_by_side
from subquad.bench.environment import _commit
from subquad.bench.timing import quantiles, turns

CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_the_order_is_balanced(count):
    """Each way stands equally often in each place, and equally often behind each other way."""
    rounds = [turns(turn, count) for turn in range(count if count % 2 == 0 else 2 * count)]
    assert all(sorted(order) == list(range(count)) for order in rounds)
    places = Counter(entry for order in rounds for entry in enumerate(order))
    behind = Counter(pair for order in rounds for pair in pairwise(order))
    assert len(places) == count**2 and len(set(places.values())) == 1
    assert len(behind) == count * (count - 1) and len(set(behind.values())) <= 1


def test_ways_take_turns():
    order, told = [], []
    ways = {name: lambda name=name: order.append(name) for name in "ab"}
    timings = side_by_side(ways, repeats=3, device=CPU, tell=told.append)
    assert order == list("ab" + "ab" + "ba" + "ab") and timings.keys() == ways.keys()
    assert told[:3] == ["a, warming up", "b, warming up", "a, round 1 of 3"] and len(told) == 8
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        side_by_side(ways, repeats=0, device=CPU)


def test_the_time_of_each_way_is_its_own():
    """By a clock that each way moves: one second, and two to six, after a warm-up that nobody counts."""
    now, steps = [0.0], iter([100.0, 2.0, 3.0, 4.0, 5.0, 6.0])

    def move(seconds):
        now[0] += seconds

    ways = {"even": lambda: move(1.0), "growing": lambda: move(next(steps))}
    timings = side_by_side(ways, repeats=5, device=CPU, clock=lambda: now[0])
    assert timings["even"] == Timing(1000, 1000, 1000)
    assert timings["growing"] == quantiles([2, 3, 4, 5, 6])
    assert (timings["growing"].p50, timings["growing"].spread) == (4000, pytest.approx(2.4 / 4))


def test_a_slow_way_ends_at_its_budget():
    now, runs = [0.0], []

    def run(name, seconds):
        runs.append(name)
        now[0] += seconds

    ways = {"slow": lambda: run("slow", 4.0), "fast": lambda: run("fast", 1.0)}
    timings = side_by_side(ways, repeats=5, device=CPU, budget=7, warm_up=False, clock=lambda: now[0])
    assert (runs.count("slow"), runs.count("fast")) == (2, 5)
    assert str(timings["slow"]) == "4,000 (once)"


def test_no_round_begins_after_the_total():
    now, runs = [0.0], []

    def run(name):
        runs.append(name)
        now[0] += 2.0

    ways = {name: lambda name=name: run(name) for name in "ab"}
    side_by_side(ways, repeats=9, device=CPU, total=7, warm_up=False, clock=lambda: now[0])
    assert runs == list("abba")
    with pytest.raises(ValueError, match="budget must be above 0 seconds, got 0"):
        side_by_side(ways, repeats=1, device=CPU, budget=0)


def watched(loads, seconds, timings=None, own=0.0):
    """Return what a watch says of loads before and after, so many seconds apart, of which we had our own."""
    clock, load, had = iter([0.0, seconds]), iter(loads), iter([5.0, 5.0 + own])
    watch = Watch(CPU, clock=lambda: next(clock), load=lambda: next(load), own=lambda: next(had))
    return watch.environment(timings)


STEADY, WILD = Timing(9, 10, 11), Timing(8, 10, 13)


@pytest.mark.parametrize(
    ("loads", "seconds", "own", "timings", "reason"),
    [
        ((0.1, 0.9), 60, 60, {"a": STEADY}, ""),  # 1.4 meanwhile: one of ours, and hardly another
        ((0.1, 1.1), 60, 60, {}, "others kept 0.7 cores busy meanwhile"),
        ((0.1, 1.1), 600, 600, {}, ""),
        ((3.0, 1.7), 60, 60, {}, ""),  # what ran before is forgotten by and by
        ((3.0, 2.7), 60, 60, {}, "others kept 1.5 cores busy meanwhile"),
        ((0.0, 2.0), 600, 600, {}, "others kept 1.0 cores busy meanwhile"),  # however many threads we have
        ((0.0, 2.0), 600, 1200, {}, ""),
        ((0.1, 1.1), 5, 0, {}, ""),  # too short for the system's average
        ((0.6, 0.6), 5, 5, {}, "the load was 0.6 before the measurement began"),
        ((None, None), 60, 60, {}, ""),
        ((0.0, 0.1), 60, 6, {"a": STEADY, "b": WILD}, "b took 8 to 13 ms, 50% of its median"),
    ],
)
def test_the_machine_is_quiet_or_it_says_why_not(loads, seconds, own, timings, reason):
    found = watched(loads, seconds, timings, own)
    assert (found.reason, found.quiet) == (reason, not reason)
    assert (found.load, found.load_after, found.seconds) == (*loads, seconds)


def test_an_environment_tells_versions_and_device():
    found = environment(CPU)
    assert found.torch == torch.__version__ and found.python.startswith("3.") and found.device
    assert found.commit is None or len(found.commit.rstrip("+")) >= 7


def test_a_commit_is_of_the_package_and_not_of_a_repository_around_it(tmp_path):
    """An installed package in an ignored folder of somebody's repository has no commit."""
    ours, installed = (tmp_path / where / "subquad" / "bench" / "it.py" for where in ("src", "venv"))
    for file in (ours, installed):
        file.parent.mkdir(parents=True)
        file.write_text("")
    (tmp_path / ".gitignore").write_text("venv\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--no-gpg-sign", "-m", "one"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    assert len(_commit(ours) or "") >= 7 and _commit(installed) is None
    ours.write_text("changed")
    assert str(_commit(ours)).endswith("+")

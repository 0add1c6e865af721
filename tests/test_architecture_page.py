"""docs/architecture.md is what the code does: its picture, its tests, and the way of a batch."""

import re
import sys
from pathlib import Path

import subquad
from cli_helpers import fit_arguments
from rooms import HEIGHT, PICTURE, WIDTH, arrows, draw, levels, rooms
from subquad.cli.main import main

ROOT = Path(subquad.__file__).parent
PAGE = (PICTURE.parent / "architecture.md").read_text()


def test_the_picture_is_that_of_the_code():
    assert PICTURE.read_text() == draw(), "the rooms have changed: `make rooms` draws them anew"


def test_no_room_hides_another():
    boxes = [(int(x), int(y)) for x, y in re.findall(rf'<rect x="(\d+)" y="(\d+)" width="{WIDTH}"', draw())]
    assert len(boxes) == len(rooms())
    for first, (x, y) in enumerate(boxes):
        assert not [1 for a, b in boxes[:first] if abs(x - a) < WIDTH and abs(y - b) < HEIGHT]


def test_arrows_are_imports_that_no_way_round_implies():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert arrows(graph) == [("a", "b"), ("b", "c")]
    assert levels(graph) == {"a": 2, "b": 1, "c": 0}
    assert "engine" in rooms()["tasks"] and not rooms()["ops"]


def test_the_tests_that_hold_the_rules_are_there():
    tests = (Path(__file__).parent / "test_architecture.py").read_text()
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) >= 6
    for name in named:
        assert f"def {name}(" in tests


def test_the_way_of_x(data, tmp_path):
    """A step of training passes the stops of the page in their order."""
    stops = re.findall(r"^\d+\. `([\w/]+\.py)`, `([\w.]+)`: ", PAGE, re.MULTILINE)
    assert len(stops) == 12
    waiting = [(str(ROOT / path), name) for path, name in stops]

    def see(frame, event, _):
        if event == "call" and waiting and (frame.f_code.co_filename, frame.f_code.co_qualname) == waiting[0]:
            del waiting[0]

    once = ("--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.max_epochs=-1")
    sys.setprofile(see)
    try:
        assert main(fit_arguments(data, tmp_path / "run", *once)) == 0
    finally:
        sys.setprofile(None)
    assert not waiting, "is not on the way, or not in this place"

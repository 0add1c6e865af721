"""What goes is told once, at the place that uses it, with a version and a remedy."""

import sys
import types
import warnings

import pytest
import yaml

from subquad.base import deprecation
from subquad.base.deprecation import Deprecated, deprecated_arguments, deprecated_names, warn_deprecated
from subquad.engine import parsing
from subquad.engine.parsing import Parser


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(deprecation, "_TOLD", set())


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("made")
    made.__getattr__ = deprecated_names("made", {"Old": Deprecated("subquad.ops.nmf:NMF", "0.3")})
    monkeypatch.setitem(sys.modules, "made", made)
    return made


@deprecated_arguments({"width": Deprecated("dim", "0.4")})
def block(channels, *, dim=1):
    return channels, dim


def use_old():
    warn_deprecated("old()", Deprecated("new()", "0.3"))


def told(*uses):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for use in uses:
            use()
    assert all(one.filename == __file__ and one.category is FutureWarning for one in found)
    return [str(one.message) for one in found]


def test_it_is_told_once_and_each_thing_for_itself(module):
    expected = [
        "old() is deprecated, and gone in subquad 0.3; write new() instead.",
        "made.Old is deprecated, and gone in subquad 0.3; write subquad.ops.nmf.NMF instead.",
        "the argument width of block is deprecated, and gone in subquad 0.4; write dim instead.",
    ]
    uses = [lambda: use_old(), lambda: module.Old, lambda: block(1, width=2)]
    assert told(*uses, *uses) == expected


def test_the_line_that_uses_it_is_named(module):
    with pytest.warns(FutureWarning) as found:
        use_old()
        assert module.Old(), "line two"
        block(1, width=2)
    first = found[0].lineno
    assert [one.lineno - first for one in found] == [0, 1, 2]


def test_an_import_of_a_name_that_went_names_its_line(module):
    with pytest.warns(FutureWarning, match="made.Old") as found:
        from made import Old  # pyright: ignore
    assert Old.__name__ == "NMF" and found[0].filename == __file__


def test_where_warnings_are_errors_each_use_is_one(module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(FutureWarning, match=r"gone in subquad 0\.3"):
                use_old()
            with pytest.raises(FutureWarning):
                _ = module.Old
            with pytest.raises(FutureWarning):
                block(1, width=2)
    assert len(told(use_old)) == 1, "nobody was told so far"


def test_what_was_meant_is_done(module):
    with pytest.warns(FutureWarning):
        assert block(1, width=2) == block(1, dim=2) == (1, 2)
        assert module.Old(eps=1e-3).eps == 1e-3
    with pytest.raises(AttributeError, match="module 'made' has no attribute 'Older'"):
        _ = module.Older
    with pytest.raises(TypeError, match="block got width and dim, which are one; give dim"):
        block(1, width=2, dim=2)


def test_an_option_by_its_old_name_is_taken_and_noted_once(capsys):
    for arguments in (["--old-name", "3"], ["--old_name=3"]):
        p = Parser(prog="subquad made")
        p.add_argument("--new", type=int, default=0)
        p.add_argument("--group.new", type=int, default=0)
        p.deprecated["old_name"] = Deprecated("new", "0.3")
        assert p.parse_args(arguments).new == 3
    assert capsys.readouterr().err == (
        "note: the option --old_name is deprecated, and gone in subquad 0.3; write --new instead.\n"
    )


def test_a_recipe_may_hold_an_option_by_its_old_name(capsys):
    p = Parser(prog="subquad made")
    p.add_argument("--group.new", type=int, default=0)
    p.add_argument("--group.kept", type=int, default=0)
    p.deprecated["group.old"] = Deprecated("group.new", "0.3")
    p.deprecated["old"] = Deprecated("group.kept", "0.3")
    recipe = {"group": {"old": 3}, "old": 4}
    assert p.parse_content(recipe)["group"] == {"new": 3, "kept": 4}
    assert recipe == {"group": {"old": 3}, "old": 4}
    assert capsys.readouterr().err.count("the option --group.old is deprecated") == 1
    with pytest.raises(ValueError, match="there is no option 'group.older'"):
        p.parse_content({"group": {"older": 3}})


def test_an_option_by_both_names_in_a_recipe_is_refused():
    """Whichever won, the other would be dropped without a word."""
    p = Parser(prog="subquad made")
    p.add_argument("--group.new", type=int, default=0)
    p.deprecated["group.old"] = Deprecated("group.new", "0.3")
    for recipe in ({"group": {"old": 3, "new": 4}}, {"group.old": 3, "group": {"new": 4}}):
        with pytest.raises(ValueError, match='"group.old" and "group.new" are one option; give "group.new"'):
            p.parse_content(recipe)
    assert p.parse_content({"group.old": 3})["group"] == {"new": 3}


def test_an_option_may_leave_a_group_that_goes():
    p = Parser(prog="subquad made")
    p.add_argument("--group.new", type=int, default=0)
    p.deprecated["gone.old"] = Deprecated("group.new", "0.3")
    assert p.parse_content({"gone": {"old": 3}})["group"] == {"new": 3}


@pytest.mark.parametrize("value", [300, 0.5, "none read before", [1, 2], False])
def test_a_former_option_is_left_out_where_it_says_nothing(value):
    p = Parser(prog="subquad made")
    p.add_argument("--new", type=int, default=0)
    p.former["old"] = value
    assert p.without_former(yaml.safe_load(yaml.safe_dump({"old": value}))) == {}
    other = 0 if value is False else 7
    assert p.without_former({"old": other}) == {"old": other}


def test_the_first_process_alone_notes_an_old_name(monkeypatch, capsys):
    monkeypatch.setattr(parsing, "is_first_process", lambda: False)
    p = Parser(prog="subquad made")
    p.add_argument("--new", type=int, default=0)
    p.deprecated["noted"] = Deprecated("new", "0.3")
    assert p.parse_args(["--noted=3"]).new == 3
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(parsing, "is_first_process", lambda: True)
    assert p.parse_args(["--noted=3"]).new == 3
    assert "the option --noted is deprecated" in capsys.readouterr().err

import pytest

from subquad.base.hidden import is_hidden, visible


@pytest.mark.parametrize(
    "name", [".DS_Store", "._a.png", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "x/.git"]
)
def test_what_systems_and_editors_leave_is_hidden(name):
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["a.png", "_private", "a.b.c", ".hidden/a.png"])
def test_what_a_user_named_is_not(name):
    assert not is_hidden(name)


def test_a_folder_is_listed_without_what_is_hidden(tmp_path):
    for name in ("b.png", "a.png", "._a.png", ".DS_Store"):
        (tmp_path / name).touch()
    assert [path.name for path in visible(tmp_path)] == ["a.png", "b.png"]

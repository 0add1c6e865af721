from subquad.base.suggest import first_of


def test_dots_stand_only_for_more_names():
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(["a", "b", "c"]) == "a, b, c"
    assert first_of(["a", "b", "c", "d"]) == "a, b, c, ..."
    assert first_of([]) == ""

from subquad.base.suggest import and_more, first_of


def test_dots_stand_only_for_more_names():
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(["a", "b", "c"]) == "a, b, c"
    assert first_of(["a", "b", "c", "d"]) == "a, b, c, ..."
    assert first_of([]) == ""


def test_what_is_left_out_is_counted():
    assert and_more(["a", "b", "c"]) == "a, b, c"
    assert and_more(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert and_more(["a", "b"], most=1, between="; ") == "a and 1 more"
    assert and_more([]) == ""

"""Seeds are part of what a run promises: the same numbers for ever."""

from subquad.base.seeds import chained_generator, mix_seed, step_seed


def test_the_numbers_stay():
    assert [mix_seed(0), mix_seed(3, 4), mix_seed(2**40, 5)] == [
        3980143261097177850, 3103224079022867635, 2931505464674363587,
    ]  # fmt: skip
    assert [step_seed(0, 0, 0, 0), step_seed(5, 1, 2, 3)] == [2488743104355739101, 1376124806128695342]


def test_each_part_counts():
    seeds = {
        chained_generator(*parts).initial_seed()
        for parts in ((1,), (1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0))
    }
    assert len(seeds) == 6

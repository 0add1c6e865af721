"""The table of costs that is kept with the package is what is counted."""

import pytest

from subquad.cli.models import COSTS, known_costs
from subquad.models import cost, list_models

# One of each family, the ones that are counted fast.
SOME = ("light_ham_van_tiny_d256", "hamnet_r50_voc", "van_tiny", "paramixer_adding")


def counts_as_kept(names):
    kept = {row[0]: row for row in known_costs()}
    return [name for name in names if kept[name] != cost.cost(name)]


def test_the_table_has_all_networks_and_what_some_cost():
    assert [name for name, *_ in known_costs()] == list_models(), "run `make costs`"
    assert counts_as_kept(SOME) == [], "run `make costs`"


@pytest.mark.slow
def test_the_table_has_what_all_cost():
    assert counts_as_kept(list_models()) == [], "run `make costs`"


def test_the_table_is_written_as_it_is_read(tmp_path, monkeypatch):
    assert cost.COSTS == COSTS
    monkeypatch.setattr(cost, "COSTS", tmp_path / "costs.csv")
    monkeypatch.setattr(cost, "list_models", lambda: ["paramixer_adding"])
    cost.write_costs()
    header, row = (tmp_path / "costs.csv").read_text().splitlines()
    assert [header, row] == [
        line for line in COSTS.read_text().splitlines() if line.startswith(("name", "paramixer_adding"))
    ]

"""The tables of experiments/contexts/README.md, of what was before training, are those of the lines."""

import re
from pathlib import Path

from subquad.engine.experiment_results import read_lines

FOLDER = Path(__file__).parents[2] / "experiments" / "contexts"
LINES = {line["case"]: line for line in read_lines(FOLDER / "before.jsonl")}
README = (FOLDER / "README.md").read_text()
PLACES = {"left out": 2, "others": 3, "alike": 2}
SEVERAL = {"NMF, rank 4, 8, 32; 8 steps": ["NMF, rank 4", "NMF, rank 8", "NMF, rank 32", "NMF, 8 steps"]}


def test_the_tables_hold_what_was_measured():
    seen = 0
    for table in re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE):
        heading, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines())
        for name, *cells in rows:
            for column, cell in zip(heading[1:], cells, strict=True):
                if column in PLACES:
                    values = [LINES[case][column.replace(" ", "_")] for case in SEVERAL.get(name, [name])]
                    told = (f"{value:.{PLACES[column]}f}" for value in (min(values), max(values)))
                    assert cell == " to ".join(dict.fromkeys(told)), (name, column)
                    seen += 1
    assert seen == 74


def test_the_running_start_is_told_as_measured():
    alike = (LINES[f"NMF, running, rank {rank}"]["alike"] for rank in (16, 4))
    assert "gives {:.2f} with rank 16 and {:.2f} with rank 4".format(*alike) in README

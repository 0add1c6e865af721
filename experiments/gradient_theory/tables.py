"""Print where iterations and series end, how far each gradient is off, and how slowly epsilon moves a scale.

python experiments/gradient_theory/tables.py
"""

from pathlib import Path

from subquad.base.table import markdown
from subquad.engine.experiment_results import read_lines

LINES = {line["case"]: line for line in read_lines(Path(__file__).parent / "results.jsonl")}
HAMS = {case: line for case, line in LINES.items() if "gradients" in line}
SHOWN = (0, 1, 2, 6, 12)  # `grad_steps`
PLACES = {"bptt_angle": ".2f", "bptt_length": ".3g", "angle": ".2f", "length": ".3g"}
PLACES |= {"error": ".3g", "limit_error": ".3g", "bound": ".3g"}

ENDS = """\
Where the iterations come to rest, to the tolerance that the name says, and how far the output is from there
after `steps`:"""
GRADIENTS = """\
Gradients after `steps`, of some `grad_steps`: angle and length relative to BPTT; angle, length and error
relative to the implicit gradient; the error at the fixed point, and its bound:"""
SCALE = """\
With an epsilon of {eps:g} the scale of D and C, of rank one and data with a mean of {mean:.2f}, comes nearer
to its end by a factor of e in {iterations:,.0f} iterations. With D twice as large the output is off by
{moved:.1e} of its length."""


def number(value: float | None, places: str) -> str:
    return "" if value is None else f"{value:{places}}"


def ends() -> list[list[str]]:
    """Return a row for each ham: where its iterations and the series of its gradient end."""
    table = [["case", "samples x positions", "rank", "steps"]]
    table[0] += ["iterations", "terms", "rate of the terms", "off, %"]
    for case, line in HAMS.items():
        samples, _, positions = line["shape"]
        sizes = [f"{samples} x {positions}", str(line["rank"]), str(line["steps"])]
        came = f"{line['iterations']:,}" if line["found"] else f"more than {line['iterations']:,}"
        terms = f"{line['terms']:,}" if line["summed"] else ""
        off = None if line["distance"] is None else 100 * line["distance"]
        table.append([case, *sizes, came, terms, number(line["rate"], ".4f"), number(off, ".2g")])
    return table


def gradients() -> list[list[str]]:
    """Return a row for each ham and some `grad_steps`."""
    table = [["case", "`grad_steps`", "to BPTT, °", "length", "to the implicit one, °", "length"]]
    table[0] += ["error", "at the fixed point", "bound"]
    for case, line in HAMS.items():
        for one in line["gradients"]:
            if one["grad_steps"] in SHOWN:
                cells = [number(one[name], places) for name, places in PLACES.items()]
                table.append([case, str(one["grad_steps"]), *cells])
    return table


def main() -> None:
    if HAMS:
        print(f"{ENDS}\n\n{markdown(ends())}\n\n{GRADIENTS}\n\n{markdown(gradients())}\n")
    for line in (line for case, line in LINES.items() if case not in HAMS):
        print(SCALE.format(**line))


if __name__ == "__main__":
    main()

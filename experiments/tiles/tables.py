"""Print a table of results.jsonl for each set of pictures: python experiments/tiles/tables.py"""

from pathlib import Path

from subquad.engine.experiment_results import read_lines

LINES = read_lines(Path(__file__).parent / "results.jsonl")
HEADING = (
    "way",
    "unlike whole",
    "seam distance",
    "seam pixels unlike",
    "mean IoU, %",
    "s / image",
    "peak MiB",
)

for pictures in dict.fromkeys(line["pictures"] for line in LINES):
    some = [line for line in LINES if line["pictures"] == pictures]
    first = some[0]
    print(
        f"{first['images']} images of {pictures}, tiles of {first['tile']}, overlap {first['overlap']:g}:\n"
    )
    print(f"| {' | '.join(HEADING)} |\n|---{'|--:' * (len(HEADING) - 1)}|")
    for line in some:
        cells = ["", "", ""]
        if line["seam_pixels"]:
            unlike, seams = (f"{100 * line[name]:.1f} %" for name in ("unlike_whole", "seam_disagreement"))
            cells = [unlike, f"{line['seam_distance']:.3f}", seams]
        cells += [
            f"{100 * line['mean_iou']:.1f}",
            f"{line['seconds_per_image']:.2f}",
            f"{line['peak_mib']:.0f}",
        ]
        print(f"| {line['case']} | {' | '.join(cells)} |")
    print()

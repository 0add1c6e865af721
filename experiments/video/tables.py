"""Print results.jsonl as a table: python experiments/video/tables.py"""

from pathlib import Path

from subquad.engine.experiment_results import read_lines

CAMERAS = {"fixed": "fixed", "pan": "pans, 1.2 pixels a frame", "cut": "fixed, another scene half way"}

print("| noise | camera | start of a frame | flicker | mean IoU, % |\n|--:|---|---|--:|--:|")
for line in read_lines(Path(__file__).parent / "results.jsonl"):
    scores = f"{line['flicker']:.2f} % | {line['mean_iou']:.1f}"
    print(f"| {line['noise']:g} | {CAMERAS[line['camera']]} | {line['case']} | {scores} |")

"""Print results.jsonl as a table: python experiments/video/tables.py"""

import json
from pathlib import Path

CAMERAS = {"fixed": "fixed", "pan": "pans, 1.2 pixels a frame", "cut": "fixed, another scene half way"}

print("| noise | camera | start of a frame | flicker | mean IoU, % |\n|--:|---|---|--:|--:|")
for text in (Path(__file__).parent / "results.jsonl").read_text().splitlines():
    line = json.loads(text)
    scores = f"{line['flicker']:.2f} % | {line['mean_iou']:.1f}"
    print(f"| {line['noise']:g} | {CAMERAS[line['camera']]} | {line['case']} | {scores} |")

"""Print results.json as a table: python experiments/reliability/tables.py"""

import json
from pathlib import Path

print("| part | what came of it | times |\n|---|---|--:|")
for part, counts in json.loads((Path(__file__).parent / "results.json").read_text()).items():
    for what, count in counts.items():
        print(f"| {part} | {what} | {count:,} |")

"""Everything that goes wrong in practice, on purpose: what the project does then, as a table.

    python experiments/reliability/drill.py                   # all parts, some minutes
    python experiments/reliability/drill.py malformed --only "last.ckpt"

Exit status 1 if anything was lost, run, overwritten, or answered by a traceback.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from forked import run, warm_up
from kills import disks, kills
from malformed import Case, cases

from base import Base, make_base

CANARY = 'from pathlib import Path\nPath("PWNED").touch()\nclass Thing:\n    pass\n'


def malformed(base: Base, only: str = "") -> dict[str, int]:
    """Give every malformed input to its command; returns counts by answer."""
    counts: Counter[str] = Counter()
    wanted = [case for case in cases(base) if only in case.name]
    begun = time.monotonic()
    for number, case in enumerate(wanted):
        faults, answer = tried(base, case)
        counts[answer] += 1
        for fault in faults:
            counts[f"FAULT {fault.split()[-1]}"] += 1
        if faults:
            print(f"{case.name}: {', '.join(faults)}\n    {' '.join(case.arguments)[:200]}", flush=True)
        if number % 50 == 0:
            print(f"malformed {number}/{len(wanted)}, {time.monotonic() - begun:.0f} s", flush=True)
    return dict(counts)


def tried(base: Base, case: Case) -> tuple[list[str], str]:
    """Run one case; returns its faults, and its answer in a word."""
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        (folder / "canary.py").write_text(CANARY)
        case.prepare(folder)
        outcome = run(case.arguments, folder)
        faults = outcome.faults()
        if list(folder.rglob("*PWNED*")):
            faults.append("executed")
        for path in folder.rglob("*"):
            if path.parent.name == "p" and path.is_file() and not path.stat().st_size:
                faults.append(f"{path.name} is empty")
        if faults and outcome.err:
            print("   ", outcome.err.strip()[-600:])
    return faults, {0: "taken", 2: "refused"}.get(outcome.code or 0, str(outcome.code))


def nan(base: Base) -> dict[str, int]:
    """Run the sweep of combinations in which nothing may be NaN."""
    sweep = Path(__file__).with_name("nan_sweep.py")
    run = subprocess.run([sys.executable, str(sweep)], capture_output=True, text=True)
    lines = run.stdout.strip().splitlines()
    print("\n".join(lines))
    return (
        {lines[-1]: 1} if run.returncode == 0 else {f"FAULT {lines[-1] if lines else run.stderr[-300:]}": 1}
    )


PARTS = {"malformed": malformed, "kills": kills, "disks": disks, "nan": nan}


def main() -> None:
    """Run the parts that are named, or all, and print what they found."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("parts", nargs="*", choices=[[], *PARTS], help="Of the drill; all if none is named.")
    p.add_argument("--only", default="", help="Of malformed inputs, those whose name holds this.")
    p.add_argument("--json", type=Path, help="Write the counts to this file.")
    options = p.parse_args()
    print("importing", flush=True)
    warm_up()
    folder = Path(tempfile.mkdtemp(prefix="drill-base-"))
    try:
        base = make_base(folder)
        before = base.fingerprint()
        found = {}
        for part in options.parts or PARTS:
            found[part] = PARTS[part](base, options.only) if part == "malformed" else PARTS[part](base)
            print(part, json.dumps(found[part], indent=1), flush=True)
        changed = base.fingerprint() != before
    finally:
        shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if changed:
        print("FAULT: the good input was changed")
    raise SystemExit(changed or any("FAULT" in name for counts in found.values() for name in counts))


if __name__ == "__main__":
    main()

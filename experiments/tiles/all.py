"""Train on Scenes of 160 x 160, and compare tiles with whole images, enlarged and as they are.

python experiments/tiles/all.py                        adds lines to results.jsonl
python experiments/tiles/all.py --camvid runs/camvid   and those of CamVid, with a network of it
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes" / "scenes_light_ham.yaml"


def python(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--camvid", type=Path, help="a run, or weights")
    p.add_argument("--quick", action="store_true", help="a step and two images: to see that it runs")
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = p.parse_args()
    short = [
        "--data.length=8",
        "--data.batch_size=4",
        "--optimizer.warmup_steps=1",
        "--trainer.limit_val_batches=1",
    ]
    most = 2 if given.quick else 100
    with tempfile.TemporaryDirectory() as folder:
        scenes, trained = Path(folder) / "scenes", Path(folder) / "scenes160"
        fit = [
            f"--config={RECIPE}",
            "--model.grad_steps=6",
            "--data.size=[160,160]",
            f"--output={trained}",
            *short * given.quick,
        ]
        python("-m", "subquad", "fit", *fit)
        python(HERE / "write_scenes.py", scenes)
        run = [HERE / "run.py", trained, scenes / "images", "--labels", scenes / "labels", "--most", most]
        run += ["--tile", 128, "--overlap", 0.5, "--output", given.output]
        for zoom, name in ((2, "Scenes, twice as large"), (1, "Scenes, as they are")):
            python(*run, "--zoom", zoom, "--name", name)
        if given.camvid:
            pictures = Path(os.environ["SUBQUAD_DATA"]) / "camvid" / "val"
            run = [HERE / "run.py", given.camvid, pictures / "images", "--labels", pictures / "labels"]
            run += ["--name", "CamVid, twice as large", "--most", 20, "--output", given.output]
            python(*run, "--zoom", 2, "--tile", 256)


if __name__ == "__main__":
    main()

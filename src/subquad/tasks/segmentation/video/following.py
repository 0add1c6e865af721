"""The classes of frame after frame, each from where the last one ended."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subquad.models import SegmentationNetwork
from subquad.nn import Ham
from subquad.nn.sharing import carrying_dictionary, evaluating_steps
from subquad.tasks.segmentation.labels import predict_labels

CUT = 30.0  # levels of 255: where a picture changes by more on the average, another scene begins


class Follower:
    """Segments the frames of one video, in their order.

    Neighbouring frames show nearly the same, so the dictionary of one is a good start for the next: it
    is nearer to a solution, and nearer to that of the last frame than the fixed start is. The network
    itself is as it was after every frame: what is carried is the follower's own.

    Args:
        network: Used in evaluation mode.
        warm: Whether a frame starts from the dictionary of the last; else each starts as ever.
        steps: Iterations of each frame that starts so; None: the network's own.
    """

    def __init__(self, network: SegmentationNetwork, *, warm: bool, steps: int | None = None) -> None:
        self.network, self._steps = network, steps
        hams = [part for part in network.modules() if isinstance(part, Ham) and part.over == "space"]
        self._carried: dict[Ham, list[Tensor]] = {ham: [] for ham in hams} if warm else {}
        self.cuts = 0

    @property
    def is_warm(self) -> bool:
        """Whether there is a dictionary to carry."""
        return bool(self._carried)

    def labels(self, pixels: NDArray[np.uint8], change: float | None) -> NDArray[np.uint8]:
        """Return the class of each pixel of the next frame, (H, W).

        Args:
            pixels: RGB, uint8 (H, W, 3).
            change: Mean number of levels by which the picture differs from the last; None of the first.
        """
        if change is not None and change > CUT:
            self.cuts += 1
            for carried in self._carried.values():
                carried.clear()
        follows = all(self._carried.values()) and self.is_warm
        with ExitStack() as stack:
            for ham, carried in self._carried.items():
                stack.enter_context(carrying_dictionary(ham, carried))
            stack.enter_context(evaluating_steps(self.network, self._steps if follows else None))
            image = torch.from_numpy(pixels).movedim(2, 0).unsqueeze(0)
            return predict_labels(self.network, image)[0].byte().cpu().numpy()

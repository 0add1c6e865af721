import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Save = Callable[[str, NDArray[np.uint8]], Path]


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the shared data sets; `SUBQUAD_DATA` names it for the code under test, too."""
    beside_the_repository = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("SUBQUAD_DATA") or beside_the_repository)
    if not folder.is_dir():
        pytest.skip(f"no shared data: SUBQUAD_DATA is not set, and there is no {folder}")
    monkeypatch.setenv("SUBQUAD_DATA", str(folder))
    return folder


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write an array as a picture below `tmp_path`, with the folders it needs."""

    def write(name: str, pixels: NDArray[np.uint8]) -> Path:
        path = tmp_path / name
        assert path.is_relative_to(tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def save_pair(save: Save) -> Callable[..., None]:
    """Write a random image and a mask of one name; without a mask, one of the classes 0 and 1."""

    def write(
        name: str, mask: NDArray[np.uint8] | None = None, split: str = ".", masks: str = "labels"
    ) -> None:
        rng = np.random.default_rng(list(name.encode()) + list(split.encode()))
        if mask is None:
            mask = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)
        save(f"{split}/images/{name}.png", rng.integers(0, 256, (*mask.shape[:2], 3), np.uint8))
        save(f"{split}/{masks}/{name}.png", mask)

    return write

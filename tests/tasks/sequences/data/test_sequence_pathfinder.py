"""Pathfinder: the answer is read off the drawing by a checker that knows no curves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from subquad.tasks.sequences.data import (
    Pathfinder,
    PathfinderScene,
    SequenceOptions,
    check_sequences,
    open_sequences,
)
from subquad.tasks.sequences.data.pathfinder import SIZES

CASES = [(32, "easy"), (32, "medium"), (32, "hard"), (128, "hard")]


def apart(dashes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance between any two dashes, from 21 points on each."""
    parts = np.linspace(0, 1, 21)[:, None]
    points = dashes[:, :1] + parts * (dashes[:, 1:] - dashes[:, :1])
    return np.array([[np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min() for b in points] for a in points])


def chains(near: NDArray[np.bool_]) -> list[int]:
    """Number the groups of dashes that follow each other."""
    group = list(range(len(near)))
    for first, second in np.argwhere(near).tolist():
        old, new = group[first], group[second]
        group = [new if member == old else member for member in group]
    return group


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def drawn(request: pytest.FixtureRequest) -> tuple[int, str, list[PathfinderScene]]:
    size, difficulty = request.param
    data = Pathfinder(10, size=size, difficulty=difficulty)
    return size, difficulty, [data.scene(seed) for seed in range(8 if size == 32 else 1)]


def test_the_answer_can_be_seen(drawn: tuple[int, str, list[PathfinderScene]]) -> None:
    """Dashes that follow each other are a gap apart, all others further: so chains are the curves."""
    size, difficulty, scenes = drawn
    measures, long = SIZES[size], {"easy": 6, "medium": 9, "hard": 14}[difficulty]
    for scene in scenes:
        distances = apart(scene.dashes)
        near = distances <= measures.gap + 0.01
        assert distances[~near].min() > measures.gap + 0.3
        groups = chains(near)
        counts = sorted(map(groups.count, set(groups)), reverse=True)
        assert counts[:2] == [long, long] and max(counts[2:]) <= long // 3
        ends = [np.linalg.norm(scene.dashes - disk, axis=-1).min(1).argmin() for disk in scene.disks]
        assert scene.target == (groups[ends[0]] == groups[ends[1]])
        for end in ends:
            assert near[end].sum() == 2 and groups.count(groups[end]) == long  # itself and one neighbour
        lengths = np.linalg.norm(scene.dashes[:, 1] - scene.dashes[:, 0], axis=-1)
        assert np.allclose(lengths, measures.length)
        assert np.linalg.norm(scene.disks[0] - scene.disks[1]) >= 2 * measures.radius + 1


def test_the_picture_shows_dashes_and_disks_alone(drawn: tuple[int, str, list[PathfinderScene]]) -> None:
    size, _, scenes = drawn
    measures = SIZES[size]
    for scene in scenes:
        assert scene.image.shape == (size, size) and scene.image.dtype == np.uint8
        parts = np.linspace(0, 1, 11)[:, None]
        points = (scene.dashes[:, :1] + parts * (scene.dashes[:, 1:] - scene.dashes[:, :1])).reshape(-1, 2)
        pixels = np.stack(np.mgrid[:size, :size], -1)
        ink = np.array([[np.hypot(*(pixel - points).T).min() for pixel in row] for row in pixels])
        disk = np.linalg.norm(pixels[:, :, None] - scene.disks, axis=-1).min(-1)
        assert (scene.image[disk < measures.radius - 0.5] == 255).all()
        assert (scene.image[(ink < 0.3) & (disk > measures.radius + 1)] > 150).all()
        assert (scene.image[(ink > measures.width / 2 + 0.6) & (disk > measures.radius + 0.6)] == 0).all()


def test_classes_are_even_and_samples_differ() -> None:
    data = Pathfinder(300, difficulty="easy")
    samples = [data[index] for index in range(120)]
    assert 40 < sum(int(sample.target) for sample in samples) < 80
    seen = {sample.inputs.numpy().tobytes() for sample in samples}
    for split in ("val", "test"):
        other = Pathfinder(120, difficulty="easy", split=split)
        seen |= {other[index].inputs.numpy().tobytes() for index in range(10)}
    assert len(seen) == 140
    assert torch.equal(Pathfinder(5, difficulty="easy")[4].inputs, samples[4].inputs)
    assert samples[0].inputs.shape == (1024,) and samples[0].inputs.dtype == torch.int64


def test_disks_never_touch() -> None:
    scene = Pathfinder(1, difficulty="easy").scene(15)  # its first layout has two ends 4 pixels apart
    assert np.linalg.norm(scene.disks[0] - scene.disks[1]) >= 4


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="size=64, difficulty='hard': take 32 or 128"):
        Pathfinder(1, size=64)
    with pytest.raises(ValueError, match=r"length=1000: a picture of 32 x 32 has 1024 .*\(--data.length\)"):
        open_sequences(SequenceOptions("pathfinder", length=1000))


def test_files_of_long_range_arena(tmp_path: Path) -> None:
    folder = tmp_path / "curv_contour_length_14"
    rng = np.random.default_rng(0)
    (folder / "metadata").mkdir(parents=True)
    pictures = []
    for batch in (2, 10):  # 2 comes before 10
        (folder / "imgs" / str(batch)).mkdir(parents=True)
        rows = []
        for number in range(6):
            pictures.append(rng.integers(0, 256, (32, 32), np.uint8))
            Image.fromarray(pictures[-1]).save(folder / f"imgs/{batch}/sample_{number}.png")
            rows.append(f"imgs/{batch} sample_{number}.png {number} {number % 2} 1.0 14 4 2 0.5 1 1")
        (folder / f"metadata/{batch}.npy").write_text("\n".join(rows) + "\n")
    (folder / "imgs/2/sample_5.png").write_bytes(b"")  # the release has an empty picture
    del pictures[5]
    splits = open_sequences(SequenceOptions("pathfinder", root=str(tmp_path)))
    assert [len(splits[split]) for split in ("train", "val", "test")] == [8, 1, 2]
    read = [splits[split][i] for split in splits for i in range(len(splits[split]))]
    assert all((s.inputs.numpy() == p.ravel()).all() for s, p in zip(read, pictures, strict=True))
    assert [int(sample.target) for sample in read] == [0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1]
    (folder / "imgs/2/sample_3.png").unlink()
    (folder / "imgs/2/sample_4.png").unlink()
    lost = r"2.npy, row 4: there is no picture .*2/sample_3.png, nor that of 1 other row\(s\); copy them"
    with pytest.raises(ValueError, match=lost):
        open_sequences(SequenceOptions("pathfinder", root=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="no .*curv_baseline/metadata"):
        open_sequences(SequenceOptions("pathfinder", root=str(tmp_path), difficulty="easy"))
    (folder / "metadata/2.npy").write_text("imgs/2 sample_0.png\n")
    with pytest.raises(ValueError, match="row 1: 'imgs/2 sample_0.png' is not folder, file, number, label"):
        open_sequences(SequenceOptions("pathfinder", root=str(tmp_path)))


@pytest.mark.parametrize("written", [0, 2])
def test_files_without_enough_pictures(written: int, tmp_path: Path) -> None:
    folder = tmp_path / "curv_contour_length_14"
    (folder / "metadata").mkdir(parents=True)
    (folder / "imgs/1").mkdir(parents=True)
    (folder / "metadata/1.npy").write_text("".join(f"imgs/1 {n}.png {n} {n % 2}\n" for n in range(4)))
    options = SequenceOptions("pathfinder", root=str(tmp_path))
    assert len(check_sequences(options).problems) == 2
    for number in range(4):
        path = folder / f"imgs/1/{number}.png"
        path.write_bytes(b"")
        if number < written:
            Image.new("L", (32, 32), number).save(path)
    few = f"curv_contour_length_14 has {written} pictures of its metadata, too few for training, validation"
    with pytest.raises(ValueError, match=few) as error:
        open_sequences(options)
    assert "\n" not in str(error.value)

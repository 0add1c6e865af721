"""`subquad generate`: the same images for a seed, whatever else is asked for."""

import numpy as np
import pytest
import torch
from PIL import Image

from subquad.models import create_model, save_model
from subquad.tasks.generation.commands.generate import main

NAMES = ("T-shirt/top", "Bag", "Coat")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    network = create_model(
        "hamgan_baby", size=32, width=4, num_classes=3, in_channels=1, class_names=NAMES, generator_rank=4
    )
    with torch.no_grad():
        network.generator.context.gate.fill_(0.5)
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(network, path)
    return path


def read(path):
    return np.asarray(Image.open(path)).astype(int)


def made(model, folder, *arguments):
    main([str(model), f"--output={folder}", *arguments])
    return {path.name: read(path) for path in sorted(folder.iterdir())}


def test_a_seed_gives_the_same_images_in_other_batches_and_numbers(model, tmp_path, capsys):
    first = made(model, tmp_path / "a", "--class=1", "--seed=7", "--count=9")
    assert "9 image(s) in" in capsys.readouterr().out
    assert [*first] == [*(f"001_{i:05d}.png" for i in range(9)), "grid.png"]
    assert first["001_00000.png"].shape == (32, 32)
    again = made(model, tmp_path / "b", "--class=Bag", "--seed=7", "--count=9")
    assert all(np.array_equal(first[name], again[name]) for name in first)
    fewer = made(model, tmp_path / "c", "--class=1", "--seed=7", "--count=4", "--batch_size=3")
    for name in set(fewer) - {"grid.png"}:
        # Convolutions of another batch size round differently: a level of 255 at most.
        assert np.abs(fewer[name] - first[name]).max() <= 1
        assert (fewer[name] != first[name]).mean() < 1e-3
    other = made(model, tmp_path / "d", "--class=1", "--seed=8", "--count=1")
    assert not np.array_equal(other["001_00000.png"], first["001_00000.png"])
    grid = first["grid.png"]
    assert grid.shape == (36, 9 * 34 + 2) and np.array_equal(grid[2:34, 36:68], first["001_00001.png"])


def test_without_a_class_each_has_a_row(model, tmp_path):
    images = made(model, tmp_path, "--count=2")
    assert len(images) == 7
    grid = images["grid.png"]
    assert grid.shape == (3 * 34 + 2, 2 * 34 + 2)
    for row in range(3):
        cell = grid[2 + 34 * row : 34 + 34 * row, 36:68]
        assert np.array_equal(cell, images[f"00{row}_00001.png"])


def test_a_grid_that_is_not_full_ends_in_white(model, tmp_path):
    grid = made(model, tmp_path, "--class=0", "--count=18")["grid.png"]
    assert grid.shape == (2 * 34 + 2, 16 * 34 + 2)
    assert (grid[36:68, 2 * 34 + 2 :] == 255).all() and not (grid[36:68, 2:34] == 255).all()


def test_truncation_and_interpolation(model, tmp_path):
    whole = made(model, tmp_path / "a", "--class=0", "--count=2")
    narrow = made(model, tmp_path / "b", "--class=0", "--count=2", "--truncation=0.01")
    spread = [np.abs(s["000_00000.png"] - s["000_00001.png"]).mean() for s in (whole, narrow)]
    assert spread[1] < 0.2 * spread[0]
    path = made(model, tmp_path / "c", "--class=0", "--interpolate=5", "--count=1")
    assert [*path] == ["interpolation.png"]
    grid = path["interpolation.png"]
    assert grid.shape == (36, 5 * 34 + 2)
    assert np.abs(grid[2:34, 2:34] - whole["000_00000.png"]).max() <= 1
    assert np.abs(grid[2:34, -34:-2] - whole["000_00001.png"]).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class=3"], r"--class '3', but the network has the classes 0 to 2 \(T-shirt/top, Bag, Coat"),
        (["--class=Bga"], "Did you mean 'Bag'"),
        (["--class=-1"], "--class '-1', but"),
        (["--count=0"], "--count and --batch_size must be at least 1, got 0"),
        (["--batch_size=0"], "must be at least 1"),
        (["--seed=-1"], "--seed must be 0 or more, got -1"),
        (["--truncation=0"], "truncation must be positive"),
        (["--interpolate=1"], "2 steps at least, got 1"),
        (["--device=nonsense"], "--device nonsense cannot be used here"),
    ],
)
def test_wrong_options_are_said(model, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        main([str(model), f"--output={tmp_path}", *arguments])
    assert not [*tmp_path.iterdir()]


def test_other_files_are_said(model, tmp_path):
    save_model(create_model("light_ham_van_tiny_d256", num_classes=2), tmp_path / "s.safetensors")
    with pytest.raises(ValueError, match="is a LightHam, which does not generate images; give a HamGAN"):
        main([str(tmp_path / "s.safetensors")])
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        main([str(tmp_path / "missing.safetensors")])
    made(model, tmp_path / "out", "--class=0", "--count=1")
    with pytest.raises(ValueError, match="000_00000.png is there already; give --overwrite"):
        main([str(model), f"--output={tmp_path / 'out'}", "--class=0", "--count=1"])
    main([str(model), f"--output={tmp_path / 'out'}", "--class=0", "--count=1", "--overwrite"])
    assert model.parent.is_dir()
    main([str(model.parent), f"--output={tmp_path / 'folder'}", "--class=0", "--count=1"])

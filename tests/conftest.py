"""A hostile world: fixed seed, and memory that nobody wrote is NaN; the command line in this process."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cli_helpers import reported_fit_arguments, write_data
from subquad.cli.main import main

# Triton decides when it is imported, which compilers do: its kernels are simulated on the CPU.
os.environ.setdefault("TRITON_INTERPRET", "1")

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("tests", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("tests")

Save = Callable[[str, NDArray[np.uint8]], Path]


def pytest_runtest_setup(item):
    compiler = os.environ.get("CXX", "g++")
    if item.get_closest_marker("compile") and not shutil.which(compiler):
        pytest.skip(f"torch.compile needs a C++ compiler, and there is no {compiler}")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _graphs_of_its_own():
    """What another test compiled does not count towards the limit of recompilations."""
    yield
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


@pytest.fixture
def deterministic():
    """Uninitialised memory becomes NaN, and operations without a deterministic form raise."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def own_registry(monkeypatch):
    """Families, networks, names, solvers, mixers and tasks that a test registers are gone after it."""
    from subquad import tasks
    from subquad.models import registry, solvers
    from subquad.models.sequence import mixer_registry

    for task in tasks.task_names():
        tasks.task_called(task)  # whose options are those of the families that are known at its import

    for module, names in (
        (registry, ("FAMILIES", "NETWORKS", "NAMES")),
        (solvers, ("SOLVERS",)),
        (mixer_registry, ("MIXERS",)),
        (tasks, ("_PLACES", "_COMMANDS")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, dict(getattr(module, name)))


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the shared data sets; `SUBQUAD_DATA` names it for the code under test, too."""
    beside_the_repository = Path(__file__).parents[1].parent / "shared" / "data"
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


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    write_data(folder / "data")
    assert main(reported_fit_arguments(folder / "data", folder / "run", "--save_every=1")) == 0
    return SimpleNamespace(
        run=folder / "run", data=folder / "data", weights=folder / "run" / "best.safetensors"
    )


@pytest.fixture
def call(capsys):
    """Run a command; returns its exit code, output and errors."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # as the shell sees it
            code = 0 if leaving.code is None else leaving.code
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def complains(call):
    """Run a command that must end with exit code 2 and one sentence on stderr; returns the sentence."""

    def run(*arguments, quoting=()):
        result = call(*arguments)
        assert result.code == 2, (result.code, result.err)
        lines = result.err.splitlines()
        assert len(lines) == 1, f"{len(lines)} lines on stderr:\n{result.err}"
        assert lines[0].startswith("subquad"), lines[0]
        assert "Traceback" not in result.out
        for quoted in [quoting] if isinstance(quoting, str) else quoting:
            assert quoted in lines[0], f"{quoted!r} is not in {lines[0]!r}"
        return lines[0]

    return run

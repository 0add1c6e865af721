"""Signals that reach all processes of a run, its loaders too."""

import ast
import os
import signal
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset, get_worker_info

import subquad
from subquad.base import interruption


class Signalled(Dataset):
    """Whose loader gets a signal before each sample."""

    def __init__(self, signum):
        self.signum = signum

    def __len__(self):
        return 4

    def __getitem__(self, index):
        assert get_worker_info() is not None
        os.kill(os.getpid(), self.signum)
        return index


@pytest.mark.parametrize("signum", interruption.SIGNALS)
def test_loaders_outlive_the_signals_of_their_run(signum):
    loader = DataLoader(Signalled(signum), num_workers=1, worker_init_fn=interruption.outlive)
    assert [int(batch) for batch in loader] == [0, 1, 2, 3]


def test_every_loader_does():
    options = [
        {option.arg for option in node.keywords}
        for path in Path(subquad.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    loaders = [names for names in options if "num_workers" in names]
    assert len(loaders) == 2 and all("worker_init_fn" in names for names in loaders)


def test_loaders_that_hang_do_not_live_for_ever(monkeypatch):
    monkeypatch.setattr(interruption, "LOADER_PATIENCE", 0.05)
    child = os.fork()
    if child == 0:
        interruption.outlive()
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            signal.pause()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM

"""A causal mixer that is quick to write down and to run, and a small text, for tests of what is around."""

import pytest
import torch
from torch import nn

from subquad.models.language.mixers import MIXERS
from subquad.nn.causal import CausalMixer

TEXT = "".join(f"{n} green bottles hanging on the wall, and {n} is {bin(n)[2:]}.\n" for n in range(200))
SMALL = [
    "--model.name=ham_lm_tiny", "--model.pattern=[toy]", "--model.dim=16", "--model.mlp_ratio=2",
    "--data.context=16", "--data.batch_size=4", "--data.eval_batch_size=8", "--trainer.accelerator=cpu",
    "--optimizer.lr=1e-2", "--trainer.max_steps=6", "--trainer.val_check_interval=3",
    "--trainer.limit_val_batches=2", "--report_samples=0",
]  # fmt: skip


class Decay(CausalMixer):
    """A sum in which what is past counts less and less."""

    def __init__(self, dim):
        super().__init__(dim)
        self.out = nn.Linear(dim, dim)

    def init_cache(self, batch, device=None, dtype=None):
        weight = self.out.weight
        return {
            "sum": torch.zeros(batch, self.dim, device=device or weight.device, dtype=dtype or weight.dtype),
            "t": torch.zeros(batch, device=device or weight.device, dtype=torch.int64),
        }

    def step(self, x_t, cache):
        total = 0.8 * cache["sum"] + x_t
        return self.out(total), {"sum": total, "t": cache["t"] + 1}

    def _mix(self, x, cache, lengths, keep):
        cache = cache or self.init_cache(x.shape[0], x.device, x.dtype)
        total, sums = cache["sum"], []
        for x_t in x.unbind(1):
            total = 0.8 * total + x_t
            sums.append(total)
        sums = torch.stack(sums, 1)
        lengths = torch.full(x.shape[:1], x.shape[1]) if lengths is None else lengths
        last = sums[torch.arange(len(x)), lengths.to(x.device) - 1]
        return self.out(sums), {"sum": last, "t": cache["t"] + lengths.to(x.device)}


@pytest.fixture
def toy(monkeypatch):
    """The mixer, as "toy" of a pattern."""
    monkeypatch.setitem(MIXERS, "toy", lambda config: Decay(config.dim))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "wall.txt"
    path.write_text(TEXT)
    return path

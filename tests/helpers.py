"""What several tests need: the conformance cases and relative errors."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ

CASES = Path(__file__).parent / "conformance"

_spec = importlib.util.spec_from_file_location("conformance_fill", CASES / "fill.py")
fill = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fill)


def load_case(name):
    """Return the arrays of a case, its `meta`, and its original names and shapes as `keys`."""
    arrays = dict(np.load(CASES / f"{name}.npz"))
    meta = json.loads(str(arrays.pop("meta")))
    keys = CASES / f"{name}.keys.json"
    return SimpleNamespace(**arrays, meta=meta, keys=json.loads(keys.read_text()) if keys.exists() else None)


def solver_of(meta):
    """Return the solver that a case's `meta` describes."""
    kind, temperature = meta["kind"].upper(), 1 / meta["inv_t"]
    if kind == "NMF":
        return NMF()
    return VQ(temperature) if kind == "VQ" else CD(temperature, meta.get("beta", 0.1))


def weights_of(case):
    """Return the original state dict of a case."""
    return fill.fill_state_dict(case.keys, case.meta["seed"])


def set_dictionaries(network, seed, signed=False):
    """Give every ham of a network the start dictionary of the cases."""
    for ham in network.modules():
        if isinstance(ham, Ham):
            start = fill.dictionary(ham.dim // ham.heads, ham.rank, seed, signed)
            ham.dictionary.copy_(torch.from_numpy(start).expand_as(ham.dictionary))


def sampled(output):
    """Return the 4,096 evenly spaced entries that the cases store."""
    flat = output.detach().flatten()
    return flat[np.linspace(0, len(flat) - 1, min(4096, len(flat))).astype(np.int64)]


def relative_error(actual, expected):
    """Return the relative L2 error; NaN counts as infinite."""
    actual, expected = (torch.as_tensor(t).detach().double() for t in (actual, expected))
    assert actual.shape == expected.shape
    error = float((actual - expected).norm() / expected.norm())
    return error if error == error else float("inf")


class MeanMixer(nn.Module):
    """Mixes a sequence network's positions by their mean, padding included: it has no mask."""

    def __init__(self, config):
        super().__init__()
        self.linear = nn.Linear(config.dim, config.dim)

    def forward(self, values, context, *, lengths=None):
        return self.linear(values.mean(1, keepdim=True).expand_as(values))


@torch.no_grad()
def emptied(network):
    """Give a network memory that holds anything."""
    network.to_empty(device="cpu")
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.fill_(torch.nan if tensor.is_floating_point() else -7)
    return network


def reset(network, backwards=False):
    """Call `reset_parameters` of every part that has it, in either order."""
    parts = list(network.modules())
    for part in reversed(parts) if backwards else parts:
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return network


def reset_after_meta(make, backwards=False):
    """Return a module made on the meta device and filled by its parts."""
    with torch.device("meta"):
        made = make()
    return reset(emptied(made), backwards)

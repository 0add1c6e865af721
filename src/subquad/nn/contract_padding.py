"""The promises of a mixer about padding, and about training, as `check_mixer` tests them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from subquad.nn.contract_report import Check, error_of, within, worst

Cut = tuple[slice, ...]

_MORE = 3  # positions of padding beyond the largest sample
_FILLS = (torch.nan, torch.inf, -torch.inf)


class Batch(NamedTuple):
    """Samples of several sizes in one tensor, each in its first corner.

    Attributes:
        x: The tensor, `(batch, ...)`.
        mask: (batch, *spatial), True where a position counts; None if all do.
        cuts: For each sample, where it is in `x`.
    """

    x: Tensor
    mask: Tensor | None
    cuts: list[Cut]


class Seen(NamedTuple):
    """What a module makes of a batch.

    Attributes:
        outputs: Of each sample.
        inputs: Gradients, of each sample.
        weights: Gradients, of each parameter.
        leak: The largest gradient of the padding.
        state: The buffers afterwards.
    """

    outputs: list[Tensor]
    inputs: list[Tensor]
    weights: list[Tensor]
    leak: float
    state: list[Tensor]


def check_padding(module: nn.Module, x: Tensor, axes: Sequence[int], tolerance: float) -> list[Check]:
    """Check, in evaluation, that each sample of a padded batch is what it is alone."""
    whole = [[x.shape[axis] for axis in axes] for _ in x]
    mixed = _mixed_sizes(x, axes)
    batches = {
        "samples of mixed sizes": _padded(x, axes, mixed, 0),
        "mixed sizes and more padding": _padded(x, axes, mixed[::-1], _MORE),
        "samples all alike": _padded(x, axes, whole, _MORE),
        "a mask that is True everywhere": _padded(x, axes, whole, 0),
    }
    with torch.no_grad():
        cotangent = torch.randn_like(module(x))
    pairs = {
        name: (_run(module, batch, cotangent), _run_apart(module, x, batch.cuts, cotangent, together=False))
        for name, batch in batches.items()
    }
    return [
        *_compare(pairs, tolerance),
        _anything(module, x, axes, mixed[::-1], cotangent, tolerance),
    ]


def check_training(
    module: nn.Module, x: Tensor, axes: Sequence[int], tolerance: float, mask: bool
) -> list[Check]:
    """Check what holds in training: what dropout draws and what batch norms compute is left aside.

    Each run starts from the same module and the same seed, so that random starts are alike.
    """
    module = _training(module)
    whole = [[x.shape[axis] for axis in axes] for _ in x]
    everything = Batch(x, None, [_cut(x, axes, sample, sizes) for sample, sizes in enumerate(whole)])
    with torch.no_grad():
        cotangent = torch.randn_like(copy.deepcopy(module)(x))
    first, again = (_run(module, everything, cotangent) for _ in range(2))
    checks = [
        within("same seed, same output", error_of(again.outputs, first.outputs), 0.0),
        _no_mixing(module, everything, cotangent, tolerance),
    ]
    if mask:
        mixed = _mixed_sizes(x, axes)
        little, much, alike, full = (
            _run(module, _padded(x, axes, sizes, more), cotangent)
            for sizes, more in ((mixed, 0), (mixed, _MORE), (whole, _MORE), (whole, 0))
        )
        # Statistics are those of all samples: mixed sizes have no batch without padding to be like.
        steady, batch = _steady(module), _padded(x, axes, mixed, _MORE)
        pairs = {
            "samples all alike": (alike, first),
            "a mask that is True everywhere": (full, first),
            "mixed sizes and more padding": (much, little),
            "samples of mixed sizes": (
                _run(steady, batch, cotangent),
                _run_apart(steady, x, batch.cuts, cotangent, together=True),
            ),
        }
        states = {name: error_of(a.state, b.state) for name, (a, b) in list(pairs.items())[:3]}
        checks += [
            *_compare(pairs, tolerance),
            worst("statistics leave the padding out", states, tolerance),
            _anything(module, x, axes, mixed, cotangent, tolerance),
        ]
    return [replace(check, name=f"training: {check.name}") for check in checks]


def _compare(pairs: dict[str, tuple[Seen, Seen]], tolerance: float) -> list[Check]:
    """Compare what was seen of padded batches with what it should be."""
    outputs = {name: error_of(a.outputs, b.outputs) for name, (a, b) in pairs.items()}
    gradients = {name: _gradient_error(a, b) for name, (a, b) in pairs.items()}
    leak = max((a.leak for a, _ in pairs.values()), key=_badness)
    return [
        worst("padded equals cropped", outputs, tolerance),
        worst("gradients of padded equal those of cropped", gradients, tolerance),
        Check("no gradient reaches the padding", leak == 0, f"largest {leak:.1e}"),
    ]


def _anything(
    module: nn.Module,
    x: Tensor,
    axes: Sequence[int],
    sizes: list[list[int]],
    cotangent: Tensor,
    tolerance: float,
) -> Check:
    """Fill the padding with NaN and infinities: nothing changes, gradients of weights included."""
    expected = _run(module, _padded(x, axes, sizes, _MORE), cotangent)
    errors = {}
    for fill in _FILLS:
        seen = _run(module, _padded(x, axes, sizes, _MORE, fill), cotangent)
        errors |= {
            f"{fill} in the padding, in the output": error_of(seen.outputs, expected.outputs),
            f"{fill} in the padding, in gradients": _gradient_error(seen, expected),
            f"{fill} in the padding, in its gradient": 0.0 if seen.leak == 0 else torch.inf,
            f"{fill} in the padding, in buffers": error_of(seen.state, expected.state),
        }
    return worst("padding may hold anything", errors, tolerance)


def _no_mixing(module: nn.Module, batch: Batch, cotangent: Tensor, tolerance: float) -> Check:
    """Change some samples: the others stay as they were, but for the statistics of batch norms."""
    module = _steady(module)
    before = _run(module, batch, cotangent).outputs
    errors = {}
    for name, changed in {"the first": slice(0, 1), "all but the first": slice(1, None)}.items():
        x = batch.x.clone()
        x[changed] *= torch.rand_like(x[changed])
        after = _run(module, batch._replace(x=x), cotangent).outputs
        rest = slice(1, None) if name == "the first" else slice(0, 1)
        errors[f"another sample in place of {name}"] = error_of(after[rest], before[rest])
    return worst("samples do not mix", errors, tolerance)


def _training(module: nn.Module) -> nn.Module:
    """Return a copy in training mode whose dropout is off: it draws once for each position."""
    module = copy.deepcopy(module).train()
    for part in module.modules():
        if isinstance(part, _DropoutNd):
            part.eval()
    return module


def _steady(module: nn.Module) -> nn.Module:
    """Return a copy whose batch norms keep to the statistics that they have."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.eval()
    return module


def _mixed_sizes(x: Tensor, axes: Sequence[int]) -> list[list[int]]:
    """Return a size for each sample and axis, half to all of it: the tall samples are narrow."""
    last = x.shape[0] - 1
    sizes = []
    for sample in range(x.shape[0]):
        row = []
        for number, axis in enumerate(axes):
            most = x.shape[axis]
            least = max(1, most // 2)
            row.append(least + (most - least) * (sample if number % 2 == 0 else last - sample) // last)
        sizes.append(row)
    return sizes


def _padded(
    x: Tensor, axes: Sequence[int], sizes: list[list[int]], more: int, fill: float | None = None
) -> Batch:
    """Cut each sample to its size, and put it into a box as large as `x` and `more`.

    The padding holds noise, or `fill`.
    """
    shape = [size + more if axis in axes else size for axis, size in enumerate(x.shape)]
    box = 10 * torch.randn(shape, dtype=x.dtype, device=x.device)
    if fill is not None:
        box.fill_(fill)
    mask = torch.zeros([box.shape[axis] for axis in (0, *axes)], dtype=torch.bool, device=x.device)
    cuts = [_cut(x, axes, sample, row) for sample, row in enumerate(sizes)]
    for cut in cuts:
        box[cut] = x[cut]
        mask[(cut[0], *(cut[axis] for axis in axes))] = True
    return Batch(box, mask, cuts)


def _cut(x: Tensor, axes: Sequence[int], sample: int, sizes: Sequence[int]) -> Cut:
    kept = dict(zip(axes, sizes, strict=True))
    rest = (slice(0, kept[axis]) if axis in kept else slice(None) for axis in range(1, x.dim()))
    return (slice(sample, sample + 1), *rest)


def _run(module: nn.Module, batch: Batch, cotangent: Tensor) -> Seen:
    """Run a copy of the module, from a fixed seed, forward and backward."""
    module = copy.deepcopy(module)
    torch.manual_seed(0)
    parameters = [p for p in module.parameters() if p.requires_grad]
    with torch.enable_grad():
        x = batch.x.clone().requires_grad_()
        y = module(x) if batch.mask is None else module(x, mask=batch.mask)
        loss = torch.stack([(y[cut] * cotangent[cut]).sum() for cut in batch.cuts]).sum()
        inputs, *weights = torch.autograd.grad(
            loss, [x, *parameters], allow_unused=True, materialize_grads=True
        )
    outside = inputs.clone()
    for cut in batch.cuts:
        outside[cut] = 0
    return Seen(
        [y[cut].detach() for cut in batch.cuts],
        [inputs[cut] for cut in batch.cuts],
        weights,
        float(outside.abs().max()),
        list(module.buffers()),
    )


def _run_apart(module: nn.Module, x: Tensor, cuts: list[Cut], cotangent: Tensor, together: bool) -> Seen:
    """Run each sample without padding and without a mask; gradients of weights add up.

    A sample runs alone, or together with the others, all cut to its size: the same random numbers are
    then drawn for it.
    """
    seen = []
    for sample, cut in enumerate(cuts):
        part = (slice(None), *cut[1:]) if together else cut
        inside = slice(sample, sample + 1) if together else slice(None)
        batch = Batch(x[part], None, [(inside, *(slice(None),) * (x.dim() - 1))])
        seen.append(_run(module, batch, cotangent[part]))
    weights = [torch.stack(parts).sum(0) for parts in zip(*(s.weights for s in seen), strict=True)]
    return Seen([s.outputs[0] for s in seen], [s.inputs[0] for s in seen], weights, 0.0, [])


def _gradient_error(seen: Seen, expected: Seen) -> float:
    """Return the larger of the errors of the inputs' and of the weights' gradients."""
    inputs, weights = error_of(seen.inputs, expected.inputs), error_of(seen.weights, expected.weights)
    return max(inputs, weights)


def _badness(leak: float) -> float:
    return leak if leak == leak else torch.inf  # NaN is the worst

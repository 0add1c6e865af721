"""Convolutions and norms that take any number of spatial axes, and a mask where it matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from subquad.nn.distributed import processes, total_over_processes
from subquad.nn.running import recomputing


class Pointwise(nn.Conv2d):
    """1 x 1 convolution of (batch, channels, *spatial); the weight is (out, in, 1, 1)."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 4:
            return super().forward(input)
        flat = super().forward(input.flatten(2).unsqueeze(-1))
        return flat.squeeze(-1).unflatten(2, input.shape[2:])


class BatchNorm(_BatchNorm):
    """Batch norm of (batch, channels, *spatial) whose statistics can leave positions out.

    Each forward pass in training moves the moving statistics; a checkpoint's recomputation does not.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (batch, channels, *spatial), got {tuple(input.shape)}.")

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise; `mask` (batch, *spatial) is True where a position counts."""
        if mask is None:
            return self._normalised(input)
        if not self.training:
            return self._normalised(input.where(mask.unsqueeze(1), 0))  # NaN would reach the weight
        return _on_what_counts(self._normalised, input, mask)

    def _normalised(self, input: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if mean is None or var is None or not (self.training and recomputing()):
            return super().forward(input)
        # The first pass has moved the statistics; copies, since the graph is to be that of the first.
        mean, var = mean.clone(), var.clone()
        return F.batch_norm(input, mean, var, self.weight, self.bias, training=True, eps=self.eps)


def _on_what_counts(norm: Callable[[Tensor], Tensor], input: Tensor, mask: Tensor) -> Tensor:
    """Call a norm of rows (valid positions, channels); zero elsewhere."""
    channels_last = input.movedim(1, -1)
    out = torch.zeros_like(channels_last)
    out[mask] = norm(channels_last[mask])
    return out.movedim(-1, 1)


def sync_batch_norm(norm: nn.SyncBatchNorm, input: Tensor, mask: Tensor) -> Tensor:
    """Call what `convert_sync_batchnorm` makes of a `BatchNorm`, with a mask.

    Training takes the statistics over the positions that count in all processes, which may differ in
    their number; on any device, where PyTorch's own layer needs a GPU.
    """
    if not norm.training:
        return norm(input.where(mask.unsqueeze(1), 0))
    if processes(norm.process_group) == 1:
        return _on_what_counts(norm, input, mask)
    return _on_what_counts(lambda rows: _normalise_over_processes(norm, rows), input, mask)


def _normalise_over_processes(norm: nn.SyncBatchNorm, rows: Tensor) -> Tensor:
    """Normalise (positions, channels) by the statistics of all processes, and move the running ones."""
    group = norm.process_group
    x = rows.to(torch.promote_types(rows.dtype, torch.float32))
    count = total_over_processes(x.new_full((), len(x)), group).clamp_min(1)
    mean = total_over_processes(x.sum(0), group) / count
    centred = x - mean
    variance = total_over_processes(centred.square().sum(0), group) / count
    if norm.running_mean is not None and norm.running_var is not None and not recomputing():
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            seen = norm.num_batches_tracked.add_(1)
            share = 1 / float(seen) if norm.momentum is None else norm.momentum
            unbiased = variance * count / (count - 1).clamp_min(1)
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
    normal = centred * (variance + norm.eps).rsqrt()
    if norm.affine:
        normal = normal * norm.weight + norm.bias
    return normal.to(rows.dtype)


class GroupNorm(nn.GroupNorm):
    """Group norm of (batch, channels, *spatial) whose statistics can leave positions out."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise; `mask` (batch, *spatial) is True where a position counts."""
        if mask is None:
            # As the base class, which refuses groups of a single value: one pixel is an image, too.
            cudnn = torch.backends.cudnn.enabled
            return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps, cudnn)
        weight = mask.unsqueeze(1).expand_as(input)
        grouped = (input.shape[0], self.num_groups, -1)
        precision = torch.promote_types(input.dtype, torch.float32)
        x, valid = input.reshape(grouped).to(precision), weight.reshape(grouped)
        count = valid.sum(-1, keepdim=True).clamp_min(1)
        mean = x.where(valid, 0).sum(-1, keepdim=True) / count
        centred = (x - mean).where(valid, 0)
        variance = centred.square().sum(-1, keepdim=True) / count
        normal = (centred * (variance + self.eps).rsqrt()).to(input.dtype).reshape(input.shape)
        per_channel = (1, -1) + (1,) * (input.dim() - 2)
        return normal * self.weight.view(per_channel) + self.bias.view(per_channel)


def make_norm(kind: str | None, channels: int, groups: int = 32) -> nn.Module:
    """Return the norm called "batch", "group" or None (identity)."""
    if kind is None:
        return nn.Identity()
    if kind == "batch":
        return BatchNorm(channels)
    if kind == "group":
        if channels % groups:
            raise ValueError(f"group norm splits channels into {groups} groups, got {channels} channels.")
        return GroupNorm(groups, channels)
    raise ValueError(f'norm must be "batch", "group" or None, got {kind!r}.')


def apply_norm(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Call any norm, with the mask only if there is one: foreign norms know none."""
    if mask is None or isinstance(norm, nn.Identity):
        return norm(x)
    if isinstance(norm, nn.SyncBatchNorm):
        return sync_batch_norm(norm, x, mask)
    return norm(x, mask)

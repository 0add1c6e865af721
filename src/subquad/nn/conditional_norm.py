"""Batch norm whose scale and shift depend on the class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.nn.conv import BatchNorm
from subquad.nn.distributed import sum_over_processes
from subquad.nn.running import recomputing


class ConditionalBatchNorm(nn.Module):
    """Batch norm with one pair of moving statistics, and a scale and a shift for each class.

    The moving variance is that of the biased estimate, as in TensorFlow; PyTorch stores the unbiased
    one. `torch.nn.SyncBatchNorm.convert_sync_batchnorm` makes the statistics those of all processes.

    Args:
        channels: Of the input, `(batch, channels, *spatial)`.
        num_classes: Rows of the tables; None: one scale and shift for all, no labels.
        eps: Added to the variance.
        momentum: Share of the newest batch in the moving statistics.

    Attributes:
        weight: Scales, (classes, channels), one at first.
        bias: Shifts, (classes, channels), zero at first.

    References:
        de Vries et al., "Modulating early visual processing by language", NIPS 2017.
    """

    def __init__(
        self, channels: int, num_classes: int | None, *, eps: float = 1e-3, momentum: float = 0.001
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.momentum = momentum
        self.norm: nn.Module = BatchNorm(channels, eps=eps, momentum=momentum, affine=False)
        self.weight = nn.Parameter(torch.empty(num_classes or 1, channels))
        self.bias = nn.Parameter(torch.empty(num_classes or 1, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set scales to one and shifts to zero."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Normalise `x` `(batch, channels, *spatial)`; `labels` (batch,) are the classes, from 0.

        Scale and shift are applied in float32 under any autocast; the type is that of the norm's output.

        Raises:
            ValueError: If labels are missing, or given where there are no classes.
        """
        if (labels is None) != (self.num_classes is None):
            raise ValueError(
                f"this norm has {self.num_classes or 'no'} classes, got "
                f"{'no labels' if labels is None else 'labels'}."
            )
        normal = self._normalised(x)
        if labels is None:
            scale, shift = self.weight, self.bias
        else:
            scale, shift = F.embedding(labels, self.weight), F.embedding(labels, self.bias)
        shape = (*scale.shape, *[1] * (x.dim() - 2))
        precise = torch.promote_types(normal.dtype, torch.float32)
        scale, shift = scale.to(precise).view(shape), shift.to(precise).view(shape)
        return (normal.to(precise) * scale + shift).to(normal.dtype)

    def _normalised(self, x: Tensor) -> Tensor:
        norm = self.norm
        if not norm.training or (recomputing() and not isinstance(norm, nn.SyncBatchNorm)):
            return norm(x)  # which moves nothing
        kept = norm.running_var
        assert isinstance(kept, Tensor)
        # The graph keeps the variance that the norm is given, which must not change afterwards.
        norm.running_var = kept.clone()
        try:
            normal = norm(x)
            count = torch.full((), x.numel() // x.shape[1], device=x.device, dtype=torch.float32)
            if isinstance(norm, nn.SyncBatchNorm):
                sum_over_processes(count)
            with torch.no_grad():
                old = (1 - self.momentum) * kept
                kept.copy_(old + (norm.running_var - old) * (1 - 1 / count))
        finally:  # also of an input that the norm refuses
            norm.running_var = kept
        return normal

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.weight.shape[1]}, num_classes={self.num_classes}"

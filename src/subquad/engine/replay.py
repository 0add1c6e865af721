"""Repeat the pass in which training became NaN, and say where it begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from torch import Tensor, nn

from subquad.base.finite import all_finite, not_finite
from subquad.engine.learner import Learner
from subquad.engine.nan_batch import EVALUATION, NanBatch, read_nan_batch
from subquad.models.config_text import config_from_json

Rebuild = Callable[[str, Any, Mapping[str, Any]], Learner]
"""From the name of a task, a network and the `replay_options` of its learner to that learner."""


@dataclass
class Replayed:
    """What a pass that is repeated shows.

    Attributes:
        found: What the file holds.
        inputs: Names of the batch's tensors that are not finite.
        weights: Names of weights and statistics that were not finite before the pass.
        module: The first module whose output is not finite, and its type; None if all are finite.
        loss: As training minimises it; None in evaluation.
        gradient_at: The module at whose output, on the way back, a gradient is first not finite.
        gradients: Names of the parameters whose gradient is not finite.
    """

    found: NanBatch
    inputs: list[str]
    weights: list[str]
    module: tuple[str, str] | None = None
    loss: float | None = None
    gradient_at: tuple[str, str] | None = None
    gradients: list[str] = field(default_factory=list)

    @property
    def is_repeated(self) -> bool:
        """Whether something was not finite this time, too."""
        loss = 0.0 if self.loss is None else self.loss
        return bool(self.module or self.gradients or self.gradient_at or self.weights) or loss - loss != 0


def replay(path: str | Path, rebuild: Rebuild, device: str = "cpu") -> Replayed:
    """Rebuild the network of a `nan_batch.pt`, and do its forward and backward pass again.

    Weights, mode, precision and random numbers are those of the pass; on another kind of device than it
    ran on, what is drawn at random differs.

    Args:
        path: Of the file.
        rebuild: Makes the learner; `subquad.tasks` knows all of them.
        device: Such as "cpu" or "cuda".

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no such file.
    """
    found = read_nan_batch(path)
    try:
        learner = _learner(found, path, rebuild).to(device)
        result = Replayed(
            found, not_finite(_tensors(found.batch)), not_finite(found.state) if found.state else []
        )
        _repeat(learner, found, result)
    except torch.OutOfMemoryError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} does not fit together ({' '.join(str(error).split())[:300]}).") from error
    return result


def _learner(found: NanBatch, path: str | Path, rebuild: Rebuild) -> Learner:
    learner = rebuild(found.kind, config_from_json(found.config, path).build(), found.options)
    learner.load_state_dict(found.state)
    return learner


def _precision(name: str, device: torch.device, scale: float) -> Precision:
    """Return Lightning's precision of a name."""
    if name == "16-mixed":
        return MixedPrecision("16-mixed", device.type, torch.amp.GradScaler(device.type, init_scale=scale))  # pyright: ignore[reportPrivateImportUsage]
    if name == "bf16-mixed":
        return MixedPrecision("bf16-mixed", device.type)
    if name in ("16-true", "bf16-true"):
        return HalfPrecision(name)  # pyright: ignore[reportArgumentType]
    if name == "64-true":
        return DoublePrecision()
    if name == "32-true":
        return Precision()
    raise ValueError(f"precision {name!r} cannot be repeated")


def _repeat(learner: Learner, found: NanBatch, result: Replayed) -> None:
    precision = _precision(found.precision, learner.device, found.scale)
    precision.convert_module(learner)
    is_training = found.part != EVALUATION
    learner.train(is_training)
    batch = precision.convert_input(
        {
            name: value.to(learner.device) if isinstance(value, Tensor) else value
            for name, value in found.batch.items()
        }
    )
    for kind, state in found.random.items():
        if kind == "cpu":
            torch.set_rng_state(state)
        elif kind == learner.device.type == "cuda":
            torch.cuda.set_rng_state(state, learner.device)
    context = precision.train_step_context() if is_training else precision.val_step_context()
    with _watched(learner, result), nullcontext() if is_training else torch.no_grad():
        with context:
            if not is_training:
                learner.outputs_of(batch)
                return
            loss = learner.loss_of(batch, found.part)
        result.loss = float(loss)
        (loss * found.scale).backward()
    gradients = {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}
    result.gradients = not_finite(gradients)


@contextmanager
def _watched(learner: Learner, result: Replayed) -> Iterator[None]:
    """Note the first output, and on the way back the first gradient of one, that is not finite."""

    def hook(name: str, module: nn.Module) -> Any:
        place = name, type(module).__name__

        def see_gradient(gradient: Tensor) -> None:
            if result.gradient_at is None and not all_finite([gradient]):
                result.gradient_at = place

        def see(_: nn.Module, __: Any, output: Any) -> None:
            outputs = list(_tensors(output).values())
            if result.module is None and not all_finite(outputs):
                result.module = place
            for tensor in outputs:
                if tensor.requires_grad:
                    tensor.register_hook(see_gradient)

        return module.register_forward_hook(see)

    modules = [(name, module) for name, module in learner.named_modules() if name not in ("", "network")]
    handles = [hook(name.removeprefix("network."), module) for name, module in modules]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of precisions and of a trainer that is not there
            yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> dict[str, Tensor]:
    """Return the tensors in a value that a module gave, or in a batch, by name or number."""
    if isinstance(value, Tensor):
        return {"": value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple) else ()
    return {str(name): item for name, item in items if isinstance(item, Tensor)}

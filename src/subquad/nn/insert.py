"""Global context in a network that exists: inserted after a module, at first without effect."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, Unpack, get_args

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from subquad.nn.ham import HamOptions, handed_on
from subquad.nn.hamburger import Hamburger, Norm
from subquad.nn.mode import evaluating

Layout = Literal["channels_first", "channels_last", "tokens"]

CHILD = "context"  # what the inserted module is called below the one it follows


class InsertedContext(nn.Module):
    """A Hamburger for feature maps of any layout; what `insert_context` inserts.

    Args:
        hamburger: Of the map's channels.
        layout: See `insert_context`, as `prefix_tokens`.
    """

    def __init__(self, hamburger: Hamburger, layout: Layout, prefix_tokens: int = 0) -> None:
        super().__init__()
        self.hamburger = hamburger
        self.layout: Layout = layout
        self.prefix_tokens = prefix_tokens
        self.handle: RemovableHandle | None = None  # of the hook; None as a part of a Sequential
        self.register_load_state_dict_pre_hook(_keep_if_absent)

    def forward(self, features: Tensor) -> Tensor:
        """Add global context; the shape and the prefix tokens stay as they are."""
        if self.layout == "channels_first":
            return self.hamburger(features)
        if self.layout == "channels_last":
            return self.hamburger(features.movedim(-1, 1)).movedim(1, -1)
        prefix, tokens = features[:, : self.prefix_tokens], features[:, self.prefix_tokens :]
        return torch.cat([prefix, self.hamburger(tokens.mT).mT], dim=1)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"layout={self.layout!r}, prefix_tokens={self.prefix_tokens}"


def _give_context(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
    """The forward hook: takes and gives what the module returns.

    The context is looked up: a copy or a replica of the module has its own.
    """
    return getattr(module, CHILD)(output)


def insert_context(
    model: nn.Module,
    name: str,
    *,
    layout: Layout | None = None,
    prefix_tokens: int = 0,
    channels: int | None = None,
    example: Tensor | None = None,
    dim: int | None = None,
    norm: Norm | None = "batch",
    norm_groups: int = 32,
    ham: nn.Module | None = None,
    **options: Unpack[HamOptions],
) -> nn.Module:
    """Send the output of one module of any network through a Hamburger (v1, gated).

    The gate starts at zero, so the network gives what it gave before until it is trained. In the first
    step only the gate gets a gradient; the convolutions around the ham follow once it has moved.

    All names of the state dict stay, and `NAME.context.` is added. The network's own checkpoints load
    as before, also strictly: without any tensor of the context in it, the context is left as it is.
    `copy.deepcopy`, `torch.compile` and `torch.export` work as on any module. `remove_context` takes
    it out again.

    Args:
        model: Any network; it is changed in place.
        name: Of the module whose output gets context, as in `model.named_modules()`.
        layout: Of that output: "channels_first" `(batch, channels, *spatial)`, "channels_last"
            (batch, height, width, channels), or "tokens" (batch, tokens, channels). None takes
            "channels_first" for four and more axes; three could be either, and are refused.
        prefix_tokens: Tokens at the beginning that are left alone, such as 1 class token; with 0 it would
            be mixed with the others.
        channels: Of that output; measured with `example` if not given.
        example: An input of the network, such as images, or tokens of whole numbers; None tries zeros of
            (1, 3, 224, 224), then 16 tokens. It also shows whether the network runs the module at all.
        dim: Width inside the Hamburger; None takes `channels`, 512 at most.
        norm: "batch", "group" or None.
        norm_groups: Of the group norm; must divide `channels`.
        ham: In the ham's place, such as `SelfAttention(dim)`; see `Hamburger`.
        **options: `rank`, `solver`, `heads`, `steps`, `eval_steps`, `grad_steps`, `start` and
            `precision` of `Hamburger`.

    Returns:
        The model; its Hamburger is `model.get_submodule(f"{name}.context").hamburger`.

    Raises:
        ValueError: If there is no such module, if it has context already, if it cannot be followed by
            another, or if its output does not fit the layout.
    """
    _check_layout(layout, prefix_tokens)
    target = _target(model, name)
    channels = _channels(model, target, name, layout, channels, example)
    dim = min(channels, 512) if dim is None else dim
    hamburger = Hamburger(
        channels,
        version="v1",
        dim=dim,
        norm=norm,
        norm_groups=norm_groups,
        gate=True,
        ham=ham,
        **handed_on(options),
    )
    context = InsertedContext(hamburger, layout or "channels_first", prefix_tokens).train(target.training)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    target.add_module(CHILD, context.to(like.device, like.dtype))
    if not _is_plain_sequential(target):  # which runs its last part anyway
        context.handle = target.register_forward_hook(_give_context)
    return model


def remove_context(model: nn.Module, name: str) -> nn.Module:
    """Take out what `insert_context` inserted.

    Args:
        model: The network; it is changed in place.
        name: As it was given to `insert_context`.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such module, or no context in it.
    """
    target = _module(model, name)
    context = getattr(target, CHILD, None)
    if not isinstance(context, InsertedContext):
        raise ValueError(f"insert_context has put nothing into {name!r}.")
    if context.handle is not None:
        context.handle.remove()
    delattr(target, CHILD)
    return model


def _check_layout(layout: Layout | None, prefix_tokens: int) -> None:
    if layout not in (None, *get_args(Layout)):
        raise ValueError(f"layout must be one of {', '.join(get_args(Layout))}, got {layout!r}.")
    if prefix_tokens < 0 or (prefix_tokens and layout != "tokens"):
        raise ValueError(f'prefix_tokens must be at least 0, and belongs to "tokens", got {prefix_tokens}.')


def _target(model: nn.Module, name: str) -> nn.Module:
    """Return the module of a name, if context can follow it."""
    target = _module(model, name)
    if hasattr(target, CHILD):
        raise ValueError(f"{name!r} has a {CHILD!r} already; remove_context(model, {name!r}) takes it out.")
    if _runs_its_children(target) and not _is_plain_sequential(target):
        raise ValueError(
            f"{name!r} is a {type(target).__name__}, which runs whatever is added to it in its own way; "
            f"choose the module after it, or one inside."
        )
    return target


def _module(model: nn.Module, name: str) -> nn.Module:
    known = dict(model.named_modules())
    if not name:
        raise ValueError(
            f"the name '' means the whole {type(model).__name__}; choose a module inside, such as "
            f"{next((child for child, _ in model.named_children()), 'one of another network')!r}."
        )
    if name not in known:
        near = get_close_matches(name, list(known), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        children = ", ".join(child for child, _ in model.named_children())
        raise ValueError(
            f"{type(model).__name__} has no module {name!r}.{hint} Its parts are {children}; "
            f"model.named_modules() lists those inside as well."
        )
    return known[name]


def _runs_its_children(module: nn.Module) -> bool:
    return isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))


def _is_plain_sequential(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _channels(
    model: nn.Module,
    target: nn.Module,
    name: str,
    layout: Layout | None,
    channels: int | None,
    example: Tensor | None,
) -> int:
    """Return the channels that are told, or those of one run; with an example, both must agree."""
    output = _run(model, target, name, example, needed=channels is None)
    if channels is not None and (output is None or example is None):
        return channels
    measured = _measured(output, name, layout)
    if channels not in (None, measured):
        raise ValueError(f"{name!r} returns {tuple(output.shape)}, which has not channels={channels}.")
    return measured


@torch.no_grad()
def _run(model: nn.Module, target: nn.Module, name: str, example: Tensor | None, needed: bool) -> Any:
    """Return the output of a module, from one run of the network in evaluation.

    None if nothing that the network takes is known, and the output is not needed.
    """
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    inputs = [torch.zeros(1, 3, 224, 224), torch.zeros(1, 16, dtype=torch.int64)]
    if example is not None:  # whole numbers are tokens, or the pixels of a picture
        inputs = [example] if example.is_floating_point() else [example, example.to(like.dtype)]
    seen: list[Any] = []
    problem: Exception | None = None
    handle = target.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        for x in inputs:
            try:
                with evaluating(model):
                    model(x.to(like.device, like.dtype if x.is_floating_point() else None))
                break
            except Exception as error:  # whatever a foreign forward raises
                problem = problem or error
        else:
            if needed or example is not None:
                raise ValueError(
                    f"the channels after {name!r} are unknown: the network does not take "
                    f"{tuple(inputs[0].shape)} ({problem}); give another example=, or channels= without one."
                ) from problem
            return None
    finally:
        handle.remove()
    if not seen:
        raise ValueError(f"the network does not run {name!r}, so context after it would have no effect.")
    return seen[-1]


def _measured(output: Any, name: str, layout: Layout | None) -> int:
    """Return the channels of a module's output."""
    if not isinstance(output, Tensor):
        raise ValueError(f"{name!r} returns a {type(output).__name__}, not a tensor; choose a module inside.")
    shape = tuple(output.shape)
    if len(shape) < 3:
        raise ValueError(
            f"{name!r} returns {shape}, which has no positions to share context; choose a module before the "
            f"pooling."
        )
    if layout is None and len(shape) == 3:
        raise ValueError(
            f'{name!r} returns {shape}: give layout="tokens" if the channels come last, as in a ViT '
            f'(prefix_tokens=1 for its class token), or layout="channels_first", as in a 1-D convolution.'
        )
    fits = {"channels_first": True, "channels_last": len(shape) == 4, "tokens": len(shape) == 3}
    if not fits[layout or "channels_first"]:
        raise ValueError(f"{name!r} returns {shape}, which is not layout={layout!r}; see insert_context.")
    return shape[-1] if layout in ("channels_last", "tokens") else shape[1]


def _keep_if_absent(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: Mapping[str, Any], *_: Any
) -> None:
    """Let a checkpoint without any context in it pass, and leave the context as it is."""
    if not any(key.startswith(prefix) for key in state_dict):
        state_dict.update({prefix + key: value for key, value in module.state_dict().items()})

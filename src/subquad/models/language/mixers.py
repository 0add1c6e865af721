"""What mixes the positions of a text, by the names that a pattern has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from subquad.nn.causal import CausalMixer
from subquad.nn.causal_attention import CausalAttention
from subquad.nn.causal_convolution import CausalConvolution
from subquad.nn.causal_ham import CausalHam
from subquad.nn.causal_paramixer import CausalParamixer
from subquad.ops.memory import MemorySolver

if TYPE_CHECKING:
    from subquad.models.language.config import LanguageConfig


def _links(mixer: type[CausalParamixer | CausalConvolution]) -> Callable[[LanguageConfig], CausalMixer]:
    def make(config: LanguageConfig) -> CausalMixer:
        return mixer(
            config.dim,
            factors=config.factor_count,
            heads=config.paramixer_heads,
            conv=config.conv,
            start=config.start,  # pyright: ignore[reportArgumentType]  it says itself which it has
        )

    return make


def _ham(solver: MemorySolver) -> Callable[[LanguageConfig], CausalMixer]:
    def make(config: LanguageConfig) -> CausalMixer:
        return CausalHam(
            config.dim,
            heads=config.heads,
            solver=solver,
            chunk=config.chunk,
            conv=config.conv,
            gate=config.gate,
            grad=config.grad,
            keys=config.memory_keys,
            start=config.query_start or "induction",
        )

    return make


def _attention(config: LanguageConfig) -> CausalMixer:
    return CausalAttention(
        config.dim,
        heads=config.heads,
        conv=config.conv,
        gate=config.gate,
        start=config.query_start or "random",
    )


MIXERS: dict[str, Callable[[LanguageConfig], CausalMixer]] = {
    "paramixer": _links(CausalParamixer),
    "ham": _ham("ridge"),
    "delta": _ham("gradient"),
    "linear": _ham("none"),
    "attention": _attention,
    "convolution": _links(CausalConvolution),
}

"""Networks of text for the package `transformers`: importing this makes them known to its Auto classes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from subquad.models.language.config import BEFORE_PHASES, LanguageConfig
from subquad.models.language.network import LanguageNetwork

IGNORED = -100  # a label that does not count, as `transformers` has it


class HamLMConfig(PretrainedConfig):
    """A `LanguageConfig` as `transformers` stores it.

    Args:
        network: Options of a `LanguageConfig`, by name; None: its defaults.
        **kwargs: Those of every `PretrainedConfig`.

    Raises:
        ValueError: If they are none.
    """

    model_type = LanguageConfig.family

    def __init__(self, network: dict[str, Any] | None = None, **kwargs: Any) -> None:
        options = dict(network or {})
        known = {field.name for field in dataclasses.fields(LanguageConfig)}
        if unknown := sorted(options.keys() - known):
            raise ValueError(f"a LanguageConfig has no option {unknown[0]!r}; update subquad.")
        if known - options.keys() == BEFORE_PHASES.keys():  # a file of then
            options |= BEFORE_PHASES
        config = LanguageConfig(**options)
        # Plain values: lists for tuples, as they come back from a file.
        self.network = json.loads(json.dumps(dataclasses.asdict(config)))
        self.vocab_size, self.hidden_size = config.vocab_size, config.dim
        self.num_hidden_layers, self.num_attention_heads = config.depth, config.heads
        ends = {"bos_token_id": config.end, "eos_token_id": config.end, "pad_token_id": config.end}
        # The network shares its table by itself.
        super().__init__(**{**ends, **kwargs, "tie_word_embeddings": False})

    @property
    def language(self) -> LanguageConfig:
        """The configuration."""
        return LanguageConfig(**self.network)


@dataclass
class HamLMOutput(ModelOutput):
    """What a network says.

    Attributes:
        loss: Mean cross-entropy of the labels; None without.
        logits: Of each next token, (batch, n, vocab_size).
        state: What it takes to go on, tensors by name; None unless it is to be used.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    state: dict[str, Tensor] | None = None


class HamLMForCausalLM(PreTrainedModel, GenerationMixin):
    """A `LanguageNetwork` that `transformers` trains, saves, loads and lets write.

    Args:
        config: Its configuration.

    Attributes:
        network: The `LanguageNetwork`.
    """

    config_class = HamLMConfig
    base_model_prefix = "network"
    _is_stateful = True  # a state cannot be taken back: no beams that are assisted

    def __init__(self, config: HamLMConfig) -> None:
        super().__init__(config)
        self.network = LanguageNetwork(config.language)
        self.post_init()

    @classmethod
    def of(cls, network: LanguageNetwork) -> Self:
        """Return a network of ours as one of `transformers`, with its weights."""
        model = cls(HamLMConfig(dataclasses.asdict(network.config)))
        model.network.load_state_dict(network.state_dict())
        return model.train(network.training)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: dict[str, Tensor] | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
    ) -> HamLMOutput | tuple[Any, ...]:
        """Map tokens to the logits of each next one.

        Args:
            input_ids: (batch, n).
            attention_mask: (batch, n), 0 where a token is padding, which may stand on either side, and
                between a prompt and what was written after it. Last are the logits of the last token, also
                of samples that end with padding: `generate` goes on from these.
            state: Of what was read before, which is used up.
            labels: (batch, n), mostly `input_ids`, of which each is told from those before it; -100 where
                none is to be told.
            use_cache: Whether to return the state after the last token.
            return_dict: False returns a tuple.
        """
        keep = bool(use_cache) and not self.training
        order, lengths = _to_the_left(attention_mask, input_ids)
        tokens = input_ids if order is None else input_ids.gather(1, order)
        found = self.network(tokens, state, keep, lengths=lengths)
        logits, after = found if keep else (found, None)
        if order is not None and lengths is not None:
            last = logits.gather(1, (lengths - 1).view(-1, 1, 1).expand(-1, 1, logits.shape[2]))
            logits = logits.gather(1, order.argsort(1).unsqueeze(2).expand_as(logits))
            logits = torch.cat([logits[:, :-1], last], dim=1)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
            )
        output = HamLMOutput(loss, logits, after)
        return output if return_dict is not False else output.to_tuple()

    def prepare_inputs_for_generation(  # pyright: ignore[reportIncompatibleMethodOverride]  by keyword
        self,
        input_ids: Tensor,
        state: dict[str, Tensor] | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return what `forward` needs for the next token: the last one, where there is a state."""
        if state is not None:
            input_ids, attention_mask = input_ids[:, -1:], None
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "state": state,
            "use_cache": use_cache,
        }

    def _update_model_kwargs_for_generation(
        self, outputs: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        model_kwargs["state"] = outputs.state
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the state is our own

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of token vectors."""
        return self.network.embedding

    def _init_weights(self, module: nn.Module) -> None:
        """Do nothing: every layer starts as it was built, and none is left out of a file."""


def _to_the_left(mask: Tensor | None, tokens: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Return where to take tokens from so that the padding comes last, and how many are none.

    Raises:
        ValueError: If there is padding between tokens more than once.
    """
    if mask is None or bool(mask.all()):
        return None, None
    if mask.shape != tokens.shape:
        raise ValueError(
            f"attention_mask must be {tuple(tokens.shape)} as input_ids, got {tuple(mask.shape)}."
        )
    real = mask.bool()
    starts = real.clone()
    starts[:, 1:] &= ~real[:, :-1]
    if bool(starts.sum(1).gt(2).any()):  # a prompt, and what `generate` wrote behind its padding
        raise ValueError("attention_mask has padding between tokens; put it before or after them.")
    return (~real).long().argsort(dim=1, stable=True), real.sum(1)


AutoConfig.register(HamLMConfig.model_type, HamLMConfig, exist_ok=True)
AutoModelForCausalLM.register(HamLMConfig, HamLMForCausalLM, exist_ok=True)

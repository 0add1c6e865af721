"""Which network is trained on which text."""

from __future__ import annotations

from typing import Any

from subquad.engine.options import given_options, model_options
from subquad.models import LanguageConfig, model_config

TOLD = ("class_names", "num_classes", "vocab_size", "tokens", "tokenizer")  # by the text
LanguageModelOptions = model_options([LanguageConfig], name="ham_lm_tiny", told=TOLD)


def resolve(options: Any, data: Any) -> LanguageConfig:
    """Return the configuration of a network for these options and this text.

    Args:
        options: Of the network.
        data: `LanguageData`.

    Raises:
        ValueError: If the network is of another task, or an option is unknown or does not fit.
    """
    named = model_config(options.name)
    if not isinstance(named, LanguageConfig):
        raise ValueError(f"{options.name} tells no text; give --model.name ham_lm_tiny, or another of them.")
    config = named.replaced(
        **{
            "context": data.options.context,
            **given_options(options),
            "vocab_size": data.tokens.vocab_size,
            "tokens": data.tokens.kind,
            "tokenizer": data.tokens.json,
        }
    )
    assert isinstance(config, LanguageConfig)
    return config

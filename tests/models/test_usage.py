"""What a configuration tells of itself: its use, its cost, and what else changes with an option."""

import pytest
import torch

from subquad.models import Usage, create_model, list_models, model_config
from subquad.models.card import model_card
from subquad.models.cost import multiply_adds, on_meta

TASKS = {
    "van_tiny": ("image-classification", "image classification"),
    "light_ham_van_tiny": ("image-segmentation", "semantic segmentation"),
    "hamnet_r50_voc": ("image-segmentation", "semantic segmentation"),
    "hamgan_baby": ("unconditional-image-generation", "class-conditional image generation"),
    "paramixer_text": ("text-classification", "classification of sequences"),
    "paramixer_adding": ("tabular-regression", "regression from sequences"),
    "ham_lm_tiny": ("text-generation", "the next token of a text"),
}
SMALL = {
    "van_tiny": {"backbone": "conv_tiny"},
    "light_ham_van_tiny": {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4},
    "hamgan_baby": {"size": 32, "width": 4, "num_classes": 3},
    "paramixer_text": {"length": 8},
    "paramixer_adding": {"length": 8},
    "ham_lm_tiny": {"dim": 16},
}


@pytest.mark.parametrize("name", TASKS)
def test_the_card_names_the_task(name):
    hub_tag, task = TASKS[name]
    card = model_card(on_meta(name), "mine")
    assert f'pipeline_tag: "{hub_tag}"' in card and f" for {task}, with " in card


def test_tokens_are_no_classes():
    card = model_card(on_meta("ham_lm_tiny"), "mine")
    assert "with 257 tokens and" in card and "lasses" not in card
    card = model_card(on_meta("van_tiny"), "mine")
    assert "with the backbone `van_tiny`, 1000 classes and" in card and "## Classes" in card


def test_each_named_network_tells_its_use_and_its_sources():
    for name in list_models():
        config = model_config(name)
        assert config.usage() != Usage() and config.sources, name


@pytest.mark.parametrize("name", SMALL)
def test_the_code_of_a_card_runs(name):
    network = create_model(name, **SMALL[name]).eval()
    exec(network.config.usage().code, {"torch": torch, "network": network})


def test_a_hamgan_of_another_size_is_another_network():
    assert model_config("hamgan_baby").with_size(64).size == 64
    assert model_config("van_tiny").with_size(64) == model_config("van_tiny")
    small, usual = (multiply_adds("hamgan_baby", size, width=4, num_classes=2) for size in (32, None))
    assert small < usual / 8


def test_what_belongs_to_the_old_option_goes_with_it():
    named = {"num_classes": 2, "class_names": ("a", "b")}
    coloured = model_config("light_ham_van_tiny", **named, palette=((1, 2, 3), (4, 5, 6)), mean=(0.1,) * 3)
    assert coloured.replaced(num_classes=2).palette and coloured.replaced(in_channels=3).mean
    other = coloured.replaced(num_classes=3)
    assert (other.class_names, other.palette, other.mean) == ((), (), (0.1,) * 3)
    assert coloured.replaced(in_channels=4).mean is None
    read = model_config("paramixer_text", **named, vocab_size=2, token_names=("x", "y"))
    assert read.replaced(vocab_size=3).token_names == () and read.replaced(vocab_size=3).class_names == (
        "a",
        "b",
    )
    assert read.replaced(vocab_size=1, token_names=("z",)).token_names == ("z",)

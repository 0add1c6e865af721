"""Telling a network from a checkpoint of the originals."""

import re

import numpy as np
import pytest
import torch

from helpers import load_case, weights_of
from nightly import some_by_day
from subquad.models.create import create_model
from subquad.models.originals.load import read_weights
from subquad.models.originals.names import renaming
from subquad.models.originals.recognise import recognise
from subquad.models.registry import list_models

CASES = {
    "light_ham_van_tiny": ("light_ham_van_tiny", {"num_classes": 150}),
    "hamnet_voc_r50": ("hamnet_r50_voc", {"num_classes": 21, "version": "v2"}),
    "hamnet_mm_r50_d8": ("hamnet_r50_ade20k", {"num_classes": 150, "concat_input": True, "auxiliary": False}),
    "hamnet_van_tiny_os8": (
        "hamnet_van_tiny_os8",
        {"num_classes": 150, "concat_input": True, "auxiliary": False},
    ),
    "segnext_tiny": ("segnext_tiny", {"num_classes": 150}),
    "van_b0_classifier": ("van_tiny", {"num_classes": 1000}),
}


@pytest.mark.parametrize("case", CASES)
def test_recognises_the_originals(case):
    found = recognise(read_weights(weights_of(load_case(case))))
    assert (found.name, found.overrides) == CASES[case]
    if found.name != "van_tiny":
        assert "rank" in found.assumed and "no checkpoint tells it" in found.assumed


def originals_names(name, **overrides):
    """Return empty tensors by the names the originals gave to a network of ours, found by inversion."""
    case = next(c for c, (n, _) in CASES.items() if family(n) == family(name))
    with torch.device("meta"):
        network = create_model(name, **overrides)
    ours, our_name = network.state_dict(), renaming(network)
    back = {}
    for theirs in candidates(load_case(case).keys):
        place = our_name(theirs, ours)
        if place in ours:
            back.setdefault(place, theirs)
    return {back[place]: tensor for place, tensor in ours.items() if place in back}


def family(name):
    return name.split("_")[0] + ("_voc" if "voc" in name else "") + ("_os8" if "os8" in name else "")


def candidates(keys):
    """Deeper networks have the names of shallow ones, with higher numbers of blocks."""
    for key in keys:
        yield key
        parts = key.split(".")
        for index, part in enumerate(parts):
            if part.isdecimal() and index in (1, 2):
                yield from (".".join([*parts[:index], str(n), *parts[index + 1 :]]) for n in range(41))


# HamGAN and Paramixer are told otherwise, and tested where they are; the others have no originals.
NAMES = [
    n
    for n in list_models()
    if not re.search("d256|hamgan|paramixer|chordmixer|ham_lm|conv_tiny|efficientnet", n)
]


@pytest.mark.parametrize(
    "name", some_by_day(NAMES, lambda name: not re.search("small|base|large|huge|os8|segnext|r50", name))
)
def test_every_size_is_told_from_the_others(name):
    """A network's own tensors, under the originals' names, are recognised as that network."""
    network_names = originals_names(name)
    found = recognise(network_names)
    assert found.name == name


def test_class_count_channels_version_and_dictionary_are_read():
    weights = dict(weights_of(load_case("hamnet_voc_r50")))
    weights["fc.1.weight"], weights["fc.1.bias"] = np.zeros((5, 256, 1, 1)), np.zeros(5)
    weights["backbone.0.0.weight"] = np.zeros((64, 4, 3, 3))
    weights["hamburger.ham.bases"] = np.zeros((2, 256, 32))
    overrides = recognise(read_weights(weights)).overrides
    assert overrides == {
        "num_classes": 5, "in_channels": 4, "version": "v2", "heads": 2, "rank": 32, "start": "fixed",
    }  # fmt: skip
    weights["hamburger.coef_ham"] = weights["hamburger.coef_shortcut"] = np.zeros(1)
    del weights["hamburger.ham.bases"]
    assert recognise(read_weights(weights)).overrides["rank"] == 512


def test_concat_input_and_auxiliary_head_are_read():
    weights = dict(weights_of(load_case("hamnet_mm_r50_d8")))
    weights = {n: w for n, w in weights.items() if "conv_cat" not in n}
    weights |= {
        "auxiliary_head.convs.0.conv.weight": np.zeros((256, 1024, 3, 3)),
        "auxiliary_head.convs.0.gn.weight": np.zeros(256),
        "auxiliary_head.convs.0.gn.bias": np.zeros(256),
        "auxiliary_head.conv_seg.weight": np.zeros((150, 256, 1, 1)),
        "auxiliary_head.conv_seg.bias": np.zeros(150),
    }
    found = recognise(read_weights(weights))
    assert found.name == "hamnet_r50_ade20k"
    assert found.overrides == {"num_classes": 150, "concat_input": False, "auxiliary": True}


def test_what_is_not_a_whole_network_is_refused():
    weights = weights_of(load_case("segnext_tiny"))
    backbone = {n: w for n, w in weights.items() if n.startswith("backbone.")}
    with pytest.raises(ValueError, match="A backbone alone is a start for training"):
        recognise(read_weights(backbone))
    with pytest.raises(ValueError, match="are of no network known here: there are HamNet"):
        recognise({"conv1.weight": torch.zeros(3)})
    with pytest.raises(ValueError, match="nearest, segnext_tiny, shares 99"):
        recognise(read_weights({**weights, "decode_head.extra.weight": np.zeros(3)}))


@pytest.mark.slow
def test_what_is_given_is_not_assumed():
    weights = read_weights(weights_of(load_case("light_ham_van_tiny")))
    found = recognise(weights, {"rank": 7})
    assert found.overrides["rank"] == 7
    assert "rank" not in found.assumed and "6 steps (7 in evaluation)" in found.assumed
    of_vq = {
        n.replace("lower_bread.0.", "lower_bread."): w
        for n, w in weights_of(load_case("hamnet_voc_r50")).items()
    }
    assert "the solver CD" in recognise(read_weights(of_vq)).assumed
    assert "solver" not in recognise(read_weights(of_vq), {"solver": "VQ"}).assumed

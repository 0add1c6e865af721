"""Built on the meta device and filled by `reset_parameters`: the network that the constructor makes."""

import copy
import pickle

import pytest
import torch
from torch import nn

from helpers import emptied, reset
from nightly import some_by_day
from subquad import create_model, list_models
from subquad.nn import Ham, Hamburger, insert_context

SMALL = {"length": 64, "dim": 32, "hidden": 32}
NETWORKS = {
    "van_tiny": {},
    "light_ham_van_tiny_d256": {"start": "learned", "steps": 2, "grad_steps": 2},
    "segnext_tiny": {"context": "attention"},
    "hamnet_r50_ade20k": {"channels": 64, "dim": 64, "align_channels": 64, "concat_input": True},
    "hamnet_van_tiny_os8": {"version": "v2plus"},
    "hamgan_baby": {"width": 16, "context": "attention"},
    "hamgan_strong": {"width": 16},
    "paramixer_text": SMALL | {"start": "uniform", "norm": True},
    "paramixer_image": SMALL | {"positions": True, "embedding_range": 0.1, "protocol": "cdil"},
    "paramixer_adding": SMALL | {"context": "transformer"},
    "paramixer_order": SMALL | {"context": "none", "unused_tables": True},
    "chordmixer": SMALL | {"dim": 12},
}


def on_meta(name, options):
    with torch.device("meta"):
        return create_model(name, **options)


def assert_alike(actual, expected):
    """Constants and dictionaries are equal, the others of one distribution."""
    assert actual.keys() == expected.keys()
    for name, made in expected.items():
        found = actual[name]
        assert found.isfinite().all(), name
        is_constant = made.min() == made.max() if made.numel() > 1 else float(made) in (0, 1)
        if is_constant or name.endswith("dictionary"):
            assert torch.equal(found, made), name
        elif made.numel() >= 400:
            chance = 6 / made.numel() ** 0.5
            assert abs(found.std() / made.std() - 1) < chance, name
            assert abs(found.mean() - made.mean()) < chance * made.std(), name
            # The share within one deviation: 0.68 of a normal distribution, 0.58 of a uniform one.
            shares = [(t.abs() < made.std()).float().mean() for t in (found, made)]
            assert abs(shares[0] - shares[1]) < chance, name


@pytest.mark.parametrize(
    "backwards",
    some_by_day([False, True], lambda backwards: not backwards),
    ids=["parents first", "children first"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_reset_is_what_is_built(name, backwards):
    built = create_model(name, **NETWORKS[name])
    network = reset(emptied(on_meta(name, NETWORKS[name])), backwards)
    assert_alike(network.state_dict(), built.state_dict())


@pytest.mark.parametrize("name", list_models())
def test_every_module_of_a_named_network_can_be_reset(name):
    for part_name, part in on_meta(name, {}).named_modules():
        own = {*part._parameters, *part._buffers}
        if own and not isinstance(part, nn.utils.parametrize.ParametrizationList):  # its layer does it
            assert callable(getattr(part, "reset_parameters", None)), (part_name, type(part), own)


def test_resetting_draws_anew():
    network = create_model("van_tiny")
    before = copy.deepcopy(network.state_dict())
    reset(network)
    name = "backbone.stages.0.blocks.0.attention.project_in.weight"
    assert not torch.equal(network.state_dict()[name], before[name])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_resets_itself(copied):
    block = Hamburger(8, dim=8, rank=3, version="v2plus", gate=True)
    before = {name: value.clone() for name, value in block.state_dict().items()}
    twin = reset(emptied(copied(block)))
    assert all(torch.equal(block.state_dict()[name], value) for name, value in before.items())
    assert all(value.isfinite().all() for value in twin.state_dict().values())


def test_the_dictionary_has_columns_of_length_one():
    for over in ("space", "channel"):
        with torch.device("meta"):
            ham = Ham(6, 4, heads=2, over=over)
        dictionary = reset(emptied(ham)).dictionary
        torch.testing.assert_close(dictionary.norm(dim=1), torch.ones(2, 4))
        assert torch.equal(dictionary, Ham(6, 4, heads=2, over=over).dictionary)


def test_inserted_context_is_closed_again():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    insert_context(model, "0", rank=2)
    context = reset(emptied(model)).get_submodule("0.context")
    assert context.hamburger.gate == 0 and all(t.isfinite().all() for t in model.state_dict().values())

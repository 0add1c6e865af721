"""Networks of other packages: saved only if they can be loaded again, and loaded if they were saved."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import nn

from checkpoint_files import saved, tiny
from subquad import load_model, save_model
from subquad.base import plugins
from subquad.models import Network, NetworkConfig, SequenceConfig, register, register_family, registry
from subquad.models.card import model_card

pytestmark = pytest.mark.usefixtures("own_registry")


@dataclass(frozen=True, kw_only=True)
class MineConfig(NetworkConfig):
    """A family of another package, with an option of each kind."""

    family: ClassVar[str] = "mine"

    num_classes: int = 2
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (3, 4)

    def build(self):
        network = nn.Sequential(nn.Linear(*self.widths[:2]), nn.Linear(self.widths[1], self.num_classes))
        network.config = self
        return network


def test_a_family_that_is_not_registered_is_refused_when_saved(tmp_path):
    with pytest.raises(
        ValueError, match="MineConfig is not registered as the family 'mine'.*register_family"
    ):
        save_model(MineConfig().build(), tmp_path / "m.safetensors")

    class Heir(SequenceConfig):
        """Would be loaded as another class than it was saved as."""

    network = tiny()
    network.config = Heir(num_classes=2)
    with pytest.raises(ValueError, match="Heir is not registered as the family 'sequence'"):
        save_model(network, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_registered_family_is_saved_and_loaded(tmp_path):
    register_family(MineConfig)
    network = MineConfig(kind="b", widths=(5, 6)).build().eval()
    save_model(network, tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    assert again.config == network.config
    x = torch.randn(2, 5)
    assert torch.equal(again(x), network(x))


def test_its_files_are_read_as_strictly_as_ours(tmp_path):
    from checkpoint_files import with_options

    register_family(MineConfig)
    save_model(MineConfig().build(), tmp_path / "m.safetensors")
    for options in ({"kind": "c"}, {"widths": ["a"]}, {"num_classes": 0}, {"widths": []}):
        with pytest.raises(ValueError, match=r"m\.safetensors"):
            load_model(with_options(tmp_path / "m.safetensors", **options))


def test_an_installed_package_announces_its_family(tmp_path, monkeypatch):
    """The name of a family is only looked up among entry points: nothing that a file names is imported."""
    register_family(MineConfig)
    save_model(MineConfig().build(), tmp_path / "m.safetensors")
    del registry.FAMILIES["mine"]
    with pytest.raises(
        ValueError, match="family 'mine', which this version .* the package that registers it"
    ):
        load_model(tmp_path / "m.safetensors")
    asked = []

    def entry_points(*, group, name):
        asked.append((group, name))
        return [EntryPoint("mine", f"{__name__}:MineConfig", group)] if name == "mine" else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    assert type(load_model(tmp_path / "m.safetensors").config).__name__ == "MineConfig"
    assert asked == [("subquad.families", "mine")]


def test_a_package_that_is_broken_is_told(monkeypatch):
    point = EntryPoint("mine", "no_such_package:MineConfig", "subquad.families")
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [point])
    with pytest.raises(ValueError, match="the family 'mine' of no_such_package:MineConfig cannot be had"):
        registry.family_called("mine")


def test_a_name_has_one_family():
    with pytest.raises(ValueError, match="the family 'sequence' is that of .*SequenceConfig; give Heir"):
        register_family(type("Heir", (SequenceConfig,), {}))
    with pytest.raises(TypeError, match="a family is a dataclass of NetworkConfig"):
        register_family(nn.Linear)  # pyright: ignore
    assert register_family(SequenceConfig) is SequenceConfig


def test_options_that_a_file_cannot_hold_are_refused_when_saved(tmp_path):
    @register_family
    @dataclass(frozen=True, kw_only=True)
    class Odd(MineConfig):
        family: ClassVar[str] = "odd"
        extra: Any = ((1, 2),)

    with pytest.raises(ValueError, match="a file cannot hold the options of Odd"):
        save_model(Odd().build(), tmp_path / "m.safetensors")


def test_the_card_of_another_packages_network_guesses_nothing():
    card = model_card(MineConfig().build(), "mine")
    assert "pipeline_tag" not in card and "for a task of its own" in card and "Sources" not in card


def test_saved_files_keep_their_families(tmp_path):
    assert type(load_model(saved(tmp_path / "a.safetensors")).config) is SequenceConfig


def test_a_network_that_computes_while_it_is_built_is_saved_and_draws_nothing(tmp_path):
    """The meta device has no values to compute with, so it is built in earnest to compare with."""

    @register_family
    @dataclass(frozen=True, kw_only=True)
    class Computing(MineConfig):
        family: ClassVar[str] = "computing"

        def build(self):
            network = MineConfig.build(self)
            network.total = network[0].weight.sum().item()
            return network

    network = Computing().build()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    save_model(network, tmp_path / "m.safetensors")
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(load_model(tmp_path / "m.safetensors")[0].weight, network[0].weight)


@dataclass(frozen=True, kw_only=True)
class LeanConfig(NetworkConfig):
    """A family of another package that leaves it to the registry what it builds."""

    family: ClassVar[str] = "lean"


class Lean(Network):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.linear = nn.Linear(3, config.num_classes)


def test_a_registered_network_is_built_saved_and_loaded(tmp_path):
    with pytest.raises(
        ValueError, match=r"no network is registered for LeanConfig; .*register\(LeanConfig\)"
    ):
        LeanConfig(num_classes=2).build()
    assert register(LeanConfig)(Lean) is Lean
    network = LeanConfig(num_classes=2).replaced(num_classes=4).build()
    assert isinstance(network, Lean) and network.linear.out_features == 4
    save_model(network, tmp_path / "m.safetensors")
    assert isinstance(load_model(tmp_path / "m.safetensors"), Lean)


def test_what_is_derived_builds_what_its_base_does():
    @register_family
    @dataclass(frozen=True, kw_only=True)
    class Heir(LeanConfig):
        family: ClassVar[str] = "heir"

    register(LeanConfig)(Lean)
    assert isinstance(Heir(num_classes=2).build(), Lean)


def test_a_configuration_has_one_network():
    register(LeanConfig)(Lean)
    with pytest.raises(ValueError, match=r"LeanConfig builds .*Lean already; give it one network"):
        register(LeanConfig)(type("Other", (Network,), {}))


def test_an_announced_network_is_registered_where_its_family_is_first_needed(tmp_path, monkeypatch):
    """Building and saving ask as loading does: only its configuration may be imported so far."""

    def load(point):
        return register(LeanConfig)(Lean)

    monkeypatch.setattr(EntryPoint, "load", load)
    point = EntryPoint("lean", "lean_package:Lean", "subquad.families")
    monkeypatch.setattr(plugins, "entry_points", lambda *, group, name: [point] if name == "lean" else [])
    assert isinstance(LeanConfig(num_classes=2).build(), Lean)
    del registry.FAMILIES["lean"]
    network = Lean(LeanConfig(num_classes=2))
    save_model(network, tmp_path / "m.safetensors")
    del registry.FAMILIES["lean"], registry.NETWORKS[LeanConfig]
    assert isinstance(load_model(tmp_path / "m.safetensors"), Lean)

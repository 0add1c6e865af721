"""Solvers of other packages: chosen by name, and held by files."""

import pickle
import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Literal

import pytest
import torch

from checkpoint_files import content_of, with_options
from subquad import create_model, load_model, save_model
from subquad.base import plugins
from subquad.models import register_solver, solvers
from subquad.models.solvers import UnknownSolver
from subquad.ops import NMF, VQ, Solver
from subquad.ops.checks import SOLVER_METHODS
from subquad.ops.cosine import CosineClustering

pytestmark = pytest.mark.usefixtures("own_registry")


@dataclass(frozen=True)
class Mild(CosineClustering):
    """No heir of NMF, VQ or CD; it hands out a share of VQ's codes."""

    share: float = 0.5
    weights: tuple[float, ...] = ()

    first_codes, update_codes = VQ.first_codes, VQ.update_codes
    update_dictionary = VQ.update_dictionary

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}.")

    def final_codes(self, problem, factors):
        return self.share * VQ.final_codes(self, problem, factors)


def network(**options):
    return create_model("light_ham_van_tiny_d256", num_classes=2, rank=4, **options).eval()


def test_a_solver_that_is_not_registered_is_refused_when_saved(tmp_path):
    with pytest.raises(ValueError, match="only NMF, VQ and CD can be stored, got Mild.*register_solver"):
        save_model(network(solver=Mild()), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="unknown solver 'Mild'.* There are NMF, VQ and CD"):
        network(solver="Mild")


def test_a_registered_solver_is_chosen_by_name_saved_and_loaded(tmp_path):
    assert register_solver(Mild) is Mild
    assert network(solver="Mild").config.solver == Mild()
    saved = network(solver=Mild(share=0.25, weights=(1.0, 2.0)))
    save_model(saved, tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    assert again.config.solver == Mild(share=0.25, weights=(1.0, 2.0))
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(again(x), saved(x))
    assert not torch.equal(again(x), network(solver="VQ")(x))


def test_its_files_are_read_strictly(tmp_path):
    register_solver(Mild)
    save_model(network(solver="Mild"), tmp_path / "m.safetensors")
    stored = content_of(tmp_path / "m.safetensors")["config"]["solver"]
    for change in ({"share": "a"}, {"share": 2}, {"weights": [None]}, {"shares": 0.5}, {"type": "os.system"}):
        with pytest.raises(ValueError, match=r"m\.safetensors"):
            load_model(with_options(tmp_path / "m.safetensors", solver=stored | change))


def test_an_installed_package_announces_its_solver(tmp_path, monkeypatch):
    register_solver(Mild)
    save_model(network(solver="Mild"), tmp_path / "m.safetensors")
    del solvers.SOLVERS["Mild"]
    with pytest.raises(
        ValueError, match=r"m\.safetensors needs the solver 'Mild', which is not known here: import"
    ):
        load_model(tmp_path / "m.safetensors")
    point = EntryPoint("Mild", f"{__name__}:Mild", "subquad.solvers")
    monkeypatch.setattr(
        plugins, "entry_points", lambda *, group, name=None: [point] if name in (None, "Mild") else []
    )
    other = EntryPoint("mild", f"{__name__}:Mild", "subquad.solvers")
    with (
        monkeypatch.context() as patch,
        pytest.raises(ValueError, match="it is Mild, and a solver is announced"),
    ):
        patch.setattr(plugins, "entry_points", lambda **_: [other])
        network(solver="mild")
    del solvers.SOLVERS["Mild"]
    with pytest.raises(ValueError, match=r"'mild'\. Did you mean 'Mild'\? There are NMF, VQ, CD and Mild\."):
        network(solver="mild")
    assert load_model(tmp_path / "m.safetensors").config.solver == Mild()
    broken = EntryPoint("Gone", "no_such_package:Gone", "subquad.solvers")
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [broken])
    with pytest.raises(ValueError, match="the solver 'Gone' of no_such_package:Gone cannot be had"):
        network(solver="Gone")


def test_a_file_imports_nothing_that_is_not_announced(tmp_path):
    """The name in a file is compared with names, whatever it looks like."""
    save_model(network(), tmp_path / "m.safetensors")
    for name in ("antigravity", "antigravity:fly", "subquad.ops.nmf:NMF"):
        with pytest.raises(ValueError, match="needs the solver"):
            load_model(with_options(tmp_path / "m.safetensors", solver={"type": name}))
    assert "antigravity" not in sys.modules


def test_only_frozen_dataclasses_with_all_methods_are_solvers():
    @dataclass
    class Loose:
        pass

    @dataclass(frozen=True)
    class Bare:
        """No method of a solver."""

    for wrong in (Loose, Mild(), "Mild"):
        with pytest.raises(
            TypeError, match=r"a solver is a frozen dataclass with the methods.*\(frozen=True\)"
        ):
            register_solver(wrong)
    with pytest.raises(TypeError, match="Bare has no random_dictionary, admissible, prepare, first_codes"):
        register_solver(Bare)
    with pytest.raises(ValueError, match=r"the solver 'NMF' is that of subquad\.ops\.nmf"):
        register_solver(dataclass(frozen=True)(type("NMF", (Mild,), {"__module__": __name__})))


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (int | None, True),
        (tuple[tuple[float, str], ...], True),
        (tuple, False),
        (list[int], False),
        (object, False),
        (Literal["a", 2], True),
        (Literal[b"a"], False),
    ],
    ids=str,
)
def test_what_no_file_can_hold_is_refused_before_anything_is_trained(kind, stored):
    mine = type("Mine", (Mild,), {"__annotations__": {"extra": kind}, "extra": None, "__module__": __name__})
    mine = dataclass(frozen=True)(mine)
    if stored:
        assert register_solver(mine) is mine
    else:
        with pytest.raises(
            TypeError, match="extra of Mine is annotated as .*, which no file can hold; take bool"
        ):
            register_solver(mine)


def test_what_cannot_be_given_cannot_be_brought_back():
    @dataclass(frozen=True)
    class Derived(Mild):
        twice: float = field(default=1.0, init=False)

    with pytest.raises(TypeError, match="twice of Derived cannot be given"):
        register_solver(Derived)


def test_an_unknown_solver_is_told_across_processes():
    told = UnknownSolver("wq")
    assert str(pickle.loads(pickle.dumps(told))) == str(told)


def test_a_solver_with_its_options():
    assert network(solver={"type": "VQ", "temperature": 0.1}).config.solver == VQ(0.1)
    for wrong, match in (
        ({"type": "VQ", "temperatur": 0.1}, "solver VQ has no 'temperatur'. Did you mean 'temperature'"),
        ({"name": "VQ"}, "a solver is a name such as VQ, or has a type"),
        ({"type": [1]}, r"the type of a solver is its name, got \[1\]"),
        (VQ, r"solver must be NMF, VQ or CD, got <class .*VQ'>; give VQ\(\)"),
    ):
        with pytest.raises(ValueError, match=match):
            network(solver=wrong)


def test_the_methods_that_are_looked_for_are_those_of_the_protocol():
    assert set(SOLVER_METHODS) == {name for name in vars(Solver) if not name.startswith("_")}


def test_a_solver_that_inherits_an_empty_method_is_not_whole():
    """Its codes would be None: neither a value of it can be made, nor its class be registered."""

    @dataclass(frozen=True)
    class Halfway(Solver):
        random_dictionary = NMF.random_dictionary
        admissible = NMF.admissible
        prepare = NMF.prepare
        first_codes = NMF.first_codes
        update_codes = NMF.update_codes
        update_dictionary = NMF.update_dictionary

    with pytest.raises(TypeError, match="final_codes"):
        Halfway()
    with pytest.raises(TypeError, match="Halfway has no final_codes"):
        register_solver(Halfway)

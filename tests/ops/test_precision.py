"""Products in bfloat16: how exact, where refused, and never where nobody asked for them."""

import pytest
import torch

from helpers import load_case, relative_error, solver_of
from subquad.models import create_model, load_model, save_model
from subquad.nn import Ham, Hamburger
from subquad.ops import CD, NMF, VQ, decompose, encode, precision

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    """Any machine computes in bfloat16; whether it pays is looked at in tests of its own."""
    for place in ("subquad.ops.precision", "subquad.models.portable"):
        monkeypatch.setattr(f"{place}.why_not_bfloat16", lambda kind: "")
    return monkeypatch


@pytest.mark.parametrize("batch", [1, 3])
def test_error_is_below_one_percent(batch):
    solver, x = NMF(), torch.rand(batch, 64, 500)
    start = solver.random_dictionary((batch, 64, 8))
    exact = decompose(x, start, solver, steps=6).reconstruct()
    short = decompose(x, start, solver, steps=6, precision="bfloat16").reconstruct()
    assert 0 < relative_error(short, exact) < 0.01
    assert short.dtype == torch.float32


def test_gradient_is_that_of_float64_but_for_rounding():
    solver = NMF()
    x, weights = torch.rand(2, 32, 200), torch.randn(2, 32, 200, dtype=torch.float64)
    start = solver.random_dictionary((2, 32, 6))

    def gradient(x, start, **options):
        x = x.clone().requires_grad_()
        y = decompose(x, start, solver, steps=4, **options).reconstruct()
        return torch.autograd.grad((y * weights.to(y.dtype)).sum(), x)[0]

    for grad_steps in (0, 4):
        exact = gradient(x.double(), start.double(), grad_steps=grad_steps)
        short = gradient(x, start, grad_steps=grad_steps, precision="bfloat16")
        assert relative_error(short, exact) < 0.05
        direction = torch.nn.functional.cosine_similarity(short.double().flatten(), exact.flatten(), dim=0)
        assert direction > 0.999


def test_sums_are_in_float32():
    """65,536 equal terms: a sum in bfloat16 would stop growing at 256 of them."""
    x, start = torch.ones(1, 4, 65536), torch.full((1, 4, 1), 0.5)
    factors = decompose(x, start, NMF(), steps=2, precision="bfloat16")
    torch.testing.assert_close(factors.reconstruct(), x, rtol=0.01, atol=0)


@pytest.mark.parametrize("solver", [VQ(0.1), CD(0.1)], ids=str)
def test_clustering_stays_in_float32(solver):
    """Their temperature would magnify the rounding; see `CosineClustering`."""
    x, start = torch.rand(2, 32, 200), solver.random_dictionary((2, 32, 6))
    exact, short = (decompose(x, start, solver, steps=4, precision=p).codes for p in ("float32", "bfloat16"))
    assert torch.equal(exact, short)


def test_float64_and_codes_for_a_given_dictionary():
    x, start = torch.rand(1, 16, 50), NMF().random_dictionary((1, 16, 4))
    options = {"steps": 3, "precision": "bfloat16"}
    double = decompose(x.double(), start.double(), NMF(), **options)
    assert torch.equal(double.codes, decompose(x.double(), start.double(), NMF(), steps=3).codes)
    exact, short = encode(x, start, NMF(), steps=3), encode(x, start, NMF(), **options)
    assert 0 < relative_error(short, exact) < 0.01


CASES = ["solver_nmf", "solver_cd_t10", "solver_cd_t100", "solver_vq_t10", "solver_vq_t100"]


@pytest.mark.parametrize("name", CASES)
def test_conformance_inputs(name):
    """Less than 1 % from the original numbers, in the reconstruction and the one-step gradient."""
    case = load_case(name)
    x = torch.tensor(case.x, dtype=torch.float32, requires_grad=True)
    start = torch.tensor(case.D0, dtype=torch.float32)
    options = {"steps": case.meta["steps"], "precision": "bfloat16"}
    reconstruction = decompose(x, start, solver_of(case.meta), **options).reconstruct()
    assert relative_error(reconstruction, case.recon) < 0.01
    (reconstruction * torch.tensor(case.g, dtype=torch.float32)).sum().backward()
    assert relative_error(x.grad, case.grad_one_step) < 0.05


def test_ham_hamburger_and_networks_take_it():
    x = torch.rand(2, 16, 9, 11)
    makers = (
        lambda **options: Ham(16, 4, **options),
        lambda **options: Ham(16, 4, heads=2, **options),
        lambda **options: Ham(16, 4, over="channel", **options),
        lambda **options: Hamburger(16, dim=16, rank=4, norm=None, **options),
    )
    for make in makers:
        block, short = make().eval(), make(precision="bfloat16").eval()
        short.load_state_dict(block.state_dict())
        for layout in (torch.contiguous_format, torch.channels_last):
            seen = x.contiguous(memory_format=layout)
            exact, rough = block(seen), short(seen)
            assert 0 < relative_error(rough, exact) < 0.01 and rough.dtype == x.dtype
    network = create_model("light_ham_van_tiny_d256", precision="bfloat16")
    assert network.head.hamburger.ham.precision == "bfloat16"


def test_unknown_and_slower_precisions_are_refused(allowed):
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'half'"):
        Ham(8, 2, precision="half")
    allowed.setattr(precision, "why_not_bfloat16", lambda kind: "it has no such instructions")
    with pytest.raises(
        ValueError, match="would not be faster on this CPU: it has no such instructions; leave"
    ):
        Ham(8, 2, precision="bfloat16")(torch.rand(1, 8, 5))


def test_refusal_asks_for_instructions_then_measures_once(monkeypatch):
    monkeypatch.undo()
    precision.why_not_bfloat16.cache_clear()
    times = iter([0.9, 1.0, 0.5, 3.0])  # a poor one is measured once more: others may have been busy
    monkeypatch.setattr(precision, "_has_instructions", lambda: True)
    monkeypatch.setattr(precision, "times_as_fast", lambda: next(times))
    assert "1.00 times as long" in precision.why_not_bfloat16("cpu")
    assert precision.why_not_bfloat16("cpu")  # not measured again
    precision.why_not_bfloat16.cache_clear()
    assert precision.why_not_bfloat16("cpu") == ""
    precision.why_not_bfloat16.cache_clear()
    monkeypatch.setattr(precision, "_has_instructions", lambda: False)
    assert "no such instructions" in precision.why_not_bfloat16("cpu")
    precision.why_not_bfloat16.cache_clear()


@pytest.mark.parametrize("grad_steps", [0, 3])
def test_compiled_and_mapped_it_is_the_same(grad_steps):
    ham = Ham(32, 4, steps=3, grad_steps=grad_steps, precision="bfloat16").eval()
    x = torch.rand(2, 32, 6, 5)
    expected = ham(x)
    assert expected.dtype == torch.float32
    compiled = torch.compile(ham, backend="aot_eager")
    assert relative_error(compiled(x), expected) < 1e-2
    assert relative_error(torch.func.vmap(ham)(x[:, None]).squeeze(1), expected) < 1e-2


def test_files_run_where_it_would_be_refused(tmp_path, allowed):
    network = create_model("light_ham_van_tiny_d256", num_classes=2, precision="bfloat16")
    save_model(network, tmp_path / "short.safetensors")
    assert load_model(tmp_path / "short.safetensors").head.hamburger.ham.precision == "bfloat16"
    allowed.setattr("subquad.models.portable.why_not_bfloat16", lambda kind: "no instructions")
    allowed.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="taken in float32"):
        loaded = load_model(tmp_path / "short.safetensors")
    assert loaded.head.hamburger.ham.precision == "float32"


def test_exports_are_in_float32():
    ham, x = Ham(8, 3, precision="bfloat16").eval(), torch.rand(1, 8, 20)
    exact = Ham(8, 3).eval()
    exact.load_state_dict(ham.state_dict())
    with torch.no_grad():
        program = torch.export.export(ham, (x,))
    assert "bfloat16" not in str(program.graph)
    torch.testing.assert_close(program.module()(x), exact(x))

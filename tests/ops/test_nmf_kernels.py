"""The Triton kernel of NMF, simulated on the CPU: against `decompose`, and compiled for a GPU."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from helpers import relative_error
from nightly import some_by_day
from subquad.ops import NMF, decompose
from subquad.ops.decompose import data_unit

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed, as on macOS and Windows", allow_module_level=True)

from subquad.ops.kernels import nmf
from subquad.ops.kernels.nmf import nmf_codes, nmf_iterations, nmf_step

pytestmark = pytest.mark.usefixtures("deterministic")

UNIT = torch.ones(1, 1, 1, dtype=torch.float64)


def problem(batch, dim, n, rank, dtype=torch.float64):
    """Return data of about low rank, and a start dictionary."""
    x = torch.rand(batch, dim, rank) @ torch.rand(batch, rank, n) ** 3 + 0.1 * torch.rand(batch, dim, n)
    return x.to(dtype), NMF().random_dictionary((batch, dim, rank), dtype=dtype)


def solve(x, dictionary, solver, steps, codes=None):
    """Return what `decompose` does, by the kernel."""
    unit = data_unit(x)
    dictionary, codes = nmf_iterations(x, dictionary, codes, unit, solver.eps, steps)
    return dictionary, (nmf_codes(x, dictionary, codes, unit, solver.eps) * unit).mT


def channels_last(x):
    return x.mT.contiguous().mT


def every_second_of_more(x):
    wider = torch.full((x.shape[0], x.shape[1] + 3, 2 * x.shape[2]), torch.nan, dtype=x.dtype)
    wider[:, 1:-2, ::2] = x
    return wider[:, 1:-2, ::2]


LAYOUTS = [channels_last, torch.Tensor.contiguous, every_second_of_more]
SIZES = [((2, 70, 150, 5), 1e-6), ((1, 3, 1, 4), 0.1), ((3, 64, 64, 17), 0.1), ((1, 5, 300, 16), 1e-6)]


@pytest.mark.parametrize(
    "case",
    some_by_day(
        [(layout, *one) for layout in LAYOUTS for one in SIZES],
        lambda case: case[0] is channels_last or case[1:] == SIZES[-1],
    ),
    ids=lambda case: f"{case[0].__name__} {case[1]}",
)
def test_six_iterations_are_those_of_decompose(case):
    layout, sizes, eps = case
    x, start = problem(*sizes)
    expected = decompose(x, start, NMF(eps), steps=6)
    dictionary, codes = solve(layout(x), start, NMF(eps), 6)
    assert dictionary.is_contiguous() and codes.mT.is_contiguous()
    assert relative_error(dictionary, expected.dictionary) < 1e-12
    assert relative_error(codes, expected.codes) < 1e-12


def test_they_start_from_given_codes_too():
    x, start = problem(2, 9, 70, 3)
    codes = (start.mT @ x).softmax(dim=-2).mT
    for found, expected in zip(solve(x, start, NMF(), 2, codes), solve(x, start, NMF(), 2), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rank", [6, 100])
def test_sums_of_single_precision_are_as_exact_as_those_of_pytorch(rank):
    x, start = problem(2, 40, 200, rank, torch.float32)
    exact = decompose(x.double(), start.double(), NMF(), steps=3)
    eager = decompose(x, start, NMF(), steps=3)
    for found, rounded, right in zip(solve(x, start, NMF(), 3), eager, exact, strict=True):
        assert found.dtype == torch.float32
        assert relative_error(found, right) < 2 * relative_error(rounded, right) + 1e-7


def test_half_precision_is_multiplied_in_single():
    x, start = problem(1, 20, 40, 3, torch.float32)
    half = x.half()
    expected = solve(half.float(), start, NMF(), 2)
    unit = data_unit(half.float())
    dictionary, codes = nmf_iterations(half, start, None, unit, 1e-6, 2)
    assert dictionary.dtype == codes.dtype == torch.float32
    torch.testing.assert_close(dictionary, expected[0])


def test_bfloat16_rounds_factors_and_sums_in_single():
    x, dictionary = problem(2, 70, 150, 5, torch.float32)
    x, unit = x.bfloat16(), UNIT.float().expand(2, 1, 1)
    found = nmf_iterations(x, dictionary, None, unit, 1e-6, 3)

    def rounded(factor):  # the simulation cuts bits off, where a GPU rounds to the nearest
        return (factor.contiguous().view(torch.int32) & -(2**16)).view(torch.float32)

    codes = (x.float().mT @ rounded(dictionary)).softmax(dim=-1)
    for _ in range(3):
        overlap = x.float().mT @ rounded(dictionary)
        codes = codes * overlap / (codes @ (dictionary.mT @ dictionary) + 1e-6)
        few = rounded(codes)
        dictionary = dictionary * (x.float() @ few) / (dictionary @ (few.mT @ few) + 1e-6)
    # A last bit of a sum may decide how a factor is rounded, by up to 0.8 %.
    for actual, expected in zip(found, (dictionary, codes), strict=True):
        assert actual.dtype == torch.float32 and relative_error(actual, expected) < 5e-4


def test_masked_positions_have_no_codes_and_change_nothing():
    x, start = problem(2, 8, 150, 4)
    mask = torch.arange(150) < torch.tensor([[150], [70]])
    dictionary, codes = solve(x.where(mask.unsqueeze(1), 0), start, NMF(), 3)
    expected = decompose(x, start, NMF(), steps=3, mask=mask)
    torch.testing.assert_close(dictionary, expected.dictionary)
    torch.testing.assert_close(codes, expected.codes)
    assert not codes[1, :, 70:].any()


@pytest.mark.parametrize("scale", [0.0, 1e-7, 1e30])
def test_epsilons_follow_the_data(scale):
    x, start = (t.float() for t in problem(2, 8, 20, 4))
    for found, expected in zip(
        solve(scale * x, start, NMF(), 2), decompose(scale * x, start, NMF(), steps=2), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * scale)


def test_signed_data_are_cut_off_and_nan_is_not_hidden():
    x, start = problem(1, 8, 20, 4)
    x = x - x.mean()
    dictionary, codes = solve(x, start, NMF(), 2)
    expected = decompose(x, start, NMF(), steps=2)
    torch.testing.assert_close(dictionary, expected.dictionary)
    x[0, 3, 5] = torch.nan
    assert nmf_codes(x, start, codes.mT, UNIT, 1e-6)[0, 5].isnan().all()


def test_the_number_of_programs_changes_rounding_alone(monkeypatch):
    x, start = problem(1, 10, 400, 3)
    found = []
    for processors in (1, 3, 99):
        monkeypatch.setattr(nmf, "SIMULATED_PROCESSORS", processors)
        found.append(nmf_iterations(x, start, None, UNIT, 1e-6, 2))
    for other in found[1:]:
        for actual, expected in zip(other, found[0], strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def plain_step(x, dictionary, codes, unit, eps):
    """One iteration as it stands in the paper."""
    x = x / unit
    codes = codes * (x.mT @ dictionary).clamp_min(0) / (codes @ (dictionary.mT @ dictionary) + eps)
    return dictionary * (x @ codes).clamp_min(0) / (dictionary @ (codes.mT @ codes) + eps), codes


@pytest.mark.parametrize("name", ["step", "codes"])
def test_gradients_are_those_of_the_plain_formula(name):
    x, dictionary = problem(2, 7, 10, 3)
    x = (x - 0.3 * x.mean()).requires_grad_()
    inputs = (x, dictionary.requires_grad_(), torch.rand(2, 10, 3, dtype=x.dtype).requires_grad_())
    unit = torch.tensor([0.5, 3.0], dtype=x.dtype).reshape(2, 1, 1)
    both = []
    for function in (nmf_step, plain_step):
        outputs = function(*inputs, unit, 0.1)
        if name == "codes":
            outputs = (nmf_codes(*inputs, unit, 0.1) if function is nmf_step else outputs[1],)
        torch.manual_seed(1)
        grads = torch.autograd.grad(outputs, inputs, [torch.randn_like(output) for output in outputs])
        both.append((*outputs, *grads))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_derivatives_are_those_of_finite_differences_and_there_are_second_ones():
    x, dictionary = problem(1, 3, 4, 2)
    inputs = [t.requires_grad_() for t in (x, dictionary, torch.rand(1, 4, 2, dtype=x.dtype))]
    for operation in (nmf_step, nmf_codes):

        def function(*tensors, operation=operation):
            return operation(*tensors, UNIT, 0.1)

        assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def test_a_code_of_zero_passes_no_gradient_on():
    x, dictionary = problem(1, 6, 5, 3)
    codes = torch.zeros(1, 5, 3, dtype=x.dtype).requires_grad_()
    assert not torch.autograd.grad(nmf_codes(x, dictionary, codes, UNIT, 1e-6).sum(), codes)[0].any()


def test_gradients_have_the_types_of_their_tensors():
    x, dictionary = problem(1, 6, 5, 3, torch.bfloat16)
    inputs = (x.requires_grad_(), dictionary.float().requires_grad_(), torch.rand(1, 5, 3).requires_grad_())
    grads = torch.autograd.grad([y.sum() for y in nmf_step(*inputs, UNIT, 1e-6)], inputs)
    assert [grad.dtype for grad in grads] == [torch.bfloat16, torch.float32, torch.float32]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # of opcheck itself
def test_the_operations_keep_pytorch_s_rules():
    x, dictionary = problem(2, 5, 9, 3, torch.float32)
    codes, unit = torch.rand(2, 9, 3), torch.ones(2, 1, 1)
    for operation in (nmf_step, nmf_codes):
        inputs = [t.clone().requires_grad_() for t in (channels_last(x), dictionary, codes)]
        opcheck(operation, (*inputs, unit, 1e-6))
    for start in (None, codes):
        opcheck(nmf_iterations, (x.bfloat16(), dictionary, start, unit, 1e-6, 2))


def test_vmap_makes_one_batch():
    x, dictionary = problem(6, 5, 9, 3)
    x, unit = x.unflatten(0, (3, 2)), UNIT.expand(2, 1, 1)
    found = torch.func.vmap(nmf_iterations, (0, None, None, None, None, None))(
        x, dictionary[:2], None, unit, 1e-6, 2
    )
    for k in range(3):
        for actual, expected in zip(
            found, nmf_iterations(x[k], dictionary[:2], None, unit, 1e-6, 2), strict=True
        ):
            torch.testing.assert_close(actual[k], expected)


def test_a_compiler_keeps_it_whole():
    def iterate(x, dictionary):
        return nmf_iterations(2 * x, dictionary, None, UNIT, 1e-6, 2)[0] * 2

    x, dictionary = problem(1, 5, 9, 3)
    compiled = torch.compile(iterate, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, dictionary), iterate(x, dictionary))


GPU = """
import triton.language as tl
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from subquad.ops.kernels.nmf import _pass_kernel, blocks

CASES = (("bf16", tl.bfloat16, 64, "to_position"), ("fp32", tl.float32, 128, "to_channel"))
for x, kind, rank, packed in CASES:
    rows, options = blocks(kind, rank)
    fixed = {"EPS": 1e-6, "START": True, "SUMS": True, "ROUNDED": kind, "FACTOR": kind, "INDEX": tl.int32}
    fixed |= {"ROWS": rows, "CHANNELS": 64, "RANK": rank, packed: 1}
    pointers = ("dictionary", "gram", "unit", "codes", "updated", "sums")
    signature = dict.fromkeys(_pass_kernel.arg_names, "i32") | dict.fromkeys(pointers, "*fp32")
    signature |= {"x": "*" + x} | dict.fromkeys(fixed, "constexpr")
    source = ASTSource(_pass_kernel, signature, fixed)
    made = compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert "wgmma" in made.asm["ptx"] and "atom" not in made.asm["ptx"]
    assert made.metadata.shared <= 227 * 1024
"""


def test_it_compiles_for_a_gpu_and_fits_its_chip(monkeypatch):
    pytest.importorskip("triton", minversion="3.4", reason="Triton's compiler was called otherwise")
    monkeypatch.delenv("TRITON_INTERPRET")
    subprocess.run([sys.executable, "-c", GPU], check=True, timeout=300)

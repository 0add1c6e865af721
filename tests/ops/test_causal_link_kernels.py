"""The Triton kernels of causal links, simulated on the CPU: against the reference, and compiled for a GPU."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.func import grad, vmap
from torch.library import opcheck

from subquad.ops import causal_link_chain, causal_link_mix

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed, as on macOS and Windows"
)


def problem(n, heads, dim, batch=2, dtype=torch.float64):
    shapes = (batch, n, dim), (batch, n, heads), (batch, n, dim)
    values, gates, cotangent = (torch.randn(shape, dtype=dtype) for shape in shapes)
    return values.requires_grad_(), gates.requires_grad_(), cotangent


@pytest.mark.parametrize(
    ("n", "offset", "heads", "dim"),
    [(1, 1, 1, 1), (64, 1, 2, 6), (65, 64, 3, 6), (130, 70, 1, 5), (70, 2**40, 5, 5), (9, 2, 2, 150)],
)
def test_numbers_and_gradients_are_those_of_the_reference(n, offset, heads, dim, deterministic):
    """Tails of blocks, offsets over the edge of one, links that would wrap if anything did."""
    values, gates, cotangent = problem(n, heads, dim)
    both = []
    for impl in ("triton", "reference"):
        y = causal_link_mix(values, gates, offset, impl=impl)
        both.append((y, *torch.autograd.grad(y, (values, gates), cotangent)))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_nothing_comes_from_later_nor_from_another_sample():
    values, gates, _ = problem(70, 2, 4)
    y = causal_link_mix(values, gates, 3, impl="triton")
    later = torch.autograd.grad(y[0, :66].sum(), (values, gates))
    assert not any(part[0, 66:].any() or part[1].any() for part in later) and later[0][0, :66].all()
    with torch.no_grad():
        values[0, 66:], gates[0, 66:], values[1] = torch.nan, torch.inf, torch.nan
    assert torch.equal(causal_link_mix(values, gates, 3, impl="triton")[0, :66], y[0, :66])


def test_a_chain_of_them():
    shapes = (2, 20, 4), (5, 2), (2, 20, 3), (5, 2, 3)
    arguments = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    both = []
    for impl in ("triton", "auto"):
        y = causal_link_chain(*arguments, impl=impl)
        both.append((y, *torch.autograd.grad(y.sin().sum(), arguments)))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_half_precision_is_summed_in_single():
    """A head of 4,096 channels: in half precision the sum would stop long before."""
    values, gates, _ = problem(2, 1, 4096, batch=1)
    values, gates = torch.full_like(values, 0.5).half(), torch.zeros_like(gates).half().requires_grad_()
    y = causal_link_mix(values, gates, 1, scale=1, impl="triton")
    (found,) = torch.autograd.grad(y.sum(), gates)
    assert y.dtype == found.dtype == torch.half and found.flatten().tolist() == [-2048, 0]
    mixed = causal_link_mix(values[..., :2], torch.full_like(gates, 2**-10), 1, scale=1, impl="triton")
    assert mixed[0, 0, 0] == 0.5 - 2**-11


def test_first_and_second_derivatives():
    values, gates, _ = problem(7, 2, 4, batch=1)

    def mix(values, gates):
        return causal_link_mix(values, gates, 2, impl="triton")

    assert torch.autograd.gradcheck(mix, (values, gates), fast_mode=True)
    assert torch.autograd.gradgradcheck(mix, (values, gates), fast_mode=True)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # of opcheck itself
def test_the_operations_keep_pytorch_s_rules():
    from subquad.ops.kernels.causal_links import compare_causal_links, mix_causal_links

    values, gates, other = problem(5, 2, 4, dtype=torch.float32)
    for back in (False, True):
        opcheck(mix_causal_links, (values, gates, 2, back))
    opcheck(compare_causal_links, (values, other, 2, 2))


def test_vmap_is_a_loop_and_other_transforms_are_refused():
    values, gates, _ = (x.detach() for x in problem(5, 2, 4))
    many = torch.randn(3, *values.shape, dtype=torch.float64)

    def mix(values):
        return causal_link_mix(values, gates, 2, impl="triton")

    torch.testing.assert_close(vmap(mix)(many), torch.stack([mix(x) for x in many]))
    with pytest.raises(ValueError, match='impl="triton" has no derivatives under torch.func; use "auto"'):
        grad(lambda x: mix(x).sum())(values)
    with pytest.raises(ValueError, match="has no derivatives under torch.func"):
        grad(lambda x: causal_link_chain(x, gates[0, :2], impl="triton").sum())(values)


def test_rows_before_the_first_are_refused():
    values, gates, _ = problem(5, 2, 4)
    with pytest.raises(ValueError, match='impl="triton" takes no rows before the first; use "auto"'):
        causal_link_mix(values, gates, 2, before=values[:, :2], impl="triton")
    with pytest.raises(ValueError, match="impl must be .* got 'cuda'"):
        causal_link_chain(values, gates[0, :2], impl="cuda")


def test_a_compiler_keeps_it_whole():
    def mix(values, gates):
        return causal_link_mix(values, gates, 4, impl="triton") * 2

    values, gates, _ = problem(12, 2, 4, dtype=torch.float32)
    compiled = torch.compile(mix, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(values, gates), mix(values, gates))


GPU = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from subquad.ops.kernels.causal_links import _compare_kernel, _mix_kernel

sizes = dict.fromkeys(("n", "dim", "heads", "offset"), "i32")
for kernel, tensors, options in (
    (_mix_kernel, {"x": "*bf16", "gates": "*fp32", "y": "*bf16"}, {"BACK": False}),
    (_mix_kernel, {"x": "*bf16", "gates": "*fp32", "y": "*bf16"}, {"BACK": True}),
    (_compare_kernel, {"x": "*bf16", "z": "*bf16", "y": "*fp32"}, {}),
):
    fixed = {"WIDE": False, "ROWS": 64, "CHANNELS": 32} | options
    signature = tensors | sizes | dict.fromkeys(fixed, "constexpr")
    made = compile(ASTSource(kernel, signature, fixed), target=GPUTarget("cuda", 90, 32))
    assert len(made.asm["cubin"]) > 1000 and "atom" not in made.asm["ptx"]
"""


def test_they_compile_for_a_gpu(monkeypatch):
    triton = pytest.importorskip("triton", minversion="3.4", reason="Triton's compiler was called otherwise")
    assert triton
    monkeypatch.delenv("TRITON_INTERPRET")
    subprocess.run([sys.executable, "-c", GPU], check=True, timeout=300)

"""The Triton kernels of link_mix, simulated on the CPU: against the reference, and compiled for a GPU."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from subquad.ops import cdil_offsets, chord_offsets, dispatch, link_mix

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed, as on macOS and Windows"
)


def problem(n, n_links, dim=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n)
    return [
        torch.randn(2, n, size, generator=generator, dtype=dtype).requires_grad_()
        for size in (dim, n_links, dim)
    ]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("n", "offsets", "lengths"),
    [
        (1, (0, 1), None),
        (64, chord_offsets(6), None),
        (65, cdil_offsets(4, 5), None),
        (130, (0, -3, 1000, 3, 3), (130, 13)),
        (70, chord_offsets(7), (1, 0)),
    ],
)
def test_numbers_and_gradients_are_those_of_the_reference(n, offsets, lengths, residual):
    values, links, grad = problem(n, len(offsets))
    counts = None if lengths is None else torch.tensor(lengths)
    both = []
    for impl in ("triton", "reference"):
        y = link_mix(values, links, offsets, residual=residual, lengths=counts, impl=impl)
        both.append((y, *torch.autograd.grad(y, (values, links), grad.detach())))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_more_channels_than_a_program_holds():
    values, links, grad = problem(9, 3, dim=150, dtype=torch.float32)
    found, expected = (
        torch.autograd.grad(link_mix(values, links, (0, 2, -1), impl=impl), (values, links), grad.detach())
        for impl in ("triton", "reference")
    )
    torch.testing.assert_close(found, expected)


def test_padding_is_never_read():
    values, links, _ = (t.detach() for t in problem(20, 3))
    counts = torch.tensor([20, 7])
    expected = link_mix(values, links, (0, 1, -9), lengths=counts, impl="triton")
    values[1, 7:], links[1, 7:] = torch.nan, torch.nan
    found = link_mix(values, links, (0, 1, -9), lengths=counts, residual=False, impl="triton")
    assert torch.equal(found, expected) and not found[1, 7:].any()


def test_lengths_may_be_strided_and_channels_missing():
    values, links, _ = (t.detach().expand(3, -1, -1) for t in (t[:1] for t in problem(20, 3)))
    lengths = torch.tensor([[20, 1], [7, 1], [3, 1]], dtype=torch.int32)[:, 0]
    found, expected = (
        link_mix(values, links, (0, 1, -9), lengths=lengths, impl=impl) for impl in ("triton", "reference")
    )
    torch.testing.assert_close(found, expected)
    assert link_mix(values[..., :0], links, (0, 1, 2), impl="triton").shape == (3, 20, 0)
    with pytest.raises(ValueError, match=r"takes offsets below 2\*\*31, got \(0, 1, 4294967296\)"):
        link_mix(values, links, (0, 1, 2**32), impl="triton")


def test_sums_of_half_precision_run_in_single():
    values, links = torch.full((1, 40, 2), 0.01).half(), torch.ones(1, 40, 300).half()
    mixed = link_mix(values, links, range(300), impl="triton")
    assert mixed.dtype == torch.half
    torch.testing.assert_close(mixed, (300 * values[0, 0, 0].float()).half().expand_as(mixed))


def test_first_and_second_derivatives():
    values, links, _ = problem(7, 3, dim=2)

    def mix(values, links):
        return link_mix(values, links, (0, 1, -2), residual=True, lengths=torch.tensor([7, 4]), impl="triton")

    assert torch.autograd.gradcheck(mix, (values, links), fast_mode=True)
    assert torch.autograd.gradgradcheck(mix, (values, links), fast_mode=True)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # of opcheck itself
@pytest.mark.parametrize("lengths", [None, (12, 5)], ids=["whole", "lengths"])
def test_the_operations_keep_pytorch_s_rules(lengths):
    from subquad.ops.kernels.links import compare_links, mix_links

    values, links, other = problem(12, 2, dim=3, dtype=torch.float32)
    counts = None if lengths is None else torch.tensor(lengths, dtype=torch.int32)
    for back in (False, True):
        opcheck(mix_links, (values, links, counts, [0, 3], True, back))
    opcheck(compare_links, (values, other, counts, [0, 3]))


def test_a_compiler_keeps_it_whole():
    def mix(values, links):
        return link_mix(values, links, (0, 1, 4), impl="triton") * 2

    values, links, _ = problem(12, 3, dtype=torch.float32)
    compiled = torch.compile(mix, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(values, links), mix(values, links))


GPU = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from subquad.ops.kernels.links import _compare_kernel, _mix_kernel

for kernel, other, options in (
    (_mix_kernel, "links", {"BACK": False, "RESIDUAL": True}),
    (_mix_kernel, "links", {"BACK": True, "RESIDUAL": False}),
    (_compare_kernel, "z", {}),
):
    fixed = {"OFFSETS": (0, 1, 2, -8), "LINKS": 4, "HAS_LENGTHS": True, "WIDE": False} | options
    fixed |= {"ROWS": 64, "CHANNELS": 32}
    signature = {"x": "*bf16", other: "*fp32", "lengths": "*i32", "y": "*bf16", "n": "i32", "dim": "i32"}
    signature |= dict.fromkeys(fixed, "constexpr")
    made = compile(ASTSource(kernel, signature, fixed), target=GPUTarget("cuda", 90, 32))
    assert len(made.asm["cubin"]) > 1000 and "atom" not in made.asm["ptx"]
"""


def test_they_compile_for_a_gpu(monkeypatch):
    triton = pytest.importorskip("triton", minversion="3.4", reason="Triton's compiler was called otherwise")
    assert triton
    monkeypatch.delenv("TRITON_INTERPRET")
    subprocess.run([sys.executable, "-c", GPU], check=True, timeout=300)


def test_without_a_gpu_and_without_simulation_it_says_so(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    values, links, _ = problem(3, 1)
    with pytest.raises(ValueError, match="cannot run: the tensors are on cpu; move them to a GPU"):
        link_mix(values, links, (0,), impl="triton")
    monkeypatch.setattr(dispatch, "_HAS_TRITON", False)
    with pytest.raises(ValueError, match="Triton is not installed; pip install triton"):
        link_mix(values, links, (0,), impl="triton")

"""link_mix is a product with a sparse matrix, its gradients are the transposed one's, and lengths wrap."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import CASES, relative_error
from nightly import some_by_day
from subquad.ops import cdil_offsets, chord_offsets, link_mix
from subquad.ops import link_packed as packed_module
from subquad.ops import link_rows as rows_module

OFFSETS = {
    "chord": chord_offsets(5),
    "cdil": cdil_offsets(2),
    "duplicates": (0, 3, 3, -3, 0),
    "far": (-2500, 77, 1_000_003),
    "one": (1,),
}
LENGTHS = [1, 2, 3, 5, 16, 21, 1999]


def problem(length, n_links, batch=2, dim=3, dtype=torch.float64):
    values = torch.randn(batch, length, dim, dtype=dtype, requires_grad=True)
    links = torch.randn(batch, length, n_links, dtype=dtype, requires_grad=True)
    return values, links, torch.randn(batch, length, dim, dtype=dtype)


def dense(links, offsets):
    """Return the (batch, n, n) matrix; entries of links on the same position add up."""
    batch, length, _ = links.shape
    matrix = links.new_zeros(batch, length, length)
    for i in range(length):
        for k, offset in enumerate(offsets):
            matrix[:, i, (i + offset) % length] += links[:, i, k]
    return matrix


def gradients(y, grad, *inputs):
    return torch.autograd.grad((y * grad).sum(), inputs)


def test_offsets_in_the_order_of_the_links():
    assert chord_offsets(1) == (0, 1)
    assert chord_offsets(5) == (0, 1, 2, 4, 8, 16)
    assert cdil_offsets(0) == (0, 1, 2, 3, 4, -1, -2, -3, -4)
    assert cdil_offsets(3, links=5) == (0, 8, 16, -8, -16)
    assert cdil_offsets(2, links=1) == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chord_offsets(0), "factors must be at least 1, got 0"),
        (lambda: cdil_offsets(-1), "factor must be at least 0, got -1"),
        (lambda: cdil_offsets(0, 4), "odd number of links, as many on each side, got 4"),
    ],
)
def test_impossible_offsets(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", OFFSETS)
@pytest.mark.parametrize("length", LENGTHS)
def test_matches_the_dense_matrix(length, name, residual, deterministic):
    offsets = OFFSETS[name]
    values, links, grad = problem(length, len(offsets))
    matrix = dense(links.detach(), offsets)
    expected = matrix @ values + (values if residual else 0)
    back = matrix.mT @ grad + (grad if residual else 0)
    product = grad @ values.detach().mT  # the gradient of the matrix
    rows = torch.arange(length)
    to_links = torch.stack([product[:, rows, (rows + o) % length] for o in offsets], dim=-1)
    for impl in ("auto", "reference"):
        y = link_mix(values, links, offsets, residual=residual, impl=impl)
        assert (y - expected).abs().max() <= 1e-12
        for actual, exact in zip(gradients(y, grad, values, links), (back, to_links), strict=True):
            assert (actual - exact).abs().max() <= 1e-12 * max(1, len(offsets))


def test_blocks_of_positions_change_nothing(monkeypatch):
    values, links, grad = problem(100, 9)
    whole = link_mix(values, links, cdil_offsets(4))
    expected = gradients(whole, grad, values, links)
    monkeypatch.setattr(rows_module, "_BLOCK", 7 * 6)
    y = link_mix(values, links, cdil_offsets(4))
    assert torch.equal(y, whole)
    assert all(map(torch.equal, gradients(y, grad, values, links), expected))


@pytest.fixture(params=["lookups", "views"])
def short_runs(request, monkeypatch):
    """Compute short sequences of many lengths as they are, and as long ones are."""
    if request.param == "views":
        monkeypatch.setattr(packed_module, "_SHORT_RUN", 0)


@pytest.mark.usefixtures("short_runs")
@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("lengths", [None, (1, 0, 3)], ids=["whole", "lengths"])
def test_first_and_second_derivatives(length, lengths):
    values, links, _ = problem(length, 4, batch=3, dim=2)
    counts = None if lengths is None else torch.tensor(lengths).clamp_max(length)

    def mix(values, links):
        return link_mix(values, links, (0, 1, -2, 6), residual=True, lengths=counts)

    assert torch.autograd.gradcheck(mix, (values, links))
    assert torch.autograd.gradgradcheck(mix, (values, links))
    y = mix(values, links)
    first, differentiable = (
        torch.autograd.grad(y.sin().sum(), (values, links), create_graph=graph, retain_graph=True)
        for graph in (False, True)
    )
    torch.testing.assert_close(first, differentiable, rtol=0, atol=1e-13)


@pytest.mark.parametrize("factor", [0, 2])
def test_a_link_brings_what_lies_offset_ahead(factor):
    """A one at position j, and only link k open: it arrives at j - offset."""
    offsets = cdil_offsets(factor)
    for k, offset in enumerate(offsets):
        values, links = torch.zeros(1, 21, 1), torch.zeros(1, 21, len(offsets))
        values[0, 5], links[..., k] = 1, 1
        assert link_mix(values, links, offsets)[0, :, 0].nonzero().item() == (5 - offset) % 21


@pytest.mark.parametrize("name", ["mix_chord", "mix_cdil"])
def test_conformance(name):
    case = dict(np.load(CASES / f"{name}.npz"))
    values, links, grad = (torch.from_numpy(a).requires_grad_() for a in (case["v"], case["w"], case["g"]))
    factors = sorted(int(key[1:]) for key in case if key[0] == "y")
    assert factors
    for factor in factors:
        offsets = (
            chord_offsets(links.shape[2] - 1) if name == "mix_chord" else cdil_offsets(factor, links.shape[2])
        )
        for impl in ("auto", "reference"):
            y = link_mix(values, links, offsets, impl=impl)
            dvalues, dlinks = gradients(y, grad.detach(), values, links)
            assert relative_error(y, case[f"y{factor}"]) <= 1e-6
            assert relative_error(dvalues, case[f"dv{factor}"]) <= 1e-6
            assert relative_error(dlinks, case[f"dw{factor}"]) <= 1e-6


@pytest.mark.parametrize("protocol", ["chord", "cdil", "cdil3"])
@pytest.mark.parametrize("length", [5, 16, 21, 1024, 1999])
def test_ceil_of_log2_factors_reach_everything(length, protocol):
    """Every position of the result depends on position 0, and by rotation on every other."""
    factors = (length - 1).bit_length()
    reached = torch.zeros(1, length, 1)
    reached[0, 0] = 1
    for factor in range(factors):
        links = 3 if protocol == "cdil3" else 9
        offsets = chord_offsets(factors) if protocol == "chord" else cdil_offsets(factor, links)
        reached = link_mix(reached, torch.ones(1, length, len(offsets)), offsets).clamp_max(1)
    assert reached.min() > 0


def test_the_product_of_random_factors_has_full_rank():
    length, factors = 32, 5
    product = torch.eye(length, dtype=torch.float64)[None]
    for _ in range(factors):
        product = link_mix(product, torch.randn(1, length, 6, dtype=torch.float64), chord_offsets(factors))
    assert torch.linalg.matrix_rank(product[0]) == length


@pytest.mark.usefixtures("short_runs")
@pytest.mark.parametrize("impl", ["auto", "reference"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("lengths", [(7, 1, 12, 3), (12, 12, 4, 4), (12, 12, 12, 12), (0, 5, 0, 12)])
def test_samples_of_other_lengths_are_what_they_are_alone(lengths, residual, impl, deterministic):
    values, links, grad = problem(12, 6, batch=4)
    with torch.no_grad():
        for sample, length in enumerate(lengths):
            values[sample, length:] = torch.nan
            links[sample, length:] = torch.inf
            grad[sample, length:] = torch.nan
    y = link_mix(values, links, chord_offsets(5), residual=residual, lengths=torch.tensor(lengths), impl=impl)
    dvalues, dlinks = torch.autograd.grad(y, (values, links), grad)
    for sample, length in enumerate(lengths):
        for whole in (y, dvalues, dlinks):
            assert (whole[sample, length:] == 0).all()
        if length:
            alone = [t[sample : sample + 1, :length].detach().requires_grad_() for t in (values, links)]
            expected = link_mix(*alone, chord_offsets(5), residual=residual)
            wanted = torch.autograd.grad(expected, alone, grad[sample : sample + 1, :length])
            torch.testing.assert_close(y[sample : sample + 1, :length], expected, rtol=0, atol=1e-13)
            for actual, part in zip((dvalues, dlinks), wanted, strict=True):
                torch.testing.assert_close(actual[sample : sample + 1, :length], part, rtol=0, atol=1e-13)


def test_short_sequences_of_many_lengths_take_few_operations():
    """No more for 64 samples than for two: else a batch of short sequences waits for its launches."""

    class Count(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.seen += 1
            return function(*args, **(kwargs or {}))

    counts = []
    for batch in (2, 64):
        values, links, grad = problem(70, 9, batch=batch)
        with Count() as count:
            lengths = torch.arange(70 - batch, 70)
            link_mix(values, links, cdil_offsets(1), lengths=lengths).backward(grad)
        counts.append(count.seen)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    """A thousand ones and links of 1/1024: in half precision the sum would stop long before one."""
    values, links = torch.ones(1, 4, 2, dtype=dtype), torch.full((1, 4, 4096), 2**-12, dtype=dtype)
    values.requires_grad_()
    links.requires_grad_()
    for impl in ("auto", "reference"):
        y = link_mix(values, links, range(4096), impl=impl)
        assert y.dtype == dtype and torch.equal(y, torch.ones_like(y))
        dvalues, dlinks = torch.autograd.grad(y.sum(), (values, links))
        assert dvalues.dtype == dlinks.dtype == dtype
        assert torch.equal(dvalues, torch.ones_like(dvalues)) and (dlinks == 2).all()


@pytest.mark.parametrize("lengths", [None, (6, 2)], ids=["whole", "lengths"])
def test_links_may_have_another_type(lengths):
    values, links, grad = problem(6, 3, dtype=torch.float32)
    counts = None if lengths is None else torch.tensor(lengths)
    y = link_mix(values, links.bfloat16(), (0, 1, 2), lengths=counts)
    assert y.dtype == torch.float32
    expected = link_mix(values, links.bfloat16().float(), (0, 1, 2), lengths=counts)
    assert torch.equal(y, expected)
    assert all(map(torch.equal, gradients(y, grad, values, links), gradients(expected, grad, values, links)))


@pytest.mark.usefixtures("short_runs")
def test_only_values_and_links_are_kept():
    values, links, _ = problem(50, 9, dtype=torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        link_mix(values, links, cdil_offsets(1), lengths=torch.tensor([50, 20]))
    assert sorted(t.data_ptr() for t in kept) == sorted(t.data_ptr() for t in (values, links))


def test_nothing_is_indexed_or_scattered(monkeypatch):
    """But short sequences of many lengths, where a lookup takes fewer operations."""
    seen = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            seen.add(function.overloadpacket.__name__)
            assert not (isinstance(result, torch.Tensor) and result.dtype in (torch.int64, torch.int32))
            return result

    monkeypatch.setattr(packed_module, "_SHORT_RUN", 20 * 3)
    values, links, grad = problem(50, 9)
    for lengths in (None, torch.tensor([50, 20]), torch.tensor([20, 20])):
        with Watch():
            y = link_mix(values, links, cdil_offsets(1), lengths=lengths)
            y.backward(grad)
    assert "addcmul_" in seen
    assert not [name for name in seen if any(w in name for w in ("gather", "scatter", "index"))]


def test_only_the_gradient_that_is_asked_for():
    values, links, grad = problem(9, 3)
    both = gradients(link_mix(values, links, (0, 1, 2)), grad, values, links)
    for index, chosen in enumerate((values, links)):
        inputs = [t if t is chosen else t.detach() for t in (values, links)]
        assert torch.equal(gradients(link_mix(*inputs, (0, 1, 2)), grad, chosen)[0], both[index])


@pytest.mark.compile
@pytest.mark.parametrize("lengths", some_by_day([None, (30, 7, 1)], bool), ids=["whole", "lengths"])
def test_compiles_whole_for_any_length(lengths):
    counts = None if lengths is None else torch.tensor(lengths)

    def mix(values, links, counts):
        return link_mix(values, links, (0, 1, -2, 35), residual=True, lengths=counts)

    compiled = torch.compile(mix, fullgraph=True, dynamic=True)
    for length in (30, 37):
        values, links, grad = problem(length, 4, batch=3, dtype=torch.float32)
        y, expected = compiled(values, links, counts), mix(values, links, counts)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(
            gradients(y, grad, values, links), gradients(expected, grad, values, links)
        )


@pytest.mark.parametrize("lengths", [None, (5, 3)], ids=["whole", "lengths"])
def test_exports_for_any_length(lengths):
    class Mix(torch.nn.Module):
        def forward(self, values, links, counts):
            return link_mix(values, links, (0, 1, -2, 35), lengths=counts)

    counts = None if lengths is None else torch.tensor(lengths)
    values, links, _ = (t.detach() for t in problem(20, 4, dtype=torch.float32))
    size = torch.export.Dim("n", min=2)
    shapes = {"values": {1: size}, "links": {1: size}, "counts": None}
    program = torch.export.export(Mix(), (values, links, counts), dynamic_shapes=shapes).module()
    for length in (5, 20, 77):
        values, links, _ = (t.detach() for t in problem(length, 4, dtype=torch.float32))
        torch.testing.assert_close(program(values, links, counts), Mix()(values, links, counts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": torch.zeros(2, 5)}, r"\(batch, positions, dim\) with a sample .* got \(2, 5\)"),
        ({"values": torch.zeros(2, 0, 3)}, r"got \(2, 0, 3\)"),
        ({"values": torch.zeros(2, 5, 3, dtype=torch.int64)}, r"values must be .* got torch.int64; use"),
        ({"links": torch.zeros(2, 5, 4, dtype=torch.bool)}, r"links must be .* got torch.bool; use .float"),
        ({"links": torch.zeros(2, 5, 3)}, r"\(2, 5, 4\) for values .* 4 offsets, got \(2, 5, 3\)"),
        ({"offsets": ()}, r"0 offsets, got \(2, 5, 4\)"),
        ({"lengths": torch.tensor([1, 2, 3])}, r"must be 2 integers, one a sample, got torch.int64 \(3,\)"),
        ({"lengths": torch.tensor([1.0, 2.0])}, r"got torch.float32"),
        ({"lengths": torch.tensor([1, 6])}, r"lengths must be 0 to 5, .* got \[1, 6\]"),
        ({"lengths": torch.tensor([-1, 5])}, r"got \[-1, 5\]"),
        ({"impl": "cuda"}, "impl must be .* got 'cuda'"),
    ],
)  # fmt: skip
def test_wrong_arguments(change, message):
    arguments = {
        "values": torch.zeros(2, 5, 3),
        "links": torch.zeros(2, 5, 4),
        "offsets": (0, 1, 2, 4),
    } | change
    values, links, offsets = (arguments.pop(name) for name in ("values", "links", "offsets"))
    with pytest.raises(ValueError, match=message):
        link_mix(values, links, offsets, **arguments)

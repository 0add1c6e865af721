"""CausalHam and CausalAttention compiled, exported, and as ONNX."""

import io

import onnxruntime
import pytest
import torch
from torch import nn
from torch.export import Dim

from nightly import some_by_day
from subquad.nn import CausalAttention, CausalHam
from subquad.ops.memory_inverse import _eliminated, regularised_inverse

KINDS = {
    "ridge": lambda: CausalHam(8, heads=2, chunk=4),
    "phase": lambda: CausalHam(8, heads=2, chunk=4, keys="phase"),
    "gradient": lambda: CausalHam(8, heads=2, chunk=4, solver="gradient"),
    "none": lambda: CausalHam(8, heads=2, chunk=4, solver="none"),
    "attention": lambda: CausalAttention(8, heads=2),
}


class Step(nn.Module):
    """Exports take a forward."""

    def __init__(self, mixer):
        super().__init__()
        self.mixer = mixer

    def forward(self, x_t, cache):
        return self.mixer.step(x_t, cache)


@pytest.fixture(params=some_by_day(KINDS, lambda kind: kind == "ridge"))
def kind(request):
    return request.param


def prompted(mixer):
    """Return positions, the cache after the first five, and how an export takes a step after them."""
    x = torch.randn(2, 12, 8)
    _, cache = mixer(x[:, :5], return_cache=True, lengths=torch.tensor([5, 3]))
    grows = {name: {2: Dim.DYNAMIC} if name in ("key", "value") else {} for name in cache}
    return x, cache, ({}, grows)


# Inductor takes minutes here; what it is given is what the others get.
@pytest.mark.parametrize(
    "backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.compile, pytest.mark.slow])]
)
def test_compiles_whole_with_its_gradient(kind, backend):
    mixer, x = KINDS[kind](), torch.randn(2, 11, 8, requires_grad=True)
    lengths, results = torch.tensor([11, 6]), []
    for module in (torch.compile(mixer, fullgraph=True, backend=backend), mixer):
        y = module(x, lengths=lengths)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *mixer.parameters()])))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["ridge", "attention"])
def test_goes_on_compiled(kind):
    """From a different position for each sample."""
    mixer = KINDS[kind]()
    with torch.no_grad():
        x, cache, _ = prompted(mixer)
        held = {name: each.clone() for name, each in cache.items()}
        compiled = torch.compile(mixer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, cache), mixer(x, held))


@pytest.mark.parametrize(
    "backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.compile, pytest.mark.slow])]
)
def test_step_compiles_whole(kind, backend):
    mixer = KINDS[kind]()
    step = torch.compile(mixer.step, fullgraph=True, backend=backend, dynamic=True)
    with torch.no_grad():
        caches = mixer.init_cache(2), mixer.init_cache(2)
        for x_t in torch.randn(6, 2, 8):
            (y, one), (expected, other) = step(x_t, caches[0]), mixer.step(x_t, caches[1])
            torch.testing.assert_close(y, expected)
            caches = one, other


@pytest.mark.parametrize("kind", KINDS)
def test_exports_whole(kind):
    mixer, x = KINDS[kind](), torch.randn(2, 11, 8)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(mixer, (x,)).module()(x), mixer(x))


@pytest.mark.parametrize("kind", some_by_day(["ridge", "none", "attention"], lambda kind: kind == "ridge"))
def test_exports_for_any_length(kind):
    """From two chunks on; but for "gradient", whose chunks follow one another."""
    mixer, x = KINDS[kind](), torch.randn(2, 41, 8)
    with torch.no_grad():
        first = x[:, :11].clone()
        exported = torch.export.export(mixer, (first,), dynamic_shapes={"x": {1: Dim.AUTO}}).module()
        for n in (41, 12, 8):
            given = x[:, :n].clone()
            torch.testing.assert_close(exported(given), mixer(given), rtol=0, atol=1e-5)


def test_exports_for_any_batch(kind):
    mixer, x = KINDS[kind](), torch.randn(3, 11, 8)
    with torch.no_grad():
        exported = torch.export.export(mixer, (x,), dynamic_shapes={"x": {0: Dim.DYNAMIC}}).module()
        given = torch.randn(5, 11, 8)
        torch.testing.assert_close(exported(given), mixer(given), rtol=0, atol=1e-5)


def test_step_is_the_same_as_onnx(kind):
    """For samples that are at different positions, over several chunks; no factorisation is in it."""
    mixer = KINDS[kind]()
    with torch.no_grad():
        x, cache, shapes = prompted(mixer)
        exported = torch.export.export(Step(mixer), (x[:, 5], cache), dynamic_shapes=shapes)
        program = torch.onnx.export(exported, opset_version=18, verbose=False)
        file = io.BytesIO()
        program.save(file)
        session = onnxruntime.InferenceSession(file.getvalue())
        names = [each.name for each in session.get_inputs()]
        held = {name: each.clone() for name, each in cache.items()}
        order = list(mixer.step(x[:, 5], {name: each.clone() for name, each in cache.items()})[1])
        for t in range(5, 12):
            y, cache = mixer.step(x[:, t], cache)
            given = zip(names, (x[:, t], *held.values()), strict=True)
            answer, *after = session.run(None, {name: each.numpy() for name, each in given})
            torch.testing.assert_close(torch.from_numpy(answer), y, rtol=0, atol=1e-4)
            after = dict(zip(order, map(torch.from_numpy, after), strict=True))
            held = {name: after[name] for name in held}


def test_elimination_is_as_exact_as_cholesky():
    """In float32, for matrices of condition numbers up to 10^5, and where both fail."""
    keys = nn.functional.normalize(torch.randn(6, 40, 16, dtype=torch.float64), dim=-1)
    keys[3:, 10:] = 0  # of low rank
    gram, ridge = 100 * keys.mT @ keys, torch.tensor([[0.01], [0.1], [1.0]]).repeat(2, 16).double()
    exact = torch.linalg.inv(gram + torch.diag_embed(ridge))
    bound = torch.diag_embed(ridge + gram.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)).float()
    matrix = (gram + torch.diag_embed(ridge)).float()
    errors = []
    for actual in (_eliminated(matrix, bound), regularised_inverse(gram.float(), ridge.float())):
        errors.append(((actual - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)).max())
    assert errors[0] <= 2 * errors[1] + 1e-6
    broken = matrix - 2 * torch.diag_embed(torch.eye(16)[5]) * matrix
    torch.testing.assert_close(_eliminated(broken, bound), torch.linalg.inv(bound))

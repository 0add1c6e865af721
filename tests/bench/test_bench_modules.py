"""The opponents are what their papers say, and `subquad bench modules` measures them all."""

import json

import pytest
import torch
from torch.nn import functional as F

from subquad.bench import bench_modules
from subquad.bench.memory import mib
from subquad.bench.module_bench import MODULES, PUBLISHED, _multiply_adds
from subquad.bench.modules import (
    AdaptivePyramid,
    ClassCenter,
    DoubleAttention,
    DualAttention,
    DynamicFilters,
    ExpectationMaximisation,
    LinearAttention,
    MatrixAttention,
    SoftmaxAttention,
)
from subquad.cli.main import main

DIM, HEIGHT, WIDTH = 16, 5, 7
SHAPE = (2, DIM, HEIGHT, WIDTH)


def maps(seed=0):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(kind):
    torch.manual_seed(0)
    return kind(DIM).double().eval()


@pytest.mark.parametrize("name", MODULES)
def test_each_keeps_the_shape_sees_far_and_trains(name):
    module, x = MODULES[name](DIM).double(), maps().requires_grad_()
    for gate in ("alpha", "beta"):
        if hasattr(module, gate):
            torch.nn.init.ones_(getattr(module, gate))
    module.train()
    y = module(x)
    assert y.shape == SHAPE and y.isfinite().all()
    (grad,) = torch.autograd.grad(y[0, :, 0, 0].square().sum(), x, retain_graph=True)
    assert grad[0, :, -1, -1].abs().max() > 0, "the last position does not reach the first"
    module.zero_grad()
    y.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in module.parameters())


def test_the_fused_kernel_and_the_matrix_agree():
    fused, matrix = built(SoftmaxAttention), built(MatrixAttention)
    torch.testing.assert_close(fused(maps()), matrix(maps()))


def test_linear_attention_is_its_quadratic_form():
    query, key, value = torch.randn(3, 2, 1, 11, 4, dtype=torch.float64)
    weights = (F.elu(query) + 1) @ (F.elu(key) + 1).mT
    expected = weights / weights.sum(dim=-1, keepdim=True) @ value
    torch.testing.assert_close(LinearAttention(4).mix(query, key, value), expected)


def test_dual_attention_is_its_two_formulas():
    module, x = built(DualAttention), maps()
    flat = x.flatten(2)
    torch.testing.assert_close(module.over_positions(x), x)  # the weights start at zero
    module.load_state_dict(module.state_dict() | {"alpha": torch.tensor([2.0]), "beta": torch.tensor([3.0])})
    for sample in range(2):
        query, key, value = (conv(x).flatten(2)[sample] for conv in (module.query, module.key, module.value))
        one = torch.stack(
            [value @ torch.softmax(key.T @ query[:, place], 0) for place in range(HEIGHT * WIDTH)], dim=1
        )
        torch.testing.assert_close(module.over_positions(x).flatten(2)[sample], flat[sample] + 2 * one)
        across = torch.stack([torch.softmax(flat[sample] @ row, 0) @ flat[sample] for row in flat[sample]])
        torch.testing.assert_close(module.over_channels(x).flatten(2)[sample], flat[sample] + 3 * across)


def test_double_attention_is_its_formula():
    """Equation 6, a sum over pairs of positions."""
    module, x = built(DoubleAttention), maps()
    a, b, v = (conv(x).flatten(2) for conv in (module.a, module.b, module.v))
    pairs = torch.einsum("bkm,bkn->bmn", b.softmax(-1), v.softmax(1))
    expected = x + module.out(torch.einsum("bcm,bmn->bcn", a, pairs).reshape(SHAPE))
    torch.testing.assert_close(module(x), expected)


def test_the_pyramid_weighs_regions():
    """With affinities that are large everywhere and one region, what is added is that region's features."""
    module = AdaptivePyramid(DIM, scales=(1,)).double()
    module.load_state_dict(module.state_dict() | {"affinity.0.bias": torch.tensor([1e3])})
    x = maps()
    region = module.region[0](x.mean(dim=(-2, -1), keepdim=True))
    torch.testing.assert_close(module(x), x + region.expand(SHAPE))


def test_dynamic_filters_are_of_the_image():
    """Each sample is filtered by its own filters: alone it gives the same; at scale 1 it is a product."""
    module, x = built(DynamicFilters), maps()
    torch.testing.assert_close(module(x)[1:], module(x[1:]))
    one = DynamicFilters(DIM, scales=(1,)).double()
    factor = one.filter[0](x.mean(dim=(-2, -1), keepdim=True))
    torch.testing.assert_close(one(x), x + one.fuse[0](torch.relu(one.narrow[0](x) * factor)))


def test_class_centers_are_means():
    features, labels = maps().flatten(2), torch.arange(HEIGHT * WIDTH) % 3
    likely = F.one_hot(labels, 3).mT.expand(2, -1, -1).double()
    centers = ClassCenter.centers(features, likely)
    for label in range(3):
        torch.testing.assert_close(centers[..., label], features[..., labels == label].mean(dim=-1))


def test_responsibilities_sum_to_one_and_bases_have_length_one():
    module, flat = built(ExpectationMaximisation), maps().flatten(2)
    likely = module.responsibilities(flat, module.start)
    torch.testing.assert_close(likely.sum(dim=1), torch.ones(2, HEIGHT * WIDTH, dtype=torch.float64))
    bases = module.means(flat, likely)
    torch.testing.assert_close(bases.norm(dim=1), torch.ones(2, 64, dtype=torch.float64))
    before = module.start.clone()
    module(maps())
    assert torch.equal(module.start, before)  # in evaluation nothing moves
    module.train()(maps())
    assert not torch.equal(module.start, before)
    torch.testing.assert_close(module.start.norm(dim=1), torch.ones(1, 64, dtype=torch.float64))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_those_of_the_paper(name):
    """To four in a hundred: the paper rounds, and counts a product that NMF now takes from its start."""
    with torch.device("meta"):
        count = sum(weight.numel() for weight in MODULES[name](512).parameters())
    published = PUBLISHED[name]
    assert count / 2**20 == pytest.approx(published.parameters, rel=0.04)
    counted = _multiply_adds(MODULES[name], 512, (1, 512, 128, 128))
    assert counted / 1e9 == pytest.approx(published.multiply_adds, rel=0.04)


def test_memory_tells_the_matrix_from_the_kernel():
    result = bench_modules(
        only=["attention, n x n", "attention, fused"], dim=4, height=32, width=32, repeats=1
    )
    matrix, fused = result.rows
    assert matrix.inference_memory > 4 * 1024**2 > fused.inference_memory  # 1,024 x 1,024 of float32
    assert matrix.multiply_adds == fused.multiply_adds == 4 * 1024 * 4 * 4 + 2 * 1024**2 * 4
    assert matrix.published is None


def test_the_command_prints_rows_and_writes(tmp_path, capsys):
    file, picture = tmp_path / "modules.json", tmp_path / "modules.png"
    small = ["--dim=8", "--height=6", "--width=5", "--repeats=1"]
    assert main(["bench", "modules", *small, f"--json={file}", f"--plot={picture}"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("measuring modules ...\n") and err == f"wrote {file}\nwrote {picture}\n"
    written = json.loads(file.read_text())
    assert [row["module"] for row in written["rows"]] == [*MODULES]
    assert all(row["training_memory"] > row["inference_memory"] > 0 for row in written["rows"])
    assert picture.is_file()


def test_an_unknown_module_is_one_sentence(capsys):
    assert main(["bench", "modules", "--only", "DANe"]) == 2
    assert "there is no module 'DANe'. Did you mean 'DANet'?" in capsys.readouterr().err
    assert main(["bench", "modules", "--only", "foo"]) == 2
    assert "There are attention, n x n; attention, fused; DANet;" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["modules", "--budget=0"], "budget must be above 0 seconds, got 0"),
        (["modules", "--budget=-1"], "budget must be above 0 seconds, got -1"),
        (["scaling", "--budget=0"], "budget must be above 0 seconds, got 0"),
        (["mixing", "--curve", "--budget=0"], "budget must be above 0 seconds, got 0"),
        (["modules", "--height=1", "--width=1"], "give a height or a width of at least 2, got 1 and 1"),
        (["modules", "--dim=0"], "dim must be at least 1, got 0"),
        (["scaling", "--dim=0"], "subquad bench: dim must be at least 1, got 0"),
        (["scaling", "--sequence_dim=0"], "subquad bench: sequence_dim must be at least 1, got 0"),
        (["solvers", "--positions=-5"], "positions must be at least 1, got -5"),
        (["solvers", "--repeats=0"], "repeats must be at least 1, got 0"),
        (["mixing", "--tokens=9", "--dim=0"], "dim must be at least 1, got 0"),
    ],
)
def test_wrong_numbers_are_one_sentence_that_names_the_option(arguments, quoted, capsys):
    assert main(["bench", *arguments]) == 2
    told = capsys.readouterr().err
    assert quoted in told and told.count("\n") == 1


def test_two_positions_are_enough_and_little_memory_is_told(capsys):
    small = ["--dim=8", "--height=1", "--width=2", "--repeats=1"]
    assert main(["bench", "modules", *small]) == 0
    assert mib(2**18) == "0.2" and mib(2**20) == "1" and mib(2**31) == "2,048"
    assert "0.0" in capsys.readouterr().out  # and not 0

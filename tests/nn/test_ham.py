"""Ham: determinism, starts, heads, layouts, modes, masks."""

import pytest
import torch
from torch.nn import functional as F

from helpers import relative_error
from nightly import some_by_day
from subquad.nn import Ham, check_mixer, sharing_dictionary, watching_input
from subquad.ops import CD, NMF, VQ, decompose, encode

SOLVERS = [NMF(), VQ(), CD()]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
pytestmark = pytest.mark.usefixtures("deterministic")


@each_solver
@pytest.mark.parametrize("over", ["space", "channel"])
@pytest.mark.parametrize("spatial", [(13,), (5, 7), (3, 4, 5)], ids=len)
def test_keeps_the_promises(solver, over, spatial):
    ham = Ham(12, 4, solver, heads=2, over=over)
    # One-ulp differences grow with 1 / temperature where an assignment is nearly hard.
    soft = isinstance(solver, NMF)
    tolerance = 1e-5 if soft else 1e-4
    check_mixer(ham, lambda: torch.rand(3, 12, *spatial), tolerance=tolerance, mask=soft).raise_if_failed()
    precise = check_mixer(ham.double(), lambda: torch.rand(3, 12, *spatial).double(), tolerance=1e-9)
    precise.raise_if_failed()


@pytest.mark.parametrize("start", ["random", "fixed", "running"])
def test_evaluation_is_bit_equal_and_survives_the_state_dict(start):
    x = torch.rand(2, 12, 6, 5)
    ham = Ham(12, 4, start=start)
    with torch.no_grad():
        ham.dictionary.copy_(F.normalize(torch.rand(1, 12, 4), dim=1))
    twin = Ham(12, 4, start=start)
    twin.load_state_dict(ham.state_dict())
    torch.manual_seed(5)
    y = ham.eval()(x)
    torch.manual_seed(6)
    assert torch.equal(ham(x), y)
    assert torch.equal(twin.eval()(x), y)


def test_building_twice_gives_the_same_and_leaves_the_random_state():
    state = torch.get_rng_state()
    assert torch.equal(Ham(8, 3).dictionary, Ham(8, 3).dictionary)
    assert torch.equal(torch.get_rng_state(), state)


def test_random_start_draws_a_new_dictionary_per_sample_while_training():
    ham = Ham(8, 3, steps=1).train()
    x = torch.rand(1, 8, 6, 6).expand(2, -1, -1, -1)
    first, second = ham(x)
    assert not torch.allclose(first, second)


def test_heads_are_independent_groups_of_channels():
    x = torch.rand(2, 12, 5, 5)
    ham = Ham(12, 4, heads=3).eval()
    parts = []
    for head in range(3):
        single = Ham(4, 4).eval()
        single.dictionary.copy_(ham.dictionary[head : head + 1])
        parts.append(single(x[:, 4 * head : 4 * head + 4]))
    torch.testing.assert_close(ham(x), torch.cat(parts, dim=1))


@each_solver
def test_space_mode_is_decompose(solver):
    x = torch.rand(2, 9, 4, 5)
    ham = Ham(9, 3, solver, steps=4).eval()
    expected = decompose(x.flatten(2), ham.dictionary[0], solver, steps=4).reconstruct()
    torch.testing.assert_close(ham(x), expected.view_as(x))


@each_solver
def test_channel_mode_is_decompose_of_the_transpose(solver):
    x = torch.rand(2, 9, 4, 5)
    ham = Ham(9, 3, solver, steps=4, over="channel").eval()
    columns = x.flatten(2).mT
    start = F.normalize(columns @ ham.dictionary[0], dim=1)
    expected = decompose(columns, start, solver, steps=4).reconstruct().mT
    torch.testing.assert_close(ham(x), expected.reshape_as(x))


def test_eval_steps_apply_in_evaluation_only():
    x = torch.rand(1, 8, 5, 5)
    ham = Ham(8, 3, start="fixed", steps=2, eval_steps=9)
    reference = {steps: Ham(8, 3, steps=steps).eval()(x) for steps in (2, 9)}
    assert torch.equal(ham.train()(x), reference[2])
    assert torch.equal(ham.eval()(x), reference[9])


def test_learned_dictionary_gets_a_gradient_only_through_all_steps():
    x = torch.rand(2, 8, 5, 5)
    ham = Ham(8, 3, steps=4, grad_steps=4, start="learned")
    assert isinstance(ham.dictionary, torch.nn.Parameter)
    ham(x).square().sum().backward()
    assert ham.dictionary.grad.abs().max() > 0
    with pytest.warns(UserWarning, match="Set grad_steps=4"):
        Ham(8, 3, steps=4, grad_steps=3, start="learned")


def test_running_dictionary_moves_to_the_mean_while_training_only():
    x = torch.rand(3, 8, 5, 5)
    ham = Ham(8, 3, start="running", grad_steps=6)
    before = ham.dictionary.clone()
    final = decompose(x.flatten(2), before[0], NMF(), steps=6).dictionary
    ham(x.requires_grad_()).sum().backward()  # the buffer is not written under autograd's feet
    expected = F.normalize(0.1 * before + 0.9 * final.mean(dim=0, keepdim=True), dim=1)
    torch.testing.assert_close(ham.dictionary, expected.detach())
    moved = ham.dictionary.clone()
    ham.eval()(x)
    assert torch.equal(ham.dictionary, moved)


@pytest.mark.parametrize("heads", [1, 2])
def test_channels_last_stays_channels_last(heads):
    x = torch.rand(2, 12, 6, 7)
    ham = Ham(12, 4, heads=heads).eval()
    y = ham(x.contiguous(memory_format=torch.channels_last))
    assert relative_error(y, ham(x)) < 1e-5
    if heads == 1:
        assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_keeps_the_type_of_the_input(dtype):
    x = torch.rand(1, 8, 4, 4).to(dtype)
    assert Ham(8, 3).eval()(x).dtype == dtype


@each_solver
@pytest.mark.parametrize("over", ["space", "channel"])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_reaches_neither_the_solver_nor_the_product(solver, over, half):
    """1e5 is beyond float16, and bfloat16 has three digits."""
    x = torch.rand(2, 8, 5, 6) * 1e5
    ham = Ham(8, 3, solver, over=over).eval()
    shared = solver.random_dictionary(ham.dictionary.shape)
    for image in (x, x.contiguous(memory_format=torch.channels_last)):
        expected, product = ham(image), ham.factorize(image).reconstruct()
        with torch.autocast("cpu", half):
            actual, inside = ham(image), ham.factorize(image).reconstruct()
        assert actual.dtype == inside.dtype == torch.float32
        assert torch.equal(actual, expected) and torch.equal(inside, product)
        if over == "space":
            with sharing_dictionary(ham, shared):
                expected = ham(image)
                with torch.autocast("cpu", half):
                    assert torch.equal(ham(image), expected)


def test_float16_ends_at_its_largest_number():
    """A reconstruction may overshoot; infinity would be NaN in the next layer."""
    ham = Ham(2, 1, NMF(), steps=1).eval()
    ham.dictionary.copy_(torch.tensor([[[0.6], [0.8]]]))
    x = torch.tensor([[[65504.0, 0.0], [0.0, 65504.0]]]).half()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ham.solver), "final_codes", lambda *_: torch.full((1, 1, 2), 2e5))
        assert torch.equal(ham(x), torch.full((1, 2, 2), 65504.0).half())


def test_mask_may_cut_out_any_shape():
    x = torch.rand(1, 8, 4, 6)
    mask = torch.rand(1, 4, 6) > 0.4
    ham = Ham(8, 3).eval()
    inside = ham(x, mask)[:, :, mask[0]]
    torch.testing.assert_close(inside, ham(x[:, :, mask[0]]))
    assert torch.count_nonzero(ham(x, mask)[:, :, ~mask[0]]) == 0


@each_solver
@pytest.mark.parametrize("heads", [1, 3])
def test_a_shared_dictionary_encodes_each_position_alone(solver, heads):
    ham = Ham(12, 4, solver, heads=heads, steps=5, eval_steps=3).eval()
    x = torch.rand(2, 12, 4, 6)
    shared = solver.random_dictionary(ham.dictionary.shape)
    plain = ham(x)
    with sharing_dictionary(ham, shared):
        y, factors = ham(x), ham.factorize(x)
        parts = torch.cat([ham(x[..., :2]), ham(x[..., 2:])], dim=-1)
        assert torch.equal(factors.dictionary, torch.cat([shared, shared]))
        channels_last = ham(x.contiguous(memory_format=torch.channels_last))
        mask = torch.rand(2, 4, 6) > 0.3
        masked = ham(x, mask)
    for head, group in enumerate(x.chunk(heads, dim=1)):
        codes = encode(group.flatten(2), shared[head], solver, steps=3)
        expected = (shared[head] @ codes).view_as(group)
        torch.testing.assert_close(y.chunk(heads, dim=1)[head], expected)
    tolerance = 1e-5 if isinstance(solver, NMF) else 1e-4  # one ulp more, divided by the temperature
    assert relative_error(parts, y) < tolerance and relative_error(channels_last, y) < tolerance
    assert relative_error(masked, y.where(mask.unsqueeze(1), 0)) < tolerance
    assert torch.equal(ham(x), plain), "afterwards it finds its own again"


def test_sharing_ends_with_an_error_and_leaves_training_alone():
    ham, x = Ham(8, 3, start="fixed"), torch.rand(1, 8, 5)
    trained = ham.train()(x)
    with pytest.raises(RuntimeError), sharing_dictionary(ham, torch.rand(1, 8, 3)):
        assert torch.equal(ham(x), trained)
        assert "shared_dictionary" not in str(ham.state_dict().keys())
        raise RuntimeError
    assert ham.shared_dictionary is None


def test_sharing_what_does_not_fit():
    with (
        pytest.raises(ValueError, match=r"must be .* = \(2, 4, 3\), got \(8, 3\)"),
        sharing_dictionary(Ham(8, 3, heads=2), torch.rand(8, 3)),
    ):
        pass
    with (
        pytest.raises(ValueError, match='over="channel" .* only one with over="space"'),
        sharing_dictionary(Ham(8, 3, over="channel"), torch.rand(1, 8, 3)),
    ):
        pass


def test_watching_the_input():
    ham, seen, x = Ham(8, 3).eval(), [], torch.rand(2, 8, 4, 5)
    with watching_input(ham, seen.append):
        ham(x)
    ham(x)
    assert len(seen) == 1 and torch.equal(seen[0], x)


@pytest.mark.compile
@pytest.mark.parametrize(
    "solver", some_by_day(SOLVERS, lambda solver: isinstance(solver, NMF)), ids=lambda s: type(s).__name__
)
def test_compile_and_export_give_the_eager_numbers(solver):
    x = torch.rand(2, 8, 5, 7)
    ham = Ham(8, 3, solver).eval()
    report = check_mixer(ham, lambda: x, compile=True, export=True, tolerance=1e-4, mask=False)
    report.raise_if_failed()
    dynamic = {
        0: torch.export.Dim("batch"),
        2: torch.export.Dim("height"),
        3: torch.export.Dim("width"),
    }
    program = torch.export.export(ham, (x,), dynamic_shapes=(dynamic,)).module()
    other = torch.rand(3, 8, 9, 4)
    assert relative_error(program(other), ham(other)) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": 5}, "heads must divide dim, got 5 heads for dim 12"),
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"start": "randon"}, "start must be one of random, fixed, learned, running, got 'randon'"),
        ({"over": "time"}, "over must be"),
        ({"grad_steps": 9}, "grad_steps must be 0 to steps = 6, got 9"),
        ({"start": "running", "over": "channel"}, "it needs over="),
    ],
)
def test_bad_arguments_are_quoted(arguments, message):
    with pytest.raises(ValueError, match=message):
        Ham(12, **{"rank": 4} | arguments)


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        (
            torch.rand(1, 5, 4, 4),
            None,
            "expected \\(batch, 12, \\*spatial\\), got \\(1, 5, 4, 4\\)",
        ),
        (torch.rand(1, 12), None, "expected \\(batch, 12"),
        (torch.rand(0, 12, 4), None, "at least one sample"),
        (
            torch.rand(1, 12, 4),
            torch.ones(1, 5, dtype=torch.bool),
            "mask must be boolean of shape \\(1, 4\\)",
        ),
        (torch.rand(1, 12, 4), torch.ones(1, 4), "mask must be boolean"),
    ],
)
def test_bad_inputs_are_quoted(x, mask, message):
    with pytest.raises(ValueError, match=message):
        Ham(12, 4)(x, mask)

"""Light-Ham and VAN: the original numbers, sizes, costs, names."""

import pytest
import torch

from helpers import relative_error
from subquad import create_model, list_models
from subquad.models.backbones import VAN_SIZES, make_backbone
from subquad.nn import Ham
from subquad.ops import VQ


def tiny(**overrides):
    options = {
        "num_classes": 5,
        "backbone": "conv_tiny",
        "ham_channels": 32,
        "channels": 32,
        "rank": 4,
    }
    return create_model("light_ham_van_tiny_d256", **options | overrides)


def test_names_are_those_of_the_design():
    sizes = ("tiny_d256", "tiny", "small_d256", "small", "base", "large", "huge")
    assert list_models("light_ham_van_*") == [f"light_ham_van_{size}" for size in sizes]


def test_spec_ranks_and_stochastic_depth():
    def facts(name):
        config = create_model(name, backbone="conv_tiny").config
        return config.rank, config.eval_steps, config.drop_path

    assert facts("light_ham_van_tiny_d256") == (16, 7, 0.1)
    assert facts("light_ham_van_large") == (64, 7, 0.25)
    assert facts("light_ham_van_huge") == (64, 7, 0.3)


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (7, 64), (65, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_any_image_size(size):
    network = create_model("light_ham_van_tiny_d256", num_classes=3).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("ham", ["hamburger", "attention", "none"])
def test_same_answer_alone_in_a_batch_and_in_channels_last(ham):
    network = tiny(context=ham).eval()
    x = torch.randn(3, 3, 40, 56)
    with torch.no_grad():
        y = network(x)
        assert torch.equal(network(x), y)
        # A softmax over positions magnifies rounding; our own ham does not.
        allowed = 1e-4 if ham == "attention" else 1e-5
        assert relative_error(network(x[1:2]), y[1:2]) < allowed
        last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert relative_error(last, y) < allowed


def reach(network, size=97):
    """Return how far, in pixels, the output at the middle depends on the input."""
    x = torch.randn(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    out = network.double().eval()(x)
    maps = out if isinstance(out, list) else [out]
    total = sum(m[0, :, m.shape[2] // 2, m.shape[3] // 2].square().sum() for m in maps)
    touched = torch.autograd.grad(total, x)[0].abs().sum(dim=(0, 1)).nonzero()
    return (touched.max(dim=0).values - touched.min(dim=0).values + 1).max().item()


def test_conv_tiny_sees_at_most_31_pixels():
    assert reach(make_backbone("conv_tiny")) <= 31


def test_only_the_ham_sees_the_whole_image():
    """With batch norm nothing else is global; group norm would be."""
    # 31 pixels of the backbone, and the resizing of the logits reaches the next cell's.
    assert reach(tiny(context="none", norm="batch")) <= 31 + 4
    assert reach(tiny(context="hamburger", norm="batch", grad_steps=6)) > 90
    assert reach(tiny(context="attention", norm="batch")) > 90
    assert reach(tiny(context="none", norm="group")) > 90


def test_without_the_ham_the_parameters_are_the_same():
    def names(ham):
        return {n: p.shape for n, p in tiny(context=ham).named_parameters()}

    assert names("none") == names("hamburger")


@pytest.mark.parametrize("backbone", ["timm/resnet18", "timm/mobilenetv3_small_050", "timm/convnext_atto"])
def test_any_timm_backbone(backbone):
    network = create_model("light_ham_van_tiny_d256", backbone=backbone, num_classes=4, in_channels=5)
    logits = network(torch.randn(2, 5, 65, 70))
    assert logits.shape == (2, 4, 65, 70)
    logits.sum().backward()


def test_timm_backbone_whose_channels_are_last():
    backbone = make_backbone("timm/swinv2_cr_tiny_224")
    assert tuple(m.shape[1] for m in backbone(torch.randn(1, 3, 224, 224))) == backbone.channels


def test_overrides_reach_the_ham():
    network = tiny(solver=VQ(temperature=0.5), rank=7, steps=3, eval_steps=9, grad_steps=2, start="fixed")
    (ham,) = (m for m in network.modules() if isinstance(m, Ham))
    assert (ham.solver, ham.rank, ham.steps, ham.eval_steps) == (VQ(0.5), 7, 3, 9)
    assert (ham.grad_steps, ham.start) == (2, "fixed")
    assert isinstance(next(m for m in tiny(solver="CD").modules() if isinstance(m, Ham)).solver.ridge, float)


def test_stochastic_depth_grows_linearly():
    rates = [b.drop_path.rate for s in make_backbone("van_tiny", drop_path=0.3).stages for b in s.blocks]
    torch.testing.assert_close(torch.tensor(rates), torch.linspace(0, 0.3, sum(VAN_SIZES["van_tiny"].blocks)))


def test_dilated_convolution_stays_in_float32_on_a_cpu(monkeypatch):
    """bfloat16 gradients of this convolution are garbage now and then: it must never see one."""
    from subquad.models.backbones import van

    convolve, seen = van.DilatedDepthwise._conv_forward, []

    def spy(self, input, weight, bias):
        seen.append((input.dtype, weight.dtype))
        return convolve(self, input, weight, bias)

    monkeypatch.setattr(van.DilatedDepthwise, "_conv_forward", spy)
    network = create_model("light_ham_van_tiny_d256", num_classes=3)
    x = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(x).float().square().mean()
    loss.backward()
    assert len(seen) == 13 and set(seen) == {(torch.float32, torch.float32)}
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(g.isfinite().all() and g.abs().max() < 1e6 for g in gradients)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("light_ham_van_tny", {}, "Did you mean 'light_ham_van_tiny'"),
        ("light_ham_van_tiny", {"rnak": 3}, "has no option 'rnak'. Did you mean 'rank'"),
        (
            "light_ham_van_tiny",
            {"backbone": "van_tinny"},
            "unknown backbone 'van_tinny'. Did you mean 'van_tiny'",
        ),
        ("light_ham_van_tiny", {"backbone": "timm/resnet17"}, "timm knows no network 'resnet17'"),
        ("light_ham_van_tiny", {"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ("light_ham_van_tiny", {"context": "hamm"}, "context must be one of"),
        ("light_ham_van_tiny", {"solver": "NFM"}, "unknown solver 'NFM'. Did you mean 'NMF'"),
        ("light_ham_van_tiny", {"ham_channels": 100}, "32 groups, got 100"),
        ("light_ham_van_tiny", {"mean": (0.5,)}, "mean needs one value for each of 3 channels"),
    ],
)
def test_wrong_names_suggest_the_right_one(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **overrides)


def test_unknown_options_are_type_errors_too():
    with pytest.raises(TypeError):
        create_model("light_ham_van_tiny", classes=3)


def test_bad_images_are_quoted():
    with pytest.raises(
        ValueError, match="expected images \\(batch, 3, height, width\\), got \\(1, 1, 8, 8\\)"
    ):
        tiny()(torch.zeros(1, 1, 8, 8))


@pytest.mark.slow
@pytest.mark.compile
def test_compile_and_export_give_the_eager_numbers():
    network = tiny().eval()
    x = torch.randn(2, 3, 48, 64)
    with torch.no_grad():
        y = network(x)
        assert relative_error(torch.compile(network, fullgraph=True)(x), y) < 1e-5
        program = torch.export.export(network, (x,)).module()
        assert relative_error(program(x), y) < 1e-5

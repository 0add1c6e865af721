"""`optimize_for_inference`: the same function, by fewer steps that are each checked."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.modules.batchnorm import _BatchNorm

from helpers import relative_error
from nightly import some_by_day
from subquad import create_model
from subquad.models import inference_report, inference_steps, optimize_for_inference
from subquad.models.backbones.folded_pyramid import FoldedBlock
from subquad.models.backbones.pyramid import Block
from subquad.nn import Ham
from subquad.nn.conditional_norm import ConditionalBatchNorm
from subquad.nn.conv_activation import ConvActivation
from subquad.nn.sharing import carrying_dictionary, evaluating_steps, sharing_dictionary

SMALL = {"num_classes": 5, "steps": 2, "rank": 4}
FAMILIES = {
    "light_ham": ("light_ham_van_tiny_d256", {**SMALL, "ham_channels": 32, "channels": 32}),
    "batch_norm": (
        "light_ham_van_tiny_d256",
        {**SMALL, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "norm": "batch"},
    ),
    "segnext": ("segnext_tiny", SMALL),
    "hamnet_van": ("hamnet_van_tiny_os8", {**SMALL, "channels": 32, "dim": 32, "align_channels": 32}),
    "hamnet_voc": ("hamnet_r50_voc", {**SMALL, "channels": 32, "dim": 32, "align_channels": 32}),
    "timm": ("light_ham_efficientnet_lite0", SMALL),
    "classifier": ("van_tiny", {"num_classes": 5}),
    "hamgan": ("hamgan_baby", {"size": 32, "width": 16, "num_classes": 4}),
    "sequence": ("paramixer_image", {}),
}


def shaken(network, seed=0):
    """Give norms statistics and scales weight, so that what is folded wrongly is seen."""
    generator = torch.Generator().manual_seed(seed)

    def draw(values, low, high):
        if values is not None:
            values.data.uniform_(low, high, generator=generator)

    for module in network.modules():
        if isinstance(module, _BatchNorm):
            draw(module.running_mean, -1, 1)
            draw(module.running_var, 0.3, 2)
        if isinstance(module, (_BatchNorm, ConditionalBatchNorm)):
            draw(module.weight, 0.5, 1.5)
            draw(module.bias, -0.5, 0.5)
        if isinstance(module, Block):
            draw(module.scale1, 0.2, 0.5)
            draw(module.scale2, 0.2, 0.5)
        if hasattr(module, "gate") and isinstance(module.gate, nn.Parameter):
            draw(module.gate, 0.5, 1)
    return network.eval()


def inputs_of(network, size, seed=1):
    generator = torch.Generator().manual_seed(seed)
    example = network.config.example(size)
    return tuple(
        torch.randn(x.shape, generator=generator) if x.is_floating_point() else x.random_(0, 4)
        for x in example
    )


def made(family):
    name, options = FAMILIES[family]
    torch.manual_seed(0)
    network = shaken(create_model(name, **options))
    sizes = {"hamgan": (32, 32), "sequence": (1024, 1024)}.get(family, (64, (71, 90)))
    return network, inputs_of(network, sizes[0]), inputs_of(network, sizes[1], seed=2)


@pytest.fixture
def tiny():
    """A network with all kinds of steps but spectral norms, and what it takes."""
    torch.manual_seed(0)
    block = Block(8, lambda channels: nn.Conv2d(channels, channels, 3, padding=1), 2, 0.0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), block,
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8), nn.Conv2d(8, 4, 1), nn.GELU(),
    )  # fmt: skip
    return shaken(network), torch.randn(2, 3, 17, 14)


@pytest.mark.parametrize(
    "family", some_by_day(FAMILIES, lambda family: family not in ("batch_norm", "hamnet_van"))
)
def test_the_same_logits_at_sizes_it_never_saw(family):
    network, example, other = made(family)
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        expected = network(*other)
        fast = optimize_for_inference(network, example)
        report = inference_report(fast)
        assert (family == "sequence") == (not report.steps) and not report.refused and report.error < 1e-4
        assert relative_error(fast(*other), expected) < 1e-4
        assert torch.equal(network(*other), expected), "the network itself is as it was, bit by bit"
    assert type(fast) is type(network) and fast.config == network.config
    assert not any(module.training for module in fast.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    kept = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}
    assert not any(p.untyped_storage().data_ptr() in kept for p in [*fast.parameters(), *fast.buffers()])


def test_each_step_is_told(tiny):
    network, x = tiny
    fast = optimize_for_inference(network, x)
    steps = {step.name: step.count for step in inference_report(fast).steps}
    assert steps == {
        "norms and scales of blocks in their convolutions": 1,
        "batch norms in the convolutions before them": 1,
        "dilated depthwise convolutions by phases": 1,
        "activations in the convolutions before them": 2,
    }
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), network(x), rtol=1e-4, atol=1e-4)
    assert "blocks" in str(inference_report(fast))
    with pytest.raises(ValueError, match="this Sequential has no report"):
        inference_report(network)


def test_gradients_of_the_input_go_through_the_copy(tiny):
    network, x = tiny
    fast = optimize_for_inference(network, x)
    for each in (network, fast):
        x.grad = None
        each(x.requires_grad_()).square().sum().backward()
        first = first if each is fast else x.grad  # noqa: F821  pyright: ignore
    torch.testing.assert_close(x.grad, first, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("fault", ["epsilon", "bias", "scale", "raises", "nan"])
def test_a_wrong_step_is_left_out_and_told(tiny, fault, monkeypatch):
    network, x = tiny
    name = "norms and scales of blocks in their convolutions"
    right = inference_steps.STEPS[name]

    def wrong(network, example):
        if fault == "epsilon":
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eps = 1e-2
        count = right(network, example)
        for module in network.modules():
            if isinstance(module, FoldedBlock):
                if fault == "bias":
                    nn.init.zeros_(module.reduce.bias)
                if fault == "scale":
                    module.gain.fill_(1)
                if fault == "nan":
                    module.gain.fill_(float("nan"))
        if fault == "raises":
            raise RuntimeError("no kernel\nof this kind")
        return count

    monkeypatch.setitem(inference_steps.STEPS, name, wrong)
    fast = optimize_for_inference(network, x)
    (refused,) = inference_report(fast).refused
    assert refused.name == name and refused.error > 1e-4
    assert refused.refused == "it fails: no kernel" if fault == "raises" else "changes" in refused.refused
    assert sum(isinstance(module, Block) for module in fast.modules()) == 1
    assert inference_report(fast).error < 1e-5, "the other steps are taken"
    torch.testing.assert_close(fast(x), network(x), rtol=1e-4, atol=1e-4)


def test_steps_sharing_and_carrying_work_on_the_copy():
    network, example, (x,) = made("light_ham")
    fast = optimize_for_inference(network, example)
    hams = [next(m for m in each.modules() if isinstance(m, Ham)) for each in (network, fast)]
    with torch.inference_mode():
        usual = fast(x)
        for steps in (1, 3):
            with evaluating_steps(network, steps), evaluating_steps(fast, steps):
                assert relative_error(fast(x), network(x)) < 1e-4
                assert not torch.equal(fast(x), usual)
        columns = torch.rand_like(hams[0].dictionary)
        with sharing_dictionary(hams[0], columns), sharing_dictionary(hams[1], columns):
            assert relative_error(fast(x), network(x)) < 1e-4
        carried = [], []
        with carrying_dictionary(hams[0], carried[0]), carrying_dictionary(hams[1], carried[1]):
            assert relative_error(fast(x), network(x)) < 1e-4
            assert relative_error(fast(x), network(x)) < 1e-4
        assert len(carried[1]) == 1
        assert relative_error(fast.coarse(x).logits, network.coarse(x).logits) < 1e-4


def test_bfloat16_leaves_the_ham_and_the_logits_in_float32():
    network, example, (x,) = made("light_ham")
    fast = optimize_for_inference(network, example, dtype="bfloat16")
    seen = []
    ham = next(m for m in fast.modules() if isinstance(m, Ham))
    ham.register_forward_hook(lambda module, args, output: seen.append(module.factorize(*args).codes.dtype))
    with torch.inference_mode():
        logits = fast(x)
        assert relative_error(logits, network(x)) < 0.3
    assert logits.dtype == ham.dictionary.dtype == seen[0] == torch.float32
    assert fast.backbone.stages[0].embed.conv.weight.dtype == torch.bfloat16
    report = inference_report(fast)
    assert report.steps[-1].name == "bfloat16" and 1e-4 < report.error < 0.1 and 0.5 < report.same_class <= 1


def test_bfloat16_leaves_a_learned_dictionary_as_it_is():
    name, options = FAMILIES["light_ham"]
    network = shaken(create_model(name, **options, start="learned", grad_steps=2))
    fast = optimize_for_inference(network, inputs_of(network, 64), dtype="bfloat16")
    (ours,), (theirs,) = ([m for m in n.modules() if isinstance(m, Ham)] for n in (network, fast))
    assert theirs.dictionary.dtype == torch.float32 and torch.equal(ours.dictionary, theirs.dictionary)


class Less(nn.Module):
    """Takes away what a bfloat16 of that size cannot tell from its neighbours."""

    def forward(self, x):
        return x - 1000


def test_bfloat16_that_is_too_far_off_is_left_out(tiny):
    network, x = tiny
    with torch.no_grad():
        network[5].bias.add_(1000)
    fast = optimize_for_inference(nn.Sequential(*network[:6], Less()).eval(), x, dtype="bfloat16")
    assert "bfloat16" in [step.name for step in inference_report(fast).refused]
    assert all(p.dtype == torch.float32 for p in fast.parameters())


def test_another_dtype_is_refused(tiny):
    with pytest.raises(ValueError, match='must be "bfloat16" or None, got "float16"|got \'float16\''):
        optimize_for_inference(*tiny, dtype="float16")


@pytest.mark.slow
def test_compiled_for_any_size():
    network, example, (x,) = made("batch_norm")
    fast = optimize_for_inference(network, example, compile=True)
    assert inference_report(fast).steps[-1].name == "torch.compile" and not inference_report(fast).refused
    with torch.inference_mode():
        assert relative_error(fast(x), network(x)) < 1e-4


@pytest.mark.parametrize("activation", [nn.GELU(), nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish()])
@pytest.mark.parametrize("groups", [1, 8])
def test_activations_behind_convolutions(activation, groups):
    conv = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=groups)
    x = 4 * torch.randn(2, 8, 9, 12).contiguous(memory_format=torch.channels_last)
    joined = ConvActivation(conv, activation)
    assert ConvActivation.takes(conv, activation) and joined.weight is conv.weight
    with torch.inference_mode():
        torch.testing.assert_close(joined(x), activation(conv(x)), rtol=1e-4, atol=1e-5)
    with torch.no_grad(), forward_ad.dual_level():  # a graph is not all that records derivatives
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        ours, theirs = (
            forward_ad.unpack_dual(f(dual)).tangent for f in (joined, lambda x: activation(conv(x)))
        )
        torch.testing.assert_close(ours, theirs)
    assert not ConvActivation.takes(conv, nn.GELU(approximate="tanh"))
    assert not ConvActivation.takes(nn.Conv2d(8, 8, 3, padding="same"), activation)


def test_spectral_norms_of_the_network_stay():
    network, example, _ = made("hamgan")
    assert type(optimize_for_inference(network, example).generator.project) is nn.Linear
    assert nn.utils.parametrize.is_parametrized(network.generator.project)
    network.generator.project.weight  # noqa: B018  the class was not changed under it

"""HamGAN: sizes to the last parameter, promises, files."""

import json
from itertools import pairwise

import pytest
import torch
from torch import nn

from subquad import create_model, list_models, load_model, save_model
from subquad.models import HamGAN, cost, model_config
from subquad.models.card import model_card
from subquad.nn import SpectralNorm

SMALL = {"size": 32, "width": 8, "num_classes": 5, "latent": 16, "generator_rank": 6, "discriminator_rank": 3}


def small(**overrides):
    return create_model("hamgan_baby", **SMALL | overrides)


def opened(network):
    """Return a network whose context counts: its gates start at zero."""
    for name, parameter in network.named_parameters():
        if name.endswith("gate"):
            nn.init.ones_(parameter)
    return network


def drawn(network, batch=3):
    config = network.config
    return torch.randn(batch, config.latent), torch.arange(batch) % config.num_classes


# Spec 7.3; the attention's is (C / 8 + C / 8 + C / 2) C + (C / 2) C + 1 more than none.
PARAMETERS = {
    ("hamburger", "v1"): (42_640_004, 39_475_906),
    ("hamburger", "v2"): (42_705_540, 39_492_290),
    ("none", "v1"): (41_996_931, 39_443_137),
    ("attention", "v1"): (41_996_931 + 81_921, 39_443_137 + 20_481),
}


@pytest.mark.parametrize(("context", "version"), PARAMETERS)
def test_parameters(context, version):
    network = cost.on_meta("hamgan_baby", context=context, version=version)
    counts = tuple(
        sum(p.numel() for p in half.parameters()) for half in (network.generator, network.discriminator)
    )
    assert counts == PARAMETERS[context, version]


def test_names_and_costs():
    assert list_models("hamgan_*") == ["hamgan_baby", "hamgan_strong"]
    assert cost.parameters("hamgan_strong") == sum(PARAMETERS["hamburger", "v1"])
    assert model_config("hamgan_baby").cost_size() == 128
    # Convolutions of the plain generator by hand, 4 x 4 to 32 x 32; its shortcuts run before upsampling.
    widths, total = (64, 32, 16, 8), 16 * 64 * 16
    for level, (before, after) in enumerate(pairwise(widths)):
        side = 8 * 2**level
        total += side**2 * 9 * (before + after) * after + side**2 // 4 * before * after
    total += 32**2 * 9 * 8 * 3
    assert cost.multiply_adds("hamgan_baby", **SMALL, context="none") == total
    assert [model_config(n).cost_size(512) for n in ("hamgan_baby", "van_tiny")] == [128, 512]


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("context", ["hamburger", "attention", "none"])
def test_every_size(size, context):
    network = opened(small(size=size, context=context, in_channels=1))
    latent, labels = drawn(network)
    seen = []
    for half in (network.generator, network.discriminator):
        if context != "none":
            half.context.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    images = network(latent, labels)
    assert images.shape == (3, 1, size, size) and images.abs().max() <= 1
    logits = network.discriminator(images, labels)
    assert logits.shape == (3,)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    if context != "none":
        side = 32 if size == 128 else 16
        width = 8 * size // side
        assert seen == [(3, width, side, side), (3, width // 2, side, side)]


def test_published_places_of_the_context():
    network = cost.on_meta("hamgan_baby")
    assert (network.generator.context.ham.dim, network.generator.context.ham.rank) == (256, 32)
    assert (network.discriminator.context.ham.dim, network.discriminator.context.ham.rank) == (128, 16)
    assert (network.generator.context_at, network.discriminator.context_at) == (3, 2)


@pytest.mark.parametrize(
    "options", [{}, {"version": "v2"}, {"solver": "CD"}, {"context": "attention"}], ids=str
)
def test_evaluation_is_deterministic_and_each_image_its_own(options):
    network = opened(small(**options))
    latent, labels = drawn(network, 4)
    network(latent, labels)  # one round of power iteration, and moving statistics
    network.eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        images = network(latent, labels)
        logits = network.discriminator(images, labels)
        assert torch.equal(network(latent, labels), images)
        assert torch.equal(network.discriminator(images, labels), logits)
        alone = torch.cat([network(latent[i : i + 1], labels[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(alone, images, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_training_draws_dictionaries_and_a_seed_fixes_them():
    network = opened(small()).discriminator
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def logits(seed):
        network.load_state_dict(state)
        torch.manual_seed(seed)
        return network(images, labels)

    assert torch.equal(logits(1), logits(1)) and not torch.equal(logits(1), logits(2))


@pytest.mark.parametrize("solver", ["NMF", "CD"])
def test_the_gate_is_closed_at_first(solver):
    network = small(solver=solver).eval()
    latent, labels = drawn(network)
    images = network(latent, labels)
    network.generator.context = None
    assert torch.equal(network(latent, labels), images)


def test_only_the_context_has_norm_exactly_one():
    network = small(version="v2")
    exact = {
        name.split(".parametrizations")[0]
        for name, part in network.named_modules()
        if isinstance(part, SpectralNorm) and part.exact
    }
    assert exact == {
        f"{half}.context.{part}"
        for half in ("generator", "discriminator")
        for part in ("lower_bread", "cheese", "upper_bread")
    }
    normalised = [part for part in network.modules() if isinstance(part, SpectralNorm)]
    weights = [part for part in network.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding)]
    assert len(normalised) == len(weights)


def test_starting_weights():
    network = small(width=32)
    kernel = network.generator.blocks[0].conv1.parametrizations.weight.original.detach()
    bound = (6 / (9 * (kernel.shape[0] + kernel.shape[1]))) ** 0.5
    assert kernel.abs().max() <= bound and kernel.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert all(
        (part.bias == 0).all()
        for part in network.modules()
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None
    )


@pytest.mark.parametrize("context", ["hamburger", "attention"])
def test_zero_and_huge_input_is_finite(context):
    network = opened(small(context=context))
    labels = torch.tensor([0, 1])
    for images in (torch.zeros(2, 3, 32, 32), torch.full((2, 3, 32, 32), 1e6)):
        network.zero_grad()
        logits = network.discriminator(images, labels)
        logits.sum().backward()
        assert logits.isfinite().all()
        assert all(p.grad.isfinite().all() for p in network.discriminator.parameters())
    images = network(torch.zeros(2, 16), labels)
    images.sum().backward()
    assert images.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.generator.parameters())


def test_half_precision_trains():
    network = opened(small())
    latent, labels = drawn(network)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network.discriminator(network(latent, labels), labels)
    assert logits.dtype == torch.float32  # of sums over positions, too large for a type with 8 bits
    logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_saves_and_loads(tmp_path):
    network = opened(small(solver="CD", version="v2", in_channels=1, class_names=tuple("abcde")))
    latent, labels = drawn(network)
    network(latent, labels)
    save_model(network, tmp_path / "gan.safetensors")
    loaded = load_model(tmp_path / "gan.safetensors")
    assert loaded.config == network.config and not loaded.training
    network.eval()
    images = network(latent, labels)
    assert torch.equal(loaded(latent, labels), images)
    assert torch.equal(loaded.discriminator(images, labels), network.discriminator(images, labels))


def test_a_folder_for_the_hub(tmp_path):
    network = small().eval()
    network.save_pretrained(tmp_path / "gan")
    latent, labels = drawn(network)
    assert torch.equal(HamGAN.from_pretrained(tmp_path / "gan")(latent, labels), network(latent, labels))
    assert json.loads((tmp_path / "gan" / "config.json").read_text())["family"] == "hamgan"


def test_the_card_says_how_to_draw(tmp_path, monkeypatch):
    network = small()
    card = model_card(network, "gan")
    assert 'pipeline_tag: "unconditional-image-generation"' in card
    assert "for class-conditional image generation, with 5 classes" in card and "backbone" not in card
    network.save_pretrained(tmp_path / "gan")
    monkeypatch.chdir(tmp_path)
    example = {}
    exec(card.split("```python\n")[1].split("```")[0], example)
    assert example["images"].shape == (4, 3, 32, 32)


def test_one_graph():
    network = opened(small())
    latent, labels = drawn(network)
    network(latent, labels)
    network.eval()
    images = network(latent, labels)
    program = torch.export.export(network.generator, (latent, labels))
    torch.testing.assert_close(program.module()(latent, labels), images)


def test_becomes_synchronised():
    network = nn.SyncBatchNorm.convert_sync_batchnorm(small())
    network(*drawn(network)).sum().backward()
    assert isinstance(network.generator.norm.norm, nn.SyncBatchNorm)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 48}, "size must be one of 32, 64, 128, got 48"),
        ({"context": "burger"}, "context must be one of hamburger, attention, none, got 'burger'"),
        ({"version": "v2plus"}, "version must be one of v1, v2, got 'v2plus'"),
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"width": -1}, "width must be at least 1, got -1"),
        ({"mean": (0.4, 0.5, 0.5)}, r"images of a HamGAN are -1..1, which is mean 0.5; got \(0.4"),
        ({"solver": "SVD"}, "unknown solver 'SVD'"),
    ],
    ids=str,
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_bad_input():
    network = small()
    latent, labels = drawn(network)
    for wrong, message in (
        ((latent[:, :3], labels), r"expected latent \(batch, 16\), got \(3, 3\)"),
        ((latent, labels[:2]), r"expected 3 integer labels \(batch,\), got torch.int64 \(2,\)"),
        ((latent, labels.float()), "expected 3 integer labels .* torch.float32"),
        ((latent, labels + 5), "labels must be 0 to 4, got 5"),
        ((latent, labels - 1), "labels must be 0 to 4, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            network(*wrong)
    with pytest.raises(ValueError, match=r"expected images \(batch, 3, 32, 32\), got \(3, 1, 32, 32\)"):
        network.discriminator(torch.zeros(3, 1, 32, 32), labels)

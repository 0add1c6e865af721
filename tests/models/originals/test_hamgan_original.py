"""HamGAN's TensorFlow checkpoints, written from our own networks and read back."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import relative_error
from subquad import create_model, load_original
from subquad.models.originals.load import read_weights
from subquad.models.originals.recognise import recognise

SMALL = {"size": 32, "width": 8, "num_classes": 5, "latent": 16, "generator_rank": 6, "discriminator_rank": 3}
U = "spectral_normalize/spectral_norm/spectral_norm_u"


def perturbed(seed=1, **options):
    """Return a network with nothing as it starts."""
    torch.manual_seed(seed)
    network = create_model("hamgan_baby", **SMALL | options).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("dictionary"):
                tensor.copy_(torch.rand_like(tensor) * 0.3 + 0.2 if "running_var" in name else
                             torch.randn_like(tensor) * 0.3 + tensor.mean())  # fmt: skip
    return network


def written(network, *, outer=True, suffix=""):
    """Return a network's tensors as TensorFlow stores them: names of spec 8.3, kernels HWIO."""
    state, variables = network.state_dict(), {}
    config = network.config

    def take(place):
        return state[place].numpy()

    def kernel(place, scope, name, *, nested=True):
        weight = take(f"{place}.parametrizations.weight.original")
        u = state[f"{place}.parametrizations.weight.0.u"].numpy()
        if weight.ndim == 4:
            _, channels, height, width = weight.shape
            u = u.reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
            weight = weight.transpose(2, 3, 1, 0)
        elif name != "embedding_map":
            weight = weight.T
        bias = state.get(f"{place}.bias")
        bias = None if bias is None else bias.numpy()
        if place == "generator.project":
            order = np.arange(weight.shape[1]).reshape(-1, 4, 4).transpose(1, 2, 0).reshape(-1)
            weight, bias = weight[:, order], bias[order]
        variables[f"{scope}/{name}"] = weight
        variables[f"{scope}/{scope}/{name}/{U}" if nested else f"{scope}/{U}"] = u.reshape(-1, 1)
        if bias is not None:
            variables[f"{scope}/bias"] = bias

    def norm(place, scope):
        for theirs, ours in {"gamma": "weight", "beta": "bias"}.items():
            table = take(f"{place}.{ours}")
            variables[f"{scope}/{theirs}"] = table.reshape(len(table), 1, 1, -1)
        variables[f"{scope}/moving_mean"] = take(f"{place}.norm.running_mean")
        variables[f"{scope}/moving_variance"] = take(f"{place}.norm.running_var")

    def context(place, scope, module):
        if config.context == "none":
            return
        for part in ("lower_bread", *(["cheese"] if config.version == "v2" else []), "upper_bread"):
            kernel(f"{place}.{part}", f"{scope}/sn_{part}", "weights")
        if module.norm is not None:
            norm(f"{place}.norm", f"{scope}/{'cheese' if config.version == 'v2' else 'upper_bread'}_bn")
        variables[f"{scope}/sigma_ratio"] = take(f"{place}.gate").reshape(())

    top = "Generator/generator" if outer else "generator"
    kernel("generator.project", f"{top}/g_snh0/dense", "kernel")
    for index, _ in enumerate(network.generator.blocks):
        place, scope = f"generator.blocks.{index}", f"{top}/g_block{index + 1}"
        for number, part in enumerate(("conv1", "conv2", "shortcut"), start=1):
            kernel(f"{place}.{part}", f"{scope}/snconv{number}/snconv{number}", "kernel")
        norm(f"{place}.norm1", f"{scope}/cbn_0")
        norm(f"{place}.norm2", f"{scope}/cbn_1")
    context("generator.context", f"{top}/g_ops", network.generator.context)
    norm("generator.norm", f"{top}/g_bn")
    kernel("generator.to_image", f"{top}/g_snconv_last/g_snconv_last", "kernel")
    top = "Discriminator/discriminator" if outer else "discriminator"
    for index, block in enumerate(network.discriminator.blocks):
        place = f"discriminator.blocks.{index}"
        scope = f"{top}/d_{'optimized_' if index == 0 else ''}block{index + 1}"
        kernel(f"{place}.conv1", f"{scope}/sn_conv1/sn_conv1", "kernel")
        kernel(f"{place}.conv2", f"{scope}/sn_conv2/sn_conv2", "kernel")
        if not isinstance(block.shortcut, nn.Identity):
            kernel(f"{place}.shortcut", f"{scope}/sn_conv3/sn_conv3", "kernel")
    context("discriminator.context", f"{top}/d_ops", network.discriminator.context)
    kernel("discriminator.linear", f"{top}/d_sn_linear/dense", "kernel")
    kernel("discriminator.embedding", f"{top}/d_embedding", "embedding_map", nested=False)
    slots = {f"{name}/Adam{n}": a for name, a in variables.items() if U not in name for n in ("", "_1")}
    training = {
        "global_step": np.int64(7),
        "generator_train/beta1_power": np.float32(0),
        "discriminator_train/beta2_power_1": np.float32(0),
    }
    return {f"{name}{suffix}": array for name, array in (variables | slots | training).items()}


@pytest.mark.parametrize(
    "options",
    [{}, {"version": "v2"}, {"context": "none"}, {"size": 64, "in_channels": 1}, {"solver": "CD"}],
    ids=str,
)
@pytest.mark.parametrize(("outer", "suffix"), [(True, ""), (False, ":0")])
def test_round_trip(tmp_path, options, outer, suffix):
    source, network = perturbed(**options), perturbed(seed=2, **options)
    np.savez(tmp_path / "variables.npz", **written(source, outer=outer, suffix=suffix))
    report = load_original(network, tmp_path / "variables.npz")
    assert not report.missing and not report.unexpected and not report.reshaped
    assert report.coverage == 1 and report.classes is None
    for name, tensor in source.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
    latent, labels = torch.randn(3, 16), torch.tensor([0, 4, 2])
    images = source(latent, labels)
    assert torch.equal(network(latent, labels), images)
    assert torch.equal(network.discriminator(images, labels), source.discriminator(images, labels))


@pytest.mark.parametrize("half", ["generator", "discriminator"])
def test_one_half_alone(half):
    source, network = perturbed(), perturbed(seed=2)
    report = load_original(getattr(network, half), written(source))
    assert report.coverage == 1 and not report.unexpected and not report.missing
    for name, tensor in getattr(source, half).state_dict().items():
        assert torch.equal(network.state_dict()[f"{half}.{name}"], tensor)
    ours = {name: tensor for name, tensor in perturbed(seed=3).state_dict().items()}
    assert not load_original(getattr(network, half), ours).unexpected, "our own names, too"


def unit(vector):
    return vector / np.sqrt((vector**2).sum())


def theirs_normalised(kernel, u, exact):
    """TensorFlow's normalisation, in its layout: W is (all others, outputs)."""
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    v = unit(matrix.T @ u)
    u = unit(matrix @ v)
    sigma = (u.T @ matrix @ v).item()
    return kernel / (sigma if exact else max(1, sigma))


def test_first_layers_as_tensorflow_computes_them():
    """z to the first map, and an image to the first convolution, in numpy from the variables alone."""
    network = perturbed()
    with torch.no_grad():
        for weight in (network.generator.project, network.discriminator.blocks[0].conv1):
            weight.parametrizations.weight.original.mul_(3)  # surely larger than one
    variables = written(network)
    scope = "Generator/generator/g_snh0/dense"
    z = np.random.default_rng(0).normal(size=(2, 16))
    kernel, u = variables[f"{scope}/kernel"], variables[f"{scope}/{scope}/kernel/{U}"]
    maps = z @ theirs_normalised(kernel, u, exact=False) + variables[f"{scope}/bias"]
    maps = maps.reshape(2, 4, 4, -1)  # height, width, channels
    ours = network.generator.project(torch.from_numpy(z).float()).unflatten(1, (-1, 4, 4))
    assert relative_error(ours.permute(0, 2, 3, 1), maps) < 1e-5

    scope = "Discriminator/discriminator/d_optimized_block1/sn_conv1/sn_conv1"
    kernel, u = variables[f"{scope}/kernel"], variables[f"{scope}/{scope}/kernel/{U}"]
    kernel = theirs_normalised(kernel, u, exact=False)
    image = np.random.default_rng(1).normal(size=(6, 5, 3))
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (6, 5, 3, kh, kw)
    out = np.einsum("hwikl,klio->hwo", windows, kernel) + variables[f"{scope}/bias"]
    ours = network.discriminator.blocks[0].conv1(torch.from_numpy(image).float().permute(2, 0, 1)[None])
    assert relative_error(ours[0].permute(1, 2, 0), out) < 1e-5

    scope = "Generator/generator/g_ops/sn_lower_bread"
    kernel, u = variables[f"{scope}/weights"], variables[f"{scope}/{scope}/weights/{U}"]
    ours = network.generator.context.lower_bread.weight[:, :, 0, 0].T
    assert relative_error(ours, theirs_normalised(kernel, u, exact=True)[0, 0]) < 1e-5


def test_names_of_the_published_networks():
    """Every variable of spec 8.3 finds its place in the network of 128 pixels."""
    with torch.device("meta"):
        network = create_model("hamgan_baby")
    state = network.state_dict()
    shapes = {
        "Generator/generator/g_snh0/dense/kernel": (128, 16384),
        "Generator/generator/g_block5/cbn_1/gamma": (1000, 1, 1, 64),
        "Generator/generator/g_ops/sn_lower_bread/weights": (1, 1, 256, 256),
        "Generator/generator/g_ops/upper_bread_bn/beta": (1000, 1, 1, 256),
        "Generator/generator/g_bn/beta": (1, 1, 1, 64),
        "Generator/generator/g_snconv_last/g_snconv_last/kernel": (3, 3, 64, 3),
        "Discriminator/discriminator/d_block6/sn_conv2/sn_conv2/kernel": (3, 3, 1024, 1024),
        "Discriminator/discriminator/d_ops/sn_upper_bread/weights": (1, 1, 128, 128),
        "Discriminator/discriminator/d_sn_linear/dense/kernel": (1024, 1),
        "Discriminator/discriminator/d_embedding/embedding_map": (1000, 1024),
        f"Discriminator/discriminator/d_embedding/{U}": (1024, 1),
        f"Generator/generator/g_block1/snconv1/snconv1/Generator/generator/g_block1/snconv1/snconv1/kernel/{U}":
            (9216, 1),
    }  # fmt: skip
    from subquad.models.originals.tensorflow import from_tensorflow

    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    tensors["Generator/generator/g_block1/snconv1/snconv1/kernel"] = torch.empty(
        3, 3, 1024, 1024, device="meta"
    )
    found = from_tensorflow(tensors, network)
    assert len(found) == len(tensors)
    assert all(state[name].shape == tensor.shape for name, tensor in found.items())


def test_another_number_of_classes_keeps_its_own_tables():
    network = perturbed(num_classes=3, seed=2)
    table = network.discriminator.embedding.parametrizations.weight.original
    before = table.clone()
    report = load_original(network, written(perturbed()), minimum=0.5)
    assert report.classes == (5, 3) and any("norm1.weight" in line for line in report.reshaped)
    assert torch.equal(table, before)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"version": "v2"}, {}, "context='hamburger', version='v2', the network .* version='v1'; build it"),
        ({}, {"version": "v2"}, "version='v1', the network .* version='v2'"),
        ({"context": "none"}, {}, "has context='none', the network context='hamburger'"),
        ({}, {"context": "attention"}, "has context='hamburger'.* the network context='attention'"),
    ],
)
def test_another_context_is_refused(theirs, ours, message):
    network = perturbed(**ours)
    with pytest.raises(ValueError, match=message):
        load_original(network, written(perturbed(**theirs)) if theirs != {} else perturbed().state_dict())


def test_recognised(tmp_path):
    cases = {
        "v1": ({}, {"version": "v1", "context": "hamburger"}),
        "v2": (
            {"version": "v2", "in_channels": 1},
            {"version": "v2", "context": "hamburger", "in_channels": 1},
        ),
        "none": ({"context": "none", "size": 64}, {"context": "none", "size": 64}),
    }
    for options, told in cases.values():
        np.savez(tmp_path / "v.npz", **written(perturbed(**options)))
        found = recognise(read_weights(tmp_path / "v.npz"))
        expected = {"num_classes": 5, "size": 32, "latent": 16, "width": 8} | told
        assert (found.name, found.overrides) == ("hamgan_baby", expected)
        assert ("ranks 32 and 16" in found.assumed) == (told["context"] == "hamburger")
        both = "for hamgan_baby or hamgan_strong (the same network), since"
        assert (both in found.assumed) == (told["context"] == "hamburger")


@pytest.mark.parametrize("half", ["generator", "discriminator", None])
def test_vectors_that_are_not_in_the_file_are_found(half):
    source, target = perturbed(), perturbed(seed=3)
    if half is not None:
        source, target = getattr(source, half), getattr(target, half)
    plain = {n: t for n, t in source.state_dict().items() if not n.endswith(".u")}
    report = load_original(target, plain)
    assert all(name.endswith(".u") for name in report.missing) and report.missing
    norms = [m for m in target.modules() if hasattr(m, "parametrizations")]
    assert norms and not any(m.training for m in target.modules())
    for module in norms:
        weight = module.parametrizations.weight.original.detach().flatten(1).double()
        largest = float(torch.linalg.svdvals(weight)[0])
        exact = module.parametrizations.weight[0].exact
        expected = weight / (largest if exact else max(1, largest))
        assert relative_error(module.weight.detach().flatten(1).double(), expected) < 0.03


def test_variables_that_tell_the_sizes_are_needed():
    variables = written(perturbed())
    name = next(name for name in variables if name.endswith("g_snconv_last/kernel"))
    del variables[name]
    with pytest.raises(ValueError, match="has no variable g_snconv_last/kernel, which tells"):
        recognise(read_weights(variables))


def test_bad_files(tmp_path):
    network = perturbed()
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*nothing.npz"):
        load_original(network, tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text.npz is no .npz file of plain arrays"):
        load_original(network, tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"objects.npz is no .npz file of plain arrays"):
        load_original(network, tmp_path / "objects.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="is not a checkpoint of this HamGAN: it covers 0.0%"):
        load_original(network, tmp_path / "other.npz")

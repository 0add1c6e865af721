"""Frechet distances against closed forms and other libraries; what is scored, and what is refused."""

import dataclasses

import pytest
import torch
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from subquad.models import create_model
from subquad.tasks.generation.features import Inception, Proxy, check_features, open_features
from subquad.tasks.generation.frechet import FeatureStatistics, frechet_distance
from subquad.tasks.generation.proxy import ProxyConfig, ProxyFeatures, load_proxy, save_proxy
from subquad.tasks.generation.scores import (
    PROTOCOLS,
    GenerationProtocol,
    count_features,
    inception_score,
    score_generator,
)

CONFIG = ProxyConfig(class_names=("a", "b"), channels=1, side=32, width=4)


def statistics(features):
    found = FeatureStatistics(features.shape[1])
    for part in features.split(7):
        found.update(part)
    return found


def exactly(mean, variance, count=50):
    """Return features of that mean and that diagonal covariance, to rounding."""
    x = torch.randn(count, len(mean), dtype=torch.float64)
    x = torch.linalg.qr(x - x.mean(0)).Q  # orthonormal, still of mean zero
    return x * (variance * (count - 1)).sqrt() + mean


def test_statistics_are_those_of_all_features_together():
    features = torch.randn(40, 5) * 3 + 100
    found = statistics(features)
    assert found.count == 40
    torch.testing.assert_close(found.mean, features.double().mean(0))
    torch.testing.assert_close(found.covariance, torch.cov(features.double().mT), rtol=1e-8, atol=1e-9)
    with pytest.raises(ValueError, match="two pictures at least, got 1"):
        _ = statistics(features[:1]).covariance


def test_the_distance_of_diagonal_gaussians_has_a_closed_form():
    mean, other = torch.randn(2, 6, dtype=torch.float64)
    variance, variance2 = torch.rand(2, 6, dtype=torch.float64) + 0.1
    a, b = (statistics(exactly(m, v)) for m, v in ((mean, variance), (other, variance2)))
    expected = (mean - other).square().sum() + (variance.sqrt() - variance2.sqrt()).square().sum()
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-12)


def test_the_distance_of_a_scaled_and_shifted_copy():
    x = torch.randn(60, 5, dtype=torch.float64) @ torch.randn(5, 5, dtype=torch.float64)
    shift = torch.randn(5, dtype=torch.float64)
    scale = 1.7  # the covariances commute: the distance is |shift of the mean|^2 + (scale - 1)^2 tr
    a, b = statistics(x), statistics(scale * x + shift)
    expected = (b.mean - a.mean).square().sum() + (scale - 1) ** 2 * a.covariance.trace()
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)


def test_identical_features_are_at_distance_zero_and_singular_covariances_are_safe():
    few = torch.randn(4, 30, dtype=torch.float64)  # of rank 3
    assert frechet_distance(statistics(few), statistics(few)) == pytest.approx(0, abs=1e-9)
    constant = torch.ones(5, 30, dtype=torch.float64)
    distance = frechet_distance(statistics(constant), statistics(few))
    expected = (1 - few.mean(0)).square().sum() + torch.cov(few.mT).trace()
    assert distance == pytest.approx(float(expected), rel=1e-6)
    apart = frechet_distance(statistics(few), statistics(few + 2))
    assert apart == pytest.approx(4 * 30, rel=1e-6)


def test_features_that_are_not_finite_have_no_distance():
    good, broken = torch.randn(9, 3), torch.randn(9, 3)
    broken[4, 1] = float("nan")
    for pair in ((good, broken), (broken, good)):
        with pytest.raises(ValueError, match="the features hold NaN or infinity, of which there is no"):
            frechet_distance(*map(statistics, pair))


def test_the_distance_is_that_of_torchmetrics_and_torch_fidelity():
    x, y = torch.randn(200, 8).double(), (torch.randn(200, 8) @ torch.randn(8, 8) + 1).double()
    a, b = statistics(x), statistics(y)
    expected = _compute_fid(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-8)
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (x, y)), verbose=False)
    assert frechet_distance(a, b) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-8)


def test_the_inception_score_is_exp_of_the_mean_information():
    logits = torch.randn(40, 5)
    p = logits.double().softmax(1)
    expected = (p * (p / p.mean(0)).log()).sum(1).mean().exp()
    assert inception_score(logits, 1) == (pytest.approx(float(expected)), 0)
    assert inception_score(torch.eye(5).repeat(8, 1) * 100, 1)[0] == pytest.approx(5)
    assert inception_score(logits, 4)[1] > 0


def test_proxy_features_are_stored_with_what_they_are(tmp_path):
    network = ProxyFeatures(CONFIG).eval()
    save_proxy(network, tmp_path / "f.safetensors")
    again = load_proxy(tmp_path / "f.safetensors")
    images = torch.rand(3, 1, 32, 32) * 2 - 1
    assert again.config == CONFIG
    assert torch.allclose(again.features(images), network.features(images), atol=1e-6)
    assert again.features(images).shape == (3, again.length)
    with pytest.raises(ValueError, match=r"features are of images \(1, 32, 32\), got \(3, 32, 32\)"):
        again.features(images.expand(-1, 3, -1, -1))
    pixels = torch.randint(256, (3, 1, 32, 32), dtype=torch.uint8)
    proxy = Proxy(network)
    expected = network(pixels.float() * 2 / 255 - 1)
    torch.testing.assert_close(proxy(pixels)[1], expected)
    with torch.autocast("cpu", torch.bfloat16):  # as in an evaluation of a run with mixed precision
        torch.testing.assert_close(proxy(pixels)[1], expected)
    with pytest.raises(ValueError, match="one of them"):
        open_features(None, None)
    with pytest.raises(ValueError, match="one of them"):
        open_features("a", "b")


def test_wrong_files_of_features_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Inception file"):
        Inception(tmp_path / "inception.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"not torch-fidelity's Inception \(weights-inception-2015-12-05"):
        Inception(tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ValueError, match="not torch-fidelity's Inception"):
        Inception(tmp_path / "text.pth")
    from subquad.models import save_model

    save_model(create_model("hamgan_baby", size=32, width=2, num_classes=2), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="holds no proxy features; make them with `subquad features`"):
        load_proxy(tmp_path / "m.safetensors")


def test_features_of_other_images_than_the_networks_are_said():
    def config(**options):
        return create_model("hamgan_baby", **{"size": 32, "width": 1, "num_classes": 2, **options}).config

    proxy = Proxy(ProxyFeatures(CONFIG))
    check_features(proxy, config(in_channels=1))
    check_features(proxy, config(in_channels=1, class_names=("a", "b")))
    for options, message in (
        ({}, r"32 x 32 images with 1 channel\(s\), the network's are 32 x 32 with 3; make features"),
        ({"in_channels": 1, "size": 64}, "the network's are 64 x 64 with 1"),
        ({"in_channels": 1, "num_classes": 3}, r"of 2 classes \(a, b\), the network has 3; make"),
        ({"in_channels": 1, "class_names": ("b", "a")}, r"the network has 2 \(b, a\)"),
    ):
        with pytest.raises(ValueError, match=message):
            check_features(proxy, config(**options))


class Mean(nn.Module):
    """A "generator" whose images are its label's."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, latent, labels):
        images = latent.new_zeros(len(latent), 1, 32, 32) + labels.view(-1, 1, 1, 1) * 0.5
        return self.gain * (images + latent[:, :1, None, None].tanh() * 0.1)


def scored(protocol, generator=None):
    config = create_model("hamgan_baby", size=32, width=1, num_classes=2, in_channels=1, latent=4).config
    generator = generator or Mean(config)
    torch.manual_seed(3)
    network = Proxy(ProxyFeatures(CONFIG), "test")
    real = list((torch.rand(40, 1, 32, 32) * 2 - 1).split(16))
    return score_generator(generator, network, real, reversed(real), protocol, batch_size=8)


def test_scores_tell_how_they_were_measured():
    protocol = GenerationProtocol(samples=30, allow_small=True, seed=1)
    scores = scored(protocol)
    assert (scores.distance_name, scores.generated, scores.real) == ("proxy-FID", 30, 30)
    assert scores.distance > scores.real_distance >= 0
    assert scores.inception_score is None and 0 <= scores.class_accuracy <= 1
    told = scores.to_json()
    assert told["protocol"] == dataclasses.asdict(protocol) and told["features"] == "test"
    assert told["resize"] == "none: 32 x 32"
    again = scored(protocol)
    assert again.distance == pytest.approx(scores.distance, rel=1e-9)


def test_as_many_other_images_are_compared_as_are_generated():
    config = create_model("hamgan_baby", size=32, width=1, num_classes=2, in_channels=1, latent=4).config
    network = Proxy(ProxyFeatures(CONFIG))
    real, others = (list((torch.rand(n, 1, 32, 32) * 2 - 1).split(16)) for n in (20, 40))
    protocol = GenerationProtocol(samples=30, allow_small=True)
    scores = score_generator(Mean(config), network, real, others, protocol)
    thirty = count_features(network, [torch.cat(others)[:30]])
    expected = frechet_distance(thirty, count_features(network, real))
    assert scores.real == 20 and scores.real_distance == pytest.approx(expected, rel=1e-5)


def test_few_samples_and_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="500 generated images are too few .*--allow_small"):
        GenerationProtocol(samples=500)
    with pytest.raises(ValueError, match="10 splits needs two samples at least, got 5"):
        GenerationProtocol(samples=5, splits=10, allow_small=True)
    with pytest.raises(ValueError, match="truncation must be positive"):
        GenerationProtocol(truncation=0.0)
    with pytest.raises(ValueError, match="40 real images are too few"):
        scored(GenerationProtocol())
    loud = Mean(create_model("hamgan_baby", size=32, width=1, num_classes=2, in_channels=1, latent=4).config)
    loud.gain.data *= 5
    with pytest.raises(ValueError, match=r"images must be in -1..1, got values from"):
        scored(GenerationProtocol(samples=30, allow_small=True), loud)
    assert (PROTOCOLS["hamgan"].samples, PROTOCOLS["hamgan"].splits) == (50_176, 1)


def test_counting_stops_at_the_most():
    network = Proxy(ProxyFeatures(CONFIG))
    batches = [torch.zeros(8, 1, 32, 32)] * 4
    assert count_features(network, batches, most=20).count == 20
    assert count_features(network, batches).count == 32


@pytest.mark.slow
def test_inception_of_torch_fidelity_from_a_file(tmp_path, monkeypatch):
    """With random weights: the file is read, grey becomes colour, the features are torch-fidelity's."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *a, **k: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    pixels = torch.randint(256, (2, 1, 32, 32), dtype=torch.uint8)
    inception = Inception(tmp_path / "inception.pth")
    features, logits = inception(pixels)
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)
    assert torch.equal(features, network(pixels.expand(-1, 3, -1, -1))[0])
    assert (inception.distance_name, inception.class_names) == ("FID", ())


def test_damaged_features_are_one_sentence(tmp_path):
    from checkpoint_files import header_and_data, write_header

    network = ProxyFeatures(CONFIG)
    save_proxy(network, path := tmp_path / "f.safetensors")
    header, data = header_and_data(path)
    for text in ("null", "{", "[" * 10_000, '{"side": 32}',
                 '{"class_names": ["a"], "channels": 10e9, "side": 1}',
                 '{"class_names": ["a", "b"], "channels": 1, "side": 32, "width": 1000000}'):  # fmt: skip
        header["__metadata__"] = {"subquad_proxy_features": text}
        with pytest.raises(ValueError, match=r"f.safetensors does not fit its own description"):
            load_proxy(write_header(path, header, data))
    with torch.no_grad():
        network.classifier.bias[0] = float("nan")
    save_proxy(network, path)
    with pytest.raises(ValueError, match=r"classifier.bias in .*f.safetensors holds NaN"):
        load_proxy(path)

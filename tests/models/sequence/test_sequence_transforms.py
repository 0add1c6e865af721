"""Sequence networks survive what PyTorch's users do to networks."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from subquad import create_model

SMALL = {"length": 16, "dim": 8, "hidden": 8, "pooling": "mean"}


@pytest.mark.parametrize("vocab_size", [20, None])
def test_gradients_of_each_sample(vocab_size):
    network = create_model("paramixer_text", vocab_size=vocab_size, **SMALL).double().eval()
    inputs = torch.randint(20, (3, 9)) if vocab_size else torch.rand(3, 9, 1, dtype=torch.float64)
    lengths = torch.tensor([9, 4, 2])
    weights = dict(network.named_parameters())

    def loss(weights, sample, length):
        return functional_call(network, weights, (sample[None],), {"lengths": length[None]}).square().sum()

    together = vmap(grad(loss), in_dims=(None, 0, 0))(weights, inputs, lengths)
    for i, length in enumerate(lengths):
        alone = network(inputs[i : i + 1, :length]).square().sum()
        expected = torch.autograd.grad(alone, list(weights.values()), materialize_grads=True)
        torch.testing.assert_close([together[name][i] for name in weights], list(expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
@pytest.mark.parametrize("mixer", ["paramixer", "none", "transformer", "chordmixer"])
@pytest.mark.parametrize("vocab_size", [20, None])
def test_dynamic_quantisation(vocab_size, mixer, dtype):
    network = create_model("paramixer_text", vocab_size=vocab_size, context=mixer, **SMALL).eval()
    inputs = torch.randint(20, (2, 9)) if vocab_size else torch.rand(2, 9, 1, dtype=torch.float64)
    small = torch.ao.quantization.quantize_dynamic(network, {torch.nn.Linear}, dtype=dtype)
    lengths = torch.tensor([9, 5])
    actual, expected = small(inputs, lengths=lengths), network(inputs, lengths=lengths)
    assert (actual - expected).abs().max() <= 0.1 * expected.abs().max()

"""Sequence networks of rotations: sizes, lengths, what their options mean, files."""

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from subquad import create_model, load_model, save_model
from subquad.models import list_models, model_config
from subquad.models.cost import multiply_adds, parameters

NAMES = [name for name in list_models() if name.startswith("chordmixer")]


def small(**options):
    settings = {"vocab_size": 7, "num_classes": 3, "length": 21, "dim": 13, "hidden": 6, "dropout": 0.0}
    return create_model("chordmixer", **settings | options)


def test_the_named_ones_have_the_published_widths():
    assert [
        *(f"chordmixer_{task}" for task in ("listops", "text", "image", "pathfinder")),
        "chordmixer",
    ] == NAMES
    widths = {"listops": (8, 88), "text": (16, 96), "image": (28, 420), "pathfinder": (24, 320)}
    for task, (track, hidden) in widths.items():
        config = model_config(f"chordmixer_{task}")
        assert (config.dim / (config.factor_count + 1), config.hidden) == (track, hidden)
        assert config.sources == ("Khalitov et al., ICLR 2023",)


def test_parameters_and_multiply_adds_by_hand():
    d, h, m, n = 110, 96, 10, 1024
    assert parameters("chordmixer") == 256 * d + m * (2 * d * h + h + 3 * d) + 2 * d + 2 * d + 2
    assert multiply_adds("chordmixer") == n * m * 2 * d * h + 2 * d  # a rotation multiplies nothing


@pytest.mark.parametrize("pooling", ["flatten", "cls", "mean"])
@pytest.mark.parametrize("options", [{}, {"norm": False}, {"positions": True, "depth": 2}])
def test_a_batch_of_mixed_lengths_gives_what_its_samples_give_alone(pooling, options):
    network = small(pooling=pooling, **options).double().eval()
    assert network.config.mixes_lengths
    lengths, tokens = torch.tensor([21, 1, 13, 2]), torch.randint(7, (4, 21))
    together = network(tokens, lengths=lengths)
    for sample, length in enumerate(lengths.tolist()):
        alone = network(tokens[sample : sample + 1, :length])
        torch.testing.assert_close(together[sample : sample + 1], alone, rtol=1e-10, atol=1e-12)


def test_the_length_decides_how_far_the_readout_sees():
    tokens = torch.randint(7, (1, 21))
    other = tokens.clone()
    other[0, 20] = (other[0, 20] + 1) % 7
    assert not torch.equal(small(pooling="cls")(tokens), small(pooling="cls")(other))
    for factors, sees in {5: True, 2: False}.items():  # at a distance of 20, two ones in base 2, of 16 and 4
        network = small(pooling="cls", factors=factors).eval()
        assert torch.equal(network(tokens), network(other)) is not sees


def test_dropout_is_inside_the_blocks():
    network = small(block_dropout=0.5)
    assert network.block_dropout.p == 0 and not network.config.skips
    rates = [module.p for module in network.blocks.modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.5] * 10  # two of each of 5 MLPs


def test_too_few_channels_for_the_tracks_get_a_sentence():
    with pytest.raises(ValueError, match="5 blocks have 6 tracks of one channel at least, got dim=5"):
        small(dim=5)


def test_a_checkpoint_keeps_it(tmp_path):
    network, tokens = small().eval(), torch.randint(7, (2, 21))
    save_model(network, tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors").eval()
    assert again.config == network.config and torch.equal(again(tokens), network(tokens))


def test_a_graph_for_any_batch_and_length():
    network = small(length=5).eval()
    anything = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    shapes = {"inputs": anything, "lengths": {0: Dim.DYNAMIC}}
    with torch.no_grad():
        example = torch.randint(7, (2, 13)), {"lengths": torch.tensor([13, 4])}
        program = export(network, example[:1], example[1], dynamic_shapes=shapes).module()
        for lengths in ([2], [5, 1, 9], [20, 21]):
            tokens, counts = torch.randint(7, (len(lengths), max(lengths))), torch.tensor(lengths)
            torch.testing.assert_close(program(tokens, lengths=counts), network(tokens, lengths=counts))

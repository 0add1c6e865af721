"""Networks of text: nothing from the future, and the same logits however a text is cut."""

import math
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load, save

from subquad import load_model, save_model
from subquad.models import LanguageConfig, create_model, model_config
from toy_language import toy  # noqa: F401

PATTERNS = [("toy",), ("paramixer", "ham"), ("attention", "convolution"), ("delta", "linear")]


@pytest.fixture(params=PATTERNS, ids=" ".join)
def network(request, toy):  # noqa: F811
    torch.manual_seed(0)
    config = LanguageConfig(
        vocab_size=11, tokens="numbers", dim=16, depth=3, pattern=request.param, heads=2, paramixer_heads=4,
        context=16, chunk=4,
    )  # fmt: skip
    return config.build().double().eval()


def tokens_of(batch, n, seed=1):
    return torch.randint(11, (batch, n), generator=torch.Generator().manual_seed(seed))


def test_no_token_sees_a_later_one(network):
    tokens = tokens_of(2, 13)
    with torch.no_grad():
        before = network(tokens)
        tokens[:, 7:] = (tokens[:, 7:] + 1) % 11
        after = network(tokens)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])
    assert torch.equal(before[1], network(tokens_of(2, 13))[1])


@torch.no_grad()
def test_step_by_step_is_all_at_once_is_any_split(network):
    tokens = tokens_of(2, 21)
    whole = network(tokens)
    for first in (1, 4, 9):
        logits, cache = network(tokens[:, :first], return_cache=True)
        torch.testing.assert_close(logits, whole[:, :first], rtol=0, atol=1e-12)
        middle, cache = network(tokens[:, first : first + 5], cache, True)
        torch.testing.assert_close(middle, whole[:, first : first + 5], rtol=0, atol=1e-12)
        for place in range(first + 5, 21):
            logits, cache = network.step(tokens[:, place], cache)
            torch.testing.assert_close(logits, whole[:, place], rtol=0, atol=1e-12)
    cache = network.init_cache(2)
    for place in range(21):
        logits, cache = network.step(tokens[:, place], cache)
        torch.testing.assert_close(logits, whole[:, place], rtol=0, atol=1e-12)


@torch.no_grad()
def test_samples_of_different_lengths_are_read_as_if_alone(network):
    tokens, lengths = tokens_of(3, 9), torch.tensor([9, 1, 4])
    tokens[1, 1:], tokens[2, 4:] = 99, -1  # padding may hold anything
    together, cache = network.prefill(tokens, lengths=lengths)
    together_next, _ = network.step(torch.tensor([3, 4, 5]), cache)
    for sample, length in enumerate(lengths.tolist()):
        alone, cache = network.prefill(tokens[sample : sample + 1, :length])
        torch.testing.assert_close(together[sample], alone[0], rtol=0, atol=1e-12)
        after, _ = network.step(torch.tensor([3 + sample]), cache)
        torch.testing.assert_close(together_next[sample], after[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_packed_documents_do_not_see_each_other(network):
    tokens = tokens_of(2, 10)
    segments = torch.tensor([[0] * 4 + [1] * 6, [5] * 1 + [2] * 2 + [9] * 7])
    packed = network(tokens, segment_ids=segments)
    for row, parts in enumerate([(0, 4, 10), (0, 1, 3, 10)]):
        for start, end in pairwise(parts):
            alone = network(tokens[row : row + 1, start:end])
            torch.testing.assert_close(packed[row, start:end], alone[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_cache_is_flat_and_can_be_a_file(network):
    tokens = tokens_of(2, 8)
    _, cache = network.prefill(tokens[:, :5])
    assert all(name.startswith("layers.") and len(tensor) == 2 for name, tensor in cache.items())
    again = load(save({name: tensor.contiguous() for name, tensor in cache.items()}))
    assert torch.equal(network(tokens[:, 5:], again), network(tokens[:, 5:], cache))


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("tied", [True, False])
def test_it_starts_without_a_prejudice(tied):
    """The loss of a network that knows nothing, in a shallow and in a deep one, the same for all tokens.

    Logits of deviation s cost s^2 / 2 more than log(257); they are near 1 with a readout of its own.
    """
    for depth in (1, 24):
        network = model_config("ham_lm_tiny", pattern=("toy",), depth=depth, tied=tied).build()
        inputs, targets = torch.randint(257, (2, 4, 64))
        loss = torch.nn.functional.cross_entropy(network(inputs).flatten(0, 1), targets.flatten())
        more = 0.0 if tied else 0.5
        assert abs(loss.item() - math.log(257) - more) < 0.15
        told = network(inputs).log_softmax(2).gather(2, inputs.unsqueeze(2)).mean()  # the same token again
        assert abs(told.item() + math.log(257) + more) < (1.0 if tied else 0.15)
        assert (network.readout is None) == tied


@pytest.mark.usefixtures("toy")
def test_layers_see_their_tokens_and_add_less_the_more_they_are():
    seen = []
    for depth in (2, 32):
        network = model_config("ham_lm_tiny", pattern=("toy",), depth=depth).build()
        network.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].std().item()))
        network(torch.randint(257, (4, 64)))
        narrow = network.layers[0].mlp[2]
        for _ in range(2):  # as it was built, and as it is reset
            expected = 1 / math.sqrt(3 * narrow.in_features * 2 * depth)
            assert narrow.weight.std().item() == pytest.approx(expected, rel=0.05)
            narrow.reset_parameters()
    assert seen == pytest.approx([1, 1], rel=0.05)


def test_wrong_tokens_are_named(network):
    for tokens, said in {
        (2, 3, 4): r"\(batch, n\).*\(2, 3, 4\)",
        (2, 0): r"n from 1 on.*\(2, 0\)",
    }.items():
        with pytest.raises(ValueError, match=said):
            network(torch.zeros(tokens, dtype=torch.int64))
    with pytest.raises(ValueError, match="hold 11, but the network knows tokens 0 to 10"):
        network(torch.tensor([[3, 11]]))
    with pytest.raises(ValueError, match=r"tokens are integers, got torch.float32"):
        network(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"\(batch,\), got \(2, 1\)"):
        network.step(torch.zeros(2, 1, dtype=torch.int64), network.init_cache(2))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": ("ham", "paramixr")}, "'paramixr', which is no mixer. Did you mean 'paramixer'"),
        ({"pattern": ()}, "pattern must name a mixer"),
        ({"heads": 3}, "heads must divide dim = 128, got 3"),
        ({"num_classes": 5}, "num_classes is the number of tokens, 257, got 5"),
        ({"vocab_size": 300, "tokens": "bytes"}, "257 tokens, got vocab_size=300"),
        ({"vocab_size": 300, "tokens": "tokenizer"}, "go together, got tokens='tokenizer' and ''"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be above 0"),
        ({"mlp_ratio": 1e9}, "mlp_ratio must be above 0"),
        ({"factors": 40}, "factors must be at most 26, got 40"),
        ({"start": "random"}, "start must be one of graded"),
        ({"contxt": 3}, "no option 'contxt'. Did you mean 'context'"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        model_config("ham_lm_tiny").replaced(**options)


def test_another_vocabulary_is_of_other_tokens():
    config = model_config("ham_lm_tiny", vocab_size=64)
    assert (config.num_classes, config.tokens, config.end) == (64, "numbers", 63)
    assert config.replaced(dim=64).tokens == "numbers"
    assert model_config("ham_lm_tiny").replaced(vocab_size=257).tokens == "bytes"
    assert config.replaced(vocab_size=5, tokens="tokenizer", tokenizer="{}").tokenizer == "{}"


def test_the_context_decides_the_factors_and_the_pattern_repeats():
    config = model_config("ham_lm_tiny", context=1000, depth=5, pattern=("paramixer", "ham", "ham"))
    assert config.factor_count == 10
    assert config.replaced(factors=4).factor_count == 4
    assert config.mixers == ("paramixer", "ham", "ham", "paramixer", "ham")


@pytest.mark.usefixtures("toy")
def test_a_checkpoint_brings_its_tokenizer(tmp_path):
    network = create_model(
        "ham_lm_tiny", pattern=("toy",), vocab_size=9, tokens="tokenizer", tokenizer='{"some": "json"}'
    )
    save_model(network, tmp_path / "n.safetensors")
    again = load_model(tmp_path / "n.safetensors")
    assert again.config == network.config
    tokens = tokens_of(1, 5) % 9
    assert torch.equal(again(tokens), network.eval()(tokens))


@pytest.mark.usefixtures("toy")
def test_a_prompt_has_a_token():
    network = model_config("ham_lm_tiny", pattern=("toy",)).build()
    with pytest.raises(ValueError, match=r"each sample needs a token, got lengths \[0, 5\]; leave it out"):
        network.prefill(torch.zeros(2, 5, dtype=torch.long), lengths=torch.tensor([0, 5]))


def test_heads_that_nobody_has_need_not_fit():
    assert (
        LanguageConfig(dim=24, heads=4, pattern=("attention",)).dim == 24
    )  # 16 of a Paramixer do not divide it
    assert LanguageConfig(dim=32, heads=5, pattern=("paramixer", "convolution")).dim == 32
    with pytest.raises(ValueError, match="paramixer_heads must divide dim = 24, got 16"):
        LanguageConfig(dim=24, heads=4, pattern=("attention", "paramixer"))

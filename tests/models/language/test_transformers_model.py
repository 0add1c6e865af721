"""Networks of text in `transformers`: the same logits, the same text, files that come back."""

import pytest
import torch

pytest.importorskip("transformers")
from transformers import AutoConfig, AutoModelForCausalLM

from subquad.models import LanguageConfig
from subquad.models.language.transformers_model import HamLMConfig, HamLMForCausalLM
from toy_language import toy  # noqa: F401

pytestmark = pytest.mark.usefixtures("toy")
PATTERNS = [("toy",), ("paramixer", "ham"), ("attention", "convolution"), ("delta", "linear")]
END = 256


@pytest.fixture(params=PATTERNS, ids=" ".join)
def network(request, toy):  # noqa: F811
    torch.manual_seed(0)
    network = LanguageConfig(
        dim=16, depth=2, pattern=request.param, heads=2, paramixer_heads=4, factors=3, chunk=4, tied=False
    ).build()
    with torch.no_grad():
        network.readout.weight.mul_(20)  # texts of many tokens, none of which ends the document
        network.readout.weight[END].zero_()
    return network.eval()


@torch.no_grad()
def greedy(network, prompt, count):
    logits, cache = network.prefill(torch.tensor([prompt]))
    found = []
    for _ in range(count):
        found.append(int(logits.argmax()))
        logits, cache = network.step(torch.tensor(found[-1:]), cache)
    return found


def test_it_writes_what_we_write_with_the_cache(network):
    model = HamLMForCausalLM.of(network)
    prompt = [END, *b"The wall"]
    widths = []
    model.network.register_forward_pre_hook(lambda module, inputs: widths.append(inputs[0].shape[1]))
    ours = greedy(network, prompt, 12)
    theirs = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)
    assert theirs[0, len(prompt) :].tolist() == ours
    assert widths == [len(prompt), *[1] * 11]
    slow = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, use_cache=False)
    assert torch.equal(slow, theirs)
    sampled = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=True, top_k=5)
    assert sampled.shape == theirs.shape


def test_prompts_of_different_lengths_are_padded_on_either_side(network):
    model = HamLMForCausalLM.of(network)
    prompts = [[END, *b"The wall"], [END, *b"A"]]
    padded = torch.tensor([prompts[0], [9] * 7 + prompts[1]])
    mask = torch.tensor([[1] * 9, [0] * 7 + [1] * 2])
    written = model.generate(padded, attention_mask=mask, max_new_tokens=6, do_sample=False)
    for row, prompt in zip(written, prompts, strict=True):
        assert row[9:].tolist() == greedy(network, prompt, 6)
    with torch.no_grad():
        right = model(padded.flip(1), attention_mask=mask.flip(1)).logits
        alone = network(padded.flip(1)[1:, :2])
    torch.testing.assert_close(right[1, :2], alone[0])
    with pytest.raises(ValueError, match="padding between tokens"):
        model(padded, attention_mask=torch.tensor([[1] * 9, [1, 0, 1, 0, 0, 0, 0, 0, 1]]))
    with pytest.raises(ValueError, match=r"must be \(2, 9\) as input_ids, got \(2, 3\)"):
        model(padded, attention_mask=mask[:, :3])


@pytest.mark.parametrize("use_cache", [True, False])
def test_what_is_padded_on_the_right_is_gone_on_with_from_its_last_token(network, use_cache):
    """`generate` takes the last logits, and writes behind the padding."""
    model = HamLMForCausalLM.of(network)
    prompts = [[END, *b"The wall"], [END, *b"A"], [END, *b"It was"]]
    padded = torch.tensor([[*prompt, *[9] * (9 - len(prompt))] for prompt in prompts])
    mask = torch.tensor([[1] * len(prompt) + [0] * (9 - len(prompt)) for prompt in prompts])
    written = model.generate(
        padded, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=use_cache
    )
    for row, prompt in zip(written, prompts, strict=True):
        assert row[9:].tolist() == greedy(network, prompt, 6)


def test_a_state_is_kept_where_it_is_used(network):
    model, tokens = HamLMForCausalLM.of(network), torch.randint(257, (2, 9))
    with torch.no_grad():
        assert model(tokens, use_cache=True).state is not None
        assert model(tokens).state is None
    assert model.train()(tokens, use_cache=True).state is None  # nobody goes on while it trains


def test_it_is_saved_and_loaded_by_the_auto_classes(network, tmp_path):
    model = HamLMForCausalLM.of(network)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(again, HamLMForCausalLM)
    assert again.network.config == network.config == AutoConfig.from_pretrained(tmp_path).language
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    tokens = torch.randint(257, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(again(tokens).logits, network(tokens))  # weights lie elsewhere in memory
    assert (again.config.vocab_size, again.config.eos_token_id) == (257, END)


def test_labels_give_the_loss_of_the_learner(network):
    model = HamLMForCausalLM.of(network).train()
    tokens = torch.randint(257, (2, 9))
    loss = model(tokens, labels=tokens).loss
    expected = torch.nn.functional.cross_entropy(
        network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    labels = tokens.clone()
    labels[:, 3:] = -100
    some = model(tokens, labels=labels, return_dict=False)[0]
    torch.testing.assert_close(some, model(tokens[:, :3], labels=tokens[:, :3]).loss)


def test_a_file_that_asks_for_nonsense_is_refused():
    with pytest.raises(ValueError, match="no option 'layers'; update subquad"):
        HamLMConfig({"layers": 3})
    with pytest.raises(ValueError, match="heads must divide dim"):
        HamLMConfig({"heads": 3})

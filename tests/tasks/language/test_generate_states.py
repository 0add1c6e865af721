"""What `subquad generate` prints and what its states hold, with the choices written down beforehand."""

import json
import os
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from subquad import load_model, save_model
from subquad.cli.main import main
from subquad.models import LanguageConfig
from subquad.tasks.language.writing import Sampling, read
from toy_language import toy  # noqa: F401

pytestmark = pytest.mark.usefixtures("toy")
END = 256


@pytest.fixture
def saved(tmp_path, toy):  # noqa: F811
    def save(pattern=("toy",), **options):
        torch.manual_seed(3)
        save_model(LanguageConfig(dim=16, pattern=pattern, **options).build(), tmp_path / "n.safetensors")
        return tmp_path / "n.safetensors"

    return save


@pytest.fixture
def choices(monkeypatch):
    """Say which tokens will be chosen: a list for each sample."""

    def write_down(*samples):
        steps = iter(zip(*samples, strict=True))
        monkeypatch.setattr(Sampling, "choose", lambda self, logits, chance: torch.tensor(next(steps)))

    return write_down


@pytest.fixture
def printed(call):
    def run(*arguments):
        result = call("generate", *arguments)
        assert result.code == 0, result.err
        return result.out.removesuffix("\n")

    return run


def words(decoder, spaces, vocab):
    """Options of a network of whole words whose space the decoder makes, of all but the first."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(vocab)}, vocab[0]))
    tokenizer.pre_tokenizer, tokenizer.decoder = spaces, decoder
    return {"vocab_size": len(vocab) + 1, "tokens": "tokenizer", "tokenizer": tokenizer.to_str()}


def test_the_space_after_a_prompt_is_printed(saved, choices, printed, tmp_path):
    pytest.importorskip("tokenizers")
    from tokenizers import decoders, pre_tokenizers

    plain = ["?", "the", "cat", "and", "red"]
    marked = ["?", *(f"▁{word}" for word in plain[1:])]
    spaced = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    for options in (
        words(decoders.Metaspace(), pre_tokenizers.Metaspace(), marked),
        words(spaced, pre_tokenizers.Metaspace(), marked),
        words(decoders.WordPiece(), pre_tokenizers.Whitespace(), plain),
    ):
        weights, state = saved(**options), tmp_path / "s"
        choices([3, 4])
        assert printed(weights, "--prompt=the cat", "--tokens=2") == "the cat and red"
        choices([3, 4, 3])
        state.unlink(missing_ok=True)
        assert printed(weights, "--prompt=the cat", "--tokens=0", f"--state={state}") == "the cat"
        assert printed(weights, f"--continue_from={state}", "--tokens=2") == " and red"
        assert printed(weights, f"--continue_from={state}", "--prompt=cat", "--tokens=1") == "cat and"


def test_half_a_character_of_few_tokens_is_gone_on_with(saved, choices, printed, tmp_path):
    """The byte that waits is 195, and the tokenizer has three tokens."""
    pytest.importorskip("tokenizers")
    from tokenizers import Tokenizer, decoders, models

    tokenizer = Tokenizer(models.BPE({"a": 0, "Ã": 1, "©": 2}, []))
    tokenizer.decoder = decoders.ByteLevel()
    weights = saved(vocab_size=4, tokens="tokenizer", tokenizer=tokenizer.to_str())
    choices([0, 1, 2])
    assert printed(weights, "--tokens=2", f"--state={tmp_path / 's'}") == "a"
    assert printed(weights, "--tokens=1", f"--continue_from={tmp_path / 's'}") == "é"


def test_a_state_holds_what_was_printed_and_nothing_else(saved, choices, printed, tmp_path):
    """Of a text that has ended before others, it holds more ends."""
    weights = saved()
    choices([*b"a", END, *b"xyz"], [*b"bcde", *b"f"])
    shown = printed(weights, "--prompt=A", "--tokens=5", "--batch=2", f"--state={tmp_path / 's'}")
    assert shown == "--- 1 of 2\nAa\n--- 2 of 2\nAbcdef"
    state, network = load_file(tmp_path / "s"), load_model(weights)
    for row, tokens in enumerate(([END, *b"Aa", END, END, END, END], [END, *b"Abcdef"])):
        alone = read(network, torch.tensor(tokens))
        torch.testing.assert_close(state["logits"][row], alone.logits[0])
        for name, tensor in alone.cache.items():
            torch.testing.assert_close(state[f"cache.{name}"][row], tensor[0])


def test_a_word_that_stops_leaves_no_state(saved, complains, tmp_path):
    asked = "--stop=cat", f"--state={tmp_path / 's'}"
    complains("generate", saved(), *asked, quoting=["--stop 'cat'", "--state", "leave one of the two out"])
    assert not (tmp_path / "s").exists()


def test_another_seed_goes_on_otherwise(saved, printed, tmp_path):
    weights = saved()
    for seed in (4, 5):
        printed(weights, "--prompt=The", "--tokens=0", f"--seed={seed}", f"--state={tmp_path / str(seed)}")
    go_on = f"--continue_from={tmp_path / '4'}", "--tokens=9"
    other = printed(weights, f"--continue_from={tmp_path / '5'}", "--tokens=9")
    assert printed(weights, *go_on, "--seed=5") == other != printed(weights, *go_on)


def test_damaged_states_of_attention_get_one_sentence(saved, printed, call, tmp_path):
    weights, state, bad = saved(("attention", "ham")), tmp_path / "s", tmp_path / "bad"
    printed(weights, "--prompt=The wall", "--tokens=3", f"--state={state}")
    with safe_open(state, "pt") as file:
        told = file.metadata()
    tensors = load_file(state)
    layers = [name for name in tensors if name.endswith(".t")]
    assert len(layers) == 2
    rows, tail = tensors["cache.layers.0.key"], tensors["cache.layers.0.tail"]
    wrong = [
        (tensors | damaged, told["subquad_text"])
        for damaged in (
            {name: torch.tensor([-50]) for name in layers},
            {name: torch.tensor([10**12]) for name in layers},
            {layers[0]: tensors[layers[0]] - 1},
            {"cache.layers.0.key": torch.cat([rows, rows], dim=2)},
            {f"cache.layers.0.{name}": rows[:, :, :7].clone() for name in ("key", "value")},
            {"cache.layers.0.tail": tail[:, :2].clone()},
        )
    ]
    for waiting in ({"": 1}, 3, "a", [3], [{"": 1}], [["a"]], [[-1]], [[300]], [[200, 200]], [[], []]):
        wrong.append((tensors, json.dumps(json.loads(told["subquad_text"]) | {"waiting": waiting})))
    for damaged, text in wrong:
        save_file(damaged, bad, {"subquad_text": text})
        result = call("generate", weights, f"--continue_from={bad}", "--tokens=2")
        assert result.code == 2 and "bad is damaged" in result.err.splitlines()[-1], (damaged, text)
    save_file(tensors, bad, told)
    assert call("generate", weights, f"--continue_from={bad}", "--tokens=2").code == 0


def test_a_prompt_that_is_not_utf8(saved, call, printed, tmp_path):
    pytest.importorskip("tokenizers")
    from tokenizers import decoders, pre_tokenizers

    (tmp_path / "p.txt").write_bytes(b"caf\xe9")
    assert printed(saved(), "--prompt=caf\udce9", "--tokens=0") == "caf\N{REPLACEMENT CHARACTER}"
    weights = saved(**words(decoders.Metaspace(), pre_tokenizers.Metaspace(), ["?", "▁the"]))
    for asked, where in (
        ("--prompt=caf\udce9", "--prompt"),
        (f"--prompt_file={tmp_path / 'p.txt'}", "p.txt"),
    ):
        result = call("generate", weights, asked)
        assert result.code == 2
        assert f"{where} is not UTF-8, it holds the byte 0xe9" in result.err.splitlines()[-1]


def test_it_ends_quietly_where_nobody_reads_any_more(saved, monkeypatch, capfd):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert main(["generate", str(saved()), "--tokens=3"]) == 0
        nobody.write("what Python has left at its end")
    assert "pipe" not in capfd.readouterr().err.lower()

"""`subquad generate` of text: the same text for a seed, however it is interrupted; what ends it."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from subquad import save_model
from subquad.models import LanguageConfig, create_model
from subquad.tasks.language.commands.generate import Sample
from subquad.tasks.language.data import ByteTokens
from subquad.tasks.language.writing import Place, Sampling, Until, read, write
from toy_language import toy  # noqa: F401

pytestmark = pytest.mark.usefixtures("toy")
END = 256


@pytest.fixture
def weights(tmp_path, toy):  # noqa: F811
    torch.manual_seed(3)
    network = LanguageConfig(dim=16, pattern=("toy",)).build()
    with torch.no_grad():
        network.embedding.weight.mul_(20)
        network.embedding.weight[END] = 0  # it is not to end by itself
    save_model(network, tmp_path / "n.safetensors")
    return tmp_path / "n.safetensors"


@pytest.fixture
def text_of(weights, call):
    def run(*arguments):
        result = call("generate", weights, *arguments)
        assert result.code == 0, result.err
        return result.out.removesuffix("\n")

    return run


def test_a_seed_gives_the_same_text_whatever_else_is_asked_for(text_of):
    first = text_of("--prompt=The", "--tokens=30", "--seed=5")
    assert first.startswith("The") and len(first) > 10
    assert text_of("--prompt=The", "--tokens=30", "--seed=5") == first
    assert text_of("--prompt=The", "--tokens=30", "--seed=6") != first
    assert (
        text_of("--prompt=The", "--tokens=10", "--seed=5")
        == first[: len(text_of("--prompt=The", "--tokens=10", "--seed=5"))]
    )
    several = text_of("--prompt=The", "--tokens=30", "--seed=5", "--batch=3").split("--- ")
    assert several[1] == f"1 of 3\n{first}\n"
    assert len({*several[1:]}) == 3


def test_zero_temperature_takes_the_most_probable(text_of, weights):
    from subquad import load_model

    network, tokens = load_model(weights), [END, *b"The"]
    for _ in range(12):
        tokens.append(int(network(torch.tensor([tokens]))[0, -1].argmax()))
        if tokens[-1] == END:
            tokens.pop()
            break
    expected = bytes(tokens[1:]).decode("utf-8", "replace")
    greedy = text_of("--prompt=The", "--tokens=12", "--temperature=0")
    assert greedy == expected[: len(greedy)] and len(greedy) >= len(expected) - 1
    assert text_of("--prompt=The", "--tokens=12", "--top_k=1", "--seed=9") == greedy
    assert text_of("--prompt=The", "--tokens=12", "--top_p=1e-9") == greedy
    assert text_of("--prompt=The", "--tokens=12", "--temperature=1e-9") == greedy


@pytest.mark.parametrize("first", [0, 1, 7, 13])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_state_goes_on_as_if_nothing_had_been(text_of, tmp_path, first, batch):
    """Also amid a character: random bytes hardly ever end with a whole one."""
    several = [f"--batch={batch}", "--seed=4", "--top_p=0.9"]
    whole = text_of("--prompt=Thé", "--tokens=20", *several)
    begun = text_of("--prompt=Thé", f"--tokens={first}", f"--state={tmp_path / 's'}", *several)
    rest = text_of(f"--tokens={20 - first}", f"--continue_from={tmp_path / 's'}", "--top_p=0.9")
    if batch == 1:
        assert begun + rest == whole
    else:
        parts = [text.split("\n--- ") for text in (whole, begun, rest)]
        for all_of_it, one, other in zip(*parts, strict=True):
            assert one + other.partition("\n")[2] == all_of_it


def test_a_prompt_in_parts_is_the_prompt(text_of, tmp_path):
    whole = text_of("--prompt=The wall is green", "--tokens=9", "--seed=2")
    text_of("--prompt=The wall", "--tokens=0", "--seed=2", f"--state={tmp_path / 's'}")
    rest = text_of("--prompt= is green", "--tokens=9", f"--continue_from={tmp_path / 's'}")
    assert "The wall" + rest == whole
    (tmp_path / "p.txt").write_text("The wall is")
    file = text_of(f"--prompt_file={tmp_path / 'p.txt'}", "--prompt= green", "--tokens=9", "--seed=2")
    assert "The wall is" + file == whole


def test_it_stops_before_a_word(text_of):
    whole = text_of("--prompt=The", "--tokens=40", "--seed=5")
    stop = whole[12:15]
    assert (
        text_of("--prompt=The", "--tokens=40", "--seed=5", f"--stop={stop}") == whole[: whole.index(stop, 3)]
    )


def test_a_document_ends_and_nothing_comes_after_it():
    sample = Sample(ByteTokens().decoder(), "stop", END)
    assert [sample.feed(token) for token in (*b"ab", 0xC3)] == ["a", "b", ""]
    assert sample.feed(END) == "\N{REPLACEMENT CHARACTER}" and sample.is_over
    assert sample.feed(ord("c")) == "" and sample.finish() == ""


class Even:
    """A network that finds all tokens alike."""

    def __init__(self):
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def parameters(self):
        return iter([self.weight])

    def prefill(self, tokens, cache=None):
        return torch.zeros(len(tokens), 50), {}

    def step(self, tokens, cache):
        return torch.zeros(len(tokens), 50), cache


def test_each_choice_has_a_chance_of_its_own():
    def texts(seed, count=40, batch=2):
        place = read(Even(), torch.tensor([1]), batch=batch, seed=seed)
        found = [write(Even(), place, Sampling()).tolist() for _ in range(count)]
        return [list(text) for text in zip(*found, strict=True)], place

    (first, second), place = texts(0)
    assert min(len({*first}), len({*second})) > 20 and first != second
    assert texts(1)[0][0] != first
    place = read(Even(), torch.tensor([2]), texts(0, 15)[1])  # a prompt in between
    assert (place.written, place.seed) == (15, 0)
    assert [int(write(Even(), place, Sampling())[0]) for _ in range(25)] == first[15:]


def test_words_that_stop_are_kept_back_until_they_are_none():
    until = Until("stop")
    assert [until.feed(part) for part in ("ab", "s", "t", "x", "ss", "to", "p now")] == [
        "ab",
        "",
        "",
        "stx",
        "s",
        "",
        "",
    ]
    assert until.is_over and until.feed("more") == "" and until.finish() == ""
    until = Until("aab")
    assert until.feed("aaa") + until.feed("c") + until.finish() == "aaac"
    until = Until("stop")
    assert (until.feed("sto"), until.finish()) == ("", "sto")
    assert Until(None).feed("stop") == "stop"


def test_choices_have_the_probabilities_that_are_asked_for():
    shares = torch.tensor([0.5, 0.2, 0.2, 0.06, 0.04]).double()
    logits, chance = shares.log().expand(10_000, 5), torch.arange(10_000).double() / 10_000

    def found(sampling, logits=logits):
        return sampling.choose(logits, chance).bincount(minlength=5).double() / 10_000

    def close(sampling, expected):
        torch.testing.assert_close(found(sampling), torch.tensor(expected).double(), rtol=0, atol=2e-4)

    close(Sampling(), shares.tolist())
    close(Sampling(top_k=2), [5 / 7, 2 / 7, 0, 0, 0])
    close(Sampling(top_p=0.45), [1, 0, 0, 0, 0])
    close(Sampling(top_p=0.6), [5 / 7, 2 / 7, 0, 0, 0])
    close(Sampling(top_k=3, top_p=0.8), [5 / 9, 2 / 9, 2 / 9, 0, 0])
    close(Sampling(temperature=0.5), (shares**2 / (shares**2).sum()).tolist())
    close(Sampling(temperature=0), [1, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="not finite, so nothing more is written"):
        Sampling().choose(torch.tensor([[0.0, torch.nan]]), torch.zeros(1))


@torch.no_grad()
def test_a_long_prompt_is_read_in_parts(monkeypatch):
    from subquad.tasks.language import writing

    network = create_model("ham_lm_tiny", pattern=("toy",)).eval()
    tokens = torch.randint(256, (40,))
    whole = read(network, tokens, batch=2)
    monkeypatch.setattr(writing, "PART", 7)
    parts = read(network, tokens, batch=2)
    torch.testing.assert_close(parts.logits, whole.logits)
    assert isinstance(parts, Place) and parts.batch == 2
    write(network, parts, Sampling(0))
    assert parts.written == 1


@pytest.mark.parametrize(
    ("arguments", "quoting"),
    [
        (["--temperature=-1"], "--temperature must be 0 or more, got -1"),
        (["--temperature=nan"], "temperature"),
        (["--top_k=0"], "--top_k must be at least 1, got 0"),
        (["--top_p=1.5"], "--top_p must be above 0 and at most 1, got 1.5"),
        (["--tokens=-1"], "--tokens must be at least 0, got -1"),
        (["--batch=0"], "--batch must be at least 1, got 0"),
        (["--batch=10000000"], "--batch may be"),
        (["--seed=-3"], "--seed must be at least 0, got -3"),
        (["--stop="], "--stop is empty"),
        (["--prmpt=x"], "--prompt"),
    ],
)
def test_wrong_options_get_one_sentence(weights, complains, arguments, quoting):
    complains("generate", weights, *arguments, quoting=quoting)


def sentence(result):
    assert result.code == 2
    return result.err.splitlines()[-1]


def test_wrong_states_get_one_sentence(weights, call, tmp_path, text_of):
    state = tmp_path / "s"
    text_of("--tokens=3", f"--state={state}")
    assert "there already" in sentence(call("generate", weights, "--tokens=3", f"--state={state}"))
    assert "would be replaced" in sentence(call("generate", weights, f"--state={weights}", "--overwrite"))
    assert "--batch 2, but" in sentence(call("generate", weights, f"--continue_from={state}", "--batch=2"))
    assert "no place in a text" in sentence(call("generate", weights, f"--continue_from={weights}"))
    assert "there is no state" in sentence(call("generate", weights, f"--continue_from={tmp_path / 'none'}"))
    from safetensors import safe_open

    with safe_open(state, "pt") as file:
        told = file.metadata()
    tensors = load_file(state)
    bad = tmp_path / "bad"
    for name, wrong in {
        "logits": torch.full((1, 257), torch.nan),
        "cache.layers.0.sum": torch.zeros(1, 3),
        "cache.layers.0.t": torch.zeros(1),
        "cache.layers.9.t": torch.zeros(1),
    }.items():
        save_file(tensors | {name: wrong}, bad, told)
        assert "bad is damaged" in sentence(call("generate", weights, f"--continue_from={bad}"))
    for text in ("[]", "{", '{"format": 1}', told["subquad_text"].replace('"written": 3', '"written": -1')):
        save_file(tensors, bad, {"subquad_text": text})
        assert "bad is damaged" in sentence(call("generate", weights, f"--continue_from={bad}"))
    save_model(create_model("ham_lm_tiny", pattern=("toy",), dim=16), weights)
    assert "other weights" in sentence(call("generate", weights, f"--continue_from={state}"))


def test_networks_without_text_are_named(call, tmp_path):
    save_model(create_model("ham_lm_tiny", pattern=("toy",), vocab_size=30), tmp_path / "numbers.safetensors")
    assert "numbers that mean no text" in sentence(call("generate", tmp_path / "numbers.safetensors"))


def test_help_is_that_of_the_network(weights, call):
    assert "--prompt" in call("generate", weights, "--help").out
    assert "--truncation" in call("generate", "--help").out


def test_what_generates_nothing_is_told(complains, tmp_path):
    """And not by the options of another task."""
    save_model(create_model("paramixer_text", dim=4, hidden=4, length=8), tmp_path / "s.safetensors")
    complains(
        "generate", tmp_path / "s.safetensors", "--prompt=a",
        quoting="is a network for sequences, which makes nothing; give one for generation or language",
    )  # fmt: skip
    (tmp_path / "broken.safetensors").write_bytes(b"\x07" * 300)
    complains("generate", tmp_path / "broken.safetensors", "--prompt=a", quoting="broken.safetensors")

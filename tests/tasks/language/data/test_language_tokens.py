"""Tokens and back: any text survives, half a character is never shown, and training is repeatable."""

import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")
from tokenizers import Tokenizer, models, pre_tokenizers

from subquad.base.limits import MIB
from subquad.tasks.language.data import (
    ByteTokens,
    LanguageOptions,
    TextTokens,
    open_texts,
    tokens_of,
    train_tokens,
)
from subquad.tasks.language.data.decoding import BYTE_OF
from subquad.tasks.language.data.tokens import in_pieces, read_tokens
from toy_language import TEXT

STRANGE = "naïve 🦔🦔 \n\t日本 \x00 ﷽ e\u0301"


def documents(*texts):
    return [np.frombuffer(text.encode(), np.uint8) for text in texts]


@pytest.fixture(scope="module")
def learned():
    return train_tokens(documents(TEXT, "äöü" * 50), 300)


def test_the_letters_of_bytes_are_those_of_tokenizers():
    assert BYTE_OF.keys() == set(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for text in ("\x00 \x7f\xa0\xadÿ", STRANGE):
        letters = "".join(piece for piece, _ in level.pre_tokenize_str(text))
        assert bytes(BYTE_OF[letter] for letter in letters) == text.encode()
    assert tokenizer is not None


def test_any_text_survives(learned):
    for tokens in (ByteTokens(), learned):
        found = [int(token) for token in tokens.encode(STRANGE.encode())]
        decoder = tokens.decoder()
        assert "".join(decoder.feed(token) for token in found) + decoder.finish() == STRANGE
        assert max(found) < tokens.end


def test_half_a_character_is_never_shown(learned):
    for tokens in (ByteTokens(), learned):
        decoder, shown = tokens.decoder(), ""
        for token in tokens.encode("🦔é".encode()):
            shown += decoder.feed(int(token))
            assert shown in ("", "🦔", "🦔é")
        decoder.feed(0xF0 if tokens.kind == "bytes" else int(tokens.encode("🦔".encode())[0]))
        again = tokens.decoder()
        again.restore(decoder.state())
        rest = list(tokens.encode("🦔".encode()))[1:]
        assert "".join(again.feed(int(token)) for token in rest) == "🦔"
        assert decoder.finish() == "\N{REPLACEMENT CHARACTER}"
        assert decoder.finish() == ""


def test_bytes_that_are_no_text_are_replaced():
    decoder = ByteTokens().decoder()
    assert (
        "".join(decoder.feed(byte) for byte in b"a\xffb\xc3(")
        == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}("
    )


def test_learning_is_repeatable_and_as_large_as_asked_for(learned):
    again = train_tokens(documents(TEXT, "äöü" * 50), 300)
    assert again.json == learned.json
    assert (learned.vocab_size, learned.end) == (300, 299)
    assert len(learned.encode(TEXT.encode())) < len(TEXT) / 1.5
    with pytest.raises(ValueError, match="no more than 2.. tokens, and vocab_size=5,000"):
        train_tokens(documents("a b ab ab"), 5000)


def test_it_learns_from_the_text_of_training_alone(tmp_path):
    (tmp_path / "train.txt").write_text(TEXT)
    (tmp_path / "val.txt").write_text("zebrafish " * 400)
    tokens, texts = open_texts(LanguageOptions(root=str(tmp_path), vocab_size=300, test_fraction=0.05))
    assert "zebra" not in tokens.json
    assert texts["val"].bytes == 4000
    assert texts["train"].tokens.dtype == np.uint16
    assert {*texts} == {"train", "val", "test"}


def test_a_tokenizer_of_another_kind_streams_what_it_decodes(tmp_path):
    """Spaces that only the first word has not: what a token says depends on the one before."""
    from tokenizers import decoders

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "▁green": 1, "▁bottle": 2, "s": 3}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    (tmp_path / "t.json").write_text(tokenizer.to_str())
    tokens = read_tokens(tmp_path / "t.json")
    assert tokens.vocab_size == 5
    assert tokens.encode(b"green bottle") == [1, 2]
    decoder = tokens.decoder()
    assert [decoder.feed(token) for token in (1, 2, 3)] == ["green", " bottle", "s"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", r"t\.json is no tokenizer of `tokenizers`"),
        (b"\xff", r"t\.json is no JSON in UTF-8"),
        (b"not json", r"t\.json is no tokenizer"),
    ],
)
def test_what_is_no_tokenizer_is_named(tmp_path, content, said):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_tokens(tmp_path / "t.json")


def test_numbers_without_tokens_are_refused():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 7}, "a"))
    with pytest.raises(ValueError, match="leaves numbers out"):
        TextTokens(tokenizer.to_str())
    assert json.loads(tokenizer.to_str())


def test_tokens_of_a_network():
    assert tokens_of("bytes", "", "n").kind == "bytes"
    with pytest.raises(ValueError, match=r"the tokens of n are numbers that mean no text"):
        tokens_of("numbers", "", "n")
    with pytest.raises(ValueError, match=r"the tokenizer of n is no tokenizer"):
        tokens_of("tokenizer", "[]", "n")


@pytest.mark.parametrize(
    "text", ["", "a", "word " * 50, "x" * 100, "ä" * 99, "x" + "ä" * 99, "a\n" * 40 + "b" * 33]
)
def test_pieces_are_whole_characters_and_lose_nothing(text):
    pieces = [piece.decode() for piece in in_pieces(text.encode(), 10)]
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 10 for piece in pieces)


def test_a_file_that_cuts_or_fills_up_texts_does_neither(learned):
    """As hubs ship them, for the networks that they were used for."""
    tokenizer = Tokenizer.from_str(learned.json)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=40)
    tokens = TextTokens(tokenizer.to_str())
    assert tokens.json == learned.json
    for text in (b"short", TEXT.encode()):
        assert tokens.encode(text) == learned.encode(text)


def test_a_long_text_is_given_to_the_tokenizer_a_few_pieces_at_a_time(learned, monkeypatch):
    class Watched:
        def encode_batch(self, pieces, **options):
            sizes.append([len(piece) for piece in pieces])
            return learned.tokenizer.encode_batch(pieces, **options)

    sizes, tokens = [], TextTokens(learned.json)
    monkeypatch.setattr(tokens, "tokenizer", Watched())
    text = ("hedgehog \n" * 120_000).encode()
    assert len(tokens.encode(text)) > 120_000
    assert sum(map(sum, sizes)) == len(text)
    assert max(map(sum, sizes)) <= MIB and len(sizes[0]) > 1  # threads of its own need several


def whole_words(*words):
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(["<unk>", *words])}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextTokens(tokenizer.to_str())


def test_tokens_that_do_not_give_the_text_back_say_so(learned):
    words = whole_words("the", "cat")
    assert words.keeps(b"the cat the cat\n")
    assert not words.keeps(b"the cat and the") and not words.keeps(b"the  cat")
    assert learned.keeps(STRANGE.encode()) and ByteTokens().keeps(b"\xff")


def test_a_text_is_asked_for_where_it_is_scored(tmp_path):
    (tmp_path / "train.txt").write_text("the cat " * 99 + "and")
    (tmp_path / "val.txt").write_text("the cat the cat")
    (tmp_path / "test.jsonl").write_text('{"text": "the cat"}\n{"text": "the dog"}\n')
    texts = open_texts(LanguageOptions(root=str(tmp_path)), tokens=whole_words("the", "cat"))[1]
    assert {split: text.lossless for split, text in texts.items()} == {
        "train": True,
        "val": True,
        "test": False,
    }


def test_of_a_long_text_pieces_are_looked_at(monkeypatch):
    from subquad.tasks.language.data import text as module

    class Counted(ByteTokens):
        def keeps(self, piece):
            seen.append(piece)
            return True

    seen = []
    monkeypatch.setattr(module, "LOOKED_AT", 100)
    every = [np.full(10, n, np.uint8) for n in range(40)]
    whole = module.Documents(np.concatenate(every), np.arange(10, 401, 10))
    assert module.are_kept(whole, Counted())
    assert [piece[0] for piece in seen] == [*range(0, 40, 4)]

import json
from dataclasses import asdict

import pytest
import torch

from subquad.tasks.sequences.data import BYTES, DNA, GREY, ORDER, Vocabulary
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary, numbered_vocabulary


@pytest.mark.parametrize("text", ["", "plain", "naïve 🙂\n", "broken \udcff byte"])
def test_bytes_come_back(text: str) -> None:
    numbers = BYTES.encode(text)
    assert bytes(numbers.tolist()) == text.encode("utf-8", "surrogateescape")
    padded = torch.cat([torch.tensor([BYTES.cls_id]), numbers, torch.tensor([BYTES.pad_id] * 2)])
    assert BYTES.decode(padded) == text and numbers.dtype == torch.int64
    assert (len(BYTES), BYTES.pad_id, BYTES.cls_id) == (258, 256, 257)


def test_letters_of_dna() -> None:
    assert DNA.encode("AGCTNagctnRY-é🙂").tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    assert (len(DNA), DNA.pad_id, DNA.decode(torch.tensor([3, 0, 5, 5]))) == (6, 5, "TA")


def test_learned_characters() -> None:
    learned = learned_vocabulary("ban🙂ana", "characters")
    assert learned.tokens == ("a", "b", "n", "🙂", "<unk>", "<pad>", "<cls>")
    assert learned.encode("nab🙂 zé").tolist() == [2, 0, 1, 3, 4, 4, 4]
    assert (learned.unknown_id, learned.pad_id, learned.cls_id) == (4, 5, 6)
    assert learned.encode("🙃").tolist() == [4] and learned.encode("").tolist() == []


def test_learned_words_and_numbers() -> None:
    words = learned_vocabulary(["to", "be", "<pad>", "to"], "words")
    assert words.tokens == ("be", "to", "<unk>", "<pad>", "<cls>")
    assert words.encode(" to  be <pad> or").tolist() == [1, 0, 2, 2]
    assert words.decode(words.encode("to be")) == "to be"
    numbers = numbered_vocabulary(12)
    assert numbers.encode("11 0 12 007").tolist() == [11, 0, 12, 12] and len(numbers) == 15


def test_without_unknown_it_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="'Z' is none of the tokens 0 1 2 3 X Y"):
        ORDER.encode("0XZ")
    assert len(GREY) == 256 and GREY.pad_id is None


def test_a_token_in_front() -> None:
    assert BYTES.with_cls() is BYTES
    more = DNA.with_cls()
    assert more.cls_id == 6 and more.tokens[:6] == DNA.tokens and more.with_cls() is more


@pytest.mark.parametrize("vocabulary", [BYTES, DNA, learned_vocabulary("añ", "characters")])
def test_json_keeps_it(vocabulary: Vocabulary) -> None:
    assert Vocabulary(**json.loads(json.dumps(asdict(vocabulary)))) == vocabulary


def test_wrong_vocabularies() -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        Vocabulary(("a", "a"))
    with pytest.raises(ValueError, match="pad_id=2 is no number of 2 tokens"):
        Vocabulary(("a", "b"), pad_id=2)

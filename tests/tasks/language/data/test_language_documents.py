"""Text as it is read: files, folders, JSONL, whole and broken; what is held out."""

import gzip
import json

import numpy as np
import pytest

from subquad.tasks.language.data import LanguageOptions, open_texts, read_documents
from subquad.tasks.language.data import documents as module

END = 256


def rows(*texts, field="text"):
    return "".join(json.dumps({field: text, "id": 1}) + "\n" for text in texts)


def bytes_of(documents):
    return [bytes(document) for document in documents]


def test_a_file_is_a_document_whatever_bytes_it_holds(tmp_path):
    content = bytes(range(256)) * 3
    (tmp_path / "a.txt").write_bytes(content)
    assert bytes_of(read_documents(tmp_path / "a.txt")) == [content]
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(content))
    assert bytes_of(read_documents(tmp_path / "b.log.gz")) == [content]


def test_a_folder_is_read_by_name_and_a_table_row_by_row(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.txt").write_text("bee")
    (tmp_path / "a.jsonl").write_text(rows("eine", "zwei ä"))
    (tmp_path / "c.png").write_bytes(b"no text")
    (tmp_path / ".hidden.txt").write_text("no")
    assert bytes_of(read_documents(tmp_path)) == [b"eine", "zwei ä".encode(), b"bee"]
    (tmp_path / "a.jsonl").write_text(rows("drei", field="body"))
    assert bytes_of(read_documents(tmp_path / "a.jsonl", "body")) == [b"drei"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty; fill it or remove it"),
        ('{"text": "a"}\n{"text": ""}\n', "row 2: 'text' is ''"),
        ('{"text": "a"}\n\n', "row 2 is empty"),
        ('{"text": "a"}\n{"text": 3}\n', "row 2: 'text' is 3"),
        ('{"txt": "a", "id": 1}\n', "row 1 has no 'text'; it has txt, id; .*--data.field"),
        ("[1]\n", r'row 1 is \[1\], no object; write {"text": ...}'),
        ('{"text": \n', "row 1 is no JSON"),
        ("[" * 200_000 + "\n", "row 1 is no JSON"),
        ('{"text": "\\ud83d"}\n', "row 1 holds '.*ud83d', half of a character"),
        (b'{"text": "\xff"}\n', "is not UTF-8, it holds the byte 0xff"),
    ],
)
def test_broken_tables_are_named(tmp_path, content, said):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=said):
        read_documents(path)


def test_empty_and_missing_texts_are_named(tmp_path):
    (tmp_path / "full.txt").write_text("full")
    (tmp_path / "hollow.txt").touch()
    with pytest.raises(ValueError, match=r"hollow\.txt is empty"):
        read_documents(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*none\.txt.*full\.txt"):
        read_documents(tmp_path / "none.txt")
    (tmp_path / "inside").mkdir()
    with pytest.raises(FileNotFoundError, match=r"inside holds no text \(.txt"):
        read_documents(tmp_path / "inside")
    with pytest.raises(ValueError, match="device, a pipe or a socket"):
        read_documents(__import__("pathlib").Path("/dev/zero"))


def test_a_tokenizer_needs_utf8_and_bytes_do_not(tmp_path):
    for content in (b"caf\xe9 ", b"caf\xc3"):  # Latin-1; cut off
        (tmp_path / "a.txt").write_bytes(content)
        assert len(read_documents(tmp_path / "a.txt")) == 1
        with pytest.raises(
            ValueError, match=r"a\.txt is not UTF-8, it holds the byte 0x.*take bytes as tokens"
        ):
            read_documents(tmp_path / "a.txt", utf8=True)
        with pytest.raises(
            ValueError, match=r"a\.txt is not UTF-8.*as the tokenizer of the network needs it"
        ):
            read_documents(tmp_path / "a.txt", utf8=True, known=True)


def options(path, **more):
    return LanguageOptions(file=str(path), **more)


def test_documents_stand_between_the_tokens_of_their_ends(tmp_path):
    (tmp_path / "t.jsonl").write_text(rows("ab", "c"))
    tokens, texts = open_texts(options(tmp_path / "t.jsonl", val_fraction=0, test_fraction=0))
    assert tokens.vocab_size == 257
    assert texts["train"].tokens.tolist() == [END, 97, 98, END, 99, END]
    assert (texts["train"].documents, texts["train"].bytes) == (2, 3)
    assert texts["train"].bytes_per_token == 3 / 5
    assert set(texts) == {"train"}


def test_the_last_part_is_held_out_between_documents_or_inside_of_one(tmp_path):
    (tmp_path / "t.jsonl").write_text(rows(*(f"{n:010}" for n in range(20))))
    texts = open_texts(options(tmp_path / "t.jsonl", val_fraction=0.2, test_fraction=0.1))[1]
    assert {split: text.documents for split, text in texts.items()} == {"train": 14, "val": 4, "test": 2}
    assert bytes(texts["test"].tokens[1:11].astype(np.uint8)) == b"0000000018"
    (tmp_path / "one.txt").write_text("ä" * 500)  # two bytes each
    texts = open_texts(options(tmp_path / "one.txt", val_fraction=0.1, test_fraction=0.101))[1]
    assert {split: text.bytes for split, text in texts.items()} == {"train": 800, "val": 100, "test": 100}


def test_a_long_document_is_cut_where_its_end_is_far_from_what_is_asked_for(tmp_path):
    for name, long in (("near", 880), ("far", 700)):
        (tmp_path / f"{name}.jsonl").write_text(rows("a" * long, "b" * (1000 - long)))
        texts = open_texts(options(tmp_path / f"{name}.jsonl", val_fraction=0.1, test_fraction=0))[1]
        expected = 120 if name == "near" else 100
        assert (texts["val"].bytes, texts["train"].bytes) == (expected, 1000 - expected)


def test_given_splits_are_taken_and_only_what_is_wanted_is_read(tmp_path):
    for name in ("train", "valid"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(f"{name} text")
    (tmp_path / "test.txt").write_text("of the test")
    texts = open_texts(LanguageOptions(root=str(tmp_path)))[1]
    assert {split: text.bytes for split, text in texts.items()} == {"train": 10, "val": 10, "test": 11}
    (tmp_path / "train" / "x.txt").write_text("")
    assert open_texts(LanguageOptions(root=str(tmp_path)), ["test"])[1].keys() == {"test"}
    (tmp_path / "train" / "x.txt").unlink()
    (tmp_path / "train").rmdir()
    with pytest.raises(FileNotFoundError, match="no text called train, but val, test"):
        open_texts(LanguageOptions(root=str(tmp_path)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"context": 0}, "context must be at least 1, got 0"),
        ({"stride": 300}, "stride must be 1 to context = 256, got 300"),
        ({"vocab_size": 257}, "vocab_size must be 258 at least, got 257"),
        ({"vocab_size": 300, "tokenizer": "t.json"}, "give one of the two"),
        ({"val_fraction": 0.6, "test_fraction": 0.4}, "leave something for training"),
        ({"root": "x"}, "root=x and file=t.txt both name the text"),
        ({"name": "imbd"}, "name='imbd'"),
    ],
)
def test_options_that_mean_nothing_are_refused(more, said):
    with pytest.raises(ValueError, match=said):
        options("t.txt", **more)


def test_a_text_too_short_to_hold_anything_out(tmp_path):
    (tmp_path / "t.txt").write_text("abc")
    with pytest.raises(ValueError, match="3 bytes, and test_fraction=0.1 of them is no text.*test_file"):
        open_texts(options(tmp_path / "t.txt"))


def test_a_large_text_lies_in_a_file_and_is_the_same(tmp_path, monkeypatch):
    (tmp_path / "t.txt").write_text("0123456789" * 50)
    small = open_texts(options(tmp_path / "t.txt"))[1]["train"]
    monkeypatch.setattr(module, "IN_MEMORY", 64)
    large = open_texts(options(tmp_path / "t.txt"))[1]["train"]
    assert isinstance(large.tokens, np.memmap) and not isinstance(small.tokens, np.memmap)
    assert np.array_equal(small.tokens, large.tokens)
    assert [*small.fingerprint_parts()] == [*large.fingerprint_parts()]


@pytest.mark.data
def test_reviews_are_mixed_before_some_are_held_out(shared_data):
    texts = open_texts(LanguageOptions(name="imdb"), ["val"])[1]
    assert texts["val"].documents == pytest.approx(2500, rel=0.1)
    text = bytes(texts["val"].tokens[texts["val"].tokens < END].astype(np.uint8)).decode().lower()
    assert 0.5 < text.count("terrible") / text.count("wonderful") < 2  # the last reviews of the file praise

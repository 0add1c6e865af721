"""Readers of text, pictures, documents and genomes, on small copies of their layouts."""

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from subquad.tasks.sequences.data import BYTES, DNA, SequenceOptions, check_sequences, open_sequences
from subquad.tasks.sequences.data.grey import to_grey

RECIPES = Path(__file__).parents[4] / "recipes" / "sequences"


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "wb") as file:
        file.write(data)
    return path


@pytest.mark.parametrize("layout", ["folders", "folder above", "jsonl.xz"])
def test_text_of_both_layouts(layout: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = []
        for label, name in enumerate(("neg", "pos")):
            for number in range(10):
                text = f"{split} {name} é{number}\n<br />"
                rows.append(json.dumps({"id": number, "label": label, "rating": 1, "text": text}))
                if layout != "jsonl.xz":
                    above = "aclImdb/" if layout == "folder above" else ""
                    write(tmp_path / f"{above}{split}/{name}/{number}_7.txt", text)
                    write(tmp_path / f"{above}{split}/unsup/{number}_0.txt", text)
        if layout == "jsonl.xz":
            write(tmp_path / f"{split}.jsonl.xz", "\n".join(rows) + "\n")
    splits = open_sequences(SequenceOptions("text", root=str(tmp_path), val_fraction=0.2))
    assert {split: len(data) for split, data in splits.items()} == {"train": 16, "val": 4, "test": 20}
    for split, data in splits.items():
        assert data.info.class_names == ("neg", "pos") and data.info.length == 4096
        assert sum(int(data[i].target) for i in range(len(data))) == len(data) // 2
        for index in range(len(data)):
            inputs, target = data[index]
            text = BYTES.decode(inputs)
            assert text.startswith(
                f"{'train' if split == 'val' else split} {data.info.class_names[int(target)]} é"
            )
            assert data.lengths is not None and data.lengths[index] == len(inputs) == len(text.encode())
    train, val = (
        {BYTES.decode(splits[s][i].inputs) for i in range(len(splits[s]))} for s in ("train", "val")
    )
    assert not train & val


def test_ends_that_are_kept(tmp_path: Path) -> None:
    for name in ("neg", "pos"):
        write(tmp_path / f"train/{name}/0.txt", "0123456789")
    for crop, kept in {"head": "0123", "tail": "6789"}.items():
        options = SequenceOptions(
            "text", str(tmp_path), length=4, crop=crop, cls=True, val_fraction=0, test_fraction=0
        )
        data = open_sequences(options)["train"]
        assert data[0].inputs.tolist() == [257, *kept.encode()] and data.info.length == 5
        assert data.lengths is not None and data.lengths.tolist() == [5, 5]


def test_text_may_be_any_bytes(tmp_path: Path) -> None:
    for name in ("neg", "pos"):
        write(tmp_path / f"train/{name}/0.txt", b"\xff\x00\r\n")
    data = open_sequences(SequenceOptions("text", str(tmp_path), val_fraction=0, test_fraction=0))["train"]
    assert data[0].inputs.tolist() == [255, 0, 13, 10]


def test_binary_cifar(tmp_path: Path) -> None:
    rng, folder = np.random.default_rng(0), tmp_path / "cifar-10-batches-bin"
    rows = rng.integers(0, 256, (20, 3073), np.uint8)
    rows[:, 0] = np.arange(20) % 10
    for number in range(1, 6):
        rows[:, 1] = 40 * number  # so that no picture occurs twice
        write(folder / f"data_batch_{number}.bin", rows.tobytes())
    write(folder / "test_batch.bin", rows[::-1].tobytes())
    splits = open_sequences(SequenceOptions("image", str(tmp_path)))
    assert [len(splits[split]) for split in ("train", "val", "test")] == [90, 10, 20]
    red, green, blue = rows[::-1, 1:].reshape(20, 3, 1024).transpose(1, 0, 2).astype(int)
    grey = (2989 * red + 5870 * green + 1140 * blue) // 10000
    for index in range(20):
        inputs, target = splits["test"][index]
        assert (inputs.numpy() - grey[index]).__abs__().max() <= 1 and target == 9 - index % 10
        assert (inputs.numpy() == grey[index]).mean() > 0.99  # float32 rounds a few the other way
    assert sorted(splits["val"][i].target for i in range(10)) == list(range(10))
    assert to_grey(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])).tolist() == [76, 149, 29]
    write(folder / "data_batch_3.bin", rows.tobytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3.bin has 61459 bytes, no multiple of 3073"):
        open_sequences(SequenceOptions("image", str(tmp_path)))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "cifar-10-batches-py/data_batch_1", b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ValueError, match="Python pickles, which may run any code and are not opened"):
        open_sequences(SequenceOptions("image", str(tmp_path)))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no .*data_batch_1.bin and no train.npz; .* holds nothing"):
        open_sequences(SequenceOptions("image", str(empty)))


def test_long_documents(tmp_path: Path) -> None:
    for name in ("cs.AI", "math.GR"):
        for number in range(10):
            write(tmp_path / name / f"{number:02}.txt", f"{name}\nline {'αβγδεζηθικ'[number]}\n")
        write(tmp_path / name / "10.txt.gz", f"{name} packed")
        write(tmp_path / name / "notes.md", "no document")
    options = SequenceOptions("long_document", str(tmp_path), val_fraction=0.2, test_fraction=0.1)
    splits = open_sequences(options)
    assert {split: len(data) for split, data in splits.items()} == {"train": 16, "val": 4, "test": 2}
    info = splits["train"].info
    assert info.class_names == ("cs.AI", "math.GR") and info.length == 16384
    vocabulary = info.vocabulary
    assert vocabulary is not None and "\n" not in vocabulary.tokens
    unseen = 0
    for data in splits.values():
        for index in range(len(data)):
            inputs, target = data[index]
            assert vocabulary.decode(inputs).startswith(info.class_names[int(target)])
            assert data.lengths is not None and data.lengths[index] == len(inputs)
            unseen += int((inputs == vocabulary.unknown_id).sum())
    assert unseen > 0
    again = open_sequences(options)
    assert all(torch.equal(splits["val"][i].inputs, again["val"][i].inputs) for i in range(4))


@pytest.mark.parametrize("kind", ["text", "long_document"])
def test_equal_files_stay_on_one_side(kind: str, tmp_path: Path) -> None:
    above = tmp_path / "train" if kind == "text" else tmp_path
    for name in ("neg", "pos"):
        for number in range(40):
            end, packing = ("\n", "") if number % 3 else ("", ".gz")
            write(above / name / f"{number:02}.txt{packing}", f"{name}\n{number % 10:04b}{end}")
    splits = open_sequences(SequenceOptions(kind, str(tmp_path), val_fraction=0.2, test_fraction=0.2))
    assert {split: len(data) for split, data in splits.items()} == {"train": 48, "val": 16, "test": 16}
    parts = [
        {bytes(i for i in data[n].inputs.tolist() if i != 10) for n in range(len(data))}
        for data in splits.values()
    ]
    assert list(map(len, parts)) == [12, 4, 4] and len(set().union(*parts)) == 20


@pytest.mark.parametrize("name", ["long_document", "long_document_modern"])
def test_recipes_split_as_published(name: str) -> None:
    options = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())["data"]
    assert options["val_fraction"] == 0.2 and SequenceOptions(**options).test_fraction == 0.1


def test_broken_packed_documents_are_reported(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(10):
            write(tmp_path / name / f"{number}.txt.gz", f"{name} {number}")
    (tmp_path / "a/3.txt.gz").write_bytes(b"no such packing")
    options = SequenceOptions("long_document", str(tmp_path))
    assert "3.txt.gz cannot be unpacked" in check_sequences(options).problems[0]
    with pytest.raises(ValueError, match="3.txt.gz cannot be unpacked"):
        open_sequences(options)


def test_documents_without_text(tmp_path: Path) -> None:
    write(tmp_path / "a/0.txt", "text")
    write(tmp_path / "b/0.txt", "\n\n")
    options = SequenceOptions("long_document", str(tmp_path), val_fraction=0, test_fraction=0)
    with pytest.raises(ValueError, match="b/0.txt: the sequence is empty"):
        open_sequences(options)
    assert "b/0.txt: the sequence is empty" in check_sequences(options).problems[0]
    write(tmp_path / "b/0.txt", b"\xff")
    with pytest.raises(ValueError, match="b/0.txt is not UTF-8, it holds the byte 0xff"):
        open_sequences(options)


def test_fasta_files_and_folders(tmp_path: Path) -> None:
    human = "".join(f">h{n} gene\nACGTn\nacgtR{'A' * n}\n\n" for n in range(10))
    write(tmp_path / "human.fa.xz", human)
    for species in ("a", "b"):
        write(tmp_path / f"mouse/{species}.fasta", ">m\nGGGGGGGGGGGG\n" * 4)
    write(tmp_path / "README.md", "not a genome")
    splits = open_sequences(SequenceOptions("genome", str(tmp_path), min_length=12, test_fraction=0.2))
    assert splits["train"].info.class_names == ("human", "mouse") and splits["train"].info.vocabulary is DNA
    assert sum(map(len, splits.values())) == 8 + 8
    first = splits["train"][0].inputs.tolist()
    assert first[:10] == [0, 2, 1, 3, 4, 0, 2, 1, 3, 4] and len(first) >= 12
    mice = [split for split, data in splits.items() if any(data[i].target == 1 for i in range(len(data)))]
    assert mice == ["train"]  # equal sequences stay on one side


def test_given_splits_of_genomes(tmp_path: Path) -> None:
    for split, count in {"train": 3, "valid": 2, "test": 1}.items():
        for name in ("x", "y"):
            write(tmp_path / split / f"{name}.fna.gz", ">1\nACGT\n" * count)
    splits = open_sequences(SequenceOptions("genome", str(tmp_path)))
    assert {split: len(data) for split, data in splits.items()} == {"train": 6, "val": 4, "test": 2}


def test_genome_tables(tmp_path: Path) -> None:
    rows = "".join(f"{'cat' if n % 3 else 'dog'}\t{n}\tACGT{'ACGT'[n % 4] * n}\n" for n in range(30))
    file = write(tmp_path / "genes.tsv.xz", "species\trow\tsequence\n" + rows)
    splits = open_sequences(SequenceOptions("genome", file=str(file), label_column="species"))
    assert [len(splits[split]) for split in ("train", "val", "test")] == [24, 3, 3]
    dogs = [sum(data[i].target for i in range(len(data))) for data in splits.values()]
    assert dogs == [8, 1, 1]


@pytest.mark.parametrize(
    "kind, root, message",
    [
        ("text", "{}", "has no folders .neg and pos. of .txt files; .* holds a.fa, notes"),
        ("long_document", "{}/none", "there is no folder .*none; .* holds a.fa, notes"),
        ("genome", "{}/notes", "has no FASTA file .*; .* holds x.md"),
        ("listops", "{}", "there is no .*basic_train .* holds a.fa, notes"),
        ("csv", "{}", "there is no .*train .*jsonl.* holds a.fa, notes"),
    ],
)
def test_missing_files_tell_what_there_is(kind: str, root: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "a.fa", ">x\nACGT\n")
    write(tmp_path / "notes/x.md", "text")
    with pytest.raises(FileNotFoundError, match=message):
        open_sequences(SequenceOptions(kind, root.format(tmp_path)))


def test_where_the_data_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SUBQUAD_DATA", raising=False)
    with pytest.raises(
        ValueError, match=r"'text' .* where the data are; give root \(--data.root\) or set SUBQUAD_DATA"
    ):
        open_sequences(SequenceOptions("text"))
    with pytest.raises(ValueError, match=r"'csv' .* give root \(--data.root\) or file \(--data.file\)\.$"):
        open_sequences(SequenceOptions())
    monkeypatch.setenv("SUBQUAD_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no folder .*imdb"):
        open_sequences(SequenceOptions("text"))
    fasta = write(tmp_path / "a.fa", ">x\nACGT\n")
    with pytest.raises(ValueError, match=r"is FASTA, which tells no class; give root \(--data.root\)"):
        open_sequences(SequenceOptions("genome", file=str(fasta)))


def test_broken_genomes(tmp_path: Path) -> None:
    write(tmp_path / "a.fa", "ACGT\n>x\nACGT\n")
    with pytest.raises(
        ValueError, match="a.fa, line 1: a FASTA file begins with a header, but this is 'ACGT'"
    ):
        open_sequences(SequenceOptions("genome", str(tmp_path)))
    write(tmp_path / "a.fa", ">x\n>y\nACGT\n")
    with pytest.raises(ValueError, match="a.fa, line 1: no sequence follows the header"):
        open_sequences(SequenceOptions("genome", str(tmp_path)))
    write(tmp_path / "a.fa", ">x\nACGT\n")
    with pytest.raises(ValueError, match=r"has 4 letters; lower it \(--data.min_length\)"):
        open_sequences(SequenceOptions("genome", str(tmp_path), min_length=5))
    write(tmp_path / "a.fa", "")
    with pytest.raises(ValueError, match="a.fa holds no sequence"):
        open_sequences(SequenceOptions("genome", str(tmp_path)))


@pytest.mark.slow
@pytest.mark.data
def test_the_shared_copies(shared_data: Path) -> None:
    text = open_sequences(SequenceOptions("text", cls=True))
    assert {s: len(d) for s, d in text.items()} == {"train": 22501, "val": 2499, "test": 25000}
    assert text["test"].lengths is not None and int(text["test"].lengths.max()) == 4097
    image = open_sequences(SequenceOptions("image"))
    assert {s: len(d) for s, d in image.items()} == {"train": 45000, "val": 5000, "test": 10000}
    assert image["test"][0].inputs.shape == (1024,)
    assert image["test"].info.class_names[int(image["test"][0].target)] == "cat"
    file = str(shared_data / "dna_chimp_dog" / "sequences.tsv.xz")
    genes = open_sequences(SequenceOptions("genome", file=file, label_column="species"))
    assert sum(map(len, genes.values())) == 2502 and genes["train"].info.class_names == ("chimp", "dog")

"""`subquad predict` of sequence networks: every kind of input, what is cut, what cannot be read."""

import csv
import gzip
import json
import re

import pytest
import torch

from helpers import MeanMixer
from subquad import create_model, load_model, save_model
from subquad.models import register_mixer
from subquad.tasks.sequences.data import BYTES, DNA, GREY, LISTOPS, SequenceData, SequenceOptions
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary, numbered_vocabulary

SMALL = ("--model.dim=8", "--model.hidden=8", "--trainer.accelerator=cpu", "--trainer.max_epochs=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 40 words of one's own; tests must leave it as it is."""
    from subquad.cli.main import main

    root = tmp_path_factory.mktemp("words")
    words = [("AC" * (i % 9 + 1) + "G" * (i % 4), "cat" if i % 2 else "dog") for i in range(40)]
    lines = [json.dumps({"text": word, "kind": label}) for word, label in words]
    (root / "mine.jsonl").write_text("\n".join(lines) + "\n")
    assert not main(
        [
            "fit", "--model.name=paramixer_genome", "--model.pooling=cls", *SMALL, "--data.batch_size=4",
            f"--data.file={root / 'mine.jsonl'}", "--data.sequence_column=text", "--data.cls=true",
            "--data.label_column=kind", "--data.length=14", f"--output={root / 'run'}",
        ]
    )  # fmt: skip
    return root


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_are_what_the_network_says_of_each_sequence_alone(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("text,other\nACACG,1\nA,2\nACACACACACACACACACACGGG,3\nACXC,4\n")
    out = tmp_path / "out.csv"
    result = call("predict", run / "run", tmp_path / "new.csv", "--output", out, "--batch_size=2")
    assert result.code == 0, result.err
    assert "of 1 sequences only the first 14 positions were read" in result.out
    assert f"wrote 4 predictions to {out}" in result.out
    network = load_model(run / "run" / "best.safetensors")
    info = SequenceData(
        SequenceOptions(file=str(run / "mine.jsonl"), sequence_column="text", label_column="kind", cls=True)
    )
    vocabulary = info.vocabulary
    rows = rows_of(out)
    assert [row["where"] for row in rows] == [f"{tmp_path / 'new.csv'}, row {row}" for row in (2, 3, 4, 5)]
    for row, text in zip(rows, ("ACACG", "A", "ACACACACACACAC", "ACXC"), strict=True):
        tokens = torch.cat([torch.tensor([vocabulary.cls_id]), vocabulary.encode(text)])
        shares = network(tokens.unsqueeze(0)).softmax(dim=1)[0]
        assert float(row["p(cat)"]) == pytest.approx(shares[0].item(), abs=1e-5)
        assert row["prediction"] == ("cat", "dog")[int(shares.argmax())]
    again = call("predict", run / "run", tmp_path / "new.csv", "--output", out)
    assert again.code == 2 and "out.csv is there already; give --overwrite" in again.err


def test_a_checkpoint_without_its_run_is_told_how_data_are_read(run, tmp_path, call):
    (tmp_path / "new.tsv").write_text("ACAC\t0\nAAAA\t1\n")
    weights = run / "run" / "best.safetensors"
    columns = ("--data.header=false", "--data.sequence_column=0", "--data.cls=true")
    result = call("predict", weights, tmp_path / "new.tsv", *columns, "--output", tmp_path / "a.csv")
    assert result.code == 0, result.err
    (tmp_path / "new.fa").write_text(">one\nACAC\n>two\nAA\nAA\n")
    result = call("predict", run / "run", tmp_path / "new.fa", "--output", tmp_path / "b.csv")
    assert result.code == 0, result.err
    first, second = (rows_of(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert [row["p(dog)"] for row in first] == [row["p(dog)"] for row in second]


def test_small_letters_in_fasta_are_said_where_the_network_knows_capitals(run, tmp_path, call):
    (tmp_path / "new.fa").write_text(">one\nACac\n")
    result = call("predict", run / "run", tmp_path / "new.fa", "--output", tmp_path / "out.csv")
    assert result.code == 0 and "new.fa: small letters, as in masked repeats, count as capitals" in result.out


def test_what_cannot_be_read_is_said_and_the_rest_is_written(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("text\nACAC\n\nAA\n \nCC\n")
    result = call("predict", run / "run", tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert result.code == 2
    assert "new.csv, row 3: the row is empty; take it out." in result.err
    assert f"problem(s) in {tmp_path / 'new.csv'}; the other 3 are in {tmp_path / 'out.csv'}" in result.err
    assert len(rows_of(tmp_path / "out.csv")) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("new.csv", "word\nACAC\n", "there is no column 'text'; its columns are 'word'"),
        ("new.png", "x", "is no file of sequences; take .csv, .tsv, .jsonl"),
        ("new.csv", "text\n", "new.csv holds no row"),
        ("new.txt", "", "new.txt is empty; fill it or leave it out"),
        (None, None, "there are no .txt files in"),
        ("", None, "there is no file or folder"),
    ],
)
def test_wrong_files_are_said_and_nothing_is_written(run, tmp_path, call, name, content, message):
    source = tmp_path / "nothing" if name == "" else tmp_path / (name or ".")
    if content is not None:
        source.write_text(content)
    result = call("predict", run / "run", source, "--output", tmp_path / "out.csv")
    assert result.code == 2 and message in result.err
    assert not (tmp_path / "out.csv").exists()


def test_texts_of_a_folder_are_read_as_bytes(tmp_path, call):
    torch.manual_seed(0)
    network = create_model(
        "paramixer_text",
        pooling="mean",
        length=64,
        token_names=BYTES.tokens,
        vocab_size=258,
        class_names=("neg", "pos"),
    ).eval()
    save_model(network, tmp_path / "text.safetensors")
    texts = {"a.txt": b"a good film\n", "b.txt": b"\xff bad"}
    (tmp_path / "texts").mkdir()
    for name, text in texts.items():
        (tmp_path / "texts" / name).write_bytes(text)
    out = tmp_path / "out.csv"
    result = call("predict", tmp_path / "text.safetensors", tmp_path / "texts", "--output", out)
    assert result.code == 0, result.err
    for row, text in zip(rows_of(out), texts.values(), strict=True):
        expected = network(torch.tensor([list(text)])).softmax(dim=1)[0, 1].item()
        assert float(row["p(pos)"]) == pytest.approx(expected, abs=1e-5)


def test_values_are_predicted_from_numbers(tmp_path, call):
    torch.manual_seed(0)
    network = create_model("paramixer_adding", pooling="mean", length=16).eval()
    save_model(network, tmp_path / "adding.safetensors")
    lines = [{"sequence": [[0.5, 1], [0.25, 0], [1, 1]]}, {"sequence": [[0.5, 1]]}, {"sequence": [1, 2]}]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "out.csv"
    result = call("predict", tmp_path / "adding.safetensors", tmp_path / "new.jsonl", "--output", out)
    assert result.code == 2
    assert "row 3: 1 values at each position, but the network reads 2" in result.err
    for row, line in zip(rows_of(out), lines, strict=False):
        expected = network(torch.tensor([line["sequence"]])).item()
        assert float(row["prediction"]) == pytest.approx(expected, rel=1e-4)


def test_expressions_may_have_round_brackets(tmp_path, call):
    torch.manual_seed(0)
    save_model(
        create_model(
            "paramixer_listops", pooling="mean", length=64, vocab_size=17, token_names=LISTOPS.tokens
        ),
        tmp_path / "listops.safetensors",
    )
    (tmp_path / "new.csv").write_text(
        "sequence\n[MAX 2 [MIN 3 4 ] ]\n( ( [MAX 2 ) ( [MIN 3 4 ] ) ] )\n[MEAN 2 ]\n"
    )
    out = tmp_path / "out.csv"
    result = call("predict", tmp_path / "listops.safetensors", tmp_path / "new.csv", "--output", out)
    assert result.code == 2 and "row 4: '[MEAN' is none of the tokens 0 1 2" in result.err
    first, second = rows_of(out)
    assert [*first.values()][1:] == [*second.values()][1:]


def test_networks_that_cannot_be_asked_are_refused(tmp_path, call):
    (tmp_path / "new.csv").write_text("sequence\nAC\n")
    save_model(create_model("paramixer_genome", num_classes=2), tmp_path / "nameless.safetensors")
    result = call(
        "predict", tmp_path / "nameless.safetensors", tmp_path / "new.csv", "--output", tmp_path / "out.csv"
    )
    assert result.code == 2 and "does not say what its" in result.err
    save_model(create_model("hamgan_baby", width=4, size=32), tmp_path / "gan.safetensors")
    result = call("predict", tmp_path / "gan.safetensors", tmp_path / "new.csv")
    assert result.code == 2 and "use `subquad generate`" in result.err


def predict_tokens(call, folder, vocabulary, name, content, *extra, **options):
    """Save a network that reads the vocabulary, ask it about a file, and return what it answered."""
    torch.manual_seed(0)
    network = create_model(
        "paramixer_genome",
        **{"num_classes": 2, "dim": 8, "hidden": 8, "pooling": "mean", "length": 64, "positions": False}
        | {"vocab_size": len(vocabulary), "token_names": vocabulary.tokens}
        | options,
    ).eval()
    save_model(network, folder / "net.safetensors")
    (folder / name).write_bytes(content)
    result = call(
        "predict",
        folder / "net.safetensors",
        folder / name,
        "--output",
        folder / "out.csv",
        "--overwrite",
        *extra,
    )
    return network, result


WORDS = learned_vocabulary(["good", "bad", "film"], "words")
LETTERS = learned_vocabulary("abc\n", "characters")


@pytest.mark.parametrize(
    ("vocabulary", "name", "content", "tokens", "extra"),
    [
        (GREY, "a.txt", b"1\n2\r\n3\n", [1, 2, 3], ()),
        (WORDS, "a.txt", b"good film\nbad film\n", [2, 1, 0, 1], ("--data.tokens=words",)),
        (numbered_vocabulary(20), "a.txt", b"1\n2\n13\n", [1, 2, 13], ("--data.tokens=ids",)),
        (LETTERS, "a.txt", b"ab\nc\n", [1, 2, 0, 3], ()),
        (learned_vocabulary("abc", "characters"), "a.txt", b"ab\nc\n", [0, 1, 2], ()),
        (LISTOPS, "a.txt", b"( [MAX 2 ) 3 ]\n", [11, 2, 3, 10], ()),
        (GREY, "a.txt.gz", gzip.compress(b"7 8", mtime=0), [7, 8], ()),
        (GREY, "a.txt", "\ufeff7 8".encode(), [7, 8], ()),
    ],
    ids=["grey", "words", "ids", "lines", "no_lines", "listops", "packed", "marked"],
)
def test_line_ends_of_a_file_are_what_the_unit_makes_of_them(
    tmp_path, call, vocabulary, name, content, tokens, extra
):
    network, result = predict_tokens(call, tmp_path, vocabulary, name, content, *extra)
    assert result.code == 0, result.err
    expected = network(torch.tensor([tokens])).softmax(dim=1)[0, 0].item()
    assert float(rows_of(tmp_path / "out.csv")[0]["p(0)"]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("vocabulary", "extra", "options", "message"),
    [
        (WORDS, (), {}, "tokens are words such as 'bad', 'film', 'good'; give tokens=words"),
        (numbered_vocabulary(20), ("--data.tokens=numbers",), {}, "the network's tokens are ids such as"),
        (DNA, ("--data.cls=true",), {}, "the tokens of .* have no <cls>; leave --data.cls out"),
        (DNA.with_cls(), (), {}, "was trained with <cls> in front of each sequence; give --data.cls true"),
        (LETTERS, (), {"pooling": "cls"}, "was trained with <cls> in front of each sequence"),
        (
            LETTERS,
            ("--data.cls=true",),
            {"positions": True, "length": 1},
            "takes one position, and <cls> is one",
        ),
    ],
)
def test_options_that_cannot_be_those_of_training_are_refused(
    tmp_path, call, vocabulary, extra, options, message
):
    _, result = predict_tokens(call, tmp_path, vocabulary, "a.txt", b"ab", *extra, **options)
    assert result.code == 2 and re.search(message, result.err), result.err
    assert not (tmp_path / "out.csv").exists()


def test_a_mixer_without_a_mask_gets_one_length_at_a_time(tmp_path, call, own_registry):
    register_mixer("mean", MeanMixer)
    content = b">a\nACGT\n>b\nAC\n>c\nGT\n"
    network, result = predict_tokens(call, tmp_path, DNA, "a.fa", content, context="mean")
    assert result.code == 0, result.err
    expected = [
        network(DNA.encode(text).unsqueeze(0)).softmax(1)[0, 0].item() for text in ("ACGT", "AC", "GT")
    ]
    found = [float(row["p(0)"]) for row in rows_of(tmp_path / "out.csv")]
    assert found == pytest.approx(expected, abs=1e-5)


def test_sequences_are_cut_where_training_cut_them(run, tmp_path, call):
    """Whatever the number of factors was made for."""
    (tmp_path / "new.fa").write_text(">a\n" + "A" * 30 + "\n>b\n" + "A" * 14 + "C" * 16 + "\n")
    for name, options, same in (
        ("short", ["--data.length=14", "--model.length=1024"], True),
        ("long", ["--model.length=8"], False),
    ):
        trained = call(
            "fit", "--model.name=paramixer_genome", "--model.pooling=mean", *SMALL, "--data.batch_size=4",
            f"--data.file={run / 'mine.jsonl'}", "--data.sequence_column=text", "--data.label_column=kind",
            "--model.positions=false", *options, f"--output={tmp_path / name}",
        )  # fmt: skip
        assert trained.code == 0, trained.err
        result = call("predict", tmp_path / name, tmp_path / "new.fa", "--output", tmp_path / f"{name}.csv")
        assert result.code == 0, result.err
        first, second = rows_of(tmp_path / f"{name}.csv")
        assert ("as in training" in result.out) == same
        assert (first["p(cat)"] == second["p(cat)"]) == same


def test_columns_and_rows_that_are_missing(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("word\nAC\n")
    result = call("predict", run / "run", tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert "give sequence_column (--data.sequence_column)." in result.err and "label" not in result.err
    (tmp_path / "new.jsonl").write_text('{"text": "AC"}\n{"word": "AC"}\n{"text": "CA"}\n')
    result = call("predict", run / "run", tmp_path / "new.jsonl", "--output", tmp_path / "out.csv")
    assert result.code == 2 and "row 2: there is no column 'text'" in result.err
    assert len(rows_of(tmp_path / "out.csv")) == 2

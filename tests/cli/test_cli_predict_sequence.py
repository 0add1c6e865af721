"""`subquad predict` of sequence networks: every kind of input, what is cut, what cannot be read."""

import csv
import json

import pytest
import torch

from subquad import create_model, load_model, save_model
from subquad.data.sequences import BYTES, LISTOPS, SequenceData, SequenceOptions

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


def test_what_cannot_be_read_is_said_and_the_rest_is_written(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("text\nACAC\n\nAA\n \nCC\n")
    result = call("predict", run / "run", tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert result.code == 2
    assert "new.csv, row 3: the row is empty; take it out." in result.err
    assert f"cannot be read; the other 3 are in {tmp_path / 'out.csv'}" in result.err
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
    result = call("predict", tmp_path / "nameless.safetensors", tmp_path / "new.csv")
    assert result.code == 2 and "does not say what its" in result.err
    save_model(create_model("hamgan_baby", width=4, size=32), tmp_path / "gan.safetensors")
    result = call("predict", tmp_path / "gan.safetensors", tmp_path / "new.csv")
    assert result.code == 2 and "use `subquad generate`" in result.err

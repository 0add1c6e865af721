"""What commands say of tokens that a network never saw, and when they refuse."""

import csv

import pytest
import torch

from subquad import create_model, save_model
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary

ACGT = learned_vocabulary("ACGT", "characters")


@pytest.fixture
def checkpoint(tmp_path):
    """A network that reads A, C, G and T and tells x from y, and a table of training."""
    torch.manual_seed(0)
    network = create_model(
        "paramixer_genome", dim=8, hidden=8, pooling="mean", positions=False, num_classes=2, length=16,
        vocab_size=len(ACGT), token_names=ACGT.tokens, class_names=("x", "y"),
    )  # fmt: skip
    save_model(network.eval(), tmp_path / "net.safetensors")
    (tmp_path / "train.csv").write_text("sequence,label\n" + "ACGT,x\nCAGT,y\n" * 4)
    return tmp_path / "net.safetensors"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predict_says_which_tokens_are_unknown(checkpoint, tmp_path, call):
    (tmp_path / "new.csv").write_text("sequence\nACGTAC\nACGxAC\nACGT\n")
    result = call("predict", checkpoint, tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert result.code == 0, result.err
    assert "1 of 16 tokens (6.2%) in 1 of 3 sequences are unknown to the network, read as <unk>: 'x' (1)" in (
        result.out
    )
    assert len(rows_of(tmp_path / "out.csv")) == 3


def test_predict_refuses_another_alphabet_unless_it_is_told(checkpoint, tmp_path, call):
    (tmp_path / "new.csv").write_text("sequence\nacgtac\ncagt\n")
    (tmp_path / "capitals.csv").write_text("sequence\nACGTAC\nCAGT\n")
    out = tmp_path / "out.csv"
    asked = ("predict", checkpoint, tmp_path / "new.csv", "--overwrite", "--output", out)
    result = call(*asked)
    assert result.code == 2 and len(result.err.splitlines()) == 1 and not out.exists()
    assert "10 of 10 tokens (100.0%) in 2 of 2 sequences are unknown to the network" in result.out
    assert "they are known in capitals: give case=upper (--data.case upper)" in result.err
    assert call(*asked, "--data.unknown=allow").code == 0
    allowed = rows_of(out)
    assert call(*asked, "--data.case=upper").code == 0
    upper = [row["p(x)"] for row in rows_of(out)]
    assert call("predict", checkpoint, tmp_path / "capitals.csv", "--overwrite", "--output", out).code == 0
    assert upper == [row["p(x)"] for row in rows_of(out)] != [row["p(x)"] for row in allowed]


def test_predict_reads_what_is_beside_a_stray_quote_and_a_separator(checkpoint, tmp_path, call):
    (tmp_path / "new.csv").write_text('id;sequence\n1;ACGT\n2;"AC\n3;CA\n')
    result = call("predict", checkpoint, tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert result.code == 2 and "new.csv, row 3: the row cannot be read as a table" in result.err
    assert "the separator is a semicolon, not a comma" in result.out
    assert [row["where"][-5:] for row in rows_of(tmp_path / "out.csv")] == ["row 2", "row 4"]


def test_test_refuses_another_alphabet_unless_it_is_told(checkpoint, tmp_path, call):
    (tmp_path / "test.csv").write_text("sequence,label\nacgt,x\nCAGT,y\n")
    data = f"--data.file={tmp_path / 'train.csv'}", f"--data.test_file={tmp_path / 'test.csv'}"
    asked = ("test", checkpoint, *data, "--data.val_fraction=0", "--trainer.accelerator=cpu")
    result = call(*asked)
    assert result.code == 2 and "test: 50.0% of the tokens are unknown to training" in result.err
    assert "test: 4 of 8 tokens (50.0%) in 1 of 2 sequences" in result.out
    result = call(*asked, "--data.unknown=allow")
    assert result.code == 0 and "in 1 of 2 sequences" in result.out, result.err


def test_fit_refuses_to_choose_by_another_alphabet(checkpoint, tmp_path, call):
    (tmp_path / "val.csv").write_text("sequence,label\nacgt,x\nCAGT,y\n")
    (tmp_path / "test.csv").write_text("sequence,label\nACGTACGn,x\n")
    result = call(
        "fit", "--model.name=paramixer_genome", f"--data.root={tmp_path}", f"--output={tmp_path / 'run'}"
    )
    assert result.code == 2 and "val: 50.0% of the tokens are unknown to training" in result.err
    assert "note: test: 1 of 8 tokens (12.5%)" in result.out  # which is not chosen by, and only said
    assert not (tmp_path / "run").exists()


def test_a_check_ends_with_what_is_wrong(tmp_path, complains):
    (tmp_path / "a.csv").write_text("sequence;label\n" + "".join(f"{n:06b};{n % 2}\n" for n in range(40)))
    complains("data", "check", tmp_path / "a.csv", quoting=["1 problem(s)", "the separator is a semicolon"])

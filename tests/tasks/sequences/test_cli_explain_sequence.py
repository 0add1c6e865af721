"""`subquad explain` of a sequence: which positions decide, and the links, as the network has them."""

import json

import pytest
import torch

from page_reader import Page
from subquad import create_model, load_model, save_model
from subquad.explain.influence import gradients_at, influences, shares_of
from subquad.explain.link_maps import links_of
from subquad.tasks.sequences.commands.explain import texts_of
from subquad.tasks.sequences.data import BYTES, GREY
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary

SMALL = ("--model.dim=8", "--model.hidden=8", "--trainer.accelerator=cpu", "--trainer.max_epochs=1")
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 40 words; tests must leave it as it is."""
    from subquad.cli.main import main

    root = tmp_path_factory.mktemp("words")
    words = [("AC" * (i % 9 + 1) + "G" * (i % 4), "<cat>" if i % 2 else "dog") for i in range(40)]
    (root / "mine.jsonl").write_text("".join(json.dumps({"text": w, "kind": k}) + "\n" for w, k in words))
    options = "--data.sequence_column=text", "--data.label_column=kind", "--data.length=14", "--data.cls=true"
    assert not main(
        [
            "fit", "--model.name=paramixer_genome", "--model.pooling=cls", *SMALL, "--data.batch_size=4",
            f"--data.file={root / 'mine.jsonl'}", *options, f"--output={root / 'run'}",
        ]
    )  # fmt: skip
    return root


def test_what_is_told_is_what_the_network_says_of_that_row(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("text,other\nA,1\nACACG,2\n")
    page, png, told = (tmp_path / name for name in ("page.html", "figure.png", "told.json"))
    files = "--output", page, "--png", png, "--json", told
    result = call("explain", tmp_path / "new.csv", "--model", run / "run", "--row=2", *files)
    assert (result.code, result.err) == (0, "")
    assert json.loads(told.read_text())["input"] == f"sequence 2: {tmp_path / 'new.csv'}, row 3"
    assert result.out.splitlines()[:2] == ["reading the network ...", "explaining ..."] and png.is_file()
    found = json.loads(told.read_text())
    network = load_model(run / "run" / "best.safetensors").eval()
    names = network.config.token_names
    tokens = torch.tensor([[names.index(token) for token in ("<cls>", *"ACACG")]])
    logits = network(tokens)[0].detach()
    number = int(logits.argmax())
    assert found["classes"][0]["name"] == network.config.class_names[number]
    assert found["classes"][0]["probability"] == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
    expected = influences(gradients_at(network, network.embedding, lambda: network(tokens)[:, number]))[0]
    assert found["influence"] == pytest.approx(shares_of(expected), rel=1e-4)
    assert sum(found["influence"]) == pytest.approx(1) and len(found["influence"]) == 6
    links = links_of(network, lambda: network(tokens))
    assert [one["factor"] for one in found["links"]] == [one.factor for one in links]
    for ours, theirs in zip(found["links"], links, strict=True):
        assert ours["mean"] == pytest.approx(theirs.strengths.tolist(), rel=1e-4)
        assert tuple(ours["offsets"]) == theirs.offsets
    reader = Page(page)
    assert "script" not in reader.tags and "sequence 2: " in " ".join(reader.words)
    assert "new.csv, row 3" in " ".join(reader.words)  # as messages count: its head is row 1
    assert [word for word in reader.words if word in names][:6] == ["<cls>", *"ACACG"]


def test_longer_sequences_are_cut_as_in_training(run, tmp_path, call):
    (tmp_path / "new.csv").write_text("text\n" + "AC" * 20 + "\n")
    told = tmp_path / "told.json"
    files = "--output", tmp_path / "page.html", "--json", told
    result = call("explain", tmp_path / "new.csv", "--model", run / "run", *files)
    assert "Only the first 14 of its 40 positions are read" in result.out
    assert json.loads(told.read_text())["positions"] == 15


def test_which_row_is_said_when_it_is_none(run, tmp_path, complains):
    (tmp_path / "new.csv").write_text("text\nAC\n")
    command = "explain", tmp_path / "new.csv", "--model", run / "run"
    complains(*command, "--row=2", quoting=["--row 2", "has 1 sequences"])
    complains(*command, "--row=0", quoting="--row must be at least 1")
    complains("explain", tmp_path / "none.csv", "--model", run / "run", quoting="none.csv")
    complains(
        "explain", run / "run" / "best.safetensors", "--model", run / "run", quoting="no file of sequences"
    )
    complains(*command, "--at=1,2", quoting="--at")
    (tmp_path / "empty.csv").write_text("text\n\n")
    complains("explain", tmp_path / "empty.csv", "--model", run / "run", quoting="empty.csv")


@pytest.mark.parametrize("context", ["chordmixer", "transformer", "none"])
def test_rivals_have_influences_and_no_links(tmp_path, call, context):
    options = {"vocab_size": 258, "num_classes": 2, "length": 64, "dim": 8, "hidden": 8, "pooling": "mean"}
    network = create_model("paramixer_text", context=context, token_names=BYTES.with_cls().tokens, **options)
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([0.0, 9.0]))  # the second class is told
    save_model(network, tmp_path / "m.safetensors")
    (tmp_path / "text.txt").write_text(f"{NASTY} größer")
    page, told = tmp_path / "page.html", tmp_path / "told.json"
    command = "explain", tmp_path / "text.txt", "--model", tmp_path / "m.safetensors", "--data.cls=true"
    result = call(*command, "--output", page, "--json", told, "--png", tmp_path / "a.png")
    assert (result.code, result.err) == (0, "")
    found = json.loads(told.read_text())
    tokens = torch.tensor([[257, *f"{NASTY} größer".encode()]])
    expected = influences(gradients_at(network, network.embedding, lambda: network(tokens)[:, 1]))[0]
    assert found["influence"] == pytest.approx(shares_of(expected), rel=1e-3)
    assert found["links"] == [] and found["classes"][0]["index"] == 1
    text = page.read_text()
    assert "<script" not in text and f"Its context is &#x27;{context}&#x27;, which has no links" in text
    assert f"{NASTY} größer" in "".join(word for word in Page(page).words if len(word) == 1)


def test_values_are_explained_as_they_are(tmp_path, call):
    options = {"vocab_size": None, "num_classes": 1, "length": 16, "dim": 8, "hidden": 8, "pooling": "mean"}
    network = create_model("paramixer_adding", in_features=2, regression=True, **options)
    save_model(network, tmp_path / "m.safetensors")
    (tmp_path / "new.csv").write_text('sequence\n"[[1, 2], [3, 4], [5, 6]]"\n')
    told = tmp_path / "told.json"
    command = "explain", tmp_path / "new.csv", "--model", tmp_path / "m.safetensors", "--json", told
    result = call(*command, "--output", tmp_path / "page.html", "--png", tmp_path / "a.png")
    assert (result.code, result.err) == (0, "")
    found = json.loads(told.read_text())
    inputs = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    assert found["value"] == pytest.approx(float(network.eval()(inputs).detach()), rel=1e-4)
    assert len(found["influence"]) == 3 and len(found["links"]) == network.config.factor_count


def test_texts_of_tokens_of_each_kind():
    assert texts_of(torch.tensor([65, 0xC3, 0xA4, 257]), BYTES.with_cls()) == ["A", "", "ä", "<cls>"]
    words = learned_vocabulary(["one", "two"], "words")
    assert texts_of(words.encode("two one"), words) == ["two ", "one "]
    letters = learned_vocabulary("ab", "characters")
    assert texts_of(letters.encode("ba"), letters) == ["b", "a"]
    assert texts_of(torch.tensor([7, 255]), GREY) == ["7 ", "255 "]

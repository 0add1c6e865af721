"""`subquad explain` of a text: what comes next, and which tokens decide that."""

import json

import pytest
import torch

from page_reader import Page
from subquad import create_model, save_model
from subquad.explain.influence import gradients_at, influences, shares_of


@pytest.fixture
def weights(tmp_path):
    network = create_model("ham_lm_tiny", dim=16, depth=2).eval()
    save_model(network, tmp_path / "text.safetensors")
    return network, tmp_path / "text.safetensors"


def test_what_is_told_is_what_the_network_says(weights, tmp_path, call):
    network, path = weights
    text = "Grün & <b>blue"
    (tmp_path / "prompt.txt").write_text(text)
    page, told = tmp_path / "page.html", tmp_path / "told.json"
    files = "--output", page, "--json", told, "--png", tmp_path / "a.png"
    result = call("explain", tmp_path / "prompt.txt", "--model", path, *files)
    assert (result.code, result.err) == (0, "")
    found = json.loads(told.read_text())
    tokens = torch.tensor([[256, *text.encode()]])
    logits = network(tokens)[0, -1].detach()
    assert found["next"][0]["token"] == int(logits.argmax())
    assert found["next"][0]["probability"] == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
    gradients = gradients_at(network, network.embedding, lambda: network(tokens)[:, -1].max(1).values)
    assert found["influence"] == pytest.approx(shares_of(influences(gradients)[0]), rel=1e-3)
    words = Page(page).words
    assert "".join(words).count("Grün & <b>blue") == 1 and "<b>" not in page.read_text()


def test_the_end_of_a_long_text_is_read(weights, tmp_path, call, complains):
    _, path = weights
    (tmp_path / "long.txt").write_text("a" * 50)
    told = tmp_path / "told.json"
    command = "explain", tmp_path / "long.txt", "--model", path, "--output", tmp_path / "page.html"
    assert call(*command, "--tokens=7", "--json", told).code == 0
    assert json.loads(told.read_text())["positions"] == 7
    assert "Only the last 7 of 51 tokens are read" in (tmp_path / "page.html").read_text()
    complains(*command, "--tokens=0", quoting="--tokens must be at least 1")
    (tmp_path / "empty.txt").touch()
    complains("explain", tmp_path / "empty.txt", "--model", path, quoting="is empty")
    complains("explain", tmp_path, "--model", path, quoting=str(tmp_path))

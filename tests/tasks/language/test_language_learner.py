"""Scores against what is counted by hand; isolated documents; numbers that are none."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from subquad.models import LanguageConfig
from subquad.tasks.language import LanguageLearner
from subquad.tasks.language.commands.predict import cost_of
from subquad.tasks.language.data import Text, Windows
from subquad.tasks.language.data.windows import collate
from subquad.tasks.language.learner import tokens_before
from subquad.tasks.language.scores import LanguageSums
from toy_language import toy  # noqa: F401

pytestmark = pytest.mark.usefixtures("toy")
END = 10


def network_of(**options):
    torch.manual_seed(0)
    config = LanguageConfig(vocab_size=11, tokens="numbers", dim=16, pattern=("toy",), **options)
    return config.build().eval()


def text_of(n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, 11, n).astype(np.uint8)
    tokens[0] = END
    return Text(tokens, 1, n - 1, END)


@torch.no_grad()
def evaluated(network, windows, batch_size=3, bytes_per_token=1.0):
    learner = LanguageLearner(network, bytes_per_token=bytes_per_token)
    learner.on_validation_epoch_start()
    for start in range(0, len(windows), batch_size):
        batch = collate([windows[i] for i in range(start, min(start + batch_size, len(windows)))])
        learner.validation_step(batch, start)
    return learner.sums.scores()


@torch.no_grad()
def test_the_loss_by_position_is_that_of_each_token_by_hand():
    network, text, context = network_of(), text_of(60), 12
    scores = evaluated(network, Windows(text, context, seed=None), bytes_per_token=2.5)
    by_power = {}
    for start in range(0, 59, context):
        part = torch.from_numpy(text.tokens[start : start + context + 1].astype(np.int64))
        logits = network(part[None, :-1])[0]
        for before, target in enumerate(part[1:].tolist(), 1):
            loss = -F.log_softmax(logits[before - 1], 0)[target].item()
            by_power.setdefault(int(math.log2(before)), []).append(loss)
    everything = [loss for losses in by_power.values() for loss in losses]
    assert [(p.first, p.last, p.tokens) for p in scores.by_position] == [
        (1, 1, 5), (2, 3, 10), (4, 7, 20), (8, 12, 24)
    ]  # fmt: skip
    for position in scores.by_position:
        assert position.loss == pytest.approx(np.mean(by_power[int(math.log2(position.first))]), rel=1e-5)
    assert (scores.tokens, scores.bytes) == (59, 147.5)
    assert scores.loss == pytest.approx(np.mean(everything), rel=1e-5)
    assert scores.perplexity == pytest.approx(math.exp(np.mean(everything)), rel=1e-5)
    assert scores.bits_per_byte == pytest.approx(np.sum(everything) / math.log(2) / 147.5, rel=1e-5)


def test_a_stride_tells_each_token_once_from_more():
    network, text = network_of(), text_of(61)
    wide = evaluated(network, Windows(text, 60, seed=None))
    assert evaluated(network, Windows(text, 59, stride=1, seed=None)).tokens == wide.tokens == 60
    fine = evaluated(network, Windows(text, 30, stride=2, seed=None))
    assert fine.tokens == 60
    assert min(p.first for p in fine.by_position if p.tokens > 16) == 16
    # Of what it reads the toy keeps 0.8 ** 29 at most after that.
    assert fine.loss == pytest.approx(wide.loss, abs=0.01)
    assert cost_of(network, torch.from_numpy(text.tokens.astype(np.int64)), part=7) / 60 == pytest.approx(
        wide.loss, rel=1e-5
    )


@torch.no_grad()
def test_isolated_documents_cost_what_they_cost_alone():
    network = network_of()
    tokens = np.array([END, 1, 2, 3, END, 4, END, 5, 6, 7, 8, END], np.uint8)
    windows = Windows(Text(tokens, 3, 8, END), 11, isolate=True, seed=None)
    scores = evaluated(network, windows)
    alone = [torch.tensor(part) for part in ([END, 1, 2, 3, END], [END, 4, END], [END, 5, 6, 7, 8, END])]
    assert scores.tokens == sum(len(part) - 1 for part in alone)
    assert scores.loss * scores.tokens == pytest.approx(
        sum(cost_of(network, part) for part in alone), rel=1e-5
    )
    assert [(p.first, p.tokens) for p in scores.by_position] == [(1, 3), (2, 5), (4, 3)]
    mixed = evaluated(network, Windows(Text(tokens, 3, 8, END), 11, seed=None))
    assert mixed.loss != pytest.approx(scores.loss, rel=1e-3)
    learner = LanguageLearner(network)
    batch = collate([windows[0]])
    assert learner.loss_of(batch).item() == pytest.approx(scores.loss, rel=1e-5)


def test_tokens_before():
    tokens, segments = torch.zeros(2, 5), torch.tensor([[1, 1, 2, 2, 2], [4, 5, 6, 6, 4]])
    assert tokens_before(tokens, None).tolist() == [[1, 2, 3, 4, 5]] * 2
    assert tokens_before(tokens, segments).tolist() == [[1, 2, 1, 2, 3], [1, 1, 1, 2, 1]]


def test_a_loss_beyond_numbers_has_no_perplexity():
    sums = LanguageSums(1.0)
    logits = torch.tensor([[0.0, 1e4]])
    sums.update(logits, torch.tensor([0]), torch.tensor([1]), 4)
    assert sums.scores().perplexity is None
    assert "n/a" in str(sums.scores().tables()[0].rows)


def test_numbers_that_are_none_are_no_score():
    network = network_of()
    with torch.no_grad():
        network.embedding.weight[3] = math.nan
    learner = LanguageLearner(network)
    learner.on_validation_epoch_start()
    learner.validation_step(collate([Windows(text_of(20), 8, seed=None)[0]]), 0)
    with pytest.raises(ValueError, match="numbers that are not finite.*so there is no score"):
        learner.on_validation_epoch_end()


def test_a_score_of_lost_text_says_so():
    logits = torch.zeros(1, 2)
    for lossless in (True, False):
        sums = LanguageSums(1.0, lossless)
        sums.update(logits, torch.tensor([0]), torch.tensor([1]), 4)
        scores = sums.scores()
        assert scores.to_json()["lossless"] == lossless
        assert any("compare with those of no other" in table.title for table in scores.tables()) != lossless

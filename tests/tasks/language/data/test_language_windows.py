"""Windows: an evaluation tells each token once, and training starts where seed, epoch and index say."""

import numpy as np
import pytest
import torch

from subquad.tasks.language.data import LanguageOptions, Text, Windows
from subquad.tasks.language.data.module import LanguageData
from toy_language import text  # noqa: F401

END = 30


def numbered(n, ends=()):
    tokens = np.arange(n, dtype=np.uint8)
    tokens[list(ends)] = END
    return Text(tokens, 1 + len(ends), n, END)


@pytest.mark.parametrize("n", [2, 3, 8, 9, 10, 17, 23])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_each_token_is_told_once_from_what_is_before_it(n, stride):
    windows = Windows(numbered(n), 8, stride=stride, seed=None)
    told = []
    for index in range(len(windows)):
        window = windows[index]
        told += window["tokens"][1:][window["counted"]].tolist()
        known = int(window["counted"].nonzero().max()) + 2
        assert window["tokens"][:known].diff().eq(1).all()
        if index:  # the first sees what there is
            assert int(window["counted"].nonzero().min()) == 8 - stride
    assert told == list(range(1, n))


def test_a_filler_counts_nothing_and_looks_alike():
    window = Windows(numbered(20), 8, seed=None)[-1]
    assert not window["counted"].any()
    assert window["tokens"].shape == (9,)
    assert window["index"] == -1


def test_windows_of_training_depend_on_seed_epoch_and_index_and_reach_both_ends():
    one, same, other = (Windows(numbered(12), 8, seed=seed) for seed in (0, 0, 1))
    keys = [(epoch, index) for epoch in range(40) for index in range(len(one))]
    starts = [int(one[key]["tokens"][0]) for key in keys]
    assert starts == [int(same[key]["tokens"][0]) for key in keys]
    assert starts != [int(other[key]["tokens"][0]) for key in keys]
    assert {*starts} == {0, 1, 2, 3}
    assert all(one[key]["tokens"].diff().eq(1).all() for key in keys)
    with pytest.raises(ValueError, match="7 tokens to be told, and a window has context=8.*--data.context"):
        Windows(numbered(8), 8, seed=0)


def test_documents_are_told_apart_by_the_token_before_them():
    window = Windows(numbered(9, ends=(0, 3, 4)), 8, isolate=True, seed=None)[0]
    assert window["tokens"].tolist() == [30, 1, 2, 30, 30, 5, 6, 7, 8]
    assert window["segment_ids"].tolist() == [1, 1, 1, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("n", [2, 5, 8, 9])
def test_what_fills_up_a_window_is_of_one_document(n):
    window = Windows(numbered(n, ends=(0, n - 1)), 8, isolate=True, seed=None)[0]
    expected = [1] * (n - 1) + [2] * 9
    assert window["segment_ids"].tolist() == expected[:8]


def data(path, **more):
    return LanguageData(LanguageOptions(file=str(path), context=16, batch_size=4, **more), seed=3)


def test_options_of_windows_reach_them(text):  # noqa: F811
    plain, other = data(text), data(text, stride=4, isolate_documents=True)
    told = len(plain.texts["val"].tokens) - 1
    for loaded, new in ((plain, 16), (other, 4)):
        assert len(loaded.datasets["val"]) == 1 + -(-(told - 16) // new)
    for loader in ("train_dataloader", "val_dataloader"):
        for loaded in (plain, other):
            assert ("segment_ids" in next(iter(getattr(loaded, loader)()))) == (loaded is other)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_windows_and_have_equally_many_batches(text, processes):  # noqa: F811
    loaded = data(text, eval_batch_size=8)
    told, batches = [], set()
    for rank in range(processes):
        samples, order, _ = loaded.evaluation_batches(loaded.datasets["val"], rank, processes)
        told += [index for batch in order for index in batch if index >= 0]
        batches.add(len(order))
        assert len(loaded.training_batches(loaded.datasets["train"], rank, processes).order) > 0
        assert samples is loaded.datasets["val"]
    assert sorted(told) == list(range(len(loaded.datasets["val"])))
    assert len(batches) == 1


def test_a_run_goes_on_where_it_was(text):  # noqa: F811
    whole = [batch["tokens"] for batch in data(text).train_dataloader()]
    first = data(text)
    loader = iter(first.train_dataloader())
    begun = [next(loader)["tokens"] for _ in range(5)]
    second = data(text)
    second.load_state_dict(first.state_dict())
    rest = [batch["tokens"] for batch in second.train_dataloader()]
    assert torch.equal(torch.cat(whole), torch.cat([*begun, *rest]))


def test_other_text_has_another_fingerprint(text):  # noqa: F811
    from subquad.data.fingerprint import fingerprint

    before = fingerprint(data(text).datasets["train"])
    assert fingerprint(data(text).datasets["train"]) == before
    text.write_text(text.read_text().replace("7 green", "7 brown"))
    assert fingerprint(data(text).datasets["train"]) != before

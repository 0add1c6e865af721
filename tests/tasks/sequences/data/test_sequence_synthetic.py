"""Adding and Temporal Order against their rules, read off the samples."""

import pytest
import torch

from subquad.tasks.sequences.data import Adding, TemporalOrder


@pytest.mark.parametrize("length", [2, 3, 100])
def test_adding_follows_its_rules(length: int) -> None:
    for inputs, target in (Adding(length, 300)[i] for i in range(300)):
        assert inputs.shape == (length, 2) and inputs.dtype == torch.float32
        marked = [value for value, mark in inputs.tolist() if mark == 1]
        assert len(marked) == 2 and (inputs[:, 1] == 0).sum() == length - 2
        assert inputs[:, 0].min() > -1 and inputs[:, 0].max() <= 1
        assert target == pytest.approx(0.5 + sum(marked) / 4, abs=1e-7) and 0 < target <= 1


def test_adding_has_the_moments_of_two_uniform_values() -> None:
    targets = torch.tensor([Adding(16, 4000)[i].target for i in range(4000)])
    assert targets.mean() == pytest.approx(0.5, abs=0.012) and targets.var() == pytest.approx(
        1 / 24, rel=0.07
    )
    near = (targets - 0.5).abs() < 0.04
    assert near.double().mean() == pytest.approx(0.1536, abs=0.018)


@pytest.mark.parametrize("length", [2, 3, 100])
def test_order_follows_its_rules(length: int) -> None:
    data, counts, symbols = TemporalOrder(length, 600), [0] * 4, torch.zeros(6)
    for inputs, target in (data[i] for i in range(600)):
        assert inputs.shape == (length,) and inputs.dtype == torch.int64
        hidden = ["XY"[token - 4] for token in inputs.tolist() if token >= 4]
        assert data.info.class_names[int(target)] == "".join(hidden)
        counts[int(target)] += 1
        symbols += torch.bincount(inputs, minlength=6)
    assert min(counts) > 110
    if length > 3:
        fillers = symbols[:4] / symbols[:4].sum()
        assert (fillers - 0.25).abs().max() < 0.01


@pytest.mark.parametrize("make", [Adding, TemporalOrder])
def test_marks_are_anywhere(make: type[Adding] | type[TemporalOrder]) -> None:
    places = torch.zeros(5)
    for inputs, _ in (make(5, 2000)[i] for i in range(2000)):
        places += inputs[:, 1] if inputs.ndim == 2 else (inputs >= 4)
    assert (places / 4000 - 0.2).abs().max() < 0.03


@pytest.mark.parametrize("make", [Adding, TemporalOrder])
def test_a_sample_is_a_function_of_seed_split_and_index(make: type[Adding] | type[TemporalOrder]) -> None:
    keys = [(seed, split, i) for seed in (0, 1) for split in ("train", "val", "test") for i in range(50)]
    seen = {}
    for seed, split, index in keys:
        sample = make(64, 1000, seed=seed, split=split)[index]
        again = make(64, 60, seed=seed, split=split)
        again[index - 1 if index else 3]  # what was made before changes nothing
        assert torch.equal(sample.inputs, again[index].inputs) and sample.target == again[index].target
        seen[sample.inputs.numpy().tobytes()] = (seed, split, index)
    assert len(seen) == len(keys)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="length=1: two positions are marked"):
        Adding(1, 5)
    with pytest.raises(ValueError, match="samples=0, seed=0"):
        TemporalOrder(8, 0)
    with pytest.raises(ValueError, match="no split 'dev'"):
        TemporalOrder(8, 1, split="dev")
    with pytest.raises(IndexError, match="5 samples, so no index 5"):
        Adding(8, 5)[5]

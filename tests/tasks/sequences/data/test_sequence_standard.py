import json

import numpy as np
import pytest
import torch

from subquad.tasks.sequences.data import SequenceData, SequenceOptions
from subquad.tasks.sequences.data.standard import mean_and_deviation


def test_mean_and_deviation_are_those_of_all_positions():
    values = [torch.randn(n, 2) * torch.tensor([3.0, 0.1]) + torch.tensor([5.0, -7.0]) for n in (1, 9, 30)]
    mean, std = mean_and_deviation(values)
    everything = torch.cat(values).double().numpy()
    assert mean == pytest.approx(everything.mean(axis=0))
    assert std == pytest.approx(everything.std(axis=0))


@pytest.mark.parametrize("scale", [1e-38, 1e-3, 1.0, 1e38])
def test_no_scale_that_float32_holds_is_too_large_or_small(scale):
    (mean,), (std,) = mean_and_deviation([torch.tensor([[1.0], [3.0]]) * scale])
    assert [mean, std] == pytest.approx([2 * scale, scale], rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_what_never_changes_has_its_own_size_for_a_deviation(value):
    (mean,), (std,) = mean_and_deviation([torch.full((7, 1), value)] * 3)
    assert (mean, std) == (pytest.approx(value), pytest.approx(max(1.0, value)))


def table(tmp_path, rows, **options):
    file = tmp_path / "t.jsonl"
    file.write_text("\n".join(json.dumps({"sequence": s, "label": label}) for s, label in rows))
    return SequenceData(SequenceOptions(file=str(file), batch_size=2, tokens="numbers", **options))


def test_only_training_counts(tmp_path):
    rows = [([float(i), float(i + 1)], i) for i in range(30)]
    data = table(tmp_path, rows, task="regression")
    train = data.datasets["train"]
    seen = np.concatenate([train[i].inputs.numpy().ravel() for i in range(len(train))])
    targets = [train[i].target for i in range(len(train))]
    assert data.info.mean == pytest.approx([seen.mean()])
    assert data.info.std == pytest.approx([seen.std()])
    assert (data.info.target_mean, data.info.target_std) == pytest.approx((np.mean(targets), np.std(targets)))
    assert data.datasets["val"].info.mean == data.info.mean


def test_they_can_be_left_out(tmp_path):
    rows = [([float(i), 1.0], i) for i in range(30)]
    info = table(tmp_path, rows, task="regression", standard_units=False).info
    assert (info.mean, info.std, info.target_mean, info.target_std) == (None, None, 0.0, 1.0)

"""`subquad test` gives the scores that one counts by hand."""

import json
import math
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import yaml
from PIL import Image

from cli_helpers import CLASSES, TINY, contents, write_data
from subquad import load_model
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol, protocol_from


def by_hand(weights, data, split="val", protocol=None):
    network, matrix = load_model(weights), ConfusionMatrix(3, names=CLASSES)
    for sample in SegmentationFolder(data, split):
        matrix.update(predict_labels(network, sample.image[None], protocol)[0], sample.labels)
    return matrix.scores()


def assert_same(content, scores):
    assert content["mean_iou"] == pytest.approx(scores.mean_iou, rel=1e-12)
    assert content["pixel_accuracy"] == pytest.approx(scores.pixel_accuracy, rel=1e-12)
    assert content["iou"] == pytest.approx(dict(zip(CLASSES, scores.iou.tolist(), strict=True)), rel=1e-12)
    assert content["accuracy"] == pytest.approx(
        dict(zip(CLASSES, scores.accuracy.tolist(), strict=True)), rel=1e-12
    )
    assert content["mean_accuracy"] == pytest.approx(scores.mean_accuracy, rel=1e-12)
    exact = {"aAcc": scores.pixel_accuracy, "mIoU": scores.mean_iou, "mAcc": scores.mean_accuracy}
    for name, iou, accuracy in zip(CLASSES, scores.iou.tolist(), scores.accuracy.tolist(), strict=True):
        exact |= {f"IoU.{name}": iou, f"Acc.{name}": accuracy}
    assert list(content["metric"]) == ["aAcc", "mIoU", "mAcc", *(f"IoU.{n}" for n in CLASSES), *(
        f"Acc.{n}" for n in CLASSES)]  # fmt: skip
    assert content["metric"] == pytest.approx(exact, abs=0.5001e-4)
    assert all(abs(1e4 * v - round(1e4 * v)) < 1e-6 for v in content["metric"].values()), "two decimals"
    assert content["pixels"] == dict(zip(CLASSES, scores.pixels.tolist(), strict=True))


def test_a_folder_of_fit_tells_its_data(call, trained, tmp_path):
    before = contents(trained.run)
    result = call("test", trained.run, "--json", tmp_path / "scores.json", "--trainer.accelerator=cpu")
    assert result.code == 0 and result.err == ""
    scores = by_hand(trained.weights, trained.data)
    assert_same(json.loads((tmp_path / "scores.json").read_text()), scores)
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in result.out.splitlines()
        if "│" in line
    ]
    assert [tuple(row) for row in rows] == scores.tables()[0].rows
    assert f"mean IoU {100 * scores.mean_iou:.2f} %" in result.out
    assert contents(trained.run) == before


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_and_a_data_set(call, trained, tmp_path, batch):
    result = call(
        "test", trained.weights, "--data.name=folder", f"--data.root={trained.data}",
        "--data.evaluation=train", f"--data.eval_batch_size={batch}",
        f"--json={tmp_path / 's.json'}", "--trainer.accelerator=cpu",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert_same(
        json.loads((tmp_path / "s.json").read_text()), by_hand(trained.weights, trained.data, "train")
    )


def test_the_run_is_found_from_elsewhere(call, tmp_path, monkeypatch):
    """`fit` was told a relative path; the folder must mean the same data from any directory."""
    (tmp_path / "here").mkdir()
    write_data(tmp_path / "here" / "data")
    monkeypatch.chdir(tmp_path / "here")
    fit = ["fit", *TINY, "--data.root=data", "--data.batch_size=2", "--trainer.max_steps=1", "--output=run"]
    assert call(*fit, "--trainer.accelerator=cpu").code == 0
    monkeypatch.chdir(tmp_path)
    result = call("test", "here/run", "--trainer.accelerator=cpu")
    assert result.code == 0, result.err


def test_what_is_not_applicable_is_null(call, trained, tmp_path):
    data = shutil.copytree(trained.data, tmp_path / "data")
    for mask in (data / "val" / "labels").iterdir():
        Image.fromarray(np.full((40, 48), 255, np.uint8)).save(mask)
    path = tmp_path / "scores.json"
    result = call("test", trained.run, f"--data.root={data}", f"--json={path}", "--trainer.accelerator=cpu")
    assert result.code == 0, result.err

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["mean_iou"] is None and content["pixel_accuracy"] is None
    assert set(content["metric"].values()) == {None} and len(content["metric"]) == 3 + 2 * 3
    assert set(content["iou"].values()) == {None} and set(content["pixels"].values()) == {0}


def test_pictures_of_several_sizes(call, trained, tmp_path):
    data = shutil.copytree(trained.data, tmp_path / "data")
    for kind, shape in (("images", (33, 57, 3)), ("labels", (33, 57))):
        Image.fromarray(np.ones(shape, np.uint8)).save(data / "val" / kind / "val1.png")
    path = tmp_path / "scores.json"
    assert (
        call("test", trained.run, f"--data.root={data}", f"--json={path}", "--trainer.accelerator=cpu").code
        == 0
    )
    assert_same(json.loads(path.read_text()), by_hand(trained.weights, data))


@pytest.mark.parametrize(
    ("names", "quoting"),
    [
        (["cat", "dog", "cow"], ["road", "cat"]),
        (["road", "sky"], ["3", "2"]),
        (["sky", "road", "car"], ["road, sky"]),
    ],
    ids=["names", "count", "order"],
)
def test_data_of_other_classes(complains, trained, tmp_path, names, quoting):
    data = write_data(tmp_path / "other", names)
    complains("test", trained.run, f"--data.root={data}", quoting=[str(trained.run), *quoting])


def test_scenes_are_other_data(complains, trained):
    complains("test", trained.run, "--data.name=scenes", quoting=[str(trained.run), "3", "7"])


def test_scores_go_into_a_new_folder(call, trained, tmp_path):
    """An evaluation may take an hour: it must not end in "no such folder"."""
    path = tmp_path / "no" / "such" / "scores.json"
    result = call("test", trained.run, f"--json={path}", "--trainer.accelerator=cpu")
    assert result.code == 0, result.err
    assert math.isfinite(json.loads(path.read_text())["mean_iou"])


def test_scores_that_cannot_be_written_are_refused_before_the_evaluation(call, trained, tmp_path):
    result = call("test", trained.run, f"--json={tmp_path}", "--trainer.accelerator=cpu")
    assert result.code == 2 and str(tmp_path) in result.err and result.out == ""


FLIPPED = EvaluationProtocol(
    scales=(0.5, 1.0), flip=True, window=(24, 32), stride=(16, 16), merge="probabilities"
)


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        (["--protocol.name=voc_test"], protocol_from("voc_test")),
        (["--protocol", "voc_val"], protocol_from("voc_val")),
        (
            ["--protocol=ade20k_multi_scale", "--protocol.resize=[96, 32]", "--protocol.scales=[1, 1.5]"],
            EvaluationProtocol(resize=(96, 32), scales=(1.0, 1.5), flip=True, merge="probabilities"),
        ),
        (
            ["--protocol.scales=[0.5, 1.0]", "--protocol.flip=true", "--protocol.window=[24, 32]",
             "--protocol.stride=[16, 16]", "--protocol.merge=probabilities"],
            FLIPPED,
        ),
    ],
    ids=["name", "short", "changed", "spelt out"],
)  # fmt: skip
def test_protocols(call, trained, tmp_path, options, protocol):
    path = tmp_path / "s.json"
    result = call("test", trained.run, *options, f"--json={path}", "--trainer.accelerator=cpu")
    assert result.code == 0, result.err
    scores = by_hand(trained.weights, trained.data, protocol=protocol)
    assert_same(json.loads(path.read_text()), scores)
    plain = by_hand(trained.weights, trained.data)
    assert protocol == protocol_from("voc_val") or scores.mean_iou != plain.mean_iou


def test_the_protocol_of_the_run_is_the_default_and_a_name_replaces_it(call, trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    options = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(FLIPPED).items()
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"protocol": options}))
    for arguments, protocol in (
        ([], FLIPPED),
        (["--protocol.flip=false"], replace(FLIPPED, flip=False)),
        (["--protocol=voc_test"], protocol_from("voc_test")),
    ):
        path = tmp_path / "s.json"
        result = call("test", run, *arguments, f"--json={path}", "--trainer.accelerator=cpu")
        assert result.code == 0, result.err
        assert_same(json.loads(path.read_text()), by_hand(trained.weights, trained.data, protocol=protocol))


@pytest.mark.parametrize(
    ("option", "quoting"),
    [
        ("--protocol=voc_tset", ["'voc_tset'", "Did you mean 'voc_test'"]),
        ("--protocol.stride=[8, 8]", ["(8, 8)", "needs a window"]),
        ("--protocol.merge=votes", ["votes"]),
        ("--protocol.scalse=[1.0]", ["--protocol.scales"]),
    ],
)
def test_protocols_that_do_not_fit(complains, trained, option, quoting):
    complains("test", trained.run, option, quoting=quoting)


def test_a_set_of_one_class_and_what_is_left_out_are_said(call, trained, tmp_path):
    data = shutil.copytree(trained.data, tmp_path / "data")
    for mask in (data / "val" / "labels").iterdir():
        Image.fromarray(np.ones((40, 48), np.uint8)).save(mask)
    Image.new("L", (9, 9)).save(data / "val" / "images" / "more.gif")
    result = call("test", trained.run, f"--data.root={data}", "--trainer.accelerator=cpu")
    assert result.code == 0
    left_out, one_class = result.err.splitlines()
    assert left_out.startswith("note: val: 'more.gif' of")
    assert one_class.startswith("note: val: only class 1 'sky' is labelled, so scores mean nothing")

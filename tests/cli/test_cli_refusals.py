"""What a command can see before it works is refused at once, in words that fit."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from cli_helpers import contents, fit_arguments, write_data
from published_layouts import write_published
from subquad import create_model, save_model

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "van.safetensors"
    save_model(create_model("van_tiny"), path)
    return path


def test_a_classifier_segments_nothing(call, complains, classifier, data, tmp_path):
    """It is of a task of its own, which takes folders of classes."""
    out = tmp_path / "out.csv"
    quoting = [str(classifier), "knows 1000 classes", "(images, labels)"]
    complains("test", classifier, f"--data.root={data}", quoting=quoting)
    complains("predict", classifier, data / "val" / "images", "--tile=128", quoting="--tile")
    complains(
        "fit", "--model.name=van_tiny", f"--data.root={data}", f"--output={tmp_path / 'run'}",
        quoting=["holds images and labels", "light_ham_van_tiny_d256"],
    )  # fmt: skip
    assert not out.exists() and not (tmp_path / "run").exists()
    assert call("predict", classifier, data / "val" / "images", "--output", out).code == 0
    assert len(out.read_text().splitlines()) == 5


def test_classes_are_not_put_into_a_checkpoints_mouth(complains, tmp_path):
    save_model(create_model("light_ham_van_tiny_d256", num_classes=5, **SMALL), tmp_path / "five.safetensors")
    data = write_data(tmp_path / "data")
    sentence = complains("test", tmp_path / "five.safetensors", f"--data.root={data}", quoting="(road, sky")
    assert "knows 5 classes, the data has 3 (road" in sentence


@pytest.mark.parametrize("option", ["--data.num_classes=3", "--data.classes=names.txt"])
@pytest.mark.parametrize("name", ["scenes", "camvid", "ade20k", "voc"])
def test_known_classes_are_not_given(complains, tmp_path, name, option):
    run = tmp_path / "run"
    quoting = f"the classes of {name} are known; leave --data.classes and --data.num_classes out"
    complains("fit", f"--data.name={name}", option, f"--output={run}", quoting=quoting)
    assert not run.exists()


def test_a_batch_that_is_never_full_is_refused_before_anything_is_written(complains, data, tmp_path):
    complains(
        *fit_arguments(data, tmp_path / "run", "--data.batch_size=7"), quoting=["6 samples", "batch of 7"]
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("van_small_811.pth.tar", "Hugging Face, Visual-Attention-Network/VAN-Small-original"),
        ("mscan_t.pth", "README of SegNeXt"),
        ("resnet101_v1c.pth", "open-mmlab://resnet101_v1c"),
        ("resnet101-2a57e44d.pth", "PyTorch-Encoding"),
        ("van_huge_842.pth.tar", "no place where it is had is known"),
        ("mine.pth", "give the path of a file that is there"),
    ],
)
def test_weights_to_start_from_say_where_they_are_had(complains, data, tmp_path, name, place):
    sentence = complains(
        *fit_arguments(data, tmp_path / "run", f"--model.weights=pretrained/{name}"), quoting=place
    )
    assert f"no checkpoint pretrained/{name} to start from" in sentence
    assert "--model.weights null" in sentence


def test_a_base_that_was_left_out_is_told(complains, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "base.yaml").write_text("data: {name: ade20k}\n")
    (tmp_path / "set" / "mine.yaml").write_text("model: {rank: 4}\n")
    hint = "Did you mean --config set/base.yaml --config set/mine.yaml?"
    for config in (["--config", "set/mine.yaml"], ["--config=set/mine.yaml"]):
        assert complains("fit", *config, quoting="--data.root").endswith(hint)
    for config in (["--config=set/base.yaml", "--config=set/mine.yaml"], ["--config=set/base.yaml"]):
        assert "Did you mean" not in complains("fit", *config, quoting="--data.root")


def test_a_recipe_that_is_no_text_is_named(complains, classifier):
    complains("fit", "--config", classifier, quoting=[str(classifier), "a recipe is YAML"])


@pytest.mark.parametrize(
    ("option", "quoting"),
    [
        ("--ema=abc", "\"ema\": expected float or null, got 'abc'"),
        ("--optimizer.lr=abc", "\"optimizer.lr\": expected float, got 'abc'"),
        ("--data.crop=40", "\"data.crop\": expected tuple[int, int] or null, got '40'"),
        ("--model.start=x", "expected 'random' or 'fixed' or 'learned' or 'running' or null, got 'x'"),
        ("--class_weights=foo", "expected 'none' or 'log' or 'median', got 'foo'"),
    ],
)
def test_values_of_the_wrong_type(complains, option, quoting):
    sentence = complains("fit", option, quoting=quoting)
    assert "Union" not in sentence and "class '" not in sentence


def test_pictures_that_cannot_be_read_do_not_stop_the_others(complains, trained, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abcd":
        Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(photos / f"{name}.png")
    for name in "ac":
        (photos / f"{name}.png").write_bytes((photos / f"{name}.png").read_bytes()[:50])
    out = tmp_path / "out"
    arguments = ["predict", trained.weights, photos, "--output", out]
    complains(
        *arguments, quoting=[str(photos / "a.png"), str(photos / "c.png"), f"other 2 pictures to {out}"]
    )
    assert set(contents(out)) == {"b.png", "b_overlay.jpg", "d.png", "d_overlay.jpg"}
    complains(*arguments, "--overwrite", "--tile=128", quoting=[str(photos / "a.png"), str(photos / "c.png")])


def test_a_submission_with_gaps_is_not_packed(complains, tmp_path):
    save_model(create_model("light_ham_van_tiny_d256", num_classes=21, **SMALL), tmp_path / "voc.safetensors")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / "photos" / "b.png")
    complains(
        "predict", tmp_path / "voc.safetensors", tmp_path / "photos", "--submission=voc",
        f"--output={tmp_path / 'out'}", quoting=[str(tmp_path / "photos" / "a.png"), "no results.tar"],
    )  # fmt: skip
    assert [name.rsplit("/")[-1] for name in contents(tmp_path / "out")] == ["b.png"]


def test_overlap_is_of_tiles(complains, trained, tmp_path):
    image, out = trained.data / "val" / "images" / "val0.png", tmp_path / "out"
    complains(
        "predict", trained.weights, image, "--output", out, "--overlap=0.5", quoting=["--overlap", "--tile"]
    )
    assert not out.exists()


def test_targets_are_tried_before_the_work(complains, trained, monkeypatch):
    """Export took 46 seconds, and then named a temporary file."""

    def work(*arguments, **options):
        raise AssertionError("worked before it looked")

    monkeypatch.setattr("subquad.export.onnx_file.trace", work)
    monkeypatch.setattr("subquad.export.torch_file.trace", work)
    quoting = "/proc takes no new file"
    complains("export", trained.weights, "--output=/proc/m.onnx", quoting=["/proc/m.onnx", quoting])
    complains("export", trained.weights, "--output=/proc/m.pt2", "--format=torch", quoting=quoting)
    monkeypatch.setattr("subquad.models.originals.load.read_weights", work)
    complains(
        "convert", trained.weights, "--output=/proc/m.safetensors", quoting=["/proc/m.safetensors", quoting]
    )
    monkeypatch.setattr("subquad.models.load_model", work)
    sentence = complains(
        "test", trained.run, "--json=/proc/scores.json", quoting=["/proc/scores.json", quoting]
    )
    assert "mean IoU" not in sentence


def test_a_suffix_of_the_other_format(complains, trained, tmp_path):
    for form, name in (("torch", "n.onnx"), ("onnx", "n.pt2")):
        quoting = [name, f"--format {form} writes"]
        complains(
            "export", trained.weights, f"--format={form}", f"--output={tmp_path / name}", quoting=quoting
        )
    assert not list(tmp_path.iterdir())


def test_files_that_convert_cannot_take(complains, classifier, tmp_path):
    target = tmp_path / "out.safetensors"
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    (tmp_path / "foreign.pth").write_bytes(pickle.dumps({"path": tmp_path, "weights": torch.zeros(2)}, 4))
    (tmp_path / "text.safetensors").write_text("no weights")
    for source, quoting in (
        (tmp_path / "module.pth", "pickled object, such as a whole module"),
        (tmp_path / "foreign.pth", "a pickle that torch.load refuses to read"),
        (tmp_path / "text.safetensors", "is not a safetensors file"),
        (tmp_path, "is a folder"),
        (classifier, "is a checkpoint of subquad already"),
    ):
        sentence = complains("convert", source, "--output", target, quoting=[str(source), quoting])
        assert "_Ignored" not in sentence and "subquad fit" not in sentence
    assert not target.exists()


def test_a_published_set_is_named_by_its_name(complains, tmp_path):
    root = write_published("voc", tmp_path / "voc")
    complains("data", "check", root, quoting="Its folders are those of voc: give --format voc.")


@pytest.mark.parametrize(
    ("name", "source"),
    [("segnext_tiny", "Guo et al., SegNeXt, NeurIPS 2022"), ("light_ham_van_tiny", "Guo et al., CVMJ 2023")],
)
def test_info_names_the_source(call, name, source):
    assert source in call("info", name).out

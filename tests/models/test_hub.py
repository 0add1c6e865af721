"""Folders of the Hub: the network comes back, and the card tells what is known and nothing else."""

import builtins
import json

import pytest
import torch
from torch import nn

from subquad import create_model, load_model
from subquad.models import (
    Classifier,
    ClassifierConfig,
    HamNet,
    LightHam,
    from_pretrained,
    hub,
    save_pretrained,
)

huggingface_hub = pytest.importorskip("huggingface_hub")

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}
NAMES = {"class_names": ("road", "sky|cloud", "car"), "palette": ((1, 2, 3), (4, 5, 6), (7, 8, 9))}


def small(**overrides):
    return create_model("light_ham_van_tiny_d256", **SMALL | overrides).eval()


def test_round_trip(tmp_path):
    network, x = small(**NAMES), torch.randn(2, 3, 33, 40)
    folder = tmp_path / "new" / "mine"
    save_pretrained(network, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    again = from_pretrained(folder)
    assert again.config == network.config and not again.training
    assert torch.equal(again(x), network(x))
    assert torch.equal(load_model(folder / "model.safetensors")(x), network(x))
    config = json.loads((folder / "config.json").read_text())
    assert config["family"] == "light_ham" and config["config"]["rank"] == 4


def test_networks_have_the_methods(tmp_path):
    network = small()
    network.save_pretrained(tmp_path / "mine", license="mit", metrics={"mean IoU": 0.5}, description="Mine.")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "mit" in card and "| mean IoU | 0.5 |" in card and "Mine." in card
    again, x = LightHam.from_pretrained(tmp_path / "mine"), torch.randn(1, 3, 20, 24)
    assert torch.equal(again(x), network(x))
    with pytest.raises(ValueError, match="mine holds a LightHam, not a HamNet"):
        HamNet.from_pretrained(tmp_path / "mine")


def test_the_card_is_filled_in(tmp_path):
    network = small(**NAMES, mean=(0.1, 0.2, 0.3))
    description = "Trained on nothing: random weights."
    save_pretrained(
        network, tmp_path / "mine", license="mit", metrics={"mean IoU": 0.4321}, description=description
    )
    card = huggingface_hub.ModelCard.load(tmp_path / "mine" / "README.md")
    data = card.data.to_dict()
    assert data["license"] == "mit" and data["library_name"] == "subquad"
    assert data["pipeline_tag"] == "image-segmentation" and data["tags"] == ["subquad", "light_ham"]
    count = sum(p.numel() for p in network.parameters())
    for text in (
        "# mine", "semantic segmentation", "`conv_tiny`", "3 classes", f"{count:,} parameters", description,
        'from_pretrained("mine")', "Mean [0.1, 0.2, 0.3], standard deviation [0.229, 0.224, 0.225]",
        "| 0 | road | 1, 2, 3 |", "| 1 | sky\\|cloud | 4, 5, 6 |", "| mean IoU | 0.4321 |",
        "Of the weights: mit.",
    ):  # fmt: skip
        assert text in card.text, text


def test_the_card_says_what_it_does_not_know(tmp_path):
    save_pretrained(small(), tmp_path / "mine")
    text = (tmp_path / "mine" / "README.md").read_text()
    assert "3; their names were not given." in text and "None were given." in text
    assert "Of the weights: apache-2.0." in text


def test_the_example_of_the_card_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_pretrained(small(in_channels=4), "mine")
    code = (tmp_path / "mine" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)
    assert names["logits"].shape == (1, 3, 256, 320)


def test_a_classifier(tmp_path):
    network = Classifier(ClassifierConfig(backbone="conv_tiny", num_classes=7)).eval()
    save_pretrained(network, tmp_path / "mine")
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(from_pretrained(tmp_path / "mine")(x), network(x))
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "pipeline_tag: image-classification" in card
    assert "for image classification, with" in card


def test_an_edited_card_is_kept_and_weights_are_replaced(tmp_path):
    save_pretrained(small(), tmp_path)
    (tmp_path / "README.md").write_text("my own words")
    second = small(rank=7)
    save_pretrained(second, tmp_path)
    assert (tmp_path / "README.md").read_text() == "my own words"
    assert from_pretrained(tmp_path).config.rank == 7
    assert json.loads((tmp_path / "config.json").read_text())["config"]["rank"] == 7


def test_bad_folders_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no model.safetensors; give a folder"):
        from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match=r"is not a safetensors file \(it starts with b'no"):
        from_pretrained(tmp_path)
    for absent in (tmp_path / "none", "./none", "none", "a/b/c"):
        with pytest.raises(FileNotFoundError, match="there is no folder .*user/name"):
            from_pretrained(absent)
    with pytest.raises(ValueError, match="is a file"):
        save_pretrained(small(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"only networks of subquad.create_model.*got Linear"):
        save_pretrained(nn.Linear(1, 1), tmp_path)


def test_a_repository_is_downloaded_only_when_it_is_named(tmp_path, monkeypatch):
    save_pretrained(small(), tmp_path / "mine")
    asked = []

    def download(repository, name, **options):
        asked.append((repository, name, options["revision"]))
        return tmp_path / "mine" / name

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    from_pretrained(tmp_path / "mine")
    assert not asked
    assert from_pretrained("user/mine", revision="v1").config.rank == 4
    assert asked == [("user/mine", "model.safetensors", "v1")]

    def fail(*args, **options):
        raise OSError("\n  offline\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ValueError, match="repository 'user/mine' cannot be had:   offline$"):
        from_pretrained("user/mine")


def test_push_uploads_the_same_folder(tmp_path, monkeypatch):
    uploaded = {}

    class Api:
        def __init__(self, token=None):
            uploaded["token"] = token

        def create_repo(self, repo_id, private, exist_ok):
            uploaded["private"] = private
            return type("Url", (), {"repo_id": repo_id})

        def upload_folder(self, *, repo_id, folder_path, commit_message, **options):
            uploaded["files"] = {p.name: p.read_bytes() for p in folder_path.iterdir()}
            return "https://example.org/commit"

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    address = small().push_to_hub("user/mine", private=True, token="t", metrics={"mean IoU": 0.5})
    assert address == "https://example.org/commit"
    assert uploaded["private"] is True and uploaded["token"] == "t"
    assert uploaded["files"].keys() == {"README.md", "config.json", "model.safetensors"}
    card = uploaded["files"]["README.md"].decode()
    assert 'from_pretrained("user/mine")' in card and "| mean IoU | 0.5 |" in card


def test_without_huggingface_hub(tmp_path, monkeypatch):
    save_pretrained(small(), tmp_path / "mine")
    real = builtins.__import__

    def without(name, *rest):
        if name == "huggingface_hub":
            raise ModuleNotFoundError("No module named 'huggingface_hub'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert from_pretrained(tmp_path / "mine").config.rank == 4
    with pytest.raises(ValueError, match=r"need huggingface_hub: pip install 'subquad\[train\]'"):
        hub.save_pretrained(small(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_run_is_no_folder_of_the_hub(tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"")
    with pytest.raises(
        FileNotFoundError, match=r"best weights of a run are read by load_model\('.*best.safetensors'\)"
    ):
        from_pretrained(tmp_path)

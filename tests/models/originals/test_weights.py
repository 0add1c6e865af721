"""Files of weights: what is no plain finite number is refused by name, whatever the file."""

import zipfile

import numpy as np
import pytest
import torch

from checkpoint_files import saved, tiny
from subquad import create_model, load_model, load_original, save_model
from subquad.models.originals.weights import read_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_not_loaded_unless_asked_for(tmp_path, value):
    network = tiny()
    with torch.no_grad():
        network.classifier.weight[0, 1] = value
        network.embedding.weight.fill_(value)
    save_model(network, path := tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"embedding.weight, classifier.weight in .*a.safetensors hold NaN"):
        load_model(path)
    assert not load_model(path, allow_not_finite=True).embedding.weight.isfinite().any()
    with pytest.raises(ValueError, match=r"classifier.weight, embedding.weight in .*a.safetensors hold NaN"):
        load_original(tiny(), path)


def test_what_float32_cannot_hold_is_not_finite(tmp_path):
    save_model(tiny().double(), path := tmp_path / "a.safetensors")
    load_model(path)
    network = tiny().double()
    with torch.no_grad():
        network.classifier.bias[0] = 1e300
    save_model(network, path)
    with pytest.raises(ValueError, match=r"classifier.bias in .*a.safetensors holds NaN or infinity"):
        load_model(path)
    fresh = tiny()
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with pytest.raises(ValueError, match=r"classifier.bias in the state dict holds NaN or infinity"):
        load_original(fresh, network.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.state_dict().items())


def test_numpy_scalars_beside_the_weights_are_looked_past(tmp_path):
    content = {"best": np.float64(0.5), "step": np.int64(3), "model_state_dict": tiny().state_dict()}
    torch.save(content, tmp_path / "a.pth")
    assert load_original(tiny(), tmp_path / "a.pth").coverage == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(1).expand(2**40),
        lambda: torch.empty(3, device="meta"),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1), (2**40,)),
        lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    ],
    ids=["repeated", "meta", "sparse", "huge", "quantised"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_tensors_larger_than_their_file_or_of_another_kind_are_refused(tmp_path, make):
    torch.save({"state_dict": {"classifier.weight": make()}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"classifier.weight in .*a.pth is no plain tensor|a.pth is"):
        read_weights(tmp_path / "a.pth")


def test_small_floats_are_read():
    tensors = read_weights(
        {"a": torch.ones(2).to(torch.float8_e4m3fn), "b": torch.ones(2, dtype=torch.bfloat16)}
    )
    assert tensors["a"].tolist() == [1, 1] and tensors["b"].dtype == torch.bfloat16
    with pytest.raises(ValueError, match="a in the state dict holds NaN"):
        read_weights({"a": torch.full((2,), float("nan")).to(torch.float8_e4m3fn)})


def test_a_packed_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(100_000))
    assert read_weights(tmp_path / "a.npz")["a"].shape == (100_000,)
    monkeypatch.setattr("subquad.models.originals.weights.LARGEST_UNPACKED", 10_000)
    monkeypatch.setattr(np, "load", None)  # it is not even opened
    with pytest.raises(ValueError, match=r"a.npz is no .npz file of plain arrays"):
        read_weights(tmp_path / "a.npz")
    assert zipfile.is_zipfile(tmp_path / "a.npz")


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(
        ValueError, match=r"a.pth is no checkpoint of PyTorch, or a damaged one \(torch.save packs nothing"
    ):
        read_weights(tmp_path / "a.pth")


def test_renamed_files_are_refused(tmp_path):
    path = saved(tmp_path / "a.safetensors")
    path.rename(tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a.pth is no checkpoint of PyTorch"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "options", "quoting"),
    [
        ("light_ham_van_tiny", {"std": (0, 1, 1)}, "std must be 1e-06 to 1e"),
        ("light_ham_van_tiny", {"std": (1e9, 1, 1)}, "std must be"),
        ("light_ham_van_tiny", {"mean": (float("nan"), 0, 0)}, r"mean\[0\] must be a finite number, got nan"),
        ("light_ham_van_tiny", {"drop_path": -1}, r"drop_path must be in \[0, 1\), got -1"),
        ("light_ham_van_tiny", {"drop_path": 2}, r"drop_path must be in \[0, 1\), got 2"),
        ("light_ham_van_tiny", {"dropout": float("inf")}, "dropout must be a finite number, got inf"),
        ("light_ham_van_tiny", {"channels": 0}, "channels must be at least 1, got 0"),
        ("light_ham_van_tiny", {"rank": 0}, "rank must be at least 1, got 0"),
        ("light_ham_van_tiny", {"rank": 10**9}, "rank must be at most 1,048,576"),
        ("light_ham_van_tiny", {"rank": 2**20, "ham_channels": 2**20}, "parameters is asked for"),
        ("light_ham_van_tiny", {"steps": 10**9}, "steps must be at most 1,000"),
        ("light_ham_van_tiny", {"solver": "VQ", "eval_steps": 0}, "eval_steps must be at least 1, got 0"),
        ("light_ham_van_tiny", {"solver": {"kind": "VQ"}}, "a solver is a name such as VQ"),
        ("light_ham_van_tiny", {"palette": ((0, 0, 300),) * 150}, "colours of a palette are 0 to 255"),
        ("hamnet_r50_voc", {"output_stride": 0}, "output_stride must be at least 1"),
        ("hamnet_r50_voc", {"auxiliary_weight": -1}, "auxiliary_weight must be at least 0"),
        ("hamnet_r50_voc", {"bn_momentum": 2}, "bn_momentum must be at most 1, got 2"),
        ("hamnet_r50_voc", {"norm": "layer"}, "norm must be one of batch, group, got 'layer'"),
        ("van_tiny", {"drop_path": 1}, r"drop_path must be in \[0, 1\), got 1"),
        ("van_tiny", {"backbone": "timm/hf-hub:x/y"}, "timm knows no network"),
        ("van_tiny", {"backbone": "timm/resnet18.://x"}, "timm knows no network"),
        ("paramixer_text", {"hidden": 2**20, "dim": 2**20}, "parameters is asked for"),
        ("paramixer_text", {"length": 2**31, "positions": True}, "parameters is asked for"),
        ("paramixer_text", {"dim": 2.5}, "dim must be a whole number, got 2.5"),
        ("hamgan_baby", {"width": 0}, "width must be at least 1, got 0"),
        ("hamgan_baby", {"generator_rank": 0}, "generator_rank must be at least 1, got 0"),
    ],
    ids=str,
)  # fmt: skip
def test_absurd_options_are_refused_before_they_cost_memory(name, options, quoting):
    with pytest.raises(ValueError, match=quoting):
        create_model(name, **options)


def test_lists_and_numbers_of_numpy_are_taken_as_pythons(tmp_path):
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=np.int64(32), channels=32, rank=4,
        num_classes=2, mean=[0.5, np.float32(0.5), 1], class_names=["a", "b"],
    )  # fmt: skip
    assert network.config.mean == (0.5, 0.5, 1) and network.config.class_names == ("a", "b")
    assert type(network.config.ham_channels) is int
    save_model(network, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").config == network.config

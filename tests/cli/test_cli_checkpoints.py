"""What the commands say of a checkpoint that is damaged, or not finite; and which papers `info` names."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from checkpoint_files import saved, tiny, with_options
from cli_helpers import fit_arguments
from subquad import create_model, save_model

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


@pytest.fixture
def not_finite(tmp_path):
    network = create_model("light_ham_van_tiny_d256", **SMALL)
    with torch.no_grad():
        network.head.classifier.weight.fill_(float("nan"))
    save_model(network, tmp_path / "nan.safetensors")
    return tmp_path / "nan.safetensors"


def test_weights_that_are_not_finite_are_refused_by_all_commands_but_info(
    call, complains, data, not_finite, tmp_path
):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "x.png")
    said = ("head.classifier.weight in", "nan.safetensors holds NaN")
    complains("predict", not_finite, tmp_path / "x.png", "--output", tmp_path / "masks", quoting=said)
    complains("test", not_finite, "--data.name=folder", f"--data.root={data}", quoting=said)
    complains("export", not_finite, "--output", tmp_path / "m.onnx", quoting=said)
    complains(*fit_arguments(data, tmp_path / "run", f"--model.weights={not_finite}"), quoting=said)
    assert not any((tmp_path / name).exists() for name in ("masks", "m.onnx"))
    result = call("info", not_finite)
    assert (result.code, result.err) == (0, "")
    assert "not finite: 1 tensors such as head.classifier.weight hold NaN or infinity" in result.out
    assert "not finite" not in call("info", "light_ham_van_tiny_d256").out


def test_generators_and_sequence_networks_that_are_not_finite_are_refused(complains, tmp_path):
    network = create_model("hamgan_baby", size=32, width=1, num_classes=2, latent=4)
    with torch.no_grad():
        next(network.generator.parameters()).fill_(float("inf"))
    save_model(network, tmp_path / "gan.safetensors")
    said = ("generator.", "NaN or infinity; take weights from before that")
    complains("generate", tmp_path / "gan.safetensors", "--output", tmp_path / "out", quoting=said)
    network = tiny(class_names=("a", "b"))
    with torch.no_grad():
        network.classifier.bias.fill_(float("nan"))
    save_model(network, tmp_path / "s.safetensors")
    (tmp_path / "x.csv").write_text("text\nab\n")
    complains(
        "predict", tmp_path / "s.safetensors", tmp_path / "x.csv", "--output", tmp_path / "p.csv",
        quoting="classifier.bias in",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["info", "predict", "test", "export"])
def test_a_damaged_configuration_is_one_sentence(complains, command, tmp_path):
    path = with_options(saved(tmp_path / "a.safetensors"), depth=10**9)
    more = {"predict": [tmp_path], "export": ["--output", tmp_path / "m.onnx"]}.get(command, [])
    complains(command, path, *more, quoting=(str(path), "depth must be at most 1,000"))


def test_info_names_the_papers_of_each_family(call):
    expected = {
        "hamgan_baby": "source: Geng et al., ICLR 2021; see",
        "light_ham_van_tiny": "source: Geng et al., ICLR 2021; Guo et al., CVMJ 2023; see",
        "segnext_tiny": "source: Geng et al., ICLR 2021; Guo et al., SegNeXt, NeurIPS 2022; see",
        "hamnet_r50_voc": "source: Geng et al., ICLR 2021; He et al., CVPR 2016; see",
        "van_tiny": "source: Guo et al., CVMJ 2023; see",
        "paramixer_text": "source: Yu et al., CVPR 2022; see",
    }
    for name, source in expected.items():
        assert source in call("info", name).out


def test_a_run_goes_on_after_an_option_was_added(tmp_path):
    """An option that the older version did not have has its default; another value is still told."""
    from subquad.engine.learner import CONFIG_KEY
    from subquad.engine.resume import check_resumable
    from subquad.models.config_text import config_to_json
    from subquad.tasks.sequences.learner import SequenceLearner

    task = SequenceLearner(tiny())
    content = json.loads(config_to_json(task.config))
    del content["config"]["start"]
    torch.save({CONFIG_KEY: json.dumps(content)}, tmp_path / "last.ckpt")
    check_resumable(tmp_path / "last.ckpt", task)
    for options, sentence in (
        ({"dim": 5}, "is of another network: its dim is 5, not 4"),
        ({"new": 1}, "'new', which this version of subquad does not know; update subquad"),
        ({"dim": "x"}, "last.ckpt is damaged: dim must be a whole number"),
    ):
        torch.save(
            {CONFIG_KEY: json.dumps({**content, "config": content["config"] | options})},
            tmp_path / "last.ckpt",
        )
        with pytest.raises(ValueError, match=sentence):
            check_resumable(tmp_path / "last.ckpt", task)

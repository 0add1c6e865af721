"""What a checkpoint says of its network is read by one reader: it gives a network or one sentence."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkpoint_files import content_of, header_and_data, saved, tiny, with_options, with_text, write_header
from subquad import create_model, load_model, save_model
from subquad.models import SequenceConfig, config_text, read_config
from subquad.models.config_text import config_from_json

FILES = Path(__file__).parent / "files"
# ruff: noqa: E501
FORMAT_1 = {  # as they were before 0.1.0 was released
    "light_ham": '{"num_classes": 150, "class_names": [], "in_channels": 3, "mean": null, "std": null, "palette": [], "solver": {"type": "NMF", "eps": 1e-06}, "rank": 16, "heads": 1, "steps": 6, "eval_steps": 7, "grad_steps": 0, "start": "random", "dropout": 0.1, "drop_path": 0.1, "backbone": "van_tiny", "ham_channels": 256, "channels": 256, "ham": "decomposition", "norm": "group"}',
    "hamnet": '{"num_classes": 21, "class_names": [], "in_channels": 3, "mean": null, "std": null, "palette": [], "solver": {"type": "NMF", "eps": 1e-06}, "rank": 64, "heads": 1, "steps": 6, "eval_steps": 6, "grad_steps": 0, "start": "random", "dropout": 0.1, "drop_path": 0.1, "backbone": "resnet50_voc", "output_stride": 8, "channels": 512, "version": "v2", "dim": 512, "align_channels": 256, "norm": "batch", "bn_momentum": 0.0003, "concat_input": false, "auxiliary": false, "auxiliary_weight": 0.4, "corners": true}',
    "classifier": '{"num_classes": 1000, "class_names": [], "in_channels": 3, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "backbone": "van_tiny", "drop_path": 0.1}',
    "sequence": '{"num_classes": 1, "class_names": [], "vocab_size": null, "token_names": [], "in_features": 2, "length": 128, "regression": true, "dim": 32, "hidden": 32, "depth": 1, "mixer": "paramixer", "heads": 1, "protocol": "chord", "links": 9, "factors": "ceil", "residual": "running", "norm": false, "start": "random", "pooling": "cls", "positions": false, "dropout": 0.0, "double_dropout": false, "block_dropout": 0.0, "embedding_range": null, "unused_tables": false, "recompute": false}',
    "hamgan": '{"num_classes": 1000, "class_names": [], "in_channels": 3, "mean": null, "std": null, "size": 128, "latent": 128, "width": 64, "context": "hamburger", "version": "v1", "solver": {"type": "NMF", "eps": 1e-06}, "generator_rank": 32, "discriminator_rank": 16, "steps": 6, "eval_steps": null, "grad_steps": 0, "start": "random"}',
}  # fmt: skip


def refusal(path):
    """Return the one sentence that refuses a file, after checking that it names it."""
    with pytest.raises(ValueError) as raised:
        load_model(path)
    sentence = str(raised.value)
    assert str(path) in sentence and "\n" not in sentence and len(sentence) < 1000
    return sentence


@pytest.mark.parametrize("family", FORMAT_1)
def test_configurations_of_format_1_are_read(family):
    text = json.dumps({"format": 1, "family": family, "config": json.loads(FORMAT_1[family])})
    config = config_from_json(text, "old")
    for name, value in json.loads(FORMAT_1[family]).items():
        if name != "solver":
            value = "hamburger" if value == "decomposition" else value
            found = getattr(config, "context" if name in ("ham", "mixer") else name)
            assert found == (tuple(value) if isinstance(value, list) else value)


def test_a_file_of_format_1_gives_the_same_numbers():
    network = load_model(FILES / "format_1.safetensors")
    assert network.config.class_names == ("a", "b")
    expected = torch.tensor([[-0.4607458710670471, 0.0012367921881377697]])
    torch.testing.assert_close(network(torch.tensor([[0, 1, 2, 3, 4, 3, 2]])), expected)


@pytest.mark.parametrize("solver", ["delta", "linear", "ham"])
def test_networks_of_text_of_format_2_give_the_same_numbers(tmp_path, solver):
    """Their keys were directions, which the default no longer is."""
    network = create_model(
        "ham_lm_tiny", dim=8, heads=2, depth=1, pattern=(solver,), memory_keys="unit", query_start="random"
    ).eval()
    path = tmp_path / "old.safetensors"
    save_model(network, path)
    content = content_of(path)
    del content["config"]["memory_keys"], content["config"]["query_start"]
    again = load_model(with_text(path, json.dumps({**content, "format": 2})))
    assert again.config == network.config
    tokens = torch.arange(20).unsqueeze(0)
    assert torch.equal(again(tokens), network(tokens))


def test_an_option_that_an_old_file_lacks_takes_its_default(tmp_path):
    path = saved(tmp_path / "a.safetensors")
    content = content_of(path)
    del content["config"]["recompute"], content["config"]["start"]
    assert load_model(with_text(path, json.dumps(content))).config == tiny().config


def test_older_formats_are_upgraded_step_by_step(monkeypatch):
    """As if format 2 had renamed an option, and format 3 another."""

    def renamed(old, new):
        def upgrade(content):
            values = {new if name == old else name: value for name, value in content["config"].items()}
            return {**content, "config": values}

        return upgrade

    monkeypatch.setattr(config_text, "FORMAT", 3)
    monkeypatch.setattr(config_text, "UPGRADES", {1: renamed("a", "b"), 2: renamed("b", "dim")})
    for made, name in ((1, "a"), (2, "b"), (3, "dim")):
        text = json.dumps({"format": made, "family": "sequence", "config": {"num_classes": 2, name: 7}})
        assert config_from_json(text, "x") == SequenceConfig(num_classes=2, dim=7)


def test_every_format_has_an_upgrade():
    assert list(config_text.UPGRADES) == list(range(1, config_text.FORMAT))


def test_newer_files_are_told_by_option_and_format(tmp_path):
    path = with_options(saved(tmp_path / "a.safetensors"), new_option=1, other=[2])
    sentence = refusal(path)
    assert "'new_option', 'other'" in sentence and "update subquad" in sentence
    content = content_of(path) | {"format": 7}
    assert "format 7" in refusal(with_text(path, json.dumps(content)))
    content |= {"format": 1, "family": "mamba"}
    assert "family 'mamba'" in refusal(with_text(path, json.dumps(content)))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[1]", "{", '"text"', "NaN", "{}", "[" * 100_000 + "]" * 100_000, "1" * 5000,
        '{"format": "1", "family": "sequence", "config": {}}',
        '{"format": true, "family": "sequence", "config": {}}',
        '{"format": 0, "family": "sequence", "config": {}}',
        '{"format": -1, "family": "sequence", "config": {}}',
        '{"format": 1.5, "family": "sequence", "config": {}}',
        '{"format": 1, "family": ["a"], "config": {}}',
        '{"format": 1, "family": null, "config": {}}',
        '{"format": 1, "family": "sequence", "config": [1]}',
        '{"format": 1, "family": "sequence"}',
        '{"format": 1, "family": "sequence", "config": {}}',
        '{"format": 1, "family": "os.path", "config": {}}',
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_a_damaged_text_is_one_sentence(tmp_path, text):
    refusal(with_text(saved(tmp_path / "a.safetensors"), text))


@pytest.mark.parametrize(
    ("options", "quoting"),
    [
        ({"num_classes": "2"}, "num_classes must be a whole number, got '2'"),
        ({"num_classes": True}, "num_classes must be a whole number, got True"),
        ({"num_classes": 2.0}, "num_classes"),
        ({"num_classes": None}, "num_classes"),
        ({"num_classes": 10**12}, "num_classes must be at most 1,048,576"),
        ({"num_classes": 10**400}, "num_classes must be a whole number"),
        ({"dim": 10**9}, "dim must be at most"),
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"dim": 2**20}, "does not fit its own configuration"),  # 2 GB, if they were built
        ({"length": 2**31, "positions": True}, "does not fit its own configuration"),
        ({"depth": 10**6}, "depth must be at most 1,000"),
        ({"factors": 10**9}, "factors must be at most 64"),
        ({"factors": "round"}, "factors must be one of ceil, floor or a whole number"),
        ({"dropout": float("nan")}, "dropout must be a finite number"),
        ({"dropout": -1}, "dropout must be in [0, 1)"),
        ({"norm": 1}, "norm must be true or false"),
        ({"protocol": ["chord"]}, "protocol must be one of chord, cdil"),
        ({"class_names": "ab"}, "class_names must be a list"),
        ({"class_names": ["a", 1]}, "class_names[1] must be text"),
        ({"class_names": ["a", "b\x1b[2J"]}, "without control characters"),
        ({"class_names": ["a", "b\nc"]}, "without control characters"),
        ({"class_names": ["a", "\ud800"]}, "class_names[1] must be text"),
        ({"class_names": ["a", "b" * 10**6]}, "1,000 characters"),
        ({"class_names": ["a"]}, "class_names has 1 entries for 2 classes"),
        ({"token_names": {"a": 1}}, "token_names must be a list"),
        ({"embedding_range": -1}, "embedding_range must be at least 0"),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_an_absurd_option_in_a_file_is_refused_by_name(tmp_path, options, quoting):
    assert quoting in refusal(with_options(saved(tmp_path / "a.safetensors"), **options))


def test_lists_of_any_depth_are_refused(tmp_path):
    path = saved(tmp_path / "a.safetensors")
    text = json.dumps(content_of(path))
    for depth in (500, 900, 10_000):
        refusal(
            with_text(path, text.replace('"class_names": []', f'"class_names": {"[" * depth}{"]" * depth}'))
        )


def test_a_header_beyond_the_limits_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.safetensors")
    header, data = header_and_data(path)
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    many = {f"t{index}": tensor for index in range(100_000)}
    assert "100,000 tensors, and 20,000 are the most" in refusal(write_header(path, many, b""))
    monkeypatch.setattr("subquad.models.checkpoint.LARGEST_HEADER", 1000)
    assert "are the most" in refusal(write_header(path, header, data))


def damaged_headers():
    """Lies about where tensors lie and how large they are."""
    first = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {
        "overlapping": {"a": first, "b": first},
        "huge": {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        "beyond 64 bits": {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        "negative": {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        "unknown type": {"a": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}},
        "no shape": {"a": {"dtype": "F32", "data_offsets": [0, 8]}},
        "nested": {"a": [[[[]]]]},
    }  # fmt: skip


@pytest.mark.parametrize("name", damaged_headers())
def test_headers_that_lie_are_one_sentence(tmp_path, name):
    path = write_header(tmp_path / "a.safetensors", damaged_headers()[name], b"\0" * 8)
    assert "is not a safetensors file" in refusal(path)


def test_what_is_no_such_file_is_one_sentence(tmp_path):
    path = saved(tmp_path / "a.safetensors")
    content = path.read_bytes()
    for spoilt in (b"", content[:7], content[:100], content[:-1], b"\xff" * 8 + content[8:], b"[" * 10_000):
        path.write_bytes(spoilt)
        refusal(path)
    torch.save({"a": torch.zeros(2)}, path)
    refusal(path)
    assert "is a folder" in refusal(tmp_path)


def test_a_type_that_lies_is_refused(tmp_path):
    """Read as whole numbers, the bits of weights are another network."""
    path = saved(tmp_path / "a.safetensors")
    header, data = header_and_data(path)
    for entry in header.values():
        if entry.get("dtype") == "F32":
            entry["dtype"] = "I32"
    assert "does not fit its own configuration" in refusal(write_header(path, header, data))


def test_a_stored_backbone_is_looked_up_in_lists_alone(tmp_path):
    network = create_model(
        "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=2
    )
    path = tmp_path / "b.safetensors"
    save_model(network, path)
    for name in (
        "timm/hf-hub:a/b",
        "timm/local-dir:/tmp",
        "timm/resnet18.://x",
        "timm/os.system",
        "os",
        "",
        "../x",
    ):
        assert "configuration in" in refusal(with_options(path, backbone=name))
    refusal(with_options(path, backbone=1))
    for options in (
        {"rank": 10**9}, {"rank": 2**20}, {"std": [0, 1, 1]}, {"std": [1e9, 1, 1]}, {"mean": [1, 2, "a"]},
        {"drop_path": -1}, {"drop_path": 2}, {"steps": 10**9}, {"channels": 0}, {"ham_channels": 33},
        {"palette": [[0, 0, 256], [0, 0, 0]]}, {"palette": [[0, 0], [0, 0]]}, {"solver": "NMF"}, {"solver": None},
        {"solver": {"type": ["NMF"]}}, {"solver": {"type": "os.system"}}, {"solver": {"type": "NMF", "eps": "x"}},
        {"solver": {"type": "VQ", "temperature": 1e-300}}, {"solver": {"type": "NMF", "nonsense": 1}},
        {"heads": 3}, {"grad_steps": 7}, {"in_channels": 4},
    ):  # fmt: skip
        refusal(with_options(path, **options))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
relaxed = settings(
    max_examples=40,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loads_or_says_why(path):
    try:
        load_model(path)
        read_config(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error) and "\n" not in str(error)


@relaxed
@given(data=st.data())
def test_any_value_of_any_option_gives_a_network_or_a_sentence(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes((FILES / "format_1.safetensors").read_bytes())
    names = list(content_of(path)["config"])
    options = data.draw(
        st.dictionaries(st.sampled_from(names) | st.text(max_size=5), json_values, min_size=1)
    )
    loads_or_says_why(with_options(path, **options))


@relaxed
@given(data=st.data())
def test_any_change_of_the_bytes_gives_a_network_or_a_sentence(tmp_path, data):
    path = tmp_path / "a.safetensors"
    content = bytearray((FILES / "format_1.safetensors").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=8))
        content[position : position + data.draw(st.integers(0, 8))] = piece
    path.write_bytes(bytes(content))
    loads_or_says_why(path)

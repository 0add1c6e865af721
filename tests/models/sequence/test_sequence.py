"""Sequence networks: their sizes, the originals' numbers, lengths, readouts, what is registered."""

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from helpers import MeanMixer, load_case, relative_error, weights_of
from nightly import some_by_day
from subquad import create_model, load_model, load_original, save_model
from subquad.base import plugins
from subquad.models import model_config, register_mixer
from subquad.models.cost import multiply_adds, parameters
from subquad.models.originals.load import read_weights
from subquad.models.originals.recognise import recognise
from subquad.models.sequence import mixer_registry
from subquad.nn import Paramixer

# Parameters of the original networks, spec/sequence.md 1.5.
PUBLISHED = [
    ("adding", {"length": 2**7, "factors": "floor", "pooling": "flatten"}, 19_673),
    ("adding", {"length": 2**10, "factors": "floor", "pooling": "flatten"}, 81_967),
    ("adding", {"length": 2**14, "factors": "floor", "pooling": "flatten"}, 1_072_531),
    ("adding", {"length": 2**15, "factors": "floor", "pooling": "flatten"}, 2_123_153),
    ("order", {"length": 2**7, "factors": "floor", "pooling": "flatten"}, 32_028),
    ("order", {"length": 2**10, "factors": "floor", "pooling": "flatten"}, 180_338),
    ("order", {"length": 2**14, "factors": "floor", "pooling": "flatten"}, 2_645_462),
    ("order", {"length": 2**15, "factors": "floor", "pooling": "flatten"}, 5_268_948),
    ("listops", {}, 2_874_894),
    ("listops", {"protocol": "cdil"}, 2_873_805),
    ("image", {}, 384_952),
    ("image", {"protocol": "cdil"}, 384_292),
    ("pathfinder", {}, 239_632),
    ("pathfinder", {"protocol": "cdil"}, 238_972),
    ("text", {}, 394_500),
    ("text", {"protocol": "cdil"}, 369_345),
    ("long_document", {}, 2_301_814),
    ("long_document", {"protocol": "cdil"}, 2_290_978),
    ("long_document", {"length": 32_769}, 3_957_012),
    ("long_document", {"length": 32_769, "protocol": "cdil"}, 3_943_467),
    ("genome", {}, 1_667_604),
    ("genome", {"protocol": "cdil"}, 1_656_768),
    ("genome", {"vocab_size": 6}, 1_667_636),
    ("genome", {"vocab_size": 6, "protocol": "cdil"}, 1_656_800),
]


@pytest.mark.parametrize(("task", "options", "expected"), PUBLISHED)
def test_parameters_are_the_originals_to_the_last_unit(task, options, expected):
    assert parameters(f"paramixer_{task}", unused_tables=True, **options) == expected


def test_multiply_adds_are_the_published_ones():
    # Spec 1.5 counts g, links and mixing, not the readout: 16 + 99 + 34 million for ListOps.
    readout = 1999 * 128 * 10
    assert (multiply_adds("paramixer_listops") - readout) / 1e6 == pytest.approx(149, abs=0.5)
    assert multiply_adds("paramixer_text") / 1e6 == pytest.approx(1113, abs=1)


def of_case(name, **changes):
    """Return a case, and a network of its shape that was filled from its original weights."""
    case = load_case(name)
    meta = case.meta
    task = "adding" if meta["variant"] == "synthetic" else "listops"
    options = {
        "length": meta["length"],
        "dim": meta["dim"],
        "hidden": meta["hidden"],
        "depth": meta["layers"],
        "protocol": meta["protocol"],
        "pooling": meta.get("pooling", "FLATTEN").lower(),
        "positions": meta["positions"],
        "factors": "floor" if meta["factors"].startswith("int") else "ceil",
    }
    if "classes" in meta:
        options |= {"num_classes": meta["classes"], "vocab_size": meta["vocab"]}
    return case, create_model(f"paramixer_{task}", **options | changes)


@pytest.mark.parametrize("name", ["paramixer_lra_chord", "paramixer_lra_cdil", "paramixer_adding"])
def test_the_originals_numbers(name):
    case, network = of_case(name)
    report = load_original(network, weights_of(case))
    assert report.coverage == 1
    assert set(report.unexpected) <= {"embedding.weight", "apc_embedding.weight"}  # never used there
    inputs = torch.as_tensor(case.x if hasattr(case, "x") else case.tokens)
    with torch.no_grad():
        assert relative_error(network.eval()(inputs), torch.as_tensor(case.out)) < 1e-5


@pytest.mark.parametrize("name", ["paramixer_lra_chord", "paramixer_lra_cdil"])
def test_a_checkpoint_tells_its_own_shape(name):
    case, network = of_case(name)
    found = recognise(read_weights(weights_of(case)))
    again = create_model(found.name, **found.overrides)
    assert found.name == "paramixer_listops"
    assert "learned positions used" in found.assumed
    state, expected = again.state_dict(), network.state_dict()
    assert {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in expected.items()}


def test_the_checkpoint_of_the_method_before_fits_with_its_residual():
    # PSF-Attn: one block without a number, and positions of another name.
    case, network = of_case("paramixer_lra_chord", depth=1, residual="fixed")
    renamed = {}
    for name, tensor in weights_of(case).items():
        if not name.startswith("attention.1."):
            name = name.removeprefix("attention.0.").replace("apc_embedding", "pos_embedding")
            renamed[name] = tensor
    report = load_original(network, renamed)
    assert (report.coverage, report.unexpected) == (1, ())


def test_another_class_count_swaps_the_classifier():
    case, network = of_case("paramixer_lra_chord", num_classes=3)
    before = network.classifier.weight.clone()
    report = load_original(network, weights_of(case))
    assert report.classes == (10, 3)
    assert report.backbone_coverage == 1
    assert torch.equal(network.classifier.weight, before)


@pytest.mark.parametrize("changes", [{"depth": 3}, {"protocol": "cdil"}, {"hidden": 8}])
def test_a_checkpoint_of_other_blocks_is_refused(changes):
    # Whatever its tables cover: those of positions and of the readout are most of a network.
    case, network = of_case("paramixer_lra_chord", **changes)
    with pytest.raises(ValueError, match="95% are needed"):
        load_original(network, weights_of(case))


def test_another_readout_starts_anew_and_it_is_said():
    case, network = of_case("paramixer_lra_chord", pooling="cls")
    assert "the classifier has other inputs than the network's" in str(
        load_original(network, weights_of(case))
    )


def test_a_block_takes_the_first_block_of_a_checkpoint():
    case, network = of_case("paramixer_lra_chord")
    load_original(network, weights_of(case))
    block = Paramixer(24, 16, factors=6)
    report = load_original(block, {n: t for n, t in weights_of(case).items() if n.startswith("attention.0.")})
    assert report.coverage == 1
    x = torch.randn(2, 60, 24)
    assert torch.equal(block(x), network.blocks[0](x))


def test_eight_factors_of_nine_links_are_told_to_be_ambiguous():
    network = small(length=256, unused_tables=True)
    names = {"classifier": "final", "positions": "apc_embedding", "blocks": "attention"}
    state = {}
    for name, tensor in network.state_dict().items():
        first, rest = name.split(".", 1)
        state[f"{names.get(first, first)}.{rest}"] = tensor
    for layer, part in {
        "weight1": "0.weight",
        "bias1": "0.bias",
        "weight2": "2.weight",
        "bias2": "2.bias",
    }.items():
        for block in range(2):
            stacked = state.pop(f"attention.{block}.links.{layer}")
            rows = stacked.chunk(8) if layer.endswith("1") else stacked.unbind()
            for factor, tensor in enumerate(rows):
                state[f"attention.{block}.fs.{factor}.network.{part}"] = tensor
    for block in range(2):
        for name in [n for n in state if n.startswith(f"attention.{block}.g.")]:
            state[name.replace(".g.", ".g.network.")] = state.pop(name)
    found = recognise(state)
    assert "8 factors of 9 links" in found.assumed
    again = create_model(found.name, **found.overrides, positions=False).eval()
    load_original(again, state)
    tokens = torch.randint(7, (2, 256))
    assert torch.equal(again(tokens), network.eval()(tokens))


def small(**options):
    settings = {"vocab_size": 7, "num_classes": 3, "length": 21, "dim": 8, "hidden": 6, "depth": 2}
    return create_model("paramixer_text", **settings | {"dropout": 0.0} | options)


@pytest.mark.parametrize("pooling", ["flatten", "cls", "mean"])
@pytest.mark.parametrize("options", [{}, {"protocol": "cdil"}, {"norm": True}, {"positions": True}])
def test_a_batch_of_mixed_lengths_gives_what_its_samples_give_alone(pooling, options):
    network = small(pooling=pooling, **options).double().eval()
    lengths = torch.tensor([21, 1, 13, 2])
    tokens = torch.randint(7, (4, 21))
    together = network(tokens, lengths=lengths)
    for sample, length in enumerate(lengths.tolist()):
        alone = network(tokens[sample : sample + 1, :length])
        torch.testing.assert_close(together[sample : sample + 1], alone, rtol=1e-10, atol=1e-12)
    mask = torch.arange(21) < lengths[:, None]
    assert torch.equal(network(tokens, mask=mask), together)


def test_padding_of_real_values_may_hold_anything_and_gets_no_gradient():
    network = small(vocab_size=None, in_features=2, pooling="mean").double()
    values = torch.randn(2, 9, 2, dtype=torch.float64)
    values[1, 4:] = torch.nan
    values.requires_grad_()
    network(values, lengths=torch.tensor([9, 4])).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad[1, 4:], torch.zeros(5, 2, dtype=torch.float64))
    assert values.grad[1, :4].abs().min() > 0
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_padding_is_zero_in_standard_units_however_far_the_mean_is():
    network = create_model("paramixer_adding", in_features=1, length=6, norm=True, mean=(1e30,), std=(1.0,))
    network(torch.full((2, 6, 1), 1e30), lengths=torch.tensor([6, 2])).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_padding_of_tokens_may_hold_numbers_of_no_token():
    network = small(pooling="mean").eval()
    tokens, lengths = torch.randint(7, (2, 9)), torch.tensor([9, 4])
    expected = network(tokens, lengths=lengths)
    tokens[1, 4:] = -100
    assert torch.equal(network(tokens, lengths=lengths), expected)


def test_the_mean_of_half_precision_does_not_overflow():
    network = small(pooling="mean", vocab_size=None, length=3000).half()
    with torch.no_grad():
        network.blocks = torch.nn.ModuleList([_Constant()])
        outputs = network(torch.zeros(2, 3000, 1, dtype=torch.float16), lengths=torch.tensor([3000, 2999]))
    assert torch.isfinite(outputs).all()


class _Constant(torch.nn.Module):
    def forward(self, values, context, *, lengths=None):
        return torch.full_like(values, 100.0)


def test_a_second_dropout_acts_on_what_is_mixed_alone():
    torch.manual_seed(0)
    network = small(dropout=0.5, double_dropout=True, depth=1)
    seen = {}
    network.blocks[0].register_forward_pre_hook(
        lambda _, arguments: seen.update(v=arguments[0], c=arguments[1])
    )
    network(torch.randint(7, (4, 21)))
    kept = {name: float((tensor != 0).float().mean()) for name, tensor in seen.items()}
    assert kept["c"] == pytest.approx(0.5, abs=0.08)
    assert kept["v"] == pytest.approx(0.25, abs=0.08)


def test_unused_tables_ask_for_no_gradient():
    network = create_model("paramixer_adding", length=8, unused_tables=True)
    network(torch.randn(2, 8, 2)).sum().backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("length", [1, 2, 5, 1999])
def test_any_length_runs(length):
    network = small(pooling="mean", length=1999)
    assert torch.isfinite(network(torch.randint(7, (2, length)))).all()


@pytest.mark.parametrize(("mixer", "mixes"), [("paramixer", True), ("none", False)])
def test_one_position_knows_of_the_others_by_mixing_alone(mixer, mixes):
    network = small(vocab_size=None, in_features=1, context=mixer, pooling="cls")
    values = torch.randn(1, 21, 1, requires_grad=True)
    network(values).sum().backward()
    assert values.grad is not None
    reached = values.grad.abs() > 0
    assert reached[0, 0]
    assert reached[0, 1:].all() == mixes
    assert reached[0, 1:].any() == mixes


def test_the_transformer_is_not_causal():
    network = small(vocab_size=None, length=300, context="transformer", pooling="cls", heads=2)
    values = torch.randn(1, 300, 1, requires_grad=True)
    network(values).sum().backward()
    assert values.grad is not None
    assert (values.grad[0, 1:].abs() > 0).float().mean() > 0.99


def test_the_transformer_is_saved_and_loaded(tmp_path):
    network = small(length=128, context="transformer", pooling="cls").eval()
    save_model(network, tmp_path / "network.safetensors")
    tokens = torch.randint(7, (2, 128))
    assert torch.equal(load_model(tmp_path / "network.safetensors").eval()(tokens), network(tokens))


def test_a_registered_mixer_is_built_stored_and_cited(tmp_path, own_registry):
    with pytest.raises(ValueError, match=r"one of paramixer, none, transformer.* got 'meen'\."):
        small(context="meen")
    for _ in range(2):  # the second time as a reload does
        register_mixer("mean", MeanMixer, paper="A. Verage, 2024")
    with pytest.raises(ValueError, match=r"got 'meen'\. Did you mean 'mean'\?"):
        small(context="meen")
    network = small(context="mean", pooling="cls").eval()
    assert network.config.sources == ("A. Verage, 2024",) and not network.config.mixes_lengths
    path = tmp_path / "network.safetensors"
    save_model(network, path)
    tokens = torch.randint(7, (2, 21))
    assert torch.equal(load_model(path).eval()(tokens), network(tokens))
    for name, build in (("mean", nn.Linear), ("transformer", MeanMixer)):
        with pytest.raises(ValueError, match=f"a mixer called '{name}' is registered already"):
            register_mixer(name, build)
    mixer_registry.MIXERS.clear()
    with pytest.raises(ValueError, match=r"got 'mean'\..*experiments/rivals, others by subq"):
        load_model(path)


def test_a_package_announces_its_mixer(monkeypatch, own_registry):
    class Point:
        value = "far.away"

        def load(self):
            register_mixer("far", MeanMixer, mixes_lengths=True)

    asked = []
    monkeypatch.setattr(plugins, "entry_points", lambda **which: asked.append(which) or [Point()])
    assert small(context="far").config.mixes_lengths
    assert asked == [{"group": "subquad.mixers", "name": "far"}]


def test_the_transformer_does_not_read_the_padding():
    network = small(length=128, context="transformer", pooling="cls").eval()
    tokens, lengths = torch.randint(7, (2, 128)), torch.tensor([128, 60])
    before = network(tokens, lengths=lengths)
    tokens[1, 60:] = (tokens[1, 60:] + 1) % 7
    assert relative_error(network(tokens, lengths=lengths), before) < 1e-5


def test_identity_start_with_norm_starts_as_a_position_wise_network():
    network = small(norm=True, start="identity", pooling="cls")
    tokens = torch.randint(7, (1, 21))
    other = tokens.clone()
    other[0, 1:] = (other[0, 1:] + 1) % 7
    assert torch.equal(network(tokens), network(other))


@pytest.mark.parametrize(
    "options",
    some_by_day([{"norm": True}, {"protocol": "cdil", "pooling": "cls"}], lambda options: "norm" in options),
)
def test_a_graph_for_any_batch_and_length(options):
    network = small(**{"pooling": "mean"} | options).eval()
    anything = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    shapes = {"inputs": anything, "lengths": {0: Dim.DYNAMIC}}
    with torch.no_grad():
        example = torch.randint(7, (2, 13)), {"lengths": torch.tensor([13, 4])}
        program = export(network, example[:1], example[1], dynamic_shapes=shapes).module()
        for lengths in ([2], [5, 1, 9], [20, 21]):
            tokens, counts = torch.randint(7, (len(lengths), max(lengths))), torch.tensor(lengths)
            expected = network(tokens, lengths=counts)
            torch.testing.assert_close(program(tokens, lengths=counts), expected)


def test_a_checkpoint_keeps_everything(tmp_path):
    network = small(protocol="cdil", residual=None, positions=True, embedding_range=0.1).eval()
    save_model(network, tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors")
    tokens = torch.randint(7, (2, 21))
    assert again.config == network.config
    assert torch.equal(again(tokens), network(tokens))


def test_the_model_card_s_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, network in {"a": small(), "b": create_model("paramixer_adding", length=8)}.items():
        network.save_pretrained(tmp_path / name)
        card = (tmp_path / name / "README.md").read_text()
        code = card.split("```python\n")[1].split("```")[0]
        scope = {}
        exec(code, scope)
        assert scope["outputs"].shape == (1, network.config.num_classes)


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({}, torch.zeros(2, 5), r"expected \(batch, n\) integer tokens, got \(2, 5\) of torch.float32"),
        ({"vocab_size": None}, torch.zeros(2, 5, 3), r"expected \(batch, n, 1\) values, got \(2, 5, 3\)"),
        ({"positions": True}, torch.zeros(1, 22, dtype=torch.int64), "22 is longer than the 21"),
        ({}, torch.full((1, 5), 7), "the inputs hold 7, but the network knows tokens 0 to 6"),
        ({}, torch.tensor([[3, -1]]), "the inputs hold -1, but"),
        ({"pooling": "flatten"}, torch.zeros(1, 22, dtype=torch.int64), "build the network with length=22"),
    ],
)
def test_wrong_input_gets_a_sentence(options, inputs, message):
    with pytest.raises(ValueError, match=message):
        small(**options)(inputs)


def test_a_sequence_without_a_real_position_is_refused():
    with pytest.raises(ValueError, match=r"every sequence must have a real position, got lengths \[3, 0\]"):
        small()(torch.zeros(2, 3, dtype=torch.int64), lengths=torch.tensor([3, 0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of"),
        ({"context": "mamba"}, "context must be one of"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"protocol": "cdil", "links": 4}, "odd number of links"),
        ({"protocol": "CHORD", "context": "none"}, "protocol must be one of"),
        ({"residual": "sum"}, "residual must be one of"),
        ({"heads": 3}, "heads must divide dim = 8, got 3"),
        ({"regression": True}, "num_classes must be 1, got 3"),
        ({"token_names": ("a",)}, "token_names has 1 entries for 7 tokens"),
    ],
)
def test_wrong_options_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_the_number_of_factors_reaches_every_position():
    assert model_config("paramixer_listops").factor_count == 11
    assert model_config("paramixer_listops", factors="floor").factor_count == 10
    assert [model_config("paramixer_text", length=n).factor_count for n in (1, 2, 3, 4096, 4097)] == [
        1, 1, 2, 12, 13,
    ]  # fmt: skip

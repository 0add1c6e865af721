"""An exported network gives the network's answers, or there is no file."""

import builtins
import copy
import json
import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nightly import some_by_day
from subquad import create_model
from subquad.export import export_onnx, export_torch, onnx_graph, report
from subquad.export.trace import trace
from subquad.models import Classifier, ClassifierConfig, NetworkConfig
from tensor_sizes import Sizes

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TINY = {"num_classes": 3, "ham_channels": 64, "channels": 64, "rank": 4}
FAMILIES = {  # light networks with every solver
    "light_ham": ("light_ham_van_tiny_d256", {"backbone": "conv_tiny"} | TINY),
    "light_ham_timm": ("light_ham_van_tiny_d256", {"backbone": "timm/test_convnext"} | TINY),  # padded
}
SLOW = {
    "light_ham_cd": ("light_ham_van_tiny_d256", {"backbone": "conv_tiny", "solver": "CD"} | TINY),
    "light_ham_vq": ("light_ham_van_tiny_d256", {"backbone": "conv_tiny", "solver": "VQ"} | TINY),
    "light_ham_attention": (
        "light_ham_van_tiny_d256",
        {"backbone": "conv_tiny", "context": "attention"} | TINY,
    ),
    "light_ham_van": ("light_ham_van_tiny_d256", {}),
    "segnext": ("segnext_tiny", {}),
    "hamnet_voc": ("hamnet_r50_voc", {}),
    "hamnet_plus": ("hamnet_r50_ade20k", {"concat_input": True}),
    "hamnet_van": ("hamnet_van_tiny_os8", {}),
    "van": ("van_tiny", {}),
}


@pytest.fixture(autouse=True)
def _quiet():
    """Tracing logs thousands of debug records, which pytest would format."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def small(**overrides):
    name, options = FAMILIES["light_ham"]
    return create_model(name, **options | overrides)


def run(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images.numpy()})[0]


class Small(nn.Module):
    """A network of somebody else."""

    def __init__(self, extra=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.extra = extra

    def forward(self, images):
        y = self.conv(images)
        return y if self.extra is None else self.extra(y)


@pytest.mark.parametrize("family", some_by_day(FAMILIES, lambda family: family == "light_ham"))
def test_every_family_at_sizes_it_never_saw(family, tmp_path):
    check_both_formats(*FAMILIES[family], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", SLOW)
def test_every_large_family(family, tmp_path):
    check_both_formats(*SLOW[family], tmp_path)


def check_both_formats(name, options, folder):
    torch.manual_seed(3)
    network = create_model(name, **options)
    onnx_report = export_onnx(network, folder / "model.onnx")
    torch_report = export_torch(network, folder / "model.pt2")
    assert network.training, "the network stays as it is"
    assert onnx_report.passed and torch_report.passed and onnx_report.smallest == torch_report.smallest
    program = torch.export.load(folder / "model.pt2").module()
    for shape in ((1, 3, 70, 91), (4, 3, 66, 66), (1, 3, onnx_report.smallest, onnx_report.smallest)):
        images = torch.randn(shape)
        with torch.no_grad():
            expected = network.eval()(images)
            torch.testing.assert_close(program(images), expected)
        first, second = run(folder / "model.onnx", images), run(folder / "model.onnx", images)
        assert first.tobytes() == second.tobytes()
        scale = max(1.0, float(expected.abs().max()))
        assert np.abs(first - expected.numpy()).max() <= 1e-4 * scale
        network.train()


def test_the_file_explains_itself(tmp_path):
    network = small(
        context="none",
        class_names=("road", "sky", "car"),
        palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        mean=(0.1, 0.2, 0.3),
        resize=(80, 64),
    )
    result = export_onnx(network, tmp_path / "new" / "model.onnx", opset=18)
    model = onnx.load(tmp_path / "new" / "model.onnx")
    assert model.opset_import[0].version == 18
    known = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert known["resize"] == [80, 64] and "resizes them to fit 80 x 64 before" in result.takes
    assert known["class_names"] == ["road", "sky", "car"] and known["palette"][2] == [7, 8, 9]
    assert known["mean"] == [0.1, 0.2, 0.3] and known["images"] == "float32, normalised"
    assert known["smallest_image"] == result.smallest == 5
    axes = [axis.dim_param or axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    axes = [axis.dim_param or axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    table = json.loads((tmp_path / "new" / "model.onnx.report.json").read_text())
    assert table["passed"] and len(table["checks"]) == 4 and table["versions"]["opset"] == "18"
    assert {tuple(c["shape"][2:]) for c in table["checks"]}.isdisjoint({(192, 256)})
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["model.onnx", "model.onnx.report.json"]


@pytest.mark.parametrize("export", [export_onnx, export_torch])
def test_no_path_of_this_machine_is_in_the_file(export, tmp_path):
    path = tmp_path / "model"
    export(small(context="none"), path)
    assert b"light_ham.py" not in path.read_bytes() and b"site-packages" not in path.read_bytes()


def test_pictures_as_they_are(tmp_path):
    network = small(context="none", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)).eval()
    export_onnx(network, tmp_path / "model.onnx", preprocess=True)
    pictures = torch.randint(0, 256, (2, 3, 45, 67), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in network.config.normalization)
    with torch.no_grad():
        expected = network((pictures / 255 - mean) / std)
    torch.testing.assert_close(
        torch.from_numpy(run(tmp_path / "model.onnx", pictures)), expected, atol=1e-5, rtol=0
    )


def test_networks_of_others(tmp_path):
    export_onnx(Small(), tmp_path / "a.onnx", in_channels=3)
    export_torch(Small(), tmp_path / "a.pt2", in_channels=3)
    with pytest.raises(ValueError, match="a Small does not tell how many channels.*give in_channels"):
        export_onnx(Small(), tmp_path / "b.onnx")
    with pytest.raises(ValueError, match="a Small does not tell its normalisation"):
        export_onnx(Small(), tmp_path / "b.onnx", in_channels=3, preprocess=True)


def test_a_family_without_a_tracer_is_told_so(tmp_path):
    """Not asked for the channels of images that it may not take."""

    class Other(NetworkConfig):
        pass

    network = nn.Linear(2, 2)
    network.config = object.__new__(Other)
    with pytest.raises(
        ValueError, match="configuration names a tracer.*a Linear does not; torch.export takes"
    ):
        export_onnx(network, tmp_path / "a.onnx")


def test_a_network_that_gives_classes_is_called_by_its_own_name(tmp_path):
    with pytest.raises(ValueError, match="a Small does not tell how many channels"):
        export_torch(Small(), tmp_path / "a", answer="classes")
    with pytest.raises(ValueError, match="a Small does not tell its normalisation"):
        export_torch(Small(), tmp_path / "a", in_channels=3, preprocess=True, answer="classes")
    network = small()
    network.config = copy.copy(network.config)
    object.__setattr__(network.config, "tracer", None)
    with pytest.raises(ValueError, match="a LightHam does not; torch.export"):
        export_torch(network, tmp_path / "a", answer="classes")


def test_an_example_that_is_too_small_for_a_graph_of_any_size():
    """At 10 x 10 the coarse map has one pixel, which is a graph of its own: of 32 x 32 at most."""

    class Coarse(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=32, padding=1)

        def forward(self, images):
            return F.interpolate(self.conv(images), images.shape[2:], mode="bilinear")

    with pytest.raises(ValueError, match="traced at 10 x 10 does not take 200 x 200: .* give a larger size"):
        trace(Coarse(), size=(10, 10), in_channels=3)
    assert trace(Coarse(), size=(40, 50), in_channels=3).smallest == 33


def test_a_classifier(tmp_path):
    network = Classifier(ClassifierConfig(backbone="conv_tiny", num_classes=7))
    assert export_onnx(network, tmp_path / "a.onnx").passed
    result = export_torch(network, tmp_path / "a.pt2", answer="classes")
    assert result.passed and torch.export.load(tmp_path / "a.pt2").module()(
        torch.ones(2, 3, 40, 50)
    ).shape == (2,)


@pytest.mark.parametrize(
    "chance",
    [
        lambda y: F.dropout(y, 0.1, training=True),
        lambda y: y + torch.rand_like(y),
        lambda y: y + torch.randn(4, 1, 1),
        lambda y: y * torch.empty_like(y).bernoulli_(0.5),
    ],
    ids=["dropout", "rand_like", "randn", "bernoulli"],
)
@pytest.mark.parametrize("export", [export_onnx, export_torch])
def test_chance_is_refused(export, chance, tmp_path):
    with pytest.raises(ValueError, match="draws random numbers even in evaluation"):
        export(Small(chance), tmp_path / "model", in_channels=3)
    assert not list(tmp_path.iterdir())


def test_dropout_in_evaluation_is_no_chance(tmp_path):
    assert export_onnx(Small(nn.Dropout(0.5)), tmp_path / "model", in_channels=3).passed


def test_random_operators_of_an_onnx_graph_are_found_wherever_they_are():
    make = onnx.helper
    inner = make.make_graph([make.make_node("RandomNormal", [], ["r"], shape=[1])], "inner", [], [])
    nested = make.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    trains = make.make_node("Dropout", ["x", "ratio", "training"], ["d"])
    harmless = make.make_node("Dropout", ["x", "ratio"], ["e"])
    function = make.make_function(
        "own", "f", [], ["z"], [make.make_node("Multinomial", ["x"], ["z"])], [make.make_opsetid("", 18)]
    )
    model = make.make_model(make.make_graph([nested, trains, harmless], "g", [], []), functions=[function])
    found = onnx_graph.onnx_random_operators(model)
    assert sorted(found) == ["Dropout", "Multinomial", "RandomNormal", "RandomNormal"]


def test_a_random_operator_that_only_the_onnx_graph_has_is_refused(tmp_path, monkeypatch):
    convert = onnx_graph.convert

    def planted(*arguments):
        model = convert(*arguments)
        model.graph.node.append(onnx.helper.make_node("RandomUniform", [], ["noise"], shape=[1]))
        return model

    monkeypatch.setattr("subquad.export.onnx_file.convert", planted)
    with pytest.raises(ValueError, match="random operator RandomUniform"):
        export_onnx(Small(), tmp_path / "model.onnx", in_channels=3)
    assert not list(tmp_path.iterdir())


def off_by(amount):
    """Return a conversion that adds something to each bias."""
    convert = onnx_graph.convert

    def planted(*arguments):
        model = convert(*arguments)
        for tensor in model.graph.initializer:
            if tensor.name.endswith("conv.bias"):
                values = onnx.numpy_helper.to_array(tensor) + np.float32(amount)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return model

    return planted


def test_another_answer_is_refused_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the file before")
    monkeypatch.setattr("subquad.export.onnx_file.convert", off_by(0.01))
    with pytest.raises(ValueError, match=r"does not give the answers(.|\n)*1\.0e-02") as refused:
        export_onnx(Small(), path, in_channels=3, overwrite=True)
    assert "1 x 3 x 97 x 131" in str(refused.value)
    assert path.read_bytes() == b"the file before" and len(list(tmp_path.iterdir())) == 1
    assert export_onnx(Small(), path, in_channels=3, overwrite=True, tolerance=0.1).passed
    assert path.read_bytes() != b"the file before"


@pytest.mark.slow
def test_classes_are_those_of_the_largest_logits(tmp_path):
    """Of a network that pads images, and has more classes than are resized at a time."""
    torch.manual_seed(3)
    name, options = FAMILIES["light_ham_timm"]
    network = create_model(name, **options | {"num_classes": 40})
    nn.init.normal_(network.head.classifier.weight)
    result = export_onnx(network, tmp_path / "model.onnx", answer="classes")
    assert result.passed and result.agreement >= 0.9999
    assert result.columns == ("shape", "same class", "twice the same")  # there are no logits to compare
    assert all(len(row) == 3 for row in result.rows()) and "max error" not in str(result)
    assert export_torch(network, tmp_path / "model.pt2", answer="classes").passed
    (output,) = onnx.load(tmp_path / "model.onnx").graph.output
    axes = [axis.dim_param for axis in output.type.tensor_type.shape.dim]
    assert (output.name, axes) == ("classes", ["batch", "height", "width"])
    program = torch.export.load(tmp_path / "model.pt2").module()
    images = torch.randn(2, 3, 70, 91)
    with torch.no_grad():
        expected = network.eval()(images).argmax(dim=1)
    assert expected.unique().numel() > 9 and expected.max() > 31, "few classes would prove little"
    for found in (torch.from_numpy(run(tmp_path / "model.onnx", images)), program(images)):
        assert found.dtype == torch.uint8
        assert (found.long() == expected).double().mean() >= 0.9999


@pytest.mark.slow
def test_a_graph_of_classes_resizes_some_at_a_time(tmp_path):
    network = small(num_classes=40)
    export_torch(network, tmp_path / "model.pt2", answer="classes")
    program = torch.export.load(tmp_path / "model.pt2").module()
    with Sizes() as sizes:
        program(torch.randn(1, 3, 256, 256))
    assert sizes.largest < 40 * 256 * 256


@pytest.mark.slow
def test_the_first_of_equal_classes_and_more_than_255(tmp_path, monkeypatch):
    monkeypatch.setattr("subquad.export.class_maps.CLASSES", 100)
    network = small(num_classes=256)
    with torch.no_grad():
        network.head.classifier.weight.zero_()
        network.head.classifier.bias.zero_()[[7, 10, 13, 140, 255]] = 5.0
    assert export_onnx(network, tmp_path / "model.onnx", answer="classes").passed
    found = run(tmp_path / "model.onnx", torch.randn(1, 3, 40, 50))
    assert found.dtype == np.int64 and (found == 7).all()


def test_classes_of_networks_of_others(tmp_path):
    network = Small()
    assert export_onnx(network, tmp_path / "model.onnx", in_channels=3, answer="classes").passed
    images = torch.randn(1, 3, 9, 12)
    with torch.no_grad():
        assert np.array_equal(run(tmp_path / "model.onnx", images), network(images).argmax(1).numpy())
    with pytest.raises(ValueError, match=r"answer must be one of logits, classes, got 'class'"):
        export_onnx(network, tmp_path / "other.onnx", in_channels=3, answer="class")
    sequences = create_model("paramixer_adding")
    with pytest.raises(ValueError, match=r"answer='classes' is for networks on images"):
        export_onnx(sequences, tmp_path / "other.onnx", answer="classes")


@pytest.mark.slow
def test_other_classes_are_refused(tmp_path, monkeypatch):
    """They are compared with those of the network's logits, which the graph takes another way to."""
    monkeypatch.setattr("subquad.export.class_maps._larger", lambda first, its, *_: (first, its))
    network = small(num_classes=40)
    nn.init.normal_(network.head.classifier.weight)
    with pytest.raises(ValueError, match="does not give the answers of the original"):
        export_torch(network, tmp_path / "model.pt2", answer="classes")
    assert not list(tmp_path.iterdir())


def check(**overrides):
    values = {"shape": (1, 3, 10, 10), "error": 0.0, "scale": 0.5, "agreement": 1.0, "repeatable": True}
    return report.ShapeCheck(**{"decisions": 100} | values | overrides)


@pytest.mark.parametrize(
    ("overrides", "passed"),
    [
        ({"error": 9e-5}, True),
        ({"error": 1.1e-4}, False),
        ({"error": 1.1e-4, "scale": 2.0}, True),
        ({"error": float("inf")}, False),
        ({"agreement": 0.99995}, True),
        ({"agreement": 0.9998}, False),
        ({"repeatable": False}, False),
    ],
    ids=str,
)
def test_what_passes(tmp_path, overrides, passed):
    result = report.ExportReport(tmp_path / "m", "onnx", 2, "images", 1e-4, (check(**overrides),))
    assert result.passed == passed


def test_files_are_not_replaced_unasked(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"mine")
    for export in (export_onnx, export_torch):
        with pytest.raises(ValueError, match=r"model.onnx exists; choose another name, or overwrite"):
            export(Small(), path, in_channels=3)
        with pytest.raises(ValueError, match="is a folder"):
            export(Small(), tmp_path, in_channels=3)
    assert path.read_bytes() == b"mine"


def test_a_network_for_one_size_only(tmp_path):
    class Fixed(nn.Module):
        def forward(self, images):
            assert images.shape[2] == 192, "only 192"
            return images

    with pytest.raises(ValueError, match="torch.export cannot follow Fixed for any image size"):
        export_onnx(Fixed(), tmp_path / "model.onnx", in_channels=3)
    assert not list(tmp_path.iterdir())


def test_missing_onnxruntime_and_bad_opset(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="opset must be 18 to .*, got 3"):
        export_onnx(Small(), tmp_path / "model.onnx", in_channels=3, opset=3)
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"needs onnxruntime: pip install 'subquad\[export\]'"):
        export_onnx(Small(), tmp_path / "model.onnx", in_channels=3)
    assert not list(tmp_path.iterdir())

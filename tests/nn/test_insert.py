"""Context in other people's networks: no effect at first, the same names, and it trains."""

import copy
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

from nightly import some_by_day
from subquad.nn import SelfAttention, insert_context, remove_context

TORCHVISION = {
    "resnet18": ("layer4", {}),
    "convnext_tiny": ("features.3", {}),
    "mobilenet_v3_small": ("features.8.block", {}),
    "swin_t": ("features.3", {"layout": "channels_last"}),
}
TIMM = {
    "resnet18d": ("layer3.0", {}),
    "convnext_atto": ("stages.2", {}),
    "efficientnet_b0": ("blocks.4", {}),
    "vit_tiny_patch16_224": ("blocks.5", {"layout": "tokens", "prefix_tokens": 1}),
    "swin_tiny_patch4_window7_224": ("layers.1", {"layout": "channels_last"}),
}
IMAGE = torch.zeros(1, 3, 16, 16)
CASES = {f"torchvision/{name}": case for name, case in TORCHVISION.items()}
CASES |= {f"timm/{name}": case for name, case in TIMM.items()}


def build(name):
    library, network = name.split("/")
    if library == "timm":
        return timm.create_model(network, pretrained=False, num_classes=10)
    return getattr(torchvision.models, network)(weights=None, num_classes=10)


def context_of(model, name):
    return model.get_submodule(f"{name}.context")


class Own(nn.Module):
    """Three parts: a plain one, a Sequential, one that nobody runs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.spare = nn.Conv2d(16, 16, 1)
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.last(self.body(self.stem(x)))


@pytest.mark.parametrize("case", CASES)
def test_real_networks_change_only_when_they_are_trained(case):
    name, options = CASES[case]
    model = build(case)
    original = {key: value.clone() for key, value in model.state_dict().items()}
    side = 224 if "_224" in case else 64
    x = torch.randn(1, 3, side, side)
    with torch.no_grad():
        before = model.eval()(x)
    assert insert_context(model, name, rank=4, dim=16, example=x, **options) is model
    with torch.no_grad():
        assert torch.equal(model.eval()(x), before)
    added = model.state_dict().keys() - original.keys()
    assert model.state_dict().keys() >= original.keys()
    assert added and all(key.startswith(f"{name}.context.hamburger.") for key in added)
    assert model.load_state_dict(original).missing_keys == []

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model.eval()(x), torch.tensor([1]))
    loss.backward()
    burger = context_of(model, name).hamburger
    assert burger.gate.grad.abs() > 0
    assert all((p.grad == 0).all() for n, p in burger.named_parameters() if n != "gate")
    optimizer.step()
    model.load_state_dict(original)  # without the context's own: what changes now is the context's doing
    assert burger.gate != 0
    with torch.no_grad():
        after = model(x)
    assert after.isfinite().all() and not torch.equal(after, before)
    remove_context(model, name)
    assert model.state_dict().keys() == original.keys()
    with torch.no_grad():
        assert torch.equal(model(x), before)


def test_the_rest_trains_in_the_second_step():
    model = insert_context(Own(), "stem", rank=2, start="fixed", grad_steps=6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 16, 16)).square().mean().backward()
        gradient = context_of(model, "stem").hamburger.lower_bread.weight.grad
        assert bool((gradient != 0).any()) == (step == 1)
        optimizer.step()


@pytest.mark.parametrize("layout", ["channels_first", "channels_last", "tokens"])
def test_every_layout_is_the_same_hamburger(layout):
    class Part(nn.Module):
        def forward(self, x):
            if layout == "tokens":
                return torch.cat([torch.full((2, 1, 8), 7.0), x.flatten(2).mT], dim=1)
            return x.movedim(1, -1) if layout == "channels_last" else x

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Part()

        def forward(self, x):
            return self.part(x)

    prefix = 1 if layout == "tokens" else 0
    model = insert_context(Whole(), "part", channels=8, layout=layout, prefix_tokens=prefix, rank=2).eval()
    burger = context_of(model, "part").hamburger
    nn.init.constant_(burger.gate, 0.5)
    x = torch.randn(2, 8, 5, 6)
    expected, y = burger(x), model(x)
    if layout == "tokens":
        assert torch.equal(y[:, 0], torch.full((2, 8), 7.0))
        y = y[:, 1:].mT.unflatten(2, (5, 6))
    elif layout == "channels_last":
        y = y.movedim(-1, 1)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("name", ["stem", "body"])
def test_copies_are_whole(name, tmp_path):
    model = insert_context(Own(), name, rank=2).eval()
    nn.init.ones_(context_of(model, name).hamburger.gate)
    twin = copy.deepcopy(model)
    x = torch.randn(1, 3, 16, 20)
    y = model(x)
    assert torch.equal(twin(x), y)
    nn.init.zeros_(context_of(twin, name).hamburger.gate)
    assert torch.equal(model(x), y), "the copy must not share its context"
    assert not torch.equal(twin(x), y)
    remove_context(twin, name)
    assert "context" in dict(model.get_submodule(name).named_children())
    assert torch.equal(model(x), y)
    fresh = insert_context(Own(), name, rank=2).eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(x), y)


@pytest.mark.parametrize("name", some_by_day(["stem", "body"], lambda name: name == "body"))
def test_export(name):
    model = insert_context(Own(), name, rank=2).eval()
    nn.init.ones_(context_of(model, name).hamburger.gate)
    anything = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(model, (torch.zeros(2, 3, 16, 24),), dynamic_shapes=(anything,))
    x = torch.randn(3, 3, 21, 33)
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore")
def test_compile():
    model = insert_context(Own(), "stem", rank=2).eval()
    nn.init.ones_(context_of(model, "stem").hamburger.gate)
    x = torch.randn(1, 3, 16, 24)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(torch.compile(model, fullgraph=True)(x), model(x))


def test_modes_devices_and_types_follow_the_network():
    model = insert_context(Own().double().eval(), "stem", rank=2)
    context = context_of(model, "stem")
    assert not context.training and context.hamburger.gate.dtype == torch.float64
    assert context.hamburger.channels == 8 and context.hamburger.lower_bread.out_channels == 8
    trained = insert_context(Own(), "stem", rank=2)
    assert context_of(trained, "stem").training and trained.training and trained.body.training


def test_a_damaged_context_does_not_load():
    model = insert_context(Own(), "stem", rank=2)
    state = model.state_dict()
    state.pop("stem.context.hamburger.gate")
    with pytest.raises(RuntimeError, match=r"Missing key.*stem\.context\.hamburger\.gate"):
        model.load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("layer4", {}, "Own has no module 'layer4'. Its parts are stem, body, spare, last"),
        ("boddy", {}, "Did you mean 'body'"),
        ("", {}, "means the whole Own; choose a module inside, such as 'stem'"),
        ("spare", {}, "does not run 'spare'"),
        ("stem", {"layout": "nchw"}, "channels_first, channels_last, tokens, got 'nchw'"),
        (
            "stem",
            {"layout": "tokens", "example": IMAGE},
            r"returns \(1, 8, 7, 7\), which is not layout='tokens'",
        ),
        ("stem", {"prefix_tokens": 1}, "prefix_tokens"),
        ("stem", {"example": torch.zeros(1, 5, 32, 32)}, r"does not take \(1, 5, 32, 32\)"),
    ],
)
def test_wrong_input_is_one_sentence(name, options, sentence):
    model = Own()
    keys = list(model.state_dict())
    with pytest.raises(ValueError, match=sentence):
        insert_context(model, name, rank=2, **options)
    assert list(model.state_dict()) == keys and model.training


def test_containers_with_a_way_of_their_own_are_refused():
    block = torchvision.models.densenet._DenseBlock(2, 8, 2, 4, 0.0)
    with pytest.raises(ValueError, match=r"'0' is a _DenseBlock.*choose"):
        insert_context(nn.Sequential(block), "0")


def test_twice_and_removing_nothing():
    model = insert_context(Own(), "stem", rank=2)
    with pytest.raises(ValueError, match="'stem' has a 'context' already"):
        insert_context(model, "stem", rank=2)
    with pytest.raises(ValueError, match="nothing into 'body'"):
        remove_context(model, "body")
    insert_context(model, "body", rank=2)
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 4, 7, 7)


@pytest.mark.parametrize("options", [{}, {"rank": 2}])
def test_three_axes_could_be_tokens_or_a_sequence(options):
    """Guessing took the 197 tokens of a ViT for channels."""
    vit = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    sentence = r"returns \(1, 197, 192\): give layout=\"tokens\" .*prefix_tokens=1.*layout=\"channels_first\""
    with pytest.raises(ValueError, match=sentence):
        insert_context(vit, "blocks.5", **options)
    insert_context(vit, "blocks.5", layout="tokens", prefix_tokens=1, rank=2)
    assert context_of(vit, "blocks.5").hamburger.channels == 192
    model, x = nn.Sequential(nn.Conv1d(4, 8, 3)), torch.zeros(1, 4, 20)
    with pytest.raises(ValueError, match="as in a 1-D convolution"):
        insert_context(model, "0", example=x)
    insert_context(model, "0", example=x, layout="channels_first", rank=2)
    assert context_of(model, "0").hamburger.channels == 8


def test_without_positions_there_is_no_context():
    with pytest.raises(ValueError, match=r"'fc' returns \(1, 1000\), which has no positions"):
        insert_context(torchvision.models.resnet18(), "fc")


def test_an_option_that_the_ham_does_not_have_is_told():
    """What it is handed on to has more options; those would be taken and mean nothing here."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    for option, hint in {"rnak": "Did you mean 'rank'", "cheese_factor": ""}.items():
        with pytest.raises(TypeError, match=f"there is no option '{option}'.*{hint}"):
            insert_context(model, "1", channels=8, **{option: 2})
    assert not hasattr(model[1], "context")


def test_a_rival_takes_the_hams_place():
    """What a rival costs at 224 x 224 is not tried out: the network has run before it is in."""
    model, attention = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), SelfAttention(8)
    insert_context(model, "0", channels=8, ham=attention)
    assert model.get_submodule("0.context").hamburger.ham is attention
    x = torch.randn(1, 3, 4, 4)
    before = model(x)
    nn.init.ones_(model.get_submodule("0.context").hamburger.gate)
    assert not torch.equal(model(x), before)

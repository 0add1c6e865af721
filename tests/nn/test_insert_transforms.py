"""Inserted context survives what is done to networks: replicas, copies, files, symbolic traces."""

import copy
import io
import pickle

import pytest
import torch
import torchvision
from torch import fx, nn
from torchvision.models.feature_extraction import create_feature_extractor

from subquad.nn import Ham, Hamburger, Paramixer, insert_context


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.spare = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.body(self.stem(x))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens)).mean(1))


def with_context(*names, model=None, **options):
    model = (Own() if model is None else model).eval()
    for name in names:
        insert_context(model, name, rank=2, **options)
        nn.init.ones_(model.get_submodule(f"{name}.context").hamburger.gate)
    return model


def replicate(model):
    """Make a replica as nn.DataParallel does for each device."""
    parts = list(model.modules())
    replicas = {part: part._replicate_for_data_parallel() for part in parts}
    for part, replica in replicas.items():
        for name, child in part._modules.items():
            replica._modules[name] = None if child is None else replicas[child]
        for name, value in part._parameters.items():
            setattr(replica, name, None if value is None else value.detach().clone())
    return replicas[model]


def through_a_file(model):
    file = io.BytesIO()
    torch.save(model, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


COPIES = {
    "replica": replicate,
    "copy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "file": through_a_file,
    "copy of a copy": lambda m: copy.deepcopy(through_a_file(m)),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("name", ["stem", "body"])
def test_a_copy_runs_its_own_context(name, kind):
    model, x = with_context(name), torch.rand(1, 3, 9, 9)
    before = model(x)
    twin = COPIES[kind](model)
    assert torch.equal(twin(x), before)
    burger = twin._modules[name]._modules["context"]._modules["hamburger"]
    burger.gate = torch.zeros(1) if kind == "replica" else nn.Parameter(torch.zeros(1))
    assert not torch.equal(twin(x), before) and torch.equal(model(x), before)
    model.get_submodule(name).context.hamburger.gate.data.zero_()
    assert torch.equal(twin(x), model(x))


@pytest.mark.parametrize("names", [("layer4",), ("layer3.0",), ("conv1", "layer2.1.bn2")], ids=str)
def test_features_of_a_network_with_context(names):
    model = with_context(*names, model=torchvision.models.resnet18(weights=None))
    x, seen = torch.rand(1, 3, 40, 56), {}
    wanted = ["layer2", "layer4"]
    for name in wanted:
        model.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: seen.update({name: o}))
    extractor = create_feature_extractor(model, wanted)
    model(x)
    features = extractor(x)
    for name in wanted:
        assert torch.equal(features[name], seen[name])
    assert extractor.train()(torch.rand(2, 3, 40, 56))["layer4"].shape == (2, 512, 2, 2)


class Mixed(nn.Module):
    """Every mixer in a network, called in every way."""

    def __init__(self):
        super().__init__()
        self.burger = Doubled(8, dim=8, rank=2)
        self.ham = Ham(8, 2)
        self.mixer = Paramixer(8, 6, factors=3)

    def forward(self, x, lengths):
        x = self.ham(self.burger(x, mask=None).relu())
        return self.mixer(x.flatten(2).mT, lengths=lengths) + 1


class Doubled(Hamburger):
    def forward(self, x, mask=None):
        return 2 * super().forward(x, mask)


def test_a_symbolic_trace_keeps_each_mixer_whole():
    model = with_context("burger", "ham", model=Mixed(), channels=8)
    traced = fx.symbolic_trace(model)
    x, lengths = torch.rand(2, 8, 3, 4), torch.tensor([12, 5])
    assert torch.equal(traced(x, lengths), model(x, lengths))
    assert torch.equal(copy.deepcopy(traced)(x, lengths), model(x, lengths))
    assert torch.equal(through_a_file(traced)(x, lengths), model(x, lengths))
    assert traced(torch.rand(1, 8, 5, 6), torch.tensor([30])).shape == (1, 30, 8)


def test_tokens_are_shown_to_the_network_as_they_are():
    tokens = torch.randint(50, (1, 7))
    for options in ({"example": tokens}, {"example": tokens.int()}, {}, {"example": tokens, "channels": 16}):
        model = insert_context(Text(), "layer", layout="tokens", rank=2, **options)
        assert model.get_submodule("layer.context").hamburger.channels == 16
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    assert insert_context(Own(), "stem", example=picture, rank=2).stem.context.hamburger.channels == 8


@pytest.mark.parametrize("options", [{}, {"example": torch.zeros(1, 3, 9, 9)}])
def test_what_never_runs_is_refused_with_channels_too(options):
    with pytest.raises(ValueError, match="does not run 'spare', so context after it would have no effect"):
        insert_context(Own(), "spare", channels=8, **options)
    with pytest.raises(ValueError, match=r"does not run 'layer.self_attn.out_proj'"):
        insert_context(Text(), "layer.self_attn.out_proj", channels=16, layout="tokens")


def test_channels_are_believed_where_nothing_can_be_run():
    class Two(Own):
        def forward(self, x, y):
            return super().forward(x + y)

    model = insert_context(Two(), "stem", channels=8, rank=2)
    assert model(torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)).shape == (1, 8, 4, 4)
    with pytest.raises(ValueError, match=r"does not take \(1, 3, 9, 9\)"):
        insert_context(Two(), "body", channels=8, example=torch.zeros(1, 3, 9, 9))
    with pytest.raises(ValueError, match=r"'body' returns \(1, 8, 4, 4\), which has not channels=9"):
        insert_context(Own(), "body", channels=9, example=torch.zeros(1, 3, 9, 9))

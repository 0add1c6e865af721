"""check_mixer finds each broken promise."""

import random

import pytest
import torch
from torch import nn

from subquad.nn import Ham, NoContext, SelfAttention, check_mixer


class Sound(nn.Module):
    """A mixer that keeps every promise: each position, and the mean of its sample."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x, mask=None):
        valid = torch.ones_like(x[:, :1], dtype=torch.bool) if mask is None else mask.unsqueeze(1)
        y = self.mix(x.where(valid, 0), valid)
        if self.training:
            self.seen.copy_(y.detach().where(valid, 0).sum((0, 2, 3)) / valid.sum())
        return self.spoilt(x, y, mask)

    def mix(self, x, valid):
        return self.weight * (x + x.sum((2, 3), keepdim=True) / valid.sum((2, 3), keepdim=True))

    def spoilt(self, x, y, mask):
        return y


def hidden_gradient(y):
    """Zero, with the gradient of `y`."""
    return y - y.detach()


def after(y):
    """Give each sample something of the one before it."""
    return y + torch.cat([torch.zeros_like(y[:1]), y[:-1]])


def all_are_full(x, mask):
    """Whether each sample has all of its 5 x 6 positions, as none of mixed sizes has."""
    counts = torch.tensor(x[0, 0].numel()) if mask is None else mask.sum((1, 2))
    return bool((counts == 30).all())


def count_padding(module, y, mask):
    module.seen.add_(mask.float().mean())
    return y


# What breaks one promise and no other: of (module, x, sound result, mask or None).
ONLY = {
    "same input, same output": lambda m, x, y, mask: y + 1e-6 * torch.rand_like(y) * (not m.training),
    "alone as in a batch": lambda m, x, y, mask: (
        y if m.training or mask is not None else y + x - x.mean(0, keepdim=True)
    ),
    "samples do not mix": lambda m, x, y, mask: y if m.training or mask is not None else after(y),
    "any size": lambda m, x, y, mask: y if mask is not None or x[0, 0].numel() > 1 else y[..., :0],
    "finite for zeros": lambda m, x, y, mask: y * torch.nan if (x == 0).all() else y,
    "finite for tiny": lambda m, x, y, mask: y * torch.nan if 0 < x.abs().max() < 1e-5 else y,
    "finite for large": lambda m, x, y, mask: y * torch.nan if 1e3 < x.abs().max() < torch.inf else y,
    "channels_last": lambda m, x, y, mask: (
        y + float(x.shape[1:] == (4, 5, 6) and x.is_contiguous(memory_format=torch.channels_last))
    ),
    "padded equals cropped": lambda m, x, y, mask: y if m.training or mask is None else y + 1,
    "gradients of padded equal those of cropped": lambda m, x, y, mask: (
        y if m.training or mask is None else y + hidden_gradient(y)
    ),
    "no gradient reaches the padding": lambda m, x, y, mask: (
        y if m.training or mask is None else y + 1e-12 * x.nan_to_num(0, 0, 0).sum((2, 3), keepdim=True)
    ),
    "padding may hold anything": lambda m, x, y, mask: (
        y if m.training or mask is None else m.mix(x * mask.unsqueeze(1), mask.unsqueeze(1))
    ),
    "training: same seed, same output": lambda m, x, y, mask: y + 1e-6 * random.random() * m.training,
    "training: samples do not mix": lambda m, x, y, mask: (
        after(y if mask is None else y.where(mask.unsqueeze(1), 0))
        if m.training and all_are_full(x, mask)
        else y
    ),
    "training: padded equals cropped": lambda m, x, y, mask: y + float(m.training and mask is not None),
    "training: gradients of padded equal those of cropped": lambda m, x, y, mask: (
        y + hidden_gradient(y) if m.training and mask is not None else y
    ),
    "training: no gradient reaches the padding": lambda m, x, y, mask: (
        y + 1e-12 * x.nan_to_num(0, 0, 0).sum((2, 3), keepdim=True) if m.training and mask is not None else y
    ),
    "training: statistics leave the padding out": lambda m, x, y, mask: (
        count_padding(m, y, mask) if m.training and mask is not None else y
    ),
    "training: padding may hold anything": lambda m, x, y, mask: (
        m.mix(x * mask.unsqueeze(1), mask.unsqueeze(1)) if m.training and mask is not None else y
    ),
}


def images():
    return torch.rand(3, 4, 5, 6)


def failing(module, make_input=images, **options):
    return {c.name for c in check_mixer(module, make_input, **options).checks if not c.passed}


class Broken(Sound):
    """Breaks one promise."""

    def __init__(self, promise):
        super().__init__()
        self.promise = promise

    def spoilt(self, x, y, mask):
        return ONLY[self.promise](self, x, y, mask)


def test_what_keeps_every_promise_passes_every_check():
    report = check_mixer(Sound(), images)
    report.raise_if_failed()
    assert {c.name for c in report.checks} == set(ONLY), "each check has a module that fails it alone"


@pytest.mark.parametrize("promise", ONLY)
def test_finds_a_broken_promise_and_blames_no_other(promise):
    report = check_mixer(Broken(promise), images)
    assert {c.name for c in report.checks if not c.passed} == {promise}
    assert not report
    with pytest.raises(AssertionError, match=promise):
        report.raise_if_failed()


class Exported(Sound):
    """Is something else where a graph is made of it."""

    def __init__(self, exported):
        super().__init__()
        self.exported = exported

    def spoilt(self, x, y, mask):
        graph = torch.compiler.is_compiling() and torch.compiler.is_exporting() == self.exported
        return y + 1 if graph else y


def test_an_export_with_other_numbers_is_found():
    assert failing(Exported(True), export=True) == {"torch.export"}


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_module_with_other_numbers_is_found():
    assert failing(Exported(False), compile=True) == {"torch.compile"}


def mean_where(x, valid):
    return (x.where(valid, 0).sum(1, keepdim=True)) / valid.sum(1, keepdim=True).clamp_min(1)


# What a mask of (batch, positions) is taken for, by modules that handle one of its samples, or none, well.
MISREAD = {
    "the longest": lambda mask: mask.any(0).expand_as(mask),
    "the shortest": lambda mask: mask.all(0).expand_as(mask),
    "the first sample's": lambda mask: mask[:1].expand_as(mask),
    "the last sample's": lambda mask: mask[-1:].expand_as(mask),
    "as many positions on average": lambda mask: (
        torch.arange(mask.shape[1]) < mask.sum() / len(mask)
    ).expand_as(mask),
    "one position less": lambda mask: mask & (mask.cumsum(1) < mask.sum(1, keepdim=True).clamp_min(2)),
    "nothing, if one sample has no padding": lambda mask: mask | mask.all(1).any(),
    "nothing, if no sample has any": lambda mask: mask & ~mask.all(),
    "nothing, if all have padding, but not alike": lambda mask: (
        mask | (~mask.all(1).any() & (mask != mask[:1]).any())
    ),
    "nothing, if all are alike": lambda mask: mask | (mask == mask[:1]).all(),
    "nothing, unless all are alike": lambda mask: mask | ~(mask == mask[:1]).all(),
    "another sample's": lambda mask: mask.roll(1, 0),
}


@pytest.mark.parametrize("batch", [2, 3])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", MISREAD)
def test_a_mask_that_is_misread_is_found(kind, training, batch):
    """In a batch of mixed lengths; padding all samples alike would let most of these pass."""

    class Misreads(nn.Module):
        def forward(self, x, mask=None):
            if mask is None:
                return x + x.mean(1, keepdim=True)
            x = x.where(mask.unsqueeze(-1), 0)
            read = MISREAD[kind](mask) if self.training == training else mask
            return x + mean_where(x, read.unsqueeze(-1))

    names = failing(Misreads(), lambda: torch.rand(batch, 7, 4), spatial=(1,))
    assert ("training: " * training) + "padded equals cropped" in names
    assert all(name.startswith("training: ") == training for name in names)


def test_a_leaking_gradient_is_found():
    class Leaky(nn.Module):
        def forward(self, x, mask=None):
            return x + 0 * x if mask is None else x + 1e-12 * x.sum(dim=-1, keepdim=True)

    leaks = {"no gradient reaches the padding", "padding may hold anything"}
    assert failing(Leaky(), lambda: torch.rand(2, 4, 6)) == leaks | {f"training: {name}" for name in leaks}


def test_batch_statistics_over_the_padding_are_found_in_training():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.dropout = nn.BatchNorm1d(4), nn.Dropout(0.5)

        def forward(self, x, mask=None):
            x = x if mask is None else x.where(mask.unsqueeze(1), 0)
            return self.dropout(self.norm(x))

    names = failing(Plain(), lambda: torch.rand(3, 4, 6))
    assert names == {
        "training: padded equals cropped",
        "training: gradients of padded equal those of cropped",
        "training: statistics leave the padding out",
    }
    assert not failing(Plain(), lambda: torch.rand(3, 4, 6), mask=False)


def test_nan_of_the_padding_in_the_gradient_of_the_weights_alone_is_found():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 1))

        def forward(self, x, mask=None):
            y = self.weight * x
            return y if mask is None else y.where(mask.unsqueeze(1), 0)

    name = "padding may hold anything"
    assert failing(Late(), lambda: torch.rand(3, 4, 6)) == {name, f"training: {name}"}
    report = str(check_mixer(Late(), lambda: torch.rand(3, 4, 6)))
    assert f"FAIL  {name}: relative error inf for nan in the padding, in gradients" in report


@pytest.mark.parametrize("fill", [torch.nan, torch.inf, -torch.inf])
def test_each_kind_of_number_that_is_none_is_tried(fill):
    class LetsThrough(nn.Module):
        def forward(self, x, mask=None):
            harmless = x.isfinite() | ~(x.isnan() if fill != fill else x == fill)
            x = x if mask is None else x.where(mask.unsqueeze(1) | ~harmless, 0) * mask.unsqueeze(1)
            return x + x.sum(2, keepdim=True)

    name = "padding may hold anything"
    assert failing(LetsThrough(), lambda: torch.rand(3, 4, 6)) == {name, f"training: {name}"}


def test_leaves_the_module_and_the_random_state_alone():
    ham = Ham(8, 3, start="running").train()
    before = ham.dictionary.clone()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert check_mixer(ham, lambda: torch.full((2, 8, 5), 0.5) + torch.arange(5.0))
    assert torch.equal(torch.rand(1), expected)
    assert ham.training and torch.equal(ham.dictionary, before)


def test_rivals_keep_the_promises():
    for module in (SelfAttention(8, heads=2), NoContext()):
        check_mixer(module, lambda: torch.randn(2, 8, 5, 6)).raise_if_failed()


def test_sequences_have_their_positions_elsewhere():
    class Rows(nn.Module):
        def forward(self, x, mask=None):
            x = x if mask is None else x.where(mask.unsqueeze(-1), 0)
            return x.cumsum(dim=1)

    assert check_mixer(Rows(), lambda: torch.randn(2, 7, 4), spatial=(1,))
    with pytest.raises(ValueError, match="two samples and positions at least, got \\(1, 7, 4\\)"):
        check_mixer(Rows(), lambda: torch.randn(1, 7, 4))

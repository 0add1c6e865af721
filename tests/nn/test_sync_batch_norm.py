"""Masks after convert_sync_batchnorm, with the processes of a run faked by threads."""

import copy
import threading

import pytest
import torch
from torch import nn

from subquad.nn import Hamburger
from subquad.nn.conv import BatchNorm, apply_norm


def converted(module):
    return nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(module))


class Run:
    """As many processes as functions: each runs in a thread, and their sums wait for each other."""

    def __init__(self, monkeypatch, count):
        self.barrier, self.given, self.rank = threading.Barrier(count, timeout=30), {}, threading.local()
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda group=None: count)
        monkeypatch.setattr(torch.distributed, "all_reduce", self.all_reduce)

    def all_reduce(self, tensor, group=None):
        self.given[self.rank.number] = tensor.clone()
        self.barrier.wait()
        total = torch.stack([self.given[number] for number in sorted(self.given)]).sum(0)
        self.barrier.wait()
        tensor.copy_(total)

    def __call__(self, function, arguments):
        results = {}

        def work(number):
            self.rank.number = number
            results[number] = function(*arguments[number])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(arguments))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [results[number] for number in range(len(arguments))]


@pytest.mark.parametrize("version", ["v1", "v2", "v2plus"])
@pytest.mark.parametrize("training", [False, True])
def test_a_converted_hamburger_is_what_it_was(version, training):
    block = Hamburger(8, dim=8, rank=4, version=version, start="fixed")
    x, mask = torch.rand(2, 8, 5, 6), torch.rand(2, 5, 6) < 0.7
    block(x)  # statistics of its own
    block.train(training)
    sync = converted(block)
    assert torch.equal(sync(x, mask), block(x, mask))
    assert torch.equal(sync(x), block(x))
    for name, value in block.state_dict().items():
        assert torch.equal(sync.state_dict()[name], value)


SHARES = {"alike": (2, 2), "one sample more": (1, 3), "a process without positions": (3, 1)}


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("share", SHARES)
def test_statistics_are_those_of_what_counts_in_all_processes(share, momentum, monkeypatch):
    norm = BatchNorm(3, momentum=momentum).double()
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64) * 3 + 5
    mask, cotangent = torch.rand(4, 5, 6) < 0.6, torch.randn(4, 3, 5, 6, dtype=torch.float64)
    if share == "a process without positions":
        mask[3] = False
    x = x.where(mask.unsqueeze(1), 1e9)

    def step(norm, x, mask, cotangent):
        x = x.clone().requires_grad_()
        y = apply_norm(norm, x, mask)
        grads = torch.autograd.grad((y * cotangent).sum(), [x, norm.weight, norm.bias])
        return y.detach(), grads[0], grads[1:], norm.state_dict()

    parts = [t.split(SHARES[share]) for t in (x, mask, cotangent)]
    twins = [converted(norm), converted(norm)]
    expected = [step(norm, x, mask, cotangent)]
    found = Run(monkeypatch, 2)(step, list(zip(twins, *parts, strict=True)))
    for index in (0, 1):
        torch.testing.assert_close(torch.cat([f[index] for f in found]), expected[0][index])
    for total, *each in zip(expected[0][2], *(f[2] for f in found), strict=True):
        torch.testing.assert_close(sum(each), total)
    for _, _, _, state in found:
        torch.testing.assert_close(state, expected[0][3])


def test_half_precision_keeps_its_type_and_sums_in_single(monkeypatch):
    x, mask = (torch.rand(2, 3, 50, 50) + 100).bfloat16(), torch.ones(2, 50, 50, dtype=torch.bool)
    twins = [converted(BatchNorm(3)), converted(BatchNorm(3))]
    parts = zip(twins, x.split(1), mask.split(1), strict=True)
    found = Run(monkeypatch, 2)(apply_norm, list(parts))
    exact = BatchNorm(3)(x.float())
    for y, expected in zip(found, exact.split(1), strict=True):
        assert y.dtype == torch.bfloat16
        torch.testing.assert_close(y.float(), expected, rtol=0.01, atol=0.01)

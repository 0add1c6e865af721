"""The peak is what is held at a time: neither all that is ever allocated, nor what is left at the end."""

import torch

from subquad.bench.memory import peak_memory

CPU = torch.device("cpu")
MIB = 2**20


def test_the_peak_is_what_is_held_at_a_time(capfd):
    x = torch.zeros(2**18)  # 1 MiB of float32

    def way():
        y = x + 1
        z = y * 2  # two are held
        del y
        w = z - 1  # two again
        del z
        return w.sum()

    assert 2 * MIB <= peak_memory(way, CPU) < 2.01 * MIB
    assert peak_memory(lambda: x.sum(), CPU) < MIB / 100  # the input was there before
    assert capfd.readouterr() == ("", "")


def test_memory_of_a_backward_pass_counts():
    x = torch.zeros(2**18, requires_grad=True)
    peak = peak_memory(lambda: torch.autograd.grad(x.exp().exp().sum(), x), CPU)
    assert 3 * MIB <= peak < 4.5 * MIB  # two results are kept, and a gradient is made

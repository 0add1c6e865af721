"""The peak is what is held at a time: neither all that is ever allocated, nor what is left at the end."""

import torch

from subquad.bench.memory import memory_of, peak_memory

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


def test_what_is_returned_is_no_scratch():
    x = torch.zeros(2**18)
    memory = memory_of(lambda: (x + 1) * 2, CPU)
    assert abs(memory.kept - MIB) < 64 and abs(memory.scratch - MIB) < 64
    early = memory_of(lambda: (x + 1, x.repeat(3))[0], CPU)  # what is kept comes first
    assert abs(early.scratch - 3 * MIB) < 64 and abs(early.kept - MIB) < 64
    late = memory_of(lambda: (x * 2 * 2)[:4].repeat(2**20), CPU)  # two, and then sixteen that stay
    assert abs(late.scratch - 2 * MIB) < 64 and abs(late.kept - 16 * MIB) < 64
    in_place = memory_of(lambda: x.add_(1), CPU)
    assert in_place.kept < 64 and in_place.peak < 64


def test_what_a_kernel_takes_for_itself_counts():
    """Half precision is summed in float32 by way of a copy, which is in no tensor that a caller sees."""
    x = torch.zeros(2**18, dtype=torch.float16)
    memory = memory_of(lambda: x.sum(dtype=torch.float32), CPU)
    assert memory.kept < 64 and abs(memory.scratch - MIB) < 64

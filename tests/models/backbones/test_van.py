"""The dilated convolution of VAN, which a CPU computes without dilation."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from subquad.models.backbones.van import DilatedDepthwise


class Dilations(TorchDispatchMode):
    """Keeps the dilation of every convolution."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.seen.add(tuple(args[5]))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [(15, 24), (13, 8), (3, 2), (1, 1)])
@pytest.mark.parametrize(
    ("layout", "dilation"),
    [(torch.channels_last, (1, 1)), (torch.contiguous_format, (3, 3))],
    ids=["channels_last", "contiguous"],
)
def test_dilation_is_a_matter_of_layout(size, layout, dilation):
    torch.manual_seed(0)
    module = DilatedDepthwise(5, 5, 7, padding=9, dilation=3, groups=5).double()
    weights = (module.weight, module.bias)
    x = torch.randn(2, 5, *size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    with Dilations() as dilations:
        y = module(x)
    expected = nn.functional.conv2d(x, *weights, padding=9, dilation=3, groups=5)
    torch.testing.assert_close(y, expected)
    along = torch.randn_like(y)
    torch.testing.assert_close(
        torch.autograd.grad(y, (x, *weights), along), torch.autograd.grad(expected, (x, *weights), along)
    )
    if size != (1, 1):  # which is laid out both ways
        assert dilations.seen == {dilation}
        assert y.is_contiguous(memory_format=layout)


def test_a_program_keeps_the_dilation():
    module = DilatedDepthwise(4, 4, 7, padding=9, dilation=3, groups=4)
    x = torch.randn(1, 4, 9, 9).contiguous(memory_format=torch.channels_last)
    program = torch.export.export(module, (x,))
    (node,) = (n for n in program.graph.nodes if n.op == "call_function")
    assert list(node.args[5]) == [3, 3]

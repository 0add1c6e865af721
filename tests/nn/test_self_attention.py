"""`SelfAttention` takes PyTorch's fused kernel, which keeps no matrix of all pairs of positions."""

import pytest
import torch

from subquad.bench.memory import peak_memory
from subquad.nn import SelfAttention

POSITIONS = 32 * 64


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_no_matrix_is_kept_in_any_layout(layout):
    attention = SelfAttention(4).eval()
    x = torch.randn(1, 4, 32, 64).contiguous(memory_format=layout)

    def run():
        with torch.no_grad():
            return attention(x)

    run()
    assert peak_memory(run, torch.device("cpu")) < 4 * POSITIONS**2 / 8


@pytest.mark.parametrize("heads", [1, 2])
def test_it_is_softmax_of_scaled_products(heads):
    attention = SelfAttention(6, heads).double()
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    query, key, value = attention.query_key_value(x).flatten(2).unflatten(1, (3, heads, -1)).unbind(1)
    weights = (query.mT @ key / (6 // heads) ** 0.5).softmax(dim=-1)
    expected = (value @ weights.mT).flatten(1, 2).reshape(x.shape)
    torch.testing.assert_close(attention(x), expected)

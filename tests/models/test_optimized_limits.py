"""`optimize_for_inference` of what is not as usual: what it refuses, and what it leaves as it is."""

import pytest
import torch
from torch import nn

from subquad.models import inference_report, optimize_for_inference


def small(channels=8):
    """Return a convolution with a norm and an activation, whose statistics are not those of the start."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.3, 2)
    return nn.Sequential(nn.Conv2d(3, channels, 3), norm, nn.ReLU()).eval()


class Several(nn.Module):
    def forward(self, x):
        return {"out": x}


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Several(), "Several returns dict, but what is compared is one tensor"),
        (nn.Sequential(nn.Flatten(), nn.Threshold(0, 0)).requires_grad_(False), None),
    ],
)
def test_what_cannot_be_compared_is_refused(network, told):
    x = torch.rand(2, 3, 4, 4)
    if told is None:
        assert inference_report(optimize_for_inference(network, x)).same_class == 1
    else:
        with pytest.raises(ValueError, match=told):
            optimize_for_inference(network, x)


def test_one_number_for_each_image_has_no_classes():
    network = nn.Sequential(nn.Conv2d(3, 1, 4), nn.BatchNorm2d(1), nn.Flatten(0)).eval()
    assert inference_report(optimize_for_inference(network, torch.rand(2, 3, 4, 4))).same_class == 1


@pytest.mark.parametrize("part", [0, 1, 2])
def test_hooks_go_on_working(part):
    network, x = small(), torch.rand(2, 3, 9, 9)
    seen = []
    network[part].register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    fast = optimize_for_inference(network, x)
    seen.clear()
    with torch.inference_mode():
        fast(x)
        network(x)
    assert len(seen) == 2
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-4, atol=1e-5)


def test_half_precision_is_compared_as_such():
    network = small().bfloat16()
    steps = inference_report(optimize_for_inference(network, torch.rand(1, 3, 9, 9).bfloat16())).steps
    assert steps and not any(step.refused for step in steps)


def test_weights_that_are_computed_stay():
    with pytest.warns(FutureWarning):
        normed = torch.nn.utils.weight_norm(nn.Conv2d(8, 4, 1))
    network = nn.Sequential(*small()[:2], normed, *small(4)[1:2]).eval()
    report = inference_report(optimize_for_inference(network, torch.rand(1, 3, 9, 9)))
    assert [step.count for step in report.steps] == [1] and not report.refused

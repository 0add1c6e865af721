"""What is looked at besides the score: the gradient on its way through the ham, in every training step."""

import statistics

import torch

from subquad.explain.code_maps import last_ham


def alter(network, case):
    """Have the network note the norm of its gradient behind and before the ham; nothing else changes."""
    network.passed_on = []
    if network.config.context == "none":
        return
    behind = {}

    def watch(ham, inputs, output):
        if not (torch.is_grad_enabled() and output.requires_grad):
            return
        output.register_hook(lambda gradient: behind.update(norm=float(gradient.norm())))
        inputs[0].register_hook(
            lambda gradient: network.passed_on.append(float(gradient.norm()) / max(behind["norm"], 1e-30))
        )

    last_ham(network).register_forward_hook(watch)


def measure(learner, options):
    """Return the gradient before the ham as a share of that behind it.

    "passed_on" is the median of all steps, "grown" the largest of them over the median.
    """
    seen = learner.network.passed_on
    if not seen:  # there is no ham
        return {}
    median = statistics.median(seen)
    quarters = [seen[len(seen) * part // 4 : len(seen) * (part + 1) // 4] for part in range(4)]
    found = {"passed_on": median, "grown": max(seen) / max(median, 1e-30)}
    return found | {"passed_on_by_quarter": [round(statistics.median(q), 5) for q in quarters if q]}

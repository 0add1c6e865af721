"""What a start is worth after training: evaluations from other draws, flicker, how far dictionaries move."""

import statistics

import torch

from subquad.explain.code_maps import last_ham
from subquad.ops import decompose
from subquad.tasks.segmentation.confusion import mean_iou_of
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.labels import predict_labels

EVALUATIONS, PICTURES = 5, 200


def measure(learner, options):
    """Return scores of evaluations in which each picture has its own draw, and what flickers.

    "drawn" is the mean of the mean IoUs, "drawn_spread" their deviation, in points. "flicker" is the share of
    pixels whose class differs between a picture and the same with normal noise of one grey level, from
    the network's own dictionary; "flicker_drawn" with another draw for each of the two. "moves" says how
    far dictionaries of single pictures lie from their mean, relative to their length.
    """
    network = learner.network.eval()
    ham = last_ham(network)
    own = ham.dictionary.detach().clone()
    samples = list(Scenes(PICTURES, size=(96, 96), split="val"))
    noise = torch.Generator().manual_seed(0)
    draws = torch.Generator().manual_seed(1)

    def labels(image, drawn):
        new = ham.solver.random_dictionary(own.shape, generator=draws) if drawn else own
        with torch.inference_mode():
            ham.dictionary.detach().copy_(new)
            return predict_labels(network, image[None])[0]

    scores, changed = [], {False: [], True: []}
    for _ in range(EVALUATIONS):
        found = mean_iou_of(lambda image: labels(image, drawn=True), samples, len(learner.scores.names))
        scores.append(100 * found)
    for sample in samples:
        frames = [noisy(sample.image, noise) for _ in range(2)]
        for drawn in changed:
            first, second = (labels(frame, drawn) for frame in frames)
            changed[drawn].append(float((first != second).float().mean()))
    ham.dictionary.detach().copy_(own)
    return {
        "drawn": statistics.fmean(scores),
        "drawn_spread": statistics.stdev(scores),
        "flicker": 100 * statistics.fmean(changed[False]),
        "flicker_drawn": 100 * statistics.fmean(changed[True]),
        "moves": 100 * moves(network, ham, own, samples[:50]),
    }


def noisy(image, generator):
    """Return an image, uint8, with normal noise of one grey level."""
    return (image + torch.randn(image.shape, generator=generator)).round().clamp(0, 255).to(torch.uint8)


@torch.inference_mode()
def moves(network, ham, own, samples):
    """Return |D_i - mean of D| / |D_i| over pictures, from the network's own start."""
    found = []
    seen = ham.register_forward_pre_hook(
        lambda ham, inputs: found.append(
            decompose(
                inputs[0].flatten(2), ham.solver.admissible(own[0]), ham.solver, steps=ham.eval_steps
            ).dictionary[0]
        )
    )
    for sample in samples:
        predict_labels(network, sample.image[None])
    seen.remove()
    found = torch.stack(found)
    return float(((found - found.mean(0)).flatten(1).norm(dim=1) / found.flatten(1).norm(dim=1)).mean())

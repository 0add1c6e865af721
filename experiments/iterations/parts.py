"""The same network with other numbers of steps in evaluation."""

from subquad.nn.sharing import evaluating_steps
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.labels import predict_labels


def measure(learner, options):
    """Return mean IoU in percent after 1, 3 and 8 steps, whatever training took."""
    network = learner.network.eval()
    samples = list(Scenes(200, size=(96, 96), split="val"))
    found = {}
    for steps in (1, 3, 8):
        confusion = ConfusionMatrix(len(learner.scores.names))
        with evaluating_steps(network, steps):
            for sample in samples:
                confusion.update(predict_labels(network, sample.image[None])[0], sample.labels)
        found[f"after_{steps}"] = 100 * confusion.scores().mean_iou
    return found

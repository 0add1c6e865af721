"""The same network with other numbers of steps in evaluation."""

from subquad.nn.sharing import evaluating_steps
from subquad.tasks.segmentation.confusion import mean_iou_of
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.labels import predict_labels


def measure(learner, options):
    """Return mean IoU in percent after 1, 3 and 8 steps, whatever training took."""
    network = learner.network.eval()
    samples = list(Scenes(200, size=(96, 96), split="val"))
    found = {}

    def label(image):
        return predict_labels(network, image[None])[0]

    for steps in (1, 3, 8):
        with evaluating_steps(network, steps):
            found[f"after_{steps}"] = 100 * mean_iou_of(label, samples, len(learner.scores.names))
    return found

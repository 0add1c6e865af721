"""How many nuclei are found: F1 of objects at IoU 0.5, where the border class parts those that touch.

python experiments/nuclei/objects.py runs/nuclei/best.safetensors [more checkpoints]

An object is a connected part of the class nucleus. A predicted and a true one are a pair if their IoU is
above 0.5, which no object can be with two others; F1 = 2 pairs / (predicted + true), over all pictures.
"""

import sys

import numpy as np
from scipy.ndimage import label

from subquad import load_model
from subquad.data.shared import data_folder
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data import SegmentationFolder
from subquad.tasks.segmentation.labels import predict_labels

NUCLEUS, IGNORED = 1, 255
SIX = np.ones((3, 3), bool)  # corners connect, too


def objects(labels: np.ndarray) -> tuple[np.ndarray, int]:
    return label(labels == NUCLEUS, SIX)


def pairs(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Return pairs, predicted and true objects."""
    seen = truth != IGNORED
    ours, count = objects(np.where(seen, predicted, 0))
    theirs, true_count = objects(truth)
    shape = count + 1, true_count + 1
    both = np.bincount(ours.ravel() * shape[1] + theirs.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    areas, true_areas = both.sum(axis=1)[1:, None], both.sum(axis=0)[None, 1:]
    inter = both[1:, 1:]
    return int((2 * inter > areas + true_areas - inter).sum()), count, true_count


def object_f1(
    model, data: SegmentationFolder, pictures: int, confusion: ConfusionMatrix | None = None
) -> float:
    """Return the F1 of objects on the first pictures, 0 to 1; pixels go to the matrix if there is one."""
    counted = np.zeros(3, int)
    for index in range(pictures):
        sample = data[index]
        predicted = predict_labels(model, sample.image.unsqueeze(0))[0]
        if confusion is not None:
            confusion.update(predicted, sample.labels)
        counted += pairs(predicted.numpy(), sample.labels.numpy())
    return 2 * counted[0] / max(1, counted[1] + counted[2])


def scores(path: str, data: SegmentationFolder) -> tuple[float, float]:
    """Return mean IoU and F1 of a checkpoint, 0 to 1."""
    confusion = ConfusionMatrix(data.labels.num_classes)
    f1 = object_f1(load_model(path), data, len(data), confusion)
    return confusion.scores().mean_iou, f1


def main() -> None:
    root = data_folder("nuclei", None, who="this script", give="it there")
    data = SegmentationFolder(root, "val")
    for path in sys.argv[1:]:
        mean_iou, f1 = scores(path, data)
        print(f"{path}: mean IoU {100 * mean_iou:.2f} %, object F1 {100 * f1:.2f} %", flush=True)


if __name__ == "__main__":
    main()

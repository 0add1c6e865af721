"""Six pictures of the evaluation set: image, truth, prediction, and where they differ.

python experiments/camvid/pictures.py runs/camvid/best.safetensors
"""

import sys
from pathlib import Path

import torch

from subquad import load_model
from subquad.explain.figures import side_by_side
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.camvid import CamVid
from subquad.tasks.segmentation.data.colors import index_to_color
from subquad.tasks.segmentation.labels import predict_labels

HERE = Path(__file__).parent
SHOWN = 6


def painted(labels, palette):
    known = labels.where(labels < len(palette), 0)
    colors = torch.from_numpy(index_to_color(known.numpy(), palette))
    return colors * (labels < len(palette)).unsqueeze(-1)  # black where nothing is known


def main() -> None:
    model = load_model(sys.argv[1])
    data = CamVid(split="val")
    palette = data.labels.palette
    columns = {"image": [], "truth": [], "prediction": [], "wrong (red)": []}
    confusion = ConfusionMatrix(data.labels.num_classes)
    shown = {round(i * (len(data) - 1) / (SHOWN - 1)) for i in range(SHOWN)}
    for index in range(len(data)):
        sample = data[index]
        prediction = predict_labels(model, sample.image.unsqueeze(0))[0]
        confusion.update(prediction, sample.labels)
        if index not in shown:
            continue
        wrong = (prediction != sample.labels) & (sample.labels != 255)
        faded = sample.image // 2
        faded[0][wrong] = 255
        columns["image"].append(sample.image)
        columns["truth"].append(painted(sample.labels, palette))
        columns["prediction"].append(painted(prediction, palette))
        columns["wrong (red)"].append(faded)
    figure = side_by_side(columns)
    figure.set_size_inches(12, 14)
    figure.savefig(HERE / "val.jpg", dpi=90, bbox_inches="tight", pil_kwargs={"quality": 85})
    print(f"mean IoU {confusion.scores().mean_iou:.4f} on {len(data)} images")


if __name__ == "__main__":
    main()

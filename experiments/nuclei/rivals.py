"""U-Net and FPN of segmentation_models_pytorch, trained by `subquad fit` on the same encoder and weights.

pip install segmentation-models-pytorch
python experiments/nuclei/rivals.py fit --config recipes/nuclei.yaml --model.name smp_unet \\
    --model.pretrained null --model.detail_stride null --output runs/nuclei_unet

They are a family of networks as another package would announce it (docs/add_a_network.md): everything but the
decoder is the same, the pretrained encoder, the data, the losses, the schedule, the evaluation.
"""

import sys
from dataclasses import dataclass
from typing import ClassVar

import segmentation_models_pytorch as smp

from subquad import load_original
from subquad.models import SegmentationConfig, SegmentationNetwork, register, register_model
from subquad.models.backbones import make_backbone
from subquad.models.pretrained import PACKAGED, pretrained_file

DECODERS = {"unet": smp.Unet, "fpn": smp.FPN}


@dataclass(frozen=True, kw_only=True)
class SmpConfig(SegmentationConfig):
    """Options of `SmpNetwork`: its decoder, and the pretrained start of its encoder."""

    family: ClassVar[str] = "smp"
    num_classes: int = 3
    decoder: str = "unet"
    encoder: str = "efficientnet_lite0"


@register(SmpConfig)
class SmpNetwork(SegmentationNetwork):
    """A network of segmentation_models_pytorch, in `backbone` and `head`."""

    def __init__(self, config: SmpConfig) -> None:
        super().__init__()
        self.config = config
        name = PACKAGED[config.encoder].backbone
        network = DECODERS[config.decoder](
            f"tu-{name.removeprefix('timm/')}", encoder_weights=None, classes=config.num_classes
        )
        start = make_backbone(name)
        if not next(start.parameters()).is_meta:  # where parameters are only counted there are no values
            load_original(start, pretrained_file(config.encoder, name))
            network.encoder.model.load_state_dict(start.network.state_dict())
        self.backbone = network.encoder
        self.backbone.aligned_sizes = 32  # which these decoders need
        self.decoder, self.classifier = network.decoder, network.segmentation_head

    def forward(self, images):
        self.check_images(images)
        height, width = images.shape[2:]
        logits = self.classifier(self.decoder(self.backbone(self.padded(images))))
        return logits[..., :height, :width]

    def forward_with_auxiliary(self, images):
        return self(images), None


for _name in DECODERS:
    register_model(f"smp_{_name}", SmpConfig(decoder=_name, mean=(0.5,) * 3, std=(0.5,) * 3))


if __name__ == "__main__":
    from subquad.cli.main import main

    sys.exit(main(sys.argv[1:]))

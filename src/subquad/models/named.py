"""The named networks: the published configurations (Enjoy-Hamburger, SegNeXt, VAN, Paramixer, ChordMixer)."""

from __future__ import annotations

from subquad.models.classification.config import ClassifierConfig
from subquad.models.hamgan.config import HamGANConfig
from subquad.models.language.config import LanguageConfig
from subquad.models.registry import register_model
from subquad.models.segmentation.hamnet import HamNetConfig
from subquad.models.segmentation.light_ham import LightHamConfig
from subquad.models.sequence.config import SequenceConfig


def _light_ham(backbone: str, width: int, channels: int, rank: int, drop_path: float = 0.1) -> LightHamConfig:
    return LightHamConfig(
        backbone=backbone,
        ham_channels=width,
        channels=channels,
        rank=rank,
        drop_path=drop_path,
    )


# The rank of small_d256 is inferred from its published cost.
register_model("light_ham_van_tiny_d256", _light_ham("van_tiny", 256, 256, 16))
register_model("light_ham_van_tiny", _light_ham("van_tiny", 480, 512, 64))
register_model("light_ham_van_small_d256", _light_ham("van_small", 256, 256, 32))
register_model("light_ham_van_small", _light_ham("van_small", 512, 512, 64))
register_model("light_ham_van_base", _light_ham("van_base", 512, 512, 64))
register_model("light_ham_van_large", _light_ham("van_large", 512, 512, 64, drop_path=0.25))
register_model("light_ham_van_huge", _light_ham("van_huge", 512, 512, 64, drop_path=0.3))

# Ours: for pictures of one's own, from the pretrained weights of the same name. The detail path is
# what nuclei ask for, experiments/nuclei.
for _size, _width, _rank in ((0, 128, 32), (2, 256, 64)):
    register_model(
        f"light_ham_efficientnet_lite{_size}",
        LightHamConfig(
            backbone=f"timm/tf_efficientnet_lite{_size}",
            ham_channels=_width,
            channels=_width,
            rank=_rank,
            detail=32,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
    )

register_model("segnext_tiny", _light_ham("mscan_tiny", 256, 256, 16))
register_model("segnext_small", _light_ham("mscan_small", 256, 256, 16))
register_model("segnext_base", _light_ham("mscan_base", 512, 512, 64))
register_model("segnext_large", _light_ham("mscan_large", 1024, 1024, 64, drop_path=0.3))


def _hamnet_voc(backbone: str) -> HamNetConfig:
    return HamNetConfig(
        num_classes=21,
        backbone=backbone,
        version="v2",
        align_channels=256,
        norm="batch",
        bn_momentum=3e-4,
        auxiliary=False,
        corners=True,
        eval_steps=6,
        grad_steps=0,
    )


register_model("hamnet_r50_voc", _hamnet_voc("resnet50_voc"))
register_model("hamnet_r101_voc", _hamnet_voc("resnet101_voc"))
register_model("hamnet_r50_ade20k", HamNetConfig(backbone="resnet50_v1c"))
register_model("hamnet_r101_ade20k", HamNetConfig(backbone="resnet101_v1c"))
for _size in ("tiny", "small", "base", "large"):
    register_model(
        f"hamnet_van_{_size}_os8",
        HamNetConfig(backbone=f"van_{_size}", concat_input=True, drop_path=0.25 if _size == "large" else 0.1),
    )

# Images of the VAN classifiers are scaled to -1..1. The drop path of huge is not published.
for _size, _rate in {"tiny": 0.1, "small": 0.1, "base": 0.1, "large": 0.2, "huge": 0.2}.items():
    register_model(
        f"van_{_size}",
        ClassifierConfig(backbone=f"van_{_size}", drop_path=_rate, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    )

# For small pictures, such as those of CIFAR-10: nothing published, made to train as it is.
register_model(
    "conv_tiny", ClassifierConfig(num_classes=10, backbone="conv_tiny", image_size=32, crop_ratio=1.0)
)

# Paramixer on the tasks of its paper. Adding and Temporal Order are read out at one position: read out
# at all of them, as published (pooling="flatten"), they are solved without any mixing.
_PARAMIXERS = {
    "adding": SequenceConfig(in_features=2, num_classes=1, regression=True, length=128, pooling="cls"),
    "order": SequenceConfig(vocab_size=6, num_classes=4, length=128, pooling="cls", positions=True),
    "listops": SequenceConfig(vocab_size=17, num_classes=10, length=1999, dim=128, positions=True),
    "image": SequenceConfig(
        vocab_size=256,
        num_classes=10,
        length=1024,
        positions=True,
        dropout=0.2,
        double_dropout=True,
        block_dropout=0.8,
    ),
    "pathfinder": SequenceConfig(vocab_size=225, num_classes=2, length=1024, dim=64, positions=True),
    "text": SequenceConfig(
        vocab_size=97,
        num_classes=2,
        length=4097,
        hidden=128,
        depth=3,
        pooling="cls",
        dropout=0.4,
        double_dropout=True,
        embedding_range=0.1,
    ),
    "long_document": SequenceConfig(
        vocab_size=4290,
        num_classes=4,
        length=16385,
        dim=100,
        hidden=128,
        factors="floor",
        pooling="cls",
        dropout=0.2,
        double_dropout=True,
        embedding_range=0.1,
    ),
    "genome": SequenceConfig(
        vocab_size=5,
        num_classes=2,
        length=16384,
        hidden=128,
        positions=True,
        dropout=0.2,
        double_dropout=True,
        block_dropout=0.8,
    ),
}
for _task, _config in _PARAMIXERS.items():
    register_model(f"paramixer_{_task}", _config)

# Where sequences of one's own begin, tokens or values: nothing published, made to train as it is. The
# published ones have no norms and random links, which suit the learning rates and data of their tasks.
register_model(
    "paramixer",
    SequenceConfig(
        vocab_size=256,
        num_classes=2,
        length=1024,
        dim=64,
        hidden=128,
        depth=2,
        norm=True,
        start="uniform",
        pooling="mean",
        dropout=0.1,
    ),
)

# ChordMixer with the published widths of Long Range Arena: tracks of 8, 16, 28 and 24 channels, hidden width,
# dropout, one block for each power of two. Ours: layer norms where batch norms were published, and grey
# levels as tokens.
for _task, _vocabulary, _classes, _length, _track, _hidden, _dropout in (
    ("listops", 17, 10, 2048, 8, 88, 0.1),
    ("text", 258, 2, 4096, 16, 96, 0.1),
    ("image", 256, 10, 1024, 28, 420, 0.0),
    ("pathfinder", 256, 2, 1024, 24, 320, 0.0),
):
    register_model(
        f"chordmixer_{_task}",
        SequenceConfig(
            context="chordmixer",
            vocab_size=_vocabulary,
            num_classes=_classes,
            length=_length,
            dim=_track * _length.bit_length(),
            hidden=_hidden,
            norm=True,
            pooling="mean",
            block_dropout=_dropout,
        ),
    )

# Where sequences of one's own begin, as "paramixer" and about as large: nothing published.
register_model(
    "chordmixer",
    SequenceConfig(
        context="chordmixer",
        vocab_size=256,
        num_classes=2,
        length=1024,
        dim=110,
        hidden=96,
        norm=True,
        pooling="mean",
        dropout=0.1,
    ),
)

# The same networks: the strong one was trained on batches of 1,024 instead of 256.
register_model("hamgan_baby", HamGANConfig())
register_model("hamgan_strong", HamGANConfig())

# Ours: 0.4, 10 and 100 million parameters on bytes.
register_model("ham_lm_tiny", LanguageConfig())
register_model("ham_lm_small", LanguageConfig(dim=384, depth=6, heads=6, paramixer_heads=24, context=1024))
register_model("ham_lm_base", LanguageConfig(dim=768, depth=14, heads=12, paramixer_heads=48, context=2048))

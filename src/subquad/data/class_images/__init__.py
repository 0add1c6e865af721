"""Pictures with a class each: class folders, CIFAR-10, Fashion-MNIST.

`ClassImageData` needs Lightning, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.data.class_images.files import CIFAR_CLASSES, FASHION_CLASSES, cifar10, fashion_mnist
from subquad.data.class_images.folder import ClassFolder, centre_square
from subquad.data.class_images.options import ClassImageOptions, open_class_images
from subquad.data.class_images.samples import ClassBatch, ClassImages, PicturesInMemory

if TYPE_CHECKING:
    from subquad.data.class_images.module import ClassImageData

__all__ = [
    "CIFAR_CLASSES",
    "FASHION_CLASSES",
    "ClassBatch",
    "ClassFolder",
    "ClassImageData",
    "ClassImageOptions",
    "ClassImages",
    "PicturesInMemory",
    "centre_square",
    "cifar10",
    "fashion_mnist",
    "open_class_images",
]


def __getattr__(name: str) -> Any:
    if name == "ClassImageData":
        from subquad.data.class_images.module import ClassImageData

        return ClassImageData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Pictures with a class each: class folders, CIFAR-10, Fashion-MNIST."""

from subquad.data.cifar import CIFAR_CLASSES
from subquad.data.class_images.files import FASHION_CLASSES, cifar10, fashion_mnist
from subquad.data.class_images.folder import ClassFiles, ClassFolder, centre_square
from subquad.data.class_images.options import ClassImageOptions, open_class_images
from subquad.data.class_images.samples import ClassBatch, ClassImages, PicturesInMemory

__all__ = [
    "CIFAR_CLASSES",
    "FASHION_CLASSES",
    "ClassBatch",
    "ClassFiles",
    "ClassFolder",
    "ClassImageOptions",
    "ClassImages",
    "PicturesInMemory",
    "centre_square",
    "cifar10",
    "fashion_mnist",
    "open_class_images",
]

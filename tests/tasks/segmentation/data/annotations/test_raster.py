"""Which shape is seen where shapes overlap."""

import numpy as np
import pytest

from subquad.tasks.segmentation.data.annotations.items import Shape
from subquad.tasks.segmentation.data.annotations.outlines import Polygons, box_ring
from subquad.tasks.segmentation.data.annotations.raster import rasterise
from subquad.tasks.segmentation.data.annotations.turning import as_upright

CLASSES = {"cat": 1, "dog": 2}


def box(label: str, left: int, top: int, right: int, bottom: int, **options: object) -> Shape:
    return Shape(label, Polygons((box_ring(left, top, right, bottom),)), **options)  # pyright: ignore


LARGE, SMALL = (0, 0, 8, 8), (2, 2, 4, 4)


def test_the_order_of_the_file_decides() -> None:
    over = rasterise([box("cat", *LARGE), box("dog", *SMALL)], CLASSES, 10, 10)
    assert over[3, 3] == 2 and over[5, 5] == 1 and over[9, 9] == 0
    assert rasterise([box("dog", *SMALL), box("cat", *LARGE)], CLASSES, 10, 10)[3, 3] == 1


def test_the_smallest_is_on_top_where_the_order_means_nothing() -> None:
    for shapes in ([box("dog", *SMALL), box("cat", *LARGE)], [box("cat", *LARGE), box("dog", *SMALL)]):
        assert rasterise(shapes, CLASSES, 10, 10, smallest_on_top=True)[3, 3] == 2
    equal = [box("cat", *SMALL), box("dog", *SMALL)]
    assert rasterise(equal, CLASSES, 10, 10, smallest_on_top=True)[3, 3] == 2  # then the order


def test_layers_come_before_the_order() -> None:
    shapes = [box("dog", *SMALL, layer=1), box("cat", *LARGE)]
    assert rasterise(shapes, CLASSES, 10, 10)[3, 3] == 2
    assert rasterise([box("cat", *LARGE, layer=-1), box("dog", *SMALL, layer=-2)], CLASSES, 10, 10)[3, 3] == 1


def test_a_crowd_is_ignored_but_for_objects_in_it() -> None:
    shapes = [box("dog", *SMALL), box("cat", *LARGE, ignored=True)]
    labels = rasterise(shapes, CLASSES, 10, 10)
    assert labels[3, 3] == 2 and labels[5, 5] == 255 and labels[9, 9] == 0


def test_neighbours_of_a_class_do_not_hide_what_is_between() -> None:
    """Painting order is kept where shapes of one class are painted at once."""
    shapes = [box("cat", *LARGE), box("cat", 0, 0, 1, 1), box("dog", *SMALL), box("cat", 3, 3, 4, 4)]
    labels = rasterise(shapes, CLASSES, 10, 10)
    assert labels[2, 2] == 2 and labels[3, 3] == 1


def test_nothing_is_background() -> None:
    assert (rasterise([], CLASSES, 2, 3, rest=7) == np.full((2, 3), 7)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_turn_as_pictures_do(orientation: int) -> None:
    from PIL import Image, ImageOps

    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = Image.fromarray(mask)
    picture.getexif()[274] = orientation
    assert (as_upright(mask, orientation) == np.asarray(ImageOps.exif_transpose(picture))).all()

"""Outlines become the pixels that pycocotools counts, whatever a file says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from annotation_exports import HEIGHT, SQUARE, WIDTH, brushed, packed_brush, square
from picture_bytes import encoded
from subquad.tasks.segmentation.data.annotations.brush import unpack_brush
from subquad.tasks.segmentation.data.annotations.outlines import (
    Brush,
    Outline,
    PngPatch,
    Polygons,
    RowRuns,
    RunLengths,
    box_ring,
    ellipse_ring,
    turned,
    unpack_counts,
)

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))
CORNERS = st.lists(st.tuples(*[st.floats(-10, 45, width=32)] * 2), min_size=3, max_size=7)


def painted(outline: Outline, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return coco_masks.decode(outline.runs(height, width))


def of_coco(segmentation: Any, height: int, width: int) -> np.ndarray:
    """What pycocotools' own reader of annotations makes of it."""
    coco = COCO.__new__(COCO)
    coco.imgs = {1: {"height": height, "width": width}}
    return coco.annToMask({"image_id": 1, "segmentation": segmentation})


@settings(max_examples=60, deadline=None)
@given(st.lists(CORNERS, min_size=1, max_size=3))
def test_polygons_are_those_of_coco(rings: list[list[tuple[float, float]]]) -> None:
    """Also where they overlap, cross themselves, or reach beyond the picture."""
    flat = [[value for corner in ring for value in corner] for ring in rings]
    outline = Polygons(tuple(np.array(ring, np.float64) for ring in rings))
    assert (painted(outline) == of_coco(flat, HEIGHT, WIDTH)).all()


def test_relative_corners_are_parts_of_the_sides() -> None:
    ring = np.array(SQUARE, np.float64) / [WIDTH, HEIGHT]
    assert (painted(Polygons((ring,), relative=True)) == square()).all()


def test_a_polygon_outside_of_the_picture_has_no_pixel() -> None:
    far = np.array([[1e12, 1e12], [1e12 + 5, 1e12], [1e12, 1e12 + 5]])
    assert painted(Polygons((far,))).sum() == 0
    assert painted(Polygons((np.array([[1e7, 1e7], [3e7, 1e7], [1e7, 3e7]]),))).sum() == 0  # however long
    assert (painted(Polygons((far, np.array(SQUARE, np.float64)))) == square()).all()


def test_an_endless_outline_is_refused_before_it_is_drawn() -> None:
    huge = np.array([[0, 0], [1e9, 0], [0, 1e9]])
    with pytest.raises(ValueError, match=r"an outline is 3,000,000,000 pixels long"):
        painted(Polygons((huge,)))


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_run_lengths_come_back(mask: np.ndarray) -> None:
    height, width = mask.shape
    packed = coco_masks.encode(np.asfortranarray(mask))["counts"]
    column = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], column]))).tolist()
    counts = np.diff([0, *edges, column.size])
    assert unpack_counts(packed).tolist() == counts.tolist()
    assert (painted(RunLengths(packed, (height, width)), height, width) == mask).all()
    numbers = RunLengths(counts.astype(np.int64), (height, width))
    assert (painted(numbers, height, width) == mask).all()
    assert (of_coco({"size": [height, width], "counts": counts.tolist()}, height, width) == mask).all()


@pytest.mark.parametrize(
    "counts",
    [
        [5],
        [0, 99],
        [200],
        [50, -5, 55],
        [2**62, 2**62, 2**62, 2**62, 100],
        [],
        b"",
        b"0",
        b"d0",
        b"~~",
        b"\xff1",
    ],
)
def test_run_lengths_of_another_sum_are_refused(counts: Any) -> None:
    """pycocotools would leave the other pixels as they were in memory."""
    given = counts if isinstance(counts, bytes) else np.array(counts, np.int64)
    with pytest.raises(ValueError, match=r"add up to|not as COCO packs them|more than 32 bits"):
        RunLengths(given, (10, 10)).runs(10, 10)


@pytest.mark.parametrize(
    "outline", [RunLengths(np.array([6]), (2, 3)), Brush(bytes(brushed(np.ones((2, 3)))), (2, 3))]
)
def test_what_is_of_another_size_is_refused(outline: Outline) -> None:
    with pytest.raises(ValueError, match="2 x 3, but the picture is 3 x 2"):
        outline.runs(3, 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 255) | st.just(7), min_size=1, max_size=90),
    st.sampled_from([(3, 4, 8, 16), (1, 2, 3, 4), (2, 8, 8, 8), (16, 16, 16, 16)]),
)
def test_brushes_come_back(words: list[int], sizes: tuple[int, ...]) -> None:
    """A run longer than the longest size is several."""
    assert unpack_brush(bytes(packed_brush(words, sizes)), len(words)).tolist() == words


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_brushes_are_masks(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert (painted(Brush(bytes(brushed(mask)), (height, width)), height, width) == mask).all()


def test_words_of_fewer_bits() -> None:
    assert unpack_brush(bytes(packed_brush([1, 0, 1, 1, 1, 1, 0, 1], word=1)), 8).tolist() == [
        1,
        0,
        1,
        1,
        1,
        1,
        0,
        1,
    ]


def test_the_stream_is_as_it_is_described() -> None:
    """By hand: 4 words of 8 bits, one run of 4 (size 3 bits, 3) of 255."""
    bits = f"{4:032b}" + "00111" + "0010" + "0011" + "0111" + "1111" + "1" + "00" + "011" + "11111111"
    bits += "0" * (-len(bits) % 8)
    stream = bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))
    assert unpack_brush(stream, 4).tolist() == [255] * 4


@pytest.mark.parametrize("cut", [0, 3, 7, 8, 11])
def test_a_brush_that_is_cut_off_is_one_sentence(cut: int) -> None:
    stream = bytes(packed_brush([*range(20)]))
    with pytest.raises(ValueError, match="cut off"):
        unpack_brush(stream[:cut], 20)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40))
def test_no_stream_of_bits_is_a_traceback(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|painted|bits a channel"):
        unpack_brush(stream, 10**9 + 1)


def test_a_run_beyond_the_end_is_refused() -> None:
    stream = bytes(packed_brush([9] * 12))
    with pytest.raises(ValueError, match="cut off or no run lengths"):
        unpack_brush((10).to_bytes(4, "big") + stream[4:], 10)


def test_rows_of_a_box() -> None:
    """CVAT counts along rows, from what is not meant, within the box."""
    outline = RowRuns(np.array([1, 3, 2]), (4, 5, 3, 2))
    mask = painted(outline)
    assert mask.sum() == 3 and mask[5, 5:7].all() and mask[6, 4] == 1
    whole = RowRuns(np.array([0, 64]), (4, 6, 8, 8))
    assert (painted(whole) == square()).all()


@pytest.mark.parametrize(
    "counts, box",
    [([5], (0, 0, 2, 2)), ([-1, 5], (0, 0, 2, 2)), ([2**62] * 4 + [4], (0, 0, 2, 2)), ([0], (0, 0, 0, 9))],
)
def test_rows_that_do_not_fill_their_box(counts: list[int], box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"add up to|which is none"):
        RowRuns(np.array(counts), box).runs(9, 9)


@pytest.mark.parametrize("left, top", [(4, 6), (-3, -2), (28, 20), (40, 1)])
def test_a_patch_is_cut_off_at_the_edges(left: int, top: int) -> None:
    import base64

    patch = np.full((8, 8), 255, np.uint8)
    outline = PngPatch(base64.b64encode(encoded("PNG", patch)).decode(), left, top)
    expected = np.zeros((HEIGHT + 99, WIDTH + 99), np.uint8)
    expected[max(top, 0) + 0 : top + 8, max(left, 0) : left + 8] = 1
    assert (painted(outline) == expected[:HEIGHT, :WIDTH]).all()


def test_boxes_ellipses_and_what_is_turned() -> None:
    assert (painted(Polygons((box_ring(4, 6, 12, 14),))) == square()).all()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((columns - 16) / 9) ** 2 + ((rows - 12) / 5) ** 2
    mask = painted(Polygons((ellipse_ring(16, 12, 9, 5),)))
    assert mask[inside < 0.9].all() and not mask[inside > 1.15].any()
    upright = painted(Polygons((turned(ellipse_ring(16, 12, 9, 5), 90, 16, 12),)))
    assert (upright == painted(Polygons((ellipse_ring(16, 12, 5, 9),)))).mean() > 0.98
    # Clockwise as pictures are looked at: the corner at the right goes down.
    assert np.allclose(turned(np.array([[2.0, 1.0]]), 90, 1, 1), [[1, 2]])

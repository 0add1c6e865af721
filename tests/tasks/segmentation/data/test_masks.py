"""The values of a mask are those that its file stores, and what contradicts them is an error."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picture_bytes import encoded, png
from subquad.data.pictures import read_picture
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.masks import LossyMaskError, check_same_size, open_mask, read_mask

RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)
LABELS = LabelSet(("ground", "roof", "water"), (RED, GREEN, BLUE), BLACK)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits_holds_what_is_stored(tmp_path: Path, bits: int) -> None:
    """PIL gives 85 for a 1 of two bits, and 17 for one of four."""
    values = list(range(min(2**bits, 256)))
    packed = int("".join(f"{value:0{bits}b}" for value in values), 2)
    rows = b"\0" + packed.to_bytes(-(-len(values) * bits // 8)) if bits > 1 else b"\0\x40"
    (tmp_path / "x.png").write_bytes(png(len(values), 1, bits, 0, rows))
    mask = open_mask(tmp_path / "x.png")
    assert mask.values.tolist() == [values] and mask.bits == bits and mask.table is None
    names = LabelSet.generic(255)
    if bits < 8:
        assert read_mask(tmp_path / "x.png", names).tolist() == [values]


@pytest.mark.parametrize("options", [{"kind": "JPEG"}, {"kind": "TIFF", "compression": "jpeg"}])
def test_lossy_masks_are_refused_whatever_their_names(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(options.pop("kind"), np.zeros((8, 8), np.uint8), **options))
    with pytest.raises(LossyMaskError, match=rf"{path} is compressed as JPEG.*as PNG"):
        read_mask(path, LABELS)


def test_lossless_tiff_and_bmp_are_masks(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2, 255]], np.uint8)
    for name, options in (("x.bmp", {}), ("x.tif", {}), ("y.tif", {"compression": "tiff_lzw"})):
        Image.fromarray(values).save(tmp_path / name, **options)
        assert read_mask(tmp_path / name, LABELS).tolist() == values.tolist(), name


def test_white_that_is_zero_does_not_tell_the_class(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "x.tif", tiffinfo={262: 0})
    with pytest.raises(ValueError, match="stores white as 0"):
        open_mask(tmp_path / "x.tif")


@pytest.mark.parametrize(("color", "rows"), [(2, b"\0" + bytes(6)), (4, b"\0" + bytes(4))])
def test_what_would_be_reduced_to_8_bits_is_refused(tmp_path: Path, color: int, rows: bytes) -> None:
    (tmp_path / "x.png").write_bytes(png(1, 1, 16, color, rows))
    with pytest.raises(ValueError, match="16 bits; save the class indices as 8-bit grey"):
        open_mask(tmp_path / "x.png")


def test_a_bmp_whose_colours_pil_mistakes(tmp_path: Path) -> None:
    """Of 8 bits with a table of black and white, PIL reads every eighth pixel."""
    content = bytearray(encoded("BMP", np.array([[0, 1, 1, 0]], np.uint8)))
    content[46:50] = (2).to_bytes(4, "little")
    content[54:62] = b"\0\0\0\0\xff\xff\xff\0"
    (tmp_path / "x.bmp").write_bytes(content)
    with pytest.raises(ValueError, match="grey colour table of 8 bits, save it as PNG"):
        open_mask(tmp_path / "x.bmp")


def indexed(path: Path, values: list[int], *table: tuple[int, int, int]) -> Path:
    picture = Image.fromarray(np.array([values], np.uint8)).convert("P")
    picture.putdata(values)
    picture.putpalette([level for color in table for level in color])
    picture.save(path)
    return path


def test_a_colour_table_that_contradicts_the_classes(tmp_path: Path) -> None:
    right = indexed(tmp_path / "right.png", [0, 1, 2], RED, GREEN, BLUE)
    assert read_mask(right, LABELS).tolist() == [[0, 1, 2]]
    unused = indexed(tmp_path / "unused.png", [0, 1], RED, GREEN, GREEN)
    assert read_mask(unused, LABELS).tolist() == [[0, 1]]
    other = indexed(tmp_path / "other.png", [0, 1, 2], (1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert read_mask(other, LABELS).tolist() == [[0, 1, 2]]
    moved = indexed(tmp_path / "moved.png", [0, 1, 2], GREEN, RED, BLUE)
    sentence = f"{moved} gives index 0, which is class 0 'ground', the colour {GREEN} of class 'roof'"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_mask(moved, LABELS)
    black = indexed(tmp_path / "black.png", [1], RED, BLACK)
    with pytest.raises(ValueError, match="of ignored pixels"):
        read_mask(black, LABELS)


def test_a_ramp_of_grey_tells_no_colour(tmp_path: Path) -> None:
    """Tools that convert grey to indices write it, and mean nothing by it."""
    path = indexed(tmp_path / "x.png", [0, 1, 2], *[(level,) * 3 for level in range(256)])
    grey = LabelSet(("a", "b", "c"), ((2, 2, 2), (1, 1, 1), (0, 0, 0)))
    assert open_mask(path).table is None
    assert read_mask(path, grey).tolist() == [[0, 1, 2]]


def test_a_turned_picture_beside_a_mask_that_is_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded("JPEG", np.zeros((4, 6, 3), np.uint8), exif=exif))
    check_same_size(read_picture(path), path, np.zeros((6, 4)), path)
    with pytest.raises(ValueError, match="its EXIF data turn the image upright"):
        check_same_size(read_picture(path), path, np.zeros((4, 6)), path)
    with pytest.raises(ValueError, match="make them equal"):
        check_same_size(read_picture(path), path, np.zeros((4, 5)), path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_colors_that_do_not_show_are_not_read(tmp_path: Path, mode: str) -> None:
    """Tools store classes in the alpha channel, over one colour."""
    Image.new(mode, (2, 1), RED if mode == "RGBA" else (0, 255)).save(tmp_path / "opaque.png")
    assert read_mask(tmp_path / "opaque.png", LABELS).tolist() == [[0, 0]]
    Image.new(mode, (2, 1), (*RED, 1) if mode == "RGBA" else (0, 1)).save(tmp_path / "clear.png")
    with pytest.raises(
        ValueError, match=r"clear.png has transparent pixels.*alpha channel, save that as a grey"
    ):
        read_mask(tmp_path / "clear.png", LABELS)

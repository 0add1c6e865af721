"""Pictures of other than three bands, and what stays as it was."""

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from subquad.data.bands import count_bands
from subquad.data.decoding import TooManyPixelsError
from subquad.data.pictures import read_image, read_picture

RNG = np.random.default_rng(0)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


@pytest.mark.parametrize("bands", [2, 4, 5, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_all_bands_are_read(tmp_path: Path, bands: int, dtype: Any, planar: str) -> None:
    """Of 16 bits the upper 8, as of other pictures."""
    pixels = RNG.integers(0, np.iinfo(dtype).max, (bands, 6, 7), dtype, endpoint=True)
    stored = pixels if planar == "separate" else np.moveaxis(pixels, 0, -1)
    path = save(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar)
    assert count_bands(path) == bands
    picture = read_picture(path, bands=bands)
    assert picture.bits == 8 * np.dtype(dtype).itemsize
    assert (picture.pixels.numpy() == (pixels >> 8 if dtype == np.uint16 else pixels)).all()


def test_three_bands_that_nothing_names_are_read_as_colours(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (6, 7, 3), np.uint8)
    path = save(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    assert count_bands(path) == 3 and (read_image(path).permute(1, 2, 0).numpy() == pixels).all()


@pytest.mark.parametrize("extra", ["unspecified", "unassalpha"])
def test_of_four_bands_with_colours_three_are_read_unless_asked(tmp_path: Path, extra: str) -> None:
    pixels = RNG.integers(0, 256, (6, 7, 4), np.uint8)
    path = save(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[extra])
    assert count_bands(path) == 3
    assert (read_image(path).permute(1, 2, 0).numpy() == pixels[..., :3]).all()
    assert (read_image(path, bands=4).permute(1, 2, 0).numpy() == pixels).all()


def test_what_is_read_as_colours_has_three_bands(tmp_path: Path) -> None:
    assert count_bands(save(tmp_path / "a.tif", RNG.integers(0, 256, (6, 7), np.uint8))) == 3
    assert (
        count_bands(save(tmp_path / "b.tif", RNG.integers(0, 256, (6, 7, 3), np.uint8), photometric="rgb"))
        == 3
    )
    (tmp_path / "c.tif").write_bytes(b"II*\0")
    assert count_bands(tmp_path / "c.tif") == 3 and count_bands(tmp_path / "none.png") == 3


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (5, 6, 7), np.uint8)
    path = save(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="separate")
    with pytest.raises(ValueError, match=r"a.tif is a TIFF of 5 bands, and 3 are read; .*--data.bands"):
        read_image(path)
    with pytest.raises(ValueError, match="is a TIFF of 5 bands, and 4 are read"):
        read_image(path, bands=4)
    with pytest.raises(
        TooManyPixelsError, match=r"6 x 7 \(height x width\) with 5 bands, as much as 84 pixels"
    ):
        read_image(path, 83, bands=5)
    assert read_image(path, 84, bands=5).shape == (5, 6, 7)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="cannot be decoded"):
        read_image(path, bands=5)
    with pytest.raises(FileNotFoundError, match="there is no image"):
        read_image(tmp_path / "none.tif", bands=5)
    with pytest.raises(ValueError, match="no TIFF of 5"):
        read_picture(b"II*\0", bands=5, where="x")
    floats = save(
        tmp_path / "f.tif", pixels.astype(np.float32), photometric="minisblack", planarconfig="separate"
    )
    with pytest.raises(ValueError, match="holds float32 of 32 bits"):
        read_image(floats, bands=5)


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_strip_that_unpacks_to_more_than_its_pixels_is_refused(tmp_path: Path, tile: Any) -> None:
    """What is packed may be a thousand times as large, and would be unpacked whole."""
    packed = zlib.compress(bytes(96 * 2**20), 9)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(
            iter([packed]), shape=(8, 8, 5), dtype=np.uint8, photometric="minisblack",
            planarconfig="contig", compression="zlib", tile=tile, rowsperstrip=None if tile else 8,
        )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"a\.tif cannot be decoded \(a strip or tile may unpack to more than"
    ):
        read_image(tmp_path / "a.tif", bands=5)


def test_large_strips_that_are_honest_are_read(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (300, 300, 5), np.uint8)
    path = save(
        tmp_path / "a.tif", pixels, photometric="minisblack", compression="zlib", rowsperstrip=300,
        planarconfig="contig",
    )  # fmt: skip
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        assert page.databytecounts[0] * 1_100 > 64 * 2**20
    assert (read_image(path, bands=5).permute(1, 2, 0).numpy() == pixels).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "lzma"}, "it is packed as LZMA, which is not read"),
        ({"volumetric": True, "tile": (2, 16, 16)}, "its pixels have depth"),
    ],
)
def test_what_cannot_be_bounded_is_refused(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    is_deep = "volumetric" in options
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(
            iter([bytes(64)]) if not is_deep else np.zeros((2, 16, 16, 5), np.uint8),
            shape=(8, 8, 5) if not is_deep else None, dtype=np.uint8, photometric="minisblack",
            planarconfig="contig", **options,
        )  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(reason)):
        read_image(tmp_path / "a.tif", bands=5)


def test_runs_that_are_longer_than_their_pixels_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(
            iter([b"\x81\0" * 2**16]), shape=(8, 8, 5), dtype=np.uint8, photometric="minisblack",
            planarconfig="contig", compression="zlib",
        )  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        page: Any = file.pages[0]
        page.tags["Compression"].overwrite(32773)  # PackBits
    with pytest.raises(ValueError, match="a strip or tile may unpack to more than the 320 bytes"):
        read_image(tmp_path / "a.tif", bands=5)

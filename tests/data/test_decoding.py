"""What a file is, is told by its content, and no file takes more than it is worth."""

import ast
import os
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import subquad
from picture_bytes import RGB, chunk, encoded, png
from subquad.data import pictures
from subquad.data.decoding import decode
from subquad.data.pictures import read_image, read_picture
from subquad.tasks.segmentation.data.masks import open_mask


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_the_content_tells_the_format_and_not_the_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded(kind))
    assert np.array_equal(read_image(path).permute(1, 2, 0).numpy(), RGB)
    assert decode(path, "image").format == kind


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "PostScript"),
        (encoded("GIF"), "GIF"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"8BPS\0\1", "Photoshop"),
        (b"", "is empty"),
        (b"notes", "no picture"),
    ],
)
def test_other_kinds_are_named_and_start_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, word: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", refuse)
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for reader, kind in ((read_image, "image"), (open_mask, "mask")):
        with pytest.raises(ValueError, match=rf"{kind} {path} cannot be decoded \(.*{word}") as error:
            reader(path)
        assert "\n" not in str(error.value) and "PNG, JPEG, BMP and TIFF are read" in str(error.value)


def test_pictures_are_opened_in_one_place() -> None:
    """`Image.open` takes any format, and the pixel limit of PIL is one for the whole process."""
    for path in Path(subquad.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert not (node.attr == "open" and ast.unparse(node.value) == "Image"), path
                assert not (node.attr == "MAX_IMAGE_PIXELS" and isinstance(node.ctx, ast.Store)), path


@pytest.mark.parametrize("side", [50_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(side, side, 8, 2, b""))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf"{side} x {side} .* more than the 268,435,456") as error:
        read_image(path)
    assert f"--data.max_pixels {side * side}" in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_the_limit_is_an_option_of_each_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # PIL warns above, and refuses above twice that
    monkeypatch.setattr(pictures, "_STRIP", 6)  # Pillow before 13 looks at the size of parts, too
    path = tmp_path / "x.png"
    path.write_bytes(encoded("PNG"))
    with pytest.raises(ValueError, match="6 x 5 .* 30 pixels and more than the 29"):
        read_image(path, max_pixels=29)
    assert read_image(path, max_pixels=30).shape == (3, 6, 5)
    path.write_bytes(encoded("TIFF"))
    with pytest.raises(ValueError, match="30 pixels, too many for a TIFF; save it as PNG"):
        read_image(path)


def test_text_that_unpacks_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    bomb = zlib.compress(bytes(2**26))
    for extra in (chunk(b"zTXt", b"a\0\0" + bomb), chunk(b"iCCP", b"a\0\0" + bomb)):
        path.write_bytes(png(1, 1, 8, 0, b"\0\0", extra))
        with pytest.raises(ValueError, match="cannot be decoded"):
            read_image(path)


def test_tiles_of_a_tiff_are_part_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: 65520, 323: 65520, 324: 8, 325: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4))
    with pytest.raises(ValueError, match="4,292,870,400 pixels"):
        read_image(path)


def test_animations_and_pages_are_one_sentence(tmp_path: Path) -> None:
    path, frames = tmp_path / "x.png", [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="animation of 2 pictures; save the one that is meant"):
        read_image(path)
    frames[0].save(tmp_path / "x.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="holds several pages"):
        read_image(tmp_path / "x.tif")


def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    small = Image.fromarray(RGB[:2, :2])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    Image.fromarray(RGB).save(tmp_path / "x.tif", save_all=True, append_images=[small])
    assert np.array_equal(read_image(tmp_path / "x.tif").permute(1, 2, 0).numpy(), RGB)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to("annex/object")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name, word in (
        ("folder", "a folder or device"),
        ("broken", "a link to annex/object, which is not there"),
        ("loop", "a link to loop.png"),
        ("pipe", "a folder or device"),
        ("none", "there is no image"),
    ):
        with pytest.raises(FileNotFoundError, match=word):
            read_image(tmp_path / f"{name}.png")


def test_what_of_a_picture_is_lost_is_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(encoded("JPEG", exif=exif))
    turned = read_picture(tmp_path / "turned.jpg")
    assert turned.orientation == 6 and turned.pixels.shape == (3, 5, 6)
    clear = np.dstack([RGB, np.full((6, 5), 254, np.uint8)])
    (tmp_path / "clear.png").write_bytes(encoded("PNG", clear))
    assert read_picture(tmp_path / "clear.png").transparent
    clear[..., 3] = 255
    (tmp_path / "opaque.png").write_bytes(encoded("PNG", clear))
    assert not read_picture(tmp_path / "opaque.png").transparent
    (tmp_path / "deep.png").write_bytes(png(1, 1, 16, 2, b"\0\x12\x34\x56\x78\x9a\xbc"))
    deep = read_picture(tmp_path / "deep.png")
    assert deep.bits == 16 and deep.pixels.flatten().tolist() == [0x12, 0x56, 0x9A]


def test_strips_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    for picture in (Image.fromarray(RGB), Image.fromarray(RGB).quantize(7), Image.fromarray(RGB[..., 0])):
        picture.save(path)
        whole = read_image(path)
        monkeypatch.setattr("subquad.data.pictures._STRIP", 10)
        assert read_image(path).equal(whole)
        monkeypatch.undo()


VALID = [
    encoded("PNG"),
    encoded("PNG", RGB[..., 0]),
    encoded("JPEG"),
    encoded("BMP"),
    encoded("BMP", RGB[..., 0]),
    encoded("TIFF"),
    encoded("TIFF", compression="tiff_deflate"),
    png(5, 2, 2, 0, b"\0\x1b\x00\0\x00\x00"),
]


@st.composite
def files(draw: Callable) -> bytes:
    """Any bytes, or those of a picture with some changed, cut out or put in."""
    content = bytearray(draw(st.one_of(st.sampled_from(VALID), st.binary(max_size=64))))
    for _ in range(draw(st.integers(0, 4))):
        at, new = draw(st.integers(0, len(content))), draw(st.binary(max_size=4))
        content[at : at + draw(st.integers(0, 8))] = new
    return bytes(content)


@settings(max_examples=300, deadline=None)
@given(content=files())
def test_any_bytes_give_pixels_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(content)
    for reader, kind in ((read_image, "image"), (open_mask, "mask")):
        try:
            found = reader(path)
        except ValueError as error:
            assert str(error).startswith(f"{kind} {path}") and "\n" not in str(error)
        else:
            assert found is not None

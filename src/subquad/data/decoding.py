"""The one decoder of picture files: the content tells what one is, and limits what it may ask for."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from subquad.base.limits import PICTURE_PIXELS

FORMATS = "PNG, JPEG, BMP and TIFF"
"""What is read, in words."""

_ORIENTATION = 274  # the tag of EXIF and TIFF: 1 upright, 3 upside down, 6 and 8 lying, the others mirrored
_HEAD = 32  # bytes that tell a format and the bits of a channel

# The readers are called by themselves: `Image.open` knows programs, such as PostScript, and a limit of
# pixels that is global. Of a phone's JPEG with several pictures (MPO) the first is taken.
_READERS: dict[bytes, tuple[str, Callable[[IO[bytes]], ImageFile.ImageFile]]] = {
    b"\x89PNG\r\n\x1a\n": ("PNG", PngImageFile),
    b"\xff\xd8\xff": ("JPEG", JpegImageFile),
    b"BM": ("BMP", BmpImageFile),
    b"II*\0": ("TIFF", TiffImageFile),
    b"MM\0*": ("TIFF", TiffImageFile),
    b"II+\0": ("TIFF", TiffImageFile),
    b"MM\0+": ("TIFF", TiffImageFile),
}
_OTHERS = {
    b"GIF8": "GIF",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"v/1\x01": "OpenEXR",
    b"\x93NUMPY": "NumPy",
    b"SIMPLE  =": "FITS",
    b"\x89HDF": "HDF5",
}


class TooManyPixelsError(ValueError):
    """A picture beyond a limit.

    Attributes:
        what: The sentence without a remedy: which picture, how large, which limit.
        pixels: How many there are.
    """

    def __init__(self, what: str, pixels: int) -> None:
        super().__init__(
            f"{what}; cut it into parts, or if it is meant and the memory is there, raise the limit: "
            f"--data.max_pixels {pixels} (`data check`: --max_pixels)."
        )
        self.what, self.pixels = what, pixels

    def __reduce__(self) -> tuple[Any, ...]:
        """Let loader processes hand it on."""
        return type(self), (self.what, self.pixels)


@dataclass(frozen=True)
class Decoded:
    """A picture as its file holds it.

    Attributes:
        image: All of it, not turned.
        format: "PNG", "JPEG", "BMP" or "TIFF".
        bits: Of a channel, in the file: PIL reduces colours to 8, and stretches grey of 2 and 4.
        lossy: Whether its compression changes values.
        orientation: What EXIF or TIFF says, 1 to 8; 1 is upright.
        white_is_zero: Whether grey is stored upside down, as in faxes.
    """

    image: Image.Image
    format: str
    bits: int
    lossy: bool = False
    orientation: int = 1
    white_is_zero: bool = False

    @property
    def upright(self) -> Image.Image:
        """The picture as it is looked at."""
        # Otherwise a copy would be made; of TIFF, PIL has turned it already.
        return self.image if self.orientation == 1 else ImageOps.exif_transpose(self.image)


def decode(
    source: str | Path | bytes, kind: str, *, max_pixels: int = PICTURE_PIXELS, where: str = ""
) -> Decoded:
    """Decode a file completely; nothing is allocated before its header proved modest.

    Args:
        source: A file, or its content.
        kind: "image" or "mask", for messages.
        max_pixels: Refuse more.
        where: What the content is called in messages, if `source` is no path.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: In one sentence, if it cannot be used.
    """
    name = where or str(source)
    with ExitStack() as stack:
        if isinstance(source, bytes):
            file: IO[bytes] = io.BytesIO(source)
        else:
            file = stack.enter_context(_open(Path(source), kind))
        head = file.read(_HEAD)
        file.seek(0)
        found = next((reader for start, reader in _READERS.items() if head.startswith(start)), None)
        if found is None:
            other = looks_like(head)
            what = f"it is {other}" if other else "it is no picture" if head else "it is empty"
            advice = "save it as PNG" if other else "copy it again or remove it"
            raise ValueError(f"{kind} {name} cannot be decoded ({what}; {FORMATS} are read); {advice}.")
        word, make = found
        stack.enter_context(quietly(name, kind))
        image = stack.enter_context(make(file))
        _refuse_size(image, kind, name, max_pixels)
        if pages := _pages(image):
            raise ValueError(f"{kind} {name} holds {pages}; save the one that is meant as a file of its own.")
        orientation = int(image.getexif().get(_ORIENTATION, 1))
        tags: Any = image.tag_v2 if isinstance(image, TiffImageFile) else {}
        white_is_zero = tags.get(262) == 0
        lossy = word == "JPEG" or image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
        bits = _bits(image, head)
        image.load()
        return Decoded(image, word, bits, lossy, orientation, white_is_zero)


def looks_like(head: bytes) -> str:
    """Return what kind of picture a file is by its first bytes, "" if it is none that is known."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return "HEIC, AVIF or a film"
    known = {start: word for start, (word, _) in _READERS.items()} | _OTHERS
    return next((word for start, word in known.items() if head.startswith(start)), "")


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, none if it is no file or cannot be read."""
    try:
        with path.open("rb") if path.is_file() else io.BytesIO() as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _open(path: Path, kind: str) -> IO[bytes]:
    if not path.is_file():
        if path.is_symlink():
            raise FileNotFoundError(
                f"{kind} {path} is a link to {path.readlink()}, which is not there; mend it."
            )
        if path.exists():
            raise FileNotFoundError(f"{kind} {path} is a folder or device, not a file; remove or rename it.")
        raise FileNotFoundError(f"there is no {kind} {path}; correct the path.")
    try:
        return path.open("rb")
    except OSError as error:
        raise OSError(f"{kind} {path} cannot be opened ({error.strerror}); let it be read.") from error


@contextmanager
def quietly(name: str | Path, kind: str) -> Iterator[None]:
    """Say whatever PIL says of a file in one sentence, and nothing beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are looked at here
        try:
            yield
        except Exception as error:  # PIL raises a dozen kinds for broken files: of structs, keys, memory
            if isinstance(error, ValueError) and str(error).startswith(f"{kind} {name} "):
                raise
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"{kind} {name} cannot be decoded ({reason}); copy it again or remove it."
            ) from error


def _refuse_size(image: ImageFile.ImageFile, kind: str, name: str, max_pixels: int) -> None:
    width, height = image.size
    if not width or not height:
        raise ValueError(f"{kind} {name} has no pixel; copy it again or remove it.")
    tag: Any = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    tile = int(tag.get(322, 1)) * int(tag.get(323, 1))  # of TIFF: decoded whole, however small the picture
    pixels = max(width * height, tile)
    # PIL has a limit of its own for TIFF, which is left as it is: it is one for the whole process.
    if isinstance(image, TiffImageFile) and pixels > 2 * (Image.MAX_IMAGE_PIXELS or pixels):
        raise ValueError(f"{kind} {name} has {pixels:,} pixels, too many for a TIFF; save it as PNG.")
    if pixels > max_pixels:
        raise TooManyPixelsError(
            f"{kind} {name} is {height} x {width} (height x width), {pixels:,} pixels and more than the "
            f"{max_pixels:,} that are read",
            pixels,
        )


def _pages(image: ImageFile.ImageFile) -> str:
    """Say that a file holds several pictures, unless the others are smaller copies; "" if there is one."""
    if isinstance(image, TiffImageFile) and image.is_animated:
        image.seek(1)
        smaller = int(image.tag_v2.get(254, 0)) & 1  # a thumbnail, or the next level of a pyramid
        image.seek(0)
        return "" if smaller else "several pages"
    if isinstance(image, PngImageFile) and getattr(image, "is_animated", False):
        return f"an animation of {getattr(image, 'n_frames', 'several')} pictures"
    return ""


def _bits(image: ImageFile.ImageFile, head: bytes) -> int:
    """Return the bits of a channel, from the header of the file."""
    if isinstance(image, PngImageFile):
        return head[24]
    if isinstance(image, TiffImageFile):
        return int(image.tag_v2.get(258, (1,))[0])
    if isinstance(image, BmpImageFile):
        at = 24 if head[14] == 12 else 28  # the old header is shorter
        bits = int.from_bytes(head[at : at + 2], "little")
        if bits != {"1": 1, "L": 8}.get(image.mode, bits):
            raise ValueError(f"a grey colour table of {bits} bits, save it as PNG")  # PIL mistakes it
        return min(bits, 8)
    return 8


def is_transparent(image: Image.Image) -> bool:
    """Say whether a picture has pixels that are not opaque."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        return image.getchannel(image.getbands()[-1]).histogram()[255] < image.width * image.height
    return "transparency" in image.info

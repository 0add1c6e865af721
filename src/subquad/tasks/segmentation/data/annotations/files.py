"""Files of annotations, of a limited size, and the pictures that some hold."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subquad.base.files import read_file
from subquad.base.limits import ANNOTATION_BYTES


@dataclass(frozen=True)
class Embedded:
    """A picture that is inside of a file of labelme.

    Attributes:
        path: Of that file.
        suffix: Of the picture, by its content.
    """

    path: Path
    suffix: str

    def read(self) -> bytes:
        """Return the picture as it was packed.

        Raises:
            ValueError: If it is not there any more, or no Base64.
        """
        packed = read_json(self.path).get("imageData")
        try:
            return base64.b64decode(packed, validate=False)
        except (TypeError, binascii.Error, ValueError) as error:
            raise ValueError(
                f"{self.path} has no picture in it ({error}); add it beside the file."
            ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file of a limited size.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or too large.
    """
    content = read_file(path, ANNOTATION_BYTES, "a file of annotations has")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError(f"{path} holds lists in lists without end; export it again.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); export it again.") from error


def read_text(path: Path) -> str:
    """Read a text of a limited size, in UTF-8 with or without a mark.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or too large.
    """
    content = read_file(path, ANNOTATION_BYTES, "a file of annotations has")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8; save it so.") from error

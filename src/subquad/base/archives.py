"""The zip files that `torch.save` writes: torch reads them without looking at their checksums."""

from __future__ import annotations

import zipfile
from pathlib import Path


def check_archive(path: str | Path, *, checksums: bool = True) -> None:
    """Raise ValueError unless a zip file of `torch.save` is as it was written.

    `torch.load` takes weights with flipped bits, and unpacks what `torch.save` never packs. What is no
    zip file, such as a checkpoint of before torch 1.6, is left to `torch.load`.

    Args:
        path: Of the file.
        checksums: Whether to look at them, for which every byte is read once.

    Raises:
        ValueError: If a part is packed, or not what its checksum says, or the list of parts is damaged.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError("torch.save packs nothing: what is packed may be a bomb")
            # A part that is listed twice is read twice.
            if sum(part.file_size for part in archive.infolist()) > Path(path).stat().st_size:
                raise ValueError("it unpacks to more than it is")
            damaged = archive.testzip() if checksums else None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"its parts are damaged: {error}") from error
    if damaged is not None:
        raise ValueError(f"its part {damaged} is not what its checksum says")

"""Trained networks that come with the package: found by name, without a network connection."""

from __future__ import annotations

from pathlib import Path

READY = ("nuclei",)
"""Names of the networks; beside the weights of each lies its card, NAME.md."""

_FOLDER = Path(__file__).parent / "weights"


def ready_path(name: str | Path) -> Path | None:
    """Return the weights of a network that comes with the package; None if the name is none.

    A file or folder of that name in the working directory is meant rather than it.
    """
    if str(name) not in READY or Path(name).exists():
        return None
    return _FOLDER / f"{name}.safetensors"


def ready_card(name: str) -> str:
    """Return what is to be known of such a network: data, licence, scores, limits; Markdown."""
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")

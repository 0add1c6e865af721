"""What files of a data set hold beside pixels and classes, and how they contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from subquad.base.suggest import quote
from subquad.data.pictures import Picture
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color
from subquad.tasks.segmentation.data.masks import WITHOUT_TRANSPARENCY, Mask

_DARK = 64  # of 256: pictures of more than 8 bits whose pixels lie below a quarter of the range ...
_NEARLY_ALL = 0.99  # ... but for a few, such as dead pixels of a camera


@dataclass
class Oddities:
    """Facts of the files of a data set, counted file by file.

    Attributes:
        deep: Names of pictures of more than 8 bits a channel.
        levels: How often their upper 8 bits have each value, int64 (256,).
        turned: Names of pictures that are turned upright, where the size of the mask does not tell whether
            it is turned, too.
        transparent: Names of pictures with transparent pixels.
        transparent_masks: The same of masks.
        colors: The first mask that gives an index a colour, by index and colour.
        shallow: Names of grey masks of less than 8 bits that use their highest value, which is white.
        ignoring: Names of grey masks of 8 bits that hold 255, which is white, too.
    """

    deep: list[str] = field(default_factory=list)
    levels: Tensor = field(default_factory=lambda: torch.zeros(256, dtype=torch.int64))
    turned: list[str] = field(default_factory=list)
    transparent: list[str] = field(default_factory=list)
    transparent_masks: list[str] = field(default_factory=list)
    colors: dict[int, dict[Color, str]] = field(default_factory=dict)
    shallow: list[str] = field(default_factory=list)
    ignoring: list[str] = field(default_factory=list)

    def count_picture(self, picture: Picture, name: str) -> None:
        """Count a picture."""
        if picture.bits > 8:
            self.deep.append(name)
            self.levels += torch.bincount(picture.pixels.flatten(), minlength=256)
        height, width = picture.pixels.shape[1:]
        if picture.orientation in (2, 3, 4) or (picture.orientation > 4 and height == width):
            self.turned.append(name)
        if picture.transparent:
            self.transparent.append(name)

    def count_mask(self, mask: Mask, used: list[int], name: str) -> None:
        """Count a mask.

        Args:
            mask: As it is stored.
            used: The values that occur; not looked at in masks of colours.
            name: Of the file.
        """
        if mask.transparent:
            self.transparent_masks.append(name)
        if mask.values.ndim == 3:
            return
        for index in used if mask.table is not None else ():
            if mask.table is not None and 0 <= index < len(mask.table):
                self.colors.setdefault(index, {}).setdefault(mask.table[index], name)
        if mask.table is None and mask.bits < 8 and 2**mask.bits - 1 in used:
            self.shallow.append(name)
        if mask.table is None and mask.bits == 8 and IGNORE_INDEX in used:
            self.ignoring.append(name)

    def problems(self) -> list[str]:
        """Say what is wrong, each with its remedy."""
        found = [self._tables(), self._depths(), self._darkness()]
        if names := self.transparent_masks:
            found.append(
                f"the masks {quote(names)} have transparent pixels, whose colours do not show; "
                f"{WITHOUT_TRANSPARENCY}"
            )
        return [problem for problem in found if problem]

    def notes(self) -> list[str]:
        """Say what may be wrong."""
        found = []
        if self.turned:
            found.append(
                f"EXIF turns or mirrors {quote(self.turned)}; look whether the masks lie as the upright "
                "pictures."
            )
        if self.transparent:
            found.append(
                f"{quote(self.transparent)} {'has' if len(self.transparent) == 1 else 'have'} transparent "
                "pixels; the colours below them are read."
            )
        return found

    def _tables(self) -> str:
        """Say that an index has several colours, or a colour several indices."""
        for index, files in sorted(self.colors.items()):
            if len(files) > 1:
                (one, first), (other, second) = list(files.items())[:2]
                return (
                    f"the colour tables of the masks differ: index {index} is {one} in {first!r} and "
                    f"{other} in {second!r}, so one of them means another class; save all masks as grey "
                    "class indices, or as RGB with palette_rgb in classes.json."
                )
        return ""

    def _depths(self) -> str:
        if not self.shallow or not self.ignoring:
            return ""
        return (
            f"the masks {quote(self.shallow)} have less than 8 bits, in which white is read as the highest "
            f"class, but white of 8-bit masks such as {self.ignoring[0]!r} is 255 and ignored; save all "
            "with 8 bits and the same values."
        )

    def _darkness(self) -> str:
        total = int(self.levels.sum())
        if not total or int(self.levels[:_DARK].sum()) < _NEARLY_ALL * total:
            return ""
        brightest = int(np.flatnonzero(self.levels.numpy())[-1])
        left = int((self.levels > 0).sum())
        return (
            f"the pictures of more than 8 bits ({quote(self.deep)}) use a small part of their range: their "
            f"upper 8 bits, which are read, have {left} levels up to {brightest} of 255; stretch the "
            "values to the whole range (12 bits: times 16), or save them with 8 bits."
        )

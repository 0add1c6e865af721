from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from subquad.data.pictures import read_image
from subquad.tasks.segmentation.data.labels import LabelSet, Sample, class_frequencies
from subquad.tasks.segmentation.data.masks import read_mask
from subquad.tasks.segmentation.data.pairs import paired

Save = Callable[[str, NDArray], Path]

LABELS = LabelSet(("a", "b", "c"), ((10, 0, 0), (0, 20, 0), (0, 0, 30)), (0, 0, 0))
INDICES = np.array([[0, 1, 2], [2, 255, 0]], dtype=np.uint8)
RGB = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1", "LA", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(RGB).convert(mode)
    path = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    picture.save(path)
    image = read_image(path)
    assert image.dtype == torch.uint8 and image.is_contiguous()
    expected = np.array(picture.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(image.numpy(), expected)


def test_sixteen_bit_image_keeps_its_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 65535]], dtype=np.uint16)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png")[0].tolist() == [[0, 1, 255]]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees to the right
    Image.fromarray(RGB).save(tmp_path / "x.png", exif=exif)
    expected = np.rot90(RGB, k=-1).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png").numpy(), expected)


def test_grey_palette_and_rgb_masks_agree(tmp_path: Path) -> None:
    Image.fromarray(INDICES).save(tmp_path / "grey.png")
    with_table = Image.fromarray(INDICES).convert("P")
    with_table.putdata(INDICES.flatten().tolist())
    with_table.putpalette([200, 7, 7] * 256)  # one colour for all: colours must not be used
    with_table.save(tmp_path / "table.png")
    Image.fromarray(INDICES.astype(np.uint16)).save(tmp_path / "wide.png")
    colors = np.zeros((256, 3), dtype=np.uint8)
    colors[:3] = LABELS.palette
    Image.fromarray(colors[INDICES]).save(tmp_path / "rgb.png")
    Image.fromarray(colors[INDICES]).convert("RGBA").save(tmp_path / "rgba.png")
    for name in ("grey", "table", "wide", "rgb", "rgba"):
        mask = read_mask(tmp_path / f"{name}.png", LABELS)
        assert mask.dtype == torch.uint8
        np.testing.assert_array_equal(mask.numpy(), INDICES, err_msg=name)


def test_one_bit_mask(tmp_path: Path) -> None:
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "x.png")
    assert read_mask(tmp_path / "x.png", LABELS).tolist() == [[0, 1]]


@pytest.mark.parametrize("value, dtype", [(3, np.uint8), (254, np.uint8), (256, np.uint16)])
def test_value_of_no_class_is_quoted(save: Save, value: int, dtype: type) -> None:
    path = save("x.png", np.array([[0, value]], dtype=dtype))
    with pytest.raises(ValueError, match=rf"{path} holds value {value}, but the classes are 0\.\.2"):
        read_mask(path, LABELS)


def test_unknown_color_names_the_mask(save: Save) -> None:
    path = save("x.png", np.full((1, 1, 3), 77, dtype=np.uint8))
    with pytest.raises(ValueError, match=rf"mask {path}: the colour \(77, 77, 77\)"):
        read_mask(path, LABELS)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.6])
def test_truncated_files_name_the_path(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"image {path} cannot be decoded .*copy it again"):
        read_image(path)
    with pytest.raises(ValueError, match=rf"mask {path} cannot be decoded"):
        read_mask(path, LABELS)


def test_flipped_bytes_never_leave_another_error(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path)
    content = path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 0xFF
        path.write_bytes(flipped)
        try:
            read_image(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_floating_point_files_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match="floating point"):
        read_image(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match="'F', which holds no classes"):
        read_mask(tmp_path / "x.tiff", LABELS)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no image .*x.png"):
        read_image(tmp_path / "x.png")


def test_pairs_are_matched_by_stem_and_sorted(save: Save, tmp_path: Path) -> None:
    pixels = np.zeros((1, 1), dtype=np.uint8)
    for name in ("images/b.JPG", "images/a.png", "images/c.jpeg", "images/._a.png"):
        save(name, pixels)
    for name in ("masks/a.png", "masks/b.png", "masks/c.PNG"):
        save(name, pixels)
    (tmp_path / "masks/notes.txt").write_text("no picture")
    pairs = paired(tmp_path / "images", tmp_path / "masks")
    assert [(image.name, mask.name) for image, mask in pairs] == [
        ("a.png", "a.png"),
        ("b.JPG", "b.png"),
        ("c.jpeg", "c.PNG"),
    ]


@pytest.mark.parametrize(
    "images, masks, error, message",
    [
        ("abcde", "a", ValueError, "'b', 'c', 'd' and 1 more of .*images have no mask in"),
        ("a", "ab", ValueError, "'b' of .*masks has no image in .*images"),
        ("a", "", FileNotFoundError, "folder .*masks holds no png"),
    ],
)
def test_what_cannot_be_paired_is_named(
    save: Save, tmp_path: Path, images: str, masks: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "masks").mkdir()
    for folder, names in (("images", images), ("masks", masks)):
        for name in names:
            save(f"{folder}/{name}.png", np.zeros((1, 1), dtype=np.uint8))
    with pytest.raises(error, match=message):
        paired(tmp_path / "images", tmp_path / "masks")


def test_two_files_of_one_stem_are_named(save: Save, tmp_path: Path) -> None:
    for name in ("images/a.png", "images/a.jpg", "masks/a.png"):
        save(name, np.zeros((1, 1), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"'a.jpg', 'a.png' in .*images differ only in the suffix"):
        paired(tmp_path / "images", tmp_path / "masks")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        paired(tmp_path / "nowhere", tmp_path)


class TwoSamples:
    """Two samples whose sizes differ: pixels count, not the means of pictures."""

    def __init__(self, *masks: torch.Tensor) -> None:
        self.labels, self.masks = LabelSet.generic(3), masks

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> Sample:
        mask = self.masks[index]
        return Sample(torch.zeros(3, *mask.shape, dtype=torch.uint8), mask, str(index))


def test_frequencies_count_labelled_pixels() -> None:
    data = TwoSamples(
        torch.tensor([[0, 0, 0, 0, 255, 255]], dtype=torch.uint8),
        torch.tensor([[2]], dtype=torch.uint8),
    )
    assert class_frequencies(data).tolist() == [0.8, 0.0, 0.2]
    assert class_frequencies(data).dtype == torch.float64


def test_frequencies_need_a_label() -> None:
    with pytest.raises(ValueError, match="no pixel of the data set is labelled"):
        class_frequencies(TwoSamples(torch.full((2, 2), 255, dtype=torch.uint8)))

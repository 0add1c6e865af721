import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subquad.tasks.segmentation.data.colors import (
    IGNORE_INDEX,
    color_to_index,
    default_palette,
    index_to_color,
    voc_palette,
)
from subquad.tasks.segmentation.data.labels import (
    LabelSet,
    Sample,
    class_weights,
    few_labelled,
    labelled_classes,
)


@given(num_classes=st.integers(1, 255), seed=st.integers(0, 2**31))
def test_colors_and_indices_are_inverse(num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, num_classes, (7, 5)).astype(np.uint8)
    indices[rng.random((7, 5)) < 0.2] = IGNORE_INDEX
    palette, ignore_color = default_palette(num_classes), (0, 0, 0)
    painted = index_to_color(indices, palette, ignore_color)
    assert painted.shape == (7, 5, 3)
    np.testing.assert_array_equal(color_to_index(painted, palette, ignore_color), indices)


def test_each_color_becomes_its_own_class() -> None:
    palette = [(9, 0, 0), (0, 9, 0), (0, 0, 9)]  # not in the order of their numbers
    mask = np.array([[palette[2], palette[0]], [palette[1], palette[2]]], dtype=np.uint8)
    assert color_to_index(mask, palette).tolist() == [[2, 0], [1, 2]]


def test_unknown_color_is_quoted_with_its_place() -> None:
    mask = np.zeros((2, 3, 3), dtype=np.uint8)
    mask[1, 2] = (255, 255, 255)  # above every colour of the palette
    with pytest.raises(ValueError, match=r"colour \(255, 255, 255\) at row 1, column 2.*ignore_rgb"):
        color_to_index(mask, [(0, 0, 0), (10, 20, 30)])


def test_a_shared_color_cannot_be_read_back_but_painted() -> None:
    palette = [(1, 2, 3), (4, 5, 6), (1, 2, 3)]
    painted = index_to_color(np.array([[0, 1, 2]], dtype=np.uint8), palette)
    assert painted.tolist() == [[[1, 2, 3], [4, 5, 6], [1, 2, 3]]]
    with pytest.raises(ValueError, match=r"\(1, 2, 3\) is used twice.*store class indices"):
        color_to_index(painted, palette)


def test_palette_of_voc() -> None:
    # Of the development kit: background, aeroplane to bottle, tvmonitor, and ignored.
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        5: (128, 0, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    palette = voc_palette()
    assert len(set(palette)) == 256 and {index: palette[index] for index in known} == known
    assert voc_palette(21) == palette[:21]
    with pytest.raises(ValueError, match="1 to 256 entries, not 257"):
        voc_palette(257)


def test_index_without_color_is_quoted() -> None:
    with pytest.raises(ValueError, match="class 2 has no colour in a palette of 2"):
        index_to_color(np.array([[0, 2]], dtype=np.uint8), default_palette(2))


def test_default_palette_is_distinct_and_does_not_depend_on_the_number() -> None:
    full = default_palette(255)
    assert len({*full, (0, 0, 0)}) == 256
    assert default_palette(20) == full[:20]
    first = np.array(full[:20], dtype=float)
    apart = np.linalg.norm(first[:, None] - first[None], axis=-1) + 1e9 * np.eye(20)
    assert apart.min() > 25  # tells 20 classes apart on a screen


def test_json_file(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    content = {"classes": ["a", "b"], "palette_rgb": [[1, 2, 3], [4, 5, 6]], "pixel_counts": {}}
    path.write_text(json.dumps(content))
    assert LabelSet.from_file(path) == LabelSet(("a", "b"), ((1, 2, 3), (4, 5, 6)))
    path.write_text(json.dumps({"classes": ["a"], "ignore_rgb": [0, 0, 0]}))
    assert LabelSet.from_file(path) == LabelSet(("a",), default_palette(1), (0, 0, 0))


def test_text_file(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("# streets\nroad 1 2 3\n\ntraffic light 4 5 6\n")
    assert LabelSet.from_file(path) == LabelSet(("road", "traffic light"), ((1, 2, 3), (4, 5, 6)))
    path.write_text("road\ntraffic light\n")
    assert LabelSet.from_file(str(path)).palette == default_palette(2)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.json", '{"names": ["x"]}', 'needs a key "classes"'),
        ("a.json", "[1", "cannot read the classes from .*a.json"),
        ("a.json", '{"classes": ["x"], "palette_rgb": [[1, 2]]}', r"\[1, 2\] is no colour"),
        ("a.json", '{"classes": ["x"], "palette_rgb": [[1, 2, 256]]}', r"256\) is no colour"),
        ("a.json", '{"classes": ["x"], "palette_rgb": 3}', "3 is no list of colours"),
        ("a.json", '{"classes": []}', "0 classes do not fit"),
        ("a.txt", "x 1 2 3\ny\n", "2 class names, but 1 colours"),
        ("a.txt", "x\nx\n", "class name 'x' is used twice"),
        (
            "a.json",
            '{"classes": ["x", "y"], "palette_rgb": [[1, 2, 3], [1, 2, 3]], "ignore_rgb": [0, 0, 0]}',
            r"colour \(1, 2, 3\) is used twice",
        ),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        LabelSet.from_file(tmp_path / name)


def test_another_encoding_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('{"classes": ["Bäume"]}', encoding="latin-1")
    with pytest.raises(ValueError, match=r"its byte 15 is 0xe4, which is not UTF-8; save the file as UTF-8"):
        LabelSet.from_file(tmp_path / "classes.json")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no classes file .*classes.json"):
        LabelSet.from_file(tmp_path / "classes.json")


@pytest.mark.parametrize("num_classes", [0, 256])
def test_number_of_classes_must_fit_the_mask(num_classes: int) -> None:
    with pytest.raises(ValueError, match=f"{num_classes} classes do not fit"):
        LabelSet.generic(num_classes)


def test_median_weights_give_every_class_the_same_part() -> None:
    frequencies = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    weights = class_weights(frequencies, "median")
    parts = weights * frequencies
    torch.testing.assert_close(parts[:4], parts[:1].expand(4))
    assert weights[4] == 0
    assert weights[:4].quantile(0.5).item() == pytest.approx(1, rel=0.2)
    assert class_weights(torch.zeros(3)).tolist() == [0, 0, 0]


def test_log_weights_are_finite_and_fall_with_the_frequency() -> None:
    weights = class_weights(torch.tensor([0.0, 0.2, 1.0]), "log").tolist()
    assert weights == pytest.approx([10.492, 3.8117, 1.3478], rel=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=100),
        st.text(max_size=100).map(str.encode),
        st.dictionaries(
            st.sampled_from(["classes", "palette_rgb", "ignore_rgb"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                ),
            ),
        ).map(lambda content: json.dumps(content).encode()),
    ),
    suffix=st.sampled_from(["json", "txt"]),
)
def test_any_bytes_give_classes_or_one_sentence(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"classes.{suffix}"
    path.write_bytes(content)
    try:
        labels = LabelSet.from_file(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert labels.num_classes == len(labels.palette) >= 1


@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_class_files_are_bounded(tmp_path, suffix):
    path = tmp_path / f"classes.{suffix}"
    path.write_bytes(b"[\n" * 200_000)
    with pytest.raises(ValueError, match="classes"):
        LabelSet.from_file(path)
    path.write_bytes(b'{"classes": ["' + b"a" * 2_000_000)
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        LabelSet.from_file(path)


def test_classes_are_counted_until_enough_are_seen():
    class Masks:
        labels = LabelSet.generic(3)

        def __len__(self):
            return 3

        def __getitem__(self, index):
            assert index < 2, "read further than needed"
            return Sample(torch.zeros(3, 1, 2), torch.tensor([[[0, 255], [0, 2], [1, 1]][index]]), "")

    assert labelled_classes(Masks()) == {0, 2}
    assert "only class 2 'class_2' is labelled" in few_labelled({2}, Masks.labels)
    assert "no pixel is labelled" in few_labelled(set(), Masks.labels)
    assert few_labelled({0, 1}, Masks.labels) == ""

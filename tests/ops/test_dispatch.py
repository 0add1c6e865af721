"""Which implementation runs, and that "auto" needs a measurement to leave the reference."""

import json
from types import SimpleNamespace

import pytest
import torch

from subquad.ops import dispatch
from subquad.ops.dispatch import use_triton
from subquad.ops.kernels.limits import obstacle_to_links, obstacle_to_nmf

SIZES = (4, 16384, 32, 15)
ENTRY = {
    "operation": "link_mix",
    "device": "NVIDIA H200",
    "dtype": "float32",
    "sizes": SIZES,
    "reference_ms": 0.2,
    "triton_ms": 0.1,
    "commit": "0000000",
}


@pytest.fixture
def on_gpu(monkeypatch, tmp_path):
    """Plant a file of measurements, and answer as a computer with an H200 would."""
    monkeypatch.setattr(dispatch, "_HAS_TRITON", True)
    monkeypatch.setattr(dispatch, "_device_name", lambda device: "NVIDIA H200")
    monkeypatch.setattr(dispatch, "_MEASURED", tmp_path / "measured.json")

    def ask(entries, impl="auto", operation="link_mix", sizes=SIZES, obstacle=None, dtype=torch.float32):
        text = entries if isinstance(entries, str) else json.dumps(entries)
        (tmp_path / "measured.json").write_text(text)
        dispatch._measurements.cache_clear()
        x = SimpleNamespace(is_cuda=True, device=torch.device("cuda"), dtype=dtype)
        return use_triton(impl, x, operation, sizes, obstacle)

    dispatch._measurements.cache_clear()
    yield ask
    dispatch._measurements.cache_clear()


def test_auto_takes_what_was_measured_to_be_faster(on_gpu):
    assert on_gpu([ENTRY])
    assert not on_gpu([ENTRY | {"triton_ms": 0.3}])
    assert not on_gpu([ENTRY], "reference")
    assert not on_gpu([])


@pytest.mark.parametrize("other", [{"operation": "nmf"}, {"device": "NVIDIA A100"}, {"dtype": "bfloat16"}])
def test_what_was_measured_elsewhere_does_not_count(on_gpu, other):
    assert not on_gpu([ENTRY | other])


def test_the_nearest_sizes_decide_and_far_ones_do_not(on_gpu):
    entries = [ENTRY, ENTRY | {"sizes": (4, 8192, 32, 15), "triton_ms": 0.3}]
    for each in (entries, entries[::-1]):
        assert on_gpu(each, sizes=(4, 15000, 30, 15)) and not on_gpu(each, sizes=(4, 9000, 32, 15))
    assert on_gpu(entries, sizes=(8, 32768, 32, 15)) and not on_gpu(entries, sizes=(9, 16384, 32, 15))
    assert not on_gpu(entries, sizes=(4, 16384, 32)) and not on_gpu(entries, sizes=(4, 16384, 0, 15))


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "3", '{"a": 1}', "[3]", "[{}]", json.dumps([ENTRY | {"sizes": 3}]), "\x00"]
    + [json.dumps([ENTRY | {key: None}]) for key in ENTRY if key != "commit"],
)
def test_a_file_that_says_something_else_means_the_reference(on_gpu, text):
    assert not on_gpu(text)


def test_a_missing_file_means_the_reference(on_gpu, monkeypatch, tmp_path):
    assert on_gpu([ENTRY])
    monkeypatch.setattr(dispatch, "_MEASURED", tmp_path / "none.json")
    dispatch._measurements.cache_clear()
    assert dispatch._measurements() == ()


def test_what_a_kernel_cannot_do_is_left_to_the_reference_or_said(on_gpu):
    assert not on_gpu([ENTRY], obstacle="takes a rank of at most 128, got 200")
    with pytest.raises(ValueError, match='impl="triton" takes a rank of at most 128, got 200; use "auto"'):
        on_gpu([ENTRY], "triton", obstacle=obstacle_to_nmf(torch.ones(1, 3, 4), torch.ones(1, 3, 200)))
    assert obstacle_to_nmf(torch.ones(1, 3, 4), torch.ones(1, 3, 128)) is None
    assert obstacle_to_links(torch.ones(1, 3, 4), torch.ones(1, 3, 1), (2**31 - 1,)) is None


def test_auto_never_takes_it_without_a_gpu_or_triton_or_while_compiling(on_gpu, monkeypatch):
    assert on_gpu([ENTRY])
    assert not use_triton("auto", torch.ones(1), "link_mix", SIZES)
    with monkeypatch.context() as compiling:
        compiling.setattr(torch.compiler, "is_compiling", lambda: True)
        assert not on_gpu([ENTRY])
    monkeypatch.setattr(dispatch, "_HAS_TRITON", False)
    assert not on_gpu([ENTRY])


def test_unknown_implementations_are_refused():
    with pytest.raises(ValueError, match='impl must be "auto", "reference" or "triton", got \'cuda\''):
        use_triton("cuda", torch.ones(1), "link_mix", SIZES)


def test_what_the_package_ships_can_be_read():
    entries = json.loads(dispatch._MEASURED.read_text())
    dispatch._measurements.cache_clear()
    assert len(dispatch._measurements()) == len(entries)

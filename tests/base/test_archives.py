import zipfile

import pytest
import torch

from subquad.base.archives import check_archive
from subquad.models import load_original
from subquad.nn import Hamburger


@pytest.fixture
def saved(tmp_path):
    torch.save(Hamburger(8, dim=8, rank=3).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_what_torch_saved_passes(saved):
    check_archive(saved)


def test_a_flipped_bit_in_a_weight_is_found_where_torch_loads_it(saved):
    data = bytearray(saved.read_bytes())
    weight = torch.load(saved, weights_only=True)["lower_bread.weight"].numpy().tobytes()
    data[bytes(data).index(weight) + 5] ^= 4
    saved.write_bytes(data)
    torch.load(saved, weights_only=True)  # without a word
    with pytest.raises(ValueError, match="checksum"):
        check_archive(saved)
    with pytest.raises(ValueError, match="checksum"):
        load_original(Hamburger(8, dim=8, rank=3), saved)


def test_what_is_packed_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(ValueError, match="packs nothing"):
        check_archive(tmp_path / "w.pth")


def test_a_list_of_parts_that_is_damaged_is_said(saved):
    data = bytearray(saved.read_bytes())
    data[data.index(b"PK\x01\x02")] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        check_archive(saved)


def test_what_is_no_archive_is_left_to_others(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"\x80\x02")
    check_archive(tmp_path / "w.pth")

"""One rule for where the shared data sets are."""

import pytest

from subquad.data.shared import data_folder


def test_what_is_given_goes_before_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("SUBQUAD_DATA", str(tmp_path))
    assert data_folder("camvid", "mine", who="CamVid", give="root=,").name == "mine"
    assert data_folder("camvid", None, who="CamVid", give="root=,") == tmp_path / "camvid"
    for unset in (lambda: monkeypatch.setenv("SUBQUAD_DATA", ""), lambda: monkeypatch.delenv("SUBQUAD_DATA")):
        unset()
        with pytest.raises(ValueError, match="CamVid does not know .* root=, or set .* that holds camvid/"):
            data_folder("camvid", None, who="CamVid", give="root=,")

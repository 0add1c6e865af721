"""Files of torch.save are read as plain values, and never unpacked."""

import sys
import types
import zipfile

import pytest
import torch

from subquad.base.pickles import Ignored, load_plain


@pytest.fixture
def foreign(monkeypatch):
    """Return an object of a class that nobody can import later."""
    module = types.ModuleType("not_installed")
    module.Thing = type("Thing", (), {"__module__": "not_installed"})
    monkeypatch.setitem(sys.modules, "not_installed", module)
    return module.Thing()


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("new_format", [False, True])
def test_plain_values_come_back(tmp_path, lazily, new_format):
    torch.save(
        {"a": torch.arange(3), "b": [1, "x"]}, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format
    )
    content = load_plain(tmp_path / "a.pt", lazily=lazily)
    assert content["a"].tolist() == [0, 1, 2] and content["b"] == [1, "x"]


def test_other_objects_are_refused_or_ignored(tmp_path, foreign, monkeypatch):
    torch.save({"a": torch.ones(2), "b": foreign}, tmp_path / "a.pt")
    monkeypatch.delitem(sys.modules, "not_installed")
    with pytest.raises(Exception, match="not_installed"):
        load_plain(tmp_path / "a.pt")
    content = load_plain(tmp_path / "a.pt", ignore_others=True)
    assert isinstance(content["b"], Ignored) and content["a"].tolist() == [1, 1]


def test_packed_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
    torch.save({"a": torch.zeros(10_000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ValueError, match="torch.save packs nothing"):
        load_plain(tmp_path / "b.pt")

"""The versions that CI tests as the oldest are the floors of pyproject.toml."""

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MORE = ("pretrained", "serve", "video", "bench", "language")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def oldest(capsys):
    runpy.run_path(str(ROOT / ".ci" / "oldest"), run_name="__main__")
    return dict(line.split("==") for line in capsys.readouterr().out.splitlines())


def number(version):
    return tuple(int(part) for part in version.split("."))


def test_floors_leave_out_known_holes(capsys):
    pins = oldest(capsys)
    least = {"torch": "2.10", "torchvision": "0.25", "lightning": "2.6.6", "onnx": "1.21", "pillow": "12.3"}
    for name, version in least.items():
        assert number(pins[name]) >= number(version), name


def test_every_floor_is_pinned_and_tested(capsys):
    extras = PROJECT["optional-dependencies"]
    needs = [
        *PROJECT["dependencies"],
        *(need for name in ("train", "export", "gan", *MORE) for need in extras[name]),
    ]
    named = {re.split(r"[\[>=]", need)[0] for need in needs} - {"subquad"}
    assert set(oldest(capsys)) == named
    assert "python .ci/oldest" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_what_is_imported_is_declared(capsys):
    installed_as = {"PIL": "pillow", "yaml": "pyyaml", "triton": "torch"}  # triton comes with torch
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    third = found - set(sys.stdlib_module_names) - {"subquad"}
    declared = {name.lower().replace("-", "_") for name in oldest(capsys)}
    assert {"torchmetrics", "yaml", "lightning"} <= third
    assert {installed_as.get(name, name).lower() for name in third} <= declared

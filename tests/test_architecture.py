"""The layers, and what importing costs: promises that fail loudly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import subquad
from import_graph import circles, import_graph

ROOT = Path(subquad.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# Imports point down only; a room may also import itself, and all but ops may import base.
SHARED = {"base", "ops", "nn", "models", "data", "engine", "export", "explain", "bench"}
MAY_IMPORT = {
    "base": set(),
    "ops": set(),
    "nn": {"ops"},
    "models": {"ops", "nn"},
    "data": set(),
    "engine": {"ops", "nn", "models", "data"},
    "explain": {"ops", "nn", "models"},
    "export": {"ops", "nn", "models"},
    "bench": {"ops", "nn", "models"},
    "tasks": SHARED,
    "cli": SHARED | {"tasks"},
}
OPTIONAL = {
    "PIL", "huggingface_hub", "jsonargparse", "lightning", "matplotlib", "onnx", "onnxruntime", "onnxscript",
    "rich", "segmentation_models_pytorch", "starlette", "timm", "tokenizers", "torch_fidelity",
    "torchmetrics", "torchvision", "transformers", "uvicorn", "yaml",
}  # fmt: skip


def imports(path):
    """Return the dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
            if node.module == "subquad":
                names |= {f"subquad.{alias.name}" for alias in node.names}
        else:
            assert not isinstance(node, ast.ImportFrom), f"{path}: relative import"
    return names


def layer(path):
    return path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parent != ROOT], ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_point_downwards(path):
    layers = {name.split(".")[1] for name in imports(path) if name.startswith("subquad.")}
    allowed = MAY_IMPORT[layer(path)] | {layer(path), "base"} - ({"base"} if layer(path) == "ops" else set())
    assert layers & MAY_IMPORT.keys() <= allowed
    if layer(path) in {"base", "ops", "nn"}:
        assert not {name.split(".")[0] for name in imports(path)} & (OPTIONAL | {"numpy", "safetensors"})


TASKS = sorted(path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py"))
# Configurations that belong to one task: no file outside of models and of that task names them.
CONFIGS = {
    "segmentation": {"SegmentationConfig", "HamConfig", "LightHamConfig", "HamNetConfig"},
    "sequences": {"SequenceConfig"},
    "generation": {"HamGANConfig"},
    "classification": {"ClassifierConfig"},
    "language": {"LanguageConfig"},
}


def test_no_modules_import_each_other():
    """Anywhere, imports inside of functions included."""
    assert circles(import_graph(ROOT)) == []


def is_in(name, packages):
    return f"{name}.".startswith(tuple(f"{package}." for package in packages))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_imports_no_other_and_its_data_know_nothing_of_it(task):
    others = {f"subquad.tasks.{name}" for name in TASKS} - {f"subquad.tasks.{task}"}
    shared = ("subquad.base", "subquad.data", "subquad.engine.data", f"subquad.tasks.{task}.data")
    for path in sorted((ROOT / "tasks" / task).rglob("*.py")):
        found = {name for name in imports(path) if name.startswith("subquad.")}
        assert not [name for name in found if any(f"{name}.".startswith(f"{other}.") for other in others)], (
            path
        )
        if "data" in path.relative_to(ROOT / "tasks" / task).parts[:-1]:
            assert not [
                name for name in found if not f"{name}.".startswith(tuple(f"{s}." for s in shared))
            ], path


def test_nothing_outside_a_task_names_it():
    """No table but that of the tasks: in code, prose apart, nothing below or beside a task knows its name."""
    assert CONFIGS.keys() == set(TASKS), "name the configurations of each task"
    known = {config: task for task, names in CONFIGS.items() for config in names}
    for path in SOURCES:
        room, *inside = path.relative_to(ROOT).parts
        if room == "models" or (path.name == "__init__.py" and inside == ["__init__.py"]):
            continue
        tree = ast.parse(path.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not [name for name in names & known.keys() if inside[:1] != [known[name]]], path
        if room in ("base", "ops", "nn", "data", "engine", "export", "explain", "bench", "cli"):
            words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert not words & {*TASKS, "hamgan", "sequence"}, path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pack.a.two", [["pack.a.one", "pack.a.two"]]),
        ("from pack.a import two", [["pack.a.one", "pack.a.two"]]),
        ("def late():\n    from pack.a.two import x", [["pack.a.one", "pack.a.two"]]),
        ("from pack.a import x", [["pack.a", "pack.a.one", "pack.a.two"]]),
        ("if TYPE_CHECKING:\n    from pack.a.two import x", []),
        ("import torch\nfrom pack.b import x", []),
    ],
)
def test_a_circle_is_seen(tmp_path, source, expected):
    """A package whose __init__ re-exports is no circle, until a module inside imports from it."""
    files = {
        "__init__.py": "",
        "a/__init__.py": "from pack.a.two import x",
        "a/one.py": source,
        "a/two.py": "from pack.a.one import y",
        "b/__init__.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circles(import_graph(tmp_path / "pack")) == expected


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_know_no_device(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert ".cuda(" not in text


def test_every_room_is_found_from_the_top():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"cli"}
    assert rooms <= set(dir(subquad))
    for name in dir(subquad):
        assert getattr(subquad, name) is not None


def test_import_needs_torch_alone():
    """With every optional package hidden: import, build, run, save and load a network."""
    code = f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError("hidden: " + name)
sys.meta_path.insert(0, Hide())
import subquad
assert "safetensors" not in sys.modules
import torch, tempfile, pathlib
network = subquad.create_model("light_ham_van_tiny_d256", num_classes=2)
path = pathlib.Path(tempfile.mkdtemp()) / "m.safetensors"
subquad.save_model(network, path)
assert subquad.load_model(path)(torch.zeros(1, 3, 33, 40)).shape == (1, 2, 33, 40)
assert subquad.nn.Ham and subquad.ops.NMF
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_importing_the_package_is_lazy():
    code = "import sys, subquad; assert not {'subquad.models', 'lightning', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

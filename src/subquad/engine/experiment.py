"""An experiment as a file: a question, what was expected, and the trainings that answer it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from subquad.base.suggest import did_you_mean
from subquad.engine.plain_yaml import read_yaml

FILE = "experiment.yaml"
RESULTS = "results.jsonl"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What `experiments/NAME/experiment.yaml` says.

    Attributes:
        folder: That holds it, and the results.
        question: That it answers.
        expected: What was expected before the first run.
        shows: What the results show; written after them.
        recipe: Of the trainings, a path below `recipes/`; "" for an experiment that is a script.
        options: Of `subquad fit`, of all trainings, after the recipe; `$SUBQUAD_DATA` is the folder of shared
            data.
        cases: Options of each case, by its name.
        seeds: Each case is trained with.
        quick: Options that make a training small enough to see that it runs.
        best: Whether the best weights are scored on the test set, as `subquad test` does. Otherwise the last
            ones are, on the evaluation set.
        score: Of the results, that tables show.
        percent: Whether it is a share, shown in percent.
        columns: Further numbers of the results in the table: a name in the lines, and its heading; "iou WORD"
            is the mean IoU of the classes with that word in their names, in percent.
        script: A script of this folder in place of trainings, and its arguments.
        quick_script: The same for a small version; `OUTPUT` stands for a file to write.
        tables: `tables.py` of this folder, or another one, and its arguments; prints what the results show in
            place of a row for each case.
        picture: What is drawn of a script's results: `score` and `row`, names in the lines; with `panel` a
            picture for each value of that name, with `hue` a colour.
        parts: Name of another experiment whose `parts.py` serves this one, too.
    """

    folder: Path
    question: str
    expected: str = ""
    shows: str = ""
    recipe: str = ""
    options: tuple[str, ...] = ()
    cases: Mapping[str, tuple[str, ...]]
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: tuple[str, ...] = ()
    best: bool = False
    score: str = "mean_iou"
    percent: bool = True
    columns: Mapping[str, str]
    script: tuple[str, ...] = ()
    quick_script: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    picture: Mapping[str, str]
    parts: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.name

    @property
    def results(self) -> Path:
        """The file of its results, a JSON line for each run."""
        return self.folder / RESULTS


def experiments_folder(given: str | Path | None = None) -> Path:
    """Return the folder of experiments: the one given, that of this source, or of a clone around here.

    An experiment may have code of its own: unless it is given, none is taken from a folder that is not ours.

    Raises:
        ValueError: If there is none: an installed package comes without them.
    """
    if given is not None:
        if not Path(given).is_dir():
            raise ValueError(f"{given} is no folder of experiments.")
        return Path(given)
    here = Path.cwd()
    for root in (Path(__file__).resolve().parents[3], here, *here.parents):
        if _is_ours(root) and any((root / "experiments").glob(f"*/{FILE}")):
            return root / "experiments"
    raise ValueError(
        "experiments come with the source of subquad, not with an installed package; run this in a clone, or "
        "give --experiments FOLDER."
    )


def _is_ours(root: Path) -> bool:
    """Say whether a folder is a source tree of subquad."""
    project = root / "pyproject.toml"
    return project.is_file() and 'name = "subquad"' in project.read_text(errors="replace")


def experiment_names(folder: Path) -> list[str]:
    """Return the names of the experiments in a folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def read_experiment(folder: Path, name: str) -> Experiment:
    """Read an experiment.

    Args:
        folder: Of all experiments.
        name: Of the one.

    Raises:
        ValueError: If there is none of that name, or its file says something else than an experiment.
    """
    names = experiment_names(folder)
    if name not in names:
        hint = did_you_mean(name, names)
        raise ValueError(f"there is no experiment {name!r}.{hint} There are {', '.join(names)}.")
    path = folder / name / FILE
    values = read_yaml(path)
    known = {field.name: field for field in fields(Experiment) if field.name != "folder"}
    _check_keys(str(path), values, known)
    if not isinstance(values.get("question"), str):
        raise ValueError(f"{path} asks nothing; give it a `question`.")
    _check_kinds(path, values)
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    values["cases"] = {
        str(case): _options(path, case, of) for case, of in _dict(path, values, "cases").items()
    }
    values["columns"] = _texts(path, values, "columns")
    values["picture"] = _picture(path, values)
    if bool(values["cases"]) == bool(values.get("script")):
        raise ValueError(f"{path} needs `cases` to train, or a `script` to run, and not both.")
    if values["cases"] and not values.get("recipe"):
        raise ValueError(f"{path} has cases to train, but no `recipe`.")
    return Experiment(folder=path.parent, **values)


def _check_kinds(path: Path, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless texts are texts and lists are lists of what they hold."""
    kinds = {"seeds": int, **dict.fromkeys(("options", "quick", "script", "quick_script", "tables"), str)}
    for key, value in values.items():
        if key in kinds:
            good = isinstance(value, list) and all(type(part) is kinds[key] for part in value)
            good = good and (bool(value) or key != "seeds")
            wanted = "a list of seeds" if key == "seeds" else "a list of texts"
        elif key in ("percent", "best"):
            good, wanted = isinstance(value, bool), "true or false"
        else:
            good, wanted = key in ("cases", "columns", "picture") or isinstance(value, str), "a text"
        if not good:
            raise ValueError(f"{key} of {path} must be {wanted}, got {value!r:.60}.")


def _dict(path: Path, values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key) or {}
    if not isinstance(found, dict):
        raise ValueError(f"{key} of {path} must be a table of `name: value`, got {found!r:.60}.")
    return found


def _texts(path: Path, values: Mapping[str, Any], key: str) -> dict[str, str]:
    return {str(name): str(of) for name, of in _dict(path, values, key).items()}


def _check_keys(what: str, given: Iterable[str], known: Collection[str]) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{what} has no use for {key!r}.{did_you_mean(key, known)}")


def _picture(path: Path, values: Mapping[str, Any]) -> dict[str, str]:
    found = _texts(path, values, "picture")
    _check_keys(f"picture of {path}", found, ("score", "row", "panel", "hue"))
    if found and not {"score", "row"} <= found.keys():
        raise ValueError(f"picture of {path} needs `score` and `row`, got {', '.join(found)}.")
    return found


def _options(path: Path, case: str, options: Any) -> tuple[str, ...]:
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ValueError(f"case {case!r} of {path} must be a list of options, got {options!r:.60}.")
    return tuple(options)

"""Configuration of the documentation; `make docs` builds it."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "subquad"
author = "The subquad authors"
copyright = "The subquad authors"
release = version = installed_version("subquad")

extensions = [
    "myst_parser",
    "results_of",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings have single backticks

html_theme = "furo"
html_title = f"subquad {release}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Attributes as a list: as entries of their own they would collide with those of dataclasses.
napoleon_use_ivar = True


def _skip(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: "Alias for field number 0" says nothing."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-skip-member", _skip)

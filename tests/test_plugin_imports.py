"""Plugins, templates and examples import only what every plugin author may import."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

import genebench

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "plugins"
SHOWN = [
    *sorted((ROOT / "genebench" / "scaffold").rglob("*.py.tmpl")),
    *sorted((ROOT / "docs" / "examples").rglob("*.py")),
]
"""Code that a stranger starts from: templates of new plugins, and examples."""
SOURCES = [
    path for path in sorted(PLUGINS.glob("*/genebench_*/**/*.py")) if "build" not in path.parts
]
PROMISED = {
    "genebench.specs",
    "genebench.moments",
    "genebench.relevance",
    "genebench.training",
    "genebench.progress",
    "genebench.files",
    "genebench.scheduling",
    "genebench.text",
    "genebench.testing",
}
"""The modules that docs/reference/plugins.md promises, besides the names of ``genebench``."""


GENERATED = runpy.run_path(str(ROOT / "docs" / "_extensions" / "generated.py"))
DOCUMENTED = {
    f"{item.__module__}:{item.__name__}"
    for item in (*GENERATED["SPECS"], *GENERATED["MET"], *GENERATED["RECORD"])
}
"""Classes and functions with a section in the reference."""


def imported(source: str) -> list[str]:
    """Return what a source imports of genebench: ``module``, or ``module:name``."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}:{alias.name}" for alias in node.names]
    return [name for name in names if name.partition(":")[0].split(".")[0] == "genebench"]


def is_promised(name: str) -> bool:
    module, _, item = name.partition(":")
    if module == "genebench":
        return not item or item in genebench.__all__
    return module in PROMISED


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PLUGINS).as_posix())
def test_a_plugin_imports_only_promised_paths(path):
    deeper = [name for name in imported(path.read_text("utf-8")) if not is_promised(name)]
    assert deeper == []


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_to_start_from_imports_only_promised_or_documented_names(path):
    # Placeholders of templates become names: ``$package`` is no Python.
    source = re.sub(r"\$(\w+)", r"placeholder_\1", path.read_text("utf-8"))
    deeper = {name for name in imported(source) if not is_promised(name)}
    assert deeper <= DOCUMENTED


def test_the_reference_documents_what_examples_need():
    assert {"genebench.formats.base:Reader", "genebench.runs.execute:execute"} <= DOCUMENTED


def test_all_plugins_are_read():
    assert {path.relative_to(PLUGINS).parts[0] for path in SOURCES} >= {
        "dgex",
        "ggan",
        "knn",
        "linear",
        "ray",
        "slurm",
    }


def test_a_deeper_import_would_be_seen():
    source = (
        "import numpy\n"
        "import genebench\n"
        "import genebench.data.store\n"
        "from genebench import Context, api\n"
        "from genebench.moments import moments\n"
        "def late():\n"
        "    from genebench.method import Curve\n"
    )
    deeper = [name for name in imported(source) if not is_promised(name)]
    assert sorted(deeper) == [
        "genebench.data.store",
        "genebench.method:Curve",
        "genebench:api",
    ]

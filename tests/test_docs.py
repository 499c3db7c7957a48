"""Documents that cannot rot: no placeholder, no dead link, every command and hook is real."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from genebench import hookspecs
from genebench.catalog import catalog
from genebench.plugins import installed

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
    *ROOT.glob("plugins/*/README.md"),
]
COMMAND = re.compile(r"^genebench ((?:[a-z]+ ?){1,2})", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_placeholder_and_its_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    assert not re.findall(r"\b[A-Z0-9]+_(?:TABLE|CALIBRATION)\b|@[A-Z]+@", text)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_a_page_exist(page, genebench):
    fenced = "".join(page.read_text("utf-8").split("```")[1::2])
    for words in COMMAND.findall(fenced):
        first, *rest = words.split()
        path = [first, rest[0]] if first in {"data", "results"} and rest else [first]
        assert genebench(*path, "--help").status == 0, path


def test_every_hook_is_in_the_plugin_guide():
    guide = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    for name in dir(hookspecs):
        if name.startswith("genebench_"):
            assert f"`{name}(" in guide


def test_the_examples_of_the_plugin_guide_run(genebench, tiny, tmp_path, monkeypatch):
    """The method and the metric of the guide, as they stand there, installed as a package."""
    guide = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    declaration, method, metric = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    package = tmp_path / "site" / "genebench_mymethod"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"{declaration}\n{metric}")
    (package / "method.py").write_text(method)
    info = tmp_path / "site" / "genebench_mymethod-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: genebench-mymethod\nVersion: 1.0\n"
    )
    points = re.search(r"\[project.entry-points.genebench\]\n(\w+) = \"(\w+)\"", guide)
    (info / "entry_points.txt").write_text(f"[genebench]\n{points[1]} = {points[2]}\n")
    monkeypatch.syspath_prepend(package.parent)
    for cached in (installed, catalog):
        cached.cache_clear()
    try:
        outcome = genebench(
            "run", "--preset", "tiny", "--methods", "mymethod", "--results", tmp_path / "results"
        )
    finally:
        for cached in (installed, catalog):
            cached.cache_clear()
        for name in [name for name in sys.modules if name.startswith("genebench_mymethod")]:
            del sys.modules[name]
    assert outcome.status == 0, outcome.err
    assert "mymethod" in outcome.out
    assert "RMSE" in outcome.out

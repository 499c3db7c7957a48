"""Documents that cannot rot: no placeholder, no dead link, every command and hook is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genebench import hookspecs

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

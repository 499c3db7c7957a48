"""The tutorial and the how-tos, executed command by command."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_editable

from genebench._util.hashing import code_digest
from genebench.plugins.discovery import installed
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry

DOCS = Path(__file__).resolve().parents[1] / "docs"
HOW_TO = sorted({*(DOCS / "howto").glob("*.md")} - {DOCS / "howto" / "index.md"})


def _helper(name):
    """Import a module of this folder, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pages = _helper("pages")


def forget(folder):
    """Make this process discover and import plugins again, as a new process would."""
    for cached in (installed, registry, code_digest):
        cached.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def shell(genebench, tiny, tmp_path, monkeypatch):
    """Return an empty folder, and a function that executes a command in it.

    Three commands are executed in another way. ``genebench`` runs in this process, because a new
    one would import everything again. ``export`` sets a variable of this process.
    ``python -m pip install --editable`` would change the developer's environment. So the wheel that
    the package's build backend makes for it is unpacked in a folder of the test. ``PYTHONPATH``
    replaces the wheel's ``.pth`` file.
    """
    folder = tmp_path / "empty"
    site = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(FILES, "")
    monkeypatch.setenv("PWD", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    # As a reader would run it: the plugins of the pages are sealed.
    monkeypatch.setenv("GENEBENCH_SEALED", "auto")

    def pip(package):
        with monkeypatch.context() as patch:
            patch.chdir(folder / package)
            wheel = build_editable(str(tmp_path))
        with zipfile.ZipFile(tmp_path / wheel) as archive:
            archive.extractall(site)
        paths = [str(site), str((folder / package).resolve())]
        for path in paths:
            monkeypatch.syspath_prepend(path)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
        return ""

    def execute(words):
        if words[0] == "genebench":
            forget(folder)
            outcome = genebench(*words[1:])
            assert outcome.status == 0, (words, outcome.err, outcome.out)
            return outcome.out + outcome.err
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value.replace("$PWD", str(folder)))
            return ""
        if words[:4] == ["python", "-m", "pip", "install"]:
            if "--editable" in words:
                return pip(words[-1])
            assert importlib.util.find_spec(words[-1]), f"{words[-1]} is no package of [dev]"
            return ""
        assert words[0] == "python", f"the test cannot execute {words}"
        done = subprocess.run(
            [sys.executable, *words[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield folder, execute
    forget(folder)


def test_the_tutorial_leads_to_a_row_on_a_board(shell):
    folder, execute = shell
    pages.follow(DOCS / "tutorial.md", folder, execute)
    boards = [path.read_text("utf-8") for path in (folder / "site").rglob("*.html")]
    assert any("gauss-ridge" in board and "train-mean" in board for board in boards)


def test_the_gallery_draws_what_it_shows(shell):
    folder, execute = shell
    gallery = runpy.run_path(str(DOCS / "gallery.py"))
    for words in gallery["commands"]():
        execute(words)
    drawn = gallery["shown"](folder / "figures")
    assert len(drawn) >= 5
    assert set(drawn) == {path.name for path in gallery["IMAGES"].iterdir()}


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_works_as_it_stands(page, shell):
    folder, execute = shell
    pages.follow(page, folder, execute)


@pytest.mark.parametrize(
    ("expected", "printed", "agrees"),
    [
        ("a 0.500 b", "a 0.501 b", True),
        ("a 0.500 b", "a 0.600 b", False),
        ("a 0.500 b", "a 0.500", False),
        ("a b", "1 a b c", True),
        ("a b", "a c b", False),
        ("a … c", "a b c", True),
        ("data …: x", "data 12ab: x", True),
        ("lsr", "lsr-l2", False),
    ],
)
def test_printed_lines_are_compared_with_the_page(expected, printed, agrees):
    assert pages._agree(expected.split(), printed.split()) is agrees


def test_a_block_that_goes_nowhere_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Some code:\n\n```python\nx = 1\n```\n")
    with pytest.raises(ValueError, match="no file is named before 'x = 1'"):
        list(pages.steps(page))

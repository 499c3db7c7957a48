"""Every command of README and the guides works after the set-up before it, or says what it needs.

A reader types the commands of a page in order, in a folder with results of small runs. Names that
stand for something of the reader's are replaced by what this folder has: another dataset, a key, a
second results folder. Sizes become ``tiny``, and what would train for long is planned with
``--dry-run``. ``$``-commands of the tutorial and the how-tos are executed by ``test_tutorial``, and
those for public data by ``datasets/test_public_collections``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from genebench import api
from genebench.cli import invoke
from genebench.plugins.registry import registry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    DOCS / "index.md",
    *sorted(DOCS.glob("guides/*.md")),
    *sorted(DOCS.glob("howto/*.md")),
    *sorted(DOCS.glob("explanation/*.md")),
    *sorted(DOCS.glob("reference/*.md")),
]
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LANGUAGES = {"", "console", "bash", "sh"}
STARTS = ("genebench", "python", "pip", "make", "cd", "export", "cp", "source")
NEEDS = re.compile(r"\bTh(?:is needs|ese need|ese commands need) ")
"""Words by which the paragraph before a block says what its commands need beyond the set-up."""
OPTIONS_WITH_SIZE = {"--dataset", "--preset", "--device"}
SHORT = {"epochs": 2, "units": 10}
FAST = {"lsr", "lsr-l2", "knn", "knn-ge", "train-mean"}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, the paragraph before it, and its commands."""

    line: int
    before: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def needs(self) -> bool:
        """Whether the page says that the commands need more than the set-up."""
        return bool(NEEDS.search(self.before))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page that have commands."""
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        if found[1] not in LANGUAGES or (found[1] == "console" and page.parent.name == "howto"):
            continue
        joined = found[2].replace("\\\n", " ")
        lines = [line.removeprefix("$ ") for line in joined.splitlines()]
        if found[1] == "console":
            lines = [line.removeprefix("$ ") for line in joined.splitlines() if line[:2] == "$ "]
        commands = [
            tuple(shlex.split(line, comments=True))
            for line in lines
            if line.split(" ")[0] in STARTS
        ]
        if commands:
            paragraphs = text[: found.start()].strip().split("\n\n")
            yield Block(
                text.count("\n", 0, found.start()) + 1, paragraphs[-1], tuple(commands)
            )  # fmt: skip


@pytest.fixture(scope="module")
def walk(tiny, tmp_path_factory):
    """Return a folder with results, a second folder of them, keys, and a dataset ``mine``."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(DOCS / "example", folder / "docs" / "example")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GENEBENCH_SEALED", "off")
        api.run(
            "lsr,lsr-l2,knn,ggan,dgex", preset="tiny", results="results", keep="model",
            grid={"knn": {"k_max": [5, 50]}}, params={"ggan": SHORT, "dgex": SHORT},
        )  # fmt: skip
        for other in ("other/results", "ours", "theirs", "board", "old", "new"):
            shutil.copytree("results", other)
        assert invoke(["data", "prepare", "docs/example/example.toml"]) == 0
    return folder


@pytest.fixture
def shell(walk, tmp_path, monkeypatch, genebench):
    """Return a function that types a command in a copy of the folder."""
    shutil.copytree(walk, tmp_path / "page")
    monkeypatch.chdir(tmp_path / "page")
    keys = [record.key for record in api.records(walk / "results").records]
    places = {
        "u133": "example", "public-array": "example", "mymethod": "lsr", "0f3c91": keys[0],
        "7a20bb": keys[1], "0123456789abcdef01234567": keys[0],
    }  # fmt: skip

    def typed(words):
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
            return
        if words[0] == "make":
            done = subprocess.run(
                ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return
        # Completion is installed into the home of whoever runs the tests.
        if words[0] != "genebench" or "--install-completion" in words:
            return
        if words[1:3] == ("new", "method"):
            shutil.rmtree("packages", ignore_errors=True)
        names = {} if words[1] == "new" else places
        outcome = genebench(*small([names.get(word, word) for word in words[1:]]))
        assert outcome.status == 0, f"{shlex.join(words)}\n{outcome.err}"

    return typed


EXTRA = {
    "new": ["--out", "packages"],
    "doctor": ["--no-gpu"],
    "tune": ["--set", "dgex.epochs=2", "--set", "dgex.units=10", "--protocol", "geo"],
}
"""Command → options that make it short."""


def without(words, options):
    """Return words without some options and their values, up to a redirection."""
    kept, skip = [], False
    for word in words:
        if word == ">":
            break
        if not skip and word not in options:
            kept.append(word)
        skip = word in options
    return kept


def small(words):
    """Return a command at the smallest size. Long work is only planned."""
    command = words[0]
    if words[:2] == ["report", "suite"]:
        return ["show", words[2]]  # its runs were only planned
    options = OPTIONS_WITH_SIZE | ({"--only"} if command == "check" else set())
    kept = [*without(words, options), *EXTRA.get(command, ())]
    # All checks of a method take a minute, and other tests run them.
    if command == "check" and words[1] not in registry().protocols.specs:
        kept += ["--only", "spec"]
    if command in {"run", "sweep", "tune", "explain", "jobs"}:
        kept += ["--preset", "tiny"]
    if command in {"run", "sweep"} and "--dry-run" not in kept:
        at = next((kept.index(name) for name in ("--methods", "--method") if name in kept), None)
        methods = set(kept[at + 1].split(",")) if at else {"all"}
        kept += [] if methods <= FAST else ["--dry-run"]
    return kept


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_works_or_says_what_it_needs(page, shell):
    for block in blocks(page):
        if block.needs:
            continue
        for words in block.commands:
            try:
                shell(words)
            except AssertionError as error:
                pytest.fail(f"{page.name}:{block.line}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_of_commands_that_are_not_executed_exist(page, genebench):
    for block in blocks(page):
        for words in block.commands if block.needs else ():
            if words[0] != "genebench":
                continue
            path = words[1:3] if words[1] in {"data", "results"} else words[1:2]
            shown = genebench(*path, "--help").out
            for option in re.findall(r"(?<=\s)--[a-z][a-z-]+", f" {' '.join(words)}"):
                assert option in shown, f"{page.name}:{block.line}: {option}"


def test_the_demo_leaves_results_where_the_commands_after_it_look():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    demo = makefile.partition("demo: ")[2].partition("\n\n")[0].replace("\\\n", " ")
    assert "--results" not in demo
    for method in ("ggan", "dgex", "lsr-l2"):
        assert method in demo


def test_the_set_up_of_the_readme_has_what_its_commands_use():
    """Figures need matplotlib, and boards jinja2: `make demo` installs their extra."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition(".venv/installed: ")[2].partition("touch")[0]
    extras = set(re.search(r"\.\[([\w,]+)\]", recipe)[1].split(","))
    assert {"report", "sklearn"} <= extras
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras <= set(declared["optional-dependencies"])


def test_a_block_is_read_with_its_paragraph(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n\nThis needs a GPU:\n\n```\ngenebench run a \\\n  --dry-run  # a remark\n```\n"
        "\nMore:\n\n```\nmake demo\n```\n"
    )
    first, second = blocks(page)
    assert first.needs
    assert first.commands == (("genebench", "run", "a", "--dry-run"),)
    assert not second.needs
    assert small(["run", "--methods", "ggan", "--preset", "paper"])[-1] == "--dry-run"

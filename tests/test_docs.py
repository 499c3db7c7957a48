"""Documents stay true: no placeholder, no dead link, every command and hook exists."""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from genebench import hookspecs
from genebench.plugins.discovery import installed
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *ROOT.glob("*.md"),
    *DOCS.rglob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
    *ROOT.glob("plugins/*/README.md"),
]
COMMAND = re.compile(r"^(?:\$ )?genebench ((?:[a-z][a-z-]* ?){1,2})", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_placeholder_and_its_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    assert not re.findall(r"\b[A-Z0-9]+_(?:TABLE|CALIBRATION)\b|@[A-Z]+@", text)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def existing():
    """Return the commands that were found to exist: pages name the same ones."""
    return set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_a_page_exist(page, genebench, existing):
    fenced = "".join(page.read_text("utf-8").split("```")[1::2])
    for words in COMMAND.findall(fenced):
        first, *rest = words.split()
        path = (first, rest[0]) if first in {"data", "results"} and rest else (first,)
        assert path in existing or genebench(*path, "--help").status == 0, path
        existing.add(path)


def test_every_extra_that_is_named_exists():
    """Check the extras that messages, docstrings, pages and specs of formats name."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = set(declared["optional-dependencies"])
    for path in [*PAGES, *(ROOT / "genebench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        text = path.read_text("utf-8")
        assert not re.search(r"\bgenebench\[", text), path  # another project's name
        named = re.findall(r"\bgenebench-suite\[([\w,]+)\]", text)
        assert set(",".join(named).split(",")) - {"extra", ""} <= known, path  # any extra, none
    assert {spec.extra for spec in registry().formats.specs.values()} - {""} <= known


def imported(path, monkeypatch):
    """Import a module that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module.
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_scaling_are_those_of_its_script(monkeypatch):
    scaling = imported(DOCS / "examples" / "scaling.py", monkeypatch)
    page = (DOCS / "scaling.md").read_text("utf-8")
    tables = (
        scaling.trainings, scaling.sweeps, scaling.disks, scaling.traffic, scaling.profiles
    )  # fmt: skip
    for table in tables:
        assert "\n".join(table()) in page, f"{table.__name__}: python docs/examples/scaling.py"


def test_the_operations_of_scaling_are_those_of_the_benchmark(monkeypatch):
    scaling = imported(DOCS / "examples" / "scaling.py", monkeypatch)
    benchmark = imported(ROOT / "benchmarks" / "training.py", monkeypatch)
    for size in itertools.product(scaling.LAYERS, scaling.UNITS):
        flop, moved = benchmark.dgex_cost(*size, "bfloat16")
        assert scaling.DGEX.step_flop(*size) == flop
        assert scaling.DGEX.step_bytes * scaling.DGEX.weights(*size) == moved
    assert scaling.GGAN.step_bytes == benchmark.ADAM_BYTES["bfloat16"]


@pytest.fixture(scope="module")
def generated():
    """Import the module that writes parts of the reference."""
    with pytest.MonkeyPatch.context() as patch:
        yield imported(DOCS / "_extensions" / "generated.py", patch)


def test_every_hook_field_argument_and_key_is_documented_and_every_hook_has_an_example(generated):
    assert generated.undocumented() == []


def test_what_is_not_documented_is_noticed(generated, monkeypatch):
    @dataclass
    class Bare:
        x: int

    def genebench_job_bare(job):
        """Called at times."""

    monkeypatch.setattr(generated, "MET", (Bare,))
    monkeypatch.setattr(generated, "_hooks", lambda: [genebench_job_bare])
    assert generated.undocumented() == [
        "genebench_job_bare: example",
        "genebench_job_bare: job",
        "Bare",
    ]


@pytest.mark.parametrize("name", sorted(registry().methods.specs))
def test_a_method_has_a_page_with_its_equation(name):
    [page] = [
        text
        for path in (DOCS / "reference" / "methods").glob("*.md")
        if f"```{{method-card}} {name}\n" in (text := path.read_text("utf-8"))
    ]
    assert "```{math}" in page


def test_text_of_specs_and_docstrings_stays_as_it_is_in_markdown(generated):
    assert generated._prose("a_b <c> ``d_e`` :class:`~f.G`") == r"a\_b \<c\> `d_e` `f.G`"


@pytest.fixture
def every_hook(monkeypatch):
    """Load the plugin of the reference's examples in every command of the test."""
    monkeypatch.setenv(FILES, str(DOCS / "examples" / "every_hook.py"))
    for cached in (installed, registry):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (installed, registry):
        cached.cache_clear()
    sys.modules.pop("every_hook", None)


def test_the_example_implements_every_hook(every_hook):
    [plugin] = [plugin for plugin in installed().all if plugin.name == "every_hook"]
    module = sys.modules["every_hook"]
    assert not plugin.error
    assert {name for name in vars(module) if name.startswith("genebench_")} == {
        "genebench_contract",
        *(name for name in vars(hookspecs) if name.startswith("genebench_")),
    }


def test_methods_metrics_protocols_datasets_engines_and_observers_of_the_example_work(
    every_hook, genebench, tmp_path, caplog
):
    results = tmp_path / "results"
    with caplog.at_level(logging.WARNING, "genebench"):
        outcome = genebench(
            "run", "--dataset", "noise", "--methods", "shrunk-mean", "--protocol", "lcl",
            "--metrics", "bias", "--engine", "backwards", "--keep-models", "--results", results,
        )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "noise · lcl" in outcome.out
    assert "Bias ↓" in outcome.out
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:3] == [
        "shrunk-mean on noise (lcl): started",
        "shrunk-mean on noise (lcl): 1 of 1, taking means",
        "shrunk-mean on noise (lcl): done",
    ]
    listed = genebench("report", "--results", results, "--format", "keys")
    keys = {path.name.partition(".")[0] for path in results.glob("*.safetensors")}
    assert keys
    assert keys <= set(listed.out.split())


def test_the_format_of_the_example_reads_a_file(every_hook, genebench, tmp_path):
    values = [[1.5, 2.5], [3.5, 4.5]]
    content = {"genes": ["ENSG1", "ENSG2"], "profiles": ["P1", "P2"], "values": values}
    (tmp_path / "in.json").write_text(json.dumps(content))
    outcome = genebench("data", "convert", tmp_path / "in.json", tmp_path / "out.tsv")
    assert outcome.status == 0, outcome.err
    rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert [[float(value) for value in row[1:]] for row in rows[1:]] == [[1.5, 3.5], [2.5, 4.5]]


def test_the_command_of_the_example_is_added(every_hook, genebench):
    assert "lcl" in genebench("protocols").out.split()

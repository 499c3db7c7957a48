"""The direction of flow: imports point back along it, and what must start fast imports little.

The order is that of the design, hooks → catalog → plan → job → results → report, as the code has
it: what is shared comes first, and the results' schema and store come before the plan, which asks
them what is done already.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "genebench"

LAYERS = """
    errors text progress                            words: needed everywhere, needing nothing
    files keys                                      files written whole; content turned into keys
    patience exits                                  how long a plugin may hold us up, and its ends
    specs hookspecs                                 the contract with plugins
    method                                          what a method is
    genebench                                       the public names; what is heavy is lazy
    protocols controls datasets metrics engines report   built-ins, as hooks
    plugins                                         who offers what
    sklearn                                         estimators as methods
    catalog                                         what is on offer, by name
    data.formats data.formats.*                     any file format
    data data.*                                     matched, normalised, stored profiles
    moments training training.*                     what methods share
    datasets.*                                      the simulated dataset
    library                                         datasets by name
    scaffold                                        packages to start a plugin from
    device                                          where a method runs
    results results.*                               what is known, on disk
    saved                                           models that were kept
    predict                                         their use
    metrics.*                                       from predictions to scores
    paper                                           the published numbers
    plan suite                                      what to do
    tune                                            what to do when parameters are to be chosen
    provenance                                      with what it is done
    job                                             one run
    engines.*                                       where jobs run
    analysis analysis.*                             what results mean
    report.*                                        how they look
    api                                             all of it, from Python
    testing testing.*                               whether a method keeps the contract
    cli cli.*                                       all of it, from a shell
    __main__                                        python -m genebench
"""
"""A module may import from layers above its own, and within its own package.

``name`` is a module of genebench (or a package's ``__init__``); ``name.*`` is whatever is below
it and has no line of its own.
"""

NO_TORCH = ("plan", "results", "analysis", "report", "cli")
HEAVY = ("torch", "numpy", "pandas", "scipy", "h5py")


class Import(NamedTuple):
    """One import: of which module, where, and whether it happens when the module is imported."""

    module: str
    line: int
    at_import: bool


def sources() -> dict[str, Path]:
    """Every module of genebench by its dotted name."""
    found = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


SOURCES = sources()


def imports(name: str, path: Path) -> list[Import]:
    """Every import in a source, those in functions too; not those for type checkers only."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text("utf-8"))
    return list(_imports(tree.body, package, at_import=True))


def _imports(nodes: Iterable[ast.AST], package: str, *, at_import: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, package, at_import=at_import)
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, package, at_import=at_import)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside = ast.iter_child_nodes(node)
        yield from _imports(inside, package, at_import=at_import and not late)


def _imported_from(node: ast.ImportFrom, package: str, *, at_import: bool) -> Iterator[Import]:
    parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*parents, *([node.module] if node.module else [])])
    for alias in node.names:
        full = f"{base}.{alias.name}"
        yield Import(full if full in SOURCES else base, node.lineno, at_import)


IMPORTS = {name: imports(name, path) for name, path in SOURCES.items()}


def layers() -> dict[str, int]:
    """Line of the table → its number."""
    order = {}
    for number, line in enumerate(LAYERS.strip().splitlines()):
        names = line.strip().partition("  ")[0].split()
        order |= dict.fromkeys(names, number)
    return order


ORDER = layers()


def layer(module: str) -> int | None:
    """Number of the layer of a module: by its own name, else by the nearest ``package.*``."""
    name = module.removeprefix(f"{PACKAGE}.")
    if name in ORDER:
        return ORDER[name]
    while "." in name:
        name = name.rpartition(".")[0]
        if f"{name}.*" in ORDER:
            return ORDER[f"{name}.*"]
    return None


def family(module: str) -> str:
    """The package within genebench that a module belongs to, or its own name."""
    return module.removeprefix(f"{PACKAGE}.").split(".")[0]


def own(name: str) -> list[Import]:
    """A module's imports of genebench itself."""
    return [found for found in IMPORTS[name] if found.module.split(".")[0] == PACKAGE]


@pytest.mark.parametrize("name", SOURCES)
def test_every_module_has_its_layer(name):
    assert layer(name) is not None, f"add {name} to the table of layers"


def test_every_line_of_the_table_is_about_a_module_that_there_is():
    known = {name.removeprefix(f"{PACKAGE}.") for name in SOURCES}
    for name in ORDER:
        package = name.removesuffix(".*")
        assert name in known or any(module.startswith(f"{package}.") for module in known), name


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_back_along_the_flow(name):
    against = [
        f"{SOURCES[name].name}:{found.line} imports {found.module}"
        for found in own(name)
        if not (
            layer(found.module) < layer(name)
            or (layer(found.module) == layer(name) and family(found.module) == family(name))
        )
    ]
    assert against == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: {found.module for found in own(name) if found.at_import} for name in SOURCES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' → '.join(error.args[1])}")


@pytest.mark.parametrize("name", [name for name in SOURCES if family(name) in NO_TORCH])
def test_only_what_computes_knows_torch(name):
    assert [found for found in IMPORTS[name] if found.module.split(".")[0] == "torch"] == []


def test_nobody_imports_torch_before_it_is_needed():
    eager = [
        name
        for name, found in IMPORTS.items()
        # Only the code of gradient-trained methods, which a job loads, imports the loop.
        if not name.startswith("genebench.training.")
        and any(one.module.split(".")[0] == "torch" and one.at_import for one in found)
    ]
    assert eager == []


def test_the_test_itself_sees_imports_of_every_kind(tmp_path):
    (tmp_path / "sample.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "import a.b\n"
        "from genebench import specs\n"
        "from genebench.errors import UserError\n"
        "if TYPE_CHECKING:\n"
        "    import for_types\n"
        "else:\n"
        "    import other\n"
        "def f():\n"
        "    import late\n"
        "class C:\n"
        "    import early\n"
        "from . import plan\n"
        "from .results import store\n"
    )
    found = imports("genebench.sample", tmp_path / "sample.py")
    assert [(one.module, one.at_import) for one in found] == [
        ("typing", True),
        ("a.b", True),
        ("genebench.specs", True),
        ("genebench.errors", True),
        ("other", True),
        ("late", False),
        ("early", True),
        ("genebench.plan", True),
        ("genebench.results.store", True),
    ]


SHOW = "print('\\n', *sorted({name.split('.')[0] for name in sys.modules}))"


def loaded(statement: str) -> set[str]:
    """Top-level packages that a fresh process has imported after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\n{SHOW}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import genebench",
        "from genebench.cli import invoke; assert invoke(['--help']) == 0",
        "from genebench.cli import invoke; assert invoke(['list', 'methods']) == 0",
    ],
    ids=["import genebench", "genebench --help", "genebench list methods"],
)
def test_listing_and_help_import_nothing_heavy(statement):
    assert loaded(statement).isdisjoint(HEAVY)


def test_planning_reporting_and_the_command_line_do_without_torch():
    modules = ", ".join(
        name for name in SOURCES if family(name) in (*NO_TORCH, "api") and ".cli." not in name
    )
    assert "torch" not in loaded(f"import {modules}")


@pytest.mark.skipif(
    shutil.which("git") is None or not (REPOSITORY / ".git").exists(), reason="no git checkout"
)
def test_no_source_is_hidden_from_git():
    """A pattern meant for outputs (``results/``) must not keep sources out of a fresh clone."""
    paths = [*SOURCES.values(), *(REPOSITORY / "tests").rglob("*.py")]
    paths += [path for path in (REPOSITORY / "plugins").rglob("*.py") if "build" not in path.parts]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=REPOSITORY,
        input="\n".join(path.relative_to(REPOSITORY).as_posix() for path in paths),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == []

"""Tests of the architecture: rooms, the direction of imports, and what must start fast.

A profile passes through the rooms in the order of docs/architecture.md: contract, plugins, plan,
engine, execute, results, analysis, reports. An import may only point to a room above its own in
the table below. The record and the results store stand above the plan, because the plan asks them
which results exist already.

Imports of every kind count: at the top, in functions, for type checkers, and by name. A string
that names a module of genebench is an import by name, as for ``import_module`` or ``python -m``.
The import of a module is an import of its packages too. There are three exceptions:

- Strings in modules that register built-ins, and the list of these modules in
  ``plugins.discovery``. Specs name code by import string, which is the contract with all plugins.
- The package root is no import of its modules: it offers the public names.
- Two packages import their own modules in ``__init__``, and these modules do not import the
  package back: ``genebench.cli``, because the command's entry point collects all commands, and
  ``genebench.datasets.sim``, because the spec of the dataset names it.
"""

from __future__ import annotations

import ast
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from genebench.plugins.discovery import BUILT_INS

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "genebench"

ROOMS = """
    errors                           the error for mistakes of the user
    _util                            helpers that any room may use
    specs                            the contract: specs that plugins declare
    results.limits                   the contract: how much a record may hold
    results.upgrades                 records of older formats
    results.record                   the contract: one evaluation, as stored
    runs.jobs                        the contract: one job, as engines and observers receive it
    hookspecs                        the contract: every hook
    protocols                        the built-in protocols
    confinement                      what the operating system denies to a process
    plugins                          discovery, isolation, and the registry of specs
    formats                          readers and writers of expression files
    data                             prepared datasets on disk, and the profiles of a part
    preprocessing                    from raw platforms to normalised expression
    datasets                         datasets by name, manifests, downloads, the simulation
    method                           the contract: base classes of methods and models
    methods                          built-in methods, and tools that methods share
    results                          records on disk
    metrics                          from predictions to scores
    models                           saved models, and their predictions
    processes                        subprocesses that are measured, and ended with all they start
    sealing                          a method in a process that cannot reach what it is tested on
    runs                             from a request to executed jobs
    engines                          where jobs are executed
    analysis                         statistics of results
    explaining                       relevance of landmarks, and how far it can be trusted
    reports                          tables and figures of results
    leaderboard                      the static site
    api                              the Python interface
    tasks                            what single commands do, from Python
    conformance                      the checks for methods of third parties
    scaffold                         packages for new plugins
    files progress text moments relevance training scheduling testing    promised to plugin authors
    genebench                        the public names, imported lazily
    cli                              the command line
    __main__                         python -m genebench
"""
"""A module may import from its own room and from rooms above it.

A line names rooms. A room is a package or a module below ``genebench``, with everything in it. The
record and the job lie in the packages of their stages. They belong to the contract, because hooks
receive them.
"""

NO_TORCH = (
    "runs.jobs",
    "runs.plan",
    "runs.suite",
    "results",
    "analysis",
    "explaining",
    "reports",
    "leaderboard",
    "cli",
)
REGISTERING = ("genebench.plugins.discovery", *BUILT_INS)
"""Modules whose strings are no imports."""
FACADES = (PACKAGE, "genebench.cli", "genebench.datasets.sim")
"""Packages whose modules do not import the package itself."""
HEAVY = ("torch", "numpy", "pandas", "scipy", "h5py")


class Import(NamedTuple):
    """One import: the module, the line, and when it happens."""

    module: str
    line: int
    at_import: bool
    """True if it happens when the importing module is imported."""


def sources() -> dict[str, Path]:
    """Return every module of genebench by its dotted name."""
    modules = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        modules[".".join(part for part in parts if part != "__init__")] = path
    return modules


SOURCES = sources()


def imports(name: str, path: Path) -> list[Import]:
    """Return every import in a source: at the top, in functions, and for type checkers."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text("utf-8"))
    found = list(_imports(tree.body, package, at_import=True))
    if name not in REGISTERING:
        found += sorted(_imported_by_name(tree, name), key=lambda item: item.line)
    return found


def _imports(nodes: Iterable[ast.AST], package: str, *, at_import: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.If) and (guard := _type_guard(node.test)):
            yield from _imports(node.body, package, at_import=at_import and guard == "negated")
            yield from _imports(node.orelse, package, at_import=at_import and guard == "plain")
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, package, at_import=at_import)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside = ast.iter_child_nodes(node)
        yield from _imports(inside, package, at_import=at_import and not late)


def _type_guard(test: ast.expr) -> str:
    """Return ``plain`` for ``TYPE_CHECKING``, ``negated`` for ``not TYPE_CHECKING``, else empty.

    Both branches of any other condition count as executed.
    """
    guards = {"TYPE_CHECKING": "plain", "not TYPE_CHECKING": "negated"}
    return guards.get(ast.unparse(test).replace("typing.", ""), "")


def _imported_by_name(tree: ast.AST, name: str) -> Iterator[Import]:
    """Yield the modules of genebench that strings name, and all that an f-string may name."""
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.JoinedStr):
            start = getattr(node.values[0], "value", "")
            if isinstance(start, str) and start.startswith(f"{PACKAGE}."):
                modules = [module for module in SOURCES if module.startswith(start)]
        # The name of the package alone is a plain word, and a module may name itself.
        elif isinstance(node, ast.Constant) and node.value not in (PACKAGE, name):
            modules = [module for module in SOURCES if module == node.value]
        for module in modules:
            yield Import(module, node.lineno, False)


def _imported_from(node: ast.ImportFrom, package: str, *, at_import: bool) -> Iterator[Import]:
    parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*parents, *([node.module] if node.module else [])])
    for alias in node.names:
        full = f"{base}.{alias.name}"
        yield Import(full if full in SOURCES else base, node.lineno, at_import)


IMPORTS = {name: imports(name, path) for name, path in SOURCES.items()}


def rooms() -> dict[str, int]:
    """Return the number of the line that each room stands on."""
    order = {}
    for number, line in enumerate(ROOMS.strip().splitlines()):
        names = line.strip().partition("  ")[0].split()
        order |= dict.fromkeys(names, number)
    return order


ORDER = rooms()


def room(module: str) -> str | None:
    """Return the room of a module: the longest line of the table that its name starts with."""
    name = module.removeprefix(f"{PACKAGE}.")
    while name and name not in ORDER:
        name = name.rpartition(".")[0]
    return name or None


def is_in(names: Iterable[str], module: str) -> bool:
    """Return whether a module is one of these packages or modules, or in one of them."""
    name = module.removeprefix(f"{PACKAGE}.")
    return any(name == item or name.startswith(f"{item}.") for item in names)


def internal(name: str) -> list[Import]:
    """Return a module's imports of genebench itself."""
    return [item for item in IMPORTS[name] if item.module.split(".")[0] == PACKAGE]


def packages(module: str) -> list[str]:
    """Return the packages that a module lies in. Python imports them before the module."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(2, len(parts))]


def executed(module: str) -> set[str]:
    """Return a module, and all modules that its packages import in ``__init__`` right away."""
    return {module} | {
        item.module for package in packages(module) for item in internal(package) if item.at_import
    }


@pytest.mark.parametrize("name", SOURCES)
def test_every_module_is_in_a_room(name):
    assert room(name) is not None, f"add {name} to the table of rooms"


def test_every_room_of_the_table_exists():
    assert set(ORDER) == {room(name) for name in SOURCES}


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_back_along_the_flow(name):
    own = packages(name)
    against = [
        f"{SOURCES[name].name}:{item.line} imports {module}"
        for item in internal(name)
        for module in ({item.module} if item.module in own else executed(item.module))
        if not (ORDER[room(module)] < ORDER[room(name)] or room(module) == room(name))
    ]
    assert against == []


def test_stored_results_do_not_depend_on_how_they_were_made():
    importers = {
        name
        for name in SOURCES
        if is_in(["results"], name) and any(is_in(["runs"], item.module) for item in internal(name))
    }
    assert importers == set()


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: circle_edges(name) for name in SOURCES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {' → '.join(error.args[1])}")


def circle_edges(name: str) -> set[str]:
    """Return the modules that a module imports, with the packages of all and of itself."""
    modules = {item.module for item in internal(name)} | {name}
    implied = {package for module in modules for package in packages(module)}
    inside = {facade for facade in FACADES if facade in packages(name)}
    return (modules | implied) - inside - {name}


@pytest.mark.parametrize("name", [name for name in SOURCES if is_in(NO_TORCH, name)])
def test_only_what_computes_imports_torch(name):
    assert [item for item in IMPORTS[name] if item.module.split(".")[0] == "torch"] == []


def test_nothing_imports_torch_before_it_is_needed():
    eager = [
        name
        for name, items in IMPORTS.items()
        # Only the code of networks, which a job loads, imports these.
        if not is_in(["methods.training", "methods.propagation"], name)
        and any(item.module.split(".")[0] == "torch" and item.at_import for item in items)
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
        "if not TYPE_CHECKING:\n"
        "    import for_programs\n"
        "else:\n"
        "    import for_types\n"
        "if TYPE_CHECKING or a:\n"
        "    import perhaps\n"
        "def f():\n"
        "    import late\n"
        "    if not TYPE_CHECKING:\n"
        "        import later\n"
        "class C:\n"
        "    import early\n"
        "from . import specs\n"
        "from .results import store\n"
        "import_module('genebench.api')\n"
        "run([python, '-m', 'genebench.engines.worker'])\n"
        "import_module(f'genebench.models.{name}')\n"
        "f'{a}', 'genebench', 'genebench.sample', 'genebench.metrics.recall:Recall'\n"
    )
    seen = imports("genebench.sample", tmp_path / "sample.py")
    assert [(item.module, item.at_import) for item in seen] == [
        ("typing", True),
        ("a.b", True),
        ("genebench.specs", True),
        ("genebench.errors", True),
        ("for_types", False),
        ("other", True),
        ("for_programs", True),
        ("for_types", False),
        ("perhaps", True),
        ("late", False),
        ("later", False),
        ("early", True),
        ("genebench.specs", True),
        ("genebench.results.store", True),
        ("genebench.api", False),
        ("genebench.engines.worker", False),
        ("genebench.models.predict", False),
        ("genebench.models.quantiles", False),
        ("genebench.models.saved", False),
    ]


def test_an_import_is_one_of_its_packages_too():
    assert "genebench.analysis" in circle_edges("genebench.reports.compare")
    assert "genebench.reports" in circle_edges("genebench.reports.compare")
    assert "genebench.cli" not in circle_edges("genebench.cli.check")
    assert "genebench.specs" in executed("genebench.metrics.recall")


PROMISED = {
    "files": (
        "Lock", "LocksUnsupportedError", "atomic_write", "lock", "reason_of", "sweep",
        "temporary_folder", "user_errors",
    ),
    "progress": ("Progress", "silent", "sparkline"),
    "scheduling": (
        "BROKEN", "CLAIMED", "DONE", "GRACE_SECONDS", "KEY", "MEMORY", "REFUSED", "STOPPED",
        "Attempt", "Claim", "Failure", "Job", "Monitor", "Node", "Queued", "Settings", "attempts",
        "claims", "describe_job", "discard", "fail", "has_checkpoints", "is_left", "last_words",
        "left_of", "node_environment", "now", "remove_order", "write_attempt", "write_order",
    ),
    "text": (
        "counted", "cut", "describe", "escaped_output", "no_formula", "printable", "some",
        "visible",
    ),
    "moments": ("Moments", "moments"),
    "relevance": (
        "Attribution", "LINEAR_RULES", "NETWORK_RULES", "linear_relevance", "network_relevance",
        "quadrature",
    ),
    "training": (
        "DTYPES", "DivergedError", "Learner", "OutOfMemoryError", "Trained", "Weight",
        "adam_in_one_pass", "bernoulli", "generator", "product", "train", "training_params",
    ),
    "testing": ("parametrize_with_checks", "parametrize_with_protocol_checks"),
}  # fmt: skip
"""Import paths that plugin authors were promised, and the names that they offer."""


@pytest.mark.parametrize("name", PROMISED)
def test_promised_import_paths_offer_their_names(name):
    module = importlib.import_module(f"genebench.{name}")
    assert sorted(module.__all__) == sorted(PROMISED[name])
    assert all(getattr(module, item) is not None for item in PROMISED[name])


def test_only_the_contract_and_promised_paths_lie_in_the_package_root():
    contract = {
        "__init__",
        "__main__",
        "api",
        "errors",
        "hookspecs",
        "method",
        "protocols",
        "specs",
        "tasks",
    }
    assert {path.stem for path in (REPOSITORY / PACKAGE).glob("*.py")} == contract | set(PROMISED)


SHOW = "print('\\n', *sorted({name.split('.')[0] for name in sys.modules}))"


def loaded(statement: str) -> set[str]:
    """Return the top-level packages that a new process has imported after a statement."""
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


def test_commands_start_without_libraries_that_few_of_them_need():
    few = {"torch", "scipy", "numba", "h5py", "sklearn", "matplotlib", "jinja2"}
    assert loaded("import genebench.api").isdisjoint(few)


def test_planning_reporting_and_the_command_line_do_without_torch():
    modules = ", ".join(
        name for name in SOURCES if is_in((*NO_TORCH, "api"), name) and ".cli." not in name
    )
    assert "torch" not in loaded(f"import {modules}")


@pytest.mark.skipif(
    shutil.which("git") is None or not (REPOSITORY / ".git").exists(), reason="no git checkout"
)
def test_no_source_is_hidden_from_git():
    """A pattern for outputs (``results/``) must not keep sources out of a fresh clone."""
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

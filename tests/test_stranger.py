"""The way of a third party: genebench and a new package as wheels in a clean environment.

The package is checked, run and put on a board.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genebench.api import records

Genebench = Callable[..., str]

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS = 600
"""Time limit of one command, on a busy machine."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Return an empty folder to work in."""
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="module")
def wheel(workplace) -> Path:
    """Build the wheel of genebench, as for a release."""
    return built(REPOSITORY, workplace)


@pytest.fixture(scope="module")
def python(wheel, workplace) -> Path:
    """Return the Python of an environment that holds that wheel.

    Dependencies and our plugins come from the packages of this environment by a ``.pth`` file,
    because no package can be downloaded here. They come later on the path than the wheel, so that
    no other genebench is imported.
    """
    environment = workplace / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install(wheel, python, workplace)
    [site] = environment.glob("lib/python*/site-packages")
    # Added as a site folder, so that what is installed there as editable is found as well.
    beside = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "beside.pth").write_text(beside)
    return python


@pytest.fixture(scope="module")
def stranger(python, workplace) -> Genebench:
    """Return its command line, with a package of ``genebench new`` installed as a wheel."""

    def genebench(*words: object) -> str:
        return call(python, "-m", "genebench", *words, cwd=workplace)

    genebench("new", "method", "newcomer")
    install(built(workplace / "genebench-newcomer", workplace), python, workplace)
    return genebench


def built(source: Path, workplace: Path) -> Path:
    """The wheel of a project."""
    out = workplace / "wheels" / source.name
    call(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source,
        cwd=workplace,
    )  # fmt: skip
    [wheel] = out.glob("*.whl")
    return wheel


def install(wheel: Path, python: Path, workplace: Path) -> None:
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
        "--no-index", "--no-deps", wheel, cwd=workplace,
    )  # fmt: skip


def call(*words: object, cwd: Path) -> str:
    """Run a command as a user would, whose home is in the same folder; its output."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=surroundings | {"GENEBENCH_HOME": str(cwd / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_genebench(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if name.startswith("genebench/")}
    there = [path for path in (REPOSITORY / "genebench").rglob("*") if path.is_file()]
    names = {
        str(path.relative_to(REPOSITORY)) for path in there if path.parent.name != "__pycache__"
    }
    assert held == names


def test_what_runs_is_the_wheel_and_its_suites(python, stranger, workplace):
    code = "import genebench; print(genebench.__file__)"
    ran = call(python, "-c", code, cwd=workplace)
    assert Path(ran.strip()).is_relative_to(workplace / "environment")
    # Reads the suite, and stops where there is no dataset yet.
    stranger("run", "table1", "--preset", "tiny", "--dataset", "sim", "--dry-run")


def test_it_is_found_in_its_environment_and_nowhere_else(stranger, workplace):
    listed = stranger("list", "methods", "--json")
    [found] = [method for method in json.loads(listed) if method["name"] == "newcomer"]
    assert found["plugin"] == "genebench-newcomer 0.1.0"
    outside = call(sys.executable, "-m", "genebench", "list", "methods", cwd=workplace)
    assert "newcomer" not in outside


def test_it_keeps_the_contract(stranger):
    """Groups that need files of the wheel. The steps of an author's workflow run all checks."""
    last = stranger("check", "newcomer", "--only", "spec,shape,life").splitlines()[-1]
    assert last.startswith("newcomer: ")
    assert "failed" not in last


def test_it_is_run_on_simulated_data_and_is_ranked_on_a_board(stranger, workplace):
    stranger("run", "--methods", "newcomer", "--dataset", "sim", "--preset", "tiny",
             "--protocol", "geo", "--results", "simulated")  # fmt: skip
    stranger("leaderboard", "simulated", "--out", "board")
    # There is one board, and on it the newcomer is the only one that is ranked, with reason.
    [path] = (workplace / "board").glob("boards/*/board.json")
    board = json.loads(path.read_text("utf-8"))
    assert (board["dataset"], board["protocol"]) == ("sim", "geo")
    rows = {row["method"]: row for row in board["rows"]}
    scores = {
        name: dict(zip(board["figures"], row["scores"]["all"]["mae"], strict=False))
        for name, row in rows.items()
    }
    assert (rows["newcomer"]["status"], scores["newcomer"]["rank"]) == ("done", 1)
    assert rows["newcomer"]["distribution"] == "genebench-newcomer"
    assert scores["newcomer"]["mean"] < 0.9 * scores["train-mean"]["mean"]
    page = path.with_name("all.html").read_text("utf-8")
    assert "newcomer" in page


def test_it_is_run_on_real_data(stranger, workplace, realdata):
    stranger("data", "prepare", realdata / "u133.toml")
    stranger("run", "--methods", "newcomer", "--dataset", "u133", "--protocol", "geo",
             "--results", "real")  # fmt: skip
    maes = {
        record.identity.method: record.scores["mae"]["all"].mean
        for record in records(workplace / "real").records
    }
    assert maes["newcomer"] < 0.9 * maes["train-mean"]

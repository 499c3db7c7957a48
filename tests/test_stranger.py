"""A stranger's way: a new package, its wheel in a clean environment, checked, run, on a board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

Genebench = Callable[..., str]

SECONDS = 600
"""For any one command, on a machine with much else to do."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="module")
def stranger(workplace) -> Genebench:
    """The command line of an environment that holds a wheel made by ``genebench new``.

    Genebench and its dependencies stand beside the wheel by a ``.pth`` file, since no package can
    be downloaded here; nothing of the new package is anywhere but in the environment.
    """
    call(sys.executable, "-m", "genebench", "new", "method", "newcomer", cwd=workplace)
    source = workplace / "genebench-newcomer"
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", source, cwd=workplace)
    [wheel] = (source / "dist").glob("*.whl")
    environment = workplace / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
        "--no-index", "--no-deps", wheel, cwd=workplace,
    )  # fmt: skip
    [site] = environment.glob("lib/python*/site-packages")
    # Added as a site folder, so that what is installed there as editable is found as well.
    beside = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (site / "beside.pth").write_text(beside)

    def genebench(*words: object) -> str:
        return call(python, "-m", "genebench", *words, cwd=workplace)

    return genebench


def call(*words: object, cwd: Path) -> str:
    """Run a command as a user would, whose home is in the same folder; its output."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=os.environ | {"GENEBENCH_HOME": str(cwd / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_in_its_environment_and_nowhere_else(stranger, workplace):
    listed = stranger("list", "methods", "--json")
    [found] = [method for method in json.loads(listed) if method["name"] == "newcomer"]
    assert found["plugin"] == "genebench-newcomer 0.1.0"
    outside = call(sys.executable, "-m", "genebench", "list", "methods", cwd=workplace)
    assert "newcomer" not in outside


def test_it_keeps_the_contract(stranger):
    last = stranger("check", "newcomer").splitlines()[-1]
    assert last.startswith("newcomer: ")
    assert "failed" not in last


def test_it_is_run_on_simulated_data_and_is_ranked_on_a_board(stranger, workplace):
    stranger("run", "--methods", "newcomer", "--dataset", "sim", "--preset", "tiny",
             "--protocol", "geo", "--results", "simulated")  # fmt: skip
    stranger("leaderboard", "simulated", "--out", "board")
    assert_ranked(workplace / "board", "sim")


def test_it_is_run_on_real_data_and_is_ranked_on_a_board(stranger, workplace, realdata):
    stranger("data", "prepare", realdata / "u133.toml")
    stranger("run", "--methods", "newcomer", "--dataset", "u133", "--protocol", "geo",
             "--results", "real")  # fmt: skip
    stranger("leaderboard", "real", "--out", "real-board")
    assert_ranked(workplace / "real-board", "u133")


def assert_ranked(site: Path, dataset: str) -> None:
    """There is one board, and on it the newcomer is the only one that is ranked, with reason."""
    [path] = site.glob("boards/*/board.json")
    board = json.loads(path.read_text("utf-8"))
    assert (board["dataset"], board["protocol"]) == (dataset, "geo")
    rows = {row["method"]: row for row in board["rows"]}
    assert (rows["newcomer"]["status"], rows["newcomer"]["rank_all"]) == ("done", 1)
    assert rows["newcomer"]["distribution"] == "genebench-newcomer"
    assert rows["newcomer"]["mae_all"] < 0.9 * rows["train-mean"]["mae_all"]
    page = path.with_name("all.html").read_text("utf-8")
    assert "newcomer" in page

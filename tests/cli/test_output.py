"""Standard output and standard error that cannot be written to, and paths that cannot be used.

Streams are those of real processes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text

from genebench._util.grids import console, grids

COMMANDS = Path(__file__).parents[2] / "genebench" / "cli"
GENEBENCH = f"{sys.executable} -m genebench"


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script of bash, in which a failing part of a pipe gives the status."""
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", script.replace("genebench", GENEBENCH, 1)],
        check=False, capture_output=True, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command", ["show ggan", "list methods --json", "--help", "--version", "", "results schema"]
)
def test_a_full_disk_is_one_line(command):
    done = shell(f"genebench {command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith(b"genebench: error: standard output: no space left")
    assert done.stderr.count(b"\n") == 1


def test_closed_standard_output_is_refused_before_any_work(tmp_path):
    out = tmp_path / "results"
    done = shell(f"genebench run --methods lsr --preset tiny --results {out} >&-")
    assert done.returncode == 2
    assert done.stderr.startswith(b"genebench: error: standard output is closed")
    assert done.stderr.count(b"\n") == 1
    assert not out.exists()


def test_output_that_nobody_reads_ends_quietly():
    done = shell("genebench show ggan | head -1")
    assert (done.returncode, done.stderr) == (141, b"")
    assert done.stdout.startswith(b"ggan: ")


@pytest.mark.parametrize("place", ["/dev/full", "&-"])
def test_messages_that_cannot_be_written_are_lost_and_the_command_goes_on(place):
    assert shell(f"genebench show lsr 2>{place}").returncode == 0
    assert shell(f"genebench show nothing 2>{place}").returncode == 2
    assert shell(f"genebench show nothing >{place} 2>{place}").returncode == 2


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path):
    done = shell(f"genebench new metric abc --out {tmp_path} <&- 2>&-")
    assert done.returncode == 0
    assert done.stdout.endswith(b"genebench-abc\n")


def test_letters_that_the_encoding_lacks_become_escapes():
    done = shell("genebench show ggan", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert rb"\u2265" in done.stdout  # ≥


def test_a_path_that_is_no_text_is_shown_by_escapes(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff\x1b"
    command = [*GENEBENCH.split(), "new", "metric", "abc", "--out", folder]
    done = subprocess.run(command, check=True, capture_output=True)
    assert Path(os.fsdecode(folder), "genebench-abc").is_dir()
    assert rb"/\udcff\x1b/genebench-abc: a complete package" in done.stdout


@pytest.fixture
def circles(made, tmp_path, monkeypatch) -> None:
    """Change to a folder with results, and with links that lead to themselves."""
    monkeypatch.chdir(tmp_path)
    for name in ("circle", "circle.toml"):
        Path(name).symlink_to(name)
    Path("results").symlink_to(made)


@pytest.mark.usefixtures("circles")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("status", "--results", "a" * 300), "file name too long"),
        (("status", "--results", "circle"), "circle"),
        (("run", "circle"), "circle"),
        (("run", "circle.toml"), "symbolic links"),
        (("run", "--results", "circle"), "circle"),
        (("new", "metric", "abc", "--out", "a" * 300), "file name too long"),
        (("show", "lsr", "--plugin", "circle"), "circle"),
        (("show", "lsr", "--plugin", "a" * 5000), "file name too long"),
        (("data", "info", "a" * 300), "unknown prepared dataset"),
        (("results", "export", "--out", "a" * 300 + ".csv"), "file name too long"),
        (("show", "lsr", "--plugin", "a\0b"), "zero byte"),
        (("run", "--methods", "knn", "--set", "knn.k_max=" + "1" * 5001), "not a whole number"),
        (("run", "--methods", "lsr", "--seeds", "1" * 5001), "--seeds"),
        (("run", "--methods", "lsr", "--memory-limit", "1" * 5001 + "G"), "not a limit"),
    ],
)
def test_an_absurd_value_is_one_short_line(genebench, arguments, problem):
    done = genebench(*arguments)
    assert done.status == 2
    assert problem.lower() in done.err.lower()
    assert len(done.err.splitlines()) == 1
    assert len(done.err) < 1100


def test_no_command_prints_by_itself():
    others = [path for path in COMMANDS.glob("*.py") if path.name != "output.py"]
    printing = re.compile(r"typer\.s?echo|(?<!\.)\bprint\(|sys\.std(out|err)\.write")
    assert [path.name for path in others if printing.search(path.read_text("utf-8"))] == []


def test_a_column_with_a_score_that_is_not_applicable_is_one_of_numbers():
    printer, out = console(40)
    rows = [["lsr", "0.1234 ± 0.1000"], ["net", "n/a"]]
    for grid in grids([Text("method"), Text("MAE")], [[*map(Text, row)] for row in rows], 40):
        printer.print(grid)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert len(lines[-1]) == len(lines[-2])

"""The workflows of docs/howto/cluster.md: the Snakefile is run, and so are Nextflow's commands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from genebench import api
from genebench.cli.exit_status import STOPPED

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = DOCS / "examples"


def snakemake(folder: Path) -> str:
    """Run the Snakefile in a folder. Return its messages."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", EXAMPLES / "Snakefile",
            "--directory", folder, "--cores", "2",
        ],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake"),
    reason="no Snakemake: pip install 'genebench-suite[dev]'",
)
def test_the_snakefile_gives_the_records_of_a_run_and_does_nothing_twice(tiny, tmp_path):
    snakemake(tmp_path)
    records = api.records(tmp_path / "results").records
    expected = api.run("lsr,knn", "geo", preset="tiny", results=tmp_path / "expected").records
    assert {record.key: record.scores for record in records} == {
        record.key: record.scores for record in expected
    }
    assert all(record.status == "done" for record in records)
    assert not (tmp_path / "results" / ".jobs").exists()

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    assert "Nothing to be done" in snakemake(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == written


def test_the_commands_of_nextflow_work(genebench, tiny, tmp_path):
    """Fill in the variables as Nextflow does. Nextflow itself needs Java, and is not run."""
    text = (EXAMPLES / "cluster.nf").read_text("utf-8")
    listing, executing = re.findall(r'script: "genebench ([^">]+)', text)
    given = re.search(r"params\.run = '(.+)'", text)[1]

    def filled(command: str, job: str = "") -> list[str]:
        for name, value in {
            "${params.run}": given, "${params.results}": str(tmp_path / "results"),
            "${job.key}": job,
        }.items():  # fmt: skip
            command = command.replace(name, value)
        assert "$" not in command
        return shlex.split(command)

    listed = genebench(*filled(listing))
    assert listed.status == 0, listed.err
    jobs = json.loads(listed.out)
    fields = set(re.findall(r"job\.resources\.(\w+)", text))
    assert fields == {"cpus", "memory", "seconds"}
    assert all(fields <= set(job["resources"]) for job in jobs)
    assert f"task.exitStatus == {STOPPED} " in text
    # The first one is a control.
    done = subprocess.run(
        [sys.executable, "-m", "genebench", *filled(executing, jobs[0]["key"])], check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["Snakefile", "cluster.nf"])
def test_the_page_shows_the_file(name):
    page = (DOCS / "howto" / "cluster.md").read_text("utf-8")
    assert f"```\n{(EXAMPLES / name).read_text('utf-8')}```\n" in page

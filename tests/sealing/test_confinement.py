"""Tests of what a job's process may reach, and of what it says when that cannot be kept."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from genebench import api
from genebench.confinement import policy as confinement
from genebench.errors import UserError
from genebench.results.record import Seal
from genebench.results.store import ResultsStore
from genebench.runs import seals
from genebench.sealing import client
from genebench.sealing.client import close_launchers, sealed
from tests.sealing.conftest import needs_landlock

SECRET = "OPENAI_API_KEY"


@needs_landlock
def test_data_in_a_folder_of_code_cannot_be_kept_from_a_method(job_of, fit):
    """A rule on a folder covers all that is in it."""
    with sealed(job_of("breaker", forbidden=(Path(confinement.__file__).parent,))) as method:
        seal = method.process.seal
    assert seal.level == "view"
    assert "genebench/confinement lies in" in seal.reason
    assert "which a method has to reach" in seal.reason


@needs_landlock
def test_require_refuses_to_run_what_cannot_be_confined(plugins, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "genebench.runs.execute.all_homes", lambda: [Path(confinement.__file__).parent]
    )
    with pytest.raises(UserError, match=r"--sealed require: .* cannot be confined") as caught:
        api.run("breaker", dataset="sim", preset="tiny", results=tmp_path / "r", sealed="require")
    assert "\n" not in str(caught.value)


@pytest.fixture
def without_landlock(monkeypatch):
    """Make this a machine without Landlock."""
    seal = Seal(level="view", reason="this kernel has no Landlock")
    for module in (confinement, client, seals):
        monkeypatch.setattr(module, "capability", lambda: seal)
    monkeypatch.setattr("genebench.runs.execute.capability", lambda: seal)


def test_without_landlock_a_process_has_the_view_alone(without_landlock, job_of, fit):
    with sealed(job_of("breaker")) as method:
        assert method.process.seal.level == "view"
        assert "no Landlock" in method.process.seal.reason


def test_without_landlock_namespaces_still_hide_data_and_results(
    without_landlock, job_of, fit, tiny
):
    job = job_of("prober")
    (job.scratch.parent / "rival.json").write_text("a rival's score")
    it = {
        "rival": str(job.scratch.parent / "rival.json"), "scratch": str(job.scratch),
        "results": str(job.scratch.parent), "truth": str(tiny.root / "gtex" / "expression.npy"),
        "train": str(job.parts["train"].own_file()), "processes": [os.getpid()],
    }  # fmt: skip
    job = replace(job, params={"target": json.dumps(it)})
    with sealed(job) as method:
        seal, model = method.process.seal, fit(method, job)["geo"]
        model.read_facts()
    if "files" not in seal.isolated:
        pytest.skip("namespaces are forbidden here")
    kept = {
        "reads_a_rival", "reads_the_truth", "opens_in_a_child", "opens_by_system_call",
        "lists_the_results", "knows_size_and_time", "unmounts", "makes_writable", "mounts",
        "reads_memory_of_others", "reads_the_environment_of_others", "traces_others",
        "leaves_by_namespaces_of_its_own", "enters_other_namespaces", "opens_through_proc_root",
    }  # fmt: skip
    opened = {name: model.choices[name] for name in kept if model.choices[name][:4] == "open"}
    assert opened == {}


def test_without_landlock_require_refuses_and_auto_records_why(
    without_landlock, plugins, tiny, tmp_path
):
    with pytest.raises(UserError, match="methods cannot be confined here"):
        api.run("breaker", dataset="sim", preset="tiny", results=tmp_path / "r", sealed="require")
    results = tmp_path / "results"
    api.run("breaker", dataset="sim", preset="tiny", results=results, sealed="auto")
    (record, *_) = [r for r in ResultsStore(results).records() if r.identity.method == "breaker"]
    assert record.seal.level == "view"
    assert "no Landlock" in record.seal.reason


def test_variables_with_secrets_are_not_inherited(monkeypatch):
    monkeypatch.setenv(SECRET, "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    inherited = confinement.environment()
    assert SECRET not in inherited
    assert "GENEBENCH_HOME" not in inherited
    assert inherited["OMP_NUM_THREADS"] == "1"


def test_folders_of_a_checkout_are_not_readable_as_a_whole(tmp_path, monkeypatch):
    """A folder on the import path may hold results beside modules."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "module.py").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "data.npy").touch()
    access = confinement.Access([str(tmp_path)], [], [], [])
    readable = [path for path in confinement._readable(access) if path.is_relative_to(tmp_path)]
    assert sorted(readable) == [tmp_path / "module.py", tmp_path / "package"]


def test_capability_says_what_is_possible_here():
    seal = confinement.capability()
    if sys.platform != "linux":
        assert seal.level != "landlock"
    assert (seal.level == "landlock") == (seal.abi > 0) == (not seal.reason)
    close_launchers()

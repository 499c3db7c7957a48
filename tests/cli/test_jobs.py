"""genebench jobs and genebench job: jobs one by one, as workflow programs use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from genebench import api
from genebench.plugins.discovery import FILES, installed
from genebench.plugins.registry import registry
from genebench.runs.orders import orders

SELECTED = ("--methods", "lsr,knn", "--preset", "tiny")

MOODY = """
import os
import time
from pathlib import Path

from genebench import Method, hookimpl
from genebench.specs import MethodSpec

genebench_contract = 1


class Moody(Method):
    def fit(self, train_profiles, validation_sets, context):
        if os.environ.get("MOOD") == "slow":
            Path(os.environ["MARKER"]).touch()
            time.sleep(600)
        raise ValueError("no luck")


@hookimpl
def genebench_methods():
    return [MethodSpec(name="moody", title="Moody", summary="fails", code="moody:Moody")]
"""


@pytest.fixture
def results(tiny, tmp_path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def listed(genebench, results) -> Callable[..., list[dict[str, object]]]:
    """List jobs as JSON."""

    def listed(*arguments: object) -> list[dict[str, object]]:
        done = genebench("jobs", *arguments, "--results", results, "--json")
        assert done.status == 0, done.err
        return json.loads(done.out)

    return listed


@pytest.fixture
def moody(tmp_path, monkeypatch):
    """A plugin file with a method that fails, or takes long."""
    monkeypatch.setenv(FILES, "")
    path = tmp_path / "moody.py"
    path.write_text(MOODY)
    yield path
    sys.modules.pop("moody", None)
    installed.cache_clear()
    registry.cache_clear()


def start(*arguments: object, **variables: str) -> subprocess.Popen[str]:
    """Start a command as a scheduler would, with its own handling of signals."""
    return subprocess.Popen(
        [sys.executable, "-m", "genebench", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A fixture names a plugin file in this process. Only --plugin names it to a job.
        env={**os.environ, FILES: "", **variables},
    )  # fmt: skip


def job(key: object, results: Path, *arguments: object) -> tuple[int, str]:
    """Execute a job in a process of its own. Return the exit status and the messages."""
    process = start("job", key, "--results", results, *arguments)
    out, err = process.communicate(timeout=300)
    assert out == ""
    return process.returncode, err


def test_jobs_are_listed_with_all_that_a_workflow_program_needs(listed, results):
    rows = listed(*SELECTED)
    assert [row["method"] for row in rows] == ["train-mean", "copy-twin", "lsr", "knn"]
    *_, knn = rows
    assert set(knn) == {
        "key", "keys", "label", "method", "protocols", "seed", "params", "state", "after",
        "resources",
    }  # fmt: skip
    assert knn["key"] == knn["keys"][0]
    assert knn["protocols"] == ["geo", "gtex"]
    assert (knn["label"], knn["seed"], knn["state"]) == ("knn on sim (geo, gtex)", 0, "to do")
    assert knn["params"]["k_max"] == registry().methods.get("knn").values("tiny", {})["k_max"]
    assert set(knn["resources"]) == {"cpus", "gpus", "memory", "seconds"}
    assert orders(results) == sorted(row["key"] for row in rows)
    assert list(results.glob("*.npz")) == []


def test_a_table_of_the_same_jobs_is_the_default(genebench, listed, results):
    shown = genebench("jobs", *SELECTED, "--results", results)
    assert shown.status == 0
    assert all(row["key"] in shown.out for row in listed(*SELECTED))
    assert "4 jobs to do. Execute each: genebench job KEY" in shown.err
    assert genebench("jobs", *SELECTED, "--list", "--results", results).out == shown.out


def test_a_suite_and_a_grid_are_listed_as_they_are_run(listed, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'preset = "tiny"\nprotocols = ["geo"]\n[resources.knn]\nmemory = "3G"\ncpus = 2\n'
        '[[runs]]\nmethods = ["knn"]\ngrid = { k_max = [3, 5] }\n'
    )
    rows = listed(suite, "--resources", "cpus=4")
    assert [row["params"].get("k_max") for row in rows] == [None, None, 3, 5]
    assert rows[-1]["resources"]["memory"] == 3 * 2**30
    assert {row["resources"]["cpus"] for row in rows} == {4}
    typed = listed(
        "--methods", "knn", "--protocol", "geo", "--preset", "tiny", "--grid", "k_max=3,5"
    )
    assert [row["key"] for row in typed] == [row["key"] for row in rows]


def test_a_gpu_of_another_machine_is_asked_for_without_one_here(listed):
    rows = listed(
        "--methods", "mlp-l1", "--protocol", "geo", "--preset", "tiny", "--device", "cuda"
    )
    assert [row["resources"]["gpus"] for row in rows] == [0, 0, 1]


def test_a_job_writes_its_records_and_no_others(listed, results):
    *_, knn = listed(*SELECTED)
    assert job(knn["key"], results)[0] == 0
    records = api.records(results).records
    assert sorted(record.key for record in records) == sorted(knn["keys"])
    assert all((results / f"{key}.json").exists() for key in knn["keys"])
    assert {record.status for record in records} == {"done"}

    status, message = job(knn["key"], results)
    assert (status, "nothing to do" in message) == (0, True)


def test_what_is_done_is_listed_only_on_request(listed, results):
    first = listed(*SELECTED)
    api.run("lsr", "geo", preset="tiny", results=results)
    left = listed(*SELECTED)
    # The controls and lsr lack GTEx only.
    assert [row["protocols"] for row in left] == [["gtex"]] * 3 + [["geo", "gtex"]]
    assert [row["key"] for row in left[:3]] == [row["keys"][1] for row in first[:3]]
    geo = ("--methods", "lsr,knn", "--preset", "tiny", "--protocol", "geo")
    assert [row["method"] for row in listed(*geo)] == ["knn"]
    states = [(row["method"], row["state"]) for row in listed(*geo, "--all")]
    assert states == [
        ("train-mean", "done"), ("copy-twin", "done"), ("lsr", "done"), ("knn", "to do"),
    ]  # fmt: skip


def test_a_failed_job_has_exit_status_1_and_is_listed_again_on_request(listed, results, moody):
    arguments = ("--methods", "moody", "--protocol", "geo", "--preset", "tiny", "--plugin", moody)
    *_, row = listed(*arguments)
    assert job(row["key"], results, "--plugin", moody)[0] == 1
    [record] = api.records(results).records
    assert record.failure.message == "no luck"
    assert "moody" not in [row["method"] for row in listed(*arguments)]
    assert listed(*arguments, "--all")[-1]["state"] == "failed"
    assert listed(*arguments, "--retry-failed")[-1]["state"] == "to do"
    assert job(row["key"], results, "--plugin", moody)[0] == 1
    [again] = api.records(results).records
    assert again.provenance.started > record.provenance.started


def test_a_job_that_is_stopped_has_exit_status_75_and_no_record(listed, results, moody, tmp_path):
    *_, row = listed(
        "--methods", "moody", "--protocol", "geo", "--preset", "tiny", "--plugin", moody
    )
    marker = tmp_path / "started"
    process = start(
        "job", row["key"], "--results", results, "--plugin", moody,
        MOOD="slow", MARKER=str(marker),
    )  # fmt: skip
    while not marker.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 75
    assert api.records(results).records == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("123", "123: not the key of a job. List them with genebench jobs."),
        ("../../etc/passwd", "not the key of a job"),
        ("0" * 24, f"no order for job {'0' * 24}. Write one with genebench jobs."),
    ],
)
def test_a_job_that_was_not_listed_is_refused(genebench, results, listed, key, message):
    listed(*SELECTED)
    refused = genebench("job", key, "--results", results)
    assert (refused.status, refused.out) == (2, "")
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1


def test_an_order_for_code_that_is_not_installed_is_refused(listed, results, moody):
    *_, row = listed(
        "--methods", "moody", "--protocol", "geo", "--preset", "tiny", "--plugin", moody
    )
    status, message = job(row["key"], results)
    assert status == 2
    assert "moody" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "lsrr"), "Did you mean lsr"),
        (("none.toml",), "no such file"),
        (("table1", "--methods", "lsr"), "Leave out --methods"),
        (("--methods", "lsr", "--resources", "knn.cpus=2"), "knn is not among the methods"),
        (("--methods", "lsr", "--resources", "gpus=-1"), "out of range"),
        (("--methods", "lsr", "--device", "cuba"), "device 'cuba'"),
    ],
)
def test_a_wrong_selection_is_one_line_and_nothing_is_written(
    genebench, results, arguments, message
):
    refused = genebench("jobs", *arguments, "--preset", "tiny", "--results", results)
    assert (refused.status, refused.out) == (2, "")
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not results.exists()

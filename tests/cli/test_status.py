"""``genebench status``: records, jobs that run on any machine, and jobs that wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from genebench.cli import status
from genebench.results.store import ResultsStore

KEY, OTHER = "a" * 24, "b" * 24

QUEUE = """
from genebench import hookimpl
from genebench.engines.queue import Queued
from genebench.specs import EngineSpec

genebench_contract = 1


@hookimpl
def genebench_engines():
    return [
        EngineSpec(name=name, title="t", code="cluster:run", queue=f"cluster:{name}")
        for name in ("farm", "broken", "odd")
    ]


def farm(results):
    print("looking at the queue")
    return [
        Queued("aaaaaaaaaaaaaaaaaaaaaaaa", "farm", "RUNNING", "node7", ""),
        Queued("cccccccccccccccccccccccc", "farm", "PENDING", "", "Priority\\x1b[2J"),
        Queued("dddddddddddddddddddddddd", "farm", "PENDING", "", "Priority\\x1b[2J"),
    ]


def broken(results):
    raise FileNotFoundError("no squeue here\\x1b[2J")


def odd(results):
    return [7]
"""


@pytest.fixture
def queues(plugin_file):
    """Install three engines: one with a queue, and two whose queues cannot be shown."""
    plugin_file("cluster", QUEUE)


def claim(folder: Path, key: str, *, age: float = 0, generation: int = 1, **changes) -> None:
    """Write the claim of a process on another machine."""
    content = {
        "job": key, "host": "node7", "namespace": "elsewhere", "pid": 4711, "start_ticks": "1",
        "started": "2026-11-01T10:00:00+00:00", "label": "ggan seed 0 on u133 (geo, gtex)",
        "device": "cuda", "done": 20, "total": 80, "message": "epoch 20, geo 0.4107 █▅▂▁, gtex 1",
    } | changes  # fmt: skip
    path = folder / ".jobs" / f"{key}.claims" / str(generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))


def test_every_record_is_listed_and_nothing_else_where_nothing_runs(genebench, made):
    outcome = genebench("status", "--results", made)
    assert outcome.status == 0
    assert all(key in outcome.out for key in ResultsStore(made).keys())  # noqa: SIM118
    assert "heartbeat" not in outcome.out
    assert "reason" not in outcome.out
    assert outcome.out.splitlines()[-1] == f"6 done, 0 failed in {made}"


def test_running_jobs_are_shown_with_host_device_and_progress(genebench, copied):
    claim(copied, KEY)
    outcome = genebench("status", "--results", copied)
    [line] = [line for line in outcome.out.splitlines() if line.startswith("node7")]
    assert "cuda" in line
    assert "25%" in line
    assert "s ago" in line
    assert line.endswith("ggan seed 0 on u133 (geo, gtex): epoch 20, geo 0.4107, gtex 1")
    assert f"6 done, 0 failed, 1 running in {copied}" in outcome.out


def test_a_job_without_a_heartbeat_is_lost(genebench, copied):
    claim(copied, KEY)
    claim(copied, OTHER, age=5_000)
    outcome = genebench("status", "--results", copied)
    assert "lost, 5000 s ago" in outcome.out
    assert "1 running, 1 lost in" in outcome.out


def test_odd_claims_do_no_harm(genebench, copied):
    claim(copied, KEY, total=-(10**400), done=10**400, started="yesterday\x1b[2J", label="\x1b[2J")
    claim(copied, OTHER, started="2026-11-01T10:00:00", message="<b>")
    (copied / ".jobs" / f"{'c' * 24}.claims").mkdir()
    (copied / ".jobs" / f"{'c' * 24}.claims" / "1").write_text("{")
    outcome = genebench("status", "--results", copied)
    assert outcome.status == 0
    assert "\x1b" not in outcome.out
    assert "2 running" in outcome.out


def test_waiting_jobs_are_shown_with_state_and_reason(genebench, copied, queues):
    claim(copied, KEY)
    outcome = genebench("status", "--results", copied)
    waiting = [line.split() for line in outcome.out.splitlines() if " PENDING " in line]
    assert [(line[0], *line[1:3]) for line in waiting] == [
        (letter * 24, "farm", "PENDING") for letter in "cd"
    ]
    # Its claim says more than the queue.
    assert "RUNNING" not in outcome.out
    assert "\x1b" not in outcome.out
    assert "looking at the queue" not in outcome.out
    assert "1 running, 2 waiting in" in outcome.out


def test_a_lost_job_that_waits_again_is_in_both_tables(genebench, copied, queues):
    claim(copied, "c" * 24, age=5_000)
    outcome = genebench("status", "--results", copied)
    assert f"{'c' * 24}  farm" in outcome.out
    assert "1 lost, 3 waiting in" in outcome.out


def test_a_folder_without_records_shows_its_jobs(genebench, copied):
    claim(copied, KEY)
    for path in copied.glob("?" * 24 + ".json"):
        path.unlink()
    outcome = genebench("status", "--results", copied)
    assert outcome.out.startswith("host ")
    assert f"0 done, 0 failed, 1 running in {copied}" in outcome.out


def test_an_engine_whose_queue_cannot_be_read_costs_one_warning(genebench, copied, queues, caplog):
    outcome = genebench("status", "--results", copied)
    assert outcome.status == 0
    broken, odd = caplog.messages
    assert broken.startswith("queue of engine broken not shown: FileNotFoundError: no squeue here")
    assert odd.startswith("queue of engine odd not shown: TypeError")
    assert "\x1b" not in broken


def test_json_has_records_running_and_waiting_jobs(genebench, copied, queues):
    claim(copied, KEY)
    content = json.loads(genebench("status", "--json", "--results", copied).out)
    records = {record.key: record for record in ResultsStore(copied).records()}
    assert {record["key"] for record in content["records"]} == set(records)
    for record in content["records"]:
        assert record["status"] == "done"
        assert record["scored_on"] == "test"
        assert record["fit_seconds"] == records[record["key"]].seconds["fit"]
    [running] = content["running"]
    assert running["key"] == KEY
    assert (running["host"], running["done"], running["total"]) == ("node7", 20, 80)
    assert running["is_stale"] is False
    assert [job["key"][0] for job in content["waiting"]] == ["c", "d"]
    assert content["waiting"][0]["state"] == "PENDING"


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(status, "MOST_ROWS", 2)


def test_many_records_are_counted_by_method_and_protocol(genebench, copied, few):
    outcome = genebench("status", "--results", copied)
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith("sim")]
    assert rows == [
        ["sim", protocol, method, "1", "0", "0", "test"]
        for protocol in ("geo", "gtex")
        for method in ("copy-twin", "lsr", "train-mean")
    ]
    assert "--all" in outcome.out
    assert f"6 done, 0 failed in {copied}" in outcome.out


def test_many_waiting_jobs_are_counted_by_state(genebench, copied, queues, few):
    outcome = genebench("status", "--results", copied)
    rows = [line.split() for line in outcome.out.splitlines() if " farm " in line]
    assert [row[:3] for row in rows] == [["1", "farm", "RUNNING"], ["2", "farm", "PENDING"]]


def test_all_rows_are_listed_on_request(genebench, copied, queues, few):
    outcome = genebench("status", "--all", "--results", copied)
    assert all(key in outcome.out for key in ResultsStore(copied).keys())  # noqa: SIM118
    assert outcome.out.count(" PENDING ") == 2
    assert "--all" not in outcome.out


def test_status_needs_no_pandas(made):
    """Importing pandas takes longer than reading 10,000 records."""
    code = (
        "import sys; from genebench.cli import invoke; "
        f"assert invoke(['status', '--results', {str(made)!r}]) == 0; "
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Orders: a node does exactly what was planned, or refuses in one line."""

from __future__ import annotations

import json
import os

import pytest

from genebench import api
from genebench.errors import UserError
from genebench.results.paths import ResultPaths
from genebench.results.store import ResultsStore
from genebench.runs import orders as module
from genebench.runs.claims import claimed, claims
from genebench.runs.jobs import Settings
from genebench.runs.orders import (
    Attempt,
    attempts,
    has_checkpoints,
    is_left,
    orders,
    read_order,
    remove_order,
    remove_outdated,
    write_attempt,
    write_order,
)


@pytest.fixture
def settings(tmp_path):
    settings = Settings(results=tmp_path / "results", options={"partition": "gpu", "poll": 1.5})
    ResultsStore(settings.results).prepare()
    return settings


@pytest.fixture
def job(tiny, settings):
    plan = api.plan_run(
        "knn", "geo,gtex", "sim", preset="tiny", seeds=1, overrides={}, results=settings.results
    )
    [job] = [job for job in plan.jobs if job.method.name == "knn" and job.evaluations[0]][:1]
    return job


def edited(path, **changes):
    """Change entries of an order. A name with dots leads to an inner one."""
    content = json.loads(path.read_bytes())
    for name, value in changes.items():
        *outer, last = name.split("__")
        inner = content
        for part in outer:
            inner = inner[int(part) if part.isdecimal() else part]
        inner[last] = value
    path.write_text(json.dumps(content))


def test_an_order_is_read_as_it_was_written(job, settings):
    path = write_order(job, settings)
    assert orders(settings.results) == [job.key]
    order = read_order(settings.results, job.key)
    assert (order.job, order.settings) == (job, settings)
    order.check()
    assert b"pickle" not in path.read_bytes()


def test_a_folder_that_is_mounted_elsewhere_is_the_folder_of_the_results(job, settings, tmp_path):
    write_order(job, settings)
    moved = tmp_path / "moved"
    settings.results.rename(moved)
    assert read_order(moved, job.key).settings.results == moved


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genebench": "0.0.1"}, r"genebench is version .* on .*, and the job was planned by 0\.0"),
        ({"numerics": 0}, r"numerics 0"),
        ({"metrics": {"mae": "0" * 16}}, "a metric has other code on"),
        ({"job__method__code": "os:system"}, "method knn is declared in another way on"),
        ({"job__method__name": "knn-ge"}, "method knn-ge is declared in another way on"),
        ({"job__method__name": "nobody"}, "nobody"),
        ({"job__params__k_max": 7}, "was edited"),
        ({"job__seed": 9}, "was edited"),
        ({"job__evaluations__0__identity__seed": 9}, "was edited"),
        ({"job__evaluations__0__protocol__train__platform": "gtex"}, "protocol geo is declared in"),
        ({"job__evaluations__0__identity__code__digest": "0" * 16}, "method knn has other code on"),
    ],
)  # fmt: skip
def test_what_this_machine_would_do_in_another_way_is_refused_in_one_line(
    job, settings, changes, message
):
    edited(write_order(job, settings), **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_order(settings.results, job.key).check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04.", b"[1]", b"x" * (5 << 20)])
def test_a_damaged_order_is_named(job, settings, content):
    path = write_order(job, settings)
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name) as caught:
        read_order(settings.results, job.key)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["../../etc/passwd", "0" * 23, "", "0" * 24])
def test_a_key_without_an_order_is_refused(settings, key):
    with pytest.raises(UserError, match="genebench jobs"):
        read_order(settings.results, key)


def test_the_order_of_another_job_under_a_key_is_refused(job, settings):
    path = write_order(job, settings)
    path.rename(path.with_name(f"{'0' * 24}.order.json"))
    with pytest.raises(UserError, match="the order of another job"):
        read_order(settings.results, "0" * 24)


def test_attempts_are_kept_in_their_order_and_go_with_the_order(job, settings):
    write_order(job, settings)
    write_attempt(settings.results, job.key, Attempt(cause="terminated", host="n1"))
    write_attempt(settings.results, job.key, Attempt(cause="memory", host="n2", memory=5))
    with ResultsStore(settings.results).paths.attempts(job.key).open("ab") as stream:
        stream.write(b'{"cause": "mem')
    assert [(a.cause, a.host) for a in attempts(settings.results, job.key)] == [
        ("terminated", "n1"), ("memory", "n2"),
    ]  # fmt: skip
    remove_order(settings.results, job.key)
    assert attempts(settings.results, job.key) == []
    assert orders(settings.results) == []
    assert not ResultsStore(settings.results).paths.jobs.exists()


def test_a_job_is_left_until_it_has_a_record_and_no_order(job, settings):
    assert is_left(settings.results, job.key)
    write_order(job, settings)
    ResultPaths(settings.results).record(job.key).touch()
    assert is_left(settings.results, job.key)
    remove_order(settings.results, job.key)
    assert not is_left(settings.results, job.key)


@pytest.mark.parametrize("sealed", [False, True])
def test_checkpoints_of_a_job_are_found(job, settings, sealed):
    assert not has_checkpoints(settings.results, job)
    identities = [item.identity for item in job.evaluations]
    with ResultsStore(settings.results).work(identities, sealed=sealed) as folder:
        folder.mkdir(exist_ok=True)
        assert not has_checkpoints(settings.results, job)
        (folder / "epoch").touch()
    assert has_checkpoints(settings.results, job)


def test_a_full_disk_is_one_line(job, settings, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "atomic_write", full)
    with pytest.raises(UserError, match="no space left to write"):
        write_order(job, settings)


def test_what_killed_processes_have_left_of_done_jobs_is_removed(job, settings):
    done, to_do = write_order(job, settings), ResultPaths(settings.results).order("1" * 24)
    to_do.write_bytes(done.read_bytes())
    with claimed(settings.results, job):
        folder = ResultPaths(settings.results).claims(job.key)
        content = (folder / "1").read_text()
    for key in (job.key, "1" * 24):
        lost = ResultPaths(settings.results).claims(key) / "1"
        lost.parent.mkdir()
        lost.write_text(content.replace('"start_ticks": "', '"start_ticks": "9'))
    remove_outdated(settings.results)
    assert len(orders(settings.results)) == 2
    ResultPaths(settings.results).record(job.key).touch()
    os.utime(done, (0, 0))
    remove_outdated(settings.results)
    assert orders(settings.results) == ["1" * 24]
    assert [claim.key for claim in claims(settings.results)] == ["1" * 24]

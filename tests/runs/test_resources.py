"""Resources of jobs: declared, refined by real records, and set by the user."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench import api
from genebench.data.store import DataStore
from genebench.engines.local import run as run_locally
from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.results.record import Failure
from genebench.results.store import ResultsStore
from genebench.runs import resources
from genebench.runs.jobs import Settings
from genebench.runs.resources import (
    LEAST_SECONDS,
    MEMORY_FACTOR,
    MORE_MEMORY,
    OVERHEAD_BYTES,
    with_resources,
)
from genebench.specs import PRESETS, EngineSpec, Needs, Resources

TINY_BYTES = 4 * 320 * (32 + 160)
"""Training profiles of the tiny dataset: 320 profiles of 32 landmarks and 160 targets, float32."""
GIGABYTE = 10**9


@pytest.fixture
def jobs(tiny, tmp_path):
    """Return a function that plans jobs on the tiny dataset, under both protocols."""

    def plan(methods, **overrides):
        return api.plan_run(
            methods, ("geo", "gtex"), "sim", preset="tiny", seeds=1,
            overrides={methods: overrides} if overrides else {}, results=tmp_path / "none",
        ).jobs  # fmt: skip

    return plan


@pytest.fixture
def job(jobs):
    """Return a function that plans the job of one method."""

    def plan(method, **overrides):
        [planned] = [job for job in jobs(method, **overrides) if job.method.name == method]
        return planned

    return plan


@pytest.fixture
def results(lsr_and_knn, tmp_path) -> ResultsStore:
    """Return a copy of real results: lsr, and two variants of knn, on the tiny dataset."""
    shutil.copytree(lsr_and_knn, tmp_path / "results")
    return ResultsStore(tmp_path / "results")


def change(store: ResultsStore, method: str, **changes) -> None:
    """Rewrite the records of a method as if they had gone otherwise."""
    for record in list(store.records()):
        if record.identity.method == method:
            changed = record.model_copy(update=changes).with_checksum()
            store.paths.record(record.key).write_text(changed.model_dump_json())


def estimate(job, store, **settings) -> Resources:
    [planned] = with_resources([job], Settings(results=store.root, **settings), store)
    assert replace(planned, resources=Resources()) == job
    return planned.resources


def largest(store: ResultsStore, method: str, **params) -> int:
    """Return the largest peak among records of a method with these parameters."""
    return max(
        record.peak_memory
        for record in store.records()
        if record.identity.method == method and params.items() <= record.identity.params.items()
    )


def test_without_records_the_declared_needs_hold(job, tmp_path):
    lsr = job("lsr")
    declared = lsr.method.needs_for("tiny").of(TINY_BYTES, "cpu")
    assert estimate(lsr, ResultsStore(tmp_path / "none"), device="cpu") == declared
    assert declared != Needs().of(TINY_BYTES, "cpu")


@pytest.mark.parametrize(
    ("device", "gpus"), [("cuda", {"lsr": 1, "train-mean": 0}), ("cpu", {"lsr": 0}), ("auto", {})]
)
def test_a_gpu_is_reserved_for_methods_that_can_use_one_if_the_user_asks(
    jobs, tmp_path, device, gpus
):
    store = ResultsStore(tmp_path / "none")
    planned = with_resources(jobs("lsr"), Settings(results=store.root, device=device), store)
    reserved = {job.method.name: job.resources.gpus for job in planned}
    assert reserved == {"train-mean": 0, "copy-twin": 0, "lsr": 0} | gpus


def test_a_measured_peak_takes_the_place_of_the_declared_need(job, results):
    found = estimate(job("lsr"), results)
    assert found.memory == int(MEMORY_FACTOR * largest(results, "lsr") + OVERHEAD_BYTES)
    assert found.seconds == LEAST_SECONDS
    assert found.cpus == job("lsr").method.needs_for("tiny").cpus


def test_long_measured_times_are_doubled(job, results):
    change(results, "lsr", seconds={"fit": 300.0, "predict": 100.0})
    assert estimate(job("lsr"), results).seconds == 800


def test_records_with_the_same_parameters_go_first(job, results):
    change(results, "knn", peak_memory=GIGABYTE)
    other = next(
        record for record in results.records() if record.identity.params.get("k_max") == 20
    )
    larger = other.model_copy(update={"peak_memory": 50 * GIGABYTE}).with_checksum()
    results.paths.record(other.key).write_text(larger.model_dump_json())
    assert estimate(job("knn", k_max="1"), results).memory == int(
        MEMORY_FACTOR * GIGABYTE + OVERHEAD_BYTES
    )
    assert estimate(job("knn", k_max="20"), results).memory > 50 * GIGABYTE
    # Nobody has measured 7 neighbours: the larger of both says how much it may be.
    assert estimate(job("knn", k_max="7"), results).memory > 50 * GIGABYTE


def test_other_parameters_cannot_lower_a_declared_need(job, results):
    # A process of many tests holds more than a job.
    change(results, "knn", peak_memory=100 << 20)
    knn = job("knn", k_max="7")
    declared = knn.method.needs_for("tiny").of(TINY_BYTES, "cpu")
    assert estimate(knn, results, device="cpu") == declared


def test_fewer_data_cannot_lower_a_declared_need_and_raise_it_by_its_slope(job, results):
    lsr = job("lsr")
    # A process of many tests holds more than a job.
    less = {"train": 32, "validation": 4, "test": 4}
    change(results, "lsr", profiles=less, peak_memory=100 << 20)
    needs = lsr.method.needs_for("tiny")
    assert estimate(lsr, results, device="cpu") == needs.of(TINY_BYTES, "cpu")
    change(results, "lsr", peak_memory=100 * GIGABYTE)
    declared, there = needs.of(TINY_BYTES, "cpu"), needs.of(TINY_BYTES // 10, "cpu")
    assert estimate(lsr, results, device="cpu").memory == pytest.approx(
        (125 * GIGABYTE + OVERHEAD_BYTES) * declared.memory / there.memory
    )


def test_more_data_are_scaled_down_by_the_declared_slope(job, results):
    needs = Needs(memory=0, memory_per_byte=10.0, seconds=0.0, seconds_per_gigabyte=1.0)
    lsr = job("lsr")
    lsr = replace(lsr, method=replace(lsr.method, needs={"paper": needs}))
    change(
        results, "lsr",
        peak_memory=8 * GIGABYTE, profiles={"train": 3200, "validation": 40, "test": 40},
    )  # fmt: skip
    assert estimate(lsr, results).memory == int((10 * GIGABYTE + OVERHEAD_BYTES) / 10)


def test_a_job_that_ran_out_of_memory_gets_twice_its_peak(job, results):
    failure = Failure(kind="MemoryLimit", message="stopped", traceback="")
    change(results, "lsr", status="failed", failure=failure, peak_memory=40 * GIGABYTE)
    assert estimate(job("lsr"), results).memory == int(MORE_MEMORY * 40 * GIGABYTE + OVERHEAD_BYTES)
    # A small peak is no reason to ask for less than declared.
    change(results, "lsr", peak_memory=GIGABYTE // 10)
    declared = job("lsr").method.needs_for("tiny").of(TINY_BYTES, "cpu")
    assert estimate(job("lsr"), results, device="cpu") == declared


def test_a_job_that_reached_its_time_limit_gets_twice_its_time(job, results):
    failure = Failure(kind="TimeLimit", message="stopped", traceback="")
    change(results, "lsr", status="failed", failure=failure, seconds={"process": 9000.0})
    assert estimate(job("lsr"), results).seconds == 18000


def test_other_failures_and_peaks_of_a_whole_process_say_nothing(job, results):
    declared = job("lsr").method.needs_for("tiny").of(TINY_BYTES, "cpu")
    change(results, "lsr", peak_memory=90 * GIGABYTE, peak_memory_scope="process")
    assert estimate(job("lsr"), results, device="cpu") == declared
    failure = Failure(kind="ValueError", message="a bug", traceback="")
    change(results, "lsr", status="failed", failure=failure, peak_memory_scope="job")
    assert estimate(job("lsr"), results, device="cpu") == declared


def test_a_peak_of_a_method_of_others_may_be_a_members(tiny, tmp_path):
    asked = {
        "methods": "lsr,lsr-l2,ensemble", "protocols": "geo", "dataset": "sim", "preset": "tiny",
        "results": tmp_path,
    }  # fmt: skip
    members = {"ensemble": {"members": "lsr,lsr-l2"}}
    api.run(**asked, params=members, engine="process")
    store = ResultsStore(tmp_path)
    peak = 10 * 2**30
    change(store, "ensemble", peak_memory=peak, peak_memory_scope="job")
    made = api.plan_run(**asked, seeds=1, overrides=members)
    [job] = [job for job in made.jobs if job.method.name == "ensemble"]
    declared = job.method.needs_for("tiny").memory
    assert declared <= estimate(job, store).memory < peak
    stopped = Failure(kind="MemoryLimit", message="m", traceback="")
    change(store, "ensemble", status="failed", failure=stopped)
    assert estimate(job, store).memory == int(MORE_MEMORY * peak + OVERHEAD_BYTES)


def test_records_of_another_device_say_nothing(job, results):
    needs = job("lsr").method.needs_for("tiny")
    assert estimate(job("lsr"), results, device="cuda") == needs.of(TINY_BYTES, "cuda")
    assert estimate(job("lsr"), results, device="cpu") != needs.of(TINY_BYTES, "cpu")


def test_a_damaged_record_is_left_to_the_reports(job, results):
    for key in results.keys():  # noqa: SIM118  a store is no dictionary
        results.paths.record(key).write_text("{")
    declared = job("lsr").method.needs_for("tiny").of(TINY_BYTES, "cpu")
    assert estimate(job("lsr"), results, device="cpu") == declared


def test_the_user_has_the_last_word(job, results):
    chosen = {"": {"memory": 7.0, "seconds": 90.5}, "lsr": {"memory": 8.0, "gpus": 2}}
    found = estimate(job("lsr"), results, resources=chosen)
    assert found == Resources(
        cpus=job("lsr").method.needs_for("tiny").cpus, gpus=2, memory=8, seconds=90.5
    )
    other = estimate(job("train-mean"), results, resources=chosen)
    assert (other.memory, other.gpus) == (7, 0)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"": {"cpu": 1}}, "'cpu'.*Did you mean cpus"),
        ({"lssr": {"cpus": 1}}, "'lssr'.*Did you mean lsr"),
        ({"": {"cpus": 1.5}}, "cpus=1.5 of lsr is not a whole number. Write a whole number"),
        ({"": {"cpus": 0}}, "cpus=0 is less than 1. Write another number"),
        ({"": {"seconds": float("nan")}}, "seconds=nan is out of range"),
        ({"": {"memory": float("inf")}}, "memory=inf of lsr is not a whole number"),
        ({"": {"gpus": -1}}, "gpus=-1 is out of range"),
    ],
)
def test_mistakes_in_the_users_numbers_are_one_line(job, tmp_path, chosen, message):
    with pytest.raises(UserError, match=message) as caught:
        estimate(job("lsr"), ResultsStore(tmp_path / "none"), resources=chosen)
    assert "\n" not in str(caught.value)


def test_a_dataset_that_is_gone_is_a_mistake_of_the_user(job, tmp_path):
    gone = replace(job("lsr"), data="0" * 16)
    with pytest.raises(UserError, match="Run the command again"):
        with_resources([gone], Settings(results=tmp_path), ResultsStore(tmp_path))


def test_each_record_is_read_once_and_each_dataset_opened_once(jobs, results, monkeypatch):
    read, opened = [], []
    real_read, real_open = ResultsStore.read, DataStore.open
    monkeypatch.setattr(
        ResultsStore, "read", lambda self, key: read.append(key) or real_read(self, key)
    )
    monkeypatch.setattr(
        DataStore, "open", lambda self, *names: opened.append(names) or real_open(self, *names)
    )
    planned = list(jobs("lsr")) + list(jobs("knn"))
    read.clear()
    opened.clear()
    with_resources(planned, Settings(results=results.root), results)
    assert sorted(read) == sorted(results.keys())
    assert len(opened) == 1


@pytest.mark.parametrize("ability", ["many_machines", "assigns_devices", None])
def test_only_engines_that_reserve_are_given_resources(ability, tiny, tmp_path, monkeypatch):
    launched = []

    def engine(jobs, settings):
        launched.extend(jobs)
        return run_locally(jobs, settings)

    module = SimpleNamespace(run=engine)
    monkeypatch.setitem(sys.modules, "reserving_engine", module)
    spec = EngineSpec(
        name="reserving",
        title="t",
        code="reserving_engine:run",
        **({ability: True} if ability else {}),
    )
    monkeypatch.setitem(registry().engines.specs, "reserving", spec)
    api.run(
        "train-mean", "geo", "sim", preset="tiny", results=tmp_path / "results", engine="reserving"
    )
    reserved = {job.method.name: job.resources for job in launched}
    declared = registry().methods.get("train-mean").needs_for("tiny").of(TINY_BYTES, "auto")
    assert reserved["train-mean"] == (declared if ability else Resources())


def test_every_method_that_is_shipped_declares_its_needs():
    shipped = {
        name: registry().methods.get(name)
        for name, plugin in registry().methods.plugins.items()
        if plugin.distribution.startswith("genebench")
    }
    assert len(shipped) >= 15
    for name, spec in shipped.items():
        assert "paper" in spec.needs, name
        for preset in PRESETS:
            assert spec.needs_for(preset).gpus == (1 if "cuda" in spec.devices else 0), name


def test_declared_needs_cover_real_jobs(tiny, job, tmp_path):
    # Each in its own process: this one holds what other tests have imported.
    done = api.run(
        "lsr,knn", "geo", "sim", preset="tiny", results=tmp_path / "results", engine="process"
    )
    assert {record.status for record in done.records} == {"done"}
    for record in done.records:
        needs = registry().methods.get(record.identity.method).needs_for("tiny")
        declared = needs.of(TINY_BYTES, "cpu")
        assert record.peak_memory < declared.memory
        assert sum(record.seconds.values()) < declared.seconds


COSTS = st.builds(
    Needs,
    memory=st.integers(0, 10**12),
    memory_per_byte=st.floats(0, 100),
    seconds=st.floats(0, 1e6),
    seconds_per_gigabyte=st.floats(0, 1e6),
)


@given(COSTS, st.integers(0, 10**13), st.integers(0, 10**13))
def test_more_data_never_need_less(needs, one, other):
    few, many = (needs.of(size, "cpu") for size in sorted((one, other)))
    assert few.memory <= many.memory
    assert few.seconds <= many.seconds


@given(COSTS, st.integers(1, 10**12), st.lists(st.tuples(st.integers(1, 10**12), st.booleans())))
def test_estimates_never_fall_with_the_data(needs, size, measured):
    request = resources._Request(GIGABYTE, 100.0)
    fits = {resources._Measure("cpu", *each): request for each in measured}
    method = SimpleNamespace(name="m", devices=("cpu",), needs_for=lambda _: needs, members="")
    planned = SimpleNamespace(method=method, preset="tiny", params={})
    few, many = (
        resources._estimate(planned, data_bytes, "auto", {("m", "tiny"): fits})
        for data_bytes in (size, 2 * size)
    )
    # Relative to a larger need, because scaling rounds.
    assert few.memory <= many.memory * (1 + 1e-9) + 1
    assert few.seconds <= many.seconds * (1 + 1e-9)

"""Estimates of jobs: formulas, timings of this machine, and what is said when nothing is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from genebench import api
from genebench._util.amounts import spoken
from genebench._util.formulas import evaluate, names_in
from genebench.data.home import home
from genebench.runs import estimates
from genebench.specs import MethodSpec, Param


@pytest.fixture
def jobs(tiny, tmp_path, monkeypatch):
    """Return the jobs of a command, on a machine without timings and with 1 GFLOP/s."""
    monkeypatch.setattr(estimates, "_file", lambda: tmp_path / "timings.jsonl")
    monkeypatch.setattr(estimates, "product_speed", lambda: estimates.Speed(1e9, False))

    def planned(methods, **overrides):
        plan = api.plan_run(
            methods, "geo", "sim", preset="tiny", seeds=1, overrides=overrides,
            results=tmp_path / "none",
        )  # fmt: skip
        return [job for job in plan.jobs if not job.method.control]

    return planned


@pytest.fixture
def timed(tmp_path):
    """Write a timing of a job, with some of its values replaced."""

    def write(job, work, **changes):
        path = tmp_path / "timings.jsonl"
        import socket

        line = {
            "method": job.method.name, "distribution": "x", "preset": "tiny",
            "host": socket.gethostname(), "device": "cpu", "accelerator": "",
            "params": dict(job.params), "sizes": estimates._JobSizes().of(job),
            "work": work, "score": 0.0, "values": 1, "memory": 3 << 30,
        }  # fmt: skip
        with path.open("a") as stream:
            stream.write(json.dumps(line | changes) + "\n")

    return write


def test_before_the_first_run_the_formula_and_the_machine_tell_the_time(jobs):
    [job] = jobs("dgex")
    sizes = estimates._JobSizes().of(job)
    by_hand = (
        40 * (sizes["train"] * (6 + 900 / 20) + 2 * sizes["validation"])
        * (2 * sizes["landmarks"] * 200 + 200 * sizes["targets"])
    ) / 1e9  # fmt: skip
    [estimate] = api.estimates([job], "cpu")
    assert estimate.basis == "declared"
    assert estimate.seconds == pytest.approx(by_hand, rel=0.05, abs=0.4)
    assert (
        estimate.memory
        == job.method.needs_for("tiny")
        .of(4 * sizes["train"] * (sizes["landmarks"] + sizes["targets"]), "cpu")
        .memory
    )


def test_a_run_of_the_same_job_tells_it_better(jobs, timed):
    [job] = jobs("dgex")
    timed(job, 50.0)
    timed(job, 70.0)
    [estimate] = api.estimates([job], "cpu")
    assert (estimate.basis, estimate.memory, estimate.is_upper) == ("measured", 3 << 30, False)
    assert estimate.seconds == pytest.approx(70, abs=0.5), "of the latest run"


def test_other_parameters_are_scaled_by_the_formula(jobs, timed):
    [job], [longer] = jobs("dgex"), jobs("dgex", dgex={"epochs": "80"})
    timed(job, 50.0)
    [estimate] = api.estimates([longer], "cpu")
    assert estimate.basis == "scaled"
    assert estimate.seconds == pytest.approx(100, abs=0.5)


def test_a_tiny_job_says_nothing_of_one_that_is_far_larger(jobs, timed):
    [job], [large] = jobs("dgex"), jobs("dgex", dgex={"epochs": "40000"})
    timed(job, 50.0)
    [estimate] = api.estimates([large], "cpu")
    assert estimate.basis == "declared"


@pytest.mark.parametrize(
    "change", [{"host": "elsewhere"}, {"device": "cuda"}, {"method": "ggan"}, {"sizes": {}}]
)
def test_timings_of_other_machines_devices_and_methods_do_not_count(jobs, timed, change):
    [job] = jobs("dgex")
    timed(job, 50.0, **change)
    [estimate] = api.estimates([job], "cpu")
    assert estimate.basis == "declared"


def test_without_a_formula_only_equal_parameters_count(jobs, timed):
    [job] = jobs("dgex")
    bare = replace(job, method=replace(job.method, work=""))
    assert api.estimates([bare], "cpu")[0].seconds is None
    timed(bare, 50.0)
    assert api.estimates([bare], "cpu")[0].basis == "measured"
    other = replace(bare, params=dict(bare.params) | {"epochs": 80})
    assert api.estimates([other], "cpu")[0].basis == "unknown"


def test_a_gpu_is_unknown_until_something_ran_on_it(jobs):
    assert api.estimates(jobs("dgex"), "cuda")[0].basis == "unknown"


def test_a_finished_job_leaves_its_timing_in_the_data_folder(lsr_and_knn):
    lines = [json.loads(line) for line in (home() / "timings.jsonl").read_text().splitlines()]
    [lsr, *_] = [line for line in lines if line["method"] == "lsr"]
    assert 0 < lsr["work"] < 60
    assert lsr["sizes"]["landmarks"] > 0
    assert lsr["memory"] > 1 << 20


@pytest.mark.parametrize(
    ("formula", "value"),
    [("2 * a ** 2 + b / 4", 20.5), ("min(a, b, 1) - max(a, b)", -2), ("1e3", 1000)],
)
def test_formulas_are_arithmetic(formula, value):
    assert evaluate(formula, {"a": 3, "b": 10} if value > 0 else {"a": 3, "b": 2}) == value


@pytest.mark.parametrize(
    "formula",
    ["a.b", "__import__('os')", "a[0]", "f(a)", "-a", "a if b else c", "'x'", "True", "a = 1", "",
     "min()", "9 ** 9 ** 9 ** 9 ** 9", "1 / 0", "a", "x" * 501],
)  # fmt: skip
def test_everything_else_is_refused(formula):
    with pytest.raises(ValueError, match=r"."):
        evaluate(formula, {})


def test_names_of_a_formula_are_checked_when_a_method_is_declared():
    def spec(work):
        params = (Param(name="k", default=1, help="k"), Param(name="kind", default="a", help="k"))
        return MethodSpec(
            name="m", title="m", summary="m", code="m:M", params=params, work=work
        )  # fmt: skip

    assert spec("k * train * targets").work
    assert names_in("min(k, train)") == {"k", "train"}
    for work in ("k * epochs", "kind * train", "k *", "open(k)"):
        with pytest.raises(ValueError, match="method m: work"):
            spec(work)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0.2, "1 s"), (89, "89 s"), (91, "2 min"), (3600, "1 h"),
     (3720, "1 h 2 min"), (3599, "1 h"), (200_000, "2.3 days")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds, text):
    assert spoken(seconds) == text

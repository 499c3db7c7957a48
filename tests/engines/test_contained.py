"""Contained jobs: a subprocess serves several jobs as long as no stranger's code ran in it."""

from __future__ import annotations

import time

import pytest

from genebench import api
from genebench.engines.contained import Container, Stop
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Settings

MOODY = """
import os
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1

@hookimpl
def genebench_methods():
    how = Param(name="how", default="works", help="h")
    return [MethodSpec(name="moody", title="t", summary="s", code="moody:Moody", params=(how,))]

class Zero(Model):
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0

class Moody(Method):
    def fit(self, train, validation_sets, context):
        if self.params["how"] == "dies":
            os._exit(1)
        if self.params["how"] == "waits":
            import time
            context.progress(1, 2, "waiting")
            time.sleep(600)
        model = Zero()
        model.targets = len(train.target_genes)
        return dict.fromkeys(validation_sets, model)
"""


@pytest.fixture
def moody(plugin_file):
    plugin_file("moody", MOODY)


@pytest.fixture
def run(tiny, tmp_path):
    """Run a method in a container, and return the id of its subprocess and how it ended."""
    container, settings = Container(), Settings(results=tmp_path / "results")
    ResultsStore(settings.results).prepare()

    def run(method, events=None, stop=None, **params):
        plan = api.plan_run(
            method, "geo", "sim", preset="tiny", seeds=1,
            overrides={method: {k: str(v) for k, v in params.items()}}, results=settings.results,
        )  # fmt: skip
        [job] = [job for job in plan.jobs if job.method.name == method]
        ids = []

        def pass_on(event):
            ids.append(container._worker._process.pid)
            if events is not None:
                events.append(event)

        ending = container.run(job, settings, pass_on, stop=stop)
        return ids[0], ending, ResultsStore(settings.results).read(job.key)

    yield run
    container.close()


def test_jobs_of_trusted_methods_share_a_process(run):
    first, _, _ = run("knn", k_max=3)
    second, ending, record = run("lsr-l2")
    assert first == second
    assert (ending.cause, record.status, record.provenance.device) == ("recorded", "done", "cpu")


def test_a_strangers_method_has_a_process_of_its_own(run, moody):
    ids = [run("knn", k_max=3)[0], run("moody")[0], run("knn", k_max=4)[0], run("lsr-l2")[0]]
    # It runs in the process that is there. No other job follows it.
    assert ids[0] == ids[1]
    assert ids[1] != ids[2] == ids[3]


def test_a_process_that_died_is_replaced(run, moody):
    _, ending, record = run("moody", how="dies")
    assert (ending.cause, record.failure.kind) == ("recorded", "ProcessDied")
    assert record.provenance.host
    assert run("knn", k_max=3)[2].status == "done"


def test_a_job_that_does_not_stop_by_itself_is_ended_after_the_grace(run, moody):
    stop, events = Stop(), []

    class Watched(list):
        def append(self, event):
            if "progress" in event:
                stop.ask(0.2)

    start = time.monotonic()
    _, ending, record = run("moody", Watched(events), stop, how="waits")
    assert (ending.cause, record) == ("stopped", None)
    assert time.monotonic() - start < 300

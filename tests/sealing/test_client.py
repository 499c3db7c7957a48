"""Tests that a sealed method fails with a clear reason, and harms no other job."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from genebench._util.files import remove_tree
from genebench._util.stopping import ask_to_stop, forget
from genebench.errors import UserError
from genebench.sealing import client
from genebench.sealing.client import sealed
from genebench.sealing.failure import SealedFailureError

BREAKS = {
    "sendsgarbage": "sent a header that is no message",
    "sendsgiantheader": "sent a header of 4,294,967,295 bytes",
    "sendsdeepheader": "sent a header that is no message",
    "sendsgiantarray": "sent arrays of 32,000,000,000 bytes, where 0 are allowed",
    "sendsimpossiblearray": "an array of another shape",
    "sendsmanytypes": "sent a header that is no message",
    "sendsnomodels": "its process sent no models",
    "promisesmore": "ended with exit status 0",
    "exits": "ended with exit status 3",
    "dies": "was ended by SIGKILL",
    "closesall": "its process (closed its connection|ended with exit status)",
    "refuseslate": "the data are not to its liking",
    "raisesalot": "long long",
    "statesnonsense": "not JSON serializable",
    "statestoomuch": "sent a header of",
    "predictstoomuch": r"predicted \(7, \d+\) values where",
}
"""Method → a part of the reason that its job fails with."""
HARMLESS = (
    "breaker", "answersahead", "floods", "leavesadaemon", "leavesthreads", "blocksnooutput",
    "printsalot", "nestsfolders", "linksout",
)  # fmt: skip


def predictions(job, fit):
    """Fit a method in its process, and return predictions of seven profiles."""
    landmarks = job.parts["train"].landmarks[:7]
    with sealed(job) as method:
        model = fit(method, job)["geo"]
        predicted = model.predict(landmarks)
        model.read_facts()
    return predicted


@pytest.mark.parametrize("name", BREAKS)
def test_a_method_that_breaks_its_process_fails_with_a_reason(job_of, fit, name, capfd):
    with pytest.raises(SealedFailureError, match=BREAKS[name]) as caught:
        predictions(job_of(name), fit)
    assert len(caught.value.failure.message) < 100_000
    if name in ("exits", "dies"):
        assert "the last words" in caught.value.failure.traceback
    assert not predictions(job_of("breaker"), fit).any()


@pytest.mark.parametrize("name", HARMLESS)
def test_a_method_that_only_tries_to_do_harm_does_none(job_of, fit, name, capfd):
    job = job_of(name)
    rival = job.scratch.parent / "rival.json"
    rival.write_text("a rival's score")
    started = time.monotonic()
    assert not predictions(job, fit).any()
    assert time.monotonic() - started < 300
    assert not predictions(job_of("breaker"), fit).any()
    remove_tree(job.scratch)
    assert rival.read_text() == "a rival's score"
    assert "\x1b" not in capfd.readouterr().err
    if name == "leavesadaemon":
        time.sleep(max(0.0, started + 4 - time.monotonic()))
    assert not job.scratch.exists()


def test_output_of_a_job_waits_whatever_the_job_before_did(job_of, fit, capfd):
    """A full pipe would otherwise end the next job, which may be a rival's."""
    predictions(job_of("blocksnooutput"), fit)
    predictions(job_of("printsalot"), fit)


def test_a_method_may_refuse_its_parameters_when_it_is_created(job_of, fit):
    with pytest.raises(UserError, match="other parameters, please"), sealed(job_of("refuses")):
        pass


@pytest.fixture
def _no_request():
    yield
    forget()


@pytest.mark.usefixtures("_no_request")
def test_a_request_to_stop_reaches_a_sealed_method(job_of, fit):
    job = job_of("breakerstops")
    settings = {"scratch": job.scratch, "progress": lambda *_: ask_to_stop()}
    with sealed(job) as method, pytest.raises(SealedFailureError) as caught:
        fit(method, job, **settings)
    assert caught.value.failure.kind == "KeyboardInterrupt"
    assert (job.scratch / "checkpoint").exists()


def test_a_launcher_serves_the_next_job(job_of, fit):
    predictions(job_of("breaker"), fit)
    before = list(client._idle)
    predictions(job_of("breaker"), fit)
    assert client._idle == before


def test_a_launcher_that_was_killed_is_replaced(job_of, fit):
    predictions(job_of("breaker"), fit)
    os.kill(client._idle[-1]._worker._process.pid, signal.SIGKILL)
    assert not np.any(predictions(job_of("breaker"), fit))

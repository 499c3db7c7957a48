"""The filter of records: every condition that is given must be met."""

from __future__ import annotations

import pytest

from genebench.results.filters import filter_records
from genebench.results.record import Failure

FAILURE = Failure(kind="ValueError", message="no luck", traceback="")


@pytest.fixture
def records(made_up):
    """A done record, a failed one, and a trial of tuning."""
    done, failed, trial = (made_up(name, {}, 0.5) for name in ("done", "failed", "trial"))
    failed = failed.model_copy(update={"status": "failed", "failure": FAILURE, "scores": {}})
    identity = trial.identity.model_copy(update={"test": trial.identity.validation})
    return [done, failed, trial.model_copy(update={"identity": identity})]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["done", "failed", "trial"]),
        ({"status": "done"}, ["done", "trial"]),
        ({"status": "failed"}, ["failed"]),
        ({"trials": True}, ["trial"]),
        ({"trials": False}, ["done", "failed"]),
        ({"metric": "mae"}, ["done", "trial"]),
        ({"metric": "mae", "panel": "all"}, ["done", "trial"]),
        ({"metric": "mae", "panel": "no such panel"}, []),
        ({"metric": "no such metric"}, []),
        ({"metric": "mae", "trials": False}, ["done"]),
    ],
)
def test_records_that_meet_every_condition_are_kept_in_their_order(records, conditions, expected):
    kept = filter_records(records, **conditions)
    assert [record.identity.method for record in kept] == expected

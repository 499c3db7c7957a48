"""The filter of records: every condition that is given must be met."""

from __future__ import annotations

import pytest

from genebench import UserError
from genebench.results.filters import RecordFilter
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
    kept = RecordFilter(**conditions).apply(records)
    assert [record.identity.method for record in kept] == expected


# Names


@pytest.fixture
def named(made_up):
    """Two methods under two protocols."""
    return [
        made_up(method, {}, protocol=protocol) for method in ("a", "b") for protocol in ("geo", "x")
    ]


def names(records):
    return [(record.identity.method, record.identity.protocol) for record in records]


@pytest.mark.parametrize("protocols", ["geo", " geo", ["geo"], iter(["geo"])])
def test_names_are_texts_or_sequences(named, protocols):
    kept = RecordFilter(protocols=protocols).apply(named)
    assert names(kept) == [("a", "geo"), ("b", "geo")]


@pytest.mark.parametrize("every", [None, "all", " all "])
def test_all_is_no_filter(named, every):
    assert RecordFilter(dataset=every, protocols=every, methods=every).apply(named) == named


def test_filters_of_names_combine_and_keep_the_order(named):
    kept = RecordFilter(dataset="sim", protocols="x", methods="b,a").apply(named)
    assert names(kept) == [("a", "x"), ("b", "x")]


@pytest.mark.parametrize("kind", ["dataset", "protocols", "methods"])
def test_a_name_that_no_record_has_is_refused(named, kind):
    with pytest.raises(UserError, match=r"unknown \w+ among these results 'zz'"):
        RecordFilter(**{kind: ["zz"]}).apply(named)

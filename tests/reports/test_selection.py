"""The selection of records by dataset, protocol and method."""

from __future__ import annotations

import pytest

from genebench import UserError
from genebench.reports.selection import Selection


@pytest.fixture
def records(made_up):
    """Two methods under two protocols, and a trial of tuning."""
    tested = [
        made_up(method, {}, protocol=protocol) for method in ("a", "b") for protocol in ("geo", "x")
    ]
    return [*tested, made_up("a", {}, test="geo/validation")]


def names(records):
    return [(record.identity.method, record.identity.protocol) for record in records]


def test_nothing_is_filtered_unless_asked_for_but_trials(records):
    assert Selection().of(records) == records[:4]
    assert Selection(trials=True).of(records) == records


@pytest.mark.parametrize("protocols", ["geo", " geo", ["geo"], iter(["geo"])])
def test_names_are_texts_or_sequences(records, protocols):
    assert names(Selection(protocols=protocols).of(records)) == [("a", "geo"), ("b", "geo")]


@pytest.mark.parametrize("every", [None, "all", " all "])
def test_all_is_no_filter(records, every):
    assert Selection(dataset=every, protocols=every, methods=every).of(records) == records[:4]


def test_filters_combine_and_keep_the_order(records):
    chosen = Selection(dataset="sim", protocols="x", methods="b,a").of(records)
    assert names(chosen) == [("a", "x"), ("b", "x")]


@pytest.mark.parametrize("kind", ["dataset", "protocols", "methods"])
def test_a_name_that_no_record_has_is_refused(records, kind):
    with pytest.raises(UserError, match=r"unknown \w+ among these results 'zz'"):
        Selection(**{kind: ["zz"]}).of(records)

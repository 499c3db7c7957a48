"""Vectors as tables: one row per gene or profile, long or wide, with what they are of."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import api
from genebench.errors import UserError
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors") / "results"
    return api.run("lsr", "geo,gtex", preset="tiny", results=folder)


def test_the_long_table_has_each_records_value_of_each_gene(results):
    table = results.genes("cc")
    store = ResultsStore(results.folder)
    assert len(table) == sum(record.genes["target"] for record in results.records)
    for record in results.records:
        rows, vectors = table[table["key"] == record.key], store.vectors(record)
        np.testing.assert_array_equal(rows["gene"], vectors["gene.id"])
        np.testing.assert_array_equal(rows["twin"], vectors["gene.twin"])
        np.testing.assert_array_equal(rows["cc"], vectors["gene-metric.cc"])
        assert set(rows["method"]) == {record.identity.method}
        assert set(rows["protocol"]) == {record.identity.protocol}


def test_the_wide_table_is_the_long_one_turned(results):
    long, wide = results.genes("mae"), results.genes("mae", wide=True)
    assert list(wide.columns[:3]) == ["gene", "symbol", "twin"]
    assert wide.shape == (160, 3 + len(results.records))
    for record in results.records:
        rows = long[long["key"] == record.key].set_index("gene")["mae"]
        identity = record.identity
        column = f"{identity.protocol}/{identity.method}/{identity.seed}/{record.key}"
        np.testing.assert_array_equal(wide.set_index("gene")[column].loc[rows.index], rows)


def test_symbols_are_those_of_the_dataset_and_left_out_where_it_is_not_here(
    results, tiny, monkeypatch
):
    table = results.genes("mae")
    expected = tiny.target_genes["symbol"].loc[table["gene"]]
    np.testing.assert_array_equal(table["symbol"], expected)
    monkeypatch.setattr("genebench.data.store.DataStore.find", lambda *_: None)
    assert "symbol" not in results.genes("mae")


def test_shares_of_profiles_have_the_mean_that_the_record_says(results):
    table = results.profiles("mae")
    for record in results.records:
        rows = table[table["key"] == record.key]
        assert len(rows) == record.profiles["test"]
        assert rows["mae"].mean() == pytest.approx(record.scores["mae"]["all"].mean)


def test_the_wide_table_of_profiles_has_holes_where_a_record_lacks_the_profile(results):
    wide = results.profiles("mae", wide=True)
    tests = {record.identity.protocol: record.profiles["test"] for record in results.records}
    for record in results.records:
        [column] = [name for name in wide.columns if name.endswith(record.key)]
        assert wide[column].notna().sum() == tests[record.identity.protocol]
    assert len(wide) == sum(tests.values())


def test_an_unknown_metric_names_those_that_there_are(results):
    message = r"unknown metric of these results 'mea'\. Did you mean mae"
    with pytest.raises(UserError, match=message):
        results.genes("mea")
    with pytest.raises(UserError, match="unknown metric"):
        results.profiles("nothing")


def test_failed_records_are_left_out(results):
    failed = results.records[0].model_copy(update={"status": "failed"})
    some = api.Results([failed, results.records[1]], results.folder)
    assert set(some.genes()["key"]) == {results.records[1].key}


def test_records_that_are_read_back_give_the_same_table(results):
    read = api.records(results.folder)
    assert set(read.genes()["key"]) == {record.key for record in results.records}

"""Curves: how something was chosen, as a table."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import api


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves") / "results"
    return api.run("lsr-l2", "geo,gtex", dataset="sim", preset="tiny", results=folder)


def test_the_lowest_point_of_a_path_is_what_was_chosen(results):
    path = results.curve("path")
    for record in results.records:
        if record.identity.method == "lsr-l2":
            points = path[path["key"] == record.key]
            assert len(points) == record.identity.params["lambdas"]
            chosen = points.loc[points["mae"].idxmin()]
            assert chosen["lambda"] == record.choices["lambda"]
            assert chosen["protocol"] == record.identity.protocol


def test_a_curve_that_nothing_has_is_an_empty_table(results):
    assert results.curve("learning").empty


def test_the_command_prints_it(results, genebench, tmp_path_factory):
    folder = next(tmp_path_factory.getbasetemp().glob("curves*")) / "results"
    shown = genebench("report", "curve", "path", "--results", folder, "--format", "csv")
    assert shown.status == 0
    header, *rows = shown.out.splitlines()
    assert header.startswith("dataset,protocol,method,preset,seed,key,lambda,mae")
    assert len(rows) == len(results.curve("path"))
    maes = [float(row.split(",")[7]) for row in rows]
    np.testing.assert_allclose(maes, results.curve("path")["mae"], rtol=1e-6)
    assert "lsr-l2: gtex" in genebench("report", "curve", "path", "--results", folder).out


@pytest.mark.parametrize("arguments", [("curve", "paths"), ("curve", "path", "leaks")])
def test_a_wrong_wish_is_one_line(results, genebench, tmp_path_factory, arguments):
    folder = next(tmp_path_factory.getbasetemp().glob("curves*")) / "results"
    refused = genebench("report", "--results", folder, *arguments)
    assert refused.status == 2
    assert len(refused.err.splitlines()) == 1

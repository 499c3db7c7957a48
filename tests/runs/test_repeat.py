"""A record becomes a suite, and the suite gives the record's key again."""

from __future__ import annotations

import tomllib

import pytest

from genebench import api
from genebench.plugins.registry import registry
from genebench.results.naming import named
from genebench.results.store import ResultsStore
from genebench.runs.repeat import changes_since, suite_of_record


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeat") / "results"
    api.run(
        "dgex,knn-ge,lsr-l2,ensemble", "geo", "sim", preset="tiny", seeds=2, results=folder,
        train_sizes=["all", 100],
        params={
            "ensemble": {"members": "lsr-l2,knn-ge"}, "knn-ge": {"k_max": 7},
            "dgex": {"epochs": 2, "dropout": 0.15},
        },
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("name", ["dgex@geo", "knn-ge@geo-n100", "ensemble@geo", "train-mean@geo"])
def test_the_suite_of_a_record_gives_its_key_again(name, results, genebench, tmp_path):
    record = named(name, results).record
    file, again = tmp_path / "again.toml", tmp_path / "again"
    done = genebench("results", "config", name, "--results", results, "--out", file)
    assert done.status == 0
    assert not done.err
    assert genebench("run", file, "--results", again, "--quiet").status == 0
    repeated = ResultsStore(again).read(record.key)
    assert repeated.identity == record.identity
    assert repeated.scores == record.scores


def test_a_suite_runs_the_seeds_up_to_that_of_the_record(results):
    store = ResultsStore(results)
    [record] = [
        record
        for record in store.records()
        if (record.identity.method, record.identity.protocol, record.identity.seed)
        == ("dgex", "geo", 1)
    ]
    assert tomllib.loads(suite_of_record(record, store))["seeds"] == 2


def test_any_text_and_number_comes_back_from_the_suite(made_up, tmp_path):
    params = {"text": 'a "b" \\ \x7f é\n[x]', "small": 1e-05, "large": 1e300, "yes": True, "n": -3}
    record = made_up("lsr", params)
    suite = tomllib.loads(suite_of_record(record, ResultsStore(tmp_path)))
    assert suite["runs"][0]["set"] == params


def test_a_trial_has_no_suite(made_up, tmp_path):
    trial = made_up("lsr", {}, 0.5, test="geo/validation")
    with pytest.raises(api.UserError, match="is a trial of tuning"):
        suite_of_record(trial, ResultsStore(tmp_path))


def test_what_differs_here_is_named(results, genebench):
    identity = named("lsr-l2@geo", results).record.identity
    assert not list(changes_since(identity, registry(), identity.data))
    code = identity.code.model_copy(update={"digest": "other"})
    other = identity.model_copy(update={"code": code, "numerics": 0, "protocol_version": 0})
    changes = "\n".join(changes_since(other, registry(), "otherdata"))
    for fragment in ("code of lsr-l2", "arithmetic", "protocol geo", "digest otherdata"):
        assert fragment in changes
    gone = identity.model_copy(update={"method": "gone"})
    assert list(changes_since(gone, registry())) == [
        "method gone is not installed (genebench-linear)"
    ]


def test_members_elsewhere_are_named(results, tmp_path):
    record = named("ensemble@geo", results).record
    with pytest.raises(api.UserError, match=r"is made of .*Merge the folder"):
        suite_of_record(record, ResultsStore(tmp_path))

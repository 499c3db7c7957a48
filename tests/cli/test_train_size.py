"""Training sizes: protocols by name, on the command line, in suites and from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import genebench as public
from genebench import UserError, api
from genebench.results.store import ResultsStore

pytestmark = pytest.mark.usefixtures("tiny")

TINY = ("--preset", "tiny", "--quiet")


def sizes_in(folder, method="lsr"):
    """Return protocol → number of training profiles, of the records of a method."""
    return {
        record.identity.protocol: record.profiles["train"]
        for record in ResultsStore(folder).records()
        if record.identity.method == method
    }


def test_every_protocol_is_run_at_every_size_and_only_what_is_missing_later(genebench, tmp_path):
    arguments = ("--methods", "lsr", "--protocol", "geo,gtex", "--results", tmp_path / "r")
    done = genebench("run", *arguments, "--train-size", "60,all", *TINY)
    assert done.status == 0, done.err
    whole = sizes_in(tmp_path / "r")["geo"]
    assert whole > 60
    assert sizes_in(tmp_path / "r") == {
        "geo": whole, "gtex": whole, "geo-n60": 60, "gtex-n60": 60,
    }  # fmt: skip
    again = genebench("run", "--methods", "lsr", "--protocol", "geo-n60,geo", "--preset", "tiny",
                      "--results", tmp_path / "r")  # fmt: skip
    assert "nothing to do" in again.err


def test_a_method_sees_the_subset_and_no_other_training_profile(tmp_path):
    results = api.run("lsr", "geo-n60", preset="tiny", results=tmp_path / "r")
    [record] = [item for item in results.records if item.identity.method == "lsr"]
    parts = public.load("sim", "geo-n60", preset="tiny")
    assert parts.train.landmarks.shape[0] == 60
    fitted = LinearRegression().fit(
        parts.train.landmarks.astype(np.float64), parts.train.targets.astype(np.float64)
    )
    error = np.abs(fitted.predict(parts.test.landmarks) - parts.test.targets).mean()
    assert record.scores["mae"]["all"].mean == pytest.approx(error, abs=1e-5)


def test_sizes_from_python_are_numbers_and_all(tmp_path):
    api.run("lsr", "geo", preset="tiny", train_sizes=[60, "all"], results=tmp_path / "r")
    assert sizes_in(tmp_path / "r").keys() == {"geo", "geo-n60"}
    with pytest.raises(UserError, match="no number of profiles"):
        api.run("lsr", "geo", preset="tiny", train_sizes=[0.5], results=tmp_path / "r")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train-size", "60,5000"), "has 320. Choose a smaller size, or all"),
        (("--train-size", "320,all"), "320 are all training profiles of dataset sim-tiny"),
        (("--protocol", "gtex-n5000"), "protocol gtex-n5000 needs 5,000 training profiles"),
        (("--train-size", "half"), "training size 'half' is no number"),
        (("--train-size", ","), "training size '' is no number"),
        (("--protocol", "geo-n60", "--train-size", "all,60"), "trains on 60 profiles already"),
        (("--protocol", "goe-n60"), "unknown protocol 'goe'"),
    ],
)
def test_a_wrong_size_is_one_line_before_anything_runs(genebench, tmp_path, arguments, message):
    folder = tmp_path / "r"
    refused = genebench("run", "--methods", "lsr", *arguments, *TINY, "--results", folder)
    assert refused.status == 2
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not folder.exists()


SUITE = """
title = "sizes"
protocols = ["geo"]
preset = "tiny"
train_sizes = [60, "all"]

[[runs]]
methods = ["lsr", "lsr-l2"]
"""


def test_a_suite_has_sizes_and_the_command_line_replaces_them(genebench, tmp_path):
    suite, folder = tmp_path / "s.toml", tmp_path / "r"
    suite.write_text(SUITE)
    done = genebench("run", suite, "--results", folder, "-q")
    assert done.status == 0, done.err
    assert sizes_in(folder).keys() == {"geo", "geo-n60"}
    genebench("run", suite, "--results", folder, "-q", "--train-size", "30")
    assert sizes_in(folder).keys() == {"geo", "geo-n60", "geo-n30"}
    shown = genebench("report", "suite", suite, "--results", folder, "--format", "json")
    protocols = {row["protocol"] for row in json.loads(shown.out)}
    assert protocols == {"geo", "geo-n60"}, "only those of the suite"


@pytest.mark.parametrize("sizes", ["[0]", '["some"]', "[2.5]", "[true]", "60"])
def test_a_wrong_size_in_a_suite_is_one_line(genebench, tmp_path, sizes):
    suite = tmp_path / "s.toml"
    suite.write_text(SUITE.replace('[60, "all"]', sizes))
    refused = genebench("run", suite, "--results", tmp_path / "r")
    assert refused.status == 2
    assert "train_sizes" in refused.err
    assert len(refused.err.splitlines()) == 1


def test_jobs_are_listed_for_every_size(genebench, tmp_path):
    listed = genebench("jobs", "--methods", "lsr", "--protocol", "geo", "--train-size", "60,all",
                       "--preset", "tiny", "--results", tmp_path / "r", "--json")  # fmt: skip
    jobs = json.loads(listed.out)
    keys = {tuple(job["protocols"]): job["key"] for job in jobs if job["method"] == "lsr"}
    assert keys.keys() == {("geo-n60",), ("geo",)}
    key = keys["geo-n60",]
    assert genebench("job", key, "--results", tmp_path / "r").status == 0
    assert sizes_in(tmp_path / "r") == {"geo-n60": 60}


def test_methods_are_ranked_at_each_size(genebench, tmp_path):
    folder = tmp_path / "r"
    genebench("run", "--methods", "lsr,lsr-l2", "--protocol", "geo", "--train-size", "60,all",
              "--results", folder, *TINY)  # fmt: skip
    rows = json.loads(genebench("report", "ranks", "--results", folder, "--format", "json").out)
    ranked = {(row["protocol"], row["method"]) for row in rows if row["rank"]}
    assert ranked == {(p, m) for p in ("geo", "geo-n60") for m in ("lsr", "lsr-l2")}
    assert rows[0]["protocol"] == "geo", "the whole training set comes first"

"""Parameters that are lists, from a plugin's spec to records, tables, suites, boards and models."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pandas as pd
import pytest

from genebench import api, tasks
from genebench.errors import UserError
from genebench.models.saved import open_model
from genebench.plugins.registry import registry
from genebench.results.bundle import opened, write_bundle
from genebench.results.store import ResultsStore
from genebench.runs.plan import Request, make_plan
from genebench.runs.suite import grid_texts, texts
from tests.sealing.conftest import needs_landlock

LAYERED = """
import numpy as np
from genebench import Method, Model, UserError, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1
CURVES = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}

class Layers(Model):
    def __init__(self, weights, curves):
        self.weights, self.curve_names = weights, curves
        self.choices = {"widths": [w.shape[1] for w in weights[:-1]], "curves": curves}
    def predict(self, landmarks):
        x = first = landmarks.astype(np.float64)
        for weight, name in zip(self.weights, self.curve_names):
            x = CURVES[name](x @ weight)
        return np.hstack([first, x]) @ self.weights[-1]
    def tensors(self):
        return {f"weight{i}": weight for i, weight in enumerate(self.weights)}

class Layered(Method):
    def __init__(self, **params):
        super().__init__(**params)
        assert type(params["hidden"]) is type(params["curves"]) is tuple
        if len(params["curves"]) not in (1, len(params["hidden"])):
            raise UserError("layered: curves has not one word, or one for each layer of hidden.")
    def names(self):
        hidden, curves = self.params["hidden"], self.params["curves"]
        return curves * len(hidden) if len(curves) == 1 else curves
    def fit(self, train, validation_sets, context):
        draw = np.random.default_rng(0)
        x = first = train.landmarks.astype(np.float64)
        weights = []
        for width, name in zip(self.params["hidden"], self.names()):
            width = min(width, 64)
            weights.append(draw.normal(size=(x.shape[1], width)) / x.shape[1] ** 0.5)
            x = CURVES[name](x @ weights[-1])
        x = np.hstack([first, x])
        gram = x.T @ x + 0.1 * len(x) * np.eye(x.shape[1])
        weights.append(np.linalg.solve(gram, x.T @ train.targets))
        return dict.fromkeys(validation_sets, Layers(weights, self.names()))
    def restore(self, tensors, context):
        return Layers([tensors[f"weight{i}"] for i in range(len(tensors))], self.names())

@hookimpl
def genebench_methods():
    return [MethodSpec(
        name="layered", title="Layered", summary="ridge on random layers", code="layered:Layered",
        params=(
            Param(name="hidden", default=(48, 16), minimum=1, max_length=4, help="units by layer",
                  presets={"tiny": (8, 4)}),
            Param(name="curves", default=("tanh",), choices=("tanh", "relu"), help="by layer"),
        ),
        expected_failures={"order_of_genes_does_not_matter": "weights are drawn by position"},
    )]
"""


@pytest.fixture
def file(plugin_file):
    return plugin_file("layered", LAYERED)


@pytest.fixture
def results(file, tiny, tmp_path):
    """Return a folder of a grid over lists, with models."""
    folder = tmp_path / "results"
    api.run(
        "layered", "geo", "sim", preset="tiny", results=folder, keep="model",
        grid={"layered": {"hidden": [[8, 4], (16,)]}}, params={"layered": {"curves": ["relu"]}},
    )  # fmt: skip
    return folder


def layered(folder):
    records = (record for record in ResultsStore(folder).records())
    return [record for record in records if record.identity.method == "layered"]


def test_a_command_with_lists_makes_records_with_arrays_and_continues(
    genebench, file, tiny, tmp_path
):
    words = (
        "run", "--methods", "layered", "--protocol", "geo", "--preset", "tiny",
        "--set", "layered.curves=tanh:relu", "--grid", "hidden=8:4,16:2",
        "--results", tmp_path / "results",
    )  # fmt: skip
    done = genebench(*words)
    assert done.status == 0, done.err
    assert "hidden=8:4" in done.out
    [a, b] = layered(tmp_path / "results")
    assert {a.identity.params["hidden"], b.identity.params["hidden"]} == {(8, 4), (16, 2)}
    assert a.identity.params["curves"] == ("tanh", "relu")
    assert a.choices["curves"] == ("tanh", "relu")
    assert a.choices["widths"] == a.identity.params["hidden"]
    content = json.loads((tmp_path / "results" / f"{a.key}.json").read_text())
    assert content["identity"]["params"]["curves"] == ["tanh", "relu"]
    again = json.loads(genebench(*words, "--dry-run", "--json").out)
    assert "to do" not in json.dumps(again)


def test_all_ways_to_give_a_list_lead_to_one_key(file, tiny, tmp_path):
    store = ResultsStore(tmp_path)

    def keys(values):
        request = Request(
            methods=["layered"], protocols=["geo"], preset="tiny", trials=True,
            overrides=texts({"layered": {"hidden": values}}),
        )  # fmt: skip
        [job] = make_plan(request, tiny, "sim", registry(), store).jobs
        return job.key

    forms = ["16:8", [16, 8], (16, 8), np.array([16, 8]), ["16", " 8"]]
    assert len({keys(form) for form in forms}) == 1
    assert keys([8, 16]) != keys([16, 8])


def test_a_list_that_cannot_be_typed_is_refused():
    for values in (["a:b"], ["a", ""], [" "], [["a"]], [["a"], ["b", "c"]]):
        with pytest.raises(UserError, match="is a value in a list"):
            texts({"p": values})
    assert grid_texts({"p": [[1, 2], (3,), 4]}) == {"p": ["1:2", "3", "4"]}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("hidden=8,4", "layered.hidden: 8,4 is not a whole number. Write a list of this type with"),
        ("hidden=8:0", "layered.hidden: 0 is out of range. The smallest value is 1."),
        ("hidden=1:2:3:4:5", "layered.hidden has 5 values. Give 1 to 4, with colons between them."),
        ("curves=tanh:sine", "layered.curves: sine is not a choice. Choose tanh or relu, with"),
    ],
)
def test_a_wrong_list_is_one_line(genebench, file, tiny, assignment, message):
    done = genebench("run", "--methods", "layered", "--set", f"layered.{assignment}")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err


def test_show_has_lists_as_users_type_them(genebench, file):
    shown = " ".join(genebench("show", "layered").out.split())
    assert "hidden 8:4 48:16 48:16 list of 1 to 4: int ≥ 1" in shown
    assert "list of 1 to 500: tanh, relu" in shown
    [hidden, curves] = json.loads(genebench("show", "layered", "--json").out)["params"]
    assert hidden["values"] == {"tiny": [8, 4], "small": [48, 16], "paper": [48, 16]}
    assert hidden["list"] == {"min_length": 1, "max_length": 4}
    assert (curves["type"], curves["choices"]) == ("str", ["tanh", "relu"])


def test_reports_status_and_diff_name_lists(genebench, results, tmp_path):
    where = ("--results", results)
    assert "layered (hidden=16)" in genebench("report", *where).out
    assert "hidden=8:4" in genebench("status", *where, "--all").out
    swept = tmp_path / "sweep.csv"
    swept.write_text(genebench("report", "sweep", *where, "--format", "csv").out)
    assert set(pd.read_csv(swept)["grid.hidden"].map(str)) == {"16", "8:4"}
    params = {
        row["params"] for row in json.loads(genebench("report", *where, "--format", "json").out)
    }
    assert '{"curves":["relu"],"hidden":[8,4]}' in params
    [a, b] = layered(results)
    changed = genebench("results", "diff", a.key, b.key, *where).out
    assert [line.split()[1:] for line in changed.splitlines() if "params.hidden" in line] == [
        [":".join(map(str, record.identity.params["hidden"])) for record in (a, b)]
    ]
    found = genebench("compare", "layered:hidden=8:4,curves=relu", "layered:hidden=16", *where)
    assert found.status == 0, found.err
    assert genebench("compare", "layered:hidden=8", "train-mean", *where).status == 2


def test_a_model_with_lists_is_opened_explained_and_its_run_repeated(genebench, results, tmp_path):
    record = next(r for r in layered(results) if r.identity.params["hidden"] == (8, 4))
    saved = open_model(ResultsStore(results).model_path(record))
    assert saved.identity.params["hidden"] == (8, 4)
    explained = genebench(
        "explain", "layered:hidden=8:4", "--results", results, "--profile-clusters", 4
    )
    assert explained.status == 0, explained.err
    text = genebench("results", "config", record.key, "--results", results).out
    assert tomllib.loads(text)["runs"][0]["set"] == {"hidden": [8, 4], "curves": ["relu"]}
    suite = tmp_path / "again.toml"
    suite.write_text(text)
    again = json.loads(
        genebench("run", suite, "--results", results, "--keep-models", "--dry-run", "--json").out
    )
    assert record.key in json.dumps(again)


def test_a_suite_has_arrays_and_grids_of_arrays(genebench, file, tiny, tmp_path):
    suite = tmp_path / "suite.toml"
    suite.write_text(
        'preset = "tiny"\nprotocols = ["geo"]\n'
        '[[runs]]\nmethods = ["layered"]\nset = { curves = ["tanh", "relu"] }\n'
        "grid = { hidden = [[8, 4], [16, 2]] }\n"
        '[[runs]]\nmethods = ["layered"]\nname = "one layer"\nset = { hidden = 16 }\n'
    )
    where = ("--results", tmp_path / "results")
    done = genebench("run", suite, *where, "--quiet")
    assert done.status == 0, done.err
    assert {record.identity.params["hidden"] for record in layered(where[1])} == {
        (8, 4), (16, 2), (16,)
    }  # fmt: skip
    shown = genebench("report", "suite", suite, *where)
    assert shown.status == 0, shown.err
    assert {"hidden=8:4", "hidden=16:2"} <= set(shown.out.split())
    described = genebench("show", suite).out
    assert "hidden=8:4,16:2" in described
    assert "curves=tanh:relu" in described


def test_a_tuned_list_is_chosen_and_shown(genebench, file, tiny, tmp_path):
    done = genebench(
        "tune", "--method", "layered", "--grid", "hidden=8:4,64", "--protocol", "geo",
        "--preset", "tiny", "--results", tmp_path / "results",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "8:4" in done.out
    tuned = tasks.tune(
        "layered", {"hidden": [(8, 4), [64]]}, "geo", preset="tiny", results=tmp_path / "results"
    )
    assert set(tuned.trials["hidden"]) == {"8:4", "64"}
    assert tuned.edges(["hidden"]) == []


def test_a_bundle_holds_lists(results, tmp_path):
    store, out = ResultsStore(results), tmp_path / "bundle.zip"
    sent = [*store.records()]
    write_bundle(out, store, sent, {"name": "A", "contact": "a@example.org", "licence": ""})
    with opened(out) as (_, received):
        records = layered(received.root)
        assert sorted(record.identity.params["hidden"] for record in records) == [(8, 4), (16,)]
        assert {record.key for record in received.records()} == {record.key for record in sent}


def test_a_board_holds_lists(genebench, results, tmp_path):
    board = tmp_path / "board"
    done = genebench("leaderboard", results, "--out", board)
    assert done.status == 0, done.err
    pages = "".join(page.read_text() for page in board.rglob("*.html"))
    assert "hidden = 8:4" in pages or "hidden=8:4" in pages
    assert "(8, 4)" not in pages


@needs_landlock
def test_a_sealed_method_in_an_engine_of_processes_gets_tuples(
    genebench, plugin_file, monkeypatch, tiny, tmp_path
):
    # As for a user: the tests switch the seal off, and plugins are then imported here.
    monkeypatch.delenv("GENEBENCH_SEALED")
    plugin_file("layered", LAYERED)
    done = genebench(
        "run", "--methods", "layered", "--protocol", "geo", "--preset", "tiny", "--engine",
        "process", "--sealed", "require", "--keep-models", "--results", tmp_path / "results",
    )  # fmt: skip
    assert done.status == 0, done.err
    [record] = layered(tmp_path / "results")
    assert record.status == "done", record.failure
    assert record.seal.level == "landlock"
    assert record.choices["widths"] == (8, 4)


def test_an_empty_list_goes_from_the_command_to_the_record_and_back(
    genebench, plugin_file, tiny, tmp_path
):
    plugin_file("layered", LAYERED.replace("minimum=1, max_length=4", "minimum=1, min_length=0"))
    where = ("--results", tmp_path / "results")
    words = ("run", "--methods", "layered", "--protocol", "geo", "--preset", "tiny", *where)
    done = genebench(*words, "--set", "layered.hidden=")
    assert done.status == 0, done.err
    [record] = layered(where[1])
    assert record.identity.params["hidden"] == ()
    assert record.choices == {"widths": (), "curves": ()}
    text = genebench("results", "config", record.key, *where).out
    assert tomllib.loads(text)["runs"][0]["set"]["hidden"] == []
    suite = tmp_path / "again.toml"
    suite.write_text(text)
    again = genebench("run", suite, *where, "--dry-run", "--json")
    assert record.key in again.out


def test_a_method_with_lists_passes_the_checks(genebench, file):
    done = genebench("check", "layered", "--quiet")
    assert done.status == 0, done.out

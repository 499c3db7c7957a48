"""Tuning: parameters are chosen on the validation set, and the choice is tested once."""

from __future__ import annotations

import pandas as pd
import pytest

from genebench import UserError, api
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Settings
from genebench.runs.tune import Search, Tuned, tune
from genebench.specs import MethodSpec, Param

NET = MethodSpec(
    name="net", title="n", summary="s", code="x:y",
    params=(
        Param(name="epochs", default=270, minimum=1, help="h", presets={"tiny": 8}),
        Param(name="units", default=4, help="h"),
    ),
)  # fmt: skip


def search(**changes):
    arguments = {"method": NET, "preset": "paper", "grid": {"units": [str(n) for n in range(9)]}}
    return Search(**(arguments | changes))


def test_the_grid_is_every_combination():
    points = search(grid={"units": ["1", "2"], "epochs": ["3", "4"]}).points()
    assert [tuple(point.values()) for point in points] == [
        ("1", "3"), ("1", "4"), ("2", "3"), ("2", "4"),
    ]  # fmt: skip


def test_random_candidates_are_different_ones_of_the_grid_and_the_seed_decides():
    drawn = search(number=5).points()
    assert len({point["units"] for point in drawn}) == 5
    assert search(number=5).points() == drawn
    assert search(number=5, seed=1).points() != drawn


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [
        ({"halving": False}, [None]),
        ({"halving": True}, ["30", "90", "270"]),  # 9 candidates, 3, 1
        ({"halving": True, "number": 4}, ["90", "270"]),
        ({"halving": True, "number": 2}, ["270"]),
        ({"halving": True, "preset": "tiny"}, ["2", "8"]),  # no less than one epoch
        ({"halving": True, "fixed": {"epochs": "90"}}, ["10", "30", "90"]),
    ],
)
def test_halving_trains_a_third_as_long_for_each_round_that_drops_two_thirds(changes, epochs):
    assert [added.get("epochs") for added in search(**changes).rounds()] == epochs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"units": ["1"]}}, "one candidate is no choice"),
        ({"number": 10}, "the grid has 9 candidates"),
        ({"number": 1}, "Draw two or more"),
    ],
)
def test_a_search_without_a_choice_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        search(**changes).points()


def test_halving_needs_epochs_that_are_not_searched():
    with pytest.raises(UserError, match="Leave them out"):
        search(halving=True, grid={"epochs": ["1", "2"]}).rounds()
    bare = MethodSpec(name="bare", title="b", summary="s", code="x:y")
    with pytest.raises(UserError, match="bare has no epochs"):
        search(halving=True, method=bare).rounds()


ARGUMENTS = ("--dataset", "sim", "--preset", "tiny", "--quiet")
KNN = ("tune", "--method", "knn", "--grid", "k_max=1,2,20", *ARGUMENTS)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    from genebench.cli import invoke

    folder = tmp_path_factory.mktemp("tune") / "results"
    assert invoke([*KNN, "--results", str(folder)]) == 0
    return folder


def of_knn(folder):
    return [record for record in api.records(folder).records if record.identity.method == "knn"]


def test_candidates_are_compared_on_the_validation_set_and_only_the_choice_is_tested(folder):
    records = of_knn(folder)
    trials = [record for record in records if record.identity.is_trial]
    tested = [record for record in records if not record.identity.is_trial]
    assert len(trials) == 6
    for protocol in (GEO, GTEX):
        tried = {
            record.scores["mae"]["all"].mean: record.identity.params
            for record in trials
            if record.identity.test == record.identity.validation == str(protocol.validation)
        }
        assert len(tried) == 3
        [chosen] = [r for r in tested if r.identity.test == str(protocol.test)]
        assert chosen.identity.params == tried[min(tried)]


def test_a_trials_score_is_that_of_the_validation_profiles(folder, tiny):
    from genebench.method import Context
    from genebench.plugins.discovery import load_code

    [trial] = [
        record for record in of_knn(folder)
        if record.identity.is_trial and record.identity.params["k_max"] == 2
        and record.identity.protocol == "geo"
    ]  # fmt: skip
    train, validation = tiny.profiles(GEO.train), tiny.profiles(GEO.validation)
    method = load_code(registry().methods.get("knn").code)(k_max=2)
    model = method.fit(train, {"geo": validation}, Context())["geo"]
    error = abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert trial.scores["mae"]["all"].mean == pytest.approx(error, rel=1e-5)


def test_protocols_share_the_fit_of_a_candidate(folder):
    trials = [record for record in of_knn(folder) if record.identity.is_trial]
    assert {trial.shared_fit for trial in trials} == {("geo", "gtex")}


def test_the_same_command_again_does_nothing_again(folder, genebench):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = genebench(*KNN, "--results", folder)
    assert again.status == 0
    assert "chosen" in again.out
    assert "train-mean" in again.out, "controls are in every table"
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_the_choices_of_all_protocols_are_executed_at_once(tiny, tmp_path):
    """A scheduler is started once for the trials, and once for the choices."""
    store = ResultsStore(tmp_path / "results")
    settings = Settings(results=store.root)
    executed = []

    def plan(point, names, trials):
        return api.plan_run(
            ["knn"], names, "sim", preset="tiny", seeds=1, overrides={"knn": point},
            results=store.root, trials=trials,
        )  # fmt: skip

    def execute(merged):
        executed.append([evaluation.protocol for _, evaluation in merged.evaluations])
        list(api.execute_plan(merged.remaining(), settings))

    spec = registry().methods.get("knn")
    searched = Search(method=spec, preset="tiny", grid={"k_max": ["1", "20"]})
    tuned = tune(searched, ["geo", "gtex"], plan, execute, store)
    assert [{protocol.is_trial for protocol in protocols} for protocols in executed] == [
        {True}, {False},
    ]  # fmt: skip
    assert {protocol.name for protocol in executed[1]} == {"geo", "gtex"}
    tested = [(record.identity.protocol, record.identity.method) for record in tuned.records]
    methods = ("train-mean", "copy-twin", "knn")
    assert tested == [(name, method) for name in ("geo", "gtex") for method in methods]


def test_trials_stand_in_no_table_unless_they_are_asked_for(folder, genebench):
    assert "trials" not in genebench("report", "--results", folder).out
    table = api.records(folder).table
    scored = table[table["method"] == "knn"].groupby("scored_on")["key"].nunique()
    assert scored.to_dict() == {"validation": 6, "test": 2}
    shown = genebench("report", "--results", folder, "--trials").out
    assert shown.count("trials on its validation set") == 2
    assert ResultsStore(folder).keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "knnn", "--grid", "k_max=1,2"), "Did you mean knn"),
        (("--method", "knn", "--grid", "k=1,2"), "k_max"),
        (("--method", "knn", "--grid", "k_max=0,2"), "out of range"),
        (("--method", "knn", "--grid", "k_max=2"), "one candidate"),
        (("--method", "knn", "--grid", "k_max=1,2", "--halving"), "no epochs"),
        (("--method", "knn", "--grid", "k_max=1,2", "--grid", "lsr-l2.lambdas=3,4"), "lsr-l2"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(genebench, tmp_path, arguments, message):
    refused = genebench("tune", *arguments, *ARGUMENTS, "--results", tmp_path / "results")
    assert refused.status == 2
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


HALVING = (
    "tune", "--method", "dgex", "--grid", "lr=0.016,0.008,0.004,0.003,0.002,0.001,0.0005",
    "--random", "6", "--halving", "--protocol", "geo", "--set", "dgex.epochs=9",
    "--set", "dgex.units=20", "--set", "dgex.halves=1", "--set", "dgex.dropout=0", *ARGUMENTS,
)  # fmt: skip
"""Of six rates drawn from seven, two go on from 3 epochs to 9, where the faster falls behind."""


def test_of_candidates_drawn_at_random_the_last_round_of_halving_decides(genebench, tiny, tmp_path):
    done = genebench(*HALVING, "--results", tmp_path / "results")
    assert done.status == 0, done.err
    assert "geo: 8 trials" in done.out
    records = [r for r in api.records(tmp_path / "results").records if r.identity.method == "dgex"]
    rounds = {
        epochs: {
            record.scores["mae"]["all"].mean: record.identity.params["lr"]
            for record in records
            if record.identity.is_trial and record.identity.params["epochs"] == epochs
        }
        for epochs in (3, 9)
    }
    first, last = rounds[3], rounds[9]
    assert len(first) == 6
    assert set(last.values()) == {first[error] for error in sorted(first)[:2]}
    [tested] = [record.identity for record in records if not record.identity.is_trial]
    assert tested.params["lr"] == last[min(last)] != first[min(first)]
    assert tested.params["epochs"] == 9
    assert tested.test == str(GEO.test)


def test_a_choice_at_the_edge_of_its_grid_is_noted_for_its_protocol():
    trials = pd.DataFrame(
        {
            "protocol": ["geo"] * 3 + ["gtex"] * 3, "k_max": ["1", "5", "9"] * 2,
            "weights": ["a", "b", "a"] * 2, "chosen": [False, False, True, False, True, False],
        }
    )  # fmt: skip
    assert Tuned(trials, []).edges(["k_max", "weights"]) == [
        "geo: k_max=9 is at the edge of its grid. Try larger values, too."
    ]

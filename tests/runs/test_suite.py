"""Suites: comparisons as files."""

from __future__ import annotations

import re

import numpy as np
import pytest

from genebench import UserError, api, tasks
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.runs.suite import (
    Parameters,
    Run,
    Suite,
    grid_texts,
    read_suite,
    shipped_suites,
    texts,
)
from genebench.specs import PRESETS

GOOD = """
title = "k and λ"
preset = "tiny"
protocols = ["geo"]

[[runs]]
methods = ["knn", "knn-ge"]
grid = { k_max = [3, 5] }

[[runs]]
methods = ["lsr-l2"]
set = { lambdas = 3 }

[[runs]]
methods = ["knn"]
set = { k_max = 5 }
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def planned(path, results, **arguments):
    plan = api.plan_suite(read_suite(str(path)), results=results / "results", **arguments)
    return [
        (job.method.name, dict(job.params), [item.protocol.name for item in job.evaluations])
        for job in plan.jobs
        if not job.method.control
    ]


def test_every_combination_is_planned_and_what_two_runs_ask_for_is_done_once(suite, tiny, tmp_path):
    jobs = planned(suite, tmp_path)
    assert [(name, params.get("k_max")) for name, params, _ in jobs] == [
        ("knn", 3), ("knn", 5), ("knn-ge", 3), ("knn-ge", 5), ("lsr-l2", None),
    ]  # fmt: skip
    assert jobs[-1][1]["lambdas"] == 3
    assert all(protocols == ["geo"] for _, _, protocols in jobs)


def test_the_command_line_goes_before_the_suite(suite, tiny, tmp_path):
    assert all(p == ["geo", "gtex"] for _, _, p in planned(suite, tmp_path, protocols="geo,gtex"))


def test_a_suite_runs_and_its_tables_tell_the_settings_apart(suite, genebench, tiny, tmp_path):
    done = genebench("run", suite, "--results", tmp_path / "results", "--quiet")
    assert done.status == 0, done.err
    assert "k_max=3" in done.out
    again = genebench("run", suite, "--results", tmp_path / "results")
    assert "nothing to do" in again.err


def test_a_grid_on_the_command_line_is_the_same(suite, genebench, tiny, tmp_path):
    arguments = ("--preset", "tiny", "--protocol", "geo", "--results", tmp_path / "results", "-q")
    genebench("run", "--methods", "knn", "--grid", "k_max=3,5", *arguments)
    genebench("run", "--methods", "knn-ge", "--grid", "knn-ge.k_max=3,5", *arguments)
    genebench("run", "--methods", "lsr-l2", "--set", "lsr-l2.lambdas=3", *arguments)
    assert "nothing to do" in genebench("run", suite, "--results", tmp_path / "results").err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("grid", "gird"), "unknown key runs.0.gird"),
        (('methods = ["lsr-l2"]', "methods = []"), "runs.1.methods"),
        (('methods = ["lsr-l2"]', 'methods = ["lsr-l3"]'), "Did you mean lsr-l2"),
        (("k_max = [3, 5]", "kmax = [3, 5]"), "k_max"),
        (("[3, 5]", '["x"]'), "whole number"),
        (("[[runs]]", "[[runs"), "not TOML"),
        (('preset = "tiny"', 'preset = "huge"'), "unknown preset"),
        (("[3, 5]", "[]"), "runs.0.grid.k_max: this list is empty"),
        (("[[runs]]", '[[runs]]\nname = "k"'), "runs.0: a name is for one method"),
        (('["knn", "knn-ge"]', "[]"), "runs.0.methods: this list is empty"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(suite, genebench, tmp_path, change, message):
    suite.write_text(GOOD.replace(*change, 1))
    refused = genebench("run", suite, "--results", tmp_path / "results")
    assert refused.status == 2
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tabel2",), "Did you mean table2"),
        (("none.toml",), "no such file"),
        (("table1", "--methods", "lsr"), "Leave out --methods"),
        (("--methods", "knn", "--grid", "k_max"), "Write PARAM=VALUE"),
        (("--methods", "knn", "--grid", "lsr-l2.lambdas=3"), "not among the methods"),
        (("--methods", "knn", "--grid", "k_max=3", "--grid", "k_max=4"), "Give it one --grid"),
    ],
)
def test_a_wrong_command_is_one_line(genebench, tmp_path, arguments, message):
    refused = genebench("run", *arguments, "--results", tmp_path / "results")
    assert refused.status == 2
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("name", shipped_suites())
def test_every_shipped_suite_can_be_planned(name, tiny, tmp_path):
    suite = read_suite(name)
    assert suite.title
    plan = api.plan_suite(suite, preset="tiny", results=tmp_path)
    assert len(plan.jobs) > len(suite.runs)


STEPS = (
    ("D-GEX", "one network", {"halves"}),
    ("tanh, MSE, SGD", "+ leaky ReLU", {"activation"}),
    ("+ leaky ReLU", "+ Adam", {"optimiser", "lr"}),
    ("+ Adam", "+ weight norm", {"norm"}),
    ("+ weight norm", "+ input dropout", {"drop_input"}),
    ("+ input dropout", "L1 in place of MSE", {"error"}),
    ("L1 in place of MSE", "L1, consistency", {"cons"}),
    ("L1 in place of MSE", "L1, adversary", {"adv"}),
    ("L1, adversary", "L1, adversary, mask", {"mask_start"}),
    ("L1, consistency", "L1, consistency, adversary", {"adv"}),
    ("L1, consistency, adversary", "+ mask: GGAN (fc)", {"mask_start"}),
    ("+ mask: GGAN (fc)", "+ dense: GGAN", {"dense", "output_sees"}),
    ("+ dense: GGAN", "GGAN, layers added", {"combine"}),
    ("+ dense: GGAN", "GGAN, absolute error summed", {"adv", "cons"}),
    ("+ dense: GGAN", "GGAN, consistency without gradient", {"cons_gradient"}),
    ("+ dense: GGAN", "GGAN, one mask an epoch, to 0.99", {"mask_refresh", "mask_end"}),
    ("+ dense: GGAN", "GGAN, leaky output of D", {"disc_output"}),
    (
        "+ dense: GGAN",
        "Expresto's reading",
        {"combine", "adv", "cons", "cons_gradient", "mask_refresh", "mask_end", "disc_output"},
    ),
)
ADVERSARY = {"gan", "loss_scale", "disc_units", "disc_rate"}
"""What only tells an adversary how to play: without one it is without effect."""


def in_effect(run, preset):
    """All parameters of a method, those that it does not declare with their fixed values."""
    spec = registry().methods.get(run.methods[0])
    return load_code(spec.code)(**spec.values(preset, texts(run.at(preset).set))).params


@pytest.mark.parametrize("preset", PRESETS)
def test_a_step_of_the_ablation_changes_one_thing(preset):
    rows = {run.name: in_effect(run, preset) for run in read_suite("ablation").runs}
    assert rows.keys() == {name for one, other, _ in STEPS for name in (one, other)}
    for one, other, changed in STEPS:
        before, after = rows[one], rows[other]
        differs = {name for name in before if before[name] != after[name]} - ADVERSARY
        # Adam may do with the rate that descent has.
        assert differs - {"lr"} == changed - {"lr"}, other
        assert differs <= changed, other


@pytest.mark.parametrize("preset", ["small", "tiny"])
def test_all_rows_of_the_ablation_have_networks_and_batches_alike(preset):
    alike = ("layers", "units", "dropout", "batch", "epochs")
    every = [in_effect(run, preset) for run in read_suite("ablation").runs]
    assert len({tuple(params[name] for name in alike) for params in every}) == 1


def test_a_dry_run_takes_the_preset_from_the_suite(suite, genebench, tiny, tmp_path):
    shown = genebench("run", suite, "--dry-run", "--results", tmp_path / "results")
    assert shown.status == 0
    assert "k_max=3" in shown.out
    suite.write_text(GOOD.replace('"tiny"', '"huge"'))
    assert genebench("run", suite, "--dry-run").status == 2


def test_all_methods_may_have_a_grid_when_they_have_the_parameter(genebench, tiny, tmp_path):
    arguments = (
        "--grid",
        "k_max=3,5",
        "--preset",
        "tiny",
        "--dry-run",
        "--results",
        tmp_path / "r",
    )
    refused = genebench("run", *arguments)
    assert refused.status == 2
    assert "no parameter of" in refused.err


def test_suites_are_found_by_name_or_path_only(tmp_path):
    with pytest.raises(UserError, match="unknown suite"):
        read_suite("../suites/table1")


def test_values_become_what_one_types():
    values = {"a": 1, "b": [0.5, 1e-3], "c": "x", "d": True}
    assert texts(values) == {"a": "1", "b": "0.5:0.001", "c": "x", "d": "true"}


@pytest.mark.parametrize("values", [(3, 5), range(3, 6, 2), np.array([3, 5])])
def test_a_grid_from_python_may_be_any_sequence(values):
    assert grid_texts({"knn": {"k_max": values}}) == {"knn": {"k_max": ["3", "5"]}}


@pytest.mark.parametrize("values", [5, "5,10", [], None])
def test_a_grid_from_python_that_is_no_list_is_one_line(values):
    with pytest.raises(UserError, match=re.escape(f"The grid of p is {values!r}. Give a list")):
        grid_texts({"m": {"p": values}})


@pytest.mark.parametrize(
    "given",
    [{"params": {"ensemble": {"members": ["lsr", "knn"]}}},
     {"grid": {"ensemble": {"members": ["lsr,knn", ["lsr", "knn"]]}}}],
)  # fmt: skip
def test_a_list_for_a_parameter_that_is_none_is_one_line(tiny, tmp_path, given):
    """Otherwise the text would have a colon in it."""
    with pytest.raises(UserError, match=r"^ensemble\.members has one value, not a list: \['lsr'"):
        api.run("ensemble", "geo", "sim", preset="tiny", results=tmp_path, **given)
    with pytest.raises(UserError, match=r"^ensemble\.members has one value"):
        tasks.tune("ensemble", {"members": ["lsr", ["lsr", "knn"]]}, "geo", preset="tiny")


def test_a_preset_takes_its_own_values_and_else_those_of_the_next_larger_one():
    run = Run(
        methods=["dgex"], set={"dropout": 0.25}, grid={"layers": [1, 2], "units": [3000, 6000]},
        small=Parameters(grid={"units": [300]}), tiny=Parameters(set={"dropout": 0.0}),
    )  # fmt: skip
    grids = {preset: run.at(preset).grid for preset in PRESETS}
    assert grids == {
        "paper": {"layers": [1, 2], "units": [3000, 6000]},
        "small": {"layers": [1, 2], "units": [300]},
        "tiny": {"layers": [1, 2], "units": [300]},
    }
    dropouts = {preset: run.at(preset).set["dropout"] for preset in PRESETS}
    assert dropouts == {"paper": 0.25, "small": 0.25, "tiny": 0.0}


@pytest.mark.parametrize(("preset", "expected"), [("tiny", [2]), ("small", [4])])
def test_the_plan_is_that_of_the_preset_in_effect(tiny, tmp_path, preset, expected):
    run = {"methods": ["knn"], "grid": {"k_max": [4]}, "tiny": {"grid": {"k_max": [2]}}}
    suite = Suite(preset=preset, protocols=["geo"], runs=[run])
    plan = api.plan_suite(suite, "sim", preset=preset, results=tmp_path / "results")
    jobs = [job for job in plan.jobs if job.method.name == "knn"]
    assert [job.params["k_max"] for job in jobs] == expected


def test_a_preset_that_there_is_not_is_an_unknown_key(suite, genebench):
    suite.write_text(GOOD.replace("grid = ", "smal.grid = ", 1))
    refused = genebench("run", suite)
    assert refused.status == 2
    assert "unknown key runs.0.smal" in refused.err


def test_a_suite_may_say_what_tables_call_methods(suite, genebench, tiny, tmp_path):
    suite.write_text(GOOD.replace("[[runs]]", '[names]\nlsr-l2 = "Ridge"\n\n[[runs]]', 1))
    done = genebench("run", suite, "--results", tmp_path / "results", "--quiet")
    assert done.status == 0, done.err
    assert "Ridge" in done.out
    assert "lsr-l2" not in done.out


def test_a_run_may_have_a_name_of_its_own(suite, genebench, tiny, tmp_path):
    suite.write_text(f'{GOOD}name = "KNN of five"\n')
    done = genebench("run", suite, "--results", tmp_path / "results", "--quiet")
    assert done.status == 0, done.err
    assert "KNN of five" in done.out
    assert "knn (k_max=5)" not in done.out

"""Protocols with folds: planned, run, reported and checked."""

from __future__ import annotations

import json

import pytest

from genebench import api
from genebench.data.store import Dataset
from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.runs.plan import each_fold, split_digests

PLUGIN = """
import genebench
from genebench.specs import Part, ProtocolSpec, SplitSpec

genebench_contract = 1


def parts(platform, **options):
    return {
        role: Part(platform=platform, split=role, **options)
        for role in ("train", "validation", "test")
    }


@genebench.hookimpl
def genebench_protocols():
    return [
        ProtocolSpec(name="tissues", title="t", summary="s", folds="leave-one-out",
                     **parts("gtex", by="group", column="tissue", statistics="train")),
        ProtocolSpec(name="again", title="t", summary="s", repeats=3, **parts("geo")),
        ProtocolSpec(name="donorless", title="t", summary="s", folds="leave-one-out",
                     **parts("gtex", by="group", column="weather")),
        ProtocolSpec(name="strict", title="t", summary="s", folds=3,
                     **parts("geo", by="group", statistics="train")),
        ProtocolSpec(name="chance", title="t", summary="s", **parts("gtex", by="chance")),
        ProtocolSpec(name="fixed", title="t", summary="s", repeats=2, **parts("gtex", by="fixed")),
        ProtocolSpec(name="few", title="t", summary="s",
                     train=Part(platform="geo", split="train"), validation=Part(platform="1000g"),
                     test=Part(platform="gtex", where={"donor": ("SIMDONOR00001",)})),
    ]


@genebench.hookimpl
def genebench_splits():
    return [
        SplitSpec(name="chance", title="t", summary="s", code="folded:chance"),
        SplitSpec(name="fixed", title="t", summary="s", code="folded:fixed"),
    ]


def chance(profiles, seed):
    import random

    return [random.choice(["train", "validation", "test"]) for _ in range(len(profiles))]


def fixed(profiles, seed):
    return ["test", "validation", *["train"] * (len(profiles) - 2)]
"""


@pytest.fixture
def folded(plugin_file):
    plugin_file("folded", PLUGIN)
    return registry().protocols


def plan(protocol, folder, methods="train-mean"):
    return api.plan_run(
        methods, protocol, "sim", preset="tiny", seeds=1, overrides={}, results=folder
    )


def names(planned):
    return [evaluation.protocol.name for _, evaluation in planned.evaluations]


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    """Return a folder of two methods under the five folds of GEO."""
    folder = tmp_path_factory.mktemp("folds") / "results"
    api.run("lsr,knn", "geo-5fold", "sim", preset="tiny", results=folder)
    return folder


def test_a_protocol_with_folds_is_a_job_for_each(tiny, tmp_path):
    planned = plan("gtex-loto", tmp_path)
    assert names(planned)[:6] == [
        "gtex-loto.lcl", *(f"gtex-loto.tissue-0{n}" for n in range(1, 6))
    ]  # fmt: skip
    assert len({job.key for job in planned.jobs}) == len(planned.jobs) == 12  # and copy-twin


def test_keys_are_the_same_in_every_plan_and_differ_between_folds(tiny, tmp_path):
    keys = [evaluation.key for _, evaluation in plan("geo-5fold", tmp_path).evaluations]
    assert keys == [evaluation.key for _, evaluation in plan("geo-5fold", tmp_path).evaluations]
    assert len(set(keys)) == 10


def test_all_protocols_are_those_without_folds():
    chosen = [spec.name for spec in registry().protocols.choose(["all"])]
    assert "geo" in chosen
    assert "geo-5fold" not in chosen
    assert [s.name for s in registry().protocols.choose(["all", "geo-5fold"])][-1] == "geo-5fold"


def test_the_digest_of_a_fold_knows_the_profiles_of_all_folds(tiny):
    folds = each_fold(registry().protocols.get("gtex-loto"), tiny, registry())
    digests = [split_digests(fold, Dataset(tiny.root), registry()) for fold in folds]
    assert len({digest["all folds"] for digest in digests}) == 1
    assert digests[0]["all folds"].startswith("leave-one-out/6/")
    assert len({digest["rows of test"] for digest in digests}) == 6


def test_folds_are_reported_as_one_row_and_one_by_one_on_request(results, genebench):
    out = genebench("report", "--results", results, "--json").out
    table = [row for row in json.loads(out) if row["metric"] == "mae" and row["panel"] == "all"]
    assert {row["protocol"] for row in table} == {"geo-5fold"}
    folds = json.loads(genebench("report", "folds", "--results", results, "--json").out)
    mae = [row["mean"] for row in folds
           if (row["method"], row["metric"], row["panel"]) == ("lsr", "mae", "all")]  # fmt: skip
    [mean] = [row["mean"] for row in table if row["method"] == "lsr"]
    assert len(mae) == 5
    assert mean == pytest.approx(sum(mae) / 5)
    shown = genebench("report", "folds", "--results", results).out
    assert "± over folds" in shown


def test_methods_are_tested_across_folds(results, genebench):
    outcome = genebench("compare", "lsr", "knn", "--results", results, "--notes")
    assert "geo-5fold" in outcome.out
    assert "the corrected resampled t test over folds" in " ".join(outcome.out.split())
    assert "400 profiles in 19 groups" in outcome.out
    assert "lsr" in genebench("report", "ranks", "--results", results).out


def test_a_report_of_one_fold_is_asked_for_by_its_name(results, genebench):
    out = genebench("report", "--results", results, "--protocol", "geo-5fold.2").out
    assert "sim · geo-5fold.2 · data" in out
    out = genebench("report", "--results", results, "--protocol", "geo-5fold").out
    assert "sim · geo-5fold · 5 folds · data" in out


def test_a_method_without_all_folds_has_no_mean(results, genebench, tiny, tmp_path):
    folder = tmp_path / "results"
    api.run("train-mean", ["geo-5fold.1", "geo-5fold.4"], "sim", preset="tiny", results=folder)
    out = " ".join(genebench("report", "--results", folder).out.split())
    assert "train-mean has no mean over folds: 2 of 5 folds done, 3 not run" in out


def test_a_fold_is_loaded_and_the_whole_is_not(tiny):
    assert len(api.load("sim", "geo-5fold.2", preset="tiny").test)
    with pytest.raises(UserError, match=r"has folds, and one is needed here.*geo-5fold\.1"):
        api.load("sim", "geo-5fold", preset="tiny")


@pytest.mark.parametrize(
    ("protocol", "error"),
    [
        ("donorless", "no column weather"),
        ("fixed", "does not depend on the seed"),
        ("geo-5fold.6", "has no fold '6'"),
        ("tissues.moon", "there is no fold 'moon'. Folds: lcl, tissue-01"),
    ],
)
def test_folds_that_cannot_be_made_are_refused_before_a_run(
    tiny, folded, tmp_path, protocol, error
):
    with pytest.raises(UserError, match=error):
        plan(protocol, tmp_path / "results")


def test_folds_with_training_quantiles_need_a_preparation_that_knew_them(tiny, folded):
    part = registry().protocols.get("strict.1").test
    with pytest.raises(UserError, match="data prepare --force"):
        Dataset(tiny.root).profiles(part)


def test_training_subsets_are_subsets_of_each_fold(tiny, tmp_path):
    planned = plan("geo-5fold-n50", tmp_path)
    assert names(planned)[0] == "geo-5fold.1-n50"
    identity = planned.jobs[0].evaluations[0].identity
    assert (identity.family, identity.fold) == ("geo-5fold-n50", "1")


@pytest.mark.parametrize(
    ("protocol", "failed"),
    [
        ("tissues", []),
        ("again", []),
        ("chance", ["gives_the_same_split_again"]),
        ("few", ["can_tell_methods_apart"]),
    ],
)
def test_checks_of_protocols_find_what_is_wrong(tiny, folded, genebench, protocol, failed):
    outcome = genebench("check", protocol, "--quiet")
    assert outcome.status == bool(failed), outcome.out
    rules = ("gives_the_same_split_again", "can_tell_methods_apart", "has_profiles_in_every_part")
    assert [name for name in rules if f"[{name}]" in outcome.out] == failed

"""``genebench explain``: panels, one gene, one profile, and what is refused before any work."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

import genebench as package
from genebench import UserError, api
from genebench.cli import explain as command
from genebench.explaining import making
from genebench.explaining.explanation import ABOUT, Explanation
from genebench.explaining.settings import settings_from
from genebench.results.store import ResultsStore

QUICK = {"profile_clusters": 4, "target_clusters": 5, "landmark_groups": 3, "top": 6}
FEW = ("--profile-clusters", 4, "--target-clusters", 5, "--landmark-groups", 3, "--top", 6)


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """Return a folder with lsr and its kept model; nobody writes to it."""
    folder = tmp_path_factory.mktemp("explain") / "results"
    api.run("lsr", "geo", "sim", preset="tiny", results=folder, keep="model")
    return folder


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Draw nothing, because a figure takes seconds, unless a test is about figures."""
    if "drawn" not in request.fixturenames:
        from genebench.reports.figures import relevance

        monkeypatch.setattr(relevance, "draw_if_possible", lambda *_: [])


@pytest.fixture
def drawn():
    """Let this test draw."""


def record_of(results, method="lsr"):
    return next(
        record for record in ResultsStore(results).records() if record.identity.method == method
    )


def test_panels_are_printed_and_kept_beside_the_record(genebench, results):
    done = genebench("explain", "lsr", "--results", results, *FEW)
    assert done.status == 0, done.err
    for said in (
        "clusters of profiles", "tissue-", "conservation error", "Twins:", "Bias:", "SIM0",
        "not checked: one seed", "+ raises predictions", "+ they rise with it",
    ):  # fmt: skip
        assert said in done.out
    folder = results / f"{record_of(results).key}.explanation"
    assert f"wrote {folder}" in done.out
    assert Explanation.read(folder).about["key"] == record_of(results).key
    # The folder of results is still one.
    assert genebench("results", "verify", "--results", results).status == 0


def test_json_has_settings_checks_and_landmarks(genebench, results):
    done = genebench("explain", "lsr@geo", "--results", results, *FEW, "--json")
    found = json.loads(done.out)
    assert found["settings"]["target_clusters"] == 5
    assert found["method"] == "lsr"
    assert len(found["top"]) == (4 + 5) * 6
    assert {"measure", "value", "sound"} <= found["trust"][0].keys()


def test_a_model_is_named_by_path_or_key(genebench, results, tmp_path):
    record = record_of(results)
    path = ResultsStore(results).model_path(record)
    for name in (path, record.key[:8]):
        done = genebench("explain", name, "--results", results, *FEW, "--json")
        assert json.loads(done.out)["key"] == record.key
    lonely = shutil.copy(path, tmp_path / "lonely.safetensors")
    nowhere = genebench("explain", lonely, "--results", tmp_path / "none", *FEW)
    assert nowhere.status == 2
    assert "Name a folder with --out" in nowhere.err
    out = tmp_path / "o"
    done = genebench("explain", lonely, "--results", tmp_path / "none", *FEW, "--out", out)
    assert done.status == 0
    assert (out / ABOUT).exists()


def test_the_explanation_of_a_model_elsewhere_is_kept_beside_its_record(
    genebench, results, tmp_path, monkeypatch
):
    record = record_of(results)
    lonely = shutil.copy(ResultsStore(results).model_path(record), tmp_path / "lonely.safetensors")
    done = genebench("explain", lonely, "--results", results, *FEW)
    assert done.status == 0, done.err
    kept = results / f"{record.key}.explanation"
    assert (kept / ABOUT).exists()
    shutil.rmtree(kept)
    monkeypatch.chdir(tmp_path)
    inside = ResultsStore(results).model_path(record)
    api.explain(inside, profile_clusters=4, target_clusters=5, landmark_groups=3)
    assert (kept / ABOUT).exists()


def test_what_its_model_has_may_be_named_again(genebench, results):
    record = record_of(results)
    same = ("--protocol", "geo", "--dataset", "sim", "--preset", "tiny")
    for name in (record.key, ResultsStore(results).model_path(record)):
        assert genebench("explain", name, "--results", results, *FEW, *same).status == 0


def test_files_of_a_user_stop_an_explanation_before_it_is_made(
    genebench, results, tmp_path, monkeypatch
):
    assert genebench("explain", "lsr", "--results", results, *FEW).status == 0
    kept = results / f"{record_of(results).key}.explanation"
    (kept / "notes.txt").write_text("mine")
    monkeypatch.setattr(making, "explanation_of", None)
    done = genebench("explain", "lsr", "--results", results, *FEW)
    assert done.status == 2
    assert "notes.txt" in done.err
    assert (kept / "notes.txt").exists()


def test_the_seed_of_permutations_is_that_of_the_option(genebench, results, tiny):
    command = ("explain", "lsr", "--results", results, "--rule", "permutation", "--json",
               "--gene", tiny.target_genes.index[0])  # fmt: skip
    zero, again, one = (
        json.loads(genebench(*command, "--seed", seed).out)["landmarks"] for seed in (0, 0, 1)
    )
    assert zero == again != one
    assert all(row["error"] > 0 for row in zero[:3])


def test_a_kept_explanation_is_used_again_only_with_the_settings_of_a_suite(results, monkeypatch):
    monkeypatch.setattr(making, "Settings", lambda: settings_from(QUICK))
    record = record_of(results)
    kept = results / f"{record.key}.explanation"
    api.explain("lsr", results=results, **{**QUICK, "top": 7})
    assert len(making.explained(record, results).of_clusters("targets")) == 5
    assert making.explained(record, results).about["settings"]["top"] == 6
    # The user's own stays.
    assert Explanation.read(kept).about["settings"]["top"] == 7
    shutil.rmtree(kept)
    first = making.explained(record, results)
    assert Explanation.read(kept).about == first.about
    with monkeypatch.context() as patched:
        patched.setattr(making, "explanation_of", None)
        assert making.explained(record, results).about == first.about
    # Another seed was trained meanwhile.
    monkeypatch.setattr(making, "other_seeds", lambda *_: {"f" * 24: None})
    made = []
    real = making.explanation_of
    monkeypatch.setattr(making, "explanation_of", lambda *a, **k: made.append(1) or real(*a, **k))
    making.explained(record, results)
    assert made


def test_other_seeds_are_opened_for_panels_only(genebench, tmp_path, monkeypatch, tiny):
    from genebench.explaining import subject

    results = tmp_path / "results"
    api.run("dgex", "geo", "sim", preset="tiny", results=results, keep="model", seeds=2,
            params={"dgex": {"epochs": 1}})  # fmt: skip
    opened = []
    real = subject.open_model
    monkeypatch.setattr(subject, "open_model", lambda *a: opened.append(a) or real(*a))
    gene = tiny.target_genes.index[0]
    assert genebench("explain", "dgex", "--results", results, "--gene", gene).status == 0
    assert len(opened) == 1
    done = genebench("explain", "dgex", "--results", results, *FEW)
    assert "rank correlation over 2 seeds" in done.out
    assert len(opened) == 3


def test_a_method_without_a_kept_model_is_run_first(genebench, tmp_path):
    results = tmp_path / "results"
    command = ("explain", "lsr-l2:lambdas=3", "--preset", "tiny", "--results", results, *FEW)
    done = genebench(*command, "--json")
    assert done.status == 0, done.err
    record = record_of(results, "lsr-l2")
    assert record.identity.params["lambdas"] == 3
    assert json.loads(done.out)["key"] == record.key
    # The second time, nothing is run.
    assert "lsr-l2 on sim" not in genebench(*command).err


def test_a_record_without_a_model_is_run_again_with_its_parameters(genebench, tmp_path):
    results = tmp_path / "results"
    params = {"lsr-l2": {"lambdas": 4}}
    api.run("lsr-l2", "geo", "sim", preset="tiny", results=results, params=params)
    key = record_of(results, "lsr-l2").key
    assert genebench("explain", "lsr-l2", "--results", results, *FEW).status == 0
    assert record_of(results, "lsr-l2").key == key
    assert record_of(results, "lsr-l2").model


def test_one_gene_is_explained_with_how_well_it_is_predicted(genebench, results, tiny):
    gene = tiny.target_genes[tiny.target_genes["twin"]].iloc[0]
    for name in (gene["symbol"], gene.name):
        done = genebench("explain", "lsr", "--results", results, "--gene", name, "--json")
        found = json.loads(done.out)
        assert found["gene"] == gene.name
        assert found["twin"]
        assert sum(row["share"] for row in found["landmarks"]) == pytest.approx(1)
    scores = {row["metric"]: row for row in found["scores"]}
    record = record_of(results)
    values = ResultsStore(results).vectors(record)
    place = list(values["gene.id"]).index(gene.name)
    assert scores["mae"]["value"] == pytest.approx(values["gene-metric.mae"][place])
    worse = (values["gene-metric.mae"] > values["gene-metric.mae"][place]).mean()
    assert scores["mae"]["better"] == pytest.approx(worse)
    shown = genebench("explain", "lsr", "--results", results, "--gene", gene["symbol"])
    assert "its own twin" in shown.out
    assert "better than" in shown.out


@pytest.mark.parametrize("method", ["knn", "sample-lasso"])
def test_the_training_profiles_behind_a_prediction_are_shown(genebench, tmp_path, tiny, method):
    test = package.load("sim", "geo", preset="tiny").test
    profile = test.profiles.index[0]
    results = tmp_path / "results"
    options = ("--preset", "tiny", "--results", results, "--profile", profile)
    fast = {"knn": method, "sample-lasso": f"{method}:penalties=2,validation_profiles=5"}[method]
    done = genebench("explain", fast, *options, "--json")
    assert done.status == 0, done.err
    donors = pd.DataFrame(json.loads(done.out)["donors"])
    assert set(donors["id"]) <= set(package.load("sim", "geo", preset="tiny").train.profiles.index)
    assert donors["share"].sum() == pytest.approx(1)
    assert list(donors["weight"].abs()) == sorted(donors["weight"].abs(), reverse=True)
    assert "training profiles" in genebench("explain", fast, *options).out


def test_gene_sets_are_tested_and_kept(genebench, results, tiny, tmp_path):
    cluster = json.loads(genebench("explain", "lsr", "--results", results, *FEW, "--json").out)
    key = cluster["key"]
    targets = Explanation.read(results / f"{key}.explanation").targets
    members = targets[targets["cluster"] == 1]["symbol"]
    (tmp_path / "sets.gmt").write_text("planted\t\t" + "\t".join(members[:20]) + "\n")
    done = genebench("explain", "lsr", "--results", results, *FEW, "--gmt", tmp_path / "sets.gmt")
    assert "planted" in done.out
    kept = Explanation.read(results / f"{key}.explanation").enrichment
    found = kept[(kept["list"] == "targets of cluster") & (kept["cluster"] == 1)].iloc[0]
    assert found["q"] < 1e-6
    assert found["background"] == len(tiny.target_genes)


@pytest.mark.usefixtures("drawn")
def test_figures_are_drawn_with_text_that_stays_text(genebench, results, tmp_path):
    done = genebench("explain", "lsr", "--results", results, *FEW, "--out", tmp_path / "out")
    assert done.status == 0
    kept = results / f"{record_of(results).key}.explanation"
    for folder in (tmp_path / "out", kept):
        assert {f"panel-{letter}.png" for letter in "abcd"} <= {p.name for p in folder.iterdir()}
    drawing = ET.parse(tmp_path / "out" / "panel-b.svg")
    parts = drawing.iter("{http://www.w3.org/2000/svg}text")
    words = " ".join("".join(text.itertext()) for text in parts)
    top = Explanation.read(kept).top
    assert set(top[top["kind"] == "profiles"]["symbol"]) <= set(words.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch",), "unknown method 'nosuch'"),
        (("lsr@nosuch",), "unknown protocol 'nosuch'"),
        (("lsr@geo", "--protocol", "gtex"), "contradicts it"),
        (("abcdef0",), "no result has a key that begins with abcdef0"),
        (("lsr", "--rule", "magic"), "unknown rule of relevance 'magic'"),
        (("lsr", "--rule", "lrp-gamma", *FEW), "rule lrp-gamma: the model does not have it"),
        (("lsr", "--profile-clusters", 41), "40 profiles are too few for 41 clusters"),
        (("lsr", "--gene", "SIM9999"), "no target of this dataset. Did you mean"),
        (("lsr", "--gene", "TP53"), "Dataset sim-tiny has 160 targets of the 160 in its map"),
        (("lsr", "--profile", "nobody"), "nobody: no test profile of geo"),
        (("lsr", "--profile", "SIM-geo-000010"), "are not made of training profiles"),
        (("lsr", "--gene", "a", "--profile", "b"), "two questions"),
        (("lsr", "--gene", "a", "--out", "b"), "--out is for panels"),
        (("lsr", "--gmt", "missing.gmt"), "missing.gmt: cannot be read"),
        (("lsr", "--label", "organ", *FEW), "unknown column of the profile table 'organ'"),
        (("missing.safetensors",), "no such file"),
        (("lsr:foo",), "foo is not an assignment"),
        (("lsr:",), "nothing is not an assignment"),
        (("lsr", "--gene", "a", "--top", 3), "--top is for panels, not for --gene"),
        (("lsr", "--profile", "a", "--seed", 3), "--seed is for panels, not for --profile"),
        (("lsr", "--profile", "a", "--rule", "exact"), "--rule is for panels, not for --profile"),
        (("KEY", "--protocol", "gtex"), "is of protocol geo, so --protocol gtex cannot be had"),
        (("KEY", "--dataset", "u133"), "is of dataset sim, so --dataset u133 cannot be had"),
        (("PATH", "--preset", "small"), "is of preset tiny, so --preset small cannot be had"),
        (("PATH", "--protocol", "gtex"), "is of protocol geo"),
    ],
)
def test_mistakes_are_one_line_and_status_2(genebench, results, arguments, message):
    record = record_of(results)
    named = {"KEY": record.key, "PATH": ResultsStore(results).model_path(record)}
    arguments = [named.get(part, part) for part in arguments]
    done = genebench("explain", *arguments, "--results", results)
    assert done.status == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(results.glob("*.explanation"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--gene", "TP53"), ("--profile", "nobody"), ("--profile-clusters", 41),
        ("--label", "organ"), ("--gmt", "UNKNOWN"),
    ],
)  # fmt: skip
def test_what_can_only_fail_is_refused_before_a_method_is_run(
    genebench, tmp_path, monkeypatch, arguments
):
    (tmp_path / "u.gmt").write_text("set\t\tnobody\tnothing\n")
    arguments = [tmp_path / "u.gmt" if item == "UNKNOWN" else item for item in arguments]

    def never(*_, **__):
        raise AssertionError("a method was run")

    monkeypatch.setattr(command, "_execute", never)
    results = tmp_path / "results"
    done = genebench("explain", "lsr", "--preset", "tiny", "--results", results, *arguments)
    assert done.status == 2, done.err
    assert not results.exists()


def test_a_gene_that_is_only_a_landmark_is_named_as_such(genebench, results, tiny):
    landmark = tiny.landmark_genes[~tiny.landmark_genes["twin"]]["symbol"].iloc[0]
    done = genebench("explain", "lsr", "--results", results, "--gene", landmark)
    assert done.status == 2
    assert "a landmark and no target" in done.err


def test_an_interrupt_leaves_no_half_of_an_explanation(genebench, results, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Explanation, "_write", interrupted)
    assert genebench("explain", "lsr", "--results", results, *FEW).status == 130
    assert not list(results.glob("*explanation*"))


def test_python_gives_the_same_as_tables(results):
    found = package.explain(
        "lsr", results=results, profile_clusters=4, target_clusters=5, landmark_groups=3
    )
    assert found.profile_relevance.shape == (32, 4)
    assert (results / f"{found.about['key']}.explanation" / ABOUT).exists()
    with pytest.raises(UserError, match="unknown setting of an explanation"):
        package.explain("lsr", results=results, clusters=3)


def test_a_method_that_fails_is_named(genebench, tmp_path, plugin_file):
    path = plugin_file(
        "broken_method",
        "from genebench import Method, hookimpl\n"
        "from genebench.specs import MethodSpec\n"
        "genebench_contract = 1\n"
        "class Broken(Method):\n"
        "    def fit(self, train, validation_sets, context):\n"
        "        raise ValueError('no luck')\n"
        "@hookimpl\n"
        "def genebench_methods():\n"
        "    return [MethodSpec(name='broken', title='Broken', summary='fails',\n"
        "                       code='broken_method:Broken')]\n",
    )
    done = genebench(
        "explain", "broken", "--plugin", path, "--preset", "tiny", "--results", tmp_path / "r"
    )
    assert done.status == 2
    assert "broken failed: ValueError: no luck" in done.err

"""Trust in numbers: neither a method nor a changed file alters a score unnoticed."""

from __future__ import annotations

import shutil

import pytest

from genebench.api import records, run
from genebench.cli import invoke
from genebench.data.verification import changed_files
from genebench.datasets.library import open_dataset
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry


@pytest.fixture
def fresh_registry():
    """Discover plugins anew in a test, and again after it."""

    def forget():
        installed.cache_clear()
        registry.cache_clear()

    forget()
    yield forget
    forget()


def changed(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def test_a_method_that_alters_what_it_is_given_alters_no_score(
    install, fresh_registry, tiny, tmp_path
):
    install(
        "meddler",
        """
        from genebench import Method, Model, hookimpl
        from genebench.specs import MethodSpec
        genebench_contract = 1

        class Zero(Model):
            def predict(self, landmarks):
                return landmarks[:, :1] * 0 + [0.0] * self.targets

        class Meddler(Method):
            def fit(self, train, validation_sets, context):
                model = Zero()
                model.targets = len(train.target_genes)
                train.target_genes["twin"] = True
                train.target_genes["symbol"] = "?"
                train.target_genes.index = train.target_genes.index[::-1]
                train.profiles["split"] = "test"
                return dict.fromkeys(validation_sets, model)

        @hookimpl
        def genebench_methods():
            return [MethodSpec(name="meddler", title="m", summary="s", code="meddler:Meddler")]
        """,
    )
    results = run("meddler", "geo", "sim", preset="tiny", results=tmp_path / "results")
    honest, meddler = (
        next(found for found in results.records if found.identity.method == name)
        for name in ("train-mean", "meddler")
    )
    assert meddler.status == "done", meddler.failure
    assert meddler.genes == honest.genes
    for panel, score in honest.scores["mae"].items():
        assert meddler.scores["mae"][panel].genes == score.genes


METRIC = """
from genebench import hookimpl
from genebench.specs import MetricSpec
genebench_contract = 1

def root_mean_square(truth, prediction):
    return {body}

@hookimpl
def genebench_metrics():
    return [MetricSpec(name="root-mean", title="Root mean", summary="s",
                       code="rootmean:root_mean_square", unit="u", direction="lower", best=0.0)]
"""


def test_a_new_or_changed_metric_scores_what_was_done_before(
    install, fresh_registry, tiny, tmp_path, monkeypatch
):
    folder = tmp_path / "results"
    run("lsr", "geo", "sim", preset="tiny", results=folder)
    before = changed(folder)
    site = install("rootmean", METRIC.format(body="1 / 0"))
    fresh_registry()
    broken = run("lsr", "geo", "sim", preset="tiny", results=folder)
    assert all("metric root-mean failed" in found.notes[-1] for found in broken.records)
    assert "root-mean" not in set(broken.table["metric"])
    (site / "rootmean.py").write_text(
        METRIC.format(body="(((truth - prediction) ** 2).mean(axis=0)) ** 0.5")
    )
    monkeypatch.delitem(__import__("sys").modules, "rootmean")
    from genebench._util.hashing import code_digest

    code_digest.cache_clear()
    fresh_registry()
    mended = run("lsr", "geo", "sim", preset="tiny", results=folder)
    assert {"mae", "cc", "root-mean"} <= set(mended.table["metric"])
    assert changed(folder).keys() == before.keys()


def test_predictions_asked_for_later_are_made_then(tiny, tmp_path):
    folder = tmp_path / "results"
    arguments = ["run", "--preset", "tiny", "--methods", "lsr", "--results", str(folder), "-q"]
    assert invoke(arguments) == 0
    assert invoke(["report", "--results", str(folder), "--recompute"]) == 2
    assert invoke([*arguments, "--keep-predictions"]) == 0
    assert invoke(["report", "--results", str(folder), "--recompute"]) == 0
    before = changed(folder)
    assert invoke([*arguments, "--keep-predictions"]) == 0
    assert invoke(arguments) == 0
    assert changed(folder) == before


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_data_are_one_line_and_no_result(tmp_path, monkeypatch, capfd, damage):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    dataset = open_dataset("sim", registry().datasets, "tiny")
    path = dataset.root / "geo" / "expression.npy"
    path.write_bytes(path.read_bytes()[:-400]) if damage == "truncated" else path.unlink()
    folder = tmp_path / "results"
    assert invoke(["run", "--preset", "tiny", "--results", str(folder), "-q"]) == 2
    message = capfd.readouterr().err
    assert "damaged" in message
    assert message.count("\n") == 1
    assert list(folder.glob("*.npz")) == []


def test_contradicting_parameters_stop_a_run_before_its_first_job(tiny, tmp_path, capfd):
    folder = tmp_path / "results"
    arguments = ["--methods", "lsr,lsr-l2", "--set", "lsr-l2.lambda_max=0.01"]
    assert invoke(["run", "--preset", "tiny", "--results", str(folder), "-q", *arguments]) == 2
    assert "lambda_min=0.1 is above lambda_max=0.01" in capfd.readouterr().err
    assert records(folder).records == []


def test_a_recipe_of_another_version_builds_the_simulated_dataset_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path))
    built = open_dataset("sim", registry().datasets, "tiny")
    assert open_dataset("sim", registry().datasets, "tiny").root.stat() == built.root.stat()
    path = built.root / "dataset.json"
    path.write_text(path.read_text().replace('"recipe": 1', '"recipe": 0'))
    again = open_dataset("sim", registry().datasets, "tiny")
    assert again.info["recipe"] == 1
    assert changed_files(again) == []


@pytest.mark.realdata
def test_real_data_end_to_end(real_home, tmp_path, monkeypatch, capfd):
    """Run, verify, issue again, lose a record, issue again: the same tables."""
    monkeypatch.setenv("GENEBENCH_HOME", str(real_home))
    folder = str(tmp_path / "results")
    command = ["run", "--methods", "lsr,lsr-l2,knn-ge,knn", "--dataset", "u133"]
    command += ["--protocol", "geo,gtex", "--results", folder]
    assert invoke([*command, "-q"]) == 0
    capfd.readouterr()
    assert invoke(["results", "verify", "--results", folder]) == 0
    assert "12 of 12 records are sound" in capfd.readouterr().out
    found = {
        (row.protocol, row.method): row.mean
        for row in records(folder).table.query("panel == 'all' and metric == 'mae'").itertuples()
    }
    for protocol in ("geo", "gtex"):
        best = min(found[protocol, name] for name in ("lsr", "lsr-l2", "knn-ge", "knn"))
        assert found[protocol, "lsr-l2"] == best < found[protocol, "train-mean"]
    assert found["gtex", "copy-twin"] < found["gtex", "train-mean"]
    chosen = [r.choices for r in records(folder).records if r.identity.method == "lsr-l2"]
    assert all(0.1 < choice["lambda"] < 1e6 for choice in chosen)
    before = records(folder).table
    assert invoke(command) == 0
    assert "nothing to do: all 12 results" in capfd.readouterr().err
    lost = next(r for r in records(folder).records if r.identity.method == "lsr-l2")
    (tmp_path / "results" / f"{lost.key}.json").unlink()
    assert invoke(command) == 0
    assert records(folder).table.equals(before)
    shutil.rmtree(folder)

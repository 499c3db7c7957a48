"""Functions of single commands, from Python, and what a notebook shows of their results."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import genebench as gb
from genebench import api
from genebench._util import notebook

SHORT = 300
"""Letters of the text of an object."""


class Cells(HTMLParser):
    """The texts of all cells of tables. Every tag must be closed."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in {"img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells.append(data)


@pytest.fixture(scope="module")
def kept(tiny, tmp_path_factory):
    """Return a folder with a kept model."""
    folder = tmp_path_factory.mktemp("kept") / "results"
    gb.run("lsr-l2", "geo", preset="tiny", results=folder, keep="model")
    return folder


@pytest.fixture(scope="module")
def explanation(kept):
    return gb.explain("lsr-l2@geo", results=kept, profile_clusters=3, target_clusters=3)


def test_a_report_is_a_table_for_programs_and_for_readers(lsr_and_knn):
    report = gb.report("cost", results=lsr_and_knn, metrics="mae")
    assert set(report.values()["metric"]) == {"mae"}
    assert repr(report) == "<CostReport of 10 records>"
    assert {"lsr", "train-mean", "fit s"} <= set(Cells(report._repr_html_()).cells)
    figures = report.plot()
    assert len(figures) == 2
    assert all(svg.startswith(b"<?xml") for svg in figures.svg.values())


def test_ranks_are_those_of_the_command(lsr_and_knn, genebench):
    import io

    ranks = gb.ranks(results=lsr_and_knn, protocols="geo")
    shown = genebench(
        "report", "ranks", "--results", lsr_and_knn, "--protocol", "geo", "--format", "csv"
    )
    expected = pd.read_csv(io.StringIO(shown.out))
    assert ranks.values()["rank"].dropna().tolist() == expected["rank"].dropna().tolist()


def test_a_report_that_cannot_be_made_is_refused(lsr_and_knn, tmp_path):
    for call, message in (
        (lambda: gb.leaks(results=lsr_and_knn), "No protocol was run beside its variant"),
        (lambda: gb.report("suite", results=lsr_and_knn), "needs an argument: suite"),
        (lambda: gb.report("ranks", "x", results=lsr_and_knn), "takes no argument"),
        (lambda: gb.report("rank", results=lsr_and_knn), "Did you mean ranks"),
        (lambda: gb.ranks(results=lsr_and_knn).plot(), "has no figures"),
    ):
        with pytest.raises(gb.UserError, match=message):
            call()


def test_results_and_their_records_are_short_texts_and_tables(lsr_and_knn):
    results = gb.records(lsr_and_knn)
    assert "10 done" in repr(results)
    assert len(repr(results)) < SHORT + len(str(lsr_and_knn))
    assert all(len(repr(record)) < SHORT for record in results.records)
    assert {"lsr", "copy-twin", "MAE ↓"} <= set(Cells(results._repr_html_()).cells)
    assert len(results.plot()) == 4
    assert api.Results([])._repr_html_().startswith("<p>&lt;Results: none")


def test_a_comparison_says_its_verdicts_and_has_figures(lsr_and_knn):
    compared = gb.compare("lsr", "train-mean", results=lsr_and_knn)
    assert repr(compared).startswith("<Comparison of lsr with train-mean: geo: ")
    assert "verdict" in Cells(compared._repr_html_()).cells
    assert {name.partition("-")[0] for name in compared.plot().svg} == {"scatter", "density"}


def test_an_explanation_is_a_short_text_a_table_and_figures(explanation):
    assert repr(explanation).startswith("<Explanation of lsr-l2 geo sim: 32 landmarks")
    assert len(repr(explanation)) < SHORT
    assert "landmark" in " ".join(Cells(explanation._repr_html_()).cells)
    figures = explanation.plot()
    assert {"panel-a", "panel-b", "panel-c", "panel-d"} <= set(figures.svg)
    assert figures._repr_html_().count("<img ") == len(figures)


def test_figures_can_be_written(explanation, tmp_path):
    paths = explanation.plot().save(tmp_path / "figures")
    assert {path.suffix for path in paths} == {".svg"}
    assert all(path.stat().st_size for path in paths)


def test_tuning_tests_the_choice_only(tiny, tmp_path):
    tuned = gb.tune("knn", {"k_max": [1, 5]}, "geo", preset="tiny", results=tmp_path / "results")
    assert tuned.trials["chosen"].sum() == 1
    assert tuned.trials["validation_mae"].idxmin() == tuned.trials["chosen"].idxmax()
    assert repr(tuned).startswith("<Tuned by 2 trials: geo: k_max = ")
    assert "validation_mae" in Cells(tuned._repr_html_()).cells
    assert {record.identity.method for record in tuned.records} >= {"knn"}


def test_a_table_of_profiles_is_predicted_as_the_model_does(kept, tiny, tmp_path):
    test = gb.load("sim", "geo", preset="tiny").test
    profiles = pd.DataFrame(test.landmarks, test.profiles.index, test.landmark_genes.index)
    table = gb.predict("lsr-l2@geo", profiles, values="standardised", results=kept)
    assert table.shape == test.targets.shape
    [record] = [r for r in gb.records(kept).records if r.identity.method == "lsr-l2"]
    error = np.abs(table[test.target_genes.index].to_numpy() - test.targets).mean()
    assert error == pytest.approx(record.scores["mae"]["all"].mean, rel=1e-4)
    file = tmp_path / "targets.tsv"
    model = gb.open_model(next(kept.glob(f"{record.key}*.safetensors")))
    assert repr(model) == "<SavedModel lsr-l2 of geo: 32 landmarks to 160 targets>"
    assert gb.predict(model, profiles, values="standardised", file=file) == file


def test_a_manifest_is_prepared(tmp_path, monkeypatch):
    with pytest.raises(gb.UserError, match="no such file"):
        gb.prepare(tmp_path / "none.toml")
    seen = []
    assert gb.prepare("sim", preset="tiny", progress=lambda *step: seen.append(step)).name
    assert seen


# progress


@pytest.fixture
def kernel(monkeypatch):
    """Pretend that this process is the kernel of a notebook. Return what it displays."""
    shown = []

    class Handle:
        def update(self, content, *, raw):
            shown[-1].append(content)

    def display(content, *, raw, display_id):
        shown.append([content])
        return Handle()

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=True)
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_a_notebook_shows_one_line_that_replaces_itself(kernel, tiny, tmp_path, capfd):
    gb.run("lsr", "geo", preset="tiny", results=tmp_path / "results")
    [line] = kernel
    assert line[-1]["text/plain"].startswith("3 jobs in ")
    assert "<progress" in line[0]["text/html"]
    assert capfd.readouterr() == ("", "")
    # Nothing is left to do, so nothing is shown.
    gb.run("lsr", "geo", preset="tiny", results=tmp_path / "results")
    assert len(kernel) == 1


def test_elsewhere_nothing_is_shown(tiny, tmp_path, capfd):
    assert not notebook.in_notebook()
    gb.run("lsr", "geo", preset="tiny", results=tmp_path / "results")
    assert capfd.readouterr() == ("", "")


def test_text_of_files_is_escaped():
    shown = notebook.table(["<b>"], [["<script>\x1b[2J"]], caption="<i>")
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "\x1b" not in shown
    assert "&lt;script&gt;" in shown

"""Panels of relevance: their texts, their order, and marks of panels that failed a check."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from matplotlib.text import Text

from genebench.explaining.explanation import Explanation
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.relevance import draw_with_tables, drawings
from genebench.reports.figures.style import paper

CLUSTERS, LANDMARKS, TARGETS, GROUPS, TOP = 3, 12, 9, 2, 4


@pytest.fixture(scope="module")
def explanation():
    random = np.random.default_rng(0)
    numbers = pd.RangeIndex(1, CLUSTERS + 1, name="cluster")
    ids = [f"ENSG{number}" for number in range(LANDMARKS)]
    symbols = [f"GENE{number}" for number in range(LANDMARKS)]
    symbols[0] = "$MATH$_x^2"
    landmarks = pd.DataFrame(
        {"symbol": symbols, "twin": False, "group": np.arange(LANDMARKS) % GROUPS + 1}, index=ids
    )
    a, c = (
        pd.DataFrame(random.normal(size=(LANDMARKS, CLUSTERS)), index=ids, columns=numbers)
        for _ in range(2)
    )
    frames = []
    for kind, table in (("profiles", a), ("targets", c)):
        for number in numbers:
            top = table[number].abs().sort_values(ascending=False).index[:TOP]
            frames.append(
                pd.DataFrame(
                    {
                        "kind": kind, "cluster": number, "rank": range(1, TOP + 1), "landmark": top,
                        "symbol": landmarks["symbol"][top].to_numpy(),
                        "relevance": table[number][top].to_numpy(),
                        "sign": np.sign(table[number][top]).astype(int).to_numpy(), "share": 0.1,
                        "error": np.nan, "is_target": False,
                    }
                )
            )  # fmt: skip
    clusters = pd.DataFrame(
        [
            (kind, number, 5, f"{kind} {number}", 0.0, 0.02, 0.01)
            for kind in ("profiles", "targets")
            for number in numbers
        ],
        columns=["kind", "cluster", "size", "label", "output", "twin_share", "twin_expected"],
    )
    trust = pd.DataFrame(
        [("a b", "index of clusters", 0.9, "at least", 0.65, True, "sound", "")],
        columns=["panels", "measure", "value", "side", "limit", "sound", "result", "reason"],
    )
    return Explanation(
        about={
            "method": "net", "protocol": "gtex", "dataset": "d", "key": "k" * 24, "data": "f" * 16,
            "settings": {"rule": "lrp-epsilon"}, "bias_share": 0.12,
        },
        profiles=pd.DataFrame({"cluster": np.repeat(numbers, 5)}),
        targets=pd.DataFrame(
            {"symbol": "T", "twin": False, "cluster": np.arange(TARGETS) % CLUSTERS + 1}
        ),
        landmarks=landmarks, clusters=clusters, profile_relevance=a,
        top=pd.concat(frames, ignore_index=True), target_relevance=c,
        group_relevance=pd.DataFrame(
            random.normal(size=(GROUPS, CLUSTERS)), index=range(1, GROUPS + 1), columns=numbers
        ),
        trust=trust,
        twins=pd.DataFrame(
            {"target": ["t"], "symbol": ["T"], "share": [0.25], "rank": [1], "copied": [True]}
        ),
    )  # fmt: skip


def drawn(explanation):
    with paper():
        return {item.name: item.figure for item in drawings(explanation)}


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_each_panel_has_a_figure_and_there_is_one_of_all(explanation):
    assert [*drawn(explanation)] == ["panel-a", "panel-b", "panel-c", "panel-d", "panels"]


def test_panel_b_names_the_landmarks_of_each_cluster_by_symbol(explanation):
    shown = texts(drawn(explanation)["panel-b"])
    top = explanation.top[explanation.top["kind"] == "profiles"]
    for symbol in top["symbol"]:
        assert symbol in shown


def test_rows_are_labelled_by_composition_and_size(explanation):
    shown = texts(drawn(explanation)["panel-a"])
    assert {f"{number} · profiles {number} (5)" for number in (1, 2, 3)} <= {*shown}


def test_panels_b_and_a_have_their_rows_in_one_order(explanation):
    orders = [
        [text for text in texts(drawn(explanation)[f"panel-{letter}"]) if "· profiles" in text]
        for letter in "ab"
    ]
    assert orders[0] == orders[1]


def test_the_share_on_twins_is_stated(explanation):
    assert "2.0% (1.0%)" in texts(drawn(explanation)["panel-c"])
    assert "25.0% of the relevance" in explanation.twin_note
    assert any("that is copying" in text for text in texts(drawn(explanation)["panels"]))
    none = replace(explanation, twins=explanation.twins[:0])
    assert none.twin_note == "Twins: no target is a landmark too."


def test_twins_are_copies_only_where_both_are_one_measurement(explanation):
    apart = replace(explanation, twins=explanation.twins.assign(copied=False))
    assert "no copying" in apart.twin_note
    half = pd.concat([explanation.twins, apart.twins])
    assert "For 50% of them" in replace(explanation, twins=half).twin_note


@pytest.mark.parametrize("letter", "abcd")
def test_each_panel_alone_states_twins_and_bias_and_what_red_means(explanation, letter):
    shown = " ".join(texts(drawn(explanation)[f"panel-{letter}"]))
    stated = "2.0% (1.0%)" if letter == "d" else "2.0% of relevance falls on landmarks that are"
    assert stated in shown
    assert explanation.twin_note in shown
    assert "Bias: 12.0%" in shown
    meaning = "raises predictions" if letter in "ab" else "rises with landmark"
    assert f"red: {meaning}" in shown


def test_trees_have_their_true_heights(explanation):
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import linkage

    shares = explanation.profile_relevance / explanation.profile_relevance.abs().sum()
    links = linkage(100 * shares.T, "ward")
    trees = drawn(explanation)["panel-a"].findobj(LineCollection)
    heights = [max(points[:, 0].max() for points in tree.get_segments()) for tree in trees]
    assert any(np.isclose(height, links[-1, 2]) for height in heights)


def test_a_panel_that_failed_a_check_is_marked_unstable_with_the_reason(explanation):
    trust = explanation.trust.assign(sound=False, reason="index 0.2, not at least 0.65")
    marked = drawn(replace(explanation, trust=trust))
    for letter, is_marked in (("a", True), ("b", True), ("c", False), ("d", False)):
        found = [text for text in texts(marked[f"panel-{letter}"]) if "UNSTABLE" in text]
        assert bool(found) == is_marked
    assert found == []
    assert "UNSTABLE: index 0.2, not at least 0.65" in texts(marked["panel-a"])


def test_no_text_is_cut_off_or_covers_another_label(explanation):
    long = explanation.clusters.assign(label="a very long label of a cluster indeed, that goes on")
    for figure in drawn(replace(explanation, clusters=long)).values():
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        boxes = {}
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent()
                assert box.x0 >= -1, text.get_text()
                assert box.x1 <= width + 1, text.get_text()
                assert box.y0 >= -1, text.get_text()
                assert box.y1 <= height + 1, text.get_text()
                boxes[id(text)] = box, text.get_text()
        rows = [box for box, text in boxes.values() if "very long label" in text]
        aside = [box for box, text in boxes.values() if re.fullmatch(r"2\.0% \(1\.0%\)", text)]
        assert not any(row.overlaps(other) for row in rows for other in aside)


def test_symbols_are_no_formulas(explanation, tmp_path):
    [path] = [p for p in write_drawings(drawings(explanation), tmp_path) if p.name == "panel-b.svg"]
    shown = " ".join(texts(drawn(explanation)["panel-b"]))
    assert "$MATH$" in path.read_text("utf-8") or "MATH" not in shown


def test_every_number_of_a_figure_is_written_as_csv(explanation, tmp_path):
    files = {path.name for path in draw_with_tables("figure-9", explanation, tmp_path)}
    for end in ("pdf", "svg", "png", "csv"):
        assert {f"figure-9-panel-{letter}.{end}" for letter in "abcd"} <= files
    table = pd.read_csv(tmp_path / "figure-9-panel-c.csv", index_col="ensembl")
    np.testing.assert_allclose(table[["1", "2", "3"]], explanation.target_relevance, rtol=1e-12)
    for letter in "ac":
        table = pd.read_csv(tmp_path / f"figure-9-panel-{letter}-shares.csv", index_col="ensembl")
        plotted = drawn(explanation)[f"panel-{letter}"].axes[2].images[0].get_array()
        np.testing.assert_allclose(
            np.sort(100 * table[["1", "2", "3"]], axis=None), np.sort(plotted, axis=None)
        )

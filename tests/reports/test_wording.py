"""Phrases that several reports share: the note on seals is below the tables of each."""

from __future__ import annotations

import pytest

from genebench.analysis.rank import Standing
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant
from genebench.metrics import genebench_metrics
from genebench.reports.wording import (
    could_have_cheated_notes,
    difference_text,
    reaches_zero,
    seal_levels,
    verdict,
    why_zero,
)


@pytest.mark.parametrize(
    "words",
    [
        ("report", "scores"),
        ("report", "ranks"),
        ("report", "scaled"),
        ("report", "sweep"),
        ("report", "suite", "table1"),
        ("compare", "lsr", "knn:k_max=1"),
    ],
    ids=" ".join,
)
def test_every_report_says_that_methods_were_not_sealed(genebench, lsr_and_knn, words):
    outcome = genebench(*words, "--notes", "--results", lsr_and_knn)
    assert outcome.status == 0, outcome.err
    shown = " ".join(outcome.out.split())
    assert "sealed: no (in the process that holds the test data)" in shown
    assert "COULD HAVE CHEATED" not in shown, "genebench ships them"


def test_the_note_names_rows_whose_code_is_of_others_and_whose_seal_is_not_landlock(made_up):
    def row(label, level):
        return label, [made_up(label, {}, seal={"level": level})]

    rows = [row("a", "landlock"), row("b", "view"), row("c", "no")]
    [first] = seal_levels(rows)
    [second] = could_have_cheated_notes(rows)
    assert first.index("landlock (") < first.index("view (") < first.index("no (")
    assert second.startswith("COULD HAVE CHEATED: b, c. ")
    assert [*seal_levels(rows[:1]), *could_have_cheated_notes(rows[:1])] == []


@pytest.mark.parametrize(
    ("difference", "half", "text"),
    [
        (-0.0, 0.0, "+0.0000 ± <0.0001"),
        (-0.00001, 0.00002, "+0.0000 ± <0.0001"),
        (0.0123, 0.0045, "+0.0123 ± 0.0045"),
        (-0.00001, None, "+0.0000"),
    ],
)
def test_no_difference_is_minus_zero_and_no_interval_has_no_width(difference, half, text):
    row = Standing(
        variant=Variant("a", (), False), mean=0.3, difference=difference,
        difference_high=None if half is None else difference + half,
    )  # fmt: skip
    assert difference_text(row) == text


def test_a_verdict_names_its_metric_and_its_p_value_and_excludes_no_chance(made_up):
    def row(label, mean, p=None):
        variant = Variant(label, (made_up(label, {}, mean, seconds={"fit": 1.0}),))
        return Standing(variant=variant, mean=mean, rank=1, difference=p and mean - 0.3, p=p)

    [mae] = [metric for metric in genebench_metrics() if metric.name == "mae"]

    def said(*rows):
        return verdict(rows, mae, RankedTimes.among(each.variant for each in rows))

    clear, _ = said(row("a", 0.3), row("b", 0.4, 0.002))
    assert clear == "a is best by MAE (0.3000). b is significantly worse, by 0.1000 (p = 0.002)."
    tied, worse, _ = said(row("a", 0.3), row("b", 0.4, 0.2), row("c", 0.5, 0.004))
    assert tied.startswith("a has the best MAE (0.3000), but not significantly: the data cannot")
    assert worse == "Significantly worse (p ≤ 0.004): c."


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("b", "it from b."), ("bc", "it from b and c."), ("bcd", "it from b, c and d."),
        ("bcde", "it from b, c, d and e."), ("bcdef", "it from b, c, d and 2 others."),
    ],
)  # fmt: skip
def test_a_verdict_names_a_few_methods_and_counts_the_others(made_up, labels, text):
    rows = [
        Standing(
            variant=Variant(label, (made_up(label, {}, 0.3, seconds={"fit": 1.0}),)), mean=0.3,
            rank=1, difference=0.0, p=0.5,
        )
        for label in f"a{labels}"
    ]  # fmt: skip
    [mae] = [metric for metric in genebench_metrics() if metric.name == "mae"]
    first, *_ = verdict(rows, mae, RankedTimes.among(row.variant for row in rows))
    assert first.endswith(text)


@pytest.mark.parametrize(
    ("p", "low", "reaches"), [(0.04, -0.001, True), (0.04, 0.001, False), (0.2, -0.001, False)]
)
def test_a_significant_difference_may_have_an_interval_that_holds_0(p, low, reaches):
    row = Standing(
        variant=Variant("b", (), False), mean=0.4, difference=0.01, difference_low=low,
        difference_high=0.02, p=p,
    )  # fmt: skip
    assert reaches_zero(row) is reaches
    [mae] = [metric for metric in genebench_metrics() if metric.name == "mae"]
    sentence = (
        "MAE, all: b is significantly worse by the step-down test, though its interval contains 0, "
        "because intervals have no step-down."
    )
    assert list(why_zero([row], mae)) == [sentence] * reaches
    assert all("b, b are" in many for many in why_zero([row, row], mae))


def test_a_verdict_compares_the_times_of_one_class_only(made_up):
    def row(label, mean, seconds, epoch=1, p=None):
        timing = {"epoch": epoch, "methods": {}}
        record = made_up(label, {}, mean, seconds={"fit": seconds}, timing=timing)
        return Standing(variant=Variant(label, (record,)), mean=mean, rank=1, p=p)

    [mae] = [metric for metric in genebench_metrics() if metric.name == "mae"]
    for epoch, cost in ((1, "Its fit took 9.00 s, that of b 1.00 s."), (2, "Its fit took 9.00 s.")):
        rows = [row("a", 0.3, 9.0), row("b", 0.4, 1.0, epoch, p=0.5)]
        times = RankedTimes.among(each.variant for each in rows)
        assert [*verdict(rows, mae, times)][-1] == cost

"""Ranks: behind another only where the data say so."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from genebench.analysis.rank import caution, description_of_test, holm, standings
from genebench.analysis.variants import Variant
from genebench.metrics import genebench_metrics
from genebench.results.record import Score

METRICS = {spec.name: spec for spec in genebench_metrics()}
PROFILES = 120


class Table:
    """Synthetic records of one table, and their vectors."""

    def __init__(self, profiles=PROFILES, groups=None):
        self.random = np.random.default_rng(0)
        self.hard = self.random.normal(size=profiles)
        """How hard each profile is, for every method alike."""
        self.ids = np.array([f"p{number}" for number in range(profiles)])
        self.groups = groups
        self.vectors, self.variants, self.reads = {}, [], []

    def add(
        self,
        label,
        error,
        *,
        seeds=(0.0,),
        noise=0.05,
        control=False,
        metric="mae",
        has_shares=True,
    ):
        records = []
        for number, drift in enumerate(seeds):
            shares = error + drift + 0.3 * self.hard
            shares = shares + noise * self.random.normal(size=len(shares))
            shares += error + drift - shares.mean()
            key = f"{label}/{number}"
            vectors = {"profile.id": self.ids}
            if self.groups is not None:
                vectors["profile.group"] = self.groups
            if has_shares:
                vectors[f"profile-share.{metric}.all"] = shares
            self.vectors[key] = vectors
            score = Score(mean=shares.mean(), std=0.1, genes=10)
            records.append(SimpleNamespace(key=key, scores={metric: {"all": score}}))
        self.variants.append(Variant(label, tuple(records), control))
        return self

    def vectors_of(self, record):
        self.reads.append(record.key)
        return self.vectors[record.key]

    def standings(self, metric="mae"):
        return standings(self.variants, self.vectors_of, METRICS[metric])

    def places(self, metric="mae"):
        return {row.variant.label: row.place for row in self.standings(metric)}


def test_methods_that_can_be_told_apart_have_ranks_of_their_own_best_first():
    table = Table().add("worst", 0.5).add("best", 0.3).add("middle", 0.4)
    assert list(table.places().items()) == [("best", "1"), ("middle", "2"), ("worst", "3")]


def test_equals_share_a_rank_and_the_next_one_counts_them_both():
    table = Table().add("a", 0.3001).add("b", 0.3).add("c", 0.5)
    assert table.places() == {"b": "1 =", "a": "1 =", "c": "3"}
    ties = {row.variant.label: [o.label for o in row.tied_with] for row in table.standings()}
    assert ties == {"a": ["b"], "b": ["a"], "c": []}


def test_ranks_never_decrease_down_a_table():
    """c is worse by far, but so noisy that no test can say so."""
    table = Table().add("c", 0.5, noise=3.0).add("b", 0.32).add("a", 0.3)
    assert list(table.places().items()) == [("a", "1 ="), ("b", "2 ="), ("c", "2 =")]


def test_where_higher_is_better_the_highest_is_first():
    table = Table().add("low", 0.3, metric="cc").add("high", 0.8, metric="cc")
    assert list(table.places("cc")) == ["high", "low"]


def test_pairing_finds_a_difference_that_is_small_against_the_spread_of_profiles():
    """Intervals of the two scores overlap by far; the paired differences do not lie."""
    table = Table().add("a", 0.30, noise=0.01).add("b", 0.31, noise=0.01)
    first, second = table.standings()
    assert (first.place, second.place) == ("1", "2")
    assert second.low < first.mean < first.high


def test_controls_come_last_without_a_rank_and_nobody_is_behind_them():
    table = Table().add("copy", 0.1, control=True).add("lsr", 0.4)
    rows = table.standings()
    assert [(row.variant.label, row.rank) for row in rows] == [("lsr", 1), ("copy", None)]
    assert rows[1].low < 0.1 < rows[1].high


def test_records_without_shares_are_shown_but_not_ranked():
    table = Table().add("old", 0.1, has_shares=False).add("a", 0.3).add("b", 0.5)
    rows = table.standings()
    assert [(row.variant.label, row.place) for row in rows] == [
        ("a", "1"),
        ("b", "2"),
        ("old", "–"),
    ]
    assert rows[2].mean == pytest.approx(0.1)
    assert rows[2].low is None


def test_a_seed_without_shares_leaves_its_method_unranked():
    table = Table().add("a", 0.3, seeds=(0, 0.001)).add("b", 0.5)
    del table.vectors["a/1"]["profile-share.mae.all"]
    assert table.places() == {"b": "1", "a": "–"}


def test_records_of_other_profiles_are_not_ranked_with_these():
    table = Table().add("a", 0.3).add("b", 0.5)
    table.vectors["b/0"]["profile.id"] = table.ids[::-1]
    assert table.places() == {"a": "1", "b": "–"}


def test_methods_without_a_score_are_left_out():
    table = Table().add("a", 0.3)
    table.variants.append(Variant("f", (SimpleNamespace(key="f", scores={}),)))
    assert list(table.places()) == ["a"]


def test_a_table_of_nothing_has_no_standings():
    assert Table().standings() == []
    assert "not ranked" in description_of_test([])


def test_undeclared_copies_would_part_what_groups_leave_tied():
    groups = np.repeat([f"donor{number}" for number in range(6)], 20)
    shift = np.repeat([0.03, -0.02, 0.02, -0.01, 0.03, -0.01], 20)
    apart = {}
    for known in (None, groups):
        table = Table(groups=known).add("a", 0.3, noise=0.001).add("b", 0.3, noise=0.001)
        table.vectors["b/0"]["profile-share.mae.all"] += shift
        apart[known is None] = sorted(table.places().values())
    assert apart[True] == ["1", "2"]
    assert apart[False] == ["1 =", "1 ="]


def test_seeds_are_averaged_and_their_interval_stands_apart():
    (row,) = Table().add("a", 0.3, seeds=(-0.01, 0.0, 0.01)).standings()
    assert (row.seeds, row.mean) == (3, pytest.approx(0.3))
    assert row.mean - row.seed_low == pytest.approx(row.seed_high - row.mean)
    assert row.seed_high - row.mean == pytest.approx(4.3027 * 0.01 / np.sqrt(3), rel=1e-4)


def test_seeds_that_disagree_tie_what_one_seed_would_part():
    row = Table().add("a", 0.30).add("b", 0.32)
    many = Table().add("a", 0.30, seeds=(-0.03, 0, 0.03)).add("b", 0.32)
    assert row.places() == {"a": "1", "b": "2"}
    assert many.places() == {"a": "1 =", "b": "1 ="}


def test_every_record_is_read_once():
    table = Table().add("a", 0.3, seeds=(0, 0.01)).add("b", 0.5)
    table.standings()
    assert sorted(table.reads) == ["a/0", "a/1", "b/0"]


def test_metrics_of_profiles_are_their_own_shares():
    table = Table().add("a", 0.3, metric="profile-mae").add("b", 0.5, metric="profile-mae")
    for vectors in table.vectors.values():
        vectors["profile-metric.profile-mae"] = vectors.pop("profile-share.profile-mae.all")
    assert table.places("profile-mae") == {"a": "1", "b": "2"}


def test_holm_multiplies_the_least_by_all_the_next_by_one_fewer_and_never_falls():
    adjusted = holm(np.array([0.04, 0.01, 0.03, 0.9]))
    assert adjusted == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).size == 0


# Many methods


def ladder(methods, groups=13, *, worst=0.5):
    """Return a table of methods of 13 groups, each a little worse than the one before."""
    labels = np.repeat([f"series{number}" for number in range(groups)], 4)
    table = Table(len(labels), labels)
    for number, error in enumerate(np.linspace(0.3, worst, methods)):
        table.add(f"m{number:02}", error, noise=0.01)
    return table


def test_ranks_do_not_collapse_as_a_table_grows():
    """Thirteen groups are too few for Holm's procedure over 1,225 pairs."""
    few, many = ladder(13).standings(), ladder(50).standings()
    assert [row.rank for row in few] == list(range(1, 14))
    assert many[-1].rank > 40
    assert len(many[0].tied_with) < 10
    assert 1 / 2**12 * 1225 > 0.05


def test_a_method_whose_interval_is_beyond_zero_is_not_tied():
    rows = ladder(20, worst=0.34).standings()
    leader = rows[0].variant
    assert rows[0].difference is None
    assert {leader in row.tied_with for row in rows[1:]} == {True, False}
    for row in rows[1:]:
        assert row.difference_low < row.difference < row.difference_high
        if row.difference_low > 0:
            assert leader not in row.tied_with, row.variant.label
        assert (row.p > 0.05) == (leader in row.tied_with), row.variant.label


def test_the_ranks_that_are_possible_leave_room_for_ties_and_no_more():
    rows = ladder(20, worst=0.34).standings()
    for row in rows:
        assert row.rank_low <= row.rank
        assert row.rank_high - row.rank_low == len(row.tied_with)
    assert rows[0].rank_low == 1
    assert rows[-1].rank_high == 20


def test_a_method_that_is_not_better_than_the_mean_is_marked():
    table = Table().add("train-mean", 0.8, control=True).add("good", 0.3).add("poor", 0.801)
    marks = {row.variant.label: row.beats_mean for row in table.standings()}
    assert marks == {"good": True, "poor": False, "train-mean": None}


def test_without_the_mean_nothing_is_marked():
    table = Table().add("copy-twin", 0.8, control=True).add("good", 0.3)
    assert {row.beats_mean for row in table.standings()} == {None}


def test_seeds_that_disagree_widen_the_interval_to_the_leader():
    narrow = Table().add("a", 0.30).add("b", 0.32).standings()[1]
    wide = Table().add("a", 0.30, seeds=(-0.03, 0, 0.03)).add("b", 0.32).standings()[1]
    assert wide.difference_high - wide.difference > narrow.difference_high - narrow.difference
    assert wide.difference_low < 0 < narrow.difference_low


# The words under the table


def groups_of(number, size):
    return np.repeat([f"donor{number}" for number in range(number)], size)


@pytest.mark.parametrize(
    ("groups", "is_rough"),
    [
        (groups_of(30, 4), False),
        (groups_of(12, 10), True),
        (groups_of(25, 2), True),
        (groups_of(50, 1), True),
    ],
    ids=["covered", "few groups", "few profiles in many groups", "few profiles"],
)
def test_tables_of_fewer_units_than_were_calibrated_say_so(groups, is_rough):
    rows = Table(len(groups), groups).add("a", 0.3).add("b", 0.5).standings()
    assert ("rough" in caution(rows)) is is_rough


def test_where_nothing_is_compared_there_is_nothing_to_take_care_of():
    assert caution(Table(12, groups_of(12, 1)).add("a", 0.3).standings()) == ""


def test_the_test_is_named_with_what_it_resampled():
    said = description_of_test(
        Table(groups=np.arange(PROFILES).astype(str)).add("a", 1).add("b", 2).standings()
    )
    assert "120 test profiles in 120 groups" in said
    assert "all 1 pairs together" in said


def test_it_is_said_that_no_groups_are_known():
    assert "no groups known" in description_of_test(Table().add("a", 1).add("b", 2).standings())


def test_it_is_said_when_the_data_cannot_tell():
    said = description_of_test(Table().add("a", 0.3).add("b", 0.3).standings())
    assert "the data cannot tell" in said


def test_it_is_said_when_there_are_too_few_groups_to_tell_anything():
    groups = np.repeat(["a", "b", "c", "d"], 30)
    table = Table(groups=groups).add("a", 0.3).add("b", 3.0)
    assert table.places() == {"a": "1 =", "b": "1 ="}
    assert "too few" in description_of_test(table.standings())


def test_a_single_method_is_first_without_a_word_about_ties():
    table = Table().add("a", 0.3)
    assert table.places() == {"a": "1"}
    assert "cannot tell" not in description_of_test(table.standings())

"""Normalisation, against scipy and a word-for-word reading of the published per-value search."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata

from genebench.data.standardisation import GeneSums, gene_statistics, requantile, standardise
from genebench.preprocessing.ranks import (
    Buffers,
    add_rows,
    express,
    expressed_sums,
    quantile_ranks,
    rank_type,
    reference_ranks,
)

# Few distinct values, so that ties are common.
tied = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)),
                  elements=st.integers(0, 9).map(float))  # fmt: skip
anything = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)),
                      elements=st.floats(-1e6, 1e6))  # fmt: skip


def published_search(profile: list[float], n_genes: int) -> list[int]:
    """The position of each value: its place in the list of distinct values, stretched."""
    distinct = sorted(set(profile))
    places = [int((distinct.index(v) + 1.0) / len(distinct) * n_genes) - 1 for v in profile]
    return [max(place, 0) for place in places]  # see below


@given(tied | anything)
def test_quantile_ranks_are_scipys_average_ranks_cut_to_integers(block):
    expected = [[int(rank - 1) for rank in rankdata(row, method="average")] for row in block]
    ranks, ordered = quantile_ranks(block)
    assert ranks.tolist() == expected
    assert ordered.tolist() == np.sort(block, axis=1).tolist()


def near(value: float, steps: int) -> float:
    """The float64 that many steps above a value."""
    return float((np.array([value]).view(np.int64) + steps).view(np.float64)[0])


@pytest.mark.parametrize(
    "profile",
    [
        [7.5],
        [3.0] * 9,
        [0.0, -0.0, 1.0, -0.0, -1.0, 0.0],
        [-3.0, -2.0, -3.0, 0.0, 2.0, -1e-300, 1e-300, 5e-324, -5e-324],
        [near(1.0, steps) for steps in (3, 1, 2, 0, 7, 4, 3)],  # alike but for their last digits
        [near(-8.0, steps) for steps in (3, 1, 2, 0, 7, 4, 3)],
        [1e308, -1e308, np.finfo(np.float64).max, np.finfo(np.float64).min],
    ],
)
def test_ranks_at_the_edges_are_scipys(profile):
    # Beside an ordinary profile, before and after it: rows do not leak into each other.
    ordinary = [float(i * 7 % 11 % 5) for i in range(len(profile))]
    block = np.array([ordinary, profile, ordinary])
    ranks, ordered = quantile_ranks(block)
    assert ranks.tolist() == [[int(rank - 1) for rank in rankdata(row)] for row in block]
    assert (ordered == np.sort(block, axis=1)).all()
    dense = [np.unique(row, return_inverse=True)[1] + 1.0 for row in block]
    expected = [(d / d.max() * len(profile)).astype(int) - 1 for d in dense]
    assert reference_ranks(block).ranks.tolist() == np.array(expected).tolist()


def test_ranks_of_profiles_of_the_published_size_are_scipys():
    """Means of float32 probes, some tied, some apart in their last digits only."""
    random = np.random.default_rng(0)
    block = random.normal(4, 3, (3, 3, 10_463)).astype(np.float32).mean(axis=0, dtype=np.float64)
    block[1, :5000] = block[1, 0] + np.arange(5000)[::-1] * 1e-15
    block[2] = block[2].round(2)
    ranks, ordered = quantile_ranks(block)
    assert ranks.dtype == np.uint16
    np.testing.assert_array_equal(ranks, (rankdata(block, axis=1) - 1).astype(int))
    np.testing.assert_array_equal(ordered, np.sort(block, axis=1))


@pytest.mark.parametrize("length", [2, 3, 5, 40])
def test_runs_of_equal_values_are_seen_wherever_they_lie(length):
    """Profiles with one run each, whose place goes through all those of a few hundred genes."""
    n_genes, random = 1100, np.random.default_rng(0)
    starts = np.arange(n_genes - length)
    block = np.tile(np.arange(float(n_genes)), (len(starts), 1))
    for profile, start in zip(block, starts, strict=True):
        profile[start : start + length] = start
    block = random.permuted(block, axis=1)
    ranks, _ = quantile_ranks(block)
    np.testing.assert_array_equal(ranks, (rankdata(block, axis=1) - 1).astype(int))


@pytest.mark.parametrize("distance", [1, 2, 40, 700])
def test_values_out_of_place_are_sorted_wherever_they_lie(distance):
    """Values that share a key but for one in each profile: it is all that tells them apart."""
    n_genes = 1100
    block = np.tile(1 + np.arange(n_genes) * 1e-15, (n_genes - distance, 1))
    for start, profile in enumerate(block):
        profile[[start, start + distance]] = profile[[start + distance, start]]
    block[:, -1] = 1e6
    ranks, ordered = quantile_ranks(block)
    np.testing.assert_array_equal(ranks, (rankdata(block, axis=1) - 1).astype(int))
    np.testing.assert_array_equal(ordered, np.sort(block, axis=1))


def test_ranks_take_more_room_where_there_are_more_genes():
    assert rank_type(1 << 16) == np.uint16
    assert rank_type((1 << 16) + 1) == np.uint32
    block = np.random.default_rng(0).permutation((1 << 16) + 9).astype(np.float64)[None]
    np.testing.assert_array_equal(quantile_ranks(block).ranks, block)


def test_requantiling_gives_the_value_of_the_same_rank_under_the_other_reference():
    random = np.random.default_rng(0)
    old, new = np.sort(random.normal(8, 2, (2, 500)), axis=1)
    ranks = random.integers(0, 500, (4, 6))
    stored = old.astype(np.float32)
    np.testing.assert_array_equal(requantile(stored[ranks], stored, new), new[ranks])


@given(tied | anything)
def test_rna_seq_ranks_are_those_of_the_published_search(block):
    n_genes = block.shape[1]
    expected = [published_search(list(row), n_genes) for row in block]
    assert reference_ranks(block).ranks.tolist() == expected


def test_the_lowest_of_as_many_values_as_genes_has_the_lowest_rank():
    """1 / 49 * 49 is a little less than 1: the published code would take the largest value."""
    assert int(1 / 49 * 49) == 0
    (ranks,) = reference_ranks(np.arange(49.0)[None]).ranks.tolist()
    assert ranks[:3] == [0, 0, 2]
    assert ranks == published_search(list(range(49)), 49)


@given(tied | anything)
def test_rna_seq_mapping_keeps_order_and_ties_and_reaches_the_top(block):
    ranks = reference_ranks(block).ranks
    assert ranks.max(axis=1).tolist() == [block.shape[1] - 1] * len(block)
    for row, rank in zip(block, ranks, strict=True):
        order = np.argsort(row)
        assert (np.diff(rank[order].astype(int)) >= 0).all()
        assert all(len({*rank[row == value].tolist()}) == 1 for value in row)


@given(anything)
def test_rna_seq_mapping_sees_ranks_alone_so_linear_or_log_is_the_same(block):
    shifted = block - block.min() + 1.0
    # Rounding may merge neighbours: compare only where the logarithm kept every value distinct.
    logged = np.log2(shifted)
    if all(len(set(a)) == len(set(b)) for a, b in zip(shifted, logged, strict=True)):
        assert reference_ranks(shifted).ranks.tolist() == reference_ranks(logged).ranks.tolist()


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 40), st.integers(1, 5)),
               elements=st.floats(-100, 100)),
    st.integers(1, 7),
)  # fmt: skip
def test_statistics_over_blocks_are_those_of_the_whole(matrix, size):
    mean, std = statistics_of(matrix[start : start + size] for start in range(0, len(matrix), size))
    np.testing.assert_allclose(mean, matrix.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(std, matrix.std(axis=0), atol=1e-7)


def statistics_of(blocks):
    """Of blocks of expression, as those of ranks in the reference of all their values."""
    blocks = list(blocks)
    reference = np.unique(np.concatenate(blocks))
    whole = GeneSums.none(blocks[0].shape[1])
    for block in blocks:
        whole = whole + expressed_sums(np.searchsorted(reference, block), reference)
    return gene_statistics(whole)


def test_statistics_are_those_of_the_whole_to_twelve_digits():
    """Genes of little and of much variance, one profile far from all others, empty blocks."""
    random = np.random.default_rng(0)
    matrix = 8 + np.geomspace(1e-3, 3, 50) * random.normal(size=(5000, 50))
    matrix[[0, 64, 3000]] += 40
    cuts = [0, 1, 64, 64, 100, 2000, 2016, 5000, 5000]
    mean, std = statistics_of(matrix[a:b] for a, b in pairwise(cuts))
    exact = matrix.astype(np.longdouble)
    np.testing.assert_allclose(mean, exact.mean(axis=0).astype(float), rtol=1e-12)
    np.testing.assert_allclose(std, exact.std(axis=0).astype(float), rtol=1e-12)


@given(st.floats(-100, 100), st.lists(st.integers(1, 70), min_size=1, max_size=5))
def test_a_gene_that_never_varies_has_its_value_and_no_deviation_exactly(value, sizes):
    mean, std = statistics_of(np.full((size, 2), value) for size in sizes)
    assert mean.tolist() == [value, value]
    assert std.tolist() == [0.0, 0.0]


def test_expression_is_the_reference_at_each_rank_rounded_to_float32():
    random = np.random.default_rng(0)
    reference, ranks = np.sort(random.normal(8, 2, 50)), random.integers(0, 50, (3, 50))
    expression = express(ranks.astype(np.uint16), reference)
    assert expression.dtype == np.float32
    np.testing.assert_array_equal(expression, reference[ranks].astype(np.float32))


def test_sums_of_some_profiles_are_those_of_these_alone():
    random = np.random.default_rng(0)
    reference, ranks = np.sort(random.normal(8, 2, 50)), random.integers(0, 50, (9, 50))
    where = np.arange(9) % 3 == 1
    some = expressed_sums(ranks, reference, where)
    assert some.count == 3
    np.testing.assert_allclose(some.mean, reference[ranks[where]].mean(axis=0), rtol=1e-12)
    assert expressed_sums(ranks, reference, np.zeros(9, np.bool_)).count == 0


def test_long_tails_and_values_far_apart_are_ranked_as_scipy_does():
    """Values that share most keys, so that sorting by whole numbers alone leaves them unsorted."""
    random = np.random.default_rng(0)
    block = random.lognormal(0, 8, (4, 5000))
    block[1, 0], block[2, 0] = 1e300, -1e300
    block[3] = np.where(np.arange(5000) % 2, 1e-300, 1.0) * random.permutation(5000)
    ranks, ordered = quantile_ranks(block)
    np.testing.assert_array_equal(ranks, (rankdata(block, axis=1) - 1).astype(int))
    np.testing.assert_array_equal(ordered, np.sort(block, axis=1))


def test_buffers_give_the_same_ranks_again_and_for_fewer_profiles():
    random = np.random.default_rng(0)
    buffers = Buffers(4, 300)
    for n_profiles in (4, 4, 2):
        block = random.normal(8, 2, (n_profiles, 300))
        ranks, ordered = quantile_ranks(block, buffers)
        np.testing.assert_array_equal(ranks, rankdata(block, axis=1) - 1)
        np.testing.assert_array_equal(ordered, np.sort(block, axis=1))
        reused, expected = reference_ranks(block, buffers), reference_ranks(block)
        np.testing.assert_array_equal(reused.ranks, expected.ranks)
        np.testing.assert_array_equal(reused.ordered, expected.ordered)


def test_totals_do_not_depend_on_how_profiles_are_cut():
    rows = np.random.default_rng(0).normal(8, 2, (20, 6)) ** 9
    where = np.array([np.full(20, True), np.arange(20) % 4 != 0, np.arange(20) > 12])
    whole, parts = np.zeros((2, 3, 6))
    add_rows(rows, where, whole)
    for start in (0, 7, 8):
        stop = {0: 7, 7: 8, 8: 20}[start]
        add_rows(rows[start:stop], where[:, start:stop], parts)
    assert whole.tolist() == parts.tolist()
    np.testing.assert_allclose(whole, [rows[some].sum(axis=0) for some in where], rtol=1e-12)


def test_standardising_adds_a_thousandth_to_the_deviation():
    value = standardise(np.array([[5.0]]), np.array([3.0]), np.array([0.999]))
    assert value.dtype == np.float32
    assert value.item() == 2.0


def test_a_gene_that_never_varies_becomes_zero_not_nan():
    assert standardise(np.array([[4.0]]), np.array([4.0]), np.array([0.0])).item() == 0.0

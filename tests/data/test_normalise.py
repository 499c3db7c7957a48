"""Normalisation, against scipy and a word-for-word reading of the published per-value search."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata

from genebench.data.normalise import (
    gene_statistics,
    quantile_ranks,
    reference_ranks,
    requantile,
    standardise,
)

# Few distinct values, so that ties are common.
tied = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)),
                  elements=st.integers(0, 9).map(float))  # fmt: skip
anything = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)),
                      elements=st.floats(-1e6, 1e6))  # fmt: skip


def published_search(profile: list[float], n_genes: int) -> list[int]:
    """The position of each value: its place in the list of distinct values, stretched."""
    distinct = sorted(set(profile))
    return [int((distinct.index(v) + 1.0) / len(distinct) * n_genes) - 1 for v in profile]


@given(tied | anything)
def test_quantile_ranks_are_scipys_average_ranks_cut_to_integers(block):
    expected = [[int(rank - 1) for rank in rankdata(row, method="average")] for row in block]
    ranks, ordered = quantile_ranks(block)
    assert ranks.tolist() == expected
    assert ordered.tolist() == np.sort(block, axis=1).tolist()


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
    assert reference_ranks(block).tolist() == expected


@given(tied | anything)
def test_rna_seq_mapping_keeps_order_and_ties_and_reaches_the_top(block):
    ranks = reference_ranks(block)
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
        assert reference_ranks(shifted).tolist() == reference_ranks(logged).tolist()


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 40), st.integers(1, 5)),
               elements=st.floats(-100, 100)),
    st.integers(1, 7),
)  # fmt: skip
def test_statistics_over_blocks_are_those_of_the_whole(matrix, size):
    mean, std = gene_statistics(matrix[at : at + size] for at in range(0, len(matrix), size))
    np.testing.assert_allclose(mean, matrix.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(std, matrix.std(axis=0), atol=1e-7)


def test_standardising_adds_a_thousandth_to_the_deviation():
    value = standardise(np.array([[5.0]]), np.array([3.0]), np.array([0.999]))
    assert value.dtype == np.float32
    assert value.item() == 2.0


def test_a_gene_that_never_varies_becomes_zero_not_nan():
    assert standardise(np.array([[4.0]]), np.array([4.0]), np.array([0.0])).item() == 0.0

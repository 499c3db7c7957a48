"""The paired wild bootstrap, against tests that we did not write."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from genebench.analysis.bootstrap import (
    RESAMPLES,
    SIGNIFICANCE_LEVEL,
    PairedBootstrap,
    Sample,
    group_numbers,
    seed_interval,
    smallest_p,
)


def sample(shares, scores=()):
    shares = np.asarray(shares, dtype=float)
    return Sample(shares, tuple(scores) or (float(shares.mean()),))


def alone(profiles):
    return np.full(profiles, "")


def against_nothing(shares, groups=None, **options):
    """The comparison whose differences are the shares themselves."""
    groups = alone(len(shares)) if groups is None else np.asarray(groups)
    return PairedBootstrap([sample(shares), sample(np.zeros(len(shares)))], groups, **options)


@pytest.fixture
def differences():
    return np.random.default_rng(3).normal(0.4, 1.0, 11)


def scipys(shares):
    """All sign flips of paired samples, as scipy enumerates them."""
    return stats.permutation_test(
        (shares, np.zeros_like(shares)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue


def test_with_few_profiles_every_sign_is_tried_as_scipy_does(differences):
    assert against_nothing(differences).p_value(0, 1) == pytest.approx(scipys(differences))


def test_with_many_profiles_the_p_value_is_near_that_of_the_t_test():
    shares = np.random.default_rng(0).normal(0.1, 1.0, 400)
    expected = stats.ttest_1samp(shares, 0).pvalue
    assert against_nothing(shares).p_value(0, 1) == pytest.approx(expected, abs=0.02)


def test_a_group_counts_as_one_however_many_copies_of_its_profile_there_are(differences):
    """Ten copies of everything tell nothing new, if it is known that they are copies."""
    groups = np.repeat(np.arange(11).astype(str), 10)
    copies = against_nothing(np.repeat(differences, 10), groups)
    once = against_nothing(differences)
    assert copies.difference(0, 1) == pytest.approx(once.difference(0, 1))


def test_copies_that_nobody_declared_look_like_evidence(differences):
    """The reverse: without groups the same copies make the p-value smaller."""
    copies = against_nothing(np.repeat(differences, 10))
    assert copies.p_value(0, 1) < against_nothing(differences).p_value(0, 1) / 5


def test_the_interval_holds_exactly_the_differences_that_the_test_does_not_reject():
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(10).astype(str), random.integers(1, 9, 10))
    shares = random.normal(0.5, 1.0, len(groups)) + random.normal(size=10)[groups.astype(int)]
    estimate = against_nothing(shares, groups).difference(0, 1)
    step = 1e-6
    for inside, limit in ((step, estimate.low), (-step, estimate.high)):
        assert against_nothing(shares - limit - inside, groups).p_value(0, 1) > SIGNIFICANCE_LEVEL
        assert against_nothing(shares - limit + inside, groups).p_value(0, 1) <= SIGNIFICANCE_LEVEL


def test_swapping_the_methods_mirrors_the_estimate():
    random = np.random.default_rng(1)
    samples = [sample(random.normal(size=50), random.normal(size=3)) for _ in range(2)]
    there = PairedBootstrap(samples, alone(50)).difference(0, 1)
    back = PairedBootstrap(samples[::-1], alone(50)).difference(0, 1)
    assert there == pytest.approx((-back.value, -back.high, -back.low, back.p))


def test_the_other_methods_of_a_table_do_not_change_a_comparison():
    random = np.random.default_rng(1)
    samples = [sample(random.normal(size=50), random.normal(size=3)) for _ in range(4)]
    alone_p = PairedBootstrap([samples[0], samples[2]], alone(50)).p_value(0, 1)
    assert PairedBootstrap(samples, alone(50)).p_value(0, 2) == pytest.approx(alone_p)


def test_equal_methods_differ_by_nothing_for_certain(differences):
    both = PairedBootstrap([sample(differences), sample(differences)], alone(11))
    assert both.difference(0, 1) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_with_too_few_groups_nothing_can_be_told(groups):
    labels = (np.arange(60) % groups).astype(str)
    estimate = against_nothing(np.random.default_rng(0).normal(5.0, 0.1, 60), labels).difference(
        0, 1
    )
    assert estimate.p == pytest.approx(smallest_p(groups))
    assert estimate.p > SIGNIFICANCE_LEVEL
    assert (estimate.low, estimate.high) == (-np.inf, np.inf)


def test_six_groups_are_enough_for_a_plain_difference():
    labels = (np.arange(60) % 6).astype(str)
    estimate = against_nothing(np.random.default_rng(0).normal(5.0, 0.1, 60), labels).difference(
        0, 1
    )
    assert estimate.p == pytest.approx(1 / 32)
    assert 4 < estimate.low < 5 < estimate.high < 6


def test_far_out_the_p_value_is_a_bound_and_not_the_number_of_resamples():
    """A mean of 12 standard errors is not to be 1 / resamples: Holm's procedure needs less."""
    shares = np.random.default_rng(0).normal(1.0, 1.0, 300)
    p = against_nothing(shares).p_value(0, 1)
    assert stats.norm.sf(17) < p < 1e-20


def test_the_bound_is_never_below_the_exact_p_value():
    for seed in range(50):
        shares = np.random.default_rng(seed).standard_t(2, 12) + 2.0
        assert against_nothing(shares).p_value(0, 1) >= 2 / 2**12


def test_seeds_that_disagree_widen_the_interval_and_raise_the_p_value():
    shares = np.random.default_rng(0).normal(1.0, 1.0, 100)
    zero = sample(np.zeros(100))
    mean = shares.mean()
    steady, wild = (
        PairedBootstrap(
            [sample(shares, (mean - spread, mean, mean + spread)), zero], alone(100)
        ).difference(0, 1)
        for spread in (1e-6, 1.0)
    )
    plain = PairedBootstrap([sample(shares), zero], alone(100)).difference(0, 1)
    assert steady == pytest.approx(plain, abs=1e-3)
    assert wild.low < plain.low < plain.high < wild.high
    assert wild.p > 0.05 > plain.p


def test_seeds_alone_are_judged_by_students_t():
    """Where every profile says the same, all that is left is a t test over seeds."""
    scores = (0.9, 1.0, 1.3, 1.1)
    methods = [sample(np.full(500, np.mean(scores)), scores), sample(np.zeros(500))]
    estimate = PairedBootstrap(methods, alone(500)).difference(0, 1)
    expected = stats.ttest_1samp(scores, 0)
    assert estimate.p == pytest.approx(expected.pvalue)
    assert estimate[1:3] == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_of_two_methods_are_judged_by_welchs_test():
    ours, theirs = (0.9, 1.0, 1.3, 1.1), (0.2, 0.9, 0.7)
    methods = [sample(np.full(500, np.mean(scores)), scores) for scores in (ours, theirs)]
    estimate = PairedBootstrap(methods, alone(500)).difference(0, 1)
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert estimate.p == pytest.approx(expected.pvalue)
    assert estimate[1:3] == pytest.approx(tuple(expected.confidence_interval()))


def test_the_p_values_of_all_pairs_are_those_of_each_pair():
    random = np.random.default_rng(5)
    hard = random.gamma(8, 0.125, 60)
    shares = [hard * (1 + 0.05 * random.normal(size=60)) + 0.005 * number for number in range(12)]
    samples = [
        Sample(values, tuple(values.mean() + 0.01 * random.normal(size=1 + number % 3)))
        for number, values in enumerate(shares)
    ]
    bootstrap = PairedBootstrap(samples, alone(60))
    pairs = list(combinations([3, *range(5, 12), 0, 1], 2))  # more than are tested at a time
    expected = [bootstrap.difference(*pair).p for pair in pairs]
    p_values = bootstrap.p_values([3, *range(5, 12), 0, 1])
    np.testing.assert_allclose(p_values, expected, rtol=1e-12)
    assert p_values.min() < 1 / RESAMPLES < p_values.max()


def test_the_p_value_alone_is_that_of_the_difference():
    random = np.random.default_rng(1)
    both = [sample(random.normal(size=50), random.normal(size=seeds)) for seeds in (1, 3)]
    bootstrap = PairedBootstrap(both, alone(50))
    assert bootstrap.p_value(0, 1) == bootstrap.difference(0, 1).p


def test_doubt_about_seeds_never_makes_five_groups_enough():
    labels = (np.arange(60) % 5).astype(str)
    shares = np.random.default_rng(0).normal(5.0, 0.1, 60)
    methods = [sample(shares, (4.9, 5.0, 5.1)), sample(np.zeros(60))]
    assert PairedBootstrap(methods, labels).p_value(0, 1) >= smallest_p(5)


def test_the_interval_over_seeds_is_scipys():
    scores = (0.30, 0.31, 0.29, 0.305)
    expected = stats.t.interval(0.95, 3, loc=np.mean(scores), scale=stats.sem(scores))
    assert seed_interval(scores) == pytest.approx(expected)
    assert seed_interval((0.3,)) is None


def test_profiles_without_a_label_are_groups_by_themselves():
    numbers = group_numbers(np.array(["b", "", "a", "", "b"]))
    assert numbers[0] == numbers[4]
    assert len(set(numbers)) == 4
    assert set(numbers) == set(range(4))


def test_the_same_seed_gives_the_same_numbers():
    shares = np.random.default_rng(0).normal(0.1, 1.0, 100)
    first, second = (against_nothing(shares).difference(0, 1) for _ in range(2))
    assert first == second
    assert against_nothing(shares, seed=1).difference(0, 1) != first


def test_a_true_null_is_rejected_as_often_as_stated():
    """500 nulls of 12 groups; ``benchmarks/calibration.py`` has more kinds, and more of each."""
    random, rejected = np.random.default_rng(0), 0
    for _ in range(500):
        groups = random.integers(0, 12, 60)
        shares = random.normal(size=60) + random.normal(size=12)[groups]
        rejected += (
            against_nothing(shares, groups.astype(str), resamples=400).p_value(0, 1)
            <= SIGNIFICANCE_LEVEL
        )
    assert stats.binomtest(rejected, 500, SIGNIFICANCE_LEVEL).pvalue > 0.001


# Many differences together


def by_hand(shares, groups):
    """Return adjusted p-values of all pairs, by loops over every combination of signs."""
    labels = np.unique(groups)
    sizes = np.array([(groups == label).sum() for label in labels])
    pairs = list(combinations(range(len(shares)), 2))
    sums = [
        np.array([(shares[a] - shares[b])[groups == label].sum() for label in labels])
        for a, b in pairs
    ]

    def studentised(signed):
        mean = signed.sum() / sizes.sum()
        return abs(signed.sum()) / np.linalg.norm(signed - mean * sizes)

    draws = [np.array(signs) for signs in product((1, -1), repeat=len(labels))]
    observed = [studentised(s) for s in sums]
    flipped = [[studentised(signs * s) for s in sums] for signs in draws]
    adjusted, last = {}, 0.0
    for step in sorted(range(len(pairs)), key=lambda pair: -observed[pair]):
        family = [pair for pair in range(len(pairs)) if observed[pair] <= observed[step]]
        share = np.mean(
            [max(row[pair] for pair in family) >= observed[step] - 1e-9 for row in flipped]
        )
        last = max(last, share)
        adjusted[step] = last
    return [adjusted[pair] for pair in range(len(pairs))]


def test_the_step_down_is_that_of_its_definition():
    random = np.random.default_rng(5)
    groups = np.repeat(list("abcdefg"), (1, 2, 3, 4, 5, 6, 7))
    shares = [random.normal(size=28) + shift for shift in (0, 0.1, 0.9, 2.0)]
    bootstrap = PairedBootstrap([sample(values) for values in shares], groups)
    family = bootstrap.step_down(*np.triu_indices(4, 1))
    assert family.p == pytest.approx(by_hand(shares, groups))
    assert 0 < (family.p <= 0.05).sum() < 6, "some are found, and some are not"


def test_one_difference_alone_needs_no_adjustment():
    random = np.random.default_rng(1)
    shares = [random.normal(size=50), random.normal(size=50) + 0.3]
    both = PairedBootstrap([sample(values) for values in shares], alone(50))
    family = both.step_down(np.array([0]), np.array([1]))
    # Where groups have equal sizes, the studentised sum orders signs as the sum does.
    assert family.p[0] == pytest.approx(both.difference(0, 1).p, abs=2e-3)


def test_limits_agree_with_the_test_and_have_no_end_with_few_groups():
    random = np.random.default_rng(2)
    shares = [random.normal(size=60) + shift for shift in (0, 0.5)]
    bootstrap = PairedBootstrap([sample(values) for values in shares], alone(60))
    family = bootstrap.step_down(np.array([0]), np.array([1]))
    low, high = bootstrap.limits(0, 1, family.critical)
    assert (low > 0 or high < 0) == (family.p[0] <= 0.05)
    few = PairedBootstrap([sample(values) for values in shares], np.repeat(list("abcd"), 15))
    family = few.step_down(np.array([0]), np.array([1]))
    assert family.critical == np.inf
    assert few.limits(0, 1, family.critical) == (-np.inf, np.inf)


def test_methods_that_never_differ_are_tied():
    values = np.random.default_rng(3).normal(size=40)
    bootstrap = PairedBootstrap([sample(values), sample(values), sample(values + 1)], alone(40))
    family = bootstrap.step_down(*np.triu_indices(3, 1))
    assert family.p[0] == 1
    assert bootstrap.limits(0, 1, family.critical) == (0, 0)


@pytest.mark.parametrize("distance", [0, 1e-9, 1e-3])
def test_intervals_hold_the_truth_where_two_methods_predict_alike(distance):
    held, width, truth = [], [], 0.5
    for seed in range(100):
        random = np.random.default_rng(seed)
        twin = random.normal(size=60)
        near = twin + distance * random.normal(size=60)
        far = random.normal(size=60) + truth
        bootstrap = PairedBootstrap(
            [sample(twin), sample(near), sample(far)], alone(60), resamples=400
        )
        family = bootstrap.step_down(*np.triu_indices(3, 1))
        low, high = bootstrap.limits(2, 0, family.critical)
        held.append(low <= truth <= high)
        width.append(high - low)
        if low > 0 or high < 0:
            assert family.p[1] <= SIGNIFICANCE_LEVEL
    # 95 % is stated, so fewer than 87 of 100 have a probability below 0.1 %.
    assert sum(held) >= 87
    assert min(width) > 0


def test_no_joint_p_value_is_below_one_draw():
    # Nearly equal methods in few groups, where rounding decides which draws reach T.
    random = np.random.default_rng(0)
    for _ in range(50):
        shares = random.normal(size=10)
        samples = [Sample(shares + 1e-13 * random.normal(size=10), (0.0,)) for _ in range(6)]
        groups = np.array([f"g{i % 5}" for i in range(10)])
        a, b = np.triu_indices(6, 1)
        assert PairedBootstrap(samples, groups).step_down(a, b).p.min() >= 1 / 16

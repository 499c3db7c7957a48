"""False-positive rates of the comparison of methods.

Two methods of equal expected error on correlated genes are simulated, profile by profile, with
groups (studies, donors) that are harder for one method or the other. Every scenario is simulated
many times, and a test that holds its level rejects in 5 % of them. Three tests are compared: the
wild bootstrap of group sums that genebench uses, the percentile bootstrap of groups, and the naive
percentile bootstrap of profiles. Further tables show methods with three seeds, and methods that do
differ. The last ones are about tables of many methods, where any false difference counts: the
step-down of the largest T that ranks use, beside Holm's procedure over all pairs.

Usage: ``python benchmarks/calibration.py [--nulls 2000] [--only pairs|tables]``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL, PairedBootstrap, Sample
from genebench.analysis.rank import holm
from genebench.metrics.agreement import concordance_terms

Values = NDArray[np.float64]

GENES, FACTORS = 40, 5
RESAMPLES = 1_000
"""Resamples of one test. They are enough for a rate; a comparison of genebench takes more."""


@dataclass(frozen=True)
class Scenario:
    """Test profiles, their groups, and the errors of the methods on them."""

    name: str
    profiles: int
    groups: int | None
    """Number of groups. None: every profile is a group."""
    spread: float = 0.3
    """Deviation of the log error of a method between groups."""
    skew: float = 0.0
    """Spread of the first method's error, while that of the others is 0. 0: ``spread`` for all.

    Differences between groups are skewed, the more the larger it is.
    """
    concordance: bool = False
    """True if methods are compared by CC, False by MAE."""
    seeds: int = 1
    seed_spread: float = 0.0
    """Deviation of the log error of a method between seeds."""
    better: float = 0.0
    """Advantage of the first method, as a share of the error."""
    ladder: float = 0.0
    """Disadvantage of the last method, as a share of the error. The others lie evenly between."""


TABLE_SIZES = {10: 1, 50: 2, 200: 4}
"""Methods of a table, and the divisor of the number of tables: large ones take long."""

SCENARIOS = [
    Scenario("28 profiles", 28, None),
    Scenario("60 profiles", 60, None),
    Scenario("60 profiles, skewed", 60, None, skew=0.4),
    Scenario("28 profiles of 6 groups", 28, 6),
    Scenario("60 profiles of 10 groups", 60, 10),
    Scenario("60 profiles of 10 groups, skewed", 60, 10, skew=0.4),
    Scenario("280 profiles", 280, None),
    Scenario("280 profiles of 12 groups", 280, 12),
    Scenario("280 profiles of 12 groups, skewed", 280, 12, skew=0.4),
    Scenario("280 profiles of 12 groups, very skewed", 280, 12, skew=0.75),
    Scenario("280 profiles of 70 groups", 280, 70),
    Scenario("280 profiles of 70 groups, very skewed", 280, 70, skew=0.75),
    Scenario("2,921 profiles of 20 groups", 2921, 20),
    Scenario("2,921 profiles of 175 groups", 2921, 175),
    Scenario("2,921 profiles of 175 groups, skewed", 2921, 175, skew=0.4),
    Scenario("CC, 28 profiles", 28, None, concordance=True),
    Scenario("CC, 60 profiles of 10 groups", 60, 10, concordance=True),
    Scenario("CC, 280 profiles of 70 groups", 280, 70, concordance=True),
]


class Simulation:
    """Draws of per-profile mean absolute errors."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.random = np.random.default_rng([seed, scenario.profiles, scenario.groups or 0])
        self.loadings = self.random.normal(size=(FACTORS, GENES)) / np.sqrt(FACTORS)

    def groups(self) -> NDArray[np.intp]:
        """Draw the group of each profile, of sizes as unequal as those of studies."""
        n, groups = self.scenario.profiles, self.scenario.groups
        if groups is None:
            return np.arange(n)
        shares = self.random.dirichlet(np.full(groups, 2.0))
        extra = self.random.choice(groups, size=n - groups, p=shares)
        return np.concatenate([np.arange(groups), extra])

    def draw(self, methods: int) -> tuple[list[Sample], NDArray[np.str_]]:
        """Draw samples of methods of equal expected error, and the groups of their profiles."""
        groups = self.groups()
        truth = self._correlated(len(groups))
        samples = [
            self._sample(truth, groups, number, advantage)
            for number, advantage in enumerate(self.advantages(methods))
        ]
        labels = groups.astype(str)
        return samples, labels if self.scenario.groups else np.full(len(labels), "")

    def advantages(self, methods: int) -> Values:
        """Return the factor of each method's expected error."""
        factors = 1 + np.linspace(0, self.scenario.ladder, methods)
        factors[0] -= self.scenario.better
        return factors

    @property
    def expected(self) -> float:
        """Expected score of a method whose factor is 1, by MAE: that of normal errors."""
        deviations = np.sqrt(np.square(self.loadings).sum(axis=0) + 0.25)
        return float(deviations.mean() * np.sqrt(2 / np.pi))

    def _sample(
        self, truth: Values, groups: NDArray[np.intp], number: int, advantage: float
    ) -> Sample:
        scenario = self.scenario
        spread = scenario.skew * (number == 0) if scenario.skew else scenario.spread
        scale = self._unit_mean(spread, groups.max() + 1)[groups]
        scale *= advantage
        drifts = self._unit_mean(scenario.seed_spread, scenario.seeds)
        seeds = np.stack([self._shares(truth, scale * drift) for drift in drifts])
        return Sample(seeds.mean(axis=0), tuple(seeds.mean(axis=1)))

    def _shares(self, truth: Values, scale: Values) -> Values:
        """Draw each profile's share of the score, for errors of this scale."""
        errors = scale[:, np.newaxis] * self._correlated(len(truth))
        if not self.scenario.concordance:
            return np.abs(errors).mean(axis=1)
        return concordance_terms(truth, 0.8 * truth + errors).mean(axis=1)

    def _unit_mean(self, spread: float, size: int) -> Values:
        """Draw log-normal factors whose expectation is 1."""
        return self.random.lognormal(-(spread**2) / 2, spread, size)

    def _correlated(self, profiles: int) -> Values:
        """Draw profiles × genes of a few factors and noise."""
        factors = self.random.normal(size=(profiles, FACTORS)) @ self.loadings
        return factors + 0.5 * self.random.normal(size=factors.shape)


def percentile_p(
    differences: Values, groups: NDArray[np.intp], random: np.random.Generator
) -> float:
    """Return the two-sided p-value of the percentile bootstrap that resamples groups."""
    sums, sizes = np.bincount(groups, differences), np.bincount(groups)
    drawn = random.integers(0, len(sizes), (RESAMPLES, len(sizes)), dtype=np.int32)
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return 2 * min((means <= 0).mean(), (means >= 0).mean())


def rejections(scenario: Scenario, nulls: int) -> dict[str, int]:
    """Count the simulations in which each test finds a difference."""
    simulation = Simulation(scenario, seed=1)
    counts = dict.fromkeys(("genebench", "percentile, groups", "percentile, profiles"), 0)
    for _ in range(nulls):
        (a, b), labels = simulation.draw(2)
        differences = a.shares - b.shares
        alone = np.arange(len(labels))
        numbers = np.unique(labels, return_inverse=True)[1] if labels[0] else alone
        bootstrap = PairedBootstrap([a, b], labels, resamples=RESAMPLES)
        p_values = (
            bootstrap.p_value(0, 1),
            percentile_p(differences, numbers, simulation.random),
            percentile_p(differences, alone, simulation.random),
        )
        for name, p in zip(counts, p_values, strict=True):
            counts[name] += p <= SIGNIFICANCE_LEVEL
    return counts


class Counts(NamedTuple):
    """Outcomes of simulated tables.

    Attributes:
        tables: number of tables.
        false_step_down, false_holm: tables with a difference that is none, or of the wrong sign.
        power_step_down, power_holm: shares of the true differences that were found.
        missed_any: tables in which an interval to the leader misses the true difference.
        missed: share of such intervals.
    """

    tables: int
    false_step_down: int
    false_holm: int
    power_step_down: float
    power_holm: float
    missed_any: int
    missed: float


def of_tables(scenario: Scenario, methods: int, tables: int) -> Counts:
    """Simulate tables, and test all pairs of each by both procedures."""
    simulation = Simulation(scenario, seed=2)
    truth = simulation.advantages(methods) * simulation.expected
    a, b = np.triu_indices(methods, 1)
    true_sign = np.sign(truth[a] - truth[b])
    false, power, missed = np.zeros(2, int), np.zeros(2), np.zeros(tables)
    for number in range(tables):
        samples, labels = simulation.draw(methods)
        # Holm's procedure needs more draws than the step-down does.
        draws = 5 * RESAMPLES if methods == min(TABLE_SIZES) else RESAMPLES
        bootstrap = PairedBootstrap(samples, labels, resamples=draws)
        scores = np.array([sample.shares.mean() for sample in samples])
        sign = np.sign(scores[a] - scores[b])
        family = bootstrap.step_down(a, b)
        for which, p in enumerate((family.p, holm(bootstrap.p_values(range(methods))))):
            found = p <= SIGNIFICANCE_LEVEL
            false[which] += np.any(found & (sign != true_sign))
            power[which] += np.mean(found & (sign == true_sign))
        leader = int(scores.argmin())
        others = [method for method in range(methods) if method != leader]
        limits = np.array([bootstrap.limits(other, leader, family.critical) for other in others])
        true = truth[others] - truth[leader]
        missed[number] = np.mean((true < limits[:, 0]) | (true > limits[:, 1]))
    return Counts(
        tables, *map(int, false), *map(float, power / tables), int((missed > 0).sum()),
        float(missed.mean()),
    )  # fmt: skip


def tables_of_many(tables: int) -> Iterator[str]:
    """Yield the tables of equal methods, and of methods that differ."""
    named = {scenario.name: scenario for scenario in SCENARIOS}
    equal = [
        named[name]
        for name in (
            "28 profiles of 6 groups", "60 profiles", "60 profiles of 10 groups",
            "280 profiles of 12 groups", "280 profiles of 12 groups, skewed",
            "280 profiles of 70 groups",
        )
    ]  # fmt: skip
    # Means over seeds take three times as long to draw.
    with_seeds = seeded(named["60 profiles of 10 groups"], 0.05)
    numbers = ", ".join(f"{tables // part}" for part in TABLE_SIZES.values())
    yield f"\nAny difference among equal methods, by the step-down, of {numbers} tables\n"
    yield f"| | {' | '.join(f'{methods} methods' for methods in TABLE_SIZES)} |"
    yield f"|---|{'---|' * len(TABLE_SIZES)}"
    for scenario in equal:
        counts = [of_tables(scenario, n, tables // part) for n, part in TABLE_SIZES.items()]
        cells = [shown(count.false_step_down, count.tables) for count in counts]
        yield f"| {scenario.name} | {' | '.join(cells)} |"
    counts = [of_tables(with_seeds, n, tables // part // 4) for n, part in TABLE_SIZES.items()]
    cells = [shown(count.false_step_down, count.tables) for count in counts]
    yield f"| {with_seeds.name} (a quarter of the tables) | {' | '.join(cells)} |"
    yield (
        "\nThe last method has twice the error of the first, the others lie evenly between. A "
        "quarter of the tables\n"
    )
    yield (
        "| | methods | found, step-down | found, Holm | tables with a false one "
        "| intervals that miss | tables with one that misses |\n|---|---|---|---|---|---|---|"
    )
    for name in (f"{n} profiles of {g} groups" for n, g in ((60, 10), (280, 12), (280, 70))):
        for methods, part in TABLE_SIZES.items():
            scenario = replace(named[name], ladder=1.0, spread=0.1)
            counts_of = of_tables(scenario, methods, tables // part // 4)
            yield (
                f"| {name} | {methods} | {counts_of.power_step_down:.1%} | "
                f"{counts_of.power_holm:.1%} | "
                f"{shown(counts_of.false_step_down, counts_of.tables)} | "
                f"{counts_of.missed:.1%} | {shown(counts_of.missed_any, counts_of.tables)} |"
            )


def affordable(scenario: Scenario, nulls: int) -> int:
    """Return a quarter of the simulations for scenarios of thousands of profiles."""
    return max(1, nulls // 4) if scenario.profiles > 1000 else nulls  # noqa: PLR2004


def shown(count: int, nulls: int) -> str:
    """Format a rate in percent, with its exact 95 % interval."""
    interval = stats.binomtest(count, nulls).proportion_ci()
    return f"{count / nulls:.1%} ({interval.low:.1%}–{interval.high:.1%})"


def table(title: str, scenarios: Sequence[Scenario], nulls: int) -> Iterator[str]:
    """Yield rows of Markdown: how often each test rejects."""
    yield f"\n{title}, of {nulls:,} simulations (a quarter of them for 2,921 profiles)\n"
    for number, scenario in enumerate(scenarios):
        times = affordable(scenario, nulls)
        counts = rejections(scenario, times)
        if number == 0:
            yield f"| | {' | '.join(counts)} |\n|---|{'---|' * len(counts)}"
        yield f"| {scenario.name} | {' | '.join(shown(n, times) for n in counts.values())} |"


def seeded(scenario: Scenario, spread: float) -> Scenario:
    """Return the same scenario with three seeds."""
    name = f"{scenario.name}, 3 seeds ± {spread:.1%}"
    return replace(scenario, name=name, seeds=3, seed_spread=spread)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nulls", type=int, default=2_000)
    parser.add_argument("--only", choices=("pairs", "tables"))
    parser.add_argument("--tables", type=int, default=400)
    arguments = parser.parse_args()
    if arguments.only != "pairs":
        for line in tables_of_many(arguments.tables):
            print(line, flush=True)
    if arguments.only == "tables":
        sys.exit()
    named = {scenario.name: scenario for scenario in SCENARIOS}
    chosen = [named[name] for name in ("280 profiles", "280 profiles of 70 groups")]
    with_seeds = [seeded(scenario, spread) for scenario in chosen for spread in (0.002, 0.05)]
    plain = [scenario for scenario in SCENARIOS if not (scenario.skew or scenario.concordance)]
    better = [replace(scenario, better=0.1) for scenario in plain]
    for line in table(
        "Differences found where there are none (at 5 %)", SCENARIOS, arguments.nulls
    ):
        print(line, flush=True)
    for line in table("The same, of methods with seeds", with_seeds, arguments.nulls):
        print(line, flush=True)
    for line in table("Differences found where one is 10 % better", better, arguments.nulls // 4):
        print(line, flush=True)

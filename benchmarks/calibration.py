"""False-positive rates of the comparison of methods.

Two methods of equal expected error on correlated genes are simulated, profile by profile, with
groups (studies, donors) that are harder for one method or the other. Every scenario is simulated
many times, and a test that holds its level rejects in 5 % of them. Three tests are compared: the
wild bootstrap of group sums that genebench uses, the percentile bootstrap of groups, and the naive
percentile bootstrap of profiles. Further tables show families of seven methods under Holm, where
any false difference counts, methods with three seeds, and methods that do differ.

Usage: ``python benchmarks/calibration.py [--nulls 2000]``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

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
        samples = [self._sample(truth, groups, number) for number in range(methods)]
        labels = groups.astype(str)
        return samples, labels if self.scenario.groups else np.full(len(labels), "")

    def _sample(self, truth: Values, groups: NDArray[np.intp], number: int) -> Sample:
        scenario = self.scenario
        spread = scenario.skew * (number == 0) if scenario.skew else scenario.spread
        scale = self._unit_mean(spread, groups.max() + 1)[groups]
        scale *= 1 - scenario.better * (number == 0)
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


def family_rejections(scenario: Scenario, methods: int, nulls: int) -> int:
    """Count the tables of equal methods with at least one difference, by Holm's procedure."""
    simulation, rejected = Simulation(scenario, seed=2), 0
    for _ in range(nulls):
        samples, labels = simulation.draw(methods)
        bootstrap = PairedBootstrap(samples, labels)
        pairs = combinations(range(methods), 2)
        adjusted = holm(np.array([bootstrap.p_value(*pair) for pair in pairs]))
        rejected += adjusted.min() <= SIGNIFICANCE_LEVEL
    return rejected


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
    parser.add_argument("--methods", type=int, default=7)
    arguments = parser.parse_args()
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
    nulls = arguments.nulls // 2
    print(f"\nAny difference among {arguments.methods} equal methods, Holm, of {nulls:,} tables\n")
    print("| | tables |\n|---|---|")
    for scenario in plain:
        times = affordable(scenario, nulls)
        count = family_rejections(scenario, arguments.methods, times)
        print(f"| {scenario.name} | {shown(count, times)} |", flush=True)

"""How often the comparison of methods finds a difference where there is none.

Two methods of equal expected error on correlated genes are simulated, profile by profile, with
groups (studies, donors) that are harder for one method or the other; every scenario is simulated
many times, and a test that holds its level rejects in 5 % of them. Compared are the wild bootstrap
of group sums that genebench uses, and what one might do instead: the percentile bootstrap of
groups, and the naive one of profiles. Then families of seven methods under Holm, where any false
difference counts, methods with three seeds, and the same questions of methods that do differ.

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

from genebench.analysis.bootstrap import LEVEL, PairedBootstrap, Sample
from genebench.analysis.rank import holm
from genebench.metrics.agreement import concordance_terms

Values = NDArray[np.float64]

GENES, FACTORS = 40, 5
RESAMPLES = 1_000
"""Enough to judge a level; a comparison takes more."""


@dataclass(frozen=True)
class Scenario:
    """Test profiles, and how they hang together."""

    name: str
    profiles: int
    groups: int | None
    """None: every profile is on its own."""
    spread: float = 0.3
    """Deviation of the log error of a method between groups."""
    skew: float = 0.0
    """If given, the spread of the first method's error, while the others are steady: differences
    between groups are skewed, the more the larger it is."""
    concordance: bool = False
    """Whether methods are compared by CC; otherwise by MAE."""
    seeds: int = 1
    seed_spread: float = 0.0
    """Deviation of the log error of a method between seeds."""
    better: float = 0.0
    """By how much the first is better, as a share of the error."""


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
        """Group of each profile; sizes are as unequal as those of studies, none is empty."""
        n, groups = self.scenario.profiles, self.scenario.groups
        if groups is None:
            return np.arange(n)
        shares = self.random.dirichlet(np.full(groups, 2.0))
        extra = self.random.choice(groups, size=n - groups, p=shares)
        return np.concatenate([np.arange(groups), extra])

    def draw(self, methods: int) -> tuple[list[Sample], NDArray[np.str_]]:
        """Samples of methods of equal expected error, and the groups of their profiles."""
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
        """What each profile has in the score of predictions that err by so much."""
        errors = scale[:, np.newaxis] * self._correlated(len(truth))
        if not self.scenario.concordance:
            return np.abs(errors).mean(axis=1)
        return concordance_terms(truth, 0.8 * truth + errors).mean(axis=1)

    def _unit_mean(self, spread: float, size: int) -> Values:
        """Log-normal factors whose expectation is 1."""
        return self.random.lognormal(-(spread**2) / 2, spread, size)

    def _correlated(self, profiles: int) -> Values:
        """Profiles × genes that vary together: a few factors and noise."""
        factors = self.random.normal(size=(profiles, FACTORS)) @ self.loadings
        return factors + 0.5 * self.random.normal(size=factors.shape)


def percentile_p(
    differences: Values, groups: NDArray[np.intp], random: np.random.Generator
) -> float:
    """Two-sided p-value of the plain percentile bootstrap that resamples groups."""
    sums, sizes = np.bincount(groups, differences), np.bincount(groups)
    drawn = random.integers(0, len(sizes), (RESAMPLES, len(sizes)), dtype=np.int32)
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return 2 * min((means <= 0).mean(), (means >= 0).mean())


def rejections(scenario: Scenario, nulls: int) -> dict[str, int]:
    """How many of the simulations each test calls a difference."""
    simulation = Simulation(scenario, seed=1)
    found = dict.fromkeys(("genebench", "percentile, groups", "percentile, profiles"), 0)
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
        for name, p in zip(found, p_values, strict=True):
            found[name] += p <= LEVEL
    return found


def family_rejections(scenario: Scenario, methods: int, nulls: int) -> int:
    """How many tables of equal methods show at least one difference, by Holm's procedure."""
    simulation, found = Simulation(scenario, seed=2), 0
    for _ in range(nulls):
        samples, labels = simulation.draw(methods)
        bootstrap = PairedBootstrap(samples, labels)
        pairs = combinations(range(methods), 2)
        adjusted = holm(np.array([bootstrap.p_value(*pair) for pair in pairs]))
        found += adjusted.min() <= LEVEL
    return found


def affordable(scenario: Scenario, nulls: int) -> int:
    """A quarter of the simulations where there are thousands of profiles."""
    return nulls // 4 if scenario.profiles > 1000 else nulls  # noqa: PLR2004


def shown(count: int, nulls: int) -> str:
    """A rate in percent, with its exact 95 % interval."""
    interval = stats.binomtest(count, nulls).proportion_ci()
    return f"{count / nulls:.1%} ({interval.low:.1%}–{interval.high:.1%})"


def table(title: str, scenarios: Sequence[Scenario], nulls: int) -> Iterator[str]:
    """Rows of Markdown: how often each test rejects."""
    yield f"\n{title}, of {nulls:,} simulations (a quarter of them for 2,921 profiles)\n"
    for number, scenario in enumerate(scenarios):
        times = affordable(scenario, nulls)
        counts = rejections(scenario, times)
        if number == 0:
            yield f"| | {' | '.join(counts)} |\n|---|{'---|' * len(counts)}"
        yield f"| {scenario.name} | {' | '.join(shown(n, times) for n in counts.values())} |"


def seeded(scenario: Scenario, spread: float) -> Scenario:
    """The same with three seeds."""
    name = f"{scenario.name}, 3 seeds ± {spread:.1%}"
    return replace(scenario, name=name, seeds=3, seed_spread=spread)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nulls", type=int, default=2_000)
    parser.add_argument("--methods", type=int, default=7)
    given = parser.parse_args()
    named = {scenario.name: scenario for scenario in SCENARIOS}
    chosen = [named[name] for name in ("280 profiles", "280 profiles of 70 groups")]
    with_seeds = [seeded(scenario, spread) for scenario in chosen for spread in (0.002, 0.05)]
    plain = [one for one in SCENARIOS if not (one.skew or one.concordance)]
    better = [replace(one, better=0.1) for one in plain]
    for line in table("Differences found where there are none (at 5 %)", SCENARIOS, given.nulls):
        print(line, flush=True)
    for line in table("The same, of methods with seeds", with_seeds, given.nulls):
        print(line, flush=True)
    for line in table("Differences found where one is 10 % better", better, given.nulls // 4):
        print(line, flush=True)
    nulls = given.nulls // 2
    print(f"\nAny difference among {given.methods} equal methods, Holm, of {nulls:,} tables\n")
    print("| | tables |\n|---|---|")
    for scenario in plain:
        times = affordable(scenario, nulls)
        count = family_rejections(scenario, given.methods, times)
        print(f"| {scenario.name} | {shown(count, times)} |", flush=True)

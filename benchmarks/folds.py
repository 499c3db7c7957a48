"""Calibration of tests across folds: how often they find a difference of equal methods.

Two methods learn from two halves of the landmarks that are alike in distribution and in their
effect on the targets. So their expected errors are equal, over training sets and test profiles.
Each simulation draws data, fits both methods in every fold, and tests their difference as reports
do. Beside it stand the wild bootstrap alone, which takes the models as given, and the t test over
the means of folds, which takes folds as independent.

Two kinds of method are simulated: ridge regression, which hardly depends on single profiles, and
the nearest neighbour, which does.

Usage: ``python benchmarks/folds.py [--nulls 1000] [--only repeats]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from calibration import shown
from numpy.typing import NDArray
from scipy import stats

from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL, Folds, PairedBootstrap, Sample
from genebench.data.folds import in_fold, repeat_seed
from genebench.preprocessing.splits import random_split
from genebench.specs import Division, Fold, FoldKind

Values = NDArray[np.float64]
LANDMARKS, TARGETS = 6, 5
RESAMPLES = 1_000


@dataclass(frozen=True)
class Scenario:
    """Data and folds."""

    name: str
    kind: FoldKind
    number: int
    """Number of folds or repeats. For ``leave-one-out``, that of the groups."""
    profiles: int
    groups: int | None = None
    """Number of groups that resemble each other. None: profiles are independent."""


SCENARIOS = [
    Scenario("5 folds of 60 profiles", "k-fold", 5, 60),
    Scenario("5 folds of 200 profiles", "k-fold", 5, 200),
    Scenario("10 folds of 200 profiles", "k-fold", 10, 200),
    Scenario("5 folds of 200 profiles of 20 groups", "k-fold", 5, 200, 20),
    Scenario("10 folds of 200 profiles of 20 groups", "k-fold", 10, 200, 20),
    Scenario("8 groups left out, 120 profiles", "leave-one-out", 8, 120, 8),
    Scenario("13 groups left out, 200 profiles", "leave-one-out", 13, 200, 13),
    Scenario("30 groups left out, 300 profiles", "leave-one-out", 30, 300, 30),
    Scenario("10 repeats of 200 profiles", "repeat", 10, 200),
    Scenario("30 repeats of 200 profiles", "repeat", 30, 200),
]


def ridge(train: Values, targets: Values, test: Values) -> Values:
    """Return predictions of ridge regression, λ = 1."""
    gram = train.T @ train + np.eye(train.shape[1])
    return np.asarray(test @ np.linalg.solve(gram, train.T @ targets))


def nearest(train: Values, targets: Values, test: Values) -> Values:
    """Return the targets of the nearest training profile."""
    distance = np.square(test[:, np.newaxis] - train).sum(axis=-1)
    return targets[distance.argmin(axis=1)]


METHODS: dict[str, Callable[[Values, Values, Values], Values]] = {
    "ridge": ridge,
    "nearest neighbour": nearest,
}


def draw(scenario: Scenario, random: np.random.Generator) -> tuple[Values, Values, pd.DataFrame]:
    """Draw two halves of landmarks (2 × profiles × genes), targets, and the profile table."""
    n, groups = scenario.profiles, scenario.groups
    of = np.arange(n)
    if groups:
        shares = random.dirichlet(np.full(groups, 4.0))
        of = np.concatenate(
            [np.repeat(np.arange(groups), 2), random.choice(groups, n - 2 * groups, p=shares)]
        )
    # Profiles of a group have a common shift, and a common scale of noise.
    shift = random.normal(size=(2, of.max() + 1, LANDMARKS)) * (0.7 if groups else 0.0)
    halves = random.normal(size=(2, n, LANDMARKS)) + shift[:, of]
    effect = random.normal(size=(LANDMARKS, TARGETS)) / np.sqrt(LANDMARKS)
    noise = 0.5 * random.lognormal(0, 0.3, of.max() + 1)[of, np.newaxis]
    targets = halves.sum(axis=0) @ effect + noise * random.normal(size=(n, TARGETS))
    labels = [f"g{number:03d}" for number in of] if groups else [f"p{number}" for number in of]
    return halves, targets, pd.DataFrame({"group": labels})


def parts_of(scenario: Scenario, table: pd.DataFrame, seed: int) -> Iterator[NDArray[np.str_]]:
    """Yield the part of each profile, fold by fold, as genebench makes them."""
    by = "group" if scenario.groups else "random"
    for number in range(scenario.number):
        label = str(number + 1)
        if scenario.kind == "repeat":
            yield random_split(table, repeat_seed(seed, label))
            continue
        if scenario.kind == "leave-one-out":
            label = sorted(set(table["group"]))[number]
        fold = Fold(kind=scenario.kind, label=label, number=scenario.number)
        yield in_fold(Division(by=by, fold=fold), table, seed)


def p_values(scenario: Scenario, method: str, random: np.random.Generator) -> tuple[float, ...]:
    """Simulate once, and return the p-values of all tests."""
    halves, targets, table = draw(scenario, random)
    shares: list[list[Values]] = [[], []]
    tested: list[NDArray[np.intp]] = []
    sizes = []
    for parts in parts_of(scenario, table, int(random.integers(2**31))):
        train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
        tested.append(test)
        sizes.append(len(test) / len(train))
        for half, of in zip(halves, shares, strict=True):
            predicted = METHODS[method](half[train], targets[train], half[test])
            of.append(np.abs(predicted - targets[test]).mean(axis=1))
    means = np.array([[fold.mean() for fold in of] for of in shares])
    counts = np.array([len(test) for test in tested])
    # As genebench.analysis.folds weighs them: each fold counts the same.
    weights = np.repeat(counts.sum() / (len(counts) * counts), counts)
    samples = [Sample(np.concatenate(of) * weights, (float(of_means.mean()),))
               for of, of_means in zip(shares, means, strict=True)]  # fmt: skip
    rows = np.concatenate(tested)
    labels = table["group"].to_numpy(dtype=str)[rows]
    fold = np.repeat(np.arange(len(counts)), counts)
    folds = Folds(fold, float(np.mean(sizes)))
    both = PairedBootstrap(samples, labels, folds=folds, resamples=RESAMPLES).p_value(0, 1)
    alone = PairedBootstrap(samples, labels, resamples=RESAMPLES).p_value(0, 1)
    return both, alone, float(stats.ttest_rel(*means).pvalue)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nulls", type=int, default=1_000)
    parser.add_argument("--only", default="", help="a word in the names of scenarios")
    arguments = parser.parse_args()
    nulls = arguments.nulls
    print(
        "| | method | genebench | wild bootstrap alone | t test over folds |\n|---|---|---|---|---|"
    )
    for scenario in [item for item in SCENARIOS if arguments.only in item.name]:
        for method in METHODS:
            random = np.random.default_rng([3, scenario.profiles, scenario.number])
            found = np.array([p_values(scenario, method, random) for _ in range(nulls)])
            counts = (found <= SIGNIFICANCE_LEVEL).sum(axis=0)
            cells = " | ".join(shown(int(count), nulls) for count in counts)
            print(f"| {scenario.name} | {method} | {cells} |", flush=True)

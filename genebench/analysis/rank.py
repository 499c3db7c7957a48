"""Ranks with ties: a method ranks behind another only if their difference is significant.

All pairs of a table are tested together, by
:meth:`~genebench.analysis.bootstrap.PairedBootstrap.step_down`. So ranks do not collapse as a table
grows. Reasons and error rates are in ``docs/explanation/statistics.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.analysis.bootstrap import (
    SIGNIFICANCE_LEVEL,
    Folds,
    PairedBootstrap,
    Sample,
    rough,
    seed_interval,
    smallest_p,
)
from genebench.analysis.folds import FOLD_OVERLAP, PROFILE_FOLD
from genebench.analysis.scaled import FLOOR
from genebench.analysis.variants import Variant
from genebench.analysis.vectors import VectorsOf
from genebench.results.panels import PROFILE_GROUP, PROFILE_METRIC, share_name
from genebench.results.vectors import Vectors
from genebench.specs import MetricSpec


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The place of a method in a table.

    Attributes:
        variant: the method.
        mean: the score, a mean over the panel's genes and over seeds.
        rank: 1 + the number of methods that are significantly better, but never before a method
            with a better mean. None for controls, and for methods without shares of profiles.
        tied_with: ranked methods whose difference from this one is not significant.
        rank_low, rank_high: the ranks that the method may have: 1 + the number of significantly
            better ones, and the number of methods less the significantly worse ones. None if it has
            no rank.
        difference: its score − that of the leader, the method with the best mean. None for the
            leader itself, and for untested methods.
        difference_low, difference_high: interval of the difference, with a confidence of 95 % or
            more for all methods of the table at once. A method whose interval is beyond 0 is not
            tied with the leader. One whose interval contains 0 may be, see ``p``. None if there are
            too few groups.
        p: p-value of the difference, adjusted for all pairs of the table.
        p_values: the same for its difference from every other ranked method, with that method.
        beats_mean: True if it is significantly better than the control ``train-mean``. None if
            either was not tested.
        low, high: 95 % interval of the score over test profiles and seeds. None if the method was
            not tested, or if there are too few groups.
        seeds: number of seeds.
        seed_low, seed_high: 95 % t interval of the score over seeds alone. None with one seed.
        profiles: number of test profiles that were resampled, 0 if the method was not tested.
        groups: number of groups of these profiles. None if the platform has no groups.
        folds: number of folds that the profiles were tested in. 0 without folds.
    """

    variant: Variant
    mean: float
    rank: int | None = None
    tied_with: tuple[Variant, ...] = ()
    rank_low: int | None = None
    rank_high: int | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    p_values: tuple[tuple[Variant, float], ...] = ()
    beats_mean: bool | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 1
    seed_low: float | None = None
    seed_high: float | None = None
    profiles: int = 0
    groups: int | None = None
    folds: int = 0

    @property
    def place(self) -> str:
        """The rank as shown: ``1 =`` if the method is tied with another, ``–`` without a rank."""
        if self.rank is None:
            return "–"
        return f"{self.rank} =" if self.tied_with else str(self.rank)

    @property
    def places(self) -> str:
        """The ranks that the method may have, such as ``2–4``. Empty without a rank."""
        if self.rank_low is None:
            return ""
        one = self.rank_low == self.rank_high
        return str(self.rank_low) if one else f"{self.rank_low}–{self.rank_high}"


@dataclass(frozen=True)
class Evidence:
    """The data of one method for a test: its sample, and the profiles of the sample."""

    sample: Sample
    profiles: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    """Label of each profile's group. None if the platform has no groups."""
    folds: Folds | None = None
    """The fold that each profile was tested in, if the protocol has folds."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each profile's group, empty if the platform has no groups."""
        return np.full(len(self.profiles), "") if self.groups is None else self.groups

    def is_paired_with(self, other: Evidence) -> bool:
        """Return whether both are of the same test profiles, in the same order and groups."""
        if (self.folds is None) != (other.folds is None):
            return False
        # Comparing identity first saves time: records of one test mostly share these arrays.
        same_groups = self.groups is other.groups or np.array_equal(self.labels, other.labels)
        return same_groups and (
            self.profiles is other.profiles or np.array_equal(self.profiles, other.profiles)
        )


@dataclass(frozen=True)
class Entry:
    """The data of one method for a rank: the score of each seed, and the evidence for a test."""

    variant: Variant
    scores: Sequence[float]
    evidence: Evidence | None


def standings(
    variants: Sequence[Variant], vectors_of: VectorsOf, metric: MetricSpec, panel: str = "all"
) -> list[Standing]:
    """Rank methods by a metric on a panel: ranked ones best first, then untested, then controls.

    All pairs are tested by :meth:`PairedBootstrap.step_down`, which keeps the probability of any
    false difference in the table at 5 %. Methods without a score are left out.

    Args:
        variants: methods that were tested on the same profiles.
        vectors_of: returns the vectors of a record. It is called once for each record.
        metric: the metric.
        panel: ``all``, ``strict`` or ``twin``.
    """
    return ranked(entries_of(variants, vectors_of, metric.name, panel), metric)


def entries_of(
    variants: Iterable[Variant], vectors_of: VectorsOf, metric: str, panel: str
) -> list[Entry]:  # fmt: skip
    """Return an entry for each method that has a score."""
    return [
        Entry(variant, scores, evidence_of(variant, vectors_of, metric, panel))
        for variant in variants
        if (scores := scores_of(variant, metric, panel))
    ]


def ranked(entries: Sequence[Entry], metric: MetricSpec) -> list[Standing]:
    """Return the standings of entries, as :func:`standings` does for methods."""
    sign = 1 if metric.direction == "lower" else -1
    table = []
    for entry in entries:
        low, high = seed_interval(entry.scores) or (None, None)
        table.append(
            Standing(
                variant=entry.variant,
                mean=fmean(entry.scores),
                seeds=len(entry.scores),
                seed_low=low,
                seed_high=high,
            )
        )
    if tested := _largest_pairing([entry.evidence for entry in entries]):
        for row, outcome in _test(table, tested, sign).items():
            table[row] = replace(table[row], **outcome)
    table.sort(key=lambda row: (row.variant.control, row.rank is None, sign * row.mean))
    # A noisy method may be much worse, and not significantly so. Its rank is raised to that of the
    # rows above, so that ranks never decrease down the table.
    ranks = accumulate((row.rank or 0 for row in table), max)
    return [replace(row, rank=row.rank and rank) for row, rank in zip(table, ranks, strict=True)]


def _largest_pairing(evidence: Sequence[Evidence | None]) -> dict[int, Evidence]:
    """Return row → evidence of the rows to test: the most that are of the same profiles.

    One record of other profiles must not keep all others from being tested.
    """
    pairings: list[dict[int, Evidence]] = []
    for row, of_row in enumerate(evidence):
        if of_row is None:
            continue
        for pairing in pairings:
            if next(iter(pairing.values())).is_paired_with(of_row):
                pairing[row] = of_row
                break
        else:
            pairings.append({row: of_row})
    return max(pairings, key=len, default={})


def description_of_test(table: Sequence[Standing]) -> str:
    """Return one line for below the table: the test, and the profiles that it resampled."""
    ranked = [row for row in table if row.rank is not None]
    if not ranked:
        return "not ranked: these records have no shares of test profiles in this metric"
    pairs, first = math.comb(len(ranked), 2), ranked[0]
    profiles = f"{first.profiles:,} test profiles"
    # Without known groups, the bootstrap takes each profile as its own group.
    groups = first.profiles if first.groups is None else first.groups
    profiles += f" in {groups:,} groups" if first.groups is not None else ", no groups known"
    if pairs and smallest_p(groups) > SIGNIFICANCE_LEVEL:
        return f"all are tied: {profiles} are too few for any significant difference"
    over_folds = (
        f", and the corrected resampled t test over {first.folds} folds" if first.folds else ""
    )
    all_tied = pairs and all(row.rank == 1 for row in ranked)
    return (
        "rank = 1 + methods that are significantly better, but never before a better mean. "
        "'=' marks a tie, and a range the ranks that are possible. Test: paired wild bootstrap "
        f"over {profiles}{over_folds}, 5 % for all {pairs:,} pairs together (largest T, "
        "step-down). "
        "genebench compare tests one pair by itself, so its interval and p differ."
        f"{' All are tied: the data cannot tell.' if all_tied else ''}"
    )


def caution(table: Sequence[Standing]) -> str:
    """Return a warning for below the test if it has too few profiles or groups to be exact."""
    ranked = [row for row in table if row.rank is not None]
    return rough(ranked[0].profiles, ranked[0].groups) if len(ranked) > 1 else ""


def scores_of(variant: Variant, metric: str, panel: str) -> list[float]:
    """Return the score of each seed that has one."""
    return [record.scores[metric][panel].mean for record in variant.scored(metric, panel)]


def evidence_of(
    variant: Variant, vectors_of: VectorsOf, metric: str, panel: str
) -> Evidence | None:
    """Return the data of a method for a test, averaged over seeds.

    None if a seed has no shares of profiles, or if seeds are of different profiles.
    """
    scored = variant.scored(metric, panel)
    seeds = [
        evidence
        for record in scored
        if (evidence := _evidence_in(vectors_of(record), metric, panel))
    ]
    if not seeds or len(seeds) < len(scored) or not all(map(seeds[0].is_paired_with, seeds)):
        return None
    # Averaged over seeds before resampling: seeds are no further profiles.
    shares = np.mean([seed.sample.shares for seed in seeds], axis=0)
    scores = tuple(score for seed in seeds for score in seed.sample.scores)
    return replace(seeds[0], sample=Sample(shares, scores))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted for their number, in the given order.

    Of m p-values, sorted, the i-th becomes ``max_{j ≤ i} (m − j + 1) p_j``, at most 1 (Holm 1979,
    Scandinavian Journal of Statistics 6, 65–70).
    """
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _evidence_in(vectors: Vectors, metric: str, panel: str) -> Evidence | None:
    """Return the data of one record for a test, or None without shares of profiles."""
    shares = vectors.get(share_name(metric, panel))
    # A metric of profiles is its own share: its score is the mean over profiles.
    if shares is None and panel == "all":
        shares = vectors.get(f"{PROFILE_METRIC}{metric}")
    if shares is None or "profile.id" not in vectors:
        return None
    folds = None
    if FOLD_OVERLAP in vectors:
        numbers = np.unique(vectors[PROFILE_FOLD], return_inverse=True)[1]
        folds = Folds(numbers, float(vectors[FOLD_OVERLAP][0]))
    sample = Sample(shares, (float(shares.mean()),))
    return Evidence(sample, vectors["profile.id"], vectors.get(PROFILE_GROUP), folds)


def _test(
    table: Sequence[Standing], tested: Mapping[int, Evidence], sign: int
) -> dict[int, dict[str, Any]]:
    """Test all pairs of rows, and return the attributes of each tested row's standing.

    Args:
        table: one row for each method.
        tested: row → evidence.
        sign: 1 if lower scores are better, else −1.
    """
    first = next(iter(tested.values()))
    samples = [evidence.sample for evidence in tested.values()]
    bootstrap = PairedBootstrap(samples, first.labels, folds=first.folds)
    position = {row: number for number, row in enumerate(tested)}
    outcomes: dict[int, dict[str, Any]] = {}
    for row in tested:
        estimate = bootstrap.score(position[row])
        outcomes[row] = {
            "low": _finite(estimate.low),
            "high": _finite(estimate.high),
            "profiles": bootstrap.profiles,
            "groups": None if first.groups is None else bootstrap.groups,
            "folds": len(np.unique(first.folds.of)) if first.folds else 0,
        }
    # Controls have intervals, but no ranks: each further method costs the others power.
    ranked = [row for row in tested if not table[row].variant.control]
    for row, outcome in _ranks(table, ranked, position, bootstrap, sign):
        outcomes[row] |= outcome
    floor = next((row for row in tested if _is_floor(table[row].variant)), None)
    if floor is not None and ranked:
        positions = np.array([position[row] for row in ranked])
        family = bootstrap.step_down(positions, np.full_like(positions, position[floor]))
        for row, p in zip(ranked, family.p, strict=True):
            is_better = sign * (table[row].mean - table[floor].mean) < 0
            outcomes[row]["beats_mean"] = bool(is_better and p <= SIGNIFICANCE_LEVEL)
    return outcomes


def _ranks(
    table: Sequence[Standing],
    ranked: Sequence[int],
    position: Mapping[int, int],
    bootstrap: PairedBootstrap,
    sign: int,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each ranked row with its rank, its ties, and its difference to the leader."""
    if not ranked:
        return
    positions = np.array([position[row] for row in ranked])
    a, b = np.triu_indices(len(ranked), 1)
    family = bootstrap.step_down(positions[a], positions[b])
    p_values = np.ones((len(ranked), len(ranked)))
    p_values[a, b] = p_values[b, a] = family.p
    means = np.array([table[row].mean for row in ranked])
    significant = p_values <= SIGNIFICANCE_LEVEL
    # Row i, column j: method j is significantly better than method i, or worse.
    better = significant & (sign * (means - means[:, np.newaxis]) < 0)
    worse = significant & ~better
    leader = int(np.argmin(sign * means))
    for number, row in enumerate(ranked):
        tied = np.flatnonzero(~significant[number]).tolist()
        outcome: dict[str, Any] = {
            "rank": 1 + int(better[number].sum()),
            "rank_low": 1 + int(better[number].sum()),
            "rank_high": len(ranked) - int(worse[number].sum()),
            "tied_with": tuple(table[ranked[other]].variant for other in tied if other != number),
            "p_values": tuple(
                (table[ranked[other]].variant, p)
                for other, p in enumerate(p_values[number].tolist())
                if other != number
            ),
        }
        if number != leader:
            low, high = bootstrap.limits(positions[number], positions[leader], family.critical)
            outcome |= {
                "difference": table[row].mean - table[ranked[leader]].mean,
                "difference_low": _finite(low),
                "difference_high": _finite(high),
                "p": float(p_values[number, leader]),
            }
        yield row, outcome


def _is_floor(variant: Variant) -> bool:
    # Versions of its code may be part of the label.
    return variant.control and variant.label.partition(" ")[0] == FLOOR


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None

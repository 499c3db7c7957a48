"""Ranks that admit ties: a method is behind another only where a test says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from genebench.analysis.bootstrap import (
    LEVEL,
    PairedBootstrap,
    Sample,
    rough,
    seed_interval,
    smallest_p,
)
from genebench.analysis.vectors import VectorsOf
from genebench.results.panels import PROFILE_GROUP, PROFILE_METRIC, share_name
from genebench.results.record import Record
from genebench.specs import MetricSpec


class Named(Protocol):
    """What is ranked: a method with its parameters, by its name."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def control(self) -> bool: ...  # noqa: D102


class Entrant(Named, Protocol):
    """What is ranked, with its records, one for each seed."""

    @property
    def records(self) -> tuple[Record, ...]: ...  # noqa: D102


N = TypeVar("N", bound=Named)
E = TypeVar("E", bound=Entrant)


@dataclass(frozen=True, kw_only=True)
class Standing(Generic[N]):
    """Where a method stands in a table.

    Attributes:
        variant: the method.
        mean: the score, a mean over the panel's genes and over seeds.
        rank: 1 + the number of methods that are significantly better, but never before a method
            with a better mean; None for controls, and for methods whose records hold too little
            to be tested.
        tied_with: ranked methods that it cannot be told from.
        low, high: 95 % interval of the score over test profiles and seeds; None when untested or
            when there are too few groups to tell.
        seeds: how many seeds the mean is over.
        seed_low, seed_high: 95 % t interval of the score over seeds alone; None with one seed.
        profiles: how many test profiles were resampled; 0 when untested.
        groups: how many groups they are of; None where no groups are known.
    """

    variant: N
    mean: float
    rank: int | None = None
    tied_with: tuple[N, ...] = ()
    low: float | None = None
    high: float | None = None
    seeds: int = 1
    seed_low: float | None = None
    seed_high: float | None = None
    profiles: int = 0
    groups: int | None = None

    @property
    def place(self) -> str:
        """The rank as it is shown: ``1 =`` where it is tied with another, ``–`` without a rank."""
        if self.rank is None:
            return "–"
        return f"{self.rank} =" if self.tied_with else str(self.rank)


@dataclass(frozen=True)
class Evidence:
    """What records of one method hold for a test: a sample, and the profiles it is of."""

    sample: Sample
    profiles: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    """Label of each profile's group; None where the platform has none."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """Labels to resample by: empty ones where no groups are known."""
        return np.full(len(self.profiles), "") if self.groups is None else self.groups

    def is_paired_with(self, other: Evidence) -> bool:
        """Whether both are of the same test profiles, in the same order and groups.

        Mostly they share the very arrays.
        """
        same_groups = self.groups is other.groups or np.array_equal(self.labels, other.labels)
        return same_groups and (
            self.profiles is other.profiles or np.array_equal(self.profiles, other.profiles)
        )


@dataclass(frozen=True)
class Entry(Generic[N]):
    """All that a rank is made of: the score of each seed, and what a test can go by."""

    variant: N
    scores: Sequence[float]
    evidence: Evidence | None


def standings(
    variants: Sequence[E], vectors_of: VectorsOf, metric: MetricSpec, panel: str = "all"
) -> list[Standing[E]]:
    """Rank methods by a metric on a panel: ranked ones best first, then untested, then controls.

    Every pair is tested by :class:`PairedBootstrap`; Holm's procedure over all pairs of the table
    keeps the chance of even one false difference at 5 %. Methods without a score are left out.

    Args:
        variants: methods that were tested on the same profiles.
        vectors_of: where the vectors of their records come from; asked once for each record.
        metric: the metric, whose direction says which way is better.
        panel: ``all``, ``strict`` or ``twin``.
    """
    return ranked(entries_of(variants, vectors_of, metric.name, panel), metric)


def entries_of(
    variants: Iterable[E], vectors_of: VectorsOf, metric: str, panel: str
) -> list[Entry[E]]:  # fmt: skip
    """Those of the methods that have a score, with what their ranks are made of."""
    return [
        Entry(variant, scores, evidence_of(variant, vectors_of, metric, panel))
        for variant in variants
        if (scores := scores_of(variant, metric, panel))
    ]


def ranked(entries: Sequence[Entry[N]], metric: MetricSpec) -> list[Standing[N]]:
    """What :func:`standings` does once records were read."""
    sign = 1 if metric.direction == "lower" else -1
    found = [
        Standing(variant=entry.variant, mean=fmean(entry.scores), **_over_seeds(entry.scores))
        for entry in entries
    ]
    tested = _paired([entry.evidence for entry in entries])
    if tested:
        for at, told in _test(found, tested, sign).items():
            found[at] = replace(found[at], **told)
    found.sort(key=lambda one: (one.variant.control, one.rank is None, sign * one.mean))
    return _never_decreasing(found)


def named_test(found: Sequence[Standing[N]]) -> str:
    """What was tested and how, in one line to stand under the table."""
    ranked = [one for one in found if one.rank is not None]
    if not ranked:
        return "not ranked: these records hold no shares of test profiles in this metric"
    pairs, first = math.comb(len(ranked), 2), ranked[0]
    of = f"{first.profiles:,} test profiles"
    units = first.profiles if first.groups is None else first.groups
    of += f" in {units:,} groups" if first.groups is not None else ", no groups known"
    if pairs and smallest_p(units) * pairs > LEVEL:
        return f"not to be told apart: {of} are too few to tell at 5 % ({pairs} pairs)"
    tie = "; all are tied: the data cannot tell" if all(one.rank == 1 for one in ranked) else ""
    return (
        f"rank = 1 + methods that are significantly better (5 %, paired wild bootstrap over {of}; "
        f"Holm, pairs: {pairs}), never before a better mean; '=' cannot be told from another"
        f"{tie if pairs else ''}"
    )


def caution(found: Sequence[Standing[N]]) -> str:
    """What to stand below the test where calibration does not cover so few units; else nothing."""
    ranked = [one for one in found if one.rank is not None]
    return rough(ranked[0].profiles, ranked[0].groups) if len(ranked) > 1 else ""


def scored_records(variant: Entrant, metric: str, panel: str) -> list[Record]:
    """The records, one for each seed, that have such a score."""
    return [record for record in variant.records if panel in record.scores.get(metric, {})]


def scores_of(variant: Entrant, metric: str, panel: str) -> list[float]:
    """The score of each seed that has one."""
    records = scored_records(variant, metric, panel)
    return [record.scores[metric][panel].mean for record in records]


def evidence_of(
    variant: Entrant, vectors_of: VectorsOf, metric: str, panel: str
) -> Evidence | None:
    """What the records of a method hold for a test; None where one of them holds too little."""
    done = scored_records(variant, metric, panel)
    seeds = [
        evidence for record in done if (evidence := _of_record(vectors_of(record), metric, panel))
    ]
    if not seeds or len(seeds) < len(done) or not all(map(seeds[0].is_paired_with, seeds)):
        return None
    shares = np.mean([seed.sample.shares for seed in seeds], axis=0)
    scores = tuple(score for seed in seeds for score in seed.sample.scores)
    return replace(seeds[0], sample=Sample(shares, scores))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values that were adjusted for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _over_seeds(scores: Sequence[float]) -> dict[str, Any]:
    low, high = seed_interval(scores) or (None, None)
    return {"seeds": len(scores), "seed_low": low, "seed_high": high}


def _of_record(vectors: Mapping[str, NDArray[Any]], metric: str, panel: str) -> Evidence | None:
    shares = vectors.get(share_name(metric, panel))
    if shares is None and panel == "all":
        shares = vectors.get(f"{PROFILE_METRIC}{metric}")
    if shares is None or "profile.id" not in vectors:
        return None
    groups = vectors.get(PROFILE_GROUP)
    return Evidence(Sample(shares, (float(shares.mean()),)), vectors["profile.id"], groups)


def _paired(held: Sequence[Evidence | None]) -> dict[int, Evidence]:
    """Those that can be tested against the first, by their place."""
    first = next(filter(None, held), None)
    return {at: one for at, one in enumerate(held) if one and first and one.is_paired_with(first)}


def _test(
    found: Sequence[Standing[N]], tested: Mapping[int, Evidence], sign: int
) -> dict[int, dict[str, Any]]:
    """What the test tells of each method: attributes of its standing, by its place."""
    first = next(iter(tested.values()))
    bootstrap = PairedBootstrap([one.sample for one in tested.values()], first.labels)
    column = {at: number for number, at in enumerate(tested)}
    ranked = [at for at in tested if not found[at].variant.control]
    differ = _significant(bootstrap, [column[at] for at in ranked])
    told: dict[int, dict[str, Any]] = {}
    for at in tested:
        estimate = bootstrap.score(column[at])
        told[at] = {
            "low": _finite(estimate.low),
            "high": _finite(estimate.high),
            "profiles": bootstrap.profiles,
            "groups": None if first.groups is None else bootstrap.groups,
        }
    for at, differs in zip(ranked, differ.tolist(), strict=True):
        apart = [other for other, it_does in zip(ranked, differs, strict=True) if it_does]
        ahead = [other for other in apart if sign * (found[other].mean - found[at].mean) < 0]
        tied = sorted({*ranked} - {at, *apart})
        ties = tuple(found[other].variant for other in tied)
        told[at] |= {"rank": 1 + len(ahead), "tied_with": ties}
    return told


def _never_decreasing(found: Sequence[Standing[N]]) -> list[Standing[N]]:
    """Standings, best first, in which nobody has a smaller rank than a method with a better mean.

    A method with much noise may be worse by far, and yet by nothing that can be proven.
    """
    ranks = accumulate((one.rank or 0 for one in found), max)
    return [replace(one, rank=one.rank and rank) for one, rank in zip(found, ranks, strict=True)]


def _significant(bootstrap: PairedBootstrap, columns: Sequence[int]) -> NDArray[np.bool_]:
    """Methods × methods: which differ, by Holm's procedure over all pairs."""
    differ = np.zeros((len(columns), len(columns)), dtype=np.bool_)
    differ[np.triu_indices(len(columns), 1)] = holm(bootstrap.p_values(columns)) <= LEVEL
    return differ | differ.T


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None

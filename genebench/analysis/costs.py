"""Costs of variants, and the Pareto front of error and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from genebench.analysis.grouping import by_preset, in_order
from genebench.analysis.rank import scores_of
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant, variants_of
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.specs import MetricSpec


@dataclass(frozen=True)
class CostRow:
    """A method with its score and its costs.

    Attributes:
        variant: the method with its parameters.
        mean: the score, as a mean over target genes and seeds.
        seconds: of the fit, members of an ensemble included.
        memory: peak memory in bytes.
        front: the costs (``seconds``, ``memory``) at which no method beats this one.
        timing: why its time is not ranked, or an empty text if it is.
    """

    variant: Variant
    mean: float
    seconds: float
    memory: int
    front: frozenset[str] = frozenset()
    timing: str = ""


@dataclass(frozen=True)
class CostPart:
    """Comparable results with one preset.

    Attributes:
        preset: the preset.
        first: any of the records.
        variants: the methods, controls last.
    """

    preset: str
    first: Record
    variants: list[Variant]

    @cached_property
    def times(self) -> RankedTimes:
        """The times that are ranked: those of one timing epoch and one class of hardware."""
        return RankedTimes.among(self.variants)

    def rows(self, metric: MetricSpec, panel: str) -> list[CostRow]:
        """Return the methods that have a score, the best first, controls last."""
        ordered = sorted(self.variants, key=lambda variant: variant.sort_key(metric, panel))
        scored = [variant for variant in ordered if variant.has(metric.name, panel)]
        competing = [variant for variant in scored if not variant.control]
        losses = [variant.sort_key(metric, panel)[-1] for variant in competing]
        timed = [position for position, v in enumerate(competing) if self.times.has(v)]
        front = pareto_front(
            [fit_seconds(competing[position]) for position in timed],
            [losses[position] for position in timed],
        )
        by_seconds = [timed[position] for position in front]
        by_memory = pareto_front([peak_memory(variant) for variant in competing], losses)
        fronts = {"seconds": by_seconds, "memory": by_memory}
        # Controls come last, so that positions are the same with and without them.
        return [
            CostRow(
                variant,
                mean=fmean(scores_of(variant, metric.name, panel)),
                seconds=fit_seconds(variant),
                memory=peak_memory(variant),
                front=frozenset(name for name, front in fronts.items() if position in front),
                timing=self.times.reason_against(variant),
            )
            for position, variant in enumerate(scored)
        ]


def cost_parts(records: Iterable[Record], registry: Registry) -> Iterator[CostPart]:
    """Yield the results of each dataset, protocol, digest of the data and preset."""
    for group in in_order(records, registry):
        for preset, members in by_preset(group, registry).items():
            yield CostPart(preset, members[0], variants_of(members, registry))


def fit_seconds(variant: Variant) -> float:
    """Return the seconds of a fit and of its members, as a mean over the seeds that are done.

    The result is NaN if none is done.
    """
    seconds = [record.fit_seconds for record in variant.done]
    return fmean(seconds) if seconds else math.nan


def fit_joules(variant: Variant) -> float | None:
    """Return the energy of a fit and of its members, as a mean over the seeds that are done.

    The result is None unless the energy of every seed, and of all its members, was measured.
    """
    phases = ("members", "fit") if variant.first.identity.members else ("fit",)
    measured = [record.energy.joules if record.energy else {} for record in variant.done]
    if not measured or any(phase not in joules for joules in measured for phase in phases):
        return None
    return fmean(sum(joules[phase] for phase in phases) for joules in measured)


def peak_memory(variant: Variant) -> int:
    """Return the largest peak memory of the seeds that are done, in bytes."""
    return max(record.peak_memory for record in variant.done)


def pareto_front(costs: Sequence[float], losses: Sequence[float]) -> list[int]:
    """Return the positions of the points that no other point beats, by ascending cost.

    A point beats another if it is at least as good in both respects, and better in one.

    Args:
        costs: a cost of each point, such as seconds.
        losses: a score of each point, lower being better.
    """
    points = list(zip(costs, losses, strict=True))
    front = [
        index
        for index, (cost, loss) in enumerate(points)
        if not any(a <= cost and b <= loss and (a, b) != (cost, loss) for a, b in points)
    ]
    return sorted(front, key=points.__getitem__)

"""Times that compare: those of one timing epoch and one class of hardware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from genebench.analysis.variants import Variant
from genebench.results.hardware import Hardware, hardware_of
from genebench.results.record import Record

MARK = "*"
"""Stands after a time that is not ranked."""


class TimingClass(NamedTuple):
    """A timing epoch of genebench and a class of hardware. Times compare within one."""

    epoch: int
    hardware: Hardware

    def __str__(self) -> str:
        """Return it for a reader."""
        return f"{self.hardware}, timing epoch {self.epoch}"


@dataclass(frozen=True)
class RankedTimes:
    """The class whose times are ranked among some variants. Others are shown and marked.

    Attributes:
        chosen: the class, or None if no variant has a known one.
        method_epochs: method → its latest timing epoch in that class.
    """

    chosen: TimingClass | None
    method_epochs: dict[str, int]

    @classmethod
    def among(cls, variants: Iterable[Variant]) -> RankedTimes:
        """Choose the class that most methods were timed in. Controls do not count.

        Of several, it is the one of the latest epoch, then the last by name.
        """
        variants = list(variants)
        known = [
            (variant.control, timing) for variant in variants if (timing := timing_of(variant))
        ]
        numbers = Counter(timing for control, timing in known if not control)
        numbers.update({timing: 0 for control, timing in known if control})
        chosen = max(numbers, key=lambda timing: (numbers[timing], timing), default=None)
        latest: dict[str, int] = {}
        for variant in variants:
            if chosen and timing_of(variant) == chosen:
                for method, epoch in _method_epochs(variant).items():
                    latest[method] = max(epoch, latest.get(method, 0))
        return cls(chosen, latest)

    def reason_against(self, variant: Variant) -> str:
        """Return why the times of a variant are not ranked, or an empty text if they are."""
        if not variant.done:
            return "no time"
        timing = timing_of(variant)
        if timing is None:
            return (
                "seeds were timed on different hardware or in different timing epochs"
                if any(timing_class(record) for record in variant.done)
                else "hardware or timing epoch is not recorded, or differs among its members"
            )
        if timing != self.chosen:
            return str(timing)
        for method, epoch in _method_epochs(variant).items():
            if epoch < self.method_epochs.get(method, 0):
                return f"timing epoch {epoch} of {method}, which has a later one"
        return ""

    def has(self, variant: Variant) -> bool:
        """Return whether the times of a variant are ranked."""
        return not self.reason_against(variant)

    def mark(self, variant: Variant) -> str:
        """Return the mark of a time: empty if it is ranked, else :data:`MARK`."""
        return MARK if variant.done and not self.has(variant) else ""

    def notes(self, variants: Iterable[Variant]) -> list[str]:
        """Return what a reader has to know about times that are not ranked."""
        reasons: dict[str, list[str]] = {}
        for variant in variants:
            if self.mark(variant):
                reasons.setdefault(self.reason_against(variant), []).append(variant.label)
        if not reasons:
            return []
        others = "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in reasons.items())
        basis = f"times are ranked for {self.chosen}" if self.chosen else "no times are ranked"
        return [f"{MARK} {basis}. Not ranked: {others}"]


def timing_class(record: Record) -> TimingClass | None:
    """Return the class of a record's times, or None if epoch or hardware is unknown."""
    hardware = hardware_of(record.provenance)
    if not (record.timing.epoch and hardware):
        return None
    return TimingClass(record.timing.epoch, hardware)


def timing_of(variant: Variant) -> TimingClass | None:
    """Return the class of all seeds that are done, or None if they do not share a known one."""
    classes = {timing_class(record) for record in variant.done}
    return classes.pop() if len(classes) == 1 else None


def why_incomparable(a: Variant, b: Variant) -> str:
    """Return why the times of two variants do not compare, or an empty text if they do."""
    ranked = RankedTimes.among([a, b])
    return next(
        (
            f"{variant.label}: {reason}"
            for variant in (a, b)
            if (reason := ranked.reason_against(variant))
        ),
        "",
    )


def _method_epochs(variant: Variant) -> dict[str, int]:
    """Return method → timing epoch, the lowest of all seeds that are done."""
    epochs: dict[str, int] = {}
    for record in variant.done:
        for method, epoch in record.timing.methods.items():
            epochs[method] = min(epoch, epochs.get(method, epoch))
    return epochs

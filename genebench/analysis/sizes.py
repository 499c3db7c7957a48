"""Learning curves in the number of training profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from genebench._util.hashing import key_of
from genebench.analysis.grouping import by_preset
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant, variants_of
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.specs import MetricSpec, sized_name


@dataclass(frozen=True)
class Curve:
    """A method with its parameters, at several numbers of training profiles.

    Attributes:
        label: the method, and the parameters that tell it from others.
        control: True for a control.
        points: number of training profiles → the records, in ascending order.
    """

    label: str
    control: bool
    points: dict[int, Variant]

    def sort_key(self, metric: MetricSpec, panel: str) -> tuple[bool, int, float]:
        """Return a key that sorts by the score at the most profiles, best first, controls last."""
        scored = [size for size, variant in self.points.items() if variant.has(metric.name, panel)]
        if not scored:
            return self.control, 0, 0.0
        largest = max(scored)
        return self.control, -largest, self.points[largest].sort_key(metric, panel)[-1]


@dataclass(frozen=True)
class SizesPart:
    """The results of one protocol and preset at several training sizes."""

    preset: str
    records: list[Record]
    registry: Registry

    @property
    def first(self) -> Record:
        """Any of the records. All agree on the data, the validation and the test set."""
        return self.records[0]

    @property
    def protocol(self) -> str:
        """The protocol, without a size."""
        return sized_name(self.first.identity.protocol)[0]

    @cached_property
    def times(self) -> RankedTimes:
        """The times that compare: those of one timing epoch and one class of hardware."""
        return RankedTimes.among(
            variant for curve in self.curves for variant in curve.points.values()
        )

    @cached_property
    def sizes(self) -> list[int]:
        """The numbers of training profiles, ascending."""
        return sorted({record.profiles["train"] for record in self.records})

    @cached_property
    def curves(self) -> list[Curve]:
        """A curve for each method and set of parameters."""
        curves: dict[str, Curve] = {}
        variants = variants_of(self.records, self.registry)
        # Labels hold everything that tells variants apart, the number of profiles excepted.
        for variant in sorted(variants, key=lambda variant: variant.first.profiles["train"]):
            curve = curves.setdefault(variant.label, Curve(variant.label, variant.control, {}))
            curve.points[variant.first.profiles["train"]] = variant
        return list(curves.values())

    def ordered(self, metric: MetricSpec, panel: str) -> list[Curve]:
        """Return the curves by the score at the most training profiles, controls last."""
        return sorted(self.curves, key=lambda curve: curve.sort_key(metric, panel))


def sizes_parts(records: Iterable[Record], registry: Registry) -> Iterator[SizesPart]:
    """Group records whose tests differ at most in the number of training profiles.

    Groups with several training sizes are yielded by dataset, protocol (in the registry's order),
    data and preset.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        setting = record.identity.test_setting()
        setting["protocol"], profiles = sized_name(record.identity.protocol)
        setting["train"] = record.identity.train.removesuffix(f"/{profiles}-profiles")
        groups.setdefault(key_of(setting), []).append(record)

    def sort_key(group: list[Record]) -> tuple[str, tuple[int, float], str]:
        identity = group[0].identity
        base, _ = sized_name(identity.protocol)
        return group[0].dataset, registry.protocols.place(base), identity.data

    for group in sorted(groups.values(), key=sort_key):
        for preset, members in by_preset(group, registry).items():
            part = SizesPart(preset, members, registry)
            if len(part.sizes) > 1:
                yield part

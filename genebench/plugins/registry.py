"""The registry: every spec of every plugin, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from genebench.errors import UserError, unknown
from genebench.plugins.discovery import Plugin, Plugins, installed
from genebench.specs import (
    ALL,
    DatasetSpec,
    EngineSpec,
    FormatSpec,
    MethodSpec,
    MetricSpec,
    ProtocolSpec,
    ReporterSpec,
    ReportSpec,
    SplitSpec,
)

Spec = TypeVar(
    "Spec",
    DatasetSpec,
    EngineSpec,
    FormatSpec,
    MethodSpec,
    MetricSpec,
    ProtocolSpec,
    ReporterSpec,
    ReportSpec,
    SplitSpec,
)


@dataclass(frozen=True)
class SpecRegistry(Generic[Spec]):
    """The specs of one kind, and who offers each."""

    kind: str
    specs: dict[str, Spec]
    plugins: dict[str, Plugin]

    def get(self, name: str) -> Spec:
        """The spec of that name; an unknown one raises UserError with near misses."""
        if name not in self.specs:
            raise unknown(self.kind, name, self.specs)
        return self.specs[name]

    def choose(self, names: Iterable[str]) -> list[Spec]:
        """Specs by name, in the order given and each once; ``all`` stands for every one.

        Raises:
            UserError: a name is unknown, or there is none.
        """
        wanted = [name.strip() for name in names if name.strip()]
        if not wanted:
            raise UserError(f"no {self.kind} named; give names separated by commas, or all")
        chosen: dict[str, Spec] = {}
        for name in wanted:
            chosen |= self.specs if name == ALL else {name: self.get(name)}
        return list(chosen.values())


class Registry:
    """What is offered, by name, one registry for each kind."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.formats: SpecRegistry[FormatSpec] = self._registry_of("format")
        self.datasets: SpecRegistry[DatasetSpec] = self._registry_of("dataset")
        self.splits: SpecRegistry[SplitSpec] = self._registry_of("split")
        self.protocols: SpecRegistry[ProtocolSpec] = self._registry_of("protocol")
        self.methods: SpecRegistry[MethodSpec] = self._registry_of("method")
        self.metrics: SpecRegistry[MetricSpec] = self._registry_of("metric")
        self.engines: SpecRegistry[EngineSpec] = self._registry_of("engine")
        self.reports: SpecRegistry[ReportSpec] = self._registry_of("report")
        self.reporters: SpecRegistry[ReporterSpec] = self._registry_of("reporter")

    def _registry_of(self, kind: str) -> SpecRegistry[Spec]:
        offered = list(self.plugins.specs(f"{kind}s"))
        return SpecRegistry(
            kind,
            {spec.name: spec for spec, _ in offered},
            {spec.name: plugin for spec, plugin in offered},
        )


@cache
def registry() -> Registry:
    """The registry of this installation, built once."""
    return Registry(installed())

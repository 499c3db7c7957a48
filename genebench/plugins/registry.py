"""Registry of the specs of all plugins, by kind and name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from genebench.errors import UserError, unknown
from genebench.plugins.discovery import installed
from genebench.plugins.manager import Plugins
from genebench.plugins.plugin import Plugin
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
    """The specs of one kind by name, and the plugin that offers each."""

    kind: str
    specs: dict[str, Spec]
    plugins: dict[str, Plugin]

    def get(self, name: str) -> Spec:
        """Return the spec of a name.

        Raises:
            UserError: the name is unknown. The message lists similar names.
        """
        if name not in self.specs:
            raise unknown(self.kind, name, self.specs)
        return self.specs[name]

    def choose(self, names: Iterable[str]) -> list[Spec]:
        """Return the specs of some names, each once, in the order of the names.

        The name ``all`` stands for every spec, but not for methods that are made of others. They
        say nothing without the names of these.

        Raises:
            UserError: a name is unknown, or no name is given.
        """
        stripped = [name.strip() for name in names if name.strip()]
        if not stripped:
            raise UserError(f"no {self.kind} named. Give names separated by commas, or all.")
        every = {
            name: spec for name, spec in self.specs.items() if not getattr(spec, "members", "")
        }
        chosen: dict[str, Spec] = {}
        for name in stripped:
            chosen |= every if name == ALL else {name: self.get(name)}
        return list(chosen.values())


class Registry:
    """All specs of an installation, in one :class:`SpecRegistry` for each kind."""

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
        pairs = list(self.plugins.specs(f"{kind}s"))
        return SpecRegistry(
            kind,
            {spec.name: spec for spec, _ in pairs},
            {spec.name: plugin for spec, plugin in pairs},
        )


@cache
def registry() -> Registry:
    """Return the registry of this installation, built once."""
    return Registry(installed())

"""Registry of the specs of all plugins, by kind and name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from genebench.errors import UserError, unknown
from genebench.plugins.discovery import installed, refuse_namesake
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
    sized_name,
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


# No dataset has a billion profiles, and Python reads no number of thousands of digits.
_SIZE = re.compile(r"[1-9][0-9]{0,8}")
_SHOWN_LETTERS = 40
"""Letters of a size that a message repeats."""


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
            raise unknown(self.kind, name, self.specs, self.texts)
        return self.specs[name]

    @property
    def texts(self) -> dict[str, str]:
        """Name → what its spec says about it, to find a name by a word such as ``ridge``."""
        fields = ("title", "summary", "reference")
        return {
            name: " ".join(str(getattr(spec, field, "")) for field in fields)
            for name, spec in self.specs.items()
        }

    def choose(self, names: Iterable[str]) -> list[Spec]:
        """Return the specs of some names, each once, in the order of the names.

        The name ``all`` stands for every spec, but not for methods that are made of others, because
        they need the names of these.

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


class ProtocolRegistry(SpecRegistry[ProtocolSpec]):
    """The protocols.

    Names such as ``geo-n2000`` are those of training subsets, and such as ``geo-5fold.2`` those of
    folds.
    """

    def get(self, name: str) -> ProtocolSpec:
        """Return the protocol of a name.

        Raises:
            UserError: the name is unknown, or the protocol has no training subsets or no such fold.
        """
        if name in self.specs:
            return self.specs[name]
        base, profiles = sized_name(name)
        if profiles:
            return self.get(base).of_size(profiles)
        family, _, label = name.rpartition(".")
        if family in self.specs and self.specs[family].is_family:
            return self.specs[family].one_fold(label)
        return super().get(name)

    def single(self, name: str) -> ProtocolSpec:
        """Return the protocol of a name, which must not be one with folds.

        Raises:
            UserError: the name is unknown, or is that of all folds of a protocol.
        """
        spec = self.get(name)
        if spec.is_family:
            label = "1"
            if spec.folds == "leave-one-out":
                label = "LABEL. genebench run --dry-run lists them"
            raise UserError(
                f"protocol {name} has folds, and one is needed here. Name it, such as "
                f"{name}.{label}."
            )
        return spec

    def choose(self, names: Iterable[str]) -> list[ProtocolSpec]:
        """Return the protocols of some names, as :meth:`SpecRegistry.choose` does.

        ``all`` leaves out protocols with folds, because each of them is many jobs.
        """
        listed = [name.strip() for name in names]
        chosen = super().choose(listed)
        return [spec for spec in chosen if not spec.is_family or spec.name in listed]

    def sized_names(self, names: Iterable[str], sizes: Iterable[int | str]) -> list[str]:
        """Return the names of protocols at every training size, such as ``geo-n2000``.

        Args:
            names: names of protocols. ``all`` stands for every one.
            sizes: numbers of training profiles. ``all`` stands for the whole training set. Without
                any, the names are returned as they are.

        Raises:
            UserError: an unknown name, a size that is no number, or a protocol without subsets.
        """
        typed = [str(size).strip() for size in sizes]
        for size in typed:
            if size != ALL and not _SIZE.fullmatch(size):
                raise UserError(
                    f"training size {size[:_SHOWN_LETTERS]!r} is no number of profiles. Write "
                    "sizes such as 2000,8000,all."
                )
        if not typed:
            return list(names)
        return [
            protocol.name if size == ALL else protocol.of_size(int(size)).name
            for protocol in self.choose(names)
            for size in typed
        ]

    def plugin_of(self, name: str) -> Plugin | None:
        """Return the plugin that offers a protocol, its training subsets or folds, if any."""
        base, _ = sized_name(name)
        names = (name, base, base.rpartition(".")[0])
        return next(filter(None, map(self.plugins.get, names)), None)

    def place(self, name: str) -> tuple[int, float]:
        """Return a key that sorts names of protocols as here, each before its training subsets.

        Larger subsets come first. Protocols that are not installed come last.
        """
        base, profiles = (name, 0) if name in self.specs else sized_name(name)
        known = list(self.specs)
        if base not in known:
            base = base.rpartition(".")[0]
        place = known.index(base) if base in known else len(known)
        return place, -profiles if profiles else -math.inf


class Registry:
    """All specs of an installation, in one :class:`SpecRegistry` for each kind."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.formats: SpecRegistry[FormatSpec] = self._registry_of("format")
        self.datasets: SpecRegistry[DatasetSpec] = self._registry_of("dataset")
        self.splits: SpecRegistry[SplitSpec] = self._registry_of("split")
        protocols: SpecRegistry[ProtocolSpec] = self._registry_of("protocol")
        self.protocols = ProtocolRegistry("protocol", protocols.specs, protocols.plugins)
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
    """Return the registry of this installation, built once.

    Raises:
        UserError: another project of the name genebench is installed too.
    """
    refuse_namesake()
    return Registry(installed())

"""Plugins: discovered by entry point, isolated when broken, described in full.

Whatever a plugin does wrong (its import fails, a hook raises, it declares a malformed or taken
name, or another contract) costs the user that plugin and nothing else.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, metadata
from typing import Any

import pluggy

from genebench import hookspecs
from genebench.errors import UserError, describe
from genebench.hookspecs import CONTRACT, PROJECT

BUILT_INS = (
    "genebench.data.formats",
    "genebench.datasets",
    "genebench.protocols",
    "genebench.controls",
    "genebench.metrics",
    "genebench.engines",
    "genebench.report",
)
"""Modules of genebench that register through the same hooks as strangers."""

KINDS = ("formats", "datasets", "protocols", "methods", "metrics", "engines", "reporters")
STRICT = "GENEBENCH_STRICT_PLUGINS"


@dataclass
class Plugin:
    """One plugin as found: what it offers, or why it was set aside."""

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]
    offers: dict[str, list[Any]] = field(default_factory=dict)
    """Kind → specs."""
    error: str = ""
    """Why it was isolated, in one line; empty when it works."""
    traceback: str = ""

    def isolate(self, error: BaseException) -> None:
        """Set the plugin aside with the reason."""
        described = describe(error)
        if isinstance(error, ContractError):
            described = described.removeprefix("ContractError: ")
        self.error = described
        self.traceback = "".join(traceback.format_exception(error))
        self.offers = {}


class ContractError(Exception):
    """A plugin breaks the contract in a way that genebench noticed itself."""


class Plugins:
    """Every plugin of this installation, working or isolated, in a fixed order."""

    def __init__(self, found: Iterable[Plugin]) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.all = list(found)
        self._taken: dict[tuple[str, str], str] = {}
        for plugin in self.all:
            self._admit(plugin)
        if os.environ.get(STRICT, "") not in ("", "0") and self.broken:
            worst = self.broken[0]
            raise UserError(f"plugin {worst.name} is broken ({worst.error}), and {STRICT} is set")

    @property
    def broken(self) -> list[Plugin]:
        """Plugins that were set aside."""
        return [plugin for plugin in self.all if plugin.error]

    def specs(self, kind: str) -> Iterator[tuple[Any, Plugin]]:
        """Every spec of a kind (``methods``, …) with the plugin that offers it."""
        for plugin in self.all:
            for spec in plugin.offers.get(kind, ()):
                yield spec, plugin

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observer hook of every plugin; return what went wrong, one line each.

        Observers never fail a run.
        """
        complaints = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            given = {name: arguments[name] for name in implementation.argnames}
            try:
                implementation.function(**given)
            except (Exception, SystemExit) as error:  # noqa: BLE001  the run goes on
                raised = describe(error)
                complaints.append(f"plugin {implementation.plugin_name}: {hook} raised {raised}")
        return complaints

    def _admit(self, plugin: Plugin) -> None:
        module = None
        try:
            module = plugin.load()
            _check_contract(module)
            _check_marked(module)
            self._check_name(plugin)
            self.manager.register(module, name=plugin.name)
            self.manager.check_pending()
            plugin.offers = {kind: self._ask(module, kind) for kind in KINDS}
            self._reserve_names(plugin)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin may raise anything
            plugin.isolate(error)
            # Another plugin of the same name stays.
            if module is not None and self.manager.get_plugin(plugin.name) is module:
                self.manager.unregister(module)

    def _check_name(self, plugin: Plugin) -> None:
        for other in self.all[: self.all.index(plugin)]:
            if other.name == plugin.name and not other.error:
                raise ContractError(f"{other.distribution} has a plugin {plugin.name!r} already")

    def _ask(self, module: Any, kind: str) -> list[Any]:
        caller = getattr(self.manager.hook, f"{PROJECT}_{kind}")
        answers = [
            implementation.function()
            for implementation in caller.get_hookimpls()
            if implementation.plugin is module
        ]
        specs = [spec for answer in answers for spec in answer or ()]
        for spec in specs:
            _check_spec(spec, kind)
        return specs

    def _reserve_names(self, plugin: Plugin) -> None:
        """Take the plugin's names, all or none: the first plugin to declare a name keeps it."""
        taken = dict(self._taken)
        for kind, specs in plugin.offers.items():
            for spec in specs:
                if owner := taken.get((kind, spec.name)):
                    declared = f"{kind.removesuffix('s')} {spec.name!r}"
                    raise ContractError(f"declares {declared}, which {owner} has already")
                taken[kind, spec.name] = plugin.name
        self._taken = taken


def _check_contract(module: Any) -> None:
    declared = getattr(module, "genebench_contract", None)
    if declared != CONTRACT:
        said = "no contract version" if declared is None else f"contract version {declared!r}"
        raise ContractError(
            f"declares {said}; this genebench needs genebench_contract = {CONTRACT}"
        )


def _check_marked(module: Any) -> None:
    """A hook that nobody marked would be passed over in silence."""
    for name in dir(module):
        function = getattr(module, name)
        marked = getattr(function, f"{PROJECT}_impl", None)
        if hasattr(hookspecs, name) and name.startswith(f"{PROJECT}_") and not marked:
            raise ContractError(f"defines {name} without @genebench.hookimpl")


def _check_spec(spec: Any, kind: str) -> None:
    expected = getattr(import_module("genebench.specs"), f"{kind.removesuffix('s').title()}Spec")
    if not isinstance(spec, expected):
        raise ContractError(f"{PROJECT}_{kind} returned {spec!r}, not a {expected.__name__}")


def _built_in() -> Iterator[Plugin]:
    version = metadata.version(PROJECT)
    for name in BUILT_INS:
        yield Plugin(name, PROJECT, version, lambda name=name: import_module(name))  # type: ignore[misc]


def _installed() -> Iterator[Plugin]:
    """Plugins by entry point, in the order of their names, each distribution once."""
    points = {(point.name, point.value): point for point in metadata.entry_points(group=PROJECT)}
    for _, point in sorted(points.items()):
        distribution = point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("?", "?")
        yield Plugin(point.name, name, version, point.load)


def discover() -> Plugins:
    """Find and admit every plugin, built-ins first."""
    return Plugins([*_built_in(), *_installed()])


@cache
def installed() -> Plugins:
    """The plugins of this process, discovered once."""
    return discover()


def load_code(code: str) -> Any:
    """What an import string ``package.module:name`` names."""
    module, _, name = code.partition(":")
    return getattr(import_module(module), name)


__all__ = ["ContractError", "Plugin", "Plugins", "discover", "installed", "load_code"]

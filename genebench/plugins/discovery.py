"""Plugins: discovered by entry point, isolated when broken, described in full.

Whatever a plugin does wrong (its import fails or never ends, a hook raises, it declares a malformed
or taken name, or another contract) costs the user that plugin and nothing else. A plugin may also
be one local file, for as long as there is no package: the user named it, so a broken one is an
error.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pluggy

from genebench import hookspecs
from genebench._util.files import sha256_of
from genebench._util.hashing import code_digest
from genebench._util.text import escaped_streams
from genebench.errors import UserError, describe
from genebench.hookspecs import CONTRACT, PROJECT
from genebench.plugins.time_limit import Overdue, call_within, time_limit

BUILT_INS = (
    "genebench.formats",
    "genebench.datasets",
    "genebench.preprocessing",
    "genebench.protocols",
    "genebench.methods.controls",
    "genebench.metrics",
    "genebench.engines",
    "genebench.reports",
    "genebench.reports.reporters",
)
"""Modules of genebench that register through the same hooks as strangers."""

KINDS = (
    "formats",
    "datasets",
    "splits",
    "protocols",
    "methods",
    "metrics",
    "engines",
    "reports",
    "reporters",
)
STRICT = "GENEBENCH_STRICT_PLUGINS"
FILES = "GENEBENCH_PLUGINS"
"""Local plugin files, as absolute paths: child processes find them again."""


@dataclass
class Plugin:
    """One plugin as found: what it offers, or why it was set aside."""

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]
    module: Any = None
    """What was loaded, if it was."""
    offers: dict[str, list[Any]] = field(default_factory=dict)
    """Kind → specs."""
    error: str = ""
    """Why it was isolated, in one line; empty when it works."""
    traceback: str = ""
    file: Path | None = None
    """The local file that it is, if it is no package."""
    digest: str = ""
    """sha256 of that file, as it was loaded."""

    def isolate(self, error: BaseException) -> None:
        """Set the plugin aside with the reason."""
        described = describe(error)
        if isinstance(error, ContractError | Overdue):
            described = described.removeprefix(f"{type(error).__name__}: ")
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
        self._time_limit = time_limit()
        self._taken: dict[tuple[str, str], str] = {}
        for plugin in self.all:
            self._admit(plugin)
        for plugin in self.broken:
            if plugin.file:
                raise UserError(f"plugin {plugin.file}{_line(plugin)}: {plugin.error}")
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

    def add_commands(self, app: Any) -> list[str]:
        """Let every plugin add commands to a typer app; return what went wrong, one line each."""
        with escaped_streams():
            return self._call("genebench_commands", self._time_limit, through=_add_built, app=app)

    def notify(self, hook: str, *, watchers_only: bool = False, **arguments: Any) -> list[str]:
        """Call an observer hook of every plugin; return what went wrong, one line each.

        Observers never fail a run. With ``watchers_only``, only those are called that were
        registered in this process, such as a progress bar: plugins are told where the job runs.
        """
        return self._call(hook, 0, watchers_only=watchers_only, **arguments)

    def _call(
        self,
        hook: str,
        seconds: float,
        *,
        through: Callable[..., object] = lambda function, **given: function(**given),
        watchers_only: bool = False,
        **arguments: Any,
    ) -> list[str]:
        plugins = {plugin.name for plugin in self.all}
        complaints = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            if watchers_only and implementation.plugin_name in plugins:
                continue
            given = {name: arguments[name] for name in implementation.argnames}
            try:
                call_within(seconds, partial(through, implementation.function, **given))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  the run goes on
                raised = describe(error)
                complaints.append(f"plugin {implementation.plugin_name}: {hook} raised {raised}")
        return complaints

    def _admit(self, plugin: Plugin) -> None:
        trusted = plugin.distribution == PROJECT
        try:
            with escaped_streams():
                call_within(0 if trusted else self._time_limit, partial(self._interview, plugin))
            self._reserve_names(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything
            plugin.isolate(error)
            # Another plugin of the same name stays.
            if plugin.module is not None and self.manager.get_plugin(plugin.name) is plugin.module:
                self.manager.unregister(plugin.module)

    def _interview(self, plugin: Plugin) -> None:
        module = plugin.module = plugin.load()
        _check_contract(module)
        _check_marked(module)
        self._check_name(plugin)
        self.manager.register(module, name=plugin.name)
        self.manager.check_pending()
        plugin.offers = {kind: self._ask(module, kind) for kind in KINDS}

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


def _add_built(function: Callable[..., object], **given: Any) -> None:
    """Have a hook add commands to an app of its own first: what cannot be built stays there.

    Commands are built all together, so that one with an argument of a type that typer does not
    know would cost every other.
    """
    import typer

    if not given:
        return
    own = typer.Typer()
    function(app=own)
    taken = set(typer.main.get_group(given["app"]).commands)
    if again := sorted(taken.intersection(typer.main.get_group(own).commands)):
        raise ContractError(f"adds the command {again[0]!r}, which there is already")
    given["app"].registered_commands += own.registered_commands
    given["app"].registered_groups += own.registered_groups


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


def _files() -> Iterator[Plugin]:
    """Local plugin files that this process, or the one that started it, was given."""
    for name in filter(None, os.environ.get(FILES, "").split(os.pathsep)):
        yield _file_plugin(Path(name))


def _file_plugin(path: Path) -> Plugin:
    digest = sha256_of(path) if path.is_file() else ""
    return Plugin(
        name=path.stem,
        distribution=path.name,
        version=digest[:12] or "?",
        load=lambda: _import_file(path),
        file=path,
        digest=digest,
    )


class _Source(SourceFileLoader):
    """Always of the text as it is now: a file that is being written changes within seconds."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  one file has one module
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _import_file(path: Path) -> ModuleType:
    """Import a file under its own name, so that specs can name its code ``mymethod:MyMethod``."""
    name = path.stem
    spec = spec_from_file_location(name, path, loader=_Source(name, str(path)))
    if spec is None:
        raise ContractError("is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    return module


def use_files(paths: Iterable[Path]) -> None:
    """Load local plugin files, here and in every process that is started from here.

    Raises:
        UserError: a file is missing, cannot have the name that it has, or is broken.
    """
    wanted = [path.resolve() for path in paths]
    if not wanted:
        return
    for path in wanted:
        _check_file(path)
    known = [Path(name) for name in filter(None, os.environ.get(FILES, "").split(os.pathsep))]
    before = os.environ.get(FILES)
    os.environ[FILES] = os.pathsep.join(map(str, dict.fromkeys([*known, *wanted])))
    installed.cache_clear()
    code_digest.cache_clear()
    try:
        installed()
    except UserError:
        os.environ.pop(FILES) if before is None else os.environ.update({FILES: before})
        raise


def _check_file(path: Path) -> None:
    name = path.stem
    if not path.is_file():
        raise UserError(f"plugin {path}: there is no such file")
    if path.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"plugin {path}: name the file as a Python module, such as mymethod.py")
    if os.pathsep in str(path):
        raise UserError(f"plugin {path}: move it to where no path has a {os.pathsep!r} in it")
    taken = _spec_of(name)
    if taken and not (taken.origin and Path(taken.origin).resolve() == path):
        raise UserError(f"plugin {path}: there is a module {name!r} already; rename the file")


def _spec_of(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:  # a module without a spec, such as __main__
        return ModuleSpec(name, None)


def _line(plugin: Plugin) -> str:
    """Where in its file a plugin went wrong."""
    found = re.findall(rf'File "{re.escape(str(plugin.file))}", line (\d+)', plugin.traceback)
    return f", line {found[-1]}" if found else ""


def discover() -> Plugins:
    """Find and admit every plugin, built-ins first."""
    return Plugins([*_built_in(), *_installed(), *_files()])


@cache
def installed() -> Plugins:
    """The plugins of this process, discovered once."""
    return discover()


def load_code(code: str) -> Any:
    """What an import string ``package.module:name`` names."""
    module, _, name = code.partition(":")
    return getattr(import_module(module), name)


__all__ = ["ContractError", "Plugin", "Plugins", "discover", "installed", "load_code", "use_files"]

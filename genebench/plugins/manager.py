"""All plugins of an installation: admission, isolation of broken ones, and calls of their hooks.

A plugin may fail to import, never return, raise in a hook, declare a malformed or taken name, or
follow another contract. It is then isolated, and all other plugins work. A broken local file is
an error instead, because the user has named it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pluggy

from genebench import hookspecs
from genebench._util.text import escaped_streams
from genebench.errors import UserError, describe
from genebench.hookspecs import PROJECT
from genebench.plugins.plugin import KINDS, ContractError, Plugin, check_module, check_spec
from genebench.plugins.time_limit import call_within, time_limit

STRICT = "GENEBENCH_STRICT_PLUGINS"
"""Environment variable: if set, and not to 0, any broken plugin is an error."""


class Plugins:
    """Every plugin of this installation, working or isolated, in a fixed order.

    Raises:
        UserError: a local file is broken, or any plugin is and ``GENEBENCH_STRICT_PLUGINS`` is
            set.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.all = list(plugins)
        self._time_limit = time_limit()
        self._owners: dict[tuple[str, str], str] = {}
        """(kind, name of a spec) → name of the plugin that declares it. Suffixes are names too."""
        for plugin in self.all:
            self._admit(plugin)
        for plugin in self.broken:
            if plugin.file:
                raise UserError(f"plugin {plugin.file}{_line_of_fault(plugin)}: {plugin.error}")
        if os.environ.get(STRICT, "") not in ("", "0") and self.broken:
            first = self.broken[0]
            raise UserError(
                f"plugin {first.name} is broken ({first.error}), and {STRICT} is set. "
                f"Repair or uninstall the plugin, or unset {STRICT}."
            )

    @property
    def broken(self) -> list[Plugin]:
        """Plugins that are isolated."""
        return [plugin for plugin in self.all if plugin.error]

    def specs(self, kind: str) -> Iterator[tuple[Any, Plugin]]:
        """Yield every spec of a kind (``methods``, …) with the plugin that offers it."""
        for plugin in self.all:
            for spec in plugin.offers.get(kind, ()):
                yield spec, plugin

    def add_commands(self, app: Any) -> list[str]:
        """Let every plugin add commands to a typer app. Return one line for each that failed."""
        complaints: list[str] = []
        hook = "genebench_commands"
        with escaped_streams():
            for implementation in self._implementations(hook):
                # A hook without the argument has nothing to add commands to.
                if "app" in implementation.argnames:
                    add = partial(_add_commands, implementation.function, app)
                    with _collected(complaints, implementation.plugin_name, hook):
                        call_within(self._time_limit, add)
        return complaints

    def notify(self, hook: str, *, watchers_only: bool = False, **arguments: Any) -> list[str]:
        """Call an observer hook of every plugin. Return one line for each that failed.

        A failing observer never fails a run. With ``watchers_only``, only observers are called
        that were registered in this process, such as a progress bar. Plugins are notified in the
        process that executes the job.
        """
        complaints: list[str] = []
        names = {plugin.name for plugin in self.all}
        for implementation in self._implementations(hook):
            if watchers_only and implementation.plugin_name in names:
                continue
            with _collected(complaints, implementation.plugin_name, hook):
                implementation.function(*(arguments[name] for name in implementation.argnames))
        return complaints

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook)
        return caller.get_hookimpls()

    def _admit(self, plugin: Plugin) -> None:
        """Load a plugin and its specs, or isolate it."""
        # Modules of genebench itself have no time limit: a slow disk must not break all of it.
        seconds = 0 if plugin.distribution == PROJECT else self._time_limit
        try:
            with escaped_streams():
                call_within(seconds, partial(self._load, plugin))
            self._reserve_names(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything
            plugin.isolate(error)
            # The name may be registered by an earlier plugin, which stays.
            if plugin.module is not None and self.manager.get_plugin(plugin.name) is plugin.module:
                self.manager.unregister(plugin.module)

    def _load(self, plugin: Plugin) -> None:
        """Import a plugin, check and register its module, and call its hooks for specs."""
        module = plugin.module = plugin.load()
        check_module(module)
        for other in self.all[: self.all.index(plugin)]:
            if other.name == plugin.name and not other.error:
                raise ContractError(
                    f"{other.distribution} has a plugin {plugin.name!r} already. "
                    "Rename the entry point."
                )
        self.manager.register(module, name=plugin.name)
        # Refuses names of hooks that do not exist, which pluggy would otherwise ignore.
        self.manager.check_pending()
        for kind in KINDS:
            specs: list[Any] = []
            for implementation in self._implementations(f"{PROJECT}_{kind}"):
                # Only this plugin's function is called, so that an error is of this plugin.
                if implementation.plugin is module:
                    function: Callable[[], Any] = implementation.function
                    specs += function() or ()
            for spec in specs:
                check_spec(spec, kind)
            plugin.offers[kind] = specs

    def _reserve_names(self, plugin: Plugin) -> None:
        """Reserve the names of a plugin's specs, all or none. The first plugin keeps a name."""
        owners = dict(self._owners)
        for kind, specs in plugin.offers.items():
            for spec in specs:
                if owner := owners.get((kind, spec.name)):
                    raise ContractError(
                        f"declares {kind.removesuffix('s')} {spec.name!r}, "
                        f"which plugin {owner} declares already. Rename it."
                    )
                owners[kind, spec.name] = plugin.name
                # The end of a file's name decides which format reads it, unless its content does.
                by_content = getattr(spec, "recognise", "")
                for suffix in () if by_content else getattr(spec, "suffixes", ()):
                    if owner := owners.get(("suffixes", suffix)):
                        raise ContractError(
                            f"declares format {spec.name!r} for files in {suffix}, which plugin "
                            f"{owner} reads already. Declare another suffix."
                        )
                    owners["suffixes", suffix] = plugin.name
        self._owners = owners


@contextmanager
def _collected(complaints: list[str], plugin: str, hook: str) -> Iterator[None]:
    """Append any exception of a plugin's hook to the complaints, as one line."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a plugin may raise anything
        complaints.append(f"plugin {plugin}: {hook} raised {describe(error)}")


def _add_commands(hook: Callable[..., object], app: Any) -> None:
    """Let a hook add commands to an app of its own, build that app, and then copy the commands.

    Typer builds all commands together. One argument of a type that it does not support would
    otherwise break every other command.
    """
    import typer

    separate = typer.Typer()
    hook(app=separate)
    existing = set(typer.main.get_group(app).commands)
    if taken := sorted(existing.intersection(typer.main.get_group(separate).commands)):
        raise ContractError(f"adds the command {taken[0]!r}, which exists already. Rename it.")
    app.registered_commands += separate.registered_commands
    app.registered_groups += separate.registered_groups


def _line_of_fault(plugin: Plugin) -> str:
    """Return the last line of a plugin's file in its traceback, as ``, line N``."""
    lines = re.findall(rf'File "{re.escape(str(plugin.file))}", line (\d+)', plugin.traceback)
    return f", line {lines[-1]}" if lines else ""

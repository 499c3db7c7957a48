"""Discovery of plugins: built-in modules, then entry points, then local files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from genebench._util.hashing import code_digest
from genebench.errors import UserError
from genebench.hookspecs import DISTRIBUTION, PROJECT
from genebench.plugins.files import FILES, check_file, file_plugin, import_file, listed_files
from genebench.plugins.manager import Plugins
from genebench.plugins.plugin import Plugin

SHIPPED = (
    PROJECT,
    "genebench-linear",
    "genebench-knn",
    "genebench-dgex",
    "genebench-ggan",
    "genebench-kernel",
    "genebench-samplewise",
    "genebench-ensemble",
    "genebench-networks",
    "genebench-boosting",
    "genebench-ray",
    "genebench-slurm",
)
"""Distributions that genebench ships. Their code runs in this process unless the user seals all."""

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
"""Modules of genebench that register through the same hooks as plugins of third parties."""


def discover() -> Plugins:
    """Find and load every plugin, built-ins first, so that no plugin can take their names."""
    version = metadata.version(DISTRIBUTION)
    built_in = [Plugin(name, PROJECT, version, partial(import_module, name)) for name in BUILT_INS]
    return Plugins([*built_in, *_installed(), *map(_local, listed_files())])


NAMESAKE_REMEDY = (
    f"Run: python -m pip uninstall {PROJECT}; then: "
    f"python -m pip install --force-reinstall --no-deps {DISTRIBUTION}"
)
"""Both, because removing the namesake removes the files that it has overwritten."""


def namesake() -> str:
    """Return what is wrong if another project, whose distribution is genebench, is installed.

    Its import package is genebench too. So its files and ours lie in one folder, where each
    overwrites the other. Without it, an empty text.
    """
    try:
        version = metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return ""
    return (
        f"{PROJECT} {version} is installed, another project of that name. "
        f"Its files mix with those of {DISTRIBUTION}"
    )


def refuse_namesake() -> None:
    """Refuse to work beside a namesake.

    Raises:
        UserError: a distribution named genebench is installed.
    """
    if fault := namesake():
        raise UserError(f"{fault}. {NAMESAKE_REMEDY}")


def _installed() -> Iterator[Plugin]:
    """Yield the plugins of entry points, sorted by name."""
    # A distribution can be on the path twice, for example as a wheel and as an editable install.
    points = {(point.name, point.value): point for point in metadata.entry_points(group=PROJECT)}
    for _, point in sorted(points.items()):
        distribution = point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("?", "?")
        load = point.load
        if name not in SHIPPED:
            load = partial(_apart, point.module, None, point.load)
        yield Plugin(point.name, name, version, load)


def _local(path: Path) -> Plugin:
    """Return the plugin that a local file is."""
    plugin = file_plugin(path)
    plugin.load = partial(_apart, path.stem, path, plugin.load)
    return plugin


def _apart(module: str, file: Path | None, load: Callable[[], Any]) -> Any:
    """Load a plugin of a third party. Import it only if its code has to run in this process."""
    # Late, because it takes a while to import, and most installations have no such plugin.
    from genebench.plugins.declarations import are_wanted, declared

    return declared(module, file, load) if are_wanted() else load()


@cache
def installed() -> Plugins:
    """Return the plugins of this process, discovered once."""
    return discover()


def use_files(paths: Iterable[Path]) -> None:
    """Load local plugin files in this process, and in every process that it starts.

    Raises:
        UserError: a file is missing, its name cannot be used, or the plugin is broken.
    """
    try:
        files = [path.resolve() for path in paths]
    except RuntimeError as error:  # links that lead to each other
        raise UserError(f"plugin: {error}. Check the path.") from None
    if not files:
        return
    for path in files:
        check_file(path)
    before = os.environ.get(FILES)
    os.environ[FILES] = os.pathsep.join(map(str, dict.fromkeys([*listed_files(), *files])))
    # Digests of code are cached by import string, and a file may have changed since.
    installed.cache_clear()
    code_digest.cache_clear()
    try:
        installed()
    except UserError:
        os.environ.pop(FILES) if before is None else os.environ.update({FILES: before})
        raise


def load_code(code: str) -> Any:
    """Import the object that an import string ``package.module:name`` names."""
    module, _, name = code.partition(":")
    # A local file is no module that Python finds by itself.
    for path in listed_files():
        if path.stem == module and module not in sys.modules:
            import_file(path)
    return getattr(import_module(module), name)

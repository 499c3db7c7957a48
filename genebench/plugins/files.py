"""Local plugin files: plugins that are one Python file instead of an installed package."""

from __future__ import annotations

import keyword
import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from genebench._util.files import sha256_of
from genebench._util.hashing import digest_of_sources
from genebench.errors import UserError
from genebench.plugins.plugin import ContractError, Plugin

FILES = "GENEBENCH_PLUGINS"
"""Environment variable: absolute paths of local plugin files. Child processes inherit it."""


def listed_files() -> list[Path]:
    """Return the plugin files that the environment names."""
    return [Path(name) for name in os.environ.get(FILES, "").split(os.pathsep) if name]


def file_plugin(path: Path) -> Plugin:
    """Return the plugin that a file is. Its version is the start of the digest of its code."""
    digest = sha256_of(path) if path.is_file() else ""
    return Plugin(
        name=path.stem,
        distribution=path.name,
        # Part of every key, so a comment does not change it.
        version=digest_of_sources([(path.stem, path.read_bytes())])[:12] if digest else "?",
        load=lambda: import_file(path),
        file=path,
        digest=digest,
    )


def check_file(path: Path) -> None:
    """Check that a file can be loaded as a plugin.

    Raises:
        UserError: the file is missing, or its name or path cannot be used.
    """
    name = path.stem
    if not path.is_file():
        raise UserError(f"plugin {path}: there is no such file. Check the path.")
    if path.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(
            f"plugin {path}: this is not the name of a Python module. "
            "Rename the file, for example to mymethod.py."
        )
    if os.pathsep in str(path):
        raise UserError(
            f"plugin {path}: {os.pathsep!r} in the path separates paths in {FILES}. "
            "Move the file to another folder."
        )
    try:
        module = find_spec(name)
    except ValueError:  # A module that is loaded without a spec, such as __main__.
        module = ModuleSpec(name, None)
    if module and not (module.origin and Path(module.origin).resolve() == path):
        raise UserError(f"plugin {path}: there is a module {name!r} already. Rename the file.")


class _FreshLoader(SourceFileLoader):
    """Loader that compiles the text of now, and neither reads nor writes ``__pycache__``.

    Cached bytecode is matched by size and modification time in whole seconds. While a file is
    being written, it may change twice within a second and keep its size.
    """

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  a loader of one module
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def import_file(path: Path) -> ModuleType:
    """Import a file under its own name, so that specs can name its code ``mymethod:MyMethod``."""
    name = path.stem
    spec = spec_from_file_location(name, path, loader=_FreshLoader(name, str(path)))
    if spec is None:
        raise ContractError("is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    return module

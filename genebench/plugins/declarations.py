"""Declarations of third-party plugins, read in a confined process.

A plugin's module runs when it is imported. A plugin that only declares methods and protocols is
never imported in the process that scores: what it declares is data, and its code runs where methods
run. Any other plugin is imported, because its code is meant to run here: metrics, commands and the
like.

Run as a module, this is the confined process. It prints the declarations of one plugin as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, TypeAdapter, ValidationError

from genebench import hookspecs
from genebench._util.files import atomic_write
from genebench._util.hashing import checksum_of, text_digest
from genebench._util.subprocesses import import_path
from genebench.confinement.policy import Access, capability, confine, environment
from genebench.errors import describe
from genebench.hookspecs import CONTRACT, PROJECT, hookimpl
from genebench.plugins.files import import_file
from genebench.plugins.plugin import (
    BrokenDeclarationError,
    ContractError,
    check_module,
    check_spec,
)
from genebench.specs import MethodSpec, ProtocolSpec

_DATA = ("methods", "protocols")
"""Kinds of specs whose code, if they have any, runs where methods run."""


class Answer(BaseModel):
    """The declarations of a plugin, or the reason why it has none.

    Attributes:
        hooks: names of the hooks that it implements.
        methods, protocols: its specs, if it implements no other hook.
        file: the file of its module.
        error: why it is broken, in one line. Empty if it works.
        traceback: the traceback of that error.
    """

    hooks: list[str] = []
    methods: list[MethodSpec] = []
    protocols: list[ProtocolSpec] = []
    file: str = ""
    error: str = ""
    traceback: str = ""


class Declared:
    """Stand-in for the module of a plugin that was not imported."""

    genebench_contract = CONTRACT

    def __init__(self, module: str, answer: Answer) -> None:
        self.__name__ = module
        self.__file__ = answer.file
        self._answer = answer

    @hookimpl
    def genebench_methods(self) -> list[MethodSpec]:
        """Return the methods that the plugin declared."""
        return self._answer.methods

    @hookimpl
    def genebench_protocols(self) -> list[ProtocolSpec]:
        """Return the protocols that the plugin declared."""
        return self._answer.protocols


def are_wanted() -> bool:
    """Return whether plugins are to be read apart: not where methods run in this process anyway."""
    return os.environ.get("GENEBENCH_SEALED") != "off" and capability().level != "no"


def declared(module: str, file: Path | None, load: Callable[[], Any]) -> Any:
    """Return a stand-in for a plugin's module, or the module if its code has to run here.

    Args:
        module: name of the module.
        file: the local file that it is, or None for an installed module.
        load: function that imports it here.

    Raises:
        BrokenDeclarationError: the plugin cannot be imported, or declares something malformed.
    """
    answer = _answer(module, file)
    if answer.error:
        raise BrokenDeclarationError(answer.error, answer.traceback)
    if set(answer.hooks) <= {f"{PROJECT}_{kind}" for kind in _DATA}:
        return Declared(module, answer)
    return load()


def _answer(module: str, file: Path | None) -> Answer:
    """Return the answer about a plugin, from the cache if its sources are the same."""
    # Every letter counts: what a plugin declares may be made of its docstrings.
    digest = file.read_bytes().hex() if file else text_digest(module.partition(".")[0])
    content = [digest, module, str(file), text_digest(f"{PROJECT}.specs"), sys.version]
    cache = platformdirs.user_cache_path(PROJECT) / "plugins" / f"{checksum_of(content)}.json"
    try:
        return Answer.model_validate_json(cache.read_bytes())
    except (OSError, ValidationError):
        answer = _ask(module, file)
    # A fault may lie in another package, which can be repaired meanwhile.
    if not answer.error:
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(cache) as stream:
                stream.write(answer.model_dump_json().encode())
        except OSError:
            pass  # the next start asks again
    return answer


def _ask(module: str, file: Path | None) -> Answer:
    """Ask the confined process."""
    with tempfile.TemporaryDirectory(prefix="genebench-plugin-", ignore_cleanup_errors=True) as tmp:
        order = {"module": module, "file": str(file) if file else "", "folder": tmp}
        order["landlock"] = "yes" if capability().level == "landlock" else ""
        done = subprocess.run(  # noqa: S603  this Python, and a module of ours
            [sys.executable, "-P", "-m", __name__, json.dumps(order)],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
            env={**environment(), "PYTHONPATH": import_path(), "HOME": tmp, "TMPDIR": tmp},
        )  # fmt: skip
    # The caller has replaced this stream by one that is safe to print to.
    sys.stderr.write(done.stderr.decode("utf-8", "replace"))
    try:
        return Answer.model_validate_json(done.stdout)
    except ValidationError:
        return Answer(error="ended its process while it was imported")


def _main(order: dict[str, str]) -> None:
    # Whatever the plugin prints goes to standard error.
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    file = Path(order["file"]) if order["file"] else None
    package = order["module"].partition(".")[0]
    access = Access(
        import_path=sys.path, read=[str(path) for path in (file, *_folders(package)) if path],
        write=[order["folder"]], forbidden=(),
    )  # fmt: skip
    confine(access, landlocked=bool(order["landlock"]))
    try:
        answer = _declarations(import_file(file) if file else import_module(order["module"]))
    except BaseException as error:  # noqa: BLE001  a plugin may raise anything
        described = describe(error)
        if isinstance(error, ContractError):
            described = described.removeprefix(f"{type(error).__name__}: ")
        lines = "".join(traceback.format_exception(error))
        answer = Answer(error=described, traceback=lines)
    os.write(out, answer.model_dump_json().encode())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads and exit handlers of the plugin end here.
    os._exit(0)


def _folders(package: str) -> list[Path]:
    """Return the folders of a package, which an editable install may have anywhere."""
    from importlib.util import find_spec

    found = [find_spec(name) for name in (PROJECT, package)]
    return [Path(path) for spec in found if spec for path in spec.submodule_search_locations or ()]


def _declarations(module: Any) -> Answer:
    """Return the hooks of a module, and the specs that can be passed on as data."""
    check_module(module)
    hooks = [
        name
        for name in dir(module)
        if name.startswith(f"{PROJECT}_")
        and getattr(getattr(module, name), f"{PROJECT}_impl", None)
        and hasattr(hookspecs, name)
    ]
    specs: dict[str, list[Any]] = {kind: [] for kind in _DATA}
    if set(hooks) <= {f"{PROJECT}_{kind}" for kind in _DATA}:
        for kind in _DATA:
            if f"{PROJECT}_{kind}" in hooks:
                specs[kind] = list(getattr(module, f"{PROJECT}_{kind}")() or ())
            for spec in specs[kind]:
                check_spec(spec, kind)
    file = getattr(module, "__file__", None) or ""
    return Answer(hooks=hooks, file=file, methods=specs["methods"], protocols=specs["protocols"])


if __name__ == "__main__":
    _main(TypeAdapter(dict[str, str]).validate_json(sys.argv[1]))

"""Defaults of commands: the file of a project, the file of the user, and keys of suites.

::

    results = "results"                  # folder of the results
    dataset = "sim"
    preset = "small"
    protocols = ["geo", "gtex"]
    seeds = 3
    device = "auto"

    engine = "slurm"                     # where jobs are executed

    [engines.slurm]                      # options of an engine
    partition = "gpu"

    [resources]                          # what an engine reserves for a job of any method
    memory = "8G"

    [resources.ggan]                     # … and for a job of one method
    gpus = 1
    time = "4h"

The user's file is ``config.toml`` in the user's config folder, or ``GENEBENCH_CONFIG``. That of a
project is ``genebench.toml``, or the table ``[tool.genebench]`` of ``pyproject.toml``. For each
value, the command line goes before a suite, a suite before the project, and the project before the
user. A suite has neither ``results`` nor ``device``.

A project is often somebody else's. So its file names no code: plugins are no key of it, and an
option of an engine whose value is free text, which may be a command, is refused.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from genebench._util.amounts import SIZES, TIMES, seconds, size_bytes
from genebench._util.schema import first_fault
from genebench._util.text import printable
from genebench._util.toml import read_toml
from genebench.errors import UserError, unknown
from genebench.plugins.registry import registry
from genebench.specs import EngineSpec

log = logging.getLogger("genebench")

Number = bool | int | float | str
"""A value in a file: of a parameter, or of an option of an engine."""

Amounts = Mapping[str, Mapping[str, float]]
"""Method → field of :class:`genebench.specs.Resources` → value. The empty name is any method."""


class Section(BaseModel):
    """A part of a file. Unknown keys are typing errors."""

    # Strict, or "3" and true would pass for numbers.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _size(value: Any) -> int:
    try:
        return size_bytes(value)
    except (AttributeError, ValueError):
        raise PydanticCustomError("size", f"no size. Write it as {SIZES}, in quotes") from None


def _time(value: Any) -> float:
    try:
        return seconds(value)
    except (AttributeError, ValueError):
        raise PydanticCustomError("time", f"no time. Write it as {TIMES}, in quotes") from None


class ResourceTable(Section):
    """Resources of a job, as users write them."""

    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    memory: Annotated[int, BeforeValidator(_size)] | None = None
    time: Annotated[float, BeforeValidator(_time)] | None = None

    @property
    def amounts(self) -> dict[str, float]:
        """Field of :class:`genebench.specs.Resources` → value, for the values that are given."""
        given = {
            "cpus": self.cpus, "gpus": self.gpus, "memory": self.memory, "seconds": self.time,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


def _of_a_method(value: Any) -> Any:
    """Refuse a key of resources that is neither a resource nor the table of a method."""
    if not isinstance(value, dict):
        raise PydanticCustomError("extra_forbidden", "unknown key")
    return value


class ResourceTables(ResourceTable):
    """Resources of a job of any method, and a table for each method that needs others."""

    model_config = ConfigDict(extra="allow")
    # init=False tells type checkers that no caller gives it.
    __pydantic_extra__: dict[str, Annotated[ResourceTable, BeforeValidator(_of_a_method)]] = Field(
        init=False
    )


class Defaults(Section):
    """How jobs are executed, unless the command line says otherwise."""

    engine: str | None = None
    engines: dict[str, dict[str, Number]] = Field(default={})
    """Engine → option → value."""
    resources: ResourceTables = ResourceTables()


class Preferences(Defaults):
    """Content of a file of defaults."""

    results: str | None = None
    """Folder of the results. A project means it relative to its file."""
    dataset: str | None = None
    preset: Literal["tiny", "small", "paper"] | None = None
    protocols: list[str] | None = Field(default=None, min_length=1)
    seeds: int | None = Field(default=None, ge=1)
    device: Literal["auto", "cpu", "cuda", "gpu"] | None = None


VALUES = ("results", "dataset", "preset", "protocols", "seeds", "device", "engine")
"""Keys with one value each. The others are tables."""

Model = TypeVar("Model", bound=Section)


def checked(model: type[Model], content: Mapping[str, Any], source: str) -> Model:
    """Return the content of a file as a model.

    Args:
        model: class of the content.
        content: the parsed file.
        source: name of the file, for messages.

    Raises:
        UserError: the file has an unknown key, or a value that is not allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key makes another one missing, so it is the fault to name.
        for fault in error.errors():
            if fault["type"] == "extra_forbidden":
                *parents, key = map(str, fault["loc"])
                if not parents:
                    problem = unknown("key", key, model.model_fields)
                    raise UserError(f"{source}: {problem}") from None
                known = ResourceTable.model_fields if parents[0] == "resources" else ()
                path = ".".join((*parents, key))
                names = [".".join((*parents, name)) for name in known]
                hint = str(unknown("key", path, names)) if names else f"unknown key {path}"
                raise UserError(f"{source}: {hint}") from None
        raise UserError(f"{source}: {first_fault(error)}") from None


def read_config() -> dict[str, Preferences]:
    """Return file → its content: first that of the project, then that of the user, as they exist.

    Raises:
        UserError: a file cannot be read, its content is wrong, or ``GENEBENCH_CONFIG`` names a
            file that does not exist.
    """
    try:
        start = Path.cwd()
    except FileNotFoundError:
        # The working folder was removed.
        return _user_config()
    return _project_config(start) | _user_config()


def user_file() -> Path:
    """Return the path of the user's config file, which need not exist.

    Raises:
        UserError: ``GENEBENCH_CONFIG`` names the home of a user that does not exist.
    """
    named = os.environ.get("GENEBENCH_CONFIG")
    try:
        return (
            Path(named).expanduser()
            if named
            else platformdirs.user_config_path("genebench") / "config.toml"
        )
    except RuntimeError:
        raise UserError(
            f"GENEBENCH_CONFIG={named}: there is no such user. Correct the path."
        ) from None


def _user_config() -> dict[str, Preferences]:
    path = user_file()
    if not os.environ.get("GENEBENCH_CONFIG") and not path.exists():
        return {}
    content = checked(Preferences, read_toml(path), str(path))
    if content.results is not None:
        content = content.model_copy(update={"results": _expanded(content.results, str(path))})
    return {str(path): content}


def _expanded(folder: str, source: str) -> str:
    """Return a path with the home folder in place of ``~``.

    Raises:
        UserError: it names the home of a user that does not exist.
    """
    try:
        return str(Path(folder).expanduser())
    except RuntimeError:
        raise UserError(f"{source}: results: {folder}: there is no such user.") from None


def _project_config(start: Path) -> dict[str, Preferences]:
    """Return the file of the project that a folder is in → its content, if there is one."""
    for folder in _folders_of_project(start):
        path = folder / "genebench.toml"
        if path.is_file():
            return {str(path): _checked_project(read_toml(path), str(path), folder)}
        path = folder / "pyproject.toml"
        if path.is_file():
            content = read_toml(path)
            tool = content.get("tool")
            own = tool.get("genebench") if isinstance(tool, dict) else None
            if isinstance(own, dict):
                source = f"{path} [tool.genebench]"
                return {source: _checked_project(own, source, folder)}
    return {}


def _folders_of_project(start: Path) -> list[Path]:
    """Return the folders to look for a file in, the nearest first.

    The parents count up to the root of a repository, or to the home folder. Without either of
    them only the folder itself does: others may write to its parents, such as /tmp.
    """
    folders = [start, *start.parents]
    try:
        home = Path.home()
    except RuntimeError:
        home = start
    for number, folder in enumerate(folders, 1):
        if folder == home or (folder / ".git").exists():
            return folders[:number]
    return [start]


def _checked_project(content: Mapping[str, Any], source: str, folder: Path) -> Preferences:
    """Return the content of a project's file, which can name no code and no command.

    Raises:
        UserError: the content is wrong, or an option of an engine is free text.
    """
    project = checked(Preferences, content, source)
    for engine, options in project.engines.items():
        spec = registry().engines.specs.get(engine)
        choices = {option.name: option.choices for option in spec.options} if spec else {}
        for name, value in options.items():
            if isinstance(value, str) and value not in choices.get(name, ()):
                raise UserError(
                    f"{source}: engines.{engine}.{name} is text, which may be a command, and a "
                    "project may be somebody else's. Set it with --engine-set, or in your own "
                    f"file {user_file()}."
                )
    if project.results is None:
        return project
    return project.model_copy(update={"results": str(folder / _expanded(project.results, source))})


class Preference(NamedTuple):
    """A default, and where it comes from."""

    value: Any
    source: str


def preference(name: str) -> Preference | None:
    """Return the default of a key of :data:`VALUES` from the first file that has it, or None.

    Raises:
        UserError: as :func:`read_config`.
    """
    for source, content in read_config().items():
        if (value := getattr(content, name)) is not None:
            return Preference(value, source)
    return None


def preferred(name: str) -> Any:
    """Return the value of :func:`preference`, or None if no file has the key."""
    found = preference(name)
    return found.value if found else None


def default_engine(files: Mapping[str, Defaults]) -> str | None:
    """Return the engine of the first file that names one.

    Raises:
        UserError: it is not installed.
    """
    for source, defaults in files.items():
        if defaults.engine is not None:
            try:
                return registry().engines.get(defaults.engine).name
            except UserError as error:
                raise UserError(
                    f"{source}: its engine is not installed. Install its plugin, or use another "
                    f"--engine: {error}"
                ) from None
    return None


def default_options(files: Mapping[str, Defaults], engine: EngineSpec) -> dict[str, str]:
    """Return option of an engine → value, as typed. Earlier files go before later ones.

    Raises:
        UserError: a file has an unknown option of the engine, or a value that is not allowed.
    """
    options: dict[str, str] = {}
    for source, defaults in reversed([*files.items()]):
        _warn_of_unknown(source, "engine", defaults.engines, registry().engines.specs)
        values = {name: str(v) for name, v in defaults.engines.get(engine.name, {}).items()}
        try:
            engine.values(values)
        except UserError as error:
            raise UserError(f"{source}: {error}") from None
        options |= values
    return options


def merged_resources(given: Amounts, files: Mapping[str, Defaults]) -> Amounts:
    """Return resources by method: the given ones, and those of files that these leave open.

    Earlier files go before later ones. A value for any method also goes before a later file's value
    for one method.

    Raises:
        UserError: an unknown resource or method among the given ones, or a value out of range.
    """
    _check_amounts(given)
    merged: dict[str, dict[str, float]] = {}
    layers = [given]
    for source, defaults in files.items():
        tables = defaults.resources.__pydantic_extra__
        methods = registry().methods.specs
        _warn_of_unknown(source, "method", tables, methods)
        own = {name: table.amounts for name, table in tables.items() if name in methods}
        layers.append({"": defaults.resources.amounts} | own)
    for layer in layers:
        settled = set(merged.get("", {}))
        for method, amounts in layer.items():
            chosen = merged.setdefault(method, {})
            for name in amounts.keys() - settled - chosen.keys():
                chosen[name] = amounts[name]
    return {method: amounts for method, amounts in merged.items() if amounts}


def _check_amounts(given: Amounts) -> None:
    least = {"cpus": 1, "gpus": 0, "memory": 0, "seconds": 0}
    for method, amounts in given.items():
        if method:
            registry().methods.get(method)
        for name, value in amounts.items():
            if name not in least:
                raise unknown("resource", name, least)
            if not least[name] <= value < math.inf:
                raise UserError(
                    f"resources: {name}={value} is out of range. Use {least[name]} or more."
                )
            if name != "seconds" and not isinstance(value, int):
                raise UserError(f"resources: {name}={value} is no whole number. Write one.")


def _warn_of_unknown(
    source: str, kind: str, names: Iterable[str], known: Mapping[str, object]
) -> None:
    """Warn of names in a file that no plugin offers here.

    They are no errors, because a suite is shared, and a config file serves several installations.
    """
    for name in names:
        if name not in known:
            log.warning(printable(f"{source}: values are left out: {unknown(kind, name, known)}"))

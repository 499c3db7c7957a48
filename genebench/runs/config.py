"""Defaults of how jobs are executed: the user's config file, and the same keys in suites.

::

    engine = "slurm"                     # where jobs are executed

    [engines.slurm]                      # options of an engine
    partition = "gpu"

    [resources]                          # what an engine reserves for a job of any method
    memory = "8G"

    [resources.ggan]                     # … and for a job of one method
    gpus = 1
    time = "4h"

The file is ``config.toml`` in the user's config folder, or ``GENEBENCH_CONFIG``. The command line
goes before a suite, and a suite before this file.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

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
                raise UserError(f"{source}: unknown key {'.'.join((*parents, key))}") from None
        raise UserError(f"{source}: {first_fault(error)}") from None


def read_config() -> dict[str, Defaults]:
    """Return the path of the config file → its content. It is empty if there is no such file.

    Raises:
        UserError: the file cannot be read, its content is wrong, or ``GENEBENCH_CONFIG`` names a
            file that does not exist.
    """
    named = os.environ.get("GENEBENCH_CONFIG")
    try:
        path = (
            Path(named).expanduser()
            if named
            else platformdirs.user_config_path("genebench") / "config.toml"
        )
    except RuntimeError:
        raise UserError(
            f"GENEBENCH_CONFIG={named}: there is no such user. Correct the path."
        ) from None
    if not named and not path.exists():
        return {}
    return {str(path): checked(Defaults, read_toml(path), str(path))}


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

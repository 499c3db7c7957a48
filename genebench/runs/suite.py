"""Suites: a comparison as a file, so that it can be repeated, reviewed and shared.

::

    title = "What separates D-GEX from GGAN"
    preset = "small"                     # as far as the command line does not say otherwise
    protocols = ["geo", "gtex"]
    seeds = 3

    [names]                              # what the tables call methods, where not by name
    dgex = "D-GEX"

    [[runs]]
    methods = ["dgex", "ggan-fc"]
    grid = { layers = [1, 2, 3], units = [3000, 6000, 9000] }   # every combination
    small.grid = { units = [300, 600, 900] }                    # under cheaper presets

    [[runs]]
    methods = ["lsr-l2"]
    name = "Ridge, many λ"               # of this run, where it has one method
    set = { lambdas = 50 }
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from genebench._util.schema import first_fault
from genebench.errors import UserError, unknown

SHIPPED = "suites"
"""Folder of the package with the suites that can be run by name."""

_Number = bool | int | float | str


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameters(_Section):
    """Parameters: fixed ones, and a grid of others."""

    set: dict[str, _Number] = Field(default={})
    grid: dict[str, Annotated[list[_Number], Field(min_length=1)]] = Field(default={})


class Run(Parameters):
    """Methods, and the parameters to run them with.

    ``small`` and ``tiny`` replace values under these presets; as with a method's own parameters,
    a preset without a value takes that of the next larger one. ``name`` is what tables call it.
    """

    methods: list[str] = Field(min_length=1)
    name: str = ""
    small: Parameters = Parameters()
    tiny: Parameters = Parameters()

    @model_validator(mode="after")
    def _is_one(self) -> Run:
        if self.name and len(self.methods) > 1:
            raise PydanticCustomError("named", "a name is for one method; give each its own run")
        return self

    def at(self, preset: str) -> Parameters:
        """The parameters under a preset."""
        cheaper = {"small": [self.small], "tiny": [self.small, self.tiny]}.get(preset, [])
        return Parameters(
            set=_joined([self.set, *(given.set for given in cheaper)]),
            grid=_joined([self.grid, *(given.grid for given in cheaper)]),
        )


class Suite(_Section):
    """What to compare; everything but the runs is a default that the command line may replace."""

    title: str = ""
    dataset: str | None = None
    preset: str | None = None
    protocols: list[str] = ["geo", "gtex"]
    seeds: int = Field(default=1, ge=1)
    names: dict[str, str] = Field(default={})
    runs: list[Run] = Field(min_length=1)


def read_suite(name: str) -> Suite:
    """Read a suite: a file, or one that is shipped, by its name.

    Raises:
        UserError: there is none of that name, or something in it is wrong.
    """
    path = Path(name)
    if path.suffix != ".toml" and name in shipped_suites():
        source, text = (
            name,
            (resources.files("genebench.runs") / SHIPPED / f"{name}.toml").read_bytes(),
        )
    elif path.is_file():
        source, text = name, path.read_bytes()
    elif path.suffix == ".toml":
        raise UserError(f"{name}: no such file")
    else:
        raise unknown("suite", name, shipped_suites())
    return _parse(source, text)


def shipped_suites() -> list[str]:
    """Names of the suites in the package."""
    folder = resources.files("genebench.runs") / SHIPPED
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


def _parse(source: str, text: bytes) -> Suite:
    try:
        return Suite.model_validate(tomllib.loads(text.decode("utf-8")))
    except ValidationError as error:
        raise UserError(f"{source}: {first_fault(error)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not TOML: {error}") from None


def _joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One mapping of several; a later value replaces an earlier one in its place."""
    return {name: value for part in parts for name, value in part.items()}


def texts(values: Any) -> Any:
    """Values of parameters, in mappings and sequences of any kind, as one types them."""
    if isinstance(values, Mapping):
        return {name: texts(value) for name, value in values.items()}
    if isinstance(values, Iterable) and not isinstance(values, str):
        return [texts(value) for value in values]
    return str(values)

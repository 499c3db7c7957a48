"""Suites: a comparison as a file, so that it can be repeated, reviewed and shared.

::

    title = "What separates D-GEX from GGAN"
    preset = "small"                     # a default, which the command line may replace
    protocols = ["geo", "gtex"]
    seeds = 3
    train_sizes = [2000, 8000, "all"]    # training subsets, if any

    [names]                              # titles of methods in tables
    dgex = "D-GEX"

    [[runs]]
    methods = ["dgex", "ggan-fc"]
    grid = { layers = [1, 2, 3], units = [3000, 6000, 9000] }   # every combination
    small.grid = { units = [300, 600, 900] }                    # under cheaper presets

    [[runs]]
    methods = ["lsr-l2"]
    name = "Ridge, many λ"               # title of this run, which has one method
    set = { lambdas = 50 }

    [[runs]]
    methods = ["ensemble"]
    set = { members = "lsr-l2,knn-ge" }
    members.lsr-l2 = { lambdas = 50 }    # parameters of one of its members

    [[runs]]
    methods = ["ggan"]
    explain = ["gtex"]                   # protocols under which its models are explained

A parameter that is a list is an array, ``set = { hidden = [512, 256] }``, and its grid is an array
of arrays, ``grid = { hidden = [[512, 256], [512]] }``.

The keys ``engine``, ``[engines.NAME]`` and ``[resources]`` say how jobs are executed, as in the
config file: see :mod:`genebench.runs.config`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from genebench._util.text import BETWEEN_VALUES, typed
from genebench._util.toml import parse_toml, read_toml
from genebench.errors import UserError, unknown
from genebench.runs.config import Defaults, Number, Section, checked
from genebench.specs import MethodSpec

_SHIPPED = resources.files("genebench.runs") / "suites"
"""Folder of the package with the suites that can be run by name."""


Setting = Number | list[Number]
"""Value of a parameter in a suite. An array is the value of one that is a list."""


class Parameters(Section):
    """Parameters: fixed values (``set``) and lists of values (``grid``)."""

    set: dict[str, Setting] = Field(default={})
    grid: dict[str, Annotated[list[Setting], Field(min_length=1)]] = Field(default={})


class Run(Parameters):
    """Methods, and the parameters to run them with.

    ``small`` and ``tiny`` replace values under these presets. A preset without a value takes the
    value of the next larger preset, as with the parameters of a method. ``name`` is the title of
    the run in tables. ``after`` is the name of the run that this one changes. If it is empty, that
    is the run above. ``members`` has parameters of the methods that the run's method is made of.
    ``explain`` has protocols. The models of the run are kept, and ``genebench report suite --out``
    draws the panels of relevance under these protocols.
    """

    methods: list[str] = Field(min_length=1)
    name: str = ""
    after: str = ""
    members: dict[str, dict[str, Setting]] = Field(default={})
    explain: list[str] = Field(default=[])
    small: Parameters = Parameters()
    tiny: Parameters = Parameters()

    @model_validator(mode="after")
    def _check_name(self) -> Run:
        if self.name and len(self.methods) > 1:
            raise PydanticCustomError(
                "named", "a name is for one method. Give each method a run of its own."
            )
        return self

    def at(self, preset: str) -> Parameters:
        """Return the parameters under a preset."""
        parts: list[Parameters] = [self]
        if preset in ("small", "tiny"):
            parts.append(self.small)
        if preset == "tiny":
            parts.append(self.tiny)
        # A later value replaces an earlier one but keeps its place: the order of a grid is the
        # order of jobs and of tables.
        return Parameters(
            set={name: value for part in parts for name, value in part.set.items()},
            grid={name: values for part in parts for name, values in part.grid.items()},
        )


class Suite(Defaults):
    """A comparison. All but the runs are defaults, which the command line may replace."""

    title: str = ""
    dataset: str | None = None
    preset: str | None = None
    protocols: list[str] = Field(default=["geo", "gtex"])
    seeds: int = Field(default=1, ge=1)
    train_sizes: list[Annotated[int, Field(ge=1)] | Literal["all"]] = Field(default=[])
    names: dict[str, str] = Field(default={})
    runs: list[Run] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_after(self) -> Suite:
        above: set[str] = set()
        for run in self.runs:
            if run.after and run.after not in above:
                raise PydanticCustomError("after", "after is not the name of a run above it.")
            above.add(run.name)
        return self


def read_suite(name: str) -> Suite:
    """Read a suite: a TOML file, or a shipped suite by its name.

    Raises:
        UserError: there is no such suite, or its content is wrong.
    """
    path = Path(name)
    if path.suffix != ".toml" and name in shipped_suites():
        content = parse_toml((_SHIPPED / f"{name}.toml").read_bytes(), name)
    elif path.suffix == ".toml" or path.is_file():
        content = read_toml(path)
    else:
        raise unknown("suite", name, shipped_suites())
    return checked(Suite, content, name)


def shipped_suites() -> list[str]:
    """Return the names of the suites in the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir())


def texts(values: Any) -> Any:
    """Return values of parameters as the user types them: numbers, truth values and lists as text.

    Mappings keep their structure, at any depth.

    Raises:
        UserError: a value of a list cannot be typed.
    """
    if isinstance(values, Mapping):
        return {name: texts(value) for name, value in values.items()}
    if isinstance(values, Iterable) and not isinstance(values, str):
        items = [*values]
        for item in items:
            is_list = isinstance(item, Iterable) and not isinstance(item, str)
            word = typed(item)
            if is_list or not word.strip() or BETWEEN_VALUES in word:
                raise UserError(
                    f"{item!r} is a value in a list. Give words without a colon, or numbers."
                )
        return typed(items)
    return typed(values)


def grid_texts(values: Any, name: str = "") -> Any:
    """Return the values of each parameter's grid as :func:`texts` does each of them.

    Raises:
        UserError: a grid is no list of values, or is empty.
    """
    if isinstance(values, Mapping):
        return {key: grid_texts(value, key) for key, value in values.items()}
    is_list = isinstance(values, Iterable) and not isinstance(values, str)
    grid = [texts(value) for value in values] if is_list else []
    if not grid:
        raise UserError(f"The grid of {name} is {values!r}. Give a list of values, such as [1, 2].")
    return grid


def check_lists(
    method: MethodSpec, fixed: Mapping[str, Any], grid: Mapping[str, Iterable[Any]]
) -> None:
    """Check that a list is given only for a parameter that is one.

    A text with colons could not be told from it later.

    Raises:
        UserError: a parameter is no list, or unknown.
    """
    tried = [(name, value) for name, values in grid.items() for value in values]
    for name, value in [*fixed.items(), *tried]:
        is_list = isinstance(value, Iterable) and not isinstance(value, str)
        if is_list and not method.param(name).is_list:
            raise UserError(f"{method.name}.{name} has one value, not a list: {value!r}. Give one.")

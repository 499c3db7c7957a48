"""Specs that plugins declare: frozen, cheap to build, and checked when they are created."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast, get_args
from urllib.parse import quote

from genebench._util.formulas import names_in
from genebench._util.text import BETWEEN_VALUES, encodable, typed
from genebench.errors import UserError, counted, unknown

Scalar = bool | int | float | str
"""A single value."""
Value = Scalar | tuple[Scalar, ...]
"""The value of a method's parameter: a single one, or a list of one type."""

Device = Literal["cpu", "cuda"]
"""A device that a method can run on."""
DeviceChoice = Literal["auto", "cpu", "cuda"]
"""A device that a user chooses. ``auto`` is CUDA if method and machine support it."""
Split = Literal["train", "validation", "test"]
Statistics = Literal["platform", "train"]
FoldKind = Literal["k-fold", "leave-one-out", "repeat"]
Direction = Literal["lower", "higher"]
Axis = Literal["gene", "profile"]
Form = Literal["block", "terms", "whole"]

WORK_SIZES = ("train", "validation", "test", "landmarks", "targets")
"""Sizes of a job that :attr:`MethodSpec.work` may name."""
PRESETS = ("tiny", "small", "paper")
"""Presets in order of cost. ``paper`` is the published setting, which is a parameter's default."""

NAME = re.compile(r"(?!.{65})[a-z0-9]+(?:[.-][a-z0-9]+)*")
"""A name on disk: short enough for any file system, and with room for a size after a name."""
_PARAM_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FILE_SUFFIX = re.compile(r"(\.[a-z0-9]+)+")
_SIZED_NAME = re.compile(r"(.+)-n([1-9][0-9]{0,9})")
"""Name of a protocol with a training subset: the protocol, and how many profiles it trains on."""
_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_MAX_NAME = 40
"""Characters of a name. Names are part of file names, and of columns of tables."""
MOST_LETTERS = 2_000
"""Letters of a declared text, or of a parameter's value. Lists and records repeat them."""
MOST_ENTRIES = 500
"""Entries of a declared list: parameters, choices, presets, values."""
_LARGEST = 10**100
"""Upper limit of a whole number. Python has none, and prints no number of 4,300 digits."""
_SHOWN_LETTERS = 60
"""Letters of a value that a message repeats."""
FEWEST_FOLDS, MOST_FOLDS = 3, 200
"""Numbers of folds that a protocol may have. One fold is for the test, one for validation, and the
others for training. Each fold is a job for each method."""
_LEAVE_ONE_OUT = "leave-one-out"
_PART_LETTERS = 190
"""Letters of the text of a part, which is a name in records."""
MOST_LETTERS_WITH_FOLDS, LABEL_LETTERS = 20, 16
"""Letters of the name of a protocol with folds, and of the label of a fold. Together they fit into
a name."""
ALL = "all"
"""Word for every name on the command line. No spec may have it as its name."""


def check_name(kind: str, name: str) -> None:
    """Check a name, which becomes part of commands, keys and file names.

    Allowed are lower-case letters, digits, and single ``-`` or ``.`` between them.

    Raises:
        ValueError: the name is malformed.
    """
    if len(name) > _MAX_NAME or name == ALL or not NAME.fullmatch(name):
        raise ValueError(
            f"{kind} name {name[:_SHOWN_LETTERS]!r} is malformed. Use up to {_MAX_NAME} of a-z, "
            "0-9 and single '-' or '.' between them."
        )


def _check_texts(owner: str, spec: Any) -> None:
    """Check that no text or list of a spec is endless or cannot be written: tables show them.

    Raises:
        ValueError: one is too long, or holds half of a surrogate pair.
    """
    for declared in fields(spec):
        what, value = f"{owner}: {declared.name}", getattr(spec, declared.name)
        texts = [value]
        if isinstance(value, tuple | Mapping):
            if len(value) > MOST_ENTRIES:
                raise ValueError(f"{what} has {len(value):,} entries, more than {MOST_ENTRIES}")
            texts = [*value, *value.values()] if isinstance(value, Mapping) else [*value]
        for text in texts:
            if isinstance(text, str) and len(text) > MOST_LETTERS:
                raise ValueError(f"{what} has {len(text):,} letters, more than {MOST_LETTERS:,}")
            if isinstance(text, str) and encodable(text) != text:
                raise ValueError(f"{what} has half of a surrogate pair, which is no character")


def _check_choice(owner: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{owner}: {value!r} is not one of {allowed}")


def _check_code(owner: str, code: str) -> None:
    if not _IMPORT_STRING.fullmatch(code):
        raise ValueError(f"{owner}: code {code!r} is not an import string 'package.module:name'")


@dataclass(frozen=True, kw_only=True, slots=True)
class Param:
    """One parameter of a method.

    Command line, grids, checks and documentation all follow from it. ``default`` is the published
    value (preset ``paper``), and ``presets`` has cheaper values. A preset without a value takes
    that of the next larger preset.

    A parameter whose default is a tuple is a list. ``minimum``, ``maximum`` and ``choices`` are
    then about each of its values. Users type a list with colons: ``512:256``.
    """

    name: str
    """Name of the method's keyword argument: a-z, 0-9 and ``_``."""
    default: Value
    """The published value. Its type is the type of the parameter. The default of a list is a tuple
    of one value or more, all of one type."""
    help: str
    """A few words on its effect."""
    minimum: float | None = None
    """The smallest value allowed."""
    maximum: float | None = None
    """The largest value allowed."""
    choices: tuple[Scalar, ...] = ()
    """The only values allowed. Empty if every value within the bounds is."""
    min_length: int = 1
    """The fewest values of a list."""
    max_length: int = MOST_ENTRIES
    """The most values of a list."""
    presets: Mapping[str, Value] = field(default_factory=dict)
    """Preset → value cheaper than the default."""

    def __post_init__(self) -> None:
        if len(self.name) > _MAX_NAME or not _PARAM_NAME.fullmatch(self.name):
            raise ValueError(
                f"parameter name {self.name[:_SHOWN_LETTERS]!r} is malformed. Use up to "
                f"{_MAX_NAME} of a-z, 0-9 and '_'."
            )
        _check_texts(f"parameter {self.name}", self)
        for preset in self.presets:
            if preset not in PRESETS:
                raise ValueError(
                    f"parameter {self.name}: preset {preset!r} is not one of {PRESETS}"
                )
        if self.default == ():
            raise ValueError(
                f"parameter {self.name}: an empty list has no type. Give the default a value."
            )
        if not self.is_list and (self.min_length, self.max_length) != (1, MOST_ENTRIES):
            raise ValueError(
                f"parameter {self.name}: min_length and max_length are for lists, whose default is "
                "a tuple"
            )
        if not 0 <= self.min_length <= self.max_length <= MOST_ENTRIES:
            raise ValueError(
                f"parameter {self.name}: min_length={self.min_length} and "
                f"max_length={self.max_length} are no bounds. Give 0 ≤ min_length ≤ max_length "
                f"≤ {MOST_ENTRIES}."
            )
        for choice in self.choices if self.is_list else ():
            if choice == "" or BETWEEN_VALUES in str(choice):
                raise ValueError(
                    f"parameter {self.name}: choice {choice!r} is no value of a list. Give words "
                    f"without '{BETWEEN_VALUES}', which separates them."
                )
        for value in (self.default, *self.presets.values()):
            self._check_type(value)
            self._check(value, owner="parameter")

    @property
    def is_list(self) -> bool:
        """True if its values are lists, which are tuples in Python."""
        return isinstance(self.default, tuple)

    @property
    def type(self) -> type:
        """Type of the default, or of each value of a list: bool, int, float or str."""
        return type(self.default[0]) if isinstance(self.default, tuple) else type(self.default)

    def value_for(self, preset: str) -> Value:
        """Return the value of this parameter under a preset."""
        for name in PRESETS[PRESETS.index(preset) :]:
            if name in self.presets:
                return self.presets[name]
        return self.default

    def parse(self, text: str, *, owner: str) -> Value:
        """Read a value from the command line or a file, and check it.

        The values of a list have colons between them. An empty text is an empty list.

        Raises:
            UserError: the value is not of the parameter's type, or out of range.
        """
        value: Value
        if self.is_list:
            parts = text.split(BETWEEN_VALUES) if text.strip() else []
            value = tuple(self._convert(part.strip(), owner) for part in parts)
        else:
            value = self._convert(text.strip(), owner)
        self._check(value, owner)
        return value

    def _convert(self, text: str, owner: str) -> Scalar:
        try:
            # bool("false") would be True.
            if self.type is bool:
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            value: Scalar = self.type(text)
        except (KeyError, ValueError):
            kind, example = {
                bool: ("true or false", "true"),
                int: ("a whole number", "3"),
                float: ("a number", "0.1"),
            }[self.type]
            if self.is_list:
                raise UserError(
                    f"{self._place(text, owner)} is not {kind}. Write a list of this type with "
                    f"colons, such as {example}{BETWEEN_VALUES}{example}."
                ) from None
            raise UserError(
                f"{self._place(text, owner)} is not {kind}. Write {kind}, such as {example}."
            ) from None
        return value

    def _place(self, text: str, owner: str) -> str:
        """Return the beginning of a message about a value, or about one value of a list."""
        shown = text[:_SHOWN_LETTERS]
        if self.is_list:
            return f"{owner}.{self.name}: {shown or 'an empty text'}"
        return f"{owner}.{self.name}={shown}"

    def _check_type(self, value: Value) -> None:
        """Check that a declared value has the type of the parameter.

        Raises:
            ValueError: it has not.
        """
        owner = f"parameter {self.name}"
        if isinstance(value, tuple) != self.is_list:
            raise ValueError(f"{owner}: {value!r} is {'not ' * self.is_list}a list (a tuple)")
        for item in value if isinstance(value, tuple) else (value,):
            # type(), because isinstance(True, int) holds, and numpy's float64 is a float.
            if type(item) not in (bool, int, float, str):
                raise ValueError(
                    f"{owner}: {item!r} is not a bool, int, float or str, or a tuple of these"
                )
            if type(item) is not self.type:
                raise ValueError(f"{owner}: {item!r} is not of type {self.type.__name__}")

    def _check(self, value: Value, owner: str) -> None:
        """Check the length of a list, and the range of each value."""
        if not isinstance(value, tuple):
            self._check_range(value, owner)
            return
        low, high = self.min_length, self.max_length
        if not low <= len(value) <= high:
            allowed = f"{low}" if low == high else f"{low} to {high}"
            raise UserError(
                f"{owner}.{self.name} has {counted(len(value), 'value')}. Give {allowed}, with "
                "colons between them."
            )
        if (letters := len(typed(value))) > MOST_LETTERS:
            raise UserError(
                f"{owner}.{self.name} has {letters:,} letters. Give at most {MOST_LETTERS:,}."
            )
        for item in value:
            if isinstance(item, str) and (not item or BETWEEN_VALUES in item):
                raise UserError(
                    f"{owner}.{self.name} has the value {item[:_SHOWN_LETTERS]!r}. Give words "
                    "without a colon, which separates the values of a list."
                )
            self._check_range(item, owner)

    def _check_range(self, value: Scalar, owner: str) -> None:
        large = isinstance(value, int) and abs(value) > _LARGEST
        text = "a large number" if large else str(value)
        if len(text) > MOST_LETTERS:
            raise UserError(
                f"{owner}.{self.name} has {len(text):,} letters. Give at most {MOST_LETTERS:,}."
            )
        name = self._place(text, owner)
        if self.choices and value not in self.choices:
            between = f", with colons between them (a{BETWEEN_VALUES}b)" if self.is_list else ""
            raise UserError(
                f"{name} is not a choice. Choose {' or '.join(map(str, self.choices))}{between}."
            )
        if isinstance(value, str):
            # A record could not hold a lone surrogate, and Python makes one of a bad byte.
            if value != value.encode("utf-8", "replace").decode():
                raise UserError(f"{name} is not text. Write it in UTF-8.")
            return
        if large:
            raise UserError(f"{name} is out of range. The largest whole number is 1e100.")
        # NaN passes every comparison with a bound, and has no canonical form for a key.
        if not math.isfinite(value):
            raise UserError(f"{name} is not a finite number. Write a number, such as 0.1.")
        if self.minimum is not None and value < self.minimum:
            raise UserError(f"{name} is out of range. The smallest value is {self.minimum:g}.")
        if self.maximum is not None and value > self.maximum:
            raise UserError(f"{name} is out of range. The largest value is {self.maximum:g}.")


def values_from_json(content: Mapping[str, Any]) -> dict[str, Value]:
    """Return parameter → value, from JSON, whose lists become tuples again."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """The processors, GPUs, memory and time of one job."""

    cpus: int = 1
    """Processors."""
    gpus: int = 0
    """GPUs."""
    memory: int = 2 << 30
    """Bytes of memory, without pages of mapped files."""
    seconds: float = 3600.0
    """Wall time. An engine may stop the job after it, and continue it later."""

    def __post_init__(self) -> None:
        _check_not_negative("resources", self)
        if self.cpus < 1:
            raise ValueError(f"resources: cpus={self.cpus} is less than 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Resources that a job of a method needs, as a function of the data.

    The size of the data is that of the training profiles as float32: 4 bytes for each profile and
    gene. The published training set has 3.8 GB.
    """

    cpus: int = 1
    """Processors that the method can use well."""
    gpus: int = 1
    """GPUs of a job on CUDA."""
    memory: int = 1 << 30
    """Bytes for any data: libraries, and what does not grow with the profiles."""
    memory_per_byte: float = 3.0
    """Further bytes for each byte of data."""
    seconds: float = 600.0
    """Wall time for any data."""
    seconds_per_gigabyte: float = 3600.0
    """Further seconds for each 1e9 bytes of data."""

    def __post_init__(self) -> None:
        _check_not_negative("needs", self)
        if self.cpus < 1:
            raise ValueError(f"needs: cpus={self.cpus} is less than 1")

    def of(self, data_bytes: int, device: DeviceChoice) -> Resources:
        """Return the resources of a job on data of this size.

        GPUs are needed under ``cuda`` only: a job under ``auto`` runs on the CPU, too.
        """
        return Resources(
            cpus=self.cpus,
            gpus=self.gpus if device == "cuda" else 0,
            memory=int(self.memory + self.memory_per_byte * data_bytes),
            seconds=self.seconds + self.seconds_per_gigabyte * data_bytes / 1e9,
        )


def _check_not_negative(owner: str, spec: Any) -> None:
    for declared in fields(spec):
        value = getattr(spec, declared.name)
        # not (… >= 0), because NaN passes every other comparison.
        if not value >= 0 or value > _LARGEST:
            raise ValueError(f"{owner}: {declared.name}={value} is out of range")


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodSpec:
    """Spec of an inference method. ``code`` names a subclass of :class:`genebench.Method`."""

    name: str
    title: str
    summary: str
    code: str
    params: tuple[Param, ...] = ()
    """Parameters that users can set."""
    stochastic: bool = False
    """True if results depend on the seed. A deterministic method is run once, with seed 0."""
    devices: tuple[Device, ...] = ("cpu",)
    """Devices that it can run on. It is never run on another."""
    control: bool = False
    """True for a control, which every table shows for scale. Controls are never ranked."""
    reference: str = ""
    """Source of the method: paper, equation, code."""
    bibtex: str = ""
    """BibTeX entries of the papers to cite, as ``genebench cite`` prints them."""
    equations: str = ""
    """What it computes, for its page on boards: plain text with LaTeX in ``$…$``, or in ``$$…$$``
    where it has a line of its own, and code in backticks. Empty lines separate paragraphs."""
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    """Conformance check → the reason why the method rightly fails it."""
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    """Protocol → the reason why the method cannot do it. Training subsets of the protocol are
    included. Such results have the status ``not applicable``, and nothing is run for them. A method
    may also raise :class:`genebench.NotApplicable`."""
    needs: Mapping[str, Needs] = field(default_factory=dict)
    """Preset → resources that a job needs. A preset without a value takes that of the next larger
    preset, and a method without any takes the defaults of :class:`Needs`."""
    work: str = ""
    """Arithmetic operations of a fit and its predictions, as a formula for estimates of time.

    Names are numeric parameters that are no lists, and ``train``, ``validation``, ``test``
    (profiles), ``landmarks`` and ``targets`` (genes): ``2 * train * landmarks * targets``. Allowed
    are numbers, ``+ - * / **``, ``min`` and ``max``. The unit is an operation of a matrix product.
    Work that is slower counts more than once. Without a formula, time is estimated from earlier
    runs alone."""
    members: str = ""
    """Parameter that lists the methods that this one is made of, such as ``lsr-l2,knn-ge``. It is
    text. Their models for the same protocol are given to the method, as ``context.members``. Empty
    for a method that is made of no others."""
    timing_epoch: int = 1
    """Raise it when a change makes earlier times of the method wrong, such as work that moved out
    of the fit. Earlier times are then shown and no longer ranked."""

    def __post_init__(self) -> None:
        check_name("method", self.name)
        _check_texts(f"method {self.name}", self)
        if self.timing_epoch < 1:
            raise ValueError(f"method {self.name}: timing_epoch={self.timing_epoch} is below 1")
        _check_code(self.name, self.code)
        for device in self.devices:
            _check_choice(f"method {self.name}: device", device, get_args(Device))
        names = [param.name for param in self.params]
        if len(set(names)) != len(names):
            raise ValueError(f"method {self.name}: a parameter is declared twice")
        for preset in self.needs:
            _check_choice(f"method {self.name}: preset of needs", preset, PRESETS)
        for protocol, reason in self.not_applicable.items():
            check_name("protocol", protocol)
            if not reason.strip():
                raise ValueError(f"method {self.name}: not_applicable[{protocol!r}] has no reason")
        self._check_work()
        if self.members and not any(
            param.name == self.members and param.type is str and not param.is_list
            for param in self.params
        ):
            raise ValueError(
                f"method {self.name}: members={self.members!r} is not one of its text parameters"
            )

    def _check_work(self) -> None:
        if not self.work:
            return
        try:
            used = names_in(self.work)
        except ValueError as error:
            raise ValueError(f"method {self.name}: work: {error}") from None
        numbers = {
            param.name for param in self.params if param.type is not str and not param.is_list
        }
        if others := used - numbers - {*WORK_SIZES}:
            raise ValueError(
                f"method {self.name}: work has {', '.join(sorted(others))}, which is no numeric "
                f"parameter and none of {', '.join(WORK_SIZES)}"
            )

    def reason_against(self, protocol: str) -> str:
        """Return why the method cannot do a protocol, or an empty text if it declares nothing.

        A reason against a protocol is one against its training subsets and its folds.
        """
        base, _ = sized_name(protocol)
        names = (protocol, base, base.rpartition(".")[0])
        return next(filter(None, map(self.not_applicable.get, names)), "")

    def needs_for(self, preset: str) -> Needs:
        """Return the needs of a job under a preset."""
        for name in PRESETS[PRESETS.index(preset) :]:
            if name in self.needs:
                return self.needs[name]
        return Needs()

    def param(self, name: str) -> Param:
        """Return the parameter of a name.

        Raises:
            UserError: the name is unknown. The message lists similar names.
        """
        for param in self.params:
            if param.name == name:
                return param
        raise unknown(f"parameter of {self.name}", name, [param.name for param in self.params])

    def values(self, preset: str, overrides: Mapping[str, str]) -> dict[str, Value]:
        """Return the parameters in effect: overrides, else the preset's values, else defaults.

        Raises:
            UserError: an override has an unknown name, or a value that is not allowed.
        """
        chosen = {
            name: self.param(name).parse(text, owner=self.name) for name, text in overrides.items()
        }
        return {param.name: param.value_for(preset) for param in self.params} | chosen

    def members_in(self, params: Mapping[str, Value]) -> tuple[str, ...]:
        """Return the names of the methods that parameters list, in alphabetical order.

        The order of the list changes no result, so that it has no part in the key.
        """
        listed = str(params[self.members]) if self.members else ""
        return tuple(sorted(name.strip() for name in listed.split(",") if name.strip()))


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """A dataset.

    ``code`` names ``f(preset: str)``. It returns a
    :class:`genebench.preprocessing.compendium.Compendium` of raw platforms. genebench runs the
    published recipe on it and stores the result.
    """

    name: str
    title: str
    code: str
    presets: tuple[str, ...] = ()
    """Sizes on offer, cheapest first. Empty if the dataset comes in one size."""
    preset: str = "small"
    """The preset that methods take on this dataset unless the user says otherwise."""

    def __post_init__(self) -> None:
        check_name("dataset", self.name)
        _check_texts(f"dataset {self.name}", self)
        _check_code(self.name, self.code)
        for preset in (self.preset, *self.presets):
            if preset not in PRESETS:
                raise ValueError(f"dataset {self.name}: preset {preset!r} is not one of {PRESETS}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatSpec:
    """Spec of a file format of expression, recognised by the end of the file's name.

    ``reader`` names ``f(path: Path) -> genebench.formats.base.Reader``. ``writer`` names
    ``f(path: Path, content: genebench.formats.base.Content)``, if the format can be written.

    A format that shares the end of its names with others is recognised by content: ``recognise``
    names ``f(head: bytes) -> bool``. It gets the first 64 KB of a file, unpacked if the file is
    gzipped. It is asked before the end of the name decides. A file that two formats recognise is
    refused.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    """Ends of file names, lower case, with the dot, such as ``.gct.gz``."""
    reader: str
    """Import string of the function that opens a file."""
    writer: str = ""
    """Import string of the function that writes a file. Empty if the format is only read."""
    extra: str = ""
    """Extra that it needs (``pip install 'genebench-suite[extra]'``). Empty if none."""
    recognise: str = ""
    """Import string of the function that recognises the content. Empty if only the name counts."""

    def __post_init__(self) -> None:
        check_name("format", self.name)
        _check_texts(f"format {self.name}", self)
        for code in filter(None, (self.reader, self.writer, self.recognise)):
            _check_code(self.name, code)
        for suffix in self.suffixes:
            if not _FILE_SUFFIX.fullmatch(suffix):
                raise ValueError(f"format {self.name}: suffix {suffix!r} is malformed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """One fold of a protocol with folds."""

    kind: FoldKind
    """``k-fold``: one of ``number`` parts of the platform. ``leave-one-out``: one group.
    ``repeat``: one of ``number`` drawings of a split."""
    label: str
    """Its number from 1 on, or the name of the group in a-z, 0-9 and ``-``."""
    number: int = 0
    """How many folds there are. 0 if the groups of the dataset decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """A way to divide the profiles of a platform into training, validation and test profiles."""

    by: str = "random"
    """Name of the split."""
    column: str = ""
    """Column of the profile table that takes the place of the column ``group``."""
    fold: Fold | None = None
    """The fold, if the protocol has folds."""

    def __str__(self) -> str:
        column = f"/column-{quote(self.column, safe='')}" if self.column else ""
        fold = f"/fold-{self.fold.label}" if self.fold else ""
        return f"{self.by}{column}{fold}"


Values = tuple[tuple[str, tuple[str, ...]], ...]
"""Column of the profile table → values, as pairs."""
Filter = Values | Mapping[str, str | tuple[str, ...]]
"""The same as a mapping, as in ``{"tissue": "lung"}`` or ``{"tissue": ("lung", "liver")}``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Profiles of one platform, and the statistics that they are standardised by.

    Protocols whose training parts are equal share the training.
    """

    platform: str
    """Name of the platform: ``geo``, ``1000g``, ``gtex``, or another of the dataset's."""
    split: Split | None = None
    """One part of the split, or None for all profiles of the platform."""
    by: str = "random"
    """Name of the split: ``random`` splits single profiles, ``group`` whole groups (GEO series).
    Plugins offer others."""
    column: str = ""
    """Column of the profile table whose values are the groups, such as ``tissue``. Empty for the
    groups that the dataset declares. Profiles with an empty cell are groups of one."""
    where: Filter = ()
    """Profiles to take: column of the profile table → value, or values, one of which it must have.
    It is applied after the split, so that the split is that of the whole platform."""
    without: Filter = ()
    """Profiles to leave out, in the same form."""
    fold: Fold | None = None
    """The fold of the split. :meth:`ProtocolSpec.one_fold` sets it."""
    profiles: int = 0
    """How many of the training profiles these are, or 0 for all of them. Smaller subsets lie in
    larger ones, and the split seed of the dataset draws them. ``statistics`` stay those of the
    whole, so that scores at all sizes have one unit."""
    statistics: Statistics | Part = "platform"
    """Profiles that give quantiles, means and deviations.

    ``platform``: all of the platform, as published. ``train``: the training profiles of the split
    that the part belongs to, whatever ``where`` takes of them. A whole platform has none, and takes
    those of ``geo`` under the split ``random``. A :class:`Part`: its profiles, on any platform. It
    may not overlap with the test set. Quantiles are always those of ``geo``: of the training
    profiles of a split of ``geo`` where these give the statistics, else of all profiles of ``geo``.
    So a part of another platform takes them from all profiles of ``geo``, and means and deviations
    from its own training profiles."""

    def __post_init__(self) -> None:
        owner = f"part of {self.platform}"
        check_name("platform", self.platform)
        _check_choice(owner, self.split, (*get_args(Split), None))
        check_name("split", self.by)
        for name in ("where", "without"):
            object.__setattr__(self, name, _filter(f"{owner}: {name}", getattr(self, name)))
        if not isinstance(self.statistics, Part):
            _check_choice(owner, self.statistics, get_args(Statistics))
        elif self.statistics.statistics != "platform":
            raise ValueError(
                f"{owner}: the part that gives its statistics has statistics itself. Leave these "
                "out."
            )
        if self.statistics == "train" and self.split is None and self.by != "random":
            raise ValueError(
                f"{owner}: a whole platform takes the training statistics of the "
                f"random split, not of split {self.by!r}"
            )
        if self.column and (self.split is None or self.by in {"random", "l1000"}):
            raise ValueError(
                f"{owner}: column={self.column!r} names groups, and no split by groups is used. "
                'Give split and by="group".'
            )
        if self.profiles < 0 or (self.profiles and self.split != "train"):
            raise ValueError(
                f"{owner}: profiles={self.profiles} is not possible. Give a "
                "positive number, for training profiles only."
            )

    @property
    def division(self) -> Division:
        """The way to divide its platform. It has no meaning for a part without ``split``."""
        return Division(by=self.by, column=self.column, fold=self.fold)

    @property
    def sources(self) -> tuple[Part, ...]:
        """This part, and the part that gives its statistics, if there is one."""
        return (self, self.statistics) if isinstance(self.statistics, Part) else (self,)

    @property
    def filters(self) -> tuple[Values, Values]:
        """``where`` and ``without``, as pairs."""
        return _filter("where", self.where), _filter("without", self.without)

    @property
    def reads_table(self) -> bool:
        """True if other columns of the profile table than the group decide which profiles it has.

        The digest of a dataset covers profile ids, groups and stored splits only.
        """
        return bool(self.where or self.without or self.column or self.fold)

    def overlaps(self, other: Part) -> bool:
        """Return whether a profile can be in both. Parts of two splits can share profiles.

        Parts of one split, and parts with filters that exclude each other, share none.
        """
        apart = None not in (self.split, other.split) and self.split != other.split
        if self.platform != other.platform or (apart and self.division == other.division):
            return False
        return not (self._excludes(other) or other._excludes(self))

    def _excludes(self, other: Part) -> bool:
        """Return whether filters of this part leave out every profile that another takes."""
        where, without = other.filters
        takes = {column: set(values) for column, values in self.filters[0]}
        return any(
            column in takes and takes[column].isdisjoint(values) for column, values in where
        ) or any(column in takes and takes[column] <= set(values) for column, values in without)

    def __str__(self) -> str:
        split = f"/{self.split}" if self.split else ""
        by = "" if self.division == Division() else f"/by-{self.division}"
        filters = "".join(
            f"/{quote(column, safe='')}{sign}{'|'.join(quote(value, safe=' ') for value in values)}"
            for sign, chosen in zip(("=", "!="), self.filters, strict=True)
            for column, values in chosen
        )
        statistics = "/training-statistics" if self.statistics == "train" else ""
        if isinstance(self.statistics, Part):
            statistics = f"/statistics-of({self.statistics})"
        profiles = f"/{self.profiles}-profiles" if self.profiles else ""
        text = f"{self.platform}{split}{by}{filters}{statistics}{profiles}"
        # A record has room for so many letters of a name.
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return text if len(text) <= _PART_LETTERS else f"{text[: _PART_LETTERS - 17]}…{digest}"


def _filter(owner: str, chosen: Filter) -> Values:
    """Return a filter as pairs of column and values, both in alphabetical order.

    Raises:
        ValueError: it names a column twice, or values that are no text.
    """
    pairs = list(chosen.items() if isinstance(chosen, Mapping) else chosen)
    found = {}
    for column, values in pairs:
        listed = (values,) if isinstance(values, str) else tuple(values)
        texts: list[object] = [column, *listed]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{owner}: columns and values are text, such as {{'tissue': 'lung'}}")
        if not column or not listed or column in found:
            raise ValueError(f"{owner}: a column is empty, is named twice, or has no value")
        found[column] = tuple(sorted(set(listed)))
    return tuple(sorted(found.items()))


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpec:
    """A split of a platform's profiles into training, validation and test profiles.

    ``code`` names ``f(profiles: pd.DataFrame, seed: int)``. It returns one of ``"train"``,
    ``"validation"`` and ``"test"`` for each profile, in the order of the table. The table is the
    profile table of the dataset: one row per profile, indexed by profile id, every cell text, with
    a column ``group`` where the dataset declares groups. The seed is the split seed of the dataset.
    The same arguments must always give the same split.
    """

    name: str
    """Name that a :class:`Part` gives as ``by``."""
    title: str
    summary: str
    code: str

    def __post_init__(self) -> None:
        check_name("split", self.name)
        _check_texts(f"split {self.name}", self)
        _check_code(self.name, self.code)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolSpec:
    """The parts that a method trains on, chooses on and is tested on.

    Raise ``version`` when the meaning changes.
    """

    name: str
    title: str
    summary: str
    train: Part
    """Training set: methods are fitted on it."""
    validation: Part
    """Validation set: methods choose an epoch, λ or k on it."""
    test: Part
    """Test set. It has no profile in common with the others."""
    version: int = 1
    """Part of every key, so that results of an earlier version are not taken for current ones."""
    variant_of: str = ""
    """Name of the protocol that this one differs from in one respect. A report compares the two."""
    folds: int | Literal["leave-one-out"] = 0
    """Folds that the platform of the test set is divided into. A number k: each fold is the test
    set once, the next one the validation set, and the others the training set. With
    ``by="group"``, groups stay whole. ``"leave-one-out"``: each group is the test set once, and the
    next one by name the validation set. 0 for no folds. Reports show means over the folds."""
    repeats: int = 0
    """How often the split is drawn anew, each time by another seed. 0 for the split of the dataset
    alone. Reports show means over the repeats."""
    is_trial: bool = False
    """True if methods are scored on the validation set: see :meth:`trial`."""

    def __post_init__(self) -> None:
        check_name("protocol", self.name)
        _check_texts(f"protocol {self.name}", self)
        if sized_name(self.name)[1] not in (0, self.train.profiles):
            raise ValueError(
                f"protocol name {self.name!r} means a number of training profiles that its "
                "training set does not have. Choose a name that does not end in -n and a number."
            )
        for part in (self.train, *(() if self.is_trial else (self.validation,))):
            if self.test.overlaps(part):
                raise ValueError(
                    f"protocol {self.name}: its test set {self.test} can share profiles with "
                    f"{part}, which is used to fit. Test on other profiles."
                )
        for part in () if self.is_trial else self.parts:
            of = part.statistics
            if isinstance(of, Part) and self.test.overlaps(of):
                raise ValueError(
                    f"protocol {self.name}: {part.platform} is standardised by {of}, which can "
                    f"share profiles with its test set {self.test}. Take other profiles."
                )
        if self.has_folds:
            self._check_folds()

    def _check_folds(self) -> None:
        """Refuse folds that cannot be made.

        Raises:
            ValueError: the message names the limit.
        """
        owner, test = f"protocol {self.name}", self.test
        if self.folds and self.repeats:
            raise ValueError(f"{owner}: give folds or repeats, not both")
        number = self.repeats or self.folds
        fewest = 2 if self.repeats else FEWEST_FOLDS
        if number != _LEAVE_ONE_OUT and not (
            isinstance(number, int) and fewest <= number <= MOST_FOLDS
        ):
            raise ValueError(
                f"{owner}: {'repeats' if self.repeats else 'folds'}={number!r} is not possible. "
                f"Give {fewest} to {MOST_FOLDS}, or folds={_LEAVE_ONE_OUT!r}."
            )
        family = sized_name(self.name)[0]
        family = family.rpartition(".")[0] if test.fold else family
        if len(family) > MOST_LETTERS_WITH_FOLDS:
            raise ValueError(
                f"{owner}: a protocol with folds has a name of up to {MOST_LETTERS_WITH_FOLDS} "
                "letters, so that labels of folds fit behind it"
            )
        if test.split is None:
            raise ValueError(f'{owner}: its test set has no split. Give it split="test".')
        allowed = {_LEAVE_ONE_OUT: ("group",)}.get(str(self.folds), ("random", "group"))
        if self.folds and test.by not in allowed:
            raise ValueError(
                f"{owner}: folds={self.folds!r} needs by={' or by='.join(map(repr, allowed))}, "
                f"and its test set has by={test.by!r}. For another split, give repeats."
            )
        if self.repeats and test.by == "l1000":
            raise ValueError(f"{owner}: split 'l1000' is by position, so it cannot be repeated")

    @property
    def has_folds(self) -> bool:
        """True for a protocol that is run once for each fold or repeat, and for each of these."""
        return bool(self.folds or self.repeats)

    @property
    def is_family(self) -> bool:
        """True for a protocol with folds as a whole. Only single folds can be run."""
        return self.has_folds and self.test.fold is None

    def one_fold(self, label: str) -> ProtocolSpec:
        """Return the protocol of one fold. Its name is that of this one, a dot, and the label.

        The dataset decides on the labels of ``leave-one-out``, so they are not checked here.

        Raises:
            UserError: there is no such fold.
        """
        number = self.repeats or self.folds
        if number != _LEAVE_ONE_OUT and label not in map(str, range(1, int(number) + 1)):
            raise UserError(
                f"protocol {self.name} has no fold {label[:_SHOWN_LETTERS]!r}. Its folds are "
                f"{self.name}.1 to {self.name}.{number}."
            )
        kind: FoldKind = (
            "repeat" if self.repeats
            else "leave-one-out" if number == _LEAVE_ONE_OUT
            else "k-fold"
        )  # fmt: skip
        fold = Fold(kind=kind, label=label, number=0 if number == _LEAVE_ONE_OUT else int(number))

        def of_fold(part: Part) -> Part:
            if isinstance(part.statistics, Part):
                part = replace(part, statistics=of_fold(part.statistics))
            divided = part.split is not None and part.platform == self.test.platform
            return replace(part, fold=fold) if divided else part

        train, validation, test = map(of_fold, self.parts)
        base, size = sized_name(self.name)
        return replace(
            self,
            name=f"{base}.{label}" + (f"-n{size}" if size else ""),
            title=f"{self.title}, {'repeat' if self.repeats else 'fold'} {label}",
            train=train, validation=validation, test=test, variant_of="",
        )  # fmt: skip

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Training, validation and test set."""
        return self.train, self.validation, self.test

    def trial(self) -> ProtocolSpec:
        """Return the same protocol, scored on the validation set, to compare candidates."""
        return replace(self, test=self.validation, is_trial=True)

    def of_size(self, profiles: int) -> ProtocolSpec:
        """Return the same protocol, trained on a subset of its training profiles.

        Its name is that of this protocol with ``-n`` and the number, such as ``geo-n2000``.

        Raises:
            UserError: its training set has no subsets, or is one.
        """
        if self.train.profiles:
            raise UserError(
                f"protocol {self.name} trains on {self.train.profiles:,} profiles already. Name "
                "the protocol without a size, or give no training size."
            )
        if self.train.split != "train":
            raise UserError(
                f"protocol {self.name} has no training subsets: it trains on {self.train}. Choose "
                "a protocol that trains on the training profiles of a split."
            )
        name = f"{self.name}-n{profiles}"
        if profiles < 1 or len(name) > _MAX_NAME:
            raise UserError(
                f"protocol {self.name}: {str(profiles)[:_SHOWN_LETTERS]} training profiles are "
                "out of range. Give a smaller number, from 1 on."
            )
        return replace(
            self,
            name=name,
            title=f"{self.title}, {profiles:,} training profiles",
            summary=f"{self.name}, trained on a subset",
            train=replace(self.train, profiles=profiles),
            variant_of="",
        )


def sized_name(protocol: str) -> tuple[str, int]:
    """Split the name of a protocol into its base and its number of training profiles.

    The number is 0 if the name has none, which stands for all training profiles.
    """
    match = _SIZED_NAME.fullmatch(protocol)
    return (match[1], int(match[2])) if match else (protocol, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSpec:
    """Spec of a metric: one value per gene, or per profile.

    ``code`` names a pure function, which is called in several threads. ``form`` is one of:

    ``block``: ``f(truth, prediction) -> values``. Both arguments are read-only float64 arrays,
    profiles × genes. For ``axis="gene"`` they hold every test profile and a block of genes, with
    contiguous columns. For ``axis="profile"`` they hold a block of profiles and every target gene,
    with contiguous rows.

    ``terms``: ``f(truth, prediction) -> terms``, for ``axis="gene"`` only. The arguments are the
    same. The terms are profiles × genes, and the values are their means over profiles. Their means
    under other weights of the profiles must be, to first order, the values under those weights.
    Comparisons of two methods resample profiles in this way. For a mean over profiles the terms are
    its summands. For another statistic they are the value plus the influence of the profile on it.

    ``whole``: ``f(pairs) -> values``, with :class:`genebench.metrics.pairs.Pairs`, for metrics
    that need more than a block at a time.
    """

    name: str
    title: str
    summary: str
    code: str
    unit: str
    """Unit of the values, shown above tables."""
    direction: Direction
    """``lower`` or ``higher``: the better direction."""
    best: float
    """The value of a perfect prediction."""
    axis: Axis = "gene"
    """``gene``: one value for each target gene. ``profile``: one for each test profile."""
    form: Form = "block"
    """Form of the function, as described above."""
    costly: bool = False
    """True if it is computed only on request."""

    def __post_init__(self) -> None:
        check_name("metric", self.name)
        _check_texts(f"metric {self.name}", self)
        _check_code(self.name, self.code)
        _check_choice(f"metric {self.name}: form", self.form, get_args(Form))
        _check_choice(f"metric {self.name}: direction", self.direction, get_args(Direction))
        _check_choice(f"metric {self.name}: axis", self.axis, get_args(Axis))
        if self.form == "terms" and self.axis != "gene":
            raise ValueError(f"metric {self.name}: form 'terms' is for metrics of genes")


SealChoice = Literal["auto", "require", "off"]
"""Which methods run in a sealed process, where nothing that they are tested on can be reached.

``auto``: methods that genebench does not ship, as far as the machine can seal. ``require``: all,
and only where Landlock confines the process. ``off``: none.
"""

Limit = Literal["time", "memory"]
"""A limit of a job that an engine may keep."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSpec:
    """A place to execute jobs. ``code`` names ``f(jobs, settings) -> Iterator[Job]``.

    The function calls :func:`genebench.runs.execute.execute` with each job and the settings, in any
    process and on any machine. It yields each job once it has ended. The engines of a scheduler
    leave the work to :mod:`genebench.engines.node`, which does so on any machine.
    """

    name: str
    title: str
    code: str
    contains: bool = False
    """True if code of a method runs only where its job does, so that it cannot end the run."""
    limits: tuple[Limit, ...] = ()
    """Limits that this engine can keep. It stops a job that exceeds ``settings.time_limit``
    (seconds) or ``settings.memory_limit`` (bytes), and records the failure with
    :func:`genebench.runs.execute.fail`."""
    many_machines: bool = False
    """True if jobs run on other machines, too. The device of a job is then chosen there, and this
    machine needs none. Such an engine is used only if a user asks for it."""
    assigns_devices: bool = False
    """True if each job is given as many GPUs as ``job.resources`` has, and sees no others."""
    options: tuple[Param, ...] = ()
    """Options of ``--engine-set NAME.OPTION=VALUE``, which are no lists. ``settings.options`` holds
    their values."""
    queue: str = ""
    """Import string of ``f(results: Path) -> list[genebench.engines.queue.Queued]``, the jobs of a
    results folder that wait or run elsewhere, for ``genebench status``. Empty if there is none."""
    preview: str = ""
    """Import string of ``f(jobs, settings) -> str``, the text that the engine would submit, for
    ``genebench run --dry-run``. Empty if there is none."""

    def __post_init__(self) -> None:
        check_name("engine", self.name)
        _check_texts(f"engine {self.name}", self)
        for code in filter(None, (self.code, self.queue, self.preview)):
            _check_code(self.name, code)
        for limit in self.limits:
            _check_choice(f"engine {self.name}: limit", limit, get_args(Limit))
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise ValueError(f"engine {self.name}: an option is declared twice")
        if lists := [option.name for option in self.options if option.is_list]:
            raise ValueError(f"engine {self.name}: option {lists[0]} is a list. Declare a text.")

    def values(self, options: Mapping[str, str]) -> Mapping[str, Scalar]:
        """Return the options in effect: those that are given, and else the defaults.

        Raises:
            UserError: an option has an unknown name, or a value that is not allowed.
        """
        offered = {option.name: option for option in self.options}
        for name in options:
            if name not in offered:
                raise unknown(f"option of engine {self.name}", name, offered)
        values = {
            name: option.parse(options[name], owner=self.name)
            if name in options
            else option.default
            for name, option in offered.items()
        }
        return cast("dict[str, Scalar]", values)  # no option is a list


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSpec:
    """A report of ``genebench report NAME``.

    ``code`` names a subclass of :class:`genebench.reports.report.Report`.
    """

    name: str
    title: str
    summary: str
    code: str
    argument: str = ""
    """Name of the one argument that the report requires, in lower case. Empty if it takes none."""
    figures: bool = False
    """True if the report can be drawn: its class has ``draw``, and users may give ``--out``."""

    def __post_init__(self) -> None:
        check_name("report", self.name)
        _check_texts(f"report {self.name}", self)
        _check_code(self.name, self.code)
        if self.argument and not _PARAM_NAME.fullmatch(self.argument):
            raise ValueError(
                f"report {self.name}: argument {self.argument!r} is malformed. "
                "Use a-z, 0-9 and '_'."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReporterSpec:
    """An output format of reports.

    ``code`` names ``f(report) -> str``, given a :class:`genebench.reports.report.Report`.
    """

    name: str
    title: str
    code: str

    def __post_init__(self) -> None:
        check_name("reporter", self.name)
        _check_texts(f"reporter {self.name}", self)
        _check_code(self.name, self.code)

"""The record: the identity, state, scores and provenance of one method under one protocol.

Every key is documented where it is declared. ``RECORD_FORMAT`` rises when a key is added, removed
or changes its meaning. :mod:`genebench.results.upgrades` turns older records into current ones.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from genebench._util.hashing import checksum_of
from genebench.results import limits
from genebench.results.upgrades import upgraded
from genebench.specs import Value, sized_name

RECORD_FORMAT: Literal[6] = 6

TIMING_EPOCH = 1
"""Rises when a change to genebench makes its times incomparable with earlier ones (decision 38)."""

ALL_FOLDS = "all folds"
"""Key of ``splits`` that describes the folds of a protocol: their kind, their number, and a digest
of their test sets, with ``/`` between them. No split can have such a name."""

UNSAVED = "none"
"""Stands for the digest of a model that its method cannot save."""

LARGEST = 1e100
"""Upper limit of a measure. Errors of float32 predictions stay far below. Its square, 1e200, can
still be summed in float64, whose largest number is 1.8e308."""

MOST = 2**53
"""Upper limit of a count. Up to here a float64 holds every whole number, so that programs that read
JSON numbers as float64, such as JavaScript, read each count exactly."""

Kept = Literal["predictions", "model"]
"""A file that the user may keep of a result, besides its scores."""

SealLevel = Literal["landlock", "view", "no"]
"""How far a method was kept from its test data, the farthest first."""

Status = Literal["done", "failed", "not applicable"]
"""How a job ended."""

Install = Literal["wheel", "editable", "file", "built-in", "path"]

Measure = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]
Joules = Annotated[float, Field(ge=0, le=1e15)]

# Who reads a record did not write it, so no text and no table of it is endless.
Name = Annotated[str, Field(max_length=limits.NAME_LETTERS)]
Line = Annotated[str, Field(max_length=limits.LINE_LETTERS)]
Text = Annotated[str, Field(max_length=limits.TEXT_LETTERS)]
Single = bool | int | float | Line
Setting = Single | Annotated[tuple[Single, ...], Field(max_length=limits.ENTRIES)]
"""A :data:`genebench.specs.Value` in a record. A list is an array of JSON."""
Item = TypeVar("Item")
Names = Annotated[tuple[Name, ...], Field(max_length=limits.ENTRIES)]
Table = Annotated[dict[Name, Item], Field(max_length=limits.ENTRIES)]
Versions = Annotated[dict[Name, Name], Field(max_length=limits.VERSIONS)]
Notes = Annotated[tuple[Line, ...], Field(max_length=limits.NOTES)]
Column = Annotated[tuple[Measure, ...], Field(max_length=limits.POINTS)]
Curves = Annotated[dict[Name, Item], Field(max_length=limits.CURVES)]

_PARTS = {"profiles": ["train", "validation", "test"], "genes": ["landmark", "target"]}
"""Table → the keys that it always has. Every report reads them."""

_MOST = {"profiles": limits.COUNT_OF_PROFILES, "genes": limits.COUNT_OF_GENES}
"""Table → upper limit of its numbers."""


def _checked_numbers(table: dict[str, Value], limit: str) -> dict[str, Value]:
    """Return a table of values, all of whose numbers are within ±:data:`LARGEST`."""
    for name, value in table.items():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int | float) and abs(item) > LARGEST:
                raise ValueError(f"{name[:40]} is larger than {limit}")
    return table


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Code(_Part):
    """The code of a plugin."""

    distribution: Name = Field(
        description="name of the installed distribution, or genebench for genebench itself"
    )
    version: Name = Field(description="version of the distribution")
    digest: Name = Field(description="digest of the package's source files")


class Member(_Part):
    """A result whose model another method is made of."""

    key: Name = Field(description="key of the result")
    variant: Name = Field(description="hash of everything that it depends on but the seed")
    distribution: Name = Field(description="distribution of its method")


class Identity(_Part):
    """The content that the key is a hash of."""

    method: Name = Field(description="name of the method")
    params: Table[Setting] = Field(description="parameters in effect, every one")
    seed: Count = Field(description="seed, 0 for a deterministic method")
    protocol: Name = Field(description="name of the protocol")
    protocol_version: Count = Field(description="version of the protocol's definition")
    train: Name = Field(description="profiles it trains on, and their statistics")
    validation: Name = Field(description="profiles of the validation set, and their statistics")
    test: Name = Field(description="profiles it is tested on, and their statistics")
    data: Name = Field(description="digest of the dataset, its split included")
    code: Code = Field(description="the plugin that the method came from")
    numerics: Count = Field(description="version of genebench's own arithmetic")
    # Left out if it is empty, so that keys of protocols with built-in splits stay as they were.
    splits: Table[Name] = Field(
        default={},
        exclude_if=lambda splits: not splits,
        description="split of a plugin that the protocol uses → digest of its code and of the "
        "profile tables that it splits. ``rows of train`` (or of another part) → digest of its "
        "profiles, if columns of the profile table choose them. ``all folds`` → kind and number of "
        "the folds of the protocol, and digest of their test sets. Absent if there is none of "
        "these",
    )
    # Left out if it is empty, for the same reason.
    members: Table[Member] = Field(
        default={},
        exclude_if=lambda members: not members,
        description="method that this one is made of → its result. Absent if there is none",
    )

    @field_validator("params")
    @classmethod
    def _check_params(cls, params: dict[str, Value]) -> dict[str, Value]:
        """Refuse whole numbers that Python itself cannot print."""
        _checked_numbers(
            {name: value for name, value in params.items() if isinstance(value, int)},
            "the value of any parameter",
        )
        return params

    @property
    def is_trial(self) -> bool:
        """True if the model was scored on the validation set, to be compared with other trials."""
        return self.test == self.validation

    @property
    def plugin_splits(self) -> dict[str, str]:
        """Split of a plugin → digest. Other entries of ``splits`` have a space in their names."""
        return {name: digest for name, digest in self.splits.items() if " " not in name}

    @property
    def folds(self) -> tuple[str, int]:
        """Kind and number of the folds of its protocol, or an empty text and 0."""
        kind, _, rest = self.splits.get(ALL_FOLDS, "").partition("/")
        number = rest.partition("/")[0]
        return (kind, int(number)) if number.isdecimal() else ("", 0)

    @property
    def family(self) -> str:
        """Name of the protocol whose fold this is, with the number of training profiles.

        It is the name of the protocol itself if that has no folds, or if all are meant.
        """
        base, size = sized_name(self.protocol)
        whole = base.rpartition(".")[0]
        if not self.folds[1] or not whole:
            return self.protocol
        return f"{whole}-n{size}" if size else whole

    @property
    def fold(self) -> str:
        """Label of the fold, or an empty text."""
        base, _ = sized_name(self.protocol)
        return base.rpartition(".")[2] if self.family != self.protocol else ""

    def test_setting(self) -> dict[str, Any]:
        """Return everything that makes tests comparable: data, protocol, arithmetic.

        Two records may stand in one table if it is the same for both. ``splits`` is left out if it
        is empty.
        """
        # The leaderboard names its pages by a hash of the values in this order.
        names = (
            "data", "protocol", "protocol_version", "train", "validation", "test", "numerics",
            "splits",
        )  # fmt: skip
        content = self.model_dump(include=set(names))
        return {name: content[name] for name in names if name in content}

    @property
    def distributions(self) -> set[str]:
        """Distributions of the method, and of those that it is made of."""
        return {self.code.distribution, *(item.distribution for item in self.members.values())}

    def without_seed(self) -> str:
        """Return everything but the seed, as JSON. Records of one variant of a method share it.

        The keys of members are left out, because they depend on the seed.
        """
        return self.model_dump_json(exclude={"seed": True, "members": {"__all__": {"key"}}})


class Score(_Part):
    """The summary of a metric over one panel of genes."""

    mean: Measure = Field(description="mean over the panel's genes (or over profiles)")
    std: Measure = Field(description="standard deviation over the same genes or profiles, ddof 0")
    genes: Count = Field(description="how many genes (or profiles) the mean is over")

    def agrees_with(self, other: Score, tolerance: float = 1e-9) -> bool:
        """Return whether both scores are the same but for rounding.

        The default suits sums of the same numbers in the same order. Other orders, or other
        machines, need :data:`genebench.results.checks.ROUNDING`.
        """
        return self.genes == other.genes and all(
            abs(a - b) <= tolerance for a, b in ((self.mean, other.mean), (self.std, other.std))
        )


class Failure(_Part):
    """The reason for a job's failure."""

    kind: Name = Field(description="class of the exception")
    message: Line = Field(description="its message")
    traceback: Text = Field(description="the whole traceback")


class PluginOrigin(_Part):
    """The origin of a distribution whose code took part."""

    version: Name = Field(description="version of the distribution")
    install: Install = Field(
        description="wheel (an ordinary install), editable (runs from a checkout), file (a "
        "Python file named on the command line), built-in (part of genebench) or path (other files "
        "than those of the installed distribution, found earlier on PYTHONPATH, so that version "
        "may be wrong)"
    )
    commit: Name = Field(default="", description="git commit of the checkout, empty without one")
    dirty: bool = Field(
        default=False,
        description="true if the checkout had changes to its files that no commit holds",
    )
    digest: Name = Field(
        default="", description="digest of its source files, empty if they were not read"
    )


class Provenance(_Part):
    """The place, time and software of the work."""

    command: Text = Field(description="the command line, or 'python' when run from Python")
    started: Name = Field(description="start of the job, UTC, ISO 8601")
    host: Name = Field(description="name of the machine")
    platform: Name = Field(description="operating system and processor")
    processor: Name = Field(default="", description="model of the processor, empty if unknown")
    cpus: Count = Field(description="processors that the process may use")
    device: Name = Field(description="device that the method had to use")
    accelerator: Name = Field(description="name of the GPU in use, empty on the CPU")
    python: Name = Field(description="version of Python")
    versions: Versions = Field(description="version of every distribution that took part")
    git: Versions = Field(
        description="distribution → git commit, with '-dirty' when there are changes, only for "
        "those that run from a checkout"
    )
    plugins: Table[PluginOrigin] = Field(
        default={}, description="distribution → where its code came from, if that is known"
    )


class Seal(_Part):
    """How far the method was kept from the data that it was tested on."""

    level: SealLevel = Field(
        description="landlock (in a process without test data, which the system's Landlock "
        "confines), view (in a process without test data, not confined) or no (in the process "
        "that holds the test data)"
    )
    abi: Count = Field(
        default=0, description="version of the kernel's Landlock interface in force, 0 if none"
    )
    isolated: Names = Field(
        default=(),
        description="what else the process was kept from by namespaces: network, ipc, …",
    )
    reason: Line = Field(default="", description="why the level is not higher, empty for landlock")


class Timing(_Part):
    """The epochs that times were measured in. Times of other epochs do not compare with them."""

    epoch: Count = Field(
        default=0,
        description="timing epoch of genebench, 0 if it is unknown, or if members were fitted in "
        "another one or on other hardware",
    )
    methods: Table[Count] = Field(
        default={},
        description="method, and each that it is made of → its own timing epoch",
    )


class Energy(_Part):
    """Energy of the GPU that a job was assigned, as its own counter measured it."""

    joules: Table[Joules] = Field(
        description="phase → energy in joules, of the whole GPU. Fits of members are the phase "
        "members, as in seconds"
    )
    method: Name = Field(description="how it was measured")


class Record(_Part):
    """One method under one protocol: identity, state, scores, provenance."""

    format: Literal[6] = Field(description="version of this schema")
    key: Name = Field(description="hash of the identity, and the name of the record's files")
    status: Status = Field(
        description="how the job ended: done, failed, or not applicable (the method cannot do this "
        "data or protocol)"
    )
    identity: Identity = Field(description="what was run")
    dataset: Name = Field(description="name that the dataset was run by")
    preset: Name = Field(description="preset that the parameters were taken from")
    published_data: bool = Field(description="true if the data are those of the published tables")
    profiles: Table[Count] = Field(
        description="number of train, validation and test profiles",
        json_schema_extra={"required": [*_PARTS["profiles"]]},
    )
    genes: Table[Count] = Field(
        description="number of landmark and target genes. ``filled``, if there: the most landmarks "
        "that a platform of the dataset lacks, and that have a typical value there",
        json_schema_extra={"required": [*_PARTS["genes"]]},
    )
    choices: Table[Setting] = Field(
        description="values chosen on the validation set: λ, k, epoch, …"
    )
    notes: Notes = Field(description="remarks of the method for the reader")
    curves: Curves[Curves[Column]] = Field(
        default={},
        description="curves behind the choices: name of a table → column → numbers, "
        "columns of one length",
    )
    scores: Table[Table[Score]] = Field(description="metric → panel → score")
    metrics: Table[Name] = Field(
        description="metric → digest of its code, for every metric that was tried"
    )
    constant_truth: Count = Field(description="target genes whose truth does not vary in the test")
    constant_prediction: Count = Field(description="target genes predicted by one constant value")
    vectors: Name = Field(
        description="sha256 of the .npz of per-gene values, empty if the job failed"
    )
    predictions: Name = Field(
        description="sha256 of the kept predictions, empty if they were not kept"
    )
    model: Name = Field(
        default="",
        description="sha256 of the saved model, empty if it was not kept, 'none' if it cannot be",
    )
    model_parameters: Count | None = Field(
        default=None,
        description="number of fitted parameters, null if the method does not report it",
    )
    seconds: Table[Seconds] = Field(
        description="wall time of each phase: fit, predict, score. For a method made of others, "
        "members is the time that it took to fit these"
    )
    timing: Timing = Field(
        default=Timing(), description="which other times these times compare with"
    )
    energy: Energy | None = Field(
        default=None, description="energy of the GPU, null if nothing measured it"
    )
    shared_fit: Names = Field(description="protocols that shared this fit")
    peak_memory: Count = Field(description="peak resident memory while the job ran, bytes")
    peak_memory_scope: Literal["job", "process"] = Field(
        description="job (the peak of this job alone) or process (the peak of the process so far)"
    )
    failure: Failure | None = Field(description="reason of a failure, null if the job did not fail")
    reason: Line = Field(
        default="",
        description="why the method is not applicable, empty unless that is the status",
    )
    seal: Seal = Field(description="how far the method was kept from its test data")
    provenance: Provenance = Field(description="where, when and with what")
    checksum: Name = Field(
        default="",
        description="sha256 of all other keys in canonical form. It shows later edits, and is no "
        "proof of who wrote the record",
    )

    def __repr__(self) -> str:
        # The whole record has thousands of letters. ``model_dump_json`` returns them.
        identity = self.identity
        return (
            f"<Record {identity.method} under {identity.protocol} on {self.dataset}, seed "
            f"{identity.seed}: {self.status}, key {self.key}>"
        )

    __str__ = __repr__

    @property
    def version(self) -> str:
        """Text that differs between two records of one key."""
        # Records of old formats have no checksum.
        return self.checksum or self.provenance.started

    @property
    def fit_seconds(self) -> float:
        """Wall time of the fit, with those of the methods that the method is made of."""
        return self.seconds.get("members", 0.0) + self.seconds.get("fit", 0.0)

    def with_checksum(self) -> Record:
        """Return the record with the checksum of its content."""
        content = self.model_dump(mode="json", exclude={"checksum"})
        return self.model_copy(update={"checksum": checksum_of(content)})

    @field_validator("profiles", "genes")
    @classmethod
    def _check_counts(cls, table: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        """Refuse a table without a number that reports read, or with one beyond any dataset."""
        most = _MOST[str(info.field_name)]
        if large := next((name for name in table if table[name] > most), ""):
            raise ValueError(f"{large} is more than {most:,}")
        if missing := [name for name in _PARTS[str(info.field_name)] if name not in table]:
            raise ValueError(f"has no {' and no '.join(missing)}")
        return table

    @field_validator("choices")
    @classmethod
    def _check_choices(cls, choices: dict[str, Value]) -> dict[str, Value]:
        """Refuse numbers that no figure can draw: Python's whole numbers have no upper limit."""
        return _checked_numbers(choices, "any value that a validation set can choose")

    @field_validator("curves")
    @classmethod
    def _check_curves(
        cls, curves: dict[str, dict[str, tuple[float, ...]]]
    ) -> dict[str, dict[str, tuple[float, ...]]]:
        """Refuse curves whose columns cannot be read row by row."""
        for name, table in curves.items():
            lengths = {len(column) for column in table.values()}
            if len(lengths) > 1 or 0 in lengths:
                raise ValueError(f"columns of {name[:40]} are empty, or not of one length")
        numbers = sum(len(column) for table in curves.values() for column in table.values())
        if numbers > limits.CURVE_NUMBERS:
            raise ValueError(f"{numbers:,} numbers are more than {limits.CURVE_NUMBERS:,}")
        return curves

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """Return the content of an older record in the current format."""
        return upgraded(content)

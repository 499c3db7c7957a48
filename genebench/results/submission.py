"""Entry conditions of a submission.

A condition is a text, a function that yields what does not meet it, and a remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from genebench.errors import UserError, some
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.checks import verify
from genebench.results.filters import RecordFilter
from genebench.results.panels import GENE_METRIC, share_name
from genebench.results.record import RECORD_FORMAT, Record
from genebench.results.store import ResultsStore


@dataclass(frozen=True)
class Submission:
    """The records to submit, and their sender."""

    records: tuple[Record, ...]
    store: ResultsStore
    registry: Registry
    sender: Mapping[str, str]
    """``name``, ``contact``, ``licence``."""
    seeds: int
    """Number of seeds that a stochastic method must have."""


@dataclass(frozen=True)
class Condition:
    """An entry condition of a submission."""

    text: str
    """The condition, in one or two sentences."""
    offenders: Callable[[Submission], Iterator[str]]
    """Yields the records, protocols or values that do not meet it, repetitions included."""
    remedy: str
    """Advice on how to meet it, as a sentence."""


@dataclass(frozen=True)
class Unmet:
    """An entry condition that a submission does not meet."""

    condition: Condition
    offenders: tuple[str, ...]
    """Records, protocols or values that do not meet it."""

    def __str__(self) -> str:
        condition = self.condition
        return f"{condition.text} Found: {some(self.offenders)}. {condition.remedy}"


def unmet(submission: Submission) -> list[Unmet]:
    """Return the entry conditions that a submission does not meet. None means it can be sent."""
    return [
        Unmet(condition, offenders)
        for condition in CONDITIONS
        if (offenders := tuple(dict.fromkeys(condition.offenders(submission))))
    ]


def _without_sender(submission: Submission) -> Iterator[str]:
    for key in ("name", "contact"):
        if not submission.sender.get(key, "").strip():
            yield f"no {key}"


def _no_results(submission: Submission) -> Iterator[str]:
    if not submission.records:
        yield "no record at all"
    for record in RecordFilter(trials=True).apply(submission.records):
        yield f"{_label(record)} is a trial"


def _failed(submission: Submission) -> Iterator[str]:
    for record in submission.records:
        if record.failure:
            yield f"{_label(record)} failed ({record.failure.kind})"


def _unsound(submission: Submission) -> Iterator[str]:
    for record in submission.records:
        for fault in verify(submission.store.paths, record):
            yield f"{_label(record)}: {fault}"


def _old_format(submission: Submission) -> Iterator[str]:
    for record in submission.records:
        written = submission.store.written(record.key)["format"]
        if written != RECORD_FORMAT:
            yield f"{_label(record)} has format {written}, not {RECORD_FORMAT}"


def _incomparable(submission: Submission) -> Iterator[str]:
    # A leaderboard ranks by MAE and CC, and tests their shares of profiles.
    required = [
        name
        for metric in ("mae", "cc")
        for name in (f"{GENE_METRIC}{metric}", share_name(metric, "all"))
    ]
    for record in RecordFilter(status="done").apply(submission.records):
        try:
            vectors = submission.store.vectors(record)
        except UserError:
            continue  # _unsound names it
        missing = [name for name in (*required, "profile.id") if name not in vectors]
        if missing:
            yield f"{_label(record)} lacks {', '.join(missing)}"


def _unpublished_protocol(submission: Submission) -> Iterator[str]:
    protocols = submission.registry.protocols
    for record in submission.records:
        identity = record.identity
        try:
            spec = protocols.get(identity.protocol)
        except UserError:
            spec = None
        plugin = protocols.plugin_of(identity.protocol)
        if spec is None or plugin is None or plugin.distribution != PROJECT:
            yield f"{identity.protocol} is not of genebench"
        # Published protocols use built-in splits alone: no split of a plugin has a digest.
        elif (spec.version, str(spec.train), str(spec.validation), str(spec.test), {}) != (
            identity.protocol_version, identity.train, identity.validation, identity.test,
            identity.plugin_splits,
        ):  # fmt: skip
            yield f"{identity.protocol} is another version"


def _unavailable_code(submission: Submission) -> Iterator[str]:
    for record in submission.records:
        for name, origin in record.provenance.plugins.items():
            if origin.install == "file":
                yield f"{name} is a local file"
            if origin.install in ("editable", "path") and not origin.commit:
                yield f"{name} runs from a folder without a git commit"
            if origin.dirty:
                yield f"{name} has uncommitted changes"


def _unknown_origin(submission: Submission) -> Iterator[str]:
    for record in submission.records:
        provenance = record.provenance
        for name in (PROJECT, record.identity.code.distribution):
            if name not in provenance.plugins:
                yield f"{_label(record)} lacks the origin of {name}"
        for key in ("command", "started", "host", "python"):
            if not getattr(provenance, key):
                yield f"{_label(record)} lacks its {key}"


def _missing_seeds(submission: Submission) -> Iterator[str]:
    # Records whose identities differ in the seed only are of one variant of a method.
    variants: dict[str, list[Record]] = {}
    for record in submission.records:
        variants.setdefault(record.identity.without_seed(), []).append(record)
    for records in variants.values():
        identity = records[0].identity
        seeds = {record.identity.seed for record in records}
        spec = submission.registry.methods.specs.get(identity.method)
        # The spec of a method that is not installed is missing. More than one seed, or another
        # seed than 0, shows that it is stochastic.
        stochastic = spec.stochastic if spec else seeds != {0}
        missing = set(range(submission.seeds if stochastic else 1)) - seeds
        if missing:
            listed = ", ".join(map(str, sorted(missing)))
            yield f"{identity.method} under {identity.protocol} lacks seed {listed}"


def _unsealed(submission: Submission) -> Iterator[str]:
    for record in RecordFilter(status="done").apply(submission.records):
        if record.seal.level == "no":
            reason = f": {record.seal.reason}" if record.seal.reason else ""
            yield f"{_label(record)} was not sealed{reason}"


_RUN_AGAIN = "Remove the record and run it again."

CONDITIONS = (
    Condition(
        "A submission has the name of its sender, and a contact.",
        _without_sender,
        "Give --name and --contact.",
    ),
    Condition(
        "There is something to submit, and all of it was scored on test profiles.",
        _no_results,
        "Name others with --methods, --protocol or --dataset.",
    ),
    Condition(
        "Every job of the submission is done.",
        _failed,
        "Run it again with --retry-failed, or name the other methods with --methods.",
    ),
    Condition(
        "Every record is as it was written: key, digests, scores and checksum agree.",
        _unsound,
        _RUN_AGAIN,
    ),
    Condition("Every record has the current format.", _old_format, _RUN_AGAIN),
    Condition(
        "Every record has MAE and CC per gene, and the share of each test profile in them.",
        _incomparable,
        _RUN_AGAIN,
    ),
    Condition(
        "Every protocol is one that genebench ships, in its current version.",
        _unpublished_protocol,
        "Name the others with --protocol, or run again.",
    ),
    Condition(
        "All code that took part is available to others: no local file, no uncommitted changes.",
        _unavailable_code,
        "Commit the changes, or release the plugin, and run again.",
    ),
    Condition(
        "Every record has the origin of genebench and of its plugin, its command, time and host.",
        _unknown_origin,
        _RUN_AGAIN,
    ),
    Condition(
        "Every method, shipped ones and controls included, ran in a process without test data.",
        _unsealed,
        "Run again with --sealed require.",
    ),
    Condition(
        "A stochastic method needs seeds 0 to N − 1 (--seeds N). A deterministic method needs "
        "seed 0.",
        _missing_seeds,
        "Run again with --seeds, or give the number of seeds with --seeds here.",
    ),
)
"""All entry conditions, in the order in which they are checked and printed."""


def _label(record: Record) -> str:
    identity = record.identity
    return f"{identity.method} seed {identity.seed} under {identity.protocol} ({record.key})"

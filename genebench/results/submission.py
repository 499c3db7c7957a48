"""Entry conditions of a submission. Each is one function, and its docstring is the condition."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from genebench.errors import UserError, some
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.panels import GENE_METRIC, share_name
from genebench.results.record import RECORD_FORMAT, Identity, Record
from genebench.results.store import ResultsStore


@dataclass(frozen=True)
class Submission:
    """What is to be submitted, and by whom."""

    records: tuple[Record, ...]
    store: ResultsStore
    registry: Registry
    sender: Mapping[str, str]
    """``name``, ``contact``, ``licence``."""
    seeds: int
    """How many seeds a stochastic method is to have."""


@dataclass(frozen=True)
class Unmet:
    """A condition that is not met."""

    condition: str
    """The condition, as a sentence."""
    offenders: tuple[str, ...]
    """What does not meet it."""
    remedy: str

    def __str__(self) -> str:
        return f"{self.condition} Not so: {some(self.offenders)}. {self.remedy}"


def unmet(submission: Submission) -> list[Unmet]:
    """The entry conditions that a submission does not meet; empty when it may go."""
    found = []
    for condition, remedy in CONDITIONS.items():
        offenders = tuple(dict.fromkeys(condition(submission)))
        if offenders:
            found.append(Unmet(inspect.getdoc(condition) or "", offenders, remedy))
    return found


def _says_who(submission: Submission) -> Iterator[str]:
    """A submission says who made it, and how to reach them."""
    for what in ("name", "contact"):
        if not submission.sender.get(what, "").strip():
            yield f"no {what}"


def _holds_results(submission: Submission) -> Iterator[str]:
    """There is something to submit, and all of it was scored on test profiles."""
    if not submission.records:
        yield "no record at all"
    for record in submission.records:
        if record.identity.is_trial:
            yield f"{_label(record)} is a trial"


def _is_done(submission: Submission) -> Iterator[str]:
    """Every job of the submission is done."""
    for record in submission.records:
        if record.failure:
            yield f"{_label(record)} failed ({record.failure.kind})"


def _is_sound(submission: Submission) -> Iterator[str]:
    """Every record is as it was written: key, digests, scores and checksum agree."""
    for record in submission.records:
        for fault in submission.store.verify(record):
            yield f"{_label(record)}: {fault}"


def _is_current(submission: Submission) -> Iterator[str]:
    """Every record is of the format of today."""
    for record in submission.records:
        written = submission.store.written(record.key)["format"]
        if written != RECORD_FORMAT:
            yield f"{_label(record)} has format {written}, not {RECORD_FORMAT}"


def _can_be_compared(submission: Submission) -> Iterator[str]:
    """Every record has MAE and CC per gene, and the share of each test profile in them."""
    for record in _done(submission):
        try:
            vectors = submission.store.vectors(record)
        except UserError:
            continue  # said by _is_sound
        wanted = [
            name
            for metric in ("mae", "cc")
            for name in (f"{GENE_METRIC}{metric}", share_name(metric, "all"))
        ]
        missing = [name for name in (*wanted, "profile.id") if name not in vectors]
        if missing:
            yield f"{_label(record)} lacks {', '.join(missing)}"


def _protocol_is_published(submission: Submission) -> Iterator[str]:
    """Every protocol is one that genebench ships, in the version of today."""
    protocols = submission.registry.protocols
    for record in submission.records:
        identity = record.identity
        spec = protocols.specs.get(identity.protocol)
        if spec is None or protocols.plugins[spec.name].distribution != PROJECT:
            yield f"{identity.protocol} is not of genebench"
        # Published protocols use built-in splits alone: no split of a plugin has a digest.
        elif (spec.version, str(spec.train), str(spec.validation), str(spec.test), {}) != (
            identity.protocol_version, identity.train, identity.validation, identity.test,
            identity.splits,
        ):  # fmt: skip
            yield f"{identity.protocol} is another version"


def _code_can_be_had(submission: Submission) -> Iterator[str]:
    """All code that took part can be had by others: no local file, no checkout without a commit."""
    for record in submission.records:
        for name, origin in record.provenance.plugins.items():
            if origin.install == "file":
                yield f"{name} is a local file"
            if origin.install == "editable" and not origin.commit:
                yield f"{name} runs from a folder that no commit is known of"
            if origin.dirty:
                yield f"{name} has uncommitted changes"


def _origin_is_known(submission: Submission) -> Iterator[str]:
    """Every record says which genebench and which plugin it is of, where, when and how."""
    for record in submission.records:
        provenance = record.provenance
        for name in (PROJECT, record.identity.code.distribution):
            if name not in provenance.plugins:
                yield f"{_label(record)} does not say where {name} came from"
        for what in ("command", "started", "host", "python"):
            if not getattr(provenance, what):
                yield f"{_label(record)} does not say its {what}"


def _has_every_seed(submission: Submission) -> Iterator[str]:
    """A stochastic method has every seed from 0 up to the number asked for; others have seed 0."""
    seeds: dict[str, set[int]] = {}
    first: dict[str, Record] = {}
    for record in submission.records:
        variant = _variant(record.identity)
        seeds.setdefault(variant, set()).add(record.identity.seed)
        first.setdefault(variant, record)
    for variant, found in seeds.items():
        record = first[variant]
        spec = submission.registry.methods.specs.get(record.identity.method)
        # Of a method that is not installed, more than one seed shows that it is stochastic.
        stochastic = spec.stochastic if spec else found != {0}
        missing = set(range(submission.seeds if stochastic else 1)) - found
        if missing:
            listed = ", ".join(map(str, sorted(missing)))
            yield f"{record.identity.method} under {record.identity.protocol} lacks seed {listed}"


CONDITIONS: Mapping[Callable[[Submission], Iterable[str]], str] = {
    _says_who: "Give --name and --contact.",
    _holds_results: "Name others with --methods, --protocol or --dataset.",
    _is_done: "Run it again with --retry-failed, or name the other methods with --methods.",
    _is_sound: "Remove the record and run it again.",
    _is_current: "Remove the record and run it again.",
    _can_be_compared: "Remove the record and run it again.",
    _protocol_is_published: "Name the others with --protocol, or run again.",
    _code_can_be_had: "Commit the changes, or release the plugin, and run again.",
    _origin_is_known: "Remove the record and run it again.",
    _has_every_seed: "Run again with --seeds, or say how many with --seeds here.",
}
"""Condition → what to do when it is not met."""


def _done(submission: Submission) -> list[Record]:
    return [record for record in submission.records if record.status == "done"]


def _variant(identity: Identity) -> str:
    return identity.model_copy(update={"seed": 0}).model_dump_json()


def _label(record: Record) -> str:
    identity = record.identity
    return f"{identity.method} seed {identity.seed} under {identity.protocol} ({record.key})"

"""The audit of records: which faults they have, and whether kept predictions give their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from genebench._util.hashing import code_digest
from genebench.analysis.recompute import scored_anew
from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.annotations import Verified
from genebench.results.checks import ROUNDING, verify
from genebench.results.panels import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.results.vectors import Vectors
from genebench.runs.provenance import now


@dataclass(frozen=True)
class Audit:
    """The outcome of the audit of one record."""

    key: str
    faults: tuple[str, ...] = ()
    """Faults of the record, one line each. Empty if it is sound."""
    recomputed: tuple[str, ...] = ()
    """Metrics that were computed again from the kept predictions."""
    not_recomputed: str = ""
    """Reason why nothing was recomputed."""


def audit(results: ResultsStore, registry: Registry) -> Iterator[Audit]:
    """Check every record of a folder, and its predictions where they are kept.

    Raises:
        UserError: there is no such folder, or it is something else.
    """
    results.check_exists()
    for key in results.keys():  # noqa: SIM118  not a mapping
        try:
            record = results.read(key)
        except UserError as error:
            yield Audit(key, (str(error),))
            continue
        if record:
            yield _audit(record, results, registry)


def annotate(outcome: Audit, results: ResultsStore) -> None:
    """Annotate a record as verified: its predictions were scored again, here."""
    verified = Verified(
        record=results.digest(outcome.key),
        when=now(),
        genebench=metadata.version(PROJECT),
        metrics=outcome.recomputed,
    )
    results.annotations.add(outcome.key, verified=verified)


def _audit(record: Record, results: ResultsStore, registry: Registry) -> Audit:
    if faults := verify(results.paths, record):
        return Audit(record.key, tuple(faults))
    if record.status == "failed":
        return Audit(record.key, not_recomputed="failed")
    if not record.predictions:
        return Audit(record.key, not_recomputed="predictions were not kept")
    # A metric whose code changed since may give other values, which proves nothing.
    same_code = {
        spec.name
        for spec in registry.metrics.specs.values()
        if record.metrics.get(spec.name) == code_digest(spec.code)
    }
    try:
        recomputed = scored_anew(record, results, registry).vectors
    except UserError as error:
        return Audit(record.key, not_recomputed=str(error))
    comparable = sorted(same_code & {_metric(name) for name in recomputed})
    if not comparable:
        return Audit(record.key, not_recomputed="the code of its metrics is another by now")
    faults = list(_differences(results.vectors(record), recomputed, comparable))
    return Audit(record.key, tuple(faults), tuple(comparable))


def _differences(stored: Vectors, recomputed: Vectors, metrics: list[str]) -> Iterator[str]:
    """Yield the stored vectors that are not those of the dataset and of the kept predictions."""
    subjects = {PROFILE_GROUP, *(name for name in recomputed if not _metric(name))}
    # Older records have neither groups nor shares. Groups matter only where shares are resampled.
    if not any(name.startswith(PROFILE_SHARE) for name in stored):
        subjects &= stored.keys()
    nothing = np.empty(0)
    for name in sorted(subjects):
        if not np.array_equal(stored.get(name, nothing), recomputed.get(name, nothing)):
            yield f"{name} is not that of the dataset"
    for metric in metrics:
        names = [name for name in recomputed if _metric(name) == metric]
        lines = (_difference(name, stored, recomputed) for name in names)
        # One line for each metric: wrong values have wrong shares too.
        if line := next(filter(None, lines), ""):
            yield line


def _difference(name: str, stored: Vectors, recomputed: Vectors) -> str:
    """Return how far a stored vector is from the recomputed one, or nothing if it is close."""
    if name not in stored:
        return ""  # older records have no shares
    distance = np.abs(stored[name] - recomputed[name])
    if not (distance > ROUNDING * np.maximum(1.0, np.abs(recomputed[name]))).any():
        return ""
    subject = "the share of profiles in " if name.startswith(PROFILE_SHARE) else ""
    return (
        f"{subject}{_metric(name)} is not what its kept predictions give: "
        f"up to {distance.max():.3g} apart, in {(distance > ROUNDING).sum():,} values"
    )


def _metric(name: str) -> str:
    """Return the metric that a vector belongs to, or nothing for ids, groups and other vectors."""
    if name.startswith(PROFILE_SHARE):
        return name.removeprefix(PROFILE_SHARE).rpartition(".")[0]
    for prefix in (GENE_METRIC, PROFILE_METRIC):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""

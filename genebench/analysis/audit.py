"""An audit of records: what can be checked without predictions, and what needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import code_digest
from genebench.analysis.recompute import scored_anew
from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.checks import ROUNDING
from genebench.results.panels import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.provenance import now

_Vectors = Mapping[str, NDArray[Any]]
_NOTHING: NDArray[Any] = np.empty(0)


@dataclass(frozen=True)
class Audit:
    """What is known of one record."""

    key: str
    faults: tuple[str, ...] = ()
    """What is wrong with it, one line each; empty when it is sound."""
    recomputed: tuple[str, ...] = ()
    """Metrics that its kept predictions were scored with again, and that agreed."""
    not_recomputed: str = ""
    """Why nothing was recomputed."""


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


def mark(found: Audit, results: ResultsStore) -> None:
    """Mark a record as verified: its predictions were scored again, here."""
    verified = {
        "record": results.digest(found.key),
        "when": now(),
        "genebench": metadata.version(PROJECT),
        "metrics": found.recomputed,
    }
    results.mark(found.key, verified=verified)


def _audit(record: Record, results: ResultsStore, registry: Registry) -> Audit:
    if faults := results.verify(record):
        return Audit(record.key, tuple(faults))
    if record.status == "failed":
        return Audit(record.key, not_recomputed="failed")
    if not record.predictions:
        return Audit(record.key, not_recomputed="predictions were not kept")
    same_code = {
        spec.name
        for spec in registry.metrics.specs.values()
        if record.metrics.get(spec.name) == code_digest(spec.code)
    }
    try:
        anew = scored_anew(record, results, registry).vectors
    except UserError as error:
        return Audit(record.key, not_recomputed=str(error))
    comparable = sorted(same_code & {_metric(name) for name in anew})
    if not comparable:
        return Audit(record.key, not_recomputed="the code of its metrics is another by now")
    return Audit(
        record.key,
        tuple(_differences(results.vectors(record), anew, comparable)),
        tuple(comparable),
    )


def _differences(given: _Vectors, anew: _Vectors, metrics: list[str]) -> Iterator[str]:
    for name in sorted(_subjects(given, anew)):
        if not np.array_equal(given.get(name, _NOTHING), anew.get(name, _NOTHING)):
            yield f"{name} is not that of the dataset"
    for metric in metrics:
        lines = (_difference(name, given, anew) for name in anew if _metric(name) == metric)
        # Where the values are wrong, the shares that profiles have in their mean add nothing.
        if found := next(filter(None, lines), ""):
            yield found


def _subjects(given: _Vectors, anew: _Vectors) -> set[str]:
    """Vectors that say what values are of."""
    subjects = {PROFILE_GROUP, *(name for name in anew if not _metric(name))}
    # Older records have neither groups nor shares, which alone are resampled by groups.
    has_shares = any(name.startswith(PROFILE_SHARE) for name in given)
    return subjects if has_shares else subjects & given.keys()


def _difference(name: str, given: _Vectors, anew: _Vectors) -> str:
    """How far values, or shares in their mean, are from what predictions give; empty if close."""
    if name not in given:
        return ""  # older records have no shares
    apart = np.abs(given[name] - anew[name])
    if not (apart > ROUNDING * np.maximum(1.0, np.abs(anew[name]))).any():
        return ""
    what = "the share of profiles in " if name.startswith(PROFILE_SHARE) else ""
    return (
        f"{what}{_metric(name)} is not what its kept predictions give: "
        f"up to {apart.max():.3g} apart, in {(apart > ROUNDING).sum():,} values"
    )


def _metric(name: str) -> str:
    """The metric of a vector's name; empty for other vectors."""
    if name.startswith(PROFILE_SHARE):
        return name.removeprefix(PROFILE_SHARE).rpartition(".")[0]
    for prefix in (GENE_METRIC, PROFILE_METRIC):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""

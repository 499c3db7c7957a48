"""The audit of records: their faults, and whether their predictions give their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Literal

import numpy as np

from genebench._util.hashing import code_digest
from genebench.analysis.recompute import Predictor, scored_anew
from genebench.errors import UserError, describe
from genebench.hookspecs import PROJECT
from genebench.metrics.scoring import Scoring
from genebench.plugins.registry import Registry
from genebench.results.annotations import Verified
from genebench.results.checks import ROUNDING, verify
from genebench.results.limits import LINE_LETTERS, cut
from genebench.results.panels import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE
from genebench.results.record import UNSAVED, Record
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
    """Metrics that were computed again."""
    not_recomputed: str = ""
    """Reason why nothing was recomputed."""
    unmarked: tuple[str, ...] = ()
    """Reasons why the record is not verified, although metrics were recomputed."""
    source: Literal["model", "predictions"] = "predictions"
    """Origin of the predictions: made again from the saved model, or kept."""
    digest: str = ""
    """SHA-256 digest of the record's file as it was audited."""

    @property
    def is_verified(self) -> bool:
        """True if all scores were recomputed, of predictions of a method without test data."""
        return bool(self.recomputed) and not (self.faults or self.unmarked)


def audit(
    results: ResultsStore, registry: Registry, predictor: Predictor | None = None
) -> Iterator[Audit]:
    """Check every record of a folder, and score it again where that is possible.

    Args:
        results: the folder.
        registry: the installed metrics and protocols.
        predictor: predicts again from a saved model, where one is kept. Kept predictions are
            scored otherwise.

    Raises:
        UserError: there is no such folder, or it is something else.
    """
    results.check_exists()
    for key in results.keys():  # noqa: SIM118  not a mapping
        try:
            # Taken before the file is read: of a file that changes meanwhile, it is not the digest.
            digest = results.digest(key)
            if record := results.read(key):
                yield replace(_audit(record, results, registry, predictor), digest=digest)
        except UserError as error:
            yield Audit(key, (str(error),))
        except FileNotFoundError:
            continue  # another process removed it since the folder was listed
        except Exception as error:  # noqa: BLE001  a stranger's record may make any code raise
            line = f"{results.paths.record(key)}: cannot be audited ({describe(error)})"
            yield Audit(key, (cut(line, LINE_LETTERS),))


def annotate(outcome: Audit, results: ResultsStore) -> None:
    """Annotate a record as verified: all of its scores were computed again, here.

    Raises:
        ValueError: the record is not verified.
    """
    if not outcome.is_verified:
        raise ValueError(f"record {outcome.key} is not verified")
    verified = Verified(
        record=outcome.digest,
        when=now(),
        genebench=metadata.version(PROJECT),
        metrics=outcome.recomputed,
        source=outcome.source,
    )
    results.annotations.add(outcome.key, verified=verified)


def _audit(
    record: Record, results: ResultsStore, registry: Registry, predictor: Predictor | None
) -> Audit:
    key = record.key
    if faults := verify(results.paths, record):
        return Audit(key, tuple(faults))
    if record.status == "failed":
        return Audit(key, not_recomputed="failed")
    has_model = record.model not in ("", UNSAVED)
    if not has_model or predictor is None:
        predictor = None
        if not record.predictions:
            return Audit(key, not_recomputed="predictions were not kept")
    try:
        scoring = scored_anew(record, results, registry, predictor)
        stored = results.vectors(record)
    except UserError as error:
        return Audit(key, not_recomputed=str(error))
    offered = registry.metrics.specs
    # A metric whose code changed since may give other values, which proves nothing.
    same_code = {
        name
        for name in record.scores
        if name in offered and record.metrics.get(name) == code_digest(offered[name].code)
    }
    comparable = sorted(same_code & {_metric(name) for name in scoring.vectors})
    faults = list(_differences(stored, scoring.vectors, comparable))
    if not comparable:
        return Audit(key, tuple(faults), not_recomputed="the code of its metrics is another by now")
    unmarked = [
        *(_reason(name, record, registry, scoring) for name in record.scores.keys() - comparable),
        # Ranks are made of shares, so that each of them counts.
        *(
            f"{name} was not recomputed: {_metric(name)} gives no such vector"
            for name in stored.keys() - scoring.vectors
            if _metric(name) in comparable
        ),
        *([] if predictor else _without_seal(record)),
    ]
    return Audit(
        key, tuple(faults), tuple(comparable), unmarked=tuple(sorted(unmarked)),
        source="model" if predictor else "predictions",
    )  # fmt: skip


def _reason(name: str, record: Record, registry: Registry, scoring: Scoring) -> str:
    """Return the reason why a metric of a record was not recomputed."""
    if name not in registry.metrics.specs:
        return f"{name} was not recomputed: no such metric is installed"
    if record.metrics.get(name) != code_digest(registry.metrics.specs[name].code):
        return f"{name} was not recomputed: its code here is not that of the record"
    failed = next((line for line in scoring.faults if line.startswith(f"metric {name} ")), "")
    return f"{name} was not recomputed: {failed or 'it gave no values'}"


def _without_seal(record: Record) -> Iterator[str]:
    """Yield a reason if the method of a record could have seen the test data."""
    if record.seal.level != "landlock":
        reason = f": {record.seal.reason}" if record.seal.reason else ""
        yield (
            f"its method could have seen the test data (seal {record.seal.level}{reason}), so its "
            "predictions prove nothing"
        )


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

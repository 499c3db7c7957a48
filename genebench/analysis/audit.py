"""The audit of records: their faults, and whether their predictions give their scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import code_digest
from genebench.analysis.recompute import Predictor, scored_anew
from genebench.errors import UserError, describe
from genebench.hookspecs import DISTRIBUTION
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

MODEL_ROUNDING = 1e-4
"""Largest relative difference between scores of predictions that one model makes on two machines.

A prediction is a sum of float32 products over a thousand landmarks, layer by layer, and libraries
and devices add in other orders. Reports show scores to 1e-4."""


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
    unused_model: str = ""
    """Reason why the saved model made no predictions, although it was kept."""
    digest: str = ""
    """SHA-256 digest of the record's file as it was audited."""

    @property
    def is_verified(self) -> bool:
        """True if all scores were recomputed, from predictions that prove something."""
        return bool(self.recomputed) and not (self.faults or self.unmarked)


def audit(
    results: ResultsStore, registry: Registry, predictor: Predictor | None = None
) -> Iterator[Audit]:
    """Check every record of a folder, and score it again where that is possible.

    Args:
        results: the folder.
        registry: the installed metrics and protocols.
        predictor: predicts again from a saved model, where one is kept. Kept predictions are
            scored where there is no model, or where it cannot be used here.

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
        genebench=metadata.version(DISTRIBUTION),
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
    if record.status != "done":
        return Audit(key, not_recomputed=record.status)
    unused = ""
    if record.model in ("", UNSAVED):
        predictor = None
    if predictor is None and not record.predictions:
        return Audit(key, not_recomputed="predictions were not kept, and no model")
    try:
        stored = results.vectors(record)
        try:
            scoring = scored_anew(record, results, registry, predictor)
        except UserError as error:
            if predictor is None or not record.predictions:
                raise
            predictor, unused = None, str(error)
            scoring = scored_anew(record, results, registry)
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
    source: Literal["model", "predictions"] = "model" if predictor else "predictions"
    # Metrics that count or rank jump at ties, which rounding of predictions moves.
    jumping = {name for name in comparable if offered[name].form == "whole"}
    faults = list(_differences(stored, scoring.vectors, comparable, source, jumping))
    if not comparable:
        return Audit(
            key, tuple(faults), not_recomputed="the code of its metrics is another by now",
            unused_model=unused,
        )  # fmt: skip
    unmarked = [
        *(_reason(name, record, registry, scoring) for name in record.scores.keys() - comparable),
        # Ranks are made of shares, so that each of them counts.
        *(
            f"{name} was not recomputed: {_metric(name)} gives no such vector"
            for name in stored.keys() - scoring.vectors
            if _metric(name) in comparable
        ),
        *([] if predictor else _without_proof(record, results)),
    ]
    return Audit(
        key, tuple(faults), tuple(comparable), unmarked=tuple(sorted(unmarked)),
        source=source, unused_model=unused,
    )  # fmt: skip


def _reason(name: str, record: Record, registry: Registry, scoring: Scoring) -> str:
    """Return the reason why a metric of a record was not recomputed."""
    if name not in registry.metrics.specs:
        return f"{name} was not recomputed: no such metric is installed"
    if record.metrics.get(name) != code_digest(registry.metrics.specs[name].code):
        return f"{name} was not recomputed: its code here is not that of the record"
    failed = next((line for line in scoring.faults if line.startswith(f"metric {name} ")), "")
    return f"{name} was not recomputed: {failed or 'it gave no values'}"


def _without_proof(record: Record, results: ResultsStore) -> Iterator[str]:
    """Yield a reason if the kept predictions of a record prove nothing."""
    seal = record.seal
    if seal.level != "landlock":
        reason = f": {seal.reason}" if seal.reason else ""
        yield (
            f"its method could have seen the test data (seal {seal.level}{reason}), so its "
            "predictions prove nothing. Run again with --sealed require"
        )
    elif results.annotations.read(record.key).submitted:
        yield (
            "it was submitted, so its seal is a claim of its sender, and its predictions prove "
            "nothing. Ask the sender for the model (--keep-models), or run it again"
        )


def _differences(
    stored: Vectors,
    recomputed: Vectors,
    metrics: list[str],
    source: Literal["model", "predictions"],
    jumping: Collection[str],
) -> Iterator[str]:
    """Yield the stored vectors that are not those of the dataset and of the predictions."""
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
        # Older records have no shares.
        compared = [name for name in names if name in stored]
        is_mean = source == "model" and metric in jumping
        lines = (
            _difference(name, stored[name], recomputed[name], source, is_mean=is_mean)
            for name in compared
        )
        # One line for each metric: wrong values have wrong shares too.
        if line := next(filter(None, lines), ""):
            yield line


def _difference(
    name: str,
    stored: NDArray[Any],
    recomputed: NDArray[Any],
    source: Literal["model", "predictions"],
    *,
    is_mean: bool,
) -> str:
    """Return how far a stored vector is from the recomputed one, or nothing if it is close.

    With ``is_mean``, single values may be far apart, but not the values on average.
    """
    tolerance = MODEL_ROUNDING if source == "model" else ROUNDING
    distance = np.abs(stored - recomputed)
    relative = distance / np.maximum(1.0, np.abs(recomputed))
    if (relative.mean() if is_mean else relative.max(initial=0.0)) <= tolerance:
        return ""
    subject = "the share of profiles in " if name.startswith(PROFILE_SHARE) else ""
    origin = "its model predicts" if source == "model" else "its kept predictions give"
    return (
        f"{subject}{_metric(name)} is not what {origin}: "
        f"up to {distance.max():.3g} apart, in {(relative > tolerance).sum():,} values"
    )


def _metric(name: str) -> str:
    """Return the metric that a vector belongs to, or nothing for ids, groups and other vectors."""
    if name.startswith(PROFILE_SHARE):
        return name.removeprefix(PROFILE_SHARE).rpartition(".")[0]
    for prefix in (GENE_METRIC, PROFILE_METRIC):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""

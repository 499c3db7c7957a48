"""Score predictions with metrics, in blocks of genes or of profiles, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench._util.threads import in_order
from genebench.data.profiles import Profiles
from genebench.errors import describe
from genebench.metrics.agreement import varies
from genebench.metrics.pairs import Expression, Pair, Pairs
from genebench.plugins.discovery import load_code
from genebench.results.panels import (
    GENE_METRIC,
    PROFILE_GROUP,
    PROFILE_METRIC,
    panels_of,
    scores_of,
    share_name,
)
from genebench.results.record import Score
from genebench.specs import Axis, MetricSpec

PIECE = 1 << 18
"""Values that metrics are given at once: 2 MiB, so that what they work out stays in the cache."""

Values = NDArray[np.float64]


@dataclass
class Scoring:
    """What scoring gave: per-gene (or per-profile) vectors, and what a reader should know."""

    vectors: dict[str, NDArray[Any]]
    """``gene-metric.<name>``, ``profile-metric.<name>`` → values; ``profile-share.<name>.<panel>``
    → what each profile adds to a score; ``gene.id``, ``gene.twin``, ``profile.id`` and, where the
    platform has groups, ``profile.group`` → what they are of."""
    constant_truth: int = 0
    constant_prediction: int = 0
    faults: list[str] = field(default_factory=list)
    """Metrics that failed, one line each; they have no vector."""

    def scores(self) -> dict[str, dict[str, Score]]:
        """Metric → panel → score."""
        return scores_of(self.vectors)


def score(test: Profiles, predictions: Expression, metrics: Iterable[MetricSpec]) -> Scoring:
    """Score predictions (profiles × targets, standardised) of the test profiles.

    Truth and predictions are read once for all gene-wise metrics, and once for all profile-wise
    ones if there are any; ``whole`` metrics read them as they like. A metric that raises costs its
    own column and nothing else.

    Args:
        test: the test profiles.
        predictions: float32, profiles × targets; may be a memory map.
        metrics: those to score with.
    """
    pairs = Pairs(test, predictions)
    scoring = Scoring(_subjects(test))
    panels = panels_of(scoring.vectors["gene.twin"])
    columns = [_Column(metric, panels) for metric in metrics]
    _score_genes(pairs, _of(columns, "gene"), scoring)
    if by_profile := _of(columns, "profile"):
        for found in in_order(partial(_profile_block, columns=by_profile), pairs.by_profiles()):
            _take(by_profile, found)
    for column in columns:
        if column.metric.form == "whole":
            column.take(column.whole(pairs))
        scoring.vectors |= column.vectors()
        if column.fault:
            scoring.faults.append(column.fault)
    return scoring


def _subjects(test: Profiles) -> dict[str, NDArray[Any]]:
    """What the vectors are of."""
    genes, profiles = test.target_genes, test.profiles
    subjects = {
        "gene.id": genes.index.to_numpy().astype(str),
        "gene.twin": genes["twin"].to_numpy(dtype=bool),
        "profile.id": profiles.index.to_numpy().astype(str),
    }
    if "group" in profiles:
        subjects[PROFILE_GROUP] = profiles["group"].to_numpy().astype(str)
    return subjects


class _Part(NamedTuple):
    """What a metric gave for one block."""

    values: Values | None = None
    shares: Values | None = None
    """Of form ``terms``: sums over the genes of each panel, profiles × panels."""
    fault: str = ""
    """Why there are no values."""


class _Column:
    """One metric's values, block after block, until it fails."""

    def __init__(self, metric: MetricSpec, panels: Mapping[str, NDArray[np.bool_]]) -> None:
        self.metric = metric
        self.fault = ""
        self._axis = 1 if metric.axis == "gene" else 0
        self._panels = panels
        self._members = np.stack(list(panels.values()), axis=1).astype(np.float64)
        self._values: list[Values] = []
        self._shares: Values | None = None

    def block(self, truth: Values, prediction: Values, genes: slice = slice(None)) -> _Part:
        """Score one block, in any thread."""
        if self.fault:
            return _Part()
        return self._attempt(lambda: self._block(truth, prediction, genes))

    def whole(self, pairs: Pairs) -> _Part:
        """Score everything."""
        number = pairs.shape[self._axis]
        return self._attempt(lambda: _Part(_finite(_shaped(self._code()(pairs), (number,)))))

    def take(self, part: _Part) -> None:
        """Add what the next block gave."""
        if self.fault:
            return
        self.fault = part.fault
        if part.values is not None:
            self._values.append(part.values)
        if part.shares is not None:
            self._shares = part.shares if self._shares is None else self._shares + part.shares

    def vectors(self) -> dict[str, NDArray[Any]]:
        """Its vectors by name; none when it failed."""
        if self.fault:
            return {}
        prefix = GENE_METRIC if self.metric.axis == "gene" else PROFILE_METRIC
        vectors = {f"{prefix}{self.metric.name}": np.concatenate(self._values)}
        if self._shares is not None:
            means = (self._shares / self._members.sum(axis=0)).T
            vectors |= {
                share_name(self.metric.name, panel): share
                for panel, share in zip(self._panels, means.copy(), strict=True)
            }
        return vectors

    def _block(self, truth: Values, prediction: Values, genes: slice) -> _Part:
        given = self._code()(truth, prediction)
        if self.metric.form == "terms":
            terms = _shaped(given, truth.shape)
            # The means are finite only if every term is.
            return _Part(_finite(terms.mean(axis=0)), terms @ self._members[genes])
        return _Part(_finite(_shaped(given, (truth.shape[self._axis],))))

    def _code(self) -> Any:
        return load_code(self.metric.code)

    def _attempt(self, work: Callable[[], _Part]) -> _Part:
        try:
            return work()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a metric may raise anything
            return _Part(fault=f"metric {self.metric.name} failed: {describe(error)}")


def _of(columns: Iterable[_Column], axis: Axis) -> list[_Column]:
    """Columns that take blocks along an axis."""
    inside = (column for column in columns if column.metric.form != "whole")
    return [column for column in inside if column.metric.axis == axis]


def _take(columns: Sequence[_Column], found: Iterable[Sequence[_Part]]) -> None:
    for parts in found:
        for column, part in zip(columns, parts, strict=True):
            column.take(part)


class _GeneBlock(NamedTuple):
    """What a block of genes gave: constants, and each column's parts, piece after piece."""

    constant_truth: int
    constant_prediction: int
    parts: list[list[_Part]]


def _score_genes(pairs: Pairs, columns: Sequence[_Column], scoring: Scoring) -> None:
    def placed() -> Iterator[tuple[int, Pair]]:
        start = 0
        for pair in pairs.by_genes():
            yield start, pair
            start += pair[0].shape[1]

    for found in in_order(partial(_gene_block, columns=columns), placed()):
        scoring.constant_truth += found.constant_truth
        scoring.constant_prediction += found.constant_prediction
        _take(columns, found.parts)


def _gene_block(placed: tuple[int, Pair], columns: Sequence[_Column]) -> _GeneBlock:
    """Score a block of genes that begins at some position."""
    at, (truth, prediction) = placed
    constants, parts = np.zeros(2, dtype=int), []
    for piece in _pieces(truth.shape[1], len(truth)):
        # Each gene's values side by side: sums over profiles are quick, and the same in any block.
        pair = _locked(truth[:, piece].T).T, _locked(prediction[:, piece].T).T
        constants += [int((~varies(values)).sum()) for values in pair]
        genes = slice(at + piece.start, at + piece.stop)
        parts.append([column.block(pair[0], pair[1], genes) for column in columns])
    return _GeneBlock(int(constants[0]), int(constants[1]), parts)


def _profile_block(pair: Pair, columns: Sequence[_Column]) -> list[list[_Part]]:
    truth, prediction = pair
    parts = []
    for piece in _pieces(*truth.shape):
        locked = _locked(truth[piece]), _locked(prediction[piece])
        parts.append([column.block(*locked) for column in columns])
    return parts


def _pieces(number: int, other: int) -> Iterator[slice]:
    """Cut an axis so that a piece, as long as the other axis, has about :data:`PIECE` values."""
    size = max(1, PIECE // other)
    return (slice(start, min(start + size, number)) for start in range(0, number, size))


def _locked(values: Expression) -> Values:
    """A copy in float64, row by row, that no metric can spoil for the next."""
    copy = np.array(values, dtype=np.float64, order="C")
    copy.flags.writeable = False
    return copy


def _shaped(values: Any, shape: tuple[int, ...]) -> Values:
    array: Values = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"gave an array of shape {array.shape}, expected {shape}")
    return array


def _finite(values: Values) -> Values:
    if not np.isfinite(values).all():
        raise ValueError("gave NaN or infinite values")
    return values

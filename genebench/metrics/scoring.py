"""Scoring of predictions, in blocks of genes or of profiles, in several threads.

Blocks bound the memory: truth and predictions of the published size are 423 MB each. A block is cut
into pieces that fit the processor's cache, because metrics are limited by memory bandwidth. numpy
releases the interpreter's lock, so threads work on several blocks at once. Results are added in the
order of the blocks, so that scores do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genebench._util.threads import in_order
from genebench.data.profiles import Profiles
from genebench.errors import describe
from genebench.metrics.agreement import varies
from genebench.metrics.pairs import Expression, Pair, Pairs, Values
from genebench.plugins.discovery import load_code
from genebench.results.limits import LINE_LETTERS, cut
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

PIECE_VALUES = 1 << 18
"""Values in one piece: 2 MiB of float64, so that a metric's intermediates stay in the cache."""


@dataclass
class Scoring:
    """The outcome of scoring: vectors per gene or per profile, and notes for the reader."""

    vectors: dict[str, NDArray[Any]]
    """``gene-metric.<name>``, ``profile-metric.<name>`` → values. ``profile-share.<name>.<panel>``
    → contribution of each profile to a score. ``gene.id``, ``gene.twin``, ``profile.id`` and, where
    the platform has groups, ``profile.group`` → the genes and profiles of the values."""
    constant_truth: int = 0
    """Number of genes whose truth is the same in all test profiles."""
    constant_prediction: int = 0
    """Number of genes whose prediction is the same in all test profiles."""
    faults: list[str] = field(default_factory=list)
    """One line for each metric that failed. It has no vector."""

    def scores(self) -> dict[str, dict[str, Score]]:
        """Return metric → panel → score."""
        return scores_of(self.vectors)


def score(test: Profiles, predictions: Expression, metrics: Iterable[MetricSpec]) -> Scoring:
    """Score predictions of the test profiles.

    Truth and predictions are read once for all gene-wise metrics, and once more if there are
    profile-wise ones. A ``whole`` metric reads them itself. If a metric raises, only its
    vectors are missing.

    Args:
        test: the test profiles.
        predictions: float32, profiles × targets, standardised. May be a memory map.
        metrics: metrics to score with.
    """
    pairs = Pairs(test, predictions)
    scoring = Scoring(_subjects(test))
    panels = panels_of(scoring.vectors["gene.twin"])
    columns = [_Column(metric, panels) for metric in metrics]
    # Blocks are scored in several threads. BLAS would start threads of its own in each of them,
    # which wait for each other: two processors took 1.7 times as long.
    with threadpool_limits(1, "blas"):
        _score_genes(pairs, _of_axis(columns, "gene"), scoring)
        if by_profile := _of_axis(columns, "profile"):
            work = partial(_profile_block, columns=by_profile)
            for outcomes in in_order(work, pairs.by_profiles()):
                _add_outcomes(by_profile, outcomes)
    for column in columns:
        if column.metric.form == "whole":
            column.add(column.whole(pairs))
        scoring.vectors |= column.vectors()
        if column.fault:
            scoring.faults.append(column.fault)
    return scoring


def _subjects(test: Profiles) -> dict[str, NDArray[Any]]:
    """Return the ids of genes and profiles, the twins, and the groups of profiles."""
    genes, profiles = test.target_genes, test.profiles
    subjects = {
        "gene.id": genes.index.to_numpy().astype(str),
        "gene.twin": genes["twin"].to_numpy(dtype=bool),
        "profile.id": profiles.index.to_numpy().astype(str),
    }
    if "group" in profiles:
        subjects[PROFILE_GROUP] = profiles["group"].to_numpy().astype(str)
    return subjects


class _Outcome(NamedTuple):
    """The outcome of a metric on one piece."""

    values: Values | None = None
    shares: Values | None = None
    """For form ``terms``: sums over the genes of each panel, profiles × panels."""
    fault: str = ""
    """Reason why there are no values."""


class _Column:
    """One metric's values, collected piece by piece until the metric fails."""

    def __init__(self, metric: MetricSpec, panels: Mapping[str, NDArray[np.bool_]]) -> None:
        self.metric = metric
        self.fault = ""
        self._axis = 1 if metric.axis == "gene" else 0
        self._panels = panels
        # Genes × panels, 0 or 1: a product with it sums terms over the genes of every panel.
        self._members = np.stack(list(panels.values()), axis=1).astype(np.float64)
        self._values: list[Values] = []
        self._shares: Values | None = None

    def block(self, truth: Values, prediction: Values, genes: slice = slice(None)) -> _Outcome:
        """Score one piece. Any thread may call this: it changes nothing.

        ``genes`` are the positions of the piece's genes among all targets.
        """
        if self.fault:
            return _Outcome()
        return self._attempt(lambda: self._block(truth, prediction, genes))

    def whole(self, pairs: Pairs) -> _Outcome:
        """Score all profiles and genes at once."""
        number = pairs.shape[self._axis]
        return self._attempt(lambda: _Outcome(_finite(_shaped(self._code()(pairs), (number,)))))

    def add(self, outcome: _Outcome) -> None:
        """Add the outcome of the next piece. Only the main thread calls this, in order."""
        if self.fault:
            return
        self.fault = outcome.fault
        if outcome.values is not None:
            self._values.append(outcome.values)
        if outcome.shares is not None:
            self._shares = outcome.shares if self._shares is None else self._shares + outcome.shares

    def vectors(self) -> dict[str, NDArray[Any]]:
        """Return the metric's vectors by name, or none if it failed."""
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

    def _block(self, truth: Values, prediction: Values, genes: slice) -> _Outcome:
        result = self._code()(truth, prediction)
        if self.metric.form == "terms":
            terms = _shaped(result, truth.shape)
            # The means are finite only if every term is, and are fewer to check.
            return _Outcome(_finite(terms.mean(axis=0)), terms @ self._members[genes])
        return _Outcome(_finite(_shaped(result, (truth.shape[self._axis],))))

    def _code(self) -> Any:
        return load_code(self.metric.code)

    def _attempt(self, work: Callable[[], _Outcome]) -> _Outcome:
        """Return the outcome of the work, with a fault if the plugin's code raised."""
        try:
            return work()
        except KeyboardInterrupt:
            raise  # the user's, not the metric's
        except BaseException as error:  # noqa: BLE001  a metric may raise anything
            line = f"metric {self.metric.name} failed: {describe(error)}"
            return _Outcome(fault=cut(line, LINE_LETTERS))


def _of_axis(columns: Iterable[_Column], axis: Axis) -> list[_Column]:
    """Return the columns whose metrics take blocks along an axis."""
    return [
        column for column in columns if column.metric.form != "whole" and column.metric.axis == axis
    ]


def _add_outcomes(columns: Sequence[_Column], pieces: Iterable[Sequence[_Outcome]]) -> None:
    for outcomes in pieces:
        for column, outcome in zip(columns, outcomes, strict=True):
            column.add(outcome)


class _GeneBlock(NamedTuple):
    """The outcome of a block of genes."""

    constant_truth: int
    constant_prediction: int
    pieces: list[list[_Outcome]]
    """For each piece, one outcome for each column."""


def _score_genes(pairs: Pairs, columns: Sequence[_Column], scoring: Scoring) -> None:
    """Score all blocks of genes, and count constant genes."""

    def blocks_with_start() -> Iterator[tuple[int, Pair]]:
        start = 0
        for pair in pairs.by_genes():
            yield start, pair
            start += pair[0].shape[1]

    for block in in_order(partial(_gene_block, columns=columns), blocks_with_start()):
        scoring.constant_truth += block.constant_truth
        scoring.constant_prediction += block.constant_prediction
        _add_outcomes(columns, block.pieces)


def _gene_block(start_and_pair: tuple[int, Pair], columns: Sequence[_Column]) -> _GeneBlock:
    """Score a block of genes, whose first gene is the ``start``-th of all."""
    start, (truth, prediction) = start_and_pair
    constants, outcomes = np.zeros(2, dtype=int), []
    for piece in _pieces(truth.shape[1], len(truth)):
        # Each gene's values side by side: sums over profiles are quick, and numpy adds them in the
        # same order for any size of the block.
        pair = _locked(truth[:, piece].T).T, _locked(prediction[:, piece].T).T
        constants += [int((~varies(values)).sum()) for values in pair]
        genes = slice(start + piece.start, start + piece.stop)
        outcomes.append([column.block(pair[0], pair[1], genes) for column in columns])
    return _GeneBlock(int(constants[0]), int(constants[1]), outcomes)


def _profile_block(pair: Pair, columns: Sequence[_Column]) -> list[list[_Outcome]]:
    """Score a block of profiles: for each piece, one outcome for each column."""
    truth, prediction = pair
    outcomes = []
    for piece in _pieces(*truth.shape):
        locked = _locked(truth[piece]), _locked(prediction[piece])
        outcomes.append([column.block(*locked) for column in columns])
    return outcomes


def _pieces(number: int, other: int) -> Iterator[slice]:
    """Yield slices of an axis of ``number``, such that a piece has about :data:`PIECE_VALUES`.

    A piece is as long as the other axis.
    """
    size = max(1, PIECE_VALUES // other)
    return (slice(start, min(start + size, number)) for start in range(0, number, size))


def _locked(values: Expression) -> Values:
    """Return a copy in float64, row by row, that no metric can change for the next one."""
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

"""Tuning: parameters chosen on the validation set, and a test only for the choice.

Every candidate is fitted and scored on the validation profiles: a *trial*, a record like any other
that no table shows. The candidate of the smallest MAE there is then run under the protocol itself.
With successive halving, candidates first train for a fraction of the epochs, and only the best
third of them goes on to the next round, with three times as many (Jamieson & Talwalkar 2016).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pandas as pd

from genebench.errors import UserError
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.plan import Plan, merged
from genebench.specs import MethodSpec

FEWER = 3
"""Of so many candidates, one goes on to the next round of successive halving."""

EPOCHS = "epochs"

Point = Mapping[str, str]
"""A candidate: parameter → value, as typed."""

Planner = Callable[[Point, Sequence[str], bool], Plan]
"""Plans a candidate under protocols, in earnest or (True) as a trial."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how.

    Attributes:
        method: the method.
        preset: where parameters come from that are neither searched nor fixed.
        grid: parameter → values, as typed.
        fixed: parameter → value in every candidate, as typed.
        number: how many candidates to draw from the grid at random; None for every combination.
        halving: whether most candidates are dropped after a fraction of the epochs.
        seed: of the drawing.
    """

    method: MethodSpec
    preset: str
    grid: Mapping[str, Sequence[str]]
    fixed: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None
    halving: bool = False
    seed: int = 0

    def points(self) -> list[Point]:
        """The candidates.

        Raises:
            UserError: there are not two, or more are to be drawn than there are.
        """
        every: list[Point] = [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]
        if len(every) < 2:  # noqa: PLR2004  two make a choice
            raise UserError("--grid: one candidate is no choice; write PARAM=VALUE,VALUE")
        if self.number is None:
            return every
        if not 1 < self.number <= len(every):
            raise UserError(
                f"--random {self.number}: the grid has {len(every)} candidates; draw two or more"
            )
        return random.Random(self.seed).sample(every, self.number)  # noqa: S311  no secret

    def rounds(self) -> list[Point]:
        """What each round adds to every candidate: nothing, or a number of epochs.

        Raises:
            UserError: halving, and the method has no epochs or they are searched themselves.
        """
        if not self.halving:
            return [{}]
        if EPOCHS in self.grid:
            raise UserError("--halving: it decides on epochs itself; leave them out of --grid")
        if EPOCHS not in (param.name for param in self.method.params):
            raise UserError(f"--halving: {self.method.name} has no epochs to halve")
        whole, candidates = self.method.values(self.preset, self.fixed)[EPOCHS], len(self.points())
        shares = [1]
        while min(candidates, int(whole)) >= FEWER * shares[-1]:
            shares.append(FEWER * shares[-1])
        return [{EPOCHS: str(int(whole) // share)} for share in reversed(shares)]


@dataclass(frozen=True)
class Trial:
    """A candidate in a round, under one protocol."""

    point: Point
    added: Point
    record: Record

    @property
    def error(self) -> float:
        """MAE on the validation profiles; infinite for a failure."""
        return self.record.scores["mae"]["all"].mean if self.record.scores else float("inf")


@dataclass(frozen=True)
class Tuned:
    """What tuning gave.

    Attributes:
        trials: one row per protocol, round and candidate: ``protocol``, the parameters that were
            searched (and ``epochs`` when halving), ``validation_mae`` (infinite where it failed),
            ``chosen``, ``key``.
        records: the results of what was chosen, and of the controls.
    """

    trials: pd.DataFrame
    records: Sequence[Record]


def tune(
    search: Search,
    protocols: Sequence[str],
    plan: Planner,
    execute: Callable[[Plan], None],
    store: ResultsStore,
) -> Tuned:
    """Try all candidates, choose one for each protocol, and run it under that protocol.

    Args:
        search: what is searched, and how.
        protocols: names of the protocols.
        plan: plans a candidate.
        execute: does what is left to do of a plan; what ``store`` holds is not done again.
        store: where the results are.

    Raises:
        UserError: a parameter is unknown or out of range, or no candidate could be fitted.
    """
    tried = _try_all(search, protocols, plan, execute, store)
    records: list[Record] = []
    rows = []
    for name, rounds in tried.items():
        best = min(rounds[-1], key=lambda trial: trial.error)
        if not best.record.scores:
            raise UserError(f"{search.method.name}: no candidate could be fitted for {name}")
        chosen = plan(best.point, [name], False)
        execute(chosen)
        found = (store.read(evaluation.key) for _, evaluation in chosen.evaluations)
        records += [record for record in found if record]
        rows += [_row(name, trial, trial is best) for trials in rounds for trial in trials]
    return Tuned(pd.DataFrame(rows), records)


def _try_all(
    search: Search,
    protocols: Sequence[str],
    plan: Planner,
    execute: Callable[[Plan], None],
    store: ResultsStore,
) -> dict[str, list[list[Trial]]]:
    """Protocol → round → trials. Protocols share the fit of a candidate that both still try."""
    going: dict[str, list[Point]] = dict.fromkeys(protocols, search.points())
    tried: dict[str, list[list[Trial]]] = {name: [] for name in protocols}
    for added in search.rounds():
        plans = {
            name: [plan({**point, **added}, [name], True) for point in going[name]]
            for name in protocols
        }
        execute(merged(one for name in protocols for one in plans[name]))
        for name in protocols:
            trials = [
                Trial(point, added, _records(one, store, search.method.name)[name])
                for point, one in zip(going[name], plans[name], strict=True)
            ]
            tried[name].append(trials)
            best = sorted(trials, key=lambda trial: trial.error)
            going[name] = [trial.point for trial in best[: max(1, len(best) // FEWER)]]
    return tried


def _records(plan: Plan, store: ResultsStore, method: str) -> dict[str, Record]:
    return {
        evaluation.protocol.name: record
        for job, evaluation in plan.evaluations
        if job.method.name == method and (record := store.read(evaluation.key))
    }


def _row(protocol: str, trial: Trial, chosen: bool) -> dict[str, Any]:
    return {
        "protocol": protocol,
        **trial.point,
        **trial.added,
        "validation_mae": trial.error,
        "chosen": chosen,
        "key": trial.record.key,
    }

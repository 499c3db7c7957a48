"""Tuning: choose parameters on the validation set, and test only the choice.

Each candidate is fitted and scored on the validation profiles. This is a *trial*: a record like any
other, which no table shows. The candidate with the smallest MAE there is then run under the
protocol itself.

With successive halving (Jamieson & Talwalkar 2016), candidates first train for a fraction of the
epochs. The best third of them goes on to the next round, with three times as many epochs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import pandas as pd

from genebench._util.choices import edge_note
from genebench._util.notebook import table
from genebench.errors import UserError, counted
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.plan import Plan, merge_plans
from genebench.specs import MethodSpec

REDUCTION = 3
"""Reduction factor of successive halving (η): one candidate in three goes on to the next round.

Li et al. 2018 (Hyperband) suggest 3 or 4.
"""

EPOCHS = "epochs"
"""Name of the parameter that successive halving shortens."""

Point = Mapping[str, str]
"""A candidate: parameter → value, as typed."""

Planner = Callable[[Point, Sequence[str], bool], Plan]
"""Function that plans a candidate under the named protocols. With True, it plans a trial."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search for parameters of one method.

    Attributes:
        method: the method.
        preset: preset of the parameters that are neither searched nor fixed.
        grid: parameter → values to try, as typed.
        fixed: parameter → value in every candidate, as typed.
        number: how many candidates to draw from the grid at random. None takes every combination.
        halving: whether to use successive halving.
        seed: seed of the random draw.
    """

    method: MethodSpec
    preset: str
    grid: Mapping[str, Sequence[str]]
    fixed: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None
    halving: bool = False
    seed: int = 0

    def points(self) -> list[Point]:
        """Return the candidates.

        Raises:
            UserError: there are fewer than two, or ``number`` is more than the grid has.
        """
        candidates: list[Point] = [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]
        if len(candidates) < 2:  # noqa: PLR2004  two make a choice
            raise UserError("--grid: one candidate is no choice. Write PARAM=VALUE,VALUE.")
        if self.number is None:
            return candidates
        if not 1 < self.number <= len(candidates):
            raise UserError(
                f"--random {self.number}: the grid has {len(candidates)} candidates. "
                "Draw two or more of them."
            )
        return random.Random(self.seed).sample(candidates, self.number)  # noqa: S311  no secret

    def rounds(self) -> list[Point]:
        """Return the parameters that each round adds to every candidate.

        Without halving, there is one round, which adds nothing. With it, each adds ``epochs``.

        Raises:
            UserError: with halving, the method has no epochs, or the grid holds them.
        """
        if not self.halving:
            return [{}]
        if EPOCHS in self.grid:
            raise UserError("--halving: it sets the epochs itself. Leave them out of --grid.")
        epochs = self.method.values(self.preset, self.fixed).get(EPOCHS)
        if not isinstance(epochs, int):
            raise UserError(
                f"--halving: {self.method.name} has no epochs to halve. Leave out --halving."
            )
        # Divide while a round would still drop candidates, and the first still has an epoch.
        most = min(len(self.points()), epochs)
        divisors = [1]
        while REDUCTION * divisors[-1] <= most:
            divisors.append(REDUCTION * divisors[-1])
        return [{EPOCHS: str(epochs // divisor)} for divisor in reversed(divisors)]


@dataclass(frozen=True)
class Trial:
    """A candidate in one round, under one protocol.

    Attributes:
        point: the candidate.
        added: parameters that the round adds.
        record: the result on the validation profiles.
    """

    point: Point
    added: Point
    record: Record

    @property
    def error(self) -> float:
        """MAE on the validation profiles. It is infinite for a failure."""
        return self.record.scores["mae"]["all"].mean if self.record.scores else float("inf")


@dataclass(frozen=True, repr=False)
class Tuned:
    """The result of tuning.

    Attributes:
        trials: one row per protocol, round and candidate: ``protocol``, the parameters that were
            searched (and ``epochs`` with halving), ``validation_mae`` (infinite for a failure),
            ``chosen``, ``key``.
        records: the results of the choices, and of the controls.
    """

    trials: pd.DataFrame
    records: Sequence[Record]

    def __repr__(self) -> str:
        chosen = self.trials[self.trials["chosen"]]
        searched = [
            name
            for name in self.trials
            if name not in {"protocol", "validation_mae", "chosen", "key"}
        ]
        choices = "; ".join(
            f"{row['protocol']}: {', '.join(f'{name} = {row[name]}' for name in searched)}"
            for row in chosen.to_dict("records")
        )
        return f"<Tuned by {counted(len(self.trials), 'trial')}: {choices}>"

    def _repr_html_(self) -> str:
        shown = self.trials.drop(columns="key").sort_values(["protocol", "validation_mae"])
        rows = [[*map(str, row)] for row in shown.itertuples(index=False)]
        return table([*shown.columns], rows, caption="Trials, by MAE on the validation set")

    def edges(self, names: Iterable[str]) -> list[str]:
        """Return a remark for each choice of a protocol that lies at the end of its grid.

        Args:
            names: the parameters that were searched.
        """
        remarks = []
        for protocol, trials in self.trials.groupby("protocol", sort=False):
            [chosen] = trials[trials["chosen"]].to_dict("records")
            for name in names:
                note = edge_note(name, _number(chosen[name]), {*map(_number, trials[name])})
                if note:
                    remarks.append(f"{protocol}: {note}")
        return remarks


def tune(
    search: Search,
    protocols: Sequence[str],
    plan: Planner,
    execute: Callable[[Plan], None],
    store: ResultsStore,
) -> Tuned:
    """Try all candidates, choose one for each protocol, and run each choice under its protocol.

    Args:
        search: the candidates, and how they are tried.
        protocols: names of the protocols.
        plan: plans a candidate.
        execute: executes the jobs of a plan whose results ``store`` lacks.
        store: where the results are.

    Raises:
        UserError: a parameter is unknown or out of range, or no candidate could be fitted.
    """
    trials = _try_all(search, protocols, plan, execute, store)
    choices: list[Plan] = []
    rows = []
    for name, rounds in trials.items():
        best = min(rounds[-1], key=lambda trial: trial.error)
        if not best.record.scores:
            raise UserError(
                f"{search.method.name}: no candidate could be fitted for {name}. "
                "See genebench report --trials for the failures."
            )
        # best.point has no epochs of a round: the choice is trained in full.
        choices.append(plan(best.point, [name], False))
        rows += [
            {
                "protocol": name,
                **trial.point,
                **trial.added,
                "validation_mae": trial.error,
                "chosen": trial is best,
                "key": trial.record.key,
            }
            for trials_of_round in rounds
            for trial in trials_of_round
        ]
    # All at once: a scheduler is started once, and protocols share the fit of a common choice.
    execute(merge_plans(choices))
    keys = [evaluation.key for chosen in choices for _, evaluation in chosen.evaluations]
    records = [record for key in keys if (record := store.read(key))]
    return Tuned(pd.DataFrame(rows), records)


def _number(text: object) -> object:
    """Return the number that was typed, or the text."""
    try:
        return float(str(text))
    except ValueError:
        return text


def _try_all(
    search: Search,
    protocols: Sequence[str],
    plan: Planner,
    execute: Callable[[Plan], None],
    store: ResultsStore,
) -> dict[str, list[list[Trial]]]:
    """Run all rounds, and return protocol → round → trials."""
    remaining: dict[str, list[Point]] = dict.fromkeys(protocols, search.points())
    rounds: dict[str, list[list[Trial]]] = {name: [] for name in protocols}
    for added in search.rounds():
        plans = {
            name: [plan({**point, **added}, [name], True) for point in remaining[name]]
            for name in protocols
        }
        # Merged, so that protocols share the fit of a candidate that both still try.
        execute(merge_plans(candidate for name in protocols for candidate in plans[name]))
        for name in protocols:
            trials = [
                Trial(point, added, _record_of(candidate, store, search.method.name))
                for point, candidate in zip(remaining[name], plans[name], strict=True)
            ]
            rounds[name].append(trials)
            # Failures have an infinite error, so they come last.
            ranked = sorted(trials, key=lambda trial: trial.error)
            best = ranked[: max(1, len(ranked) // REDUCTION)]
            remaining[name] = [trial.point for trial in best]
    return rounds


def _record_of(plan: Plan, store: ResultsStore, method: str) -> Record:
    """Return the record of a candidate that was planned under one protocol."""
    [evaluation] = [item for job, item in plan.evaluations if job.method.name == method]
    record = store.read(evaluation.key)
    if record is None:
        raise UserError(f"{store.root}: the record of a trial is gone. Run the command again.")
    return record

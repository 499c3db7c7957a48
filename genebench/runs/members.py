"""Members: results whose saved models another method is made of.

Before a run, each member must have a saved model, or a job that makes one. Within a job, the models
are read from the results folder.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

from genebench._util.hashing import code_digest, key_of
from genebench._util.text import typed
from genebench.errors import UserError
from genebench.method import NotApplicable
from genebench.models.saved import Saved, read_model
from genebench.plugins.registry import registry
from genebench.results.limits import cut
from genebench.results.record import UNSAVED, Identity, Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Evaluation, Job
from genebench.runs.plan import Plan, State
from genebench.specs import SealChoice

_SHOWN_LETTERS = 200
"""Letters of a failure that a message repeats."""


class MemberError(Exception):
    """A member has no model, so that no method can be made of it."""


def with_members(plan: Plan, store: ResultsStore, sealed: SealChoice = "auto") -> Plan:
    """Return a plan whose jobs keep the models that other jobs of it are made of.

    A member whose result has no model is to be done again. One that is not in the plan is looked up
    in the results, and :meth:`Plan.remaining` refuses what is missing.

    Args:
        plan: the plan, merged of all runs.
        store: the results.
        sealed: under ``require``, members must have been confined.
    """
    states: dict[str, State] = dict(plan.states)
    if sealed == "require":
        # The record's own seal says nothing about the fits of its members.
        for _, item in plan.evaluations:
            members = item.identity.members.values()
            if states[item.key] == "done" and not all(_is_confined(m.key, store) for m in members):
                states[item.key] = "to do"
    used = {
        member.key
        for _, item in plan.evaluations
        if states[item.key] != "done"
        for member in item.identity.members.values()
    }
    for key in used & states.keys():
        record = store.read(key)
        if record and record.status == "done" and _has_lost_model(record, store):
            states[key] = "to do"
    problems = {key: partial(_problem, plan.members[key], store, sealed) for key in used}
    jobs = tuple(
        replace(job, keep=job.keep | {"model"})
        if any(item.key in used for item in job.evaluations)
        else job
        for job in plan.jobs
    )
    return replace(plan, jobs=jobs, states=states, problems=problems)


def _is_confined(key: str, store: ResultsStore) -> bool:
    record = store.read(key)
    return record is not None and record.seal.level == "landlock"


def _has_lost_model(record: Record, store: ResultsStore) -> bool:
    """Return whether a result could have a saved model, and has none."""
    if record.model == UNSAVED:
        return False
    return not record.model or not store.paths.kept(record, "model").exists()


def _problem(job: Job, store: ResultsStore, sealed: SealChoice) -> str:
    """Return why the model of a member cannot be used, and what to do. Empty if it can be."""
    record = store.read(job.key)
    name, protocol = job.method.name, job.evaluations[0].protocol.name
    member = f"its member {name}"
    if record is None:
        return (
            f"{member} has no result under protocol {protocol} in {store.root}"
            f"{_alike(job, store)}. Run {_command(job, store)}, or add {name} to --methods."
        )
    if record.status != "done":
        state = "failed" if record.failure else "is not applicable"
        why = cut(record.failure.message if record.failure else record.reason, _SHOWN_LETTERS)
        again = "Run it again with --retry-failed, or leave it out."
        return f"{member} {state} under protocol {protocol} ({why}). {again}"
    if record.model == UNSAVED:
        return f"models of its member {name} cannot be saved. Leave it out."
    if _has_lost_model(record, store):
        return (
            f"the model of its member {name} under protocol {protocol} was not saved. "
            f"Run {_command(job, store)}, or add {name} to --methods."
        )
    if sealed == "require" and record.seal.level != "landlock":
        return (
            f"{member} was not confined under protocol {protocol}. "
            f"Run {_command(job, store)} --sealed require."
        )
    return ""


def _alike(job: Job, store: ResultsStore) -> str:
    """Return in what the results differ that a user may have taken for that of a member."""
    wanted = job.evaluations[0].identity
    alike: list[Identity] = []
    for key in store.keys():  # noqa: SIM118  a store is no dictionary
        # A damaged record says nothing here. Reports name it.
        with suppress(UserError):
            found = record.identity if (record := store.read(key)) else None
            if found and (found.method, found.protocol) == (wanted.method, wanted.protocol):
                alike += [] if found.is_trial else [found]
    if not alike:
        return ""
    closest = max(
        alike,
        key=lambda found: (
            found.data == wanted.data, found.params == wanted.params, found.seed == wanted.seed,
        ),
    )  # fmt: skip
    if closest.data != wanted.data:
        return ": the one there is of other data"
    if closest.params != wanted.params:
        theirs = [
            f"{name}={typed(value)}" for name, value in closest.params.items()
            if wanted.params.get(name) != value
        ]  # fmt: skip
        return f": the one there has {' '.join(theirs) or 'other parameters'}"
    if closest.seed != wanted.seed:
        return f" with seed {wanted.seed}: the one there has seed {closest.seed}"
    return ": the one there is of another version"


def _command(job: Job, store: ResultsStore) -> str:
    """Return the command that makes the result of a member with its model."""
    usual = job.method.values(job.preset, {})
    words = [
        "genebench", "run", "--methods", job.method.name,
        "--protocol", job.evaluations[0].protocol.name,
        "--dataset", job.dataset, "--preset", job.preset,
    ]  # fmt: skip
    for name, value in job.params.items():
        if usual[name] != value:
            words += ["--set", f"{job.method.name}.{name}={typed(value)}"]
    if job.seed:
        words += ["--seeds", str(job.seed + 1)]
    return shlex.join([*words, "--results", str(store.root), "--keep-models"])


def saved_members(
    job: Job, evaluation: Evaluation, store: ResultsStore
) -> Iterator[tuple[str, Saved]]:
    """Yield the method and the saved model of each member, in the order of their names.

    Models may be large, so that each is read when it is its turn.

    Raises:
        UserError: there is no such result, it was changed, or the code of its method was.
        MemberError: the member failed, or its model was not saved.
        NotApplicable: the member is not applicable.
    """
    for name in job.method.members_in(job.params):
        member = evaluation.identity.members[name]
        record = store.read(member.key)
        if record is None:
            raise UserError(
                f"{job.method.name}: its member {name} has no result yet ({member.key}). "
                "Execute the job of that member first."
            )
        if record.failure:
            message = cut(record.failure.message, _SHOWN_LETTERS)
            raise MemberError(f"its member {name} failed: {record.failure.kind}: {message}")
        if record.reason:
            reason = cut(record.reason, _SHOWN_LETTERS)
            raise NotApplicable(f"its member {name} is not applicable: {reason}")
        path = store.model_path(record)
        if path is None:
            reason = "cannot be saved" if record.model == UNSAVED else "was not saved"
            raise MemberError(f"the model of its member {name} {reason}")
        saved = read_model(path)
        if key_of(saved.identity.model_dump()) != member.key:
            raise UserError(f"{path}: this is the model of another result. Remove the record.")
        if code_digest(registry().methods.get(name).code) != saved.identity.code.digest:
            raise UserError(
                f"method {name}: its code was edited after planning. Run the command again."
            )
        yield name, saved


def member_records(evaluation: Evaluation, store: ResultsStore) -> list[Record]:
    """Return the records of the members of an evaluation, as far as there are any."""
    found = (store.read(member.key) for member in evaluation.identity.members.values())
    return [record for record in found if record]

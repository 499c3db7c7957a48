"""Checks of a protocol: its parts, its folds and its statistics on a dataset."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd

from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL, group_numbers, smallest_p
from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.child import run_python
from genebench.conformance.protocol_under_check import ProtocolSubject
from genebench.errors import UserError, some
from genebench.plugins.registry import registry
from genebench.specs import Part

_SECONDS = 300.0


@check
def says_what_it_is(subject: ProtocolSubject) -> None:
    """Write title and summary as one line of text each, and name a protocol as variant_of."""
    spec = subject.spec
    for name, text in {"title": spec.title, "summary": spec.summary}.items():
        if not text.strip() or len(text.splitlines()) > 1:
            raise Violation(f"{name} is {text!r}.")
    if spec.variant_of and not registry().protocols.plugin_of(spec.variant_of):
        raise Violation(f"variant_of is {spec.variant_of!r}, which is not installed.")


@check
def has_profiles_in_every_part(subject: ProtocolSubject) -> None:
    """Have training, validation and test profiles, in every fold."""
    for fold in subject.folds:
        for part in fold.parts:
            try:
                subject.dataset.rows(part)
            except UserError as error:
                raise Violation(f"{fold.name}: {error}") from error


@check
def has_no_profile_on_both_sides(subject: ProtocolSubject) -> None:
    """Train, validate and test on different profiles, in every fold."""
    for fold in subject.folds:
        for fitted in (fold.train, fold.validation):
            if common := _shared(subject, fitted, fold.test):
                raise Violation(f"{fold.name}: {fitted} and {fold.test} share {some(common)}.")
        if common := _shared(subject, fold.train, fold.validation):
            raise Violation(
                f"{fold.name}: {fold.train} and {fold.validation} share {some(common)}."
            )


@check
def has_no_group_on_both_sides(subject: ProtocolSubject) -> None:
    """Keep each group in one part of the split, where the split is by groups."""
    if subject.spec.test.split is None or subject.spec.test.by != "group":
        raise NothingToCheck("its test set is not one of a split by groups")
    column = subject.spec.test.column or "group"
    for fold in subject.folds:
        tested = _values(subject, fold.test, column)
        for part in (fold.train, fold.validation):
            if part.platform == fold.test.platform and (
                common := tested & _values(subject, part, column)
            ):
                raise Violation(f"{fold.name}: {column} {some(sorted(common))} is in {part}, too.")


@check
def tests_every_profile_once(subject: ProtocolSubject) -> None:
    """Test on every profile in one fold, and no more. Repeats test on different profiles."""
    spec = subject.spec
    if not spec.is_family:
        raise NothingToCheck("it has no folds")
    tests = [subject.dataset.rows(fold.test) for fold in subject.folds]
    if spec.repeats:
        if len({rows.tobytes() for rows in tests}) < len(tests):
            raise Violation("two repeats have the same test set.")
        return
    times = np.bincount(np.concatenate(tests), minlength=len(_table(subject, spec.test)))
    if times.max() > 1:
        twice = _table(subject, spec.test).index[int(times.argmax())]
        raise Violation(f"profile {twice} is in two.")
    whole = Part(platform=spec.test.platform, where=spec.test.where, without=spec.test.without)
    expected = subject.dataset.rows(whole)
    if spec.folds == "leave-one-out":
        column = spec.test.column or "group"
        filled = (_table(subject, spec.test)[column] != "").to_numpy()
        expected = expected[filled[expected]]
    if missing := int((times[expected] == 0).sum()):
        raise Violation(f"{missing} of {len(expected)} profiles are in none.")


@check
def standardises_without_test_profiles(subject: ProtocolSubject) -> None:
    """Take statistics from no test profile, unless a part declares those of the whole platform."""
    declared = [part for fold in subject.folds for part in fold.parts]
    if all(part.statistics == "platform" for part in declared):
        raise NothingToCheck("it declares the statistics of whole platforms, as published")
    for fold in subject.folds:
        for part in fold.parts:
            source = _source(part)
            if source and (common := _shared(subject, source, fold.test)):
                raise Violation(f"{fold.name}: {part} takes them from {some(common)}.")
            # Reading finds whether the statistics are there at all.
            subject.dataset.profiles(part)


@check
def gives_the_same_split_again(subject: ProtocolSubject) -> None:
    """Give the same profiles and digests in another process, whatever its hash seed."""
    here = subject.digest()
    if subject.digest() != here:
        raise Violation("the second call in this process gave others.")
    try:
        done = run_python(
            ["-m", "genebench.conformance.protocol_under_check", *subject.arguments()],
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Violation(f"the other process was not done after {_SECONDS:.0f} s.") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NothingToCheck(
            f"another process cannot read it ({lines[-1] if lines else 'no text'})"
        )
    if done.stdout.decode().split()[-1:] != [here]:
        raise Violation("another process gave others.")


@check
def can_tell_methods_apart(subject: ProtocolSubject) -> None:
    """Test on at least six groups, or profiles where no groups are known, over all folds."""
    spec, table = subject.spec, _table(subject, subject.spec.test)
    if spec.folds == "leave-one-out":
        units = len(subject.folds)
    else:
        rows = np.unique(np.concatenate([subject.dataset.rows(f.test) for f in subject.folds]))
        labels = table["group"].to_numpy(dtype=str)[rows] if "group" in table else rows.astype(str)
        units = int(group_numbers(labels).max()) + 1
    if smallest_p(units) > SIGNIFICANCE_LEVEL:
        raise Violation(
            f"there are {units} on dataset {subject.dataset_name}: the smallest p-value is "
            f"{smallest_p(units):.2g}, so that no difference can be significant."
        )


def _source(part: Part) -> Part | None:
    """Return the part that gives the statistics of a part, or None for those of a platform."""
    if isinstance(part.statistics, Part):
        return part.statistics
    if part.statistics == "platform":
        return None
    if part.split is None:
        return Part(platform="geo", split="train")
    return Part(
        platform=part.platform, split="train", by=part.by, column=part.column, fold=part.fold
    )


def _table(subject: ProtocolSubject, part: Part) -> pd.DataFrame:
    return subject.dataset.profile_table(part.platform)


def _values(subject: ProtocolSubject, part: Part, column: str) -> set[str]:
    """Return the groups of the profiles of a part. An empty cell is no group."""
    return set(_table(subject, part)[column].iloc[subject.dataset.rows(part)]) - {""}


def _shared(subject: ProtocolSubject, part: Part, other: Part) -> list[str]:
    """Return the ids of profiles that are in both parts."""
    if part.platform != other.platform:
        return []
    rows = np.intersect1d(subject.dataset.rows(part), subject.dataset.rows(other))
    return [str(name) for name in _table(subject, part).index[rows]]

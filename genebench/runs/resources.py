"""Resources of jobs: declared needs, earlier measurements, and the settings of the user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, NamedTuple

from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError, unknown
from genebench.plugins.registry import registry
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Job, Settings
from genebench.specs import DeviceChoice, Resources

FLOAT32_BYTES = 4
MEMORY_FACTOR = 1.25
"""Memory to ask for, over the measured peak, which differs between runs and machines."""
SECONDS_FACTOR = 2.0
"""Time to ask for, over the measured time. Another machine may be half as fast."""
MORE_MEMORY = 2.0
"""Memory to ask for, over the peak of a job that was stopped at its memory limit."""
OVERHEAD_BYTES = 256 << 20
"""Memory of the processes around a job: a supervisor, and the one that scores or watches it."""
LEAST_SECONDS = 60.0
"""Least time to ask for. Records leave out the start of Python and the imports."""


class _Measure(NamedTuple):
    """A fit that was measured, as far as it matters here. Equal ones are merged."""

    device: str
    data_bytes: int
    is_enough: bool
    """True if the fit came to its end. One that was stopped at a limit needs more than it had."""


class _Request(NamedTuple):
    """Bytes and seconds to ask for."""

    memory: float
    seconds: float


_Measures = dict[tuple[object, ...], dict[_Measure, _Request]]
"""Method, preset, and parameters (or none of them, for all) → measured fits."""


def with_resources(jobs: Iterable[Job], settings: Settings, store: ResultsStore) -> list[Job]:
    """Return jobs with the resources that engines are to reserve for them.

    Methods declare needs for each preset, as a function of the data. Records of the same method and
    preset refine them. Only a fit with equal parameters, on at least as many data, can lower a
    declared need. Any other fit can only raise it, and so can one that reached a limit. The user's
    settings go last.

    Args:
        jobs: the jobs.
        settings: how they are executed.
        store: the results. Each of its records is read once.

    Raises:
        UserError: a dataset is gone or damaged, or ``settings.resources`` has a mistake.
    """
    _check_names(settings)
    planned = list(jobs)
    if not planned:
        return []
    measures = _measures(store, {job.method.name for job in planned})
    sizes = _Sizes()
    with_theirs = []
    for job in planned:
        estimate = _estimate(job, sizes.of(job), settings.device, measures)
        with_theirs.append(replace(job, resources=_chosen(job, settings, estimate)))
    return with_theirs


def _check_names(settings: Settings) -> None:
    """Refuse names of methods and resources that do not exist."""
    known = [resource.name for resource in fields(Resources)]
    for method, chosen in settings.resources.items():
        if method:
            registry().methods.get(method)
        for name in chosen:
            if name not in known:
                raise unknown("resource", name, known)


class _Sizes:
    """Bytes of the training profiles of jobs. Each dataset is opened once."""

    def __init__(self) -> None:
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._sizes: dict[tuple[Any, ...], int] = {}

    def of(self, job: Job) -> int:
        """Return the bytes of a job's training profiles as float32.

        Raises:
            UserError: the dataset is gone, or damaged.
        """
        train = job.evaluations[0].protocol.train
        key = job.store, job.data, train
        if key not in self._sizes:
            known = self._datasets.get(key[:2])
            dataset = known or DataStore().open_planned(job.store, job.data)
            self._datasets[key[:2]] = dataset
            genes = len(dataset.landmark_genes) + len(dataset.target_genes)
            self._sizes[key] = FLOAT32_BYTES * len(dataset.profiles(train)) * genes
        return self._sizes[key]


def _measures(store: ResultsStore, methods: Collection[str]) -> _Measures:
    """Return what earlier records of these methods say."""
    measures: _Measures = defaultdict(dict)
    for key in store.keys():  # noqa: SIM118  a store is no dictionary
        # A damaged record says nothing here. Reports name it.
        with suppress(UserError):
            record = store.read(key)
            if record is not None and record.identity.method in methods:
                _add(measures, record)
    return measures


def _add(measures: _Measures, record: Record) -> None:
    """Add what a record says, unless it ended for a reason that says nothing."""
    reached = record.failure.kind if record.failure else ""
    # A peak of the whole process may be that of an earlier job.
    is_measured = record.peak_memory > 0 and record.peak_memory_scope == "job"
    if not is_measured or reached not in ("", "MemoryLimit", "TimeLimit"):
        return
    data_bytes = FLOAT32_BYTES * record.profiles["train"] * sum(record.genes.values())
    measure = _Measure(record.provenance.device, data_bytes, is_enough=not reached)
    factor = MORE_MEMORY if reached == "MemoryLimit" else MEMORY_FACTOR
    # The peak may be that of a member. It is the job's own if it reached the limit.
    is_own = not record.identity.members or reached == "MemoryLimit"
    memory = factor * record.peak_memory + OVERHEAD_BYTES if is_own else 0.0
    # Members are fitted by jobs of their own.
    spent = sum(record.seconds.values()) - record.seconds.get("members", 0.0)
    seconds = max(LEAST_SECONDS, SECONDS_FACTOR * spent)
    method = record.identity.method, record.preset
    # Merged at once: a sweep of 10,000 jobs is not to look at 10,000 records for each.
    for group in (method, (*method, *sorted(record.identity.params.items()))):
        other = measures[group].get(measure, _Request(0, 0))
        measures[group][measure] = _Request(max(memory, other.memory), max(seconds, other.seconds))


def _estimate(job: Job, data_bytes: int, wanted: DeviceChoice, measures: _Measures) -> Resources:
    """Return the resources of a job by its declared needs and by measurements."""
    needs = job.method.needs_for(job.preset)
    device: DeviceChoice = wanted if "cuda" in job.method.devices else "cpu"
    declared = needs.of(data_bytes, device)
    method = job.method.name, job.preset
    alike, equal = (
        # A network on a GPU needs less memory, and far less time.
        {each: asked for each, asked in measures.get(group, {}).items()
         if device in ("auto", each.device)}
        for group in (method, (*method, *sorted(job.params.items())))
    )  # fmt: skip
    is_bounded = any(each.is_enough and each.data_bytes >= data_bytes for each in equal)
    requests = [
        _scaled(asked, needs.of(each.data_bytes, device), declared)
        for each, asked in (equal if is_bounded else alike).items()
    ]
    if not is_bounded:
        requests.append(_Request(declared.memory, declared.seconds))
    least = declared.memory if job.method.members else 0
    return replace(
        declared,
        memory=int(max(least, *(each.memory for each in requests))),
        seconds=max(each.seconds for each in requests),
    )


def _scaled(asked: _Request, there: Resources, here: Resources) -> _Request:
    """Return a request for other data: it differs as the declared resources differ.

    Plain proportion would scale the libraries, too: 300 MB for 0.2 MB of data.
    """
    return _Request(
        asked.memory * (here.memory / there.memory if there.memory else 1.0),
        asked.seconds * (here.seconds / there.seconds if there.seconds else 1.0),
    )


def _chosen(job: Job, settings: Settings, estimate: Resources) -> Resources:
    """Return an estimate with the user's numbers in place of its own.

    Raises:
        UserError: a number is out of range, or not whole where it must be.
    """
    every, own = (settings.resources.get(name, {}) for name in ("", job.method.name))
    numbers: dict[str, Any] = {**every, **own}
    for name in ("cpus", "gpus", "memory"):
        if name in numbers:
            if numbers[name] % 1:
                raise UserError(
                    f"{name}={numbers[name]:g} of {job.method.name} is not a whole number. "
                    "Write a whole number, such as 2."
                )
            numbers[name] = int(numbers[name])
    try:
        return replace(estimate, **numbers)
    except ValueError as error:
        raise UserError(f"{job.method.name}: {error}. Write another number.") from None

"""Records of a job: the facts that all of them hold, and one function for each outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from genebench._util.text import encodable
from genebench.data.store import Dataset
from genebench.metrics.scoring import Scoring
from genebench.plugins.registry import registry
from genebench.results.hardware import hardware_of
from genebench.results.limits import LINE_LETTERS, cut
from genebench.results.published import is_published
from genebench.results.record import (
    RECORD_FORMAT,
    TIMING_EPOCH,
    UNSAVED,
    Energy,
    Failure,
    Identity,
    Provenance,
    Record,
    Seal,
    Status,
    Timing,
)
from genebench.results.store import ResultsStore
from genebench.runs.energy import energy_counter
from genebench.runs.jobs import Evaluation, Job, Settings
from genebench.runs.members import member_records
from genebench.runs.model_facts import ModelFacts
from genebench.runs.plan import metric_digests, wanted_metrics
from genebench.runs.provenance import Peak, PeakMemory, Stopwatch, now, provenance
from genebench.runs.seals import with_members
from genebench.sealing.client import JobProcess
from genebench.specs import MetricSpec

_NOT_STARTED = "the method was not started"
_UNSAVED_NOTE = "Its model cannot be saved, so none was kept."


@dataclass(frozen=True)
class JobFacts:
    """Facts that the records of a job hold, however the job ends.

    Attributes:
        profiles: protocol → numbers of its training, validation and test profiles.
        genes: numbers of landmark and target genes.
        published: whether the data are those of the published tables.
        metrics: protocol → the metrics to score.
        device: device that the method runs on.
        members: protocol → the results that the method is made of, as far as there are any.
    """

    profiles: Mapping[str, dict[str, int]]
    genes: Mapping[str, int]
    published: bool
    metrics: Mapping[str, list[MetricSpec]]
    device: str
    members: Mapping[str, list[Record]]

    @classmethod
    def of(cls, job: Job, settings: Settings, dataset: Dataset, device: str) -> JobFacts:
        """Return the facts about a job on a dataset. No expression is read.

        Raises:
            UserError: the dataset is damaged, or a split fails.
        """
        store = ResultsStore(settings.results)
        protocols = [evaluation.protocol for evaluation in job.evaluations]
        return cls(
            profiles={
                protocol.name: {
                    "train": len(dataset.profiles(protocol.train)),
                    "validation": len(dataset.profiles(protocol.validation)),
                    "test": len(dataset.profiles(protocol.test)),
                }
                for protocol in protocols
            },
            genes=_counts(dataset),
            published=is_published(dataset),
            metrics={
                evaluation.protocol.name: _metrics(evaluation, settings, store)
                for evaluation in job.evaluations
            },
            device=device,
            members={item.protocol.name: member_records(item, store) for item in job.evaluations},
        )


def _metrics(evaluation: Evaluation, settings: Settings, store: ResultsStore) -> list[MetricSpec]:
    """Return the metrics that are wanted, and those of an earlier record of this key.

    The new record replaces the earlier one, and should lose no costly score that it had.
    """
    earlier = store.read(evaluation.key)
    offered = registry().metrics.specs
    scored = [name for name in (earlier.metrics if earlier else ()) if name in offered]
    return wanted_metrics(registry(), [*settings.metrics, *scored])


class _Common(TypedDict):
    """The part of a record that does not depend on how the evaluation ended."""

    format: Literal[6]
    key: str
    identity: Identity
    dataset: str
    preset: str
    published_data: bool
    profiles: dict[str, int]
    genes: dict[str, int]
    metrics: dict[str, str]
    timing: Timing
    shared_fit: tuple[str, ...]
    peak_memory: int
    peak_memory_scope: Literal["job", "process"]
    seal: Seal
    provenance: Provenance


class ProcessPeak(Peak):
    """Peak memory of a job in two processes: that of the method, and this one, which scores."""

    def __init__(self, process: JobProcess, scoring: Peak) -> None:
        self._process = process
        self._scoring = scoring

    def read(self) -> int:
        """Return the larger of both peaks so far, in bytes."""
        return max(self._process.peak_memory(), self._scoring.read())


class Recorder:
    """Maker of the records of one job, with its clock.

    Attributes:
        job: the job.
        settings: how it is executed.
        facts: facts that all of its records hold.
        store: where its records go.
        clock: wall time of the phases that all evaluations share.
        seal: how far the method is kept from the test data.
    """

    def __init__(
        self,
        job: Job,
        settings: Settings,
        facts: JobFacts,
        *,
        started: str = "",
        clock: Stopwatch | None = None,
        memory: Peak | None = None,
        host: str = "",
    ) -> None:
        """Start the clock, unless the job ran in another process and was measured there.

        Args:
            job: the job.
            settings: how it is executed.
            facts: facts about the job.
            started: when the job was started (UTC, ISO 8601). Empty for now.
            clock: wall time of phases that were measured already.
            memory: peak memory of the job. By default, that of this process from now on.
            host: machine that the job ran on. Empty for this one.
        """
        self.job = job
        self.settings = settings
        self.facts = facts
        self.store = ResultsStore(settings.results)
        self.clock = clock or Stopwatch(energy=energy_counter(facts.device))
        self._started = started or now()
        self._host = host
        self._memory = memory or PeakMemory()
        self._process: JobProcess | None = None
        self.seal = Seal(level="no", reason=_NOT_STARTED)

    def follow(self, process: JobProcess, seal: Seal) -> None:
        """Take peak memory and libraries from the process that the method runs in."""
        self.seal = seal
        self._memory = ProcessPeak(process, self._memory)
        self._process = process

    def done(
        self,
        evaluation: Evaluation,
        scoring: Scoring,
        model: ModelFacts,
        clock: Stopwatch,
        files: Mapping[str, str],
    ) -> Record:
        """Return the record of an evaluation that has scores. It is not written yet.

        Args:
            evaluation: the evaluation.
            scoring: its scores.
            model: the facts that the model states about itself.
            clock: wall time and energy of each phase.
            files: kind of kept file → its digest.

        Raises:
            pydantic.ValidationError: no record can hold what the model states.
        """
        unsaved = [_UNSAVED_NOTE] if files.get("model") == UNSAVED else []
        return Record(
            **self._common(evaluation),
            status="done",
            choices=model.choices,
            notes=(*model.notes, *scoring.faults, *unsaved),
            curves=model.curves,
            scores=scoring.scores(),
            constant_truth=scoring.constant_truth,
            constant_prediction=scoring.constant_prediction,
            vectors="",  # the store adds the digest when it writes the vectors
            predictions=files.get("predictions", ""),
            model=files.get("model", ""),
            model_parameters=self._parameters(evaluation, model),
            seconds=self._seconds(evaluation, clock.seconds),
            energy=self._energy(evaluation, clock.energy()),
            failure=None,
        )

    def write_failed(self, evaluation: Evaluation, failure: Failure) -> Record:
        """Write the record of an evaluation that failed, and return it.

        Raises:
            UserError: the results cannot be written.
        """
        return self._write_without_scores(evaluation, "failed", failure=failure)

    def write_not_applicable(self, evaluation: Evaluation, reason: str) -> Record:
        """Write the record of an evaluation that the method cannot do, and return it.

        Raises:
            UserError: the results cannot be written.
        """
        text = " ".join(encodable(reason).split()) or "the method gave no reason"
        return self._write_without_scores(
            evaluation, "not applicable", reason=cut(text, LINE_LETTERS)
        )

    def _write_without_scores(
        self,
        evaluation: Evaluation,
        status: Status,
        *,
        failure: Failure | None = None,
        reason: str = "",
    ) -> Record:
        record = Record(
            **self._common(evaluation),
            status=status,
            choices={},
            notes=(),
            scores={},
            constant_truth=0,
            constant_prediction=0,
            vectors="",
            predictions="",
            seconds=self._seconds(evaluation, self.clock.seconds),
            failure=failure,
            reason=reason,
        )
        return self.store.write(record, {}, replaces=evaluation.replaces)

    def _common(self, evaluation: Evaluation) -> _Common:
        name = evaluation.protocol.name
        members = self.facts.members[name]
        origin = self._provenance()
        peaks = [(self._memory.read(), self._memory.scope)]
        peaks += [(member.peak_memory, member.peak_memory_scope) for member in members]
        peak_memory, scope = max(peaks)
        return _Common(
            format=RECORD_FORMAT,
            key=evaluation.key,
            identity=evaluation.identity,
            dataset=self.job.dataset,
            preset=self.job.preset,
            published_data=self.facts.published,
            profiles=self.facts.profiles[name],
            genes=dict(self.facts.genes),
            metrics=metric_digests(self.facts.metrics[name]),
            timing=self._timing(origin, members),
            shared_fit=tuple(item.protocol.name for item in self.job.evaluations),
            peak_memory=peak_memory,
            peak_memory_scope=scope,
            seal=with_members(self.seal, members),
            provenance=origin,
        )

    def _timing(self, origin: Provenance, members: list[Record]) -> Timing:
        """Return the epochs of the times. There is none if members were timed under others."""
        job = self.job.method
        methods = {job.name: job.timing_epoch}
        for member in members:
            methods |= member.timing.methods
        here = TIMING_EPOCH, hardware_of(origin)
        alike = all(
            (member.timing.epoch, hardware_of(member.provenance)) == here for member in members
        )
        return Timing(epoch=TIMING_EPOCH if alike else 0, methods=methods)

    def _seconds(self, evaluation: Evaluation, seconds: Mapping[str, float]) -> dict[str, float]:
        """Return the wall time of each phase, that of the members' fits included."""
        members = self.facts.members[evaluation.protocol.name]
        spent = sum(member.seconds.get("fit", 0.0) for member in members)
        return {"members": spent, **seconds} if members else dict(seconds)

    def _energy(self, evaluation: Evaluation, own: Energy | None) -> Energy | None:
        """Return the energy of each phase, that of the members' fits included if all have one."""
        members = self.facts.members[evaluation.protocol.name]
        fits = [member.energy.joules.get("fit") for member in members if member.energy]
        spent = [joules for joules in fits if joules is not None]
        if own is None or not members or len(spent) < len(members):
            return own
        return Energy(joules={"members": sum(spent), **own.joules}, method=own.method)

    def _parameters(self, evaluation: Evaluation, model: ModelFacts) -> int | None:
        """Return the number of values that a model and its members have learnt, if all say so."""
        members = self.facts.members[evaluation.protocol.name]
        numbers = [model.n_parameters, *(member.model_parameters for member in members)]
        known = [number for number in numbers if number is not None]
        return sum(known) if len(known) == len(numbers) else None

    def _provenance(self) -> Provenance:
        """Return where the work was done, and the plugins of methods, metrics and splits."""
        offered = registry().splits.plugins
        splits = {name for item in self.job.evaluations for name in item.identity.splits}
        plugins = [
            *(registry().methods.plugins[name] for name in self.job.methods),
            *registry().metrics.plugins.values(),
            # Not every entry is one of a plugin's split.
            *(offered[name] for name in sorted(splits & offered.keys())),
        ]
        # A sealed method imports libraries in its own process.
        libraries = () if self._process is None else self._process.libraries
        described = provenance(
            self.settings.command, self._started, self.facts.device, plugins, libraries
        )
        return described.model_copy(update={"host": self._host}) if self._host else described


def _counts(dataset: Dataset) -> dict[str, int]:
    """Return the numbers of genes, and of landmarks that a platform lacks, if they were filled."""
    counts = {"landmark": len(dataset.landmark_genes), "target": len(dataset.target_genes)}
    filled = max(len(item.get("filled", ())) for item in dataset.info["platforms"].values())
    return counts | ({"filled": filled} if filled else {})

"""The plan: the jobs that a request means, and which of their results exist already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Literal

from genebench._util.hashing import checksum_of, code_digest, key_of
from genebench.data.splits import outcome
from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.record import ALL_FOLDS, Code, Identity, Kept, Member, Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Evaluation, Job
from genebench.specs import MethodSpec, MetricSpec, ProtocolSpec, SealChoice, Value

if TYPE_CHECKING:
    from genebench.data.store import Dataset

NUMERICS = 1
"""Version of genebench's own arithmetic (standardisation, moments, training, scoring).

Raise it when a change there changes numbers: every key changes with it. The code of plugins has
digests, so changes of methods and metrics need no such number.
"""

_DIGEST_DIGITS = 16

State = Literal["done", "failed", "not applicable", "to do"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The user's request. Its names are not yet checked."""

    methods: Sequence[str]
    protocols: Sequence[str]
    preset: str
    every_protocol: bool = False
    """True if the user asked for all: those on platforms that the dataset lacks are left out."""
    seeds: int = 1
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Method → parameter → value, as typed."""
    grid: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Method → parameter → values, as typed. The method is run with every combination."""
    of_members: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Method → parameter → value, as typed, where the method is a member without overrides."""
    keep: frozenset[Kept] = frozenset()
    """Files to keep. Results without them are to be done again."""
    metrics: Sequence[str] = ()
    """Costly metrics to score as well. Results without them are to be done again."""
    trials: bool = False
    """True to score on the validation profiles only, and to leave out the controls."""
    sealed: SealChoice = "auto"
    """Under ``require``, results of methods that Landlock did not confine are to be done again."""


@dataclass(frozen=True)
class Plan:
    """Jobs, and the state of each of their keys in a results folder."""

    jobs: tuple[Job, ...]
    states: Mapping[str, State]
    members: Mapping[str, Job] = field(default_factory=dict)
    """Key of a result that a method is made of → the job that makes it."""
    problems: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """Key of such a result → function that returns why it cannot be used now, and what to do. Empty
    if it can. It may read all results, so it is called for those that are not in the plan."""

    @property
    def evaluations(self) -> list[tuple[Job, Evaluation]]:
        """Every evaluation with its job, in the order of the jobs."""
        return [(job, evaluation) for job in self.jobs for evaluation in job.evaluations]

    def count(self, state: State) -> int:
        """Return how many evaluations are in a state."""
        return sum(self.states[evaluation.key] == state for _, evaluation in self.evaluations)

    def remaining(self, *, retry_failed: bool = False) -> list[Job]:
        """Return the jobs with evaluations to do, each reduced to just these.

        Raises:
            UserError: a method is made of a result that is not in the plan, and that cannot be
                used. If one in the plan failed, the record of what is made of it says so.
        """
        wanted = {"to do", "failed", "not applicable"} if retry_failed else {"to do"}
        jobs = []
        for job in self.jobs:
            left = tuple(item for item in job.evaluations if self.states[item.key] in wanted)
            if left:
                jobs.append(replace(job, evaluations=left))
        outside = {
            member.key: job.method.name
            for job in jobs
            for item in job.evaluations
            for member in item.identity.members.values()
            if member.key in self.problems and member.key not in self.states
        }
        for key, method in outside.items():
            if problem := self.problems[key]():
                raise UserError(f"{method}: {problem}")
        return jobs


def make_plan(
    request: Request, dataset: Dataset | None, name: str, registry: Registry, results: ResultsStore
) -> Plan:
    """Turn a request into jobs, and look up which results exist.

    Controls are part of every plan, except one of trials. No expression is read.

    Args:
        request: what the user asked for.
        dataset: the opened dataset. With None, for one that is not built yet, keys have no meaning,
            and every job is to do.
        name: the name that the user calls the dataset by.
        registry: the specs on offer.
        results: the store of the results.

    Raises:
        UserError: an unknown name or parameter, a value out of range, a missing platform.
    """
    methods = chosen_methods(request, registry)
    protocols = registry.protocols.choose(request.protocols)
    if request.every_protocol and dataset is not None:
        protocols = on_platforms(protocols, dataset.platforms)
    if request.trials:
        for protocol in protocols:
            registry.protocols.single(protocol.name)
        protocols = [protocol.trial() for protocol in protocols]
    if dataset is not None:
        _check_parts(protocols, dataset, registry)
        # Without the data, folds are not known, and the protocol stands for them.
        protocols = [one for item in protocols for one in each_fold(item, dataset, registry)]
        for protocol in protocols:
            _check_size(protocol, dataset)
    if request.seeds < 1:
        raise UserError(f"seeds={request.seeds}: at least one seed is needed. Use 1 or more.")
    planner = _Planner(request, dataset, name, registry)
    jobs = [
        job
        for method in methods
        for seed in range(request.seeds)
        for job in planner.jobs(method, seed, protocols)
    ]
    metrics = metric_digests(wanted_metrics(registry, request.metrics))
    states: dict[str, State] = {}
    for index, job in enumerate(jobs):
        [evaluation] = job.evaluations
        record = None if dataset is None else results.read(evaluation.key)
        states[evaluation.key] = _state(record, metrics, request.keep, request.sealed)
        if record:
            known = replace(evaluation, replaces=record.version)
            jobs[index] = replace(job, evaluations=(known,))
    # A grid may hold one point twice, as in k=3,3.
    return merge_plans([Plan(tuple(jobs), states, planner.members)])


def chosen_methods(request: Request, registry: Registry) -> list[MethodSpec]:
    """Return the methods of a request with the controls, once names and parameters are checked.

    Raises:
        UserError: an unknown name, a parameter of a method that is not run, or a method that is
            made of something that it cannot be made of.
    """
    methods = registry.methods.choose(request.methods)
    # Every table shows its methods between the controls. No table shows a trial.
    if not request.trials:
        controls = [spec for spec in registry.methods.specs.values() if spec.control]
        methods = [*(spec for spec in controls if spec not in methods), *methods]
    chosen = {method.name for method in methods}
    _check_methods_of(request.grid, chosen, registry)
    members = {
        spec.name
        for method in methods
        for point in _points(request, method)
        for spec in _member_specs(method, method.values(request.preset, point), request, registry)
    }
    _check_methods_of(request.overrides, chosen | members, registry)
    return methods


def merge_plans(plans: Iterable[Plan]) -> Plan:
    """Merge plans: drop duplicate evaluations and group those that can share one fit."""
    jobs: dict[tuple[object, ...], list[Job]] = {}
    states: dict[str, State] = {}
    members: dict[str, Job] = {}
    problems: dict[str, Callable[[], str]] = {}
    for plan in plans:
        members |= plan.members
        problems |= plan.problems
        for job in plan.jobs:
            for item in job.evaluations:
                if item.key in states:
                    continue
                states[item.key] = plan.states[item.key]
                alike = jobs.setdefault(_fit_key(job), [])
                for index, merged in enumerate(alike):
                    if all(
                        _may_share(item.protocol, other.protocol) for other in merged.evaluations
                    ):
                        alike[index] = replace(merged, evaluations=(*merged.evaluations, item))
                        break
                else:
                    alike.append(replace(job, evaluations=(item,)))
    merged_jobs = tuple(job for alike in jobs.values() for job in alike)
    return Plan(merged_jobs, states, members, problems)


def _may_share(protocol: ProtocolSpec, other: ProtocolSpec) -> bool:
    """Return whether one fit may serve two protocols with the same training profiles.

    The fit is given the validation sets of both. Neither may hold profiles that the other tests on.
    A trial is scored on its own validation set, so nothing is given away there.
    """
    return protocol.is_trial or not (
        protocol.validation.overlaps(other.test) or other.validation.overlaps(protocol.test)
    )


def _fit_key(job: Job) -> tuple[object, ...]:
    """Return the properties that two jobs have in common when one fit serves both.

    Trials stay apart, though they train alike: a trial is never run together with a test. So do
    protocols of a method that is made of others. It is given other models for each of them, which
    need not be in memory together. So do protocols that a method declares that it cannot do.
    """
    evaluation = job.evaluations[0]
    protocol = evaluation.protocol
    params = tuple(sorted(job.params.items()))
    against = job.method.reason_against(protocol.name)
    alone = evaluation.key if evaluation.identity.members or against else ""
    return job.method.name, params, job.seed, job.data, protocol.train, protocol.is_trial, alone


class _Planner:
    """Factory of jobs from checked names.

    Attributes:
        members: key of a result that a method is made of → the job that makes it.
    """

    def __init__(
        self, request: Request, dataset: Dataset | None, name: str, registry: Registry
    ) -> None:
        self.request = request
        self.dataset = dataset
        self.name = name
        self.registry = registry
        self.members: dict[str, Job] = {}

    def jobs(
        self, method: MethodSpec, seed: int, protocols: Iterable[ProtocolSpec]
    ) -> Iterator[Job]:
        """Yield one job for each point of the grid and each protocol that the seed matters for."""
        request = self.request
        for overrides, protocol in product(_points(request, method), protocols):
            params = method.values(request.preset, overrides)
            specs = _member_specs(method, params, request, self.registry)
            if seed and not any(spec.stochastic for spec in (method, *specs)):
                continue
            if method.members:
                params[method.members] = ",".join(spec.name for spec in specs)
            members = {spec.name: self._member(spec, seed, protocol) for spec in specs}
            yield self._job(method, params, seed, protocol, members)

    def _job(
        self,
        method: MethodSpec,
        params: dict[str, Value],
        seed: int,
        protocol: ProtocolSpec,
        members: dict[str, Member],
    ) -> Job:
        identity = self._identity(method, params, seed, protocol, members)
        return Job(
            dataset=self.name,
            store=self.name if self.dataset is None else self.dataset.name,
            data="" if self.dataset is None else self.dataset.digest,
            preset=self.request.preset,
            method=method,
            params=params,
            seed=seed,
            evaluations=(Evaluation(protocol, identity, key_of(identity.model_dump())),),
        )

    def _member(self, spec: MethodSpec, seed: int, protocol: ProtocolSpec) -> Member:
        """Return the result of a member that has the model for a protocol."""
        request = self.request
        overrides = request.overrides.get(spec.name) or request.of_members.get(spec.name, {})
        job = self._job(
            spec,
            spec.values(request.preset, overrides),
            seed if spec.stochastic else 0,
            # A trial has the same validation set, so the same model serves it.
            self.registry.protocols.get(protocol.name),
            {},
        )
        self.members[job.key] = job
        identity = job.evaluations[0].identity
        return Member(
            key=job.key,
            variant=key_of(identity.without_seed()),
            distribution=identity.code.distribution,
        )

    def _identity(
        self,
        method: MethodSpec,
        params: dict[str, Value],
        seed: int,
        protocol: ProtocolSpec,
        members: dict[str, Member],
    ) -> Identity:
        """Return everything that a result depends on, and nothing else."""
        plugin = self.registry.methods.plugins[method.name]
        return Identity(
            method=method.name,
            params=params,
            seed=seed,
            protocol=protocol.name,
            protocol_version=protocol.version,
            train=str(protocol.train),
            validation=str(protocol.validation),
            test=str(protocol.test),
            data="" if self.dataset is None else self.dataset.digest,
            code=Code(
                distribution=plugin.distribution,
                version=plugin.version,
                digest=code_digest(method.code),
            ),
            numerics=NUMERICS,
            splits={}
            if self.dataset is None
            else split_digests(protocol, self.dataset, self.registry),
            members=members,
        )


def _points(request: Request, method: MethodSpec) -> Iterator[dict[str, str]]:
    """Yield parameter → value, as typed, for every combination in the method's grid."""
    fixed = request.overrides.get(method.name, {})
    grid = request.grid.get(method.name, {})
    for values in product(*grid.values()):
        yield {**fixed, **dict(zip(grid, values, strict=True))}


def _member_specs(
    method: MethodSpec, params: Mapping[str, Value], request: Request, registry: Registry
) -> list[MethodSpec]:
    """Return the methods that a method is made of, in the order of their names.

    Raises:
        UserError: it lists no method, one twice, or one that it cannot be made of.
    """
    names, owner = method.members_in(params), f"{method.name}.{method.members}"
    if method.members and not names:
        raise UserError(
            f"{owner} lists no methods. Name those that {method.name} is to be made of, such as "
            f"--set {owner}=lsr-l2,knn-ge."
        )
    for name in names:
        try:
            spec = registry.methods.get(name)
        except UserError as error:
            raise UserError(f"{owner}: {error}") from None
        fault = (
            "is listed twice. List it once"
            if names.count(name) > 1
            else "is a control. List methods that learn"
            if spec.control
            else "is made of other methods itself. List these"
            if spec.members
            else "has a grid, so that it has several results. Set one value, or list another method"
            if request.grid.get(name)
            else ""
        )
        if fault:
            raise UserError(f"{owner}: {name} {fault}.")
    return [registry.methods.get(name) for name in names]


def each_fold(protocol: ProtocolSpec, dataset: Dataset, registry: Registry) -> list[ProtocolSpec]:
    """Return the protocols of all folds on a dataset, or the protocol itself if it has none.

    Raises:
        UserError: a fold leaves a part without profiles, or repeats are all the same.
    """
    if not protocol.is_family:
        return [protocol]
    folds = [
        registry.protocols.get(protocol.one_fold(label).name) for label in dataset.folds(protocol)
    ]
    tests = {outcome(dataset.rows(fold.test)) for fold in folds}
    if protocol.repeats and len(tests) == 1:
        raise UserError(
            f"protocol {protocol.name} repeats split {protocol.test.by}, which does not depend on "
            "the seed. Use a split that does, or leave out repeats."
        )
    return folds


def split_digests(protocol: ProtocolSpec, dataset: Dataset, registry: Registry) -> dict[str, str]:
    """Return split → digest, for each split of a plugin that a protocol uses.

    The digest covers the code of the split, the split seed, and the profile tables that it splits.
    The digest of the dataset leaves out most columns of these tables. Built-in splits have no
    digest: a change of theirs raises :data:`NUMERICS`.

    Parts that depend on other columns have a digest of their profiles, as ``rows of train``. Folds
    have an entry ``all folds`` with their kind, their number, and a digest of all their test sets.

    Raises:
        UserError: there is no such split, column or fold, a part is empty, or the dataset is
            damaged.
    """
    digests = {}
    for role, part in zip(("train", "validation", "test"), protocol.parts, strict=True):
        if any(source.reads_table for source in part.sources):
            rows = [outcome(dataset.rows(replace(item, profiles=0))) for item in part.sources]
            digests[f"rows of {role}"] = checksum_of(rows)[:_DIGEST_DIGITS]
    if fold := protocol.test.fold:
        labels = dataset.folds(protocol)
        tests = [replace(protocol.test, fold=replace(fold, label=label)) for label in labels]
        content = [labels, [outcome(dataset.rows(test)) for test in tests]]
        digests[ALL_FOLDS] = f"{fold.kind}/{len(labels)}/{checksum_of(content)[:_DIGEST_DIGITS]}"
    sources = [source for part in protocol.parts for source in part.sources]
    for name in sorted({source.by for source in sources if source.split}):
        code = registry.splits.get(name).code
        if registry.splits.plugins[name].distribution == PROJECT:
            continue
        platforms = sorted({source.platform for source in sources if source.by == name})
        tables = {platform: dataset.table_checksum(platform) for platform in platforms}
        digests[name] = checksum_of([code, code_digest(code), dataset.split_seed, tables])[
            :_DIGEST_DIGITS
        ]
    return digests


def on_platforms(protocols: list[ProtocolSpec], platforms: Collection[str]) -> list[ProtocolSpec]:
    """Return the protocols whose platforms a dataset has, or all if that leaves none."""
    fitting = [
        protocol
        for protocol in protocols
        if all(part.platform in platforms for part in protocol.parts)
    ]
    return fitting or protocols


def _check_parts(protocols: Iterable[ProtocolSpec], dataset: Dataset, registry: Registry) -> None:
    for protocol in protocols:
        for part in (source for role in protocol.parts for source in role.sources):
            registry.splits.get(part.by)
            if part.platform not in dataset.platforms:
                raise UserError(
                    f"protocol {protocol.name} needs platform {part.platform}, which dataset "
                    f"{dataset.name} lacks. Choose a protocol on the platforms that it has: "
                    f"{', '.join(dataset.platforms)}."
                )


def _check_size(protocol: ProtocolSpec, dataset: Dataset) -> None:
    train = protocol.train
    if train.profiles:
        available = len(dataset.rows(replace(train, profiles=0)))
        if train.profiles > available:
            raise UserError(
                f"protocol {protocol.name} needs {train.profiles:,} training profiles, and "
                f"dataset {dataset.name} has {available:,}. Choose a smaller size, or all."
            )
        # One training set would have two names, keys and fits.
        if train.profiles == available:
            raise UserError(
                f"protocol {protocol.name}: {available:,} are all training profiles of dataset "
                f"{dataset.name}. Leave out the size, or choose all."
            )


def _check_methods_of(
    parameters: Iterable[str], chosen: Collection[str], registry: Registry
) -> None:
    """Refuse parameters of methods that are not run: no user sets them on purpose."""
    for name in parameters:
        if registry.methods.get(name).name not in chosen:
            raise UserError(
                f"a parameter of {name} is set, but {name} is not among the methods. "
                "Add the method, or remove the parameter."
            )


def wanted_metrics(registry: Registry, asked: Iterable[str] = ()) -> list[MetricSpec]:
    """Return every metric that is not costly, and those that are asked for.

    Args:
        registry: the specs on offer.
        asked: names of metrics. ``all`` stands for every one.

    Raises:
        UserError: an unknown name.
    """
    names = list(asked)
    chosen = {spec.name for spec in registry.metrics.choose(names)} if names else set()
    return [
        spec for spec in registry.metrics.specs.values() if not spec.costly or spec.name in chosen
    ]


def metric_digests(metrics: Iterable[MetricSpec]) -> dict[str, str]:
    """Return metric → digest of its code."""
    return {spec.name: code_digest(spec.code) for spec in metrics}


def _state(
    record: Record | None, metrics: Mapping[str, str], keep: Iterable[Kept], sealed: SealChoice
) -> State:
    """Return the state of a result.

    It is done when all wanted metrics were scored by their present code, all wanted files kept, and
    the method was confined, if that is required.
    """
    if record is None or (sealed == "require" and record.seal.level != "landlock"):
        return "to do"
    if record.status != "done":
        return record.status
    scored = metrics.items() <= record.metrics.items()
    # A model that cannot be saved has "none" for a digest, which counts: it will never be saved.
    digests = {"predictions": record.predictions, "model": record.model}
    return "done" if scored and all(digests[kind] for kind in keep) else "to do"

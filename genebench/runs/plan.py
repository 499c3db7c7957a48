"""The plan: what to do, as data. Jobs are frozen; their keys say what a result depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from typing import TYPE_CHECKING, Literal

from genebench._util.hashing import checksum_of, code_digest, key_of
from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import Registry
from genebench.results.record import Code, Identity, Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Evaluation, Job, Kept
from genebench.specs import MethodSpec, MetricSpec, ProtocolSpec, Value

if TYPE_CHECKING:
    from genebench.data.store import Dataset

NUMERICS = 1
"""Raised when a change of genebench itself (units, moments, training, scoring) changes numbers:
every key changes with it. Methods and metrics of plugins have digests of their own."""

_DIGEST_DIGITS = 16

State = Literal["done", "failed", "to do"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; names are not yet checked."""

    methods: Sequence[str]
    protocols: Sequence[str]
    preset: str
    seeds: int = 1
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Method → parameter → value, as typed."""
    grid: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Method → parameter → values, as typed; the method is run with every combination."""
    keep: frozenset[Kept] = frozenset()
    """Results without these are to be done again."""
    metrics: Sequence[str] = ()
    """Costly metrics to score as well; results without them are to be done again."""
    trials: bool = False
    """Whether to score on the validation profiles only, and leave out the controls."""


@dataclass(frozen=True)
class Plan:
    """Jobs, and the state of each of their keys in a results folder."""

    jobs: tuple[Job, ...]
    states: Mapping[str, State]

    @property
    def evaluations(self) -> list[tuple[Job, Evaluation]]:
        """Every job's evaluations, in order."""
        return [(job, evaluation) for job in self.jobs for evaluation in job.evaluations]

    def count(self, state: State) -> int:
        """How many evaluations are in that state."""
        return sum(self.states[evaluation.key] == state for _, evaluation in self.evaluations)

    def remaining(self, *, retry_failed: bool = False) -> list[Job]:
        """Jobs that still have something to do, reduced to just that."""
        wanted = {"to do", "failed"} if retry_failed else {"to do"}
        reduced = []
        for job in self.jobs:
            left = tuple(item for item in job.evaluations if self.states[item.key] in wanted)
            if left:
                reduced.append(replace(job, evaluations=left))
        return reduced


def make_plan(
    request: Request, dataset: Dataset, name: str, registry: Registry, results: ResultsStore
) -> Plan:
    """Turn a request into jobs, and look up what is already there.

    Controls are part of every plan. Nothing is read of the data but what the dataset declares.

    Raises:
        UserError: an unknown name or parameter, a value out of range, a missing platform.
    """
    methods = registry.methods.choose(request.methods)
    protocols = registry.protocols.choose(request.protocols)
    if request.trials:
        protocols = [protocol.trial() for protocol in protocols]
    else:
        methods = _with_controls(methods, registry)
    _check_parts(protocols, dataset, registry)
    for named in (request.overrides, request.grid):
        _check_named(named, methods, registry)
    if request.seeds < 1:
        raise UserError(f"seeds={request.seeds}: at least one seed is needed")
    planner = _Planner(request, dataset, name, registry)
    jobs = [
        job
        for method in methods
        for seed in range(request.seeds if method.stochastic else 1)
        for job in planner.jobs(method, seed, protocols)
    ]
    keys = [evaluation.key for job in jobs for evaluation in job.evaluations]
    metrics = metric_digests(wanted_metrics(registry, request.metrics))
    states = {key: _state(results.read(key), metrics, request.keep) for key in keys}
    return merged([Plan(tuple(jobs), states)])


def merged(plans: Iterable[Plan]) -> Plan:
    """One plan of several: what more than one of them asks for is done once, and so is a fit."""
    jobs: dict[tuple[object, ...], Job] = {}
    states: dict[str, State] = {}
    for plan in plans:
        for job in plan.jobs:
            new = tuple(item for item in job.evaluations if item.key not in states)
            states |= {item.key: plan.states[item.key] for item in new}
            known = jobs.get(_fit(job))
            if known:
                jobs[_fit(job)] = replace(known, evaluations=(*known.evaluations, *new))
            elif new:
                jobs[_fit(job)] = replace(job, evaluations=new)
    return Plan(tuple(jobs.values()), states)


def _fit(job: Job) -> tuple[object, ...]:
    """What two jobs have in common when one fit serves both."""
    protocol = job.evaluations[0].protocol
    params = tuple(sorted(job.params.items()))
    return job.method.name, params, job.seed, job.data, protocol.train, protocol.is_trial


@dataclass(frozen=True)
class _Planner:
    """Turns checked names into jobs."""

    request: Request
    dataset: Dataset
    name: str
    registry: Registry

    def jobs(
        self, method: MethodSpec, seed: int, protocols: Iterable[ProtocolSpec]
    ) -> Iterator[Job]:
        """One job for each point of the grid and each set of training profiles."""
        preset = self.request.preset
        shared = [
            list(sharing) for _, sharing in groupby(sorted(protocols, key=_train), key=_train)
        ]
        for overrides, sharing in product(self._points(method), shared):
            params = method.values(preset, overrides)
            identities = [
                (protocol, self.identity(method, params, seed, protocol)) for protocol in sharing
            ]
            yield Job(
                dataset=self.name,
                store=self.dataset.name,
                data=self.dataset.digest,
                preset=preset,
                method=method,
                params=params,
                seed=seed,
                evaluations=tuple(
                    Evaluation(protocol, identity, key_of(identity.model_dump()))
                    for protocol, identity in identities
                ),
            )

    def _points(self, method: MethodSpec) -> Iterator[dict[str, str]]:
        """The parameters to set, for every combination that the grid has for a method."""
        fixed = self.request.overrides.get(method.name, {})
        grid = self.request.grid.get(method.name, {})
        for values in product(*grid.values()):
            yield {**fixed, **dict(zip(grid, values, strict=True))}

    def identity(
        self, method: MethodSpec, params: dict[str, Value], seed: int, protocol: ProtocolSpec
    ) -> Identity:
        """Exactly what the result depends on."""
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
            data=self.dataset.digest,
            code=Code(
                distribution=plugin.distribution,
                version=plugin.version,
                digest=code_digest(method.code),
            ),
            numerics=NUMERICS,
            splits=split_digests(protocol, self.dataset, self.registry),
        )


def _train(protocol: ProtocolSpec) -> str:
    return str(protocol.train)


def _with_controls(methods: list[MethodSpec], registry: Registry) -> list[MethodSpec]:
    controls = [spec for spec in registry.methods.specs.values() if spec.control]
    return [*(spec for spec in controls if spec not in methods), *methods]


def split_digests(protocol: ProtocolSpec, dataset: Dataset, registry: Registry) -> dict[str, str]:
    """Return split → digest, for each split of a plugin that a protocol uses.

    The digest covers the code of the split, the split seed, and the profile tables that it splits.
    The digest of the dataset leaves out most columns of these tables. Built-in splits have no
    digest: a change of theirs raises :data:`NUMERICS`.

    Raises:
        UserError: there is no such split, or the dataset is damaged.
    """
    digests = {}
    for name in sorted({part.by for part in protocol.parts if part.split}):
        code = registry.splits.get(name).code
        if registry.splits.plugins[name].distribution == PROJECT:
            continue
        platforms = sorted({part.platform for part in protocol.parts if part.by == name})
        tables = {platform: dataset.table_checksum(platform) for platform in platforms}
        content = [code, code_digest(code), dataset.split_seed, tables]
        digests[name] = checksum_of(content)[:_DIGEST_DIGITS]
    return digests


def _check_parts(protocols: Iterable[ProtocolSpec], dataset: Dataset, registry: Registry) -> None:
    for protocol in protocols:
        for part in protocol.parts:
            registry.splits.get(part.by)
            if part.platform not in dataset.platforms:
                raise UserError(
                    f"protocol {protocol.name} needs platform {part.platform}, which dataset "
                    f"{dataset.name} lacks; it has {', '.join(dataset.platforms)}"
                )


def _check_named(
    parameters: Mapping[str, object], methods: Iterable[MethodSpec], registry: Registry
) -> None:
    chosen = [method.name for method in methods]
    for name in parameters:
        if registry.methods.get(name).name not in chosen:
            raise UserError(f"a parameter of {name} is set, but {name} is not among the methods")


def wanted_metrics(registry: Registry, asked: Iterable[str] = ()) -> list[MetricSpec]:
    """Every metric that is not costly, and those that are asked for (``all``: every one).

    Raises:
        UserError: an unknown name.
    """
    names = list(asked)
    chosen = {spec.name for spec in registry.metrics.choose(names)} if names else set()
    return [
        spec for spec in registry.metrics.specs.values() if not spec.costly or spec.name in chosen
    ]


def metric_digests(metrics: Iterable[MetricSpec]) -> dict[str, str]:
    """Metric → digest of its code."""
    return {spec.name: code_digest(spec.code) for spec in metrics}


def _state(record: Record | None, metrics: Mapping[str, str], keep: Iterable[Kept]) -> State:
    """A result counts as done when every metric wanted has scored it, by the code of today."""
    if record is None:
        return "to do"
    if record.status == "failed":
        return "failed"
    scored = metrics.items() <= record.metrics.items()
    kept = {"predictions": record.predictions, "model": record.model}
    return "done" if scored and all(kept[what] for what in keep) else "to do"

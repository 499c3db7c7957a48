"""Jobs, evaluations and settings: the pure data that engines and observers are given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from genebench._util.text import typed
from genebench.errors import unknown
from genebench.results.record import Identity, Kept
from genebench.specs import (
    DeviceChoice,
    MethodSpec,
    ProtocolSpec,
    Resources,
    Scalar,
    SealChoice,
    Value,
)


@dataclass(frozen=True)
class Evaluation:
    """The share of one protocol in a job. It becomes one record."""

    protocol: ProtocolSpec
    """The protocol, which names the validation set and the test set."""
    identity: Identity
    """Everything that the scores depend on."""
    key: str
    """Hash of the identity, and name of the record."""
    replaces: str = ""
    """Checksum of the record that this evaluation replaces. Empty if there was none when the job
    was planned. A record with another checksum was written since, and stays: the first one wins."""


@dataclass(frozen=True)
class Job:
    """One fit, and every protocol that it serves. They all share the training profiles."""

    dataset: str
    """Name that the user calls the dataset by."""
    store: str
    """Name that the dataset is prepared under."""
    data: str
    """Digest of the dataset."""
    preset: str
    """Preset that parameters were taken from."""
    method: MethodSpec
    """The method to fit."""
    params: Mapping[str, Value]
    """Parameters in effect, all of them."""
    seed: int
    """Seed. It is 0 for a deterministic method, unless one that it is made of is stochastic."""
    evaluations: tuple[Evaluation, ...]
    """One for each protocol. All have the same training profiles."""
    resources: Resources = field(default_factory=Resources)
    """Resources that engines with many machines reserve. They do not change the key."""
    keep: frozenset[Kept] = frozenset()
    """Files to keep besides those of the settings: the model, if another job is made of it."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods whose code runs: the method, and those that it is made of."""
        return (self.method.name, *self.method.members_in(self.params))

    @property
    def key(self) -> str:
        """Name of the job: the key of its first evaluation."""
        return self.evaluations[0].key

    @property
    def label(self) -> str:
        """Name of the job in messages: method, parameters that differ, seed, dataset, protocols."""
        has_seed = self.method.stochastic or self.method.members
        seed = f" seed {self.seed}" if has_seed else ""
        protocols = ", ".join(evaluation.protocol.name for evaluation in self.evaluations)
        # Only what differs from the preset, or a network would fill the line.
        usual = self.method.values(self.preset, {})
        changed = [
            f" {name}={typed(value)}" for name, value in self.params.items() if usual[name] != value
        ]
        return f"{self.method.name}{''.join(changed)}{seed} on {self.dataset} ({protocols})"


def default_seal() -> SealChoice:
    """Return the choice of the environment variable ``GENEBENCH_SEALED``, or ``auto``.

    Raises:
        UserError: the variable holds something else.
    """
    return seal_choice(os.environ.get("GENEBENCH_SEALED") or "auto")


def seal_choice(name: str) -> SealChoice:
    """Return a choice of methods to seal, by name.

    Raises:
        UserError: there is no such choice.
    """
    choice: SealChoice
    for choice in get_args(SealChoice):
        if choice == name:
            return choice
    raise unknown("choice of --sealed", name, get_args(SealChoice))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How jobs are executed. Nothing here changes the key of a result."""

    results: Path
    """Folder of the results."""
    device: DeviceChoice = "auto"
    """Device that the user asks for."""
    keep: frozenset[Kept] = frozenset()
    """Files to keep besides the scores."""
    metrics: tuple[str, ...] = ()
    """Names of costly metrics to score as well."""
    command: str = "python"
    """The command line, for the record."""
    time_limit: float | None = None
    """Seconds that a job may take, or None. Only some engines keep it."""
    memory_limit: int | None = None
    """Bytes that a job may hold, mapped files not counted, or None. Only some engines keep it."""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    """Options of the engine, as :meth:`genebench.specs.EngineSpec.values` gives them."""
    resources: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Method → ``cpus``, ``gpus``, ``memory`` (bytes) or ``seconds`` → the number to reserve, in
    place of the estimate. An empty name stands for every method."""
    local_copy: bool = False
    """True if engines with many machines copy the data to each of them once."""
    sealed: SealChoice = field(default_factory=default_seal)
    """Which methods run in a sealed process. By default, as ``GENEBENCH_SEALED`` says, or ``auto``:
    those that genebench does not ship."""

    def __post_init__(self) -> None:
        # Absolute, because a worker or another machine has its own working directory.
        object.__setattr__(self, "results", self.results.absolute())

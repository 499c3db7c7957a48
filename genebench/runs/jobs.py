"""Jobs, evaluations and settings: the pure data that engines and observers are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genebench.results.record import Identity
from genebench.specs import DeviceChoice, MethodSpec, ProtocolSpec, Value

Kept = Literal["predictions", "model"]
"""Files that may be kept of a result besides its scores."""


@dataclass(frozen=True)
class Evaluation:
    """One protocol's share of a job: it becomes one record."""

    protocol: ProtocolSpec
    """The protocol: its validation set and its test set."""
    identity: Identity
    """All that its numbers depend on."""
    key: str
    """Hash of the identity: the name of the record."""


@dataclass(frozen=True)
class Job:
    """One fit, and every protocol that is served by it (they share the training profiles)."""

    dataset: str
    """Name that the user runs it by."""
    store: str
    """Name it is prepared under."""
    data: str
    """Its digest."""
    preset: str
    """What values of parameters were taken from."""
    method: MethodSpec
    """What is fitted."""
    params: Mapping[str, Value]
    """Parameters in effect, every one."""
    seed: int
    """Seed; 0 for a deterministic method."""
    evaluations: tuple[Evaluation, ...]
    """One for each protocol; all have the same training profiles."""

    @property
    def label(self) -> str:
        """What to call the job in messages."""
        seed = f" seed {self.seed}" if self.method.stochastic else ""
        protocols = ", ".join(evaluation.protocol.name for evaluation in self.evaluations)
        usual = self.method.values(self.preset, {})
        changed = [
            f" {name}={value}" for name, value in self.params.items() if usual[name] != value
        ]
        return f"{self.method.name}{''.join(changed)}{seed} on {self.dataset} ({protocols})"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to execute jobs; nothing here changes a result's key."""

    results: Path
    device: DeviceChoice = "auto"
    keep: frozenset[Kept] = frozenset()
    metrics: tuple[str, ...] = ()
    """Costly metrics to score as well."""
    command: str = "python"
    time_limit: float | None = None
    """Seconds that a job may take, where the engine can stop it."""
    memory_limit: int | None = None
    """Bytes of its own that a job may hold, where the engine can stop it."""

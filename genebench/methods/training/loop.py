"""The loop: epochs of shuffled mini-batches, and the best epoch for each validation set.

One training serves every validation set. What is chosen on one depends on no other: each has its
own best epoch, its own patience, its own copy of the weights, and all randomness comes from the
seed and the epoch. So a run asked for one set only, or continued from a checkpoint, ends with the
same weights; on the CPU in float32, to the bit. A run may continue on another device than it began
on, with that device's rounding from there on.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from genebench.data.profiles import Profiles
from genebench.errors import some
from genebench.method import Context, Curve
from genebench.methods.training.batches import Source, sources
from genebench.methods.training.checkpoint import Checkpoint
from genebench.methods.training.errors import CheckpointError, DivergedError, memory_advice
from genebench.methods.training.history import TrainingHistory
from genebench.methods.training.learner import Learner, generator
from genebench.specs import Value

CHECKPOINT_SECONDS = 60.0
"""Least time between checkpoints."""
CHECKPOINT_RATIO = 20.0
"""Least time between checkpoints, over the time that writing one takes."""
_EVALUATED = 1024
"""Profiles predicted at a time, when evaluating."""
_TOLD_SECONDS = 1.0
"""Time between calls of the progress within an epoch."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Trained:
    """What training gave for one validation set.

    Attributes:
        weights: for each part, its tensors as they were after its best epoch.
        choices: the best epoch (of each part) and the validation MAE of the whole.
        notes: remarks for the reader of the result.
        curves: ``learning``: epoch, losses, and MAE on the validation set.
    """

    weights: Sequence[Tensors]
    choices: Mapping[str, Value]
    notes: tuple[str, ...]
    curves: Mapping[str, Curve]


def train(
    create: Callable[[], Learner],
    profiles: Profiles,
    validation_sets: Mapping[str, Profiles],
    context: Context,
    params: Mapping[str, Any],
) -> dict[str, Trained]:
    """Train, and keep the best epoch for each validation set.

    Args:
        create: makes the networks; called once.
        profiles: the training profiles.
        validation_sets: validation sets by name.
        context: seed, device, progress, and the folder for checkpoints, if any.
        params: the method's parameters; those of ``training_params`` among them.

    Raises:
        DivergedError: the loss or a prediction is no longer finite.
        OutOfMemoryError: the device's memory does not hold it.
    """
    with memory_advice(context.device, params):
        return _Training(create(), profiles, validation_sets, context, params).run()


class _Training:
    """One run of the loop."""

    def __init__(
        self,
        learner: Learner,
        profiles: Profiles,
        validation_sets: Mapping[str, Profiles],
        context: Context,
        params: Mapping[str, Any],
    ) -> None:
        self.learner, self.context, self.params = learner, context, params
        self.history = TrainingHistory.start(
            [_width(part) for part in learner.parts], validation_sets
        )
        self.kept: dict[tuple[int, int], Tensors] = {}
        """(part, epoch) → weights, for every best epoch."""
        self.notes: list[str] = []
        self.checkpoint = _checkpoint(learner, profiles, context, params)
        every = [profiles, *validation_sets.values()]
        self.train, *others = sources(every, context.device, params["storage"])
        self.validation_sets = dict(zip(validation_sets, others, strict=True))
        self.monitored = _subset(len(profiles), learner.monitored, context.seed)
        self.steps = math.ceil(len(profiles) / params["batch"])
        self._told = self._saved = time.monotonic()
        self._saving = 0.0

    def run(self) -> dict[str, Trained]:
        self._continue()
        while not self._finished():
            began = time.monotonic()
            self._epoch(self.history.epoch + 1)
            self.history.seconds += time.monotonic() - began
            self._save()
        return {name: self._trained(name) for name in self.validation_sets}

    def _finished(self) -> bool:
        done, minutes = self.history.epoch, self.params["minutes"]
        if minutes and self.history.seconds >= 60 * minutes:
            self.notes.append(f"stopped after epoch {done}: minutes={minutes:g} were up")
            return True
        return self.history.over or done >= self.params["epochs"]

    def _epoch(self, epoch: int) -> None:
        self.learner.begin_epoch(epoch)
        losses = self._descend(epoch)
        monitored = self._errors(self.train, self.monitored)
        validated = {
            name: self._errors(source, torch.arange(len(source)))
            for name, source in self.validation_sets.items()
        }
        self._check(epoch, [*losses.values(), *chain(monitored, *validated.values())])
        self.learner.end_epoch(monitored)
        self.history.add(losses, monitored, validated, self.params["patience"])
        self.kept = {at: self.kept.get(at) or self._copy(at[0]) for at in self.history.wanted()}
        self._tell(epoch, self.steps)

    def _descend(self, epoch: int) -> dict[str, float]:
        """Take the epoch's steps; each loss, its mean over profiles."""
        random = generator(self.context.seed, f"order {epoch}")
        rows = torch.randperm(len(self.train), generator=random)
        totals: dict[str, torch.Tensor] = {}
        for at, (x, y) in enumerate(self.train.batches(rows, self.params["batch"])):
            for name, loss in self.learner.step(x, y).items():
                totals[name] = loss.double() + totals.get(name, 0.0)
            if time.monotonic() - self._told > _TOLD_SECONDS:
                self._tell(epoch, at + 1)
        return {name: float(total) / len(rows) for name, total in totals.items()}

    @torch.no_grad()
    def _errors(self, source: Source, rows: torch.Tensor) -> list[float]:
        """MAE over the profiles at ``rows``, one for each part; none without profiles."""
        by_gene = torch.zeros(0, dtype=torch.float64)
        for x, y in source.batches(rows, _EVALUATED):
            gaps = (self.learner.predict(x) - y).abs_().sum(dim=0).double()
            by_gene = gaps if not len(by_gene) else by_gene + gaps
        parts = [by_gene[part] for part in self.learner.parts] if len(rows) else []
        return [float(part.mean()) / len(rows) for part in parts]

    def _check(self, epoch: int, values: Sequence[float]) -> None:
        if not all(map(math.isfinite, values)):
            raise DivergedError(f"diverged at epoch {epoch}: {self.learner.advice}")

    def _copy(self, part: int) -> Tensors:
        return {name: value.clone() for name, value in self.learner.weights(part).items()}

    def _tell(self, epoch: int, step: int) -> None:
        self._told = time.monotonic()
        epochs = self.params["epochs"]
        done = (epoch - 1) * self.steps + step
        message = f"epoch {epoch} of {epochs}, {self.history.message()}"
        self.context.progress(done, epochs * self.steps, message)

    def _save(self) -> None:
        began = time.monotonic()
        wait = max(CHECKPOINT_SECONDS, CHECKPOINT_RATIO * self._saving)
        if self.checkpoint is None or began - self._saved < wait:
            return
        try:
            self.checkpoint.write(self._tensors(), self.history.stored())
        except OSError as error:
            self._note(f"no checkpoint could be written ({error.strerror or error})")
        self._saved = time.monotonic()
        self._saving = self._saved - began

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """All tensors of a checkpoint: ``state/<name>``, ``kept/<part>/<epoch>/<name>``."""
        kept = {
            f"kept/{part}/{epoch}/{name}": value
            for (part, epoch), weights in self.kept.items()
            for name, value in weights.items()
        }
        return kept | {f"state/{name}": value for name, value in self.learner.state().items()}

    def _continue(self) -> None:
        """Go on from the checkpoint, if it followed every validation set that is asked for."""
        try:
            found = self.checkpoint.read(self.context.device) if self.checkpoint else None
            course = TrainingHistory.read(found[1], self.validation_sets) if found else None
            if found and course:
                self._restore(found[0], course)
        except CheckpointError as error:
            self._note(f"trained from the start: {error}")

    def _restore(self, tensors: Tensors, course: TrainingHistory) -> None:
        state = self.learner.state()
        # All is looked up before anything is changed: a start from nothing must stay possible.
        found = _below("state/", tensors, state)
        self.kept = {
            (part, epoch): _below(f"kept/{part}/{epoch}/", tensors, self.learner.weights(part))
            for part, epoch in course.wanted()
        }
        self.history = course
        for name, value in state.items():
            value.copy_(found[name])

    def _trained(self, name: str) -> Trained:
        weights = [self.kept[part, best.epoch] for part, best in enumerate(self.history.best[name])]
        notes = (*self.notes, *self.history.notes(name))
        return Trained(
            weights, self.history.choices(name), notes, {"learning": self.history.learning(name)}
        )


def _width(part: slice) -> int:
    return int(part.stop - part.start)


def _below(prefix: str, tensors: Tensors, like: Tensors) -> Tensors:
    """The tensors under a prefix, which must have the names and shapes of these."""
    found = {name: tensors[prefix + name] for name in like if prefix + name in tensors}
    amiss = [name for name in like if name not in found or found[name].shape != like[name].shape]
    if amiss:
        raise CheckpointError(f"damaged checkpoint (without {prefix}{some(sorted(amiss))})")
    return found


def _subset(n: int, size: int, seed: int) -> torch.Tensor:
    """Positions of a fixed random subset of ``n`` training profiles, ascending."""
    order = torch.randperm(n, generator=generator(seed, "monitored"))
    return order[:size].sort().values


def _checkpoint(
    learner: Learner, profiles: Profiles, context: Context, params: Mapping[str, Any]
) -> Checkpoint | None:
    if context.scratch is None:
        return None
    identity = {
        "method": type(learner).__qualname__,
        "seed": context.seed,
        "training profiles": _digest(profiles),
        **params,
    }
    return Checkpoint(context.scratch, identity)


def _digest(profiles: Profiles) -> str:
    """Digest of the ids of profiles and genes, and of one profile's values."""
    digest = hashlib.sha256()
    for table in (profiles.profiles, profiles.landmark_genes, profiles.target_genes):
        digest.update("\0".join(map(str, table.index)).encode())
    for values in next(profiles.blocks(1)):
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]

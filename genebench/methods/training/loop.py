"""Training loop: epochs of shuffled mini-batches, and the best epoch for each validation set.

One training serves every validation set. The choice on one set depends on no other set: each has
a best epoch, a patience and a copy of the weights. All randomness comes from the
seed and the epoch. A run for one set only, or one continued from a checkpoint, therefore ends with
the same weights. On the CPU in float32 they are the same to the bit. A run may continue on another
device, with the rounding of that device from there on.
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

from genebench._util.stopping import StoppedError
from genebench.data.profiles import Profiles
from genebench.errors import some
from genebench.method import Context, Curve
from genebench.methods.training.auto_precision import choose_precision
from genebench.methods.training.batches import Source, sources
from genebench.methods.training.checkpoint import Checkpoint, Precision
from genebench.methods.training.errors import CheckpointError, DivergedError, memory_advice
from genebench.methods.training.history import TrainingHistory
from genebench.methods.training.learner import Learner, generator
from genebench.specs import Value

CHECKPOINT_SECONDS = 60.0
"""Least time between checkpoints: a killed run loses about a minute."""
CHECKPOINT_RATIO = 20.0
"""Least time between checkpoints over the time that writing one takes.

Writing then takes at most a twentieth of the time, however large the networks and slow the disk.
"""
_EVALUATION_PROFILES = 1024
"""Profiles in a batch for evaluation. Without gradients, more fit than in a training batch."""
_PROGRESS_SECONDS = 1.0
"""Least time between progress reports within an epoch. Calls of observers take time, too."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Trained:
    """Result of a training for one validation set.

    Attributes:
        weights: for each part, its tensors after its best epoch.
        choices: the best epoch (of each part), the validation MAE over all genes, and under
            ``precision=auto`` the precision.
        notes: remarks for the reader of the result.
        curves: ``learning``: epoch, losses, and MAE on the validation set.
    """

    weights: Sequence[Tensors]
    choices: Mapping[str, Value]
    notes: tuple[str, ...]
    curves: Mapping[str, Curve]


Create = Callable[[Mapping[str, Any]], Learner]
"""Function of parameters that makes the networks, with their first weights."""


def train(
    create: Create,
    profiles: Profiles,
    validation_sets: Mapping[str, Profiles],
    context: Context,
    params: Mapping[str, Any],
) -> dict[str, Trained]:
    """Train, and keep the best epoch for each validation set.

    Args:
        create: function that makes the networks from parameters: ``params``, with the precision in
            effect. It is called once, and several times under ``precision=auto``.
        profiles: the training profiles.
        validation_sets: validation sets by name.
        context: seed, device, progress, and the folder for checkpoints, if any.
        params: the method's parameters, those of ``training_params`` among them.

    Raises:
        DivergedError: the loss or a prediction is no longer finite.
        OutOfMemoryError: the device has too little memory.
    """
    with memory_advice(context.device, params):
        return _Training(create, profiles, validation_sets, context, params).run()


class _Training:
    """One run of the loop, with all that changes during it.

    Attributes:
        history: learning curve and best epochs so far.
        best_weights: (part, epoch) → a copy of the weights, for every best epoch.
        notes: remarks that hold for every validation set.
        train: source of the training profiles.
        validation_sets: validation set → its source.
        monitored: positions of the training profiles that are evaluated after each epoch.
        steps: mini-batches in an epoch.
        precision: precision of matrix products, never ``auto``.
        precision_notes: the reason for it, if ``auto`` took float32.
        checkpoint: the checkpoint of the run, or None without a folder for it.
    """

    def __init__(
        self,
        create: Create,
        profiles: Profiles,
        validation_sets: Mapping[str, Profiles],
        context: Context,
        params: Mapping[str, Any],
    ) -> None:
        self.context, self.params = context, params
        self.best_weights: dict[tuple[int, int], Tensors] = {}
        self.notes: list[str] = []
        self.precision_notes: tuple[str, ...] = ()
        all_sets = [profiles, *validation_sets.values()]
        self.train, *others = sources(all_sets, context.device, params["storage"])
        self.validation_sets = dict(zip(validation_sets, others, strict=True))
        self.steps = math.ceil(len(profiles) / params["batch"])
        self.learner = self._learner(create, profiles)
        widths = [int(part.stop - part.start) for part in self.learner.parts]
        self.history = TrainingHistory.start(widths, validation_sets)
        order = torch.randperm(len(profiles), generator=generator(context.seed, "monitored"))
        # Ascending positions are read faster when profiles are streamed from disk.
        self.monitored = order[: self.learner.monitored].sort().values
        self._reported_at = self._checkpoint_at = time.monotonic()
        self._checkpoint_cost = 0.0

    def _learner(self, create: Create, profiles: Profiles) -> Learner:
        """Return the networks, and set the precision and the checkpoint."""

        def made(precision: str) -> Learner:
            return create({**self.params, "precision": precision})

        is_open = self.params["precision"] == "auto"
        self.precision = "float32" if is_open else self.params["precision"]
        learner = made(self.precision)
        self.checkpoint = _checkpoint(learner, profiles, self.context, self.params)
        if not is_open:
            return learner
        del learner  # Two large networks may not fit into memory together.
        stored = self.checkpoint.precision() if self.checkpoint else None
        # A run continues in the precision in which it began, also on another machine.
        self.precision, self.precision_notes = stored or self._choose_precision(made)
        return made(self.precision)

    def _choose_precision(self, made: Callable[[str], Learner]) -> Precision:
        # A deviation from the mean takes two profiles.
        rows = torch.arange(min(len(self.train), max(2, self.params["batch"])))
        (batch,) = self.train.batches(rows, len(rows))
        return choose_precision(made, batch, self.context.device)

    def run(self) -> dict[str, Trained]:
        """Train to the end, and return the result for each validation set.

        Raises:
            StoppedError: the job was asked to stop. A checkpoint is written before.
        """
        self._continue()
        while not self._is_finished():
            if self.context.stop_is_asked():
                self._write_checkpoint(at_once=True)
                raise StoppedError(f"stopped on request after epoch {self.history.epoch}")
            began = time.monotonic()
            self._run_epoch(self.history.epoch + 1)
            # Counted before the checkpoint is written, so that a continued run knows of this epoch.
            self.history.seconds += time.monotonic() - began
            self._write_checkpoint()
        return {name: self._result(name) for name in self.validation_sets}

    def _is_finished(self) -> bool:
        """Return whether time, patience or epochs are used up."""
        epoch, minutes = self.history.epoch, self.params["minutes"]
        if minutes and self.history.seconds >= 60 * minutes:
            self.notes.append(
                f"Training stopped after epoch {epoch}, because minutes={minutes:g} were up."
            )
            return True
        return self.history.is_stopped or epoch >= self.params["epochs"]

    def _run_epoch(self, epoch: int) -> None:
        """Take the steps of an epoch, evaluate, and keep the weights of new best epochs."""
        self.learner.begin_epoch(epoch)
        losses = self._take_steps(epoch)
        monitored = self._errors(self.train, self.monitored)
        validated = {
            name: self._errors(source, torch.arange(len(source)))
            for name, source in self.validation_sets.items()
        }
        # Checked before anything is kept: a diverged epoch must enter neither history nor
        # checkpoint, from which the same run would only diverge again.
        if not all(map(math.isfinite, [*losses.values(), *chain(monitored, *validated.values())])):
            raise DivergedError(f"diverged at epoch {epoch}: {self.learner.advice}")
        # end_epoch may change rates, but not weights: copies below are of what was evaluated.
        self.learner.end_epoch(monitored)
        self.history.add(losses, monitored, validated, self.params["patience"])
        # Only new best epochs are copied, and weights of epochs that are best no more are freed.
        self.best_weights = {
            (part, best): self.best_weights.get((part, best)) or self._copy_of_weights(part)
            for part, best in self.history.best_epochs()
        }
        self._report(epoch, self.steps)

    def _take_steps(self, epoch: int) -> dict[str, float]:
        """Take the epoch's steps, and return each loss as its mean over profiles."""
        random = generator(self.context.seed, f"order {epoch}")
        rows = torch.randperm(len(self.train), generator=random)
        # Totals stay on the device until the end: reading one would wait for all work so far.
        totals: dict[str, torch.Tensor] = {}
        for step, (x, y) in enumerate(self.train.batches(rows, self.params["batch"]), start=1):
            for name, loss in self.learner.step(x, y).items():
                totals[name] = loss.double() + totals.get(name, 0.0)
            if time.monotonic() - self._reported_at > _PROGRESS_SECONDS:
                self._report(epoch, step)
        return {name: float(total) / len(rows) for name, total in totals.items()}

    @torch.no_grad()
    def _errors(self, source: Source, rows: torch.Tensor) -> list[float]:
        """Return the MAE over the profiles at ``rows`` for each part. Empty without profiles."""
        by_gene = torch.zeros(0, dtype=torch.float64)
        for x, y in source.batches(rows, _EVALUATION_PROFILES):
            # float32 within a batch, float64 between batches: rounding does not grow with profiles.
            totals = (self.learner.predict(x) - y).abs_().sum(dim=0).double()
            by_gene = totals if not len(by_gene) else by_gene + totals
        parts = [by_gene[part] for part in self.learner.parts] if len(rows) else []
        return [float(part.mean()) / len(rows) for part in parts]

    def _copy_of_weights(self, part: int) -> Tensors:
        return {name: value.clone() for name, value in self.learner.weights(part).items()}

    def _report(self, epoch: int, step: int) -> None:
        """Report progress after a step of an epoch."""
        self._reported_at = time.monotonic()
        epochs = self.params["epochs"]
        done = (epoch - 1) * self.steps + step
        message = f"epoch {epoch} of {epochs}, {self.history.message()}"
        self.context.progress(done, epochs * self.steps, message)

    def _result(self, name: str) -> Trained:
        bests = enumerate(self.history.best[name])
        is_open = self.params["precision"] == "auto"
        precision: dict[str, Value] = {"precision": self.precision} if is_open else {}
        return Trained(
            weights=[self.best_weights[part, best.epoch] for part, best in bests],
            choices=self.history.choices(name) | precision,
            notes=(*self.precision_notes, *self.notes, *self.history.notes(name)),
            curves={"learning": self.history.learning(name)},
        )

    def _write_checkpoint(self, *, at_once: bool = False) -> None:
        """Write a checkpoint, unless there is nowhere to, or the last one is recent."""
        began = time.monotonic()
        least_seconds = max(CHECKPOINT_SECONDS, CHECKPOINT_RATIO * self._checkpoint_cost)
        is_recent = began - self._checkpoint_at < least_seconds
        if self.checkpoint is None or (is_recent and not at_once):
            return
        try:
            history = self.history.to_checkpoint()
            precision = self.precision, self.precision_notes
            self.checkpoint.write(self._all_tensors(), history, precision)
        except OSError as error:
            # A full disk must not cost the training: only its continuation is at stake.
            self._note(f"No checkpoint could be written ({error.strerror or error}).")
        self._checkpoint_at = time.monotonic()
        self._checkpoint_cost = self._checkpoint_at - began

    def _note(self, note: str) -> None:
        # Each failed attempt writes the same note.
        if note not in self.notes:
            self.notes.append(note)

    def _all_tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors of a checkpoint: ``state/<name>``, ``kept/<part>/<epoch>/<name>``."""
        kept = {
            f"kept/{part}/{epoch}/{name}": value
            for (part, epoch), weights in self.best_weights.items()
            for name, value in weights.items()
        }
        return kept | {f"state/{name}": value for name, value in self.learner.state().items()}

    def _continue(self) -> None:
        """Continue from the checkpoint, if there is one with every validation set of this run."""
        if self.checkpoint is None:
            return
        try:
            stored = self.checkpoint.read(self.context.device)
            if stored is None:
                return
            tensors, content = stored
            history = TrainingHistory.from_checkpoint(content, self.validation_sets)
            if history is not None:
                self._restore(tensors, history)
        except CheckpointError as error:
            self._note(f"Training began anew: {error}.")

    def _restore(self, tensors: Tensors, history: TrainingHistory) -> None:
        """Set weights, state and history to those of a checkpoint, all or none of them."""
        state = self.learner.state()
        # Everything is looked up before anything is changed: if a tensor is missing, the learner
        # is still as it was created, and training can begin anew.
        values = _checked(tensors, "state/", state)
        self.best_weights = {
            (part, epoch): _checked(tensors, f"kept/{part}/{epoch}/", self.learner.weights(part))
            for part, epoch in history.best_epochs()
        }
        self.history = history
        for name, value in state.items():
            value.copy_(values[name])


def _checked(tensors: Tensors, prefix: str, like: Tensors) -> Tensors:
    """Return the tensors under a prefix, which must have the names and shapes of ``like``.

    Raises:
        CheckpointError: one is missing or has another shape.
    """
    values = {name: tensors[prefix + name] for name in like if prefix + name in tensors}
    unfit = [name for name in like if name not in values or values[name].shape != like[name].shape]
    if unfit:
        raise CheckpointError(f"damaged checkpoint (without {prefix}{some(sorted(unfit))})")
    return values


def _checkpoint(
    learner: Learner, profiles: Profiles, context: Context, params: Mapping[str, Any]
) -> Checkpoint | None:
    """Return the checkpoint of a run, or None without a folder for it.

    The device is not part of its identity: a run may continue on another one.
    """
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
    """Return a digest of the ids of profiles and genes, and of one profile's values.

    Hashing all values would read the whole dataset. One profile reveals other statistics.
    """
    digest = hashlib.sha256()
    for table in (profiles.profiles, profiles.landmark_genes, profiles.target_genes):
        digest.update("\0".join(map(str, table.index)).encode())
    for values in next(profiles.blocks(1)):
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]

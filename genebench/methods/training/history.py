"""History of a training: the learning curve, and the best epoch for each validation set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from genebench._util.progress import sparkline
from genebench.method import Curve
from genebench.specs import Value

Errors = Sequence[float]
"""MAE of each part of the target genes, in standard deviations of the gene."""


@dataclass
class BestEpoch:
    """The best epoch of one part of the genes on one validation set."""

    mae: float = math.inf
    epoch: int = 0
    stopped_at: int = 0
    """The epoch in which patience ran out. 0 before that. Later epochs are not compared."""

    def compare(self, mae: float, epoch: int, patience: int) -> None:
        """Take an epoch if it is better, else check whether patience has run out.

        Args:
            mae: the error after the epoch.
            epoch: its number, from 1.
            patience: epochs to wait for a better one. 0 means for ever.
        """
        # The training may go on for other sets. This set must not profit from it, because the
        # choice on one set may not depend on the others.
        if self.stopped_at:
            return
        # Equal errors keep the earlier epoch, as a shorter training would.
        if mae < self.mae:
            self.mae, self.epoch = mae, epoch
        elif patience and epoch - self.epoch >= patience:
            self.stopped_at = epoch


@dataclass
class TrainingHistory:
    """Learning curve and best epochs so far: all that a checkpoint holds beside tensors.

    Attributes:
        widths: number of target genes in each part.
        epoch: epochs done.
        seconds: time spent in them.
        curve: one column for each loss, for the monitored training profiles (``mae train``) and
            for each validation set (``mae <set>``). One row for each epoch.
        best: validation set → the best epoch of each part.
    """

    widths: Sequence[int]
    epoch: int = 0
    seconds: float = 0.0
    curve: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, list[BestEpoch]] = field(default_factory=dict)

    @classmethod
    def start(cls, widths: Sequence[int], validation_sets: Iterable[str]) -> TrainingHistory:
        """Return the history before the first epoch."""
        return cls(widths, best={name: [BestEpoch() for _ in widths] for name in validation_sets})

    @classmethod
    def from_checkpoint(
        cls, content: Mapping[str, Any], validation_sets: Iterable[str]
    ) -> TrainingHistory | None:
        """Return the history that a checkpoint holds, for some of its validation sets.

        Args:
            content: the return value of :meth:`to_checkpoint`, read back from JSON.
            validation_sets: the sets to keep. The curves of all others are left out.

        Returns:
            None if the checkpoint lacks one of the sets, so that training has to start anew.
        """
        names = list(validation_sets)
        if not set(names) <= set(content["best"]):
            return None
        best = {name: [BestEpoch(**part) for part in content["best"][name]] for name in names}
        others = {f"mae {name}" for name in content["best"] if name not in names}
        curve = {name: column for name, column in content["curve"].items() if name not in others}
        return cls(content["widths"], content["epoch"], content["seconds"], curve, best)

    def to_checkpoint(self) -> dict[str, Any]:
        """Return the history as objects that JSON can hold."""
        return asdict(self)

    def add(
        self,
        losses: Mapping[str, float],
        monitored: Errors,
        validated: Mapping[str, Errors],
        patience: int,
    ) -> None:
        """Add one epoch.

        Args:
            losses: name → mean over the training profiles.
            monitored: errors on the monitored training profiles. Empty if there are none.
            validated: validation set → errors.
            patience: epochs without a better one until a part's search ends. 0 means never.
        """
        self.epoch += 1
        maes = {"train": monitored} if monitored else {}
        row = {
            f"mae {name}": self._mean_of_parts(errors)
            for name, errors in {**maes, **validated}.items()
        }
        for column, value in {"epoch": self.epoch, **losses, **row}.items():
            self.curve.setdefault(column, []).append(value)
        for name, errors in validated.items():
            for best, error in zip(self.best[name], errors, strict=True):
                best.compare(error, self.epoch, patience)

    @property
    def is_stopped(self) -> bool:
        """True if patience has run out for every part on every validation set."""
        return all(best.stopped_at for bests in self.best.values() for best in bests)

    def best_epochs(self) -> set[tuple[int, int]]:
        """Return (part, epoch) for all weights that have to be kept."""
        return {
            (part, best.epoch) for bests in self.best.values() for part, best in enumerate(bests)
        }

    def message(self) -> str:
        """Return the latest errors in words. A sparkline follows those on validation sets."""
        maes = {
            name.removeprefix("mae "): column
            for name, column in self.curve.items()
            if name.startswith("mae ")
        }
        errors = [
            f"{name} {column[-1]:.4f}" + (f" {sparkline(column)}" if name in self.best else "")
            for name, column in maes.items()
        ]
        return f"MAE {', '.join(errors)}" if errors else "first epoch"

    def choices(self, validation: str) -> dict[str, Value]:
        """Return the best epoch (one for each part, if there are several) and its MAE."""
        bests = self.best[validation]
        chosen: dict[str, Value] = {"epoch": bests[0].epoch}
        if len(bests) > 1:
            chosen = {f"epoch_{part}": best.epoch for part, best in enumerate(bests, 1)}
        return chosen | {"validation_mae": self._mean_of_parts([best.mae for best in bests])}

    def learning(self, validation: str) -> Curve:
        """Return the learning curve of one validation set, without the columns of the others.

        It ends where the last part's patience ran out, even if training went on for other sets.
        """
        others = {f"mae {name}" for name in self.best if name != validation}
        length = max(best.stopped_at or self.epoch for best in self.best[validation])
        return {name: column[:length] for name, column in self.curve.items() if name not in others}

    def notes(self, validation: str) -> tuple[str, ...]:
        """Return a note if the last epoch is the best, because longer training may help."""
        is_last = any(best.epoch == self.epoch for best in self.best[validation])
        return ("The last epoch is the best. More epochs may do better.",) if is_last else ()

    def _mean_of_parts(self, errors: Errors) -> float:
        """Return the MAE over all genes: the mean over parts, weighted by their genes."""
        weighted = sum(error * width for error, width in zip(errors, self.widths, strict=True))
        return weighted / sum(self.widths)

"""The course of a training: learning curve, and the best epoch for each validation set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from genebench._util.progress import sparkline
from genebench.method import Curve
from genebench.specs import Value

Errors = Sequence[float]
"""MAE of each part of the target genes."""


@dataclass
class Best:
    """The best epoch of one part on one validation set."""

    mae: float = math.inf
    epoch: int = 0
    over: int = 0
    """Epoch in which patience ran out; from then on nothing better is looked for."""

    def compare(self, mae: float, epoch: int, patience: int) -> None:
        """Take an epoch if it is better; else see whether patience (0: endless) runs out."""
        if self.over:
            return
        if mae < self.mae:
            self.mae, self.epoch = mae, epoch
        elif patience and epoch - self.epoch >= patience:
            self.over = epoch


@dataclass
class TrainingHistory:
    """What has happened so far: all that a checkpoint holds beside tensors.

    Attributes:
        widths: target genes in each part.
        epoch: epochs done.
        seconds: time spent in them.
        curve: one column for each loss, for the monitored training profiles (``mae train``) and
            for each validation set (``mae <set>``); one row for each epoch.
        best: validation set → the best epoch of each part.
    """

    widths: Sequence[int]
    epoch: int = 0
    seconds: float = 0.0
    curve: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, list[Best]] = field(default_factory=dict)

    @classmethod
    def start(cls, widths: Sequence[int], validation_sets: Iterable[str]) -> TrainingHistory:
        """Before the first epoch."""
        return cls(widths, best={name: [Best() for _ in widths] for name in validation_sets})

    @classmethod
    def read(
        cls, stored: Mapping[str, Any], validation_sets: Iterable[str]
    ) -> TrainingHistory | None:
        """From a checkpoint, for some of its validation sets; None if one of them is not there."""
        validation_sets = list(validation_sets)
        if not set(validation_sets) <= set(stored["best"]):
            return None
        best = {name: [Best(**one) for one in stored["best"][name]] for name in validation_sets}
        others = {f"mae {name}" for name in stored["best"] if name not in validation_sets}
        curve = {name: column for name, column in stored["curve"].items() if name not in others}
        return cls(stored["widths"], stored["epoch"], stored["seconds"], curve, best)

    def stored(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def add(
        self,
        losses: Mapping[str, float],
        monitored: Errors,
        validated: Mapping[str, Errors],
        patience: int,
    ) -> None:
        """Note what an epoch gave."""
        self.epoch += 1
        maes = {"train": monitored} if monitored else {}
        row = {f"mae {name}": self._whole(errors) for name, errors in {**maes, **validated}.items()}
        for column, value in {"epoch": self.epoch, **losses, **row}.items():
            self.curve.setdefault(column, []).append(value)
        for name, errors in validated.items():
            for best, error in zip(self.best[name], errors, strict=True):
                best.compare(error, self.epoch, patience)

    @property
    def over(self) -> bool:
        """Whether patience has run out everywhere."""
        return all(best.over for bests in self.best.values() for best in bests)

    def wanted(self) -> set[tuple[int, int]]:
        """Part and epoch of all weights to keep."""
        return {
            (part, best.epoch) for bests in self.best.values() for part, best in enumerate(bests)
        }

    def message(self) -> str:
        """The latest errors, in words, those on validation sets with their curve so far."""
        maes = {name[4:]: column for name, column in self.curve.items() if name.startswith("mae ")}
        told = [
            f"{name} {column[-1]:.4f}" + (f" {sparkline(column)}" if name in self.best else "")
            for name, column in maes.items()
        ]
        return f"MAE {', '.join(told)}" if told else "first epoch"

    def choices(self, validation: str) -> dict[str, Value]:
        """The best epoch (of each part, where there are several), and the error it gives."""
        bests = self.best[validation]
        chosen: dict[str, Value] = {"epoch": bests[0].epoch}
        if len(bests) > 1:
            chosen = {f"epoch_{part}": best.epoch for part, best in enumerate(bests, 1)}
        return chosen | {"validation_mae": self._whole([best.mae for best in bests])}

    def learning(self, validation: str) -> Curve:
        """The learning curve as far as this validation set was followed, without the others'."""
        others = {f"mae {name}" for name in self.best if name != validation}
        length = max(best.over or self.epoch for best in self.best[validation])
        return {name: column[:length] for name, column in self.curve.items() if name not in others}

    def notes(self, validation: str) -> tuple[str, ...]:
        """Whether training on might help."""
        last = any(best.epoch == self.epoch for best in self.best[validation])
        return ("the last epoch is the best; more epochs may do better",) if last else ()

    def _whole(self, errors: Errors) -> float:
        """MAE over all genes from those of the parts."""
        weighted = sum(error * width for error, width in zip(errors, self.widths, strict=True))
        return weighted / sum(self.widths)

"""What a method supplies to the loop: its networks, and what one step does."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch


class Learner(ABC):
    """Networks in training. The loop calls it; it never sees the loop.

    For each epoch the loop calls ``begin_epoch``, ``step`` for each mini-batch, ``predict`` on the
    profiles it evaluates, and ``end_epoch``. Whatever is random must come from generators seeded
    in ``begin_epoch`` (:func:`generator`), so that a run which continues at any epoch draws the
    same.

    Attributes:
        parts: consecutive slices of the target genes, together all of them. Each keeps a best
            epoch of its own. Networks that share nothing have a part each; else there is one.
        monitored: on how many training profiles, a fixed random subset, the error is computed
            after each epoch, for ``end_epoch`` and the learning curve.
        advice: what to change when training diverges.
    """

    parts: Sequence[slice]
    monitored: int = 0
    advice: str = "lower lr"

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Set rates, shares and generators for an epoch, counted from 1.

        They must follow from ``epoch`` and :meth:`state` alone: training may continue here.
        """

    @abstractmethod
    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Take one optimisation step on a mini-batch.

        Returns:
            Losses by name, each summed over the batch's profiles, as scalars on the device. The
            one that is minimised is called ``loss``.
        """

    @abstractmethod
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Infer targets by the weights of now, without dropout: profiles × targets, float32."""

    def end_epoch(self, errors: Sequence[float]) -> None:  # noqa: B027  few need it
        """Learn of the MAE on the monitored training profiles, one value for each part."""

    @abstractmethod
    def state(self) -> Mapping[str, torch.Tensor]:
        """Every tensor that training depends on, by name, as references.

        Weights, what optimisers remember, rates that change. A checkpoint stores their values,
        and writes them back into the tensors of a new learner.
        """

    @abstractmethod
    def weights(self, part: int) -> Mapping[str, torch.Tensor]:
        """The tensors by which a part is predicted, by name, as references."""


def generator(seed: int, use: str, device: str = "cpu") -> torch.Generator:
    """A generator for one use. Uses have streams of their own: adding one changes no other."""
    digest = hashlib.sha256(f"{use}:{seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))

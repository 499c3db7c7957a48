"""Interface between the loop and a method: networks, and one step of their training."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch


class Learner(ABC):
    """Networks in training, which the loop calls.

    For each epoch the loop calls ``begin_epoch``, ``step`` for each mini-batch, ``predict`` on the
    profiles that it evaluates, and ``end_epoch``. All random numbers must come from generators
    that ``begin_epoch`` seeds (:func:`generator`). A run that continues at any epoch then draws
    the same numbers.

    Attributes:
        parts: consecutive slices of the target genes, together all of them. A best epoch is
            chosen for each. Networks that share nothing have one part each, all others have one in
            all.
        monitored: number of training profiles, a fixed random subset, whose error is computed
            after each epoch, for ``end_epoch`` and the learning curve.
        advice: parameter to change when training diverges, for the message of the error.
    """

    parts: Sequence[slice]
    monitored: int = 0
    advice: str = "lower lr"

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Set rates, shares and generators for an epoch, counted from 1.

        They may depend on ``epoch`` and :meth:`state` only, because training may continue here.
        """

    @abstractmethod
    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Take one optimisation step on a mini-batch.

        Returns:
            Losses by name, each summed over the batch's profiles, as scalars on the device. The
            minimised loss is called ``loss``.
        """

    @abstractmethod
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return predictions without dropout: profiles × targets, float32."""

    def end_epoch(self, errors: Sequence[float]) -> None:  # noqa: B027  optional
        """Take the MAE on the monitored training profiles, one value for each part.

        Rates may change here. Weights must not: those of the best epoch are copied afterwards.
        """

    @abstractmethod
    def state(self) -> Mapping[str, torch.Tensor]:
        """Return every tensor that training depends on, by name, as references.

        These are weights, optimiser states and rates that change. A checkpoint stores their
        values, and a run that continues copies them into the tensors of a new learner.
        """

    @abstractmethod
    def weights(self, part: int) -> Mapping[str, torch.Tensor]:
        """Return the tensors that predict a part, by name, as references."""


def generator(seed: int, use: str, device: str = "cpu") -> torch.Generator:
    """Return a random generator for one use.

    Each use has a separate stream of numbers, so that a new use changes no other.
    """
    # Seven bytes: a seed must fit into a signed 64-bit integer.
    digest = hashlib.sha256(f"{use}:{seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))

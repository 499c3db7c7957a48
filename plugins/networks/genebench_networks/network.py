"""The interface of networks to their training, and the parts that they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from genebench.training import bernoulli

Function = Callable[[torch.Tensor], torch.Tensor]
"""A function that keeps the shape of its argument."""


def identity(values: torch.Tensor) -> torch.Tensor:
    """Return the values themselves."""
    return values


ACTIVATIONS: dict[str, Function] = {
    # The slope of GGAN's networks, so that results can be compared with theirs.
    "leaky": partial(leaky_relu, negative_slope=0.2),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "none": identity,
}
"""Activations of hidden units, by their name in the parameter ``activation``."""


class Part(nn.Module, ABC):
    """A part of a network, with parameters of its own. They are empty until :meth:`start`."""

    @abstractmethod
    def start(self, random: torch.Generator) -> None:
        """Set the first values, with a generator on the CPU."""


class Network(nn.Module, ABC):
    """A network from landmarks to targets, made of parts."""

    def start(self, random: torch.Generator) -> None:
        """Set the first values of all parts, with a generator on the CPU."""
        for module in self.modules():
            if isinstance(module, Part):
                module.start(random)

    @abstractmethod
    def forward(self, landmarks: torch.Tensor, dropout: Dropout | None = None) -> torch.Tensor:
        """Return predictions in training: profiles × targets, or members × profiles × targets."""

    @abstractmethod
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets for profiles × landmarks, without dropout."""


class Dropout:
    """Inverted dropout: a share of values becomes zero, and the others are scaled up.

    Args:
        share: the share that becomes zero.
        random: the generator of masks.
        drop_input: whether landmarks are dropped, too.
    """

    def __init__(self, share: float, random: torch.Generator, *, drop_input: bool) -> None:
        self._kept_share, self._random = 1 - share, random
        self.drop_input = drop_input

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return values under a fresh mask."""
        if self._kept_share == 1:
            return values
        return values * bernoulli(values.shape, self._kept_share, self._random, values.dtype)


def empty(*shape: int) -> nn.Parameter:
    """Return a parameter without values."""
    return nn.Parameter(torch.empty(shape))


@torch.no_grad()
def xavier_(weight: torch.Tensor, random: torch.Generator) -> None:
    """Draw weights (… × outputs × inputs) from ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010).

    They are drawn on the CPU, so that they are the same for any device.
    """
    bound = math.sqrt(6 / sum(weight.shape[-2:]))
    weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=random))

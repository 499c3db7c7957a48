"""Towers of hidden layers, and trainable activations (TAAF).

The readings of Kunc & Kléma 2020 and 2021 are listed in the package's README. Their code was not
read.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear

from genebench_networks.network import Dropout, Function, Network, Part, empty, xavier_


class TAAF(Part):
    """A transformative adaptive activation: ``f(x) = α g(β x + γ) + δ`` (Kunc & Kléma 2021).

    α, β, γ and δ are trained for each unit. The start is ``f = g``.
    """

    def __init__(self, g: Function, units: int) -> None:
        super().__init__()
        self._g = g
        self.alpha, self.beta, self.gamma, self.delta = (empty(units) for _ in range(4))

    @torch.no_grad()
    def start(self, random: torch.Generator) -> None:  # noqa: ARG002  nothing is random
        """Set α and β to 1, γ and δ to 0."""
        for parameter, value in ((self.alpha, 1), (self.beta, 1), (self.gamma, 0), (self.delta, 0)):
            parameter.fill_(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return profiles × units for profiles × units."""
        inner = self._g(torch.addcmul(self.gamma, self.beta, x))
        return torch.addcmul(self.delta, self.alpha, inner)


class Layer(Part):
    """A linear layer, and an activation where there is one.

    Args:
        inputs: number of inputs.
        outputs: number of outputs.
        activate: the activation, or None in the output layer.
        adaptive: whether the activation has the four trained parameters of :class:`TAAF`.
    """

    def __init__(
        self, inputs: int, outputs: int, activate: Function | None = None, *, adaptive: bool = False
    ) -> None:
        super().__init__()
        self.weight, self.bias = empty(outputs, inputs), empty(outputs)
        self.activate = TAAF(activate, outputs) if activate and adaptive else activate

    @torch.no_grad()
    def start(self, random: torch.Generator) -> None:
        """Draw the weights. Biases are 0."""
        xavier_(self.weight, random)
        self.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return profiles × outputs for profiles × inputs."""
        y = linear(x, self.weight, self.bias)
        return self.activate(y) if self.activate else y


class Towers(Network):
    """Towers of hidden layers side by side, and one linear output layer that sees all of them.

    One tower is a fully connected network.

    Args:
        n_landmarks: landmarks of a profile. The first layer of every tower sees all of them.
        n_targets: targets of a profile.
        layers: hidden layers of a tower.
        towers: number of towers.
        units: units of each layer of a tower.
        checkerboard: whether a layer sees the layers before it of the two towers next to its own,
            and not of its own. The last tower is next to the first.
        activate: activation of hidden units.
        adaptive: whether the activation has the four trained parameters of :class:`TAAF`.
    """

    def __init__(
        self,
        n_landmarks: int,
        n_targets: int,
        *,
        layers: int,
        towers: int,
        units: int,
        checkerboard: bool,
        activate: Function,
        adaptive: bool,
    ) -> None:
        super().__init__()
        self._towers, self._checkerboard = towers, checkerboard
        inputs = [n_landmarks, *[2 * units if checkerboard else units] * (layers - 1)]
        self.hidden = nn.ModuleList(
            Layer(each, units, activate, adaptive=adaptive)
            for each in inputs
            for _ in range(towers)
        )
        self.output = Layer(towers * units, n_targets)

    def forward(self, landmarks: torch.Tensor, dropout: Dropout | None = None) -> torch.Tensor:
        """Return profiles × targets. All towers see the same landmarks dropped."""
        if dropout and dropout.drop_input:
            landmarks = dropout(landmarks)
        values = [landmarks] * self._towers
        for first in range(0, len(self.hidden), self._towers):
            if first and self._checkerboard:
                before, after = [values[-1], *values[:-1]], [*values[1:], values[0]]
                values = [torch.cat(pair, dim=1) for pair in zip(before, after, strict=True)]
            values = [self.hidden[first + tower](value) for tower, value in enumerate(values)]
            if dropout:
                values = [dropout(value) for value in values]
        outputs: torch.Tensor = self.output(torch.cat(values, dim=1))
        return outputs

    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets."""
        return self.forward(landmarks)

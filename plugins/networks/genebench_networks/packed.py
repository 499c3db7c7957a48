"""Packed networks: an ensemble whose members share all weight matrices.

Each member has rank-1 adapters. A layer of member i computes ``y = s_i ∘ (W (r_i ∘ x)) + b_i``.
This is a plain layer with the weights ``s_i r_iᵀ ∘ W`` (BatchEnsemble, Wen et al. 2020, Eq. 1 to
4). The first values are those of TabM (Gorishniy et al. 2025).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import linear

from genebench_networks.network import Dropout, Function, Network, Part, empty, xavier_

ALL = slice(None)


class PackedLinear(Part):
    """One layer of all members.

    Attributes:
        weight: W, outputs × inputs.
        r: adapters of inputs, members × inputs.
        s: adapters of outputs, members × outputs.
        bias: members × outputs.

    Args:
        members: number of members.
        inputs: number of inputs.
        outputs: number of outputs.
        signs: whether r starts as random signs, and not as ones. This makes members different.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, signs: bool) -> None:
        super().__init__()
        self._signs = signs
        self.weight = empty(outputs, inputs)
        self.r, self.s = empty(members, inputs), empty(members, outputs)
        self.bias = empty(members, outputs)

    @torch.no_grad()
    def start(self, random: torch.Generator) -> None:
        """Draw W, and signs for r where there are any. All s are 1, and biases 0."""
        xavier_(self.weight, random)
        self.r.fill_(1)
        if self._signs:
            self.r.copy_(torch.randint(2, self.r.shape, generator=random) * 2 - 1)
        self.s.fill_(1)
        self.bias.zero_()

    def forward(self, x: torch.Tensor, members: slice) -> torch.Tensor:
        """Return members × profiles × outputs for members × profiles × inputs."""
        r, s, bias = (each[members, None] for each in (self.r, self.s, self.bias))
        return torch.addcmul(bias, linear(x * r, self.weight), s)


class PackedMLP(Network):
    """Members, each a fully connected network with one output for each target.

    Args:
        widths: landmarks, units of each hidden layer, targets.
        members: number of networks.
        activate: activation of hidden units.
    """

    def __init__(self, widths: list[int], *, members: int, activate: Function) -> None:
        super().__init__()
        self.members, self._activate = members, activate
        # Only the first layer starts with random signs. All other adapters are 1 (TabM).
        self.layers = nn.ModuleList(
            PackedLinear(members, *shape, signs=index == 0)
            for index, shape in enumerate(pairwise(widths))
        )

    def forward(
        self, landmarks: torch.Tensor, dropout: Dropout | None = None, members: slice = ALL
    ) -> torch.Tensor:
        """Return members × profiles × targets. Each member drops units of its own."""
        n_members = len(range(self.members)[members])
        values = landmarks.expand(n_members, *landmarks.shape)
        for index, layer in enumerate(self.layers):
            if dropout and (index or dropout.drop_input):
                values = dropout(values)
            values = layer(values, members)
            if index < len(self.layers) - 1:
                values = self._activate(values)
        return values

    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return the mean of the members' predictions, profiles × targets."""
        # One member at a time: the memory does not grow with their number.
        total: torch.Tensor = self(landmarks, members=slice(0, 1))[0]
        for member in range(1, self.members):
            total += self(landmarks, members=slice(member, member + 1))[0]
        return total / self.members

"""GGAN as most would write it: ``torch.nn`` networks, autograd, torch's optimisers, float64.

The tests hold the plugin's steps to these. Equations are those of Wang et al. 2018. The plugin's
hand-written gradients are explained in ``genebench_ggan/fast_linear.py``.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from genebench_ggan.network import dense_layers


class PlainNetwork(nn.Module):
    """A network of ``nn.Linear`` layers, under torch's own weight normalisation or none.

    Dropout masks are given, one for the inputs and one for each hidden layer.
    """

    def __init__(self, tensors, dense, slope, norm, combine="concat"):
        super().__init__()
        self.dense, self.slope, self.combine = dense, slope, combine
        self.layers = nn.ModuleList()
        for index in range(len(dense)):
            weight = tensors[f"weight.{index}"].clone()
            layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.zero_()
            self.layers.append(weight_norm(layer, dim=0) if norm == "weight" else layer)

    def forward(self, x, masks):
        masks = iter(masks)
        *hidden, output = self.layers
        seen = [x * next(masks)]
        for layer, is_dense in zip(hidden, self.dense[:-1], strict=True):
            value = layer(self.joined(seen) if is_dense else seen[-1])
            seen.append(torch.where(value > 0, value, self.slope * value) * next(masks))
        return output(self.joined(seen) if self.dense[-1] else seen[-1])

    def joined(self, seen):
        if self.combine == "concat":
            return torch.cat(seen, dim=1)
        total = seen[1] if len(seen) > 1 else seen[0]
        for hidden in seen[2:]:
            total = total + hidden
        return total


class ReferenceGGAN:
    """Algorithm 1: steps of discriminator and generator, from the weights of a learner.

    A step takes the masks that the learner drew: those of dropout, then the discriminator's.
    """

    def __init__(self, learner):
        self.params = learner._params
        norm, slope = self.params["norm"], self.params["slope"]
        dense, combine = dense_layers(self.params), self.params["combine"]
        self.generator = PlainNetwork(learner.weights(0), dense, slope, norm, combine)
        network = learner.discriminator.network
        self.discriminator = PlainNetwork(network.parameters(), [False, False], slope, norm)
        self.generator_adam, self.discriminator_adam = (
            torch.optim.Adam(net.parameters(), lr=0.0)
            for net in (self.generator, self.discriminator)
        )

    def judge(self, x, y, mask):
        """D(x, y·m)."""
        extra = [(mask > 0).double()] if self.params["mask_as_input"] else []
        output = self.discriminator(torch.cat([x, y * mask, *extra], dim=1), [1.0, 1.0])
        if self.params["disc_output"] == "linear":
            return output
        return torch.where(output > 0, output, self.params["slope"] * output)

    def discriminator_loss(self, real, fake):
        """Eq. 13, first line, or minus Eq. 4."""
        if self.params["gan"] == "ls":
            return 0.5 * ((real - 1) ** 2 + fake**2).mean()
        return -(torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log()).mean()

    def adversarial_loss(self, fake):
        """Eq. 13, second line, or the non-saturating form of Eq. 4."""
        if self.params["gan"] == "ls":
            return ((fake - 1) ** 2).mean()
        return -torch.sigmoid(fake).log().mean()

    def step(self, x, y, masks, rate):
        n = len(x)
        *dropout_masks, mask = masks
        if self.params["mask_refresh"] == "epoch":
            mask = mask[:n]
        halves = [[m[:n] for m in dropout_masks], [m[n:] for m in dropout_masks]]
        self.generator_adam.param_groups[0]["lr"] = rate
        self.discriminator_adam.param_groups[0]["lr"] = rate * self.params["disc_rate"]
        first, second = (self.generator(x, half) for half in halves)
        self.discriminator_adam.zero_grad()
        real, fake = self.judge(x, y, mask), self.judge(x, first.detach(), mask)
        self.discriminator_loss(real, fake).backward()
        self.discriminator_adam.step()
        self.generator_adam.zero_grad()
        if self.params["cons_gradient"] == "none":
            first_seen, second = first.detach(), second.detach()
        else:
            first_seen = first
        # Eqs. 5, 6 and 7, all divided by 9,520 genes, for a batch of 200.
        adversarial = self.adversarial_loss(self.judge(x, first, mask)) * 200 / 9520
        l1, consistency = (first - y).abs().mean(), ((first_seen - second) ** 2).mean()
        if self.params["loss_scale"] == "l1sum":
            # The sum over batch and genes, beside means over the batch, again so divided.
            adversarial, consistency = adversarial / 200**2, consistency / 200
        loss = l1 + self.params["cons"] * consistency + self.params["adv"] * adversarial
        loss.backward()
        self.generator_adam.step()

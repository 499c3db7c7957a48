"""Profiles around arrays, and a learner whose every step can be followed by hand."""

from __future__ import annotations

import numpy as np
import torch

from genebench.data.profiles import Profiles
from genebench.methods.training.learner import Learner, generator

PARAMS = {
    "epochs": 5,
    "batch": 8,
    "lr": 0.05,
    "patience": 0,
    "minutes": 0.0,
    "precision": "float32",
    "storage": "auto",
}


def simulated(n, seed=0, n_landmarks=5, n_targets=4, noise=0.1):
    """Profiles whose targets follow from their landmarks, by the same weights for any seed."""
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(99).normal(size=(n_landmarks, n_targets))
    x = random.normal(size=(n, n_landmarks))
    y = np.tanh(x @ weights) + noise * random.normal(size=(n, n_targets))
    return Profiles.from_arrays(x, y)


class Linear(Learner):
    """Linear regression by plain gradient descent, under dropout of landmarks."""

    advice = "lower lr of the toy"

    def __init__(self, *, n_landmarks=5, n_targets=4, lr=0.05, seed=0, monitored=0, device="cpu"):
        self.parts = [slice(0, 1), slice(1, n_targets)]
        self.monitored = monitored
        self.seed = seed
        self.lr = lr
        self.matrix = torch.zeros(n_landmarks, n_targets, device=device)
        self.epochs = torch.zeros((), dtype=torch.int64)
        self.seen = []
        self.told = []

    def begin_epoch(self, epoch):
        self.epochs += 1
        self.random = generator(self.seed, f"toy {epoch}")
        self.seen.append([])

    def step(self, landmarks, targets):
        self.seen[-1].append((landmarks.clone(), targets.clone()))
        # Drawn on the CPU, so that devices can be compared.
        mask = torch.empty(landmarks.shape).bernoulli_(0.9, generator=self.random)
        mask = mask.to(landmarks.device)
        gap = (landmarks * mask) @ self.matrix - targets
        self.matrix -= self.lr * (landmarks * mask).T @ gap / len(gap)
        return {"loss": gap.square().sum(), "size": torch.tensor(float(len(gap)))}

    def predict(self, landmarks):
        return landmarks @ self.matrix

    def end_epoch(self, errors):
        self.told.append(list(errors))

    def state(self):
        return {"matrix": self.matrix, "epochs": self.epochs}

    def weights(self, part):
        return {"matrix": self.matrix[:, self.parts[part]].contiguous()}

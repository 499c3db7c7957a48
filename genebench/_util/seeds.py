"""Seeding of the global random generators."""

from __future__ import annotations

import random
import sys

import numpy as np


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, of numpy, and of torch where it is in use."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  for methods that use the global generator
    # Never import torch for this: it costs seconds, and most methods do without.
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)

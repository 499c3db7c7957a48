"""Recovery of the pathways that the simulation plants, by the relevance of saved models.

Targets are grouped by the pathway of their strongest regulator. The landmarks of that pathway are
the true ones. The score is average precision, the area under the precision-recall curve, as the
mean over pathways. ``control`` is the mean over five models with shuffled weights. ``chance`` is
the score of random relevance.

Usage: ``genebench run --preset tiny --protocol geo --keep-models --results FOLDER``, then
``python benchmarks/planted.py FOLDER [--preset tiny] [--profiles 400]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from genebench.datasets.library import open_dataset
from genebench.datasets.sim.planted import planted
from genebench.explaining.recovery import recovery
from genebench.explaining.relevance import by_target_group
from genebench.explaining.trust import shuffled
from genebench.models.saved import read_model, restored
from genebench.plugins.registry import registry
from genebench.protocols import GEO

SHUFFLES = 5


def main() -> None:
    """Print one row for each saved model of the protocol geo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--profiles", type=int, default=400)
    arguments = parser.parse_args()
    truth = planted(arguments.preset)
    dataset = open_dataset("sim", registry().datasets, arguments.preset)
    landmarks = dataset.profiles(GEO.test).landmarks[: arguments.profiles]
    groups = truth.target_pathway
    is_true = np.arange(groups.max() + 1)[:, None] == truth.landmark_pathway

    def score(model, rule: str = "auto") -> tuple[str, float]:  # noqa: ANN001
        found = by_target_group(model, landmarks, groups, rule)
        return found.rule, recovery(found.effects, is_true)

    print(f"chance {is_true.mean():.3f}, {len(landmarks)} profiles")
    print(f"{'method':14} {'rule':12} {'found':>6} {'control':>8} {'permutation':>12}")
    for path in sorted(arguments.folder.glob("*.model.safetensors")):
        saved = read_model(path)
        if saved.identity.protocol != "geo" or saved.members:
            continue
        model = restored(registry().methods.get(saved.identity.method), saved, "cpu")
        rule, found = score(model)
        control = np.mean([score(shuffled(saved, seed))[1] for seed in range(SHUFFLES)])
        permuted = score(model, "permutation")[1]
        name = saved.identity.method
        print(f"{name:14} {rule:12} {found:6.3f} {control:8.3f} {permuted:12.3f}", flush=True)


if __name__ == "__main__":
    main()

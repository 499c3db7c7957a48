"""Recovery of the pathways that the simulation plants, by the relevance of models.

Targets are grouped by the pathway of their strongest regulator. The landmarks of that pathway are
the true ones. The score is average precision, the area under the precision-recall curve, as the
mean over pathways. Two controls should be near the score of random numbers, which stands above the
table:

- ``shuffled``: the mean over five models with shuffled weights. A model that cannot be saved, such
  as that of knn, has none.
- ``random``: relevance for as many groups of random targets, of the same sizes.

Every result of protocol geo on sim in the folder has a row: that of a saved model, or of a method
that is fitted again because its models cannot be saved. A result whose model was not kept, or one
that is made of others, is named and left out.

Preset tiny takes two minutes on one core::

    genebench run --preset tiny --protocol geo --keep-models --results planted-tiny
    python benchmarks/planted.py planted-tiny

Preset small has about 4,000 training profiles of 1,100 genes (18 MB), 100 landmarks and 18
pathways. Times are estimates for one core of its own, from the needs that the plugins declare.
Closed forms, neighbours, kernels and trees take about 10 minutes together::

    genebench run --dataset sim --preset small --protocol geo --keep-models --time-limit 20m \
      --methods lsr,lsr-l1,lsr-l2,reduced-rank,knn-ge,knn,kernel-ridge,sample-lasso,boosting \
      --results planted-small

With all 80 epochs, dgex takes 3 minutes, and ggan-fc and ggan 7 to 12 minutes each. With 25, the
three take 8 minutes together::

    genebench run --dataset sim --preset small --protocol geo --keep-models --time-limit 20m \
      --methods dgex,ggan-fc,ggan --results planted-small \
      --set dgex.epochs=25 --set ggan-fc.epochs=25 --set ggan.epochs=25

A row with a rule takes seconds. Permutation predicts 400 profiles some 300 times: seconds for
matrices, and minutes for sample-lasso, knn and boosting. ``--without-permutation`` leaves it out
where a model has a rule, and ``--methods`` leaves out methods::

    python benchmarks/planted.py planted-small --without-permutation
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from genebench.datasets.sim.planted import Planted, planted
from genebench.errors import UserError
from genebench.explaining.recovery import recovery
from genebench.explaining.relevance import PERMUTATION, by_target_group
from genebench.explaining.subject import open_subject
from genebench.method import Model
from genebench.plugins.registry import registry
from genebench.results.filters import RecordFilter
from genebench.results.store import ResultsStore

DRAWINGS = 200
"""Drawings of random numbers, that the score of these is a mean of."""
CONTROLS = 5
"""Models with shuffled weights, and drawings of random groups, that each control is a mean of."""


def main() -> None:
    """Print one row for each result of the protocol geo on sim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", help="comma-separated. Default: all in the folder")
    parser.add_argument("--profiles", type=int, default=400, help="test profiles, at most")
    parser.add_argument("--without-permutation", action="store_true")
    arguments = parser.parse_args()
    store = ResultsStore(arguments.folder)
    store.check()
    methods = arguments.methods.split(",") if arguments.methods else None
    chosen = RecordFilter(status="done", trials=False, dataset="sim", methods=methods)
    records = [
        record for record in chosen.apply(store.sound()[0]) if record.identity.protocol == "geo"
    ]
    for preset in sorted({record.preset for record in records}):
        truth, shown = planted(preset), False
        for record in sorted(records, key=lambda item: (item.identity.method, item.identity.seed)):
            if record.preset != preset:
                continue
            label = f"{record.identity.method} {record.identity.seed} {record.key[:8]}"
            if registry().methods.get(record.identity.method).members:
                print(f"{label}: left out, because it is made of others")
                continue
            try:
                subject = open_subject(None, record, store, device="cpu")
            except UserError as error:
                print(f"{label}: left out. {error}")
                continue
            landmarks = subject.test.landmarks[: arguments.profiles]
            if not shown:
                print_head(preset, truth, len(landmarks))
                shown = True
            began = time.monotonic()
            cells = row(
                subject.model, subject.control, truth, landmarks,
                permuted=not arguments.without_permutation,
            )  # fmt: skip
            print(
                f"{record.identity.method:14} {record.identity.seed:4} {cells} "
                f"{time.monotonic() - began:7.0f}",
                flush=True,
            )


def print_head(preset: str, truth: Planted, profiles: int) -> None:
    """Print what the rows of a preset are about."""
    is_true = _true_landmarks(truth)
    # With few true landmarks, it is well above their share.
    random = np.random.default_rng(0)
    scores = [recovery(random.random(is_true.shape), is_true) for _ in range(DRAWINGS)]
    print(
        f"preset {preset}: {profiles} test profiles, {len(truth.landmark_pathway)} landmarks, "
        f"{len(is_true)} pathways, true share {is_true.mean():.3f}, random numbers score "
        f"{np.mean(scores):.3f}"
    )
    print(
        f"{'method':14} {'seed':>4} {'rule':20} {'found':>6} {'shuffled':>8} {'random':>6} "
        f"{'permutation':>11} {'seconds':>7}"
    )


def row(
    model: Model,
    control: Callable[[int], Model | None],
    truth: Planted,
    landmarks: np.ndarray[Any, Any],
    *,
    permuted: bool,
) -> str:
    """Return the rule and the scores of a model as text.

    Args:
        model: the model.
        control: seed → the model with shuffled weights, or None.
        truth: the planted pathways.
        landmarks: profiles × landmarks.
        permuted: whether a model with a rule of its own is explained by permutation, too.
    """
    groups, is_true = truth.target_pathway, _true_landmarks(truth)

    def score(of: Model, targets: np.ndarray[Any, Any], rule: str = "auto") -> tuple[str, float]:
        found = by_target_group(of, landmarks, targets, rule)
        return found.rule, recovery(found.effects, is_true)

    rule, found = score(model, groups)
    shuffled = [score(other, groups)[1] for seed in range(CONTROLS) if (other := control(seed))]
    # Permutation costs as much as many passes, so one drawing is enough for it.
    drawings = 1 if rule == PERMUTATION else CONTROLS
    random = [
        score(model, np.random.default_rng(seed).permutation(groups))[1] for seed in range(drawings)
    ]
    by_permutation = (
        found if rule == PERMUTATION else score(model, groups, PERMUTATION)[1] if permuted else None
    )
    return (
        f"{rule:20} {found:6.3f} {f'{np.mean(shuffled):.3f}' if shuffled else '–':>8} "
        f"{np.mean(random):6.3f} "
        f"{'–' if by_permutation is None else f'{by_permutation:.3f}':>11}"
    )


def _true_landmarks(truth: Planted) -> np.ndarray[Any, Any]:
    """Return pathways × landmarks, true where the landmark is of the pathway."""
    pathways = np.arange(truth.target_pathway.max() + 1)
    return np.asarray(pathways[:, None] == truth.landmark_pathway)


if __name__ == "__main__":
    main()

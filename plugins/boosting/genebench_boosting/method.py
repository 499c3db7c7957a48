"""Gradient boosting of each principal component of the targets, by LightGBM (Ke et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench_boosting.components import Components, principal_components
from genebench_boosting.trees import Trees, joined, read_trees

PROFILES_PER_BLOCK = 512
"""Profiles predicted at a time."""
CANDIDATES = 12
"""Numbers of trees that are compared on a validation set, from 1 to all."""


class Boosted(Model):
    """Boosted trees for each component, and the axes that turn components into targets."""

    def __init__(self, trees: Trees, mean: NDArray[np.float64], axes: NDArray[np.float64]) -> None:
        self._trees, self._mean, self._axes = trees, mean, axes
        # One threshold per node and one value per leaf.
        self.n_parameters = len(trees.threshold) + len(trees.leaf) + axes.size + mean.size

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        scores = self._trees.predict(landmarks, len(self._axes))
        predicted = np.empty((len(scores), len(self._mean)), np.float32)
        for profile, row in enumerate(scores):
            # One profile at a time, so that its sum does not depend on those beside it.
            predicted[profile] = row @ self._axes + self._mean
        return predicted

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the trees, and the ``mean`` and ``axes`` of the targets."""
        return {**self._trees.arrays(), "mean": self._mean, "axes": self._axes}


class Boosting(Method):
    """One boosted regression for each component, and a number of trees for each validation set."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Boost all components once, and choose the number of trees on each validation set."""
        components = principal_components(train, self.params["components"], context.seed)
        trees = joined(self._boost(train, components, context))
        models: dict[str, Model] = {}
        for name, validation in validation_sets.items():
            rounds, mae = self._mae_by_rounds(trees, components, validation)
            chosen = rounds[int(np.argmin(mae))]
            model = Boosted(trees.first(chosen), components.mean, components.axes)
            model.choices = {"rounds": chosen}
            model.curves = {"path": {"rounds": rounds, "mae": mae}}
            share = f"{len(components.axes)} components hold {components.share:.1%} of the variance"
            model.notes = (f"{share} of the training targets.",)
            if chosen == self.params["rounds"]:
                model.notes += (f"rounds={chosen} is the largest tried. Raise rounds.",)
            models[name] = model
        return models

    def _boost(self, train: Profiles, components: Components, context: Context) -> list[Trees]:
        """Return the trees of each component."""
        params = self.params
        options = {
            "objective": "regression", "learning_rate": params["rate"],
            "num_leaves": params["leaves"], "min_data_in_leaf": params["leaf_profiles"],
            "feature_fraction": params["landmark_share"], "max_bin": params["bins"],
            "min_data_in_bin": 1, "use_missing": False, "zero_as_missing": False,
            "boost_from_average": False, "seed": context.seed, "verbosity": -1,
            # Sums of gradients then do not depend on the number of threads.
            "deterministic": True, "force_row_wise": True,
        }  # fmt: skip
        # Landmarks are binned once, and serve every component.
        data = lightgbm.Dataset(train.landmarks, params=options, free_raw_data=False)
        data.construct()
        trees = []
        for number, scores in enumerate(components.scores.T):
            # A copy: LightGBM warns of views.
            data.set_label(scores.copy())
            booster = lightgbm.train(options, data, num_boost_round=params["rounds"])
            trees.append(read_trees(booster.model_to_string(), number))
            context.progress(number + 1, len(components.axes), "boosting components")
        return trees

    def _mae_by_rounds(
        self, trees: Trees, components: Components, validation: Profiles
    ) -> tuple[list[int], list[float]]:
        """Return numbers of rounds, and the MAE over profiles and genes after each of them."""
        most, n_components = self.params["rounds"], len(components.axes)
        rounds = np.unique(np.geomspace(1, most, CANDIDATES).round().astype(int)).tolist()
        included = [trees.rounds <= count for count in rounds]
        errors = np.zeros(len(rounds))
        for landmarks, targets in validation.blocks(PROFILES_PER_BLOCK):
            for profile, truth in zip(landmarks, targets, strict=True):
                values = trees.leaf_values(profile)
                scores = [
                    np.bincount(trees.component, values * kept, n_components) for kept in included
                ]
                predicted = np.array(scores) @ components.axes + components.mean
                errors += np.abs(predicted - truth).sum(1)
        return rounds, (errors / (len(validation) * len(components.mean))).tolist()

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:  # noqa: ARG002
        """Return the model of these trees."""
        mean, axes = tensors["mean"], tensors["axes"]
        # Any number of landmarks: a prediction checks it, because profiles have as many.
        landmarks = int(tensors["landmark"].max(initial=0)) + 1
        return Boosted(Trees.of(tensors, landmarks, len(axes)), mean, axes)

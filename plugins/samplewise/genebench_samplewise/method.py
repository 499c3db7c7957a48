"""The sample lasso (Mancuso et al. 2020): a profile is a sparse mixture of training profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from genebench import Context, Method, Model, Profiles, UserError
from genebench.relevance import Attribution
from genebench_samplewise.loops import Indices, Matrix, Vector
from genebench_samplewise.solver import Stop, solve, solve_by_gram
from genebench_samplewise.training import Mixture, TrainingSet

PROFILES_PER_BLOCK = 256
"""Profiles predicted at a time: few in memory, and many that share the targets of their donors."""
PROFILES_PER_SEARCH = 64
"""Profiles that are compared with all training profiles at a time."""
MIXTURES_PER_BLOCK = 1024
"""Mixtures of validation profiles at a time, one for each profile and penalty."""
MOST_SHARED = 4096
"""Most training profiles that share one Gram matrix, of 8 bytes for each pair."""
MOST_BYTES = 8 << 30
"""Bytes of the largest model that is saved. It is in memory while it is written."""
INTERCEPTS = {"yes": (True,), "no": (False,), "choose": (False, True)}
"""Value of the parameter → the readings that are tried."""


class Setting(NamedTuple):
    """One problem of a profile.

    Attributes:
        penalty: a, as a share of the number of landmarks.
        intercept: whether each profile has a constant of its own.
    """

    penalty: float
    intercept: bool


class _Subset(NamedTuple):
    """Some profiles of a validation set, by their positions."""

    profiles: Profiles
    positions: Indices


class Solver:
    """The sample lasso on a training set."""

    def __init__(self, training: TrainingSet, neighbours: int, stop: Stop) -> None:
        self.training = training
        self._neighbours = neighbours
        self._stop = stop
        self._means = training.landmarks.mean(1, dtype=np.float64)
        self._shared: dict[bool, tuple[Matrix, Vector]] = {}

    def paths(
        self, landmarks: Matrix, penalties: Sequence[float], intercept: bool
    ) -> Iterator[list[Mixture]]:
        """Yield the mixtures of each profile, one for each penalty.

        Args:
            landmarks: profiles × landmarks.
            penalties: the penalties, as shares of the number of landmarks, largest first.
            intercept: whether each profile has a constant of its own.
        """
        work = partial(self._path, np.array(penalties), intercept)
        if len(self.training) <= min(self._neighbours, MOST_SHARED):
            self._share(intercept)
        libraries = ThreadpoolController()  # it looks for them once, which takes milliseconds
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(landmarks), PROFILES_PER_SEARCH):
                block = landmarks[start : start + PROFILES_PER_SEARCH]
                searches = self.training.searches(block, self._neighbours)
                # With threads of its own, BLAS would start as many in each of these threads. They
                # would wait for each other, and two processors be slower than one.
                with libraries.limit(limits=1, user_api="blas"):
                    paths = list(pool.map(work, block, searches))
                yield from paths

    def _share(self, intercept: bool) -> None:
        """Compute the Gram matrix that all profiles share."""
        if intercept not in self._shared:
            rows = self._rows(np.arange(len(self.training)), intercept)
            wide = rows.astype(np.float64)
            self._shared[intercept] = rows, wide @ wide.T

    def _rows(self, positions: Indices, intercept: bool) -> Matrix:
        rows = self.training.landmarks[positions]
        if intercept:
            rows -= self._means[positions, None].astype(np.float32)
        return rows

    def _path(
        self,
        penalties: Vector,
        intercept: bool,
        landmarks: Matrix,
        search: Callable[[], Indices],
    ) -> list[Mixture]:
        nearest = search()
        profile = landmarks.astype(np.float64)
        mean = float(profile.mean()) if intercept else 0.0
        profile -= mean
        absolute = penalties * len(profile)
        if intercept in self._shared:
            rows, gram = self._shared[intercept]
            solution = solve_by_gram(profile, rows, absolute, self._stop, gram)
        else:
            rows = self._rows(nearest, intercept)
            solution = solve(profile, rows, absolute, self._stop)
        mixtures = []
        for every, gap in zip(solution.weights, solution.gaps.tolist(), strict=True):
            used = np.flatnonzero(every)
            donors, weights = nearest[used], every[used]
            constant = mean - float(weights @ self._means[donors]) if intercept else 0.0
            mixtures.append(Mixture(donors, weights, constant, gap))
        return mixtures


class SampleMixture(Model):
    """Each profile as a sparse mixture of training profiles.

    Attributes:
        setting: penalty and intercept.
    """

    relevance_rules = ("exact", "gradient-input")

    def __init__(self, solver: Solver, setting: Setting) -> None:
        self._solver = solver
        self.setting = setting
        training = solver.training
        self._bytes = 4 * len(training) * (training.landmarks.shape[1] + training.n_targets)
        if self._bytes > MOST_BYTES:
            self.notes = (f"with {self._bytes / 1e9:.0f} GB the model is too large to be saved",)

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        training = self._solver.training
        predicted = np.empty((len(landmarks), training.n_targets), np.float32)
        for start in range(0, len(landmarks), PROFILES_PER_BLOCK):
            block = slice(start, start + PROFILES_PER_BLOCK)
            predicted[block] = training.targets_of(self._mixtures(landmarks[block]))
        return predicted

    def donors(
        self, landmarks: NDArray[np.float32], training: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Return the training profiles that predictions are made of.

        Args:
            landmarks: profiles × landmarks, standardised.
            training: table of the training profiles, such as ``genebench.load(…).train.profiles``.
                Its columns are added, and its index as ``id``.

        Returns:
            One row for each donor of each profile, largest weight first. ``profile`` is the row
            of the profile in ``landmarks``, and ``donor`` the position of the training profile.
            ``weight`` is b, and ``share`` is ``|b|`` as a share of all weights of the profile.
            ``correlation`` is that of the landmarks of profile and donor.

        Raises:
            UserError: the table has another number of training profiles than the model.
        """
        n_training = len(self._solver.training)
        if training is not None and len(training) != n_training:
            raise UserError(
                f"The table has {len(training):,} training profiles, and the model {n_training:,}. "
                "Give the table of the protocol that the model was fitted on."
            )
        tables = []
        for row, mixture in enumerate(self._mixtures(landmarks)):
            order = np.argsort(-np.abs(mixture.weights), kind="stable")
            donors, weights = mixture.donors[order], mixture.weights[order]
            rows = self._solver.training.landmarks[donors].astype(np.float64)
            tables.append(
                pd.DataFrame(
                    {
                        "profile": row,
                        "donor": donors,
                        "weight": weights,
                        "share": np.abs(weights) / np.abs(weights).sum(),
                        "correlation": _correlations(rows, landmarks[row].astype(np.float64)),
                    }
                )
            )
        columns = ["profile", "donor", "weight", "share", "correlation"]
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
        if training is None:
            return table
        about = training.iloc[table["donor"]].rename_axis("id").reset_index()
        return pd.concat([table, about], axis=1)

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the training profiles, penalty and intercept. A very large model cannot be saved.

        ``landmarks`` is training profiles × landmarks, ``targets`` is training profiles × targets.
        """
        if self._bytes > MOST_BYTES:
            return {}
        training = self._solver.training
        return {
            "landmarks": training.landmarks,
            "targets": training.target_rows(np.arange(len(training))),
            "penalty": np.array([self.setting.penalty]),
            "intercept": np.array([self.setting.intercept]),
        }

    def relevance(
        self,
        landmarks: NDArray[np.float32],
        weights: NDArray[np.floating[Any]],
        rule: str,  # noqa: ARG002  both rules give the same
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets.

        While the donors of a profile and the signs of their weights stay, the weights are
        ``b = G⁻¹ (X x − a/2 sign b)``, linear in the profile x. So a landmark carries its value
        times its slope, and the rest is what the penalty takes away.
        """
        training, total = self._solver.training, float(np.sum(weights))
        values = np.empty(landmarks.shape)
        rest, output = np.empty((2, len(landmarks)))
        for number, mixture in enumerate(self._mixtures(landmarks)):
            profile = landmarks[number].astype(np.float64)
            rows = training.landmarks[mixture.donors].astype(np.float64)
            sums = training.target_rows(mixture.donors).astype(np.float64) @ weights
            output[number] = mixture.weights @ sums + mixture.constant * total
            slopes = 0.0
            if self.setting.intercept:
                means = rows.mean(1)
                rows, sums = rows - means[:, None], sums - total * means
                slopes = total / len(profile)
            solved = np.linalg.lstsq(rows @ rows.T, sums, rcond=None)[0]
            values[number] = profile * (rows.T @ solved + slopes)
            penalty = self.setting.penalty * len(profile)
            rest[number] = -penalty / 2 * (np.sign(mixture.weights) @ solved)
        return Attribution(values, rest, output)

    def _mixtures(self, landmarks: Matrix) -> list[Mixture]:
        penalty, intercept = self.setting
        return [path[0] for path in self._solver.paths(landmarks, [penalty], intercept)]


class SampleLasso(Method):
    """The lasso of a profile's landmarks on those of the training profiles near it."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        if params["penalty_min"] > params["penalty_max"]:
            raise UserError(
                f"sample-lasso.penalty_min={params['penalty_min']:g} is larger than "
                f"penalty_max={params['penalty_max']:g}. Exchange them."
            )
        self._grid = np.geomspace(
            params["penalty_max"], params["penalty_min"], params["penalties"]
        ).tolist()

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Keep the training set, and choose penalty and intercept on each validation set."""
        solver = self._solver(TrainingSet.read(train, context))
        return {
            name: self._chosen(solver, validation, context)
            for name, validation in validation_sets.items()
        }

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:  # noqa: ARG002
        """Return the model of these training profiles."""
        targets = tensors["targets"]
        training = TrainingSet(tensors["landmarks"], targets.__getitem__, targets.shape[1])
        setting = Setting(float(tensors["penalty"][0]), bool(tensors["intercept"][0]))
        return SampleMixture(self._solver(training), setting)

    def _solver(self, training: TrainingSet) -> Solver:
        params = self.params
        return Solver(training, params["neighbours"], Stop(params["gap"], params["iterations"]))

    def _chosen(self, solver: Solver, validation: Profiles, context: Context) -> SampleMixture:
        """Return the model of the setting with the smallest MAE. Of equals, the first is chosen."""
        positions, notes = np.arange(len(validation)), []
        most = self.params["validation_profiles"] or len(validation)
        if most < len(validation):
            # The seed is fixed, because nothing else in this method is random.
            drawn = np.random.default_rng(0).choice(positions, most, replace=False)
            positions = np.sort(drawn)
            notes.append(f"chosen on {most:,} of {len(validation):,} validation profiles")
        subset = _Subset(validation, positions)
        paths = [
            self._path(solver, subset, intercept, context)
            for intercept in INTERCEPTS[self.params["intercept"]]
        ]
        path = {name: np.concatenate([part[name] for part in paths]) for name in paths[0]}
        best = int(np.argmin(path["mae"]))
        penalty, gap = float(path["penalty"][best]), float(path["gap_worst"][best])
        model = SampleMixture(solver, Setting(penalty, bool(path["intercept"][best])))
        model.choices = {
            "penalty": penalty,
            "intercept": model.setting.intercept,
            "donors": float(path["donors"][best]),
            "gap_worst": gap,
        }
        model.curves = {"path": {name: values.tolist() for name, values in path.items()}}
        for bound, edge in (("penalty_max", self._grid[0]), ("penalty_min", self._grid[-1])):
            if penalty == edge and self._grid[0] != self._grid[-1]:
                notes.append(f"the penalty is at the edge of its path. Move {bound}.")
        if gap > self.params["gap"]:
            notes.append(
                f"some validation profiles stopped at {self.params['iterations']} rounds, above "
                f"the duality gap of {self.params['gap']:g} (the worst: {gap:.1e}). "
                "Raise iterations."
            )
        model.notes = (*model.notes, *notes)
        return model

    def _path(
        self, solver: Solver, subset: _Subset, intercept: bool, context: Context
    ) -> dict[str, Vector]:
        """Return the MAE of each penalty on validation profiles, with mean donors and worst gap."""
        n_penalties, n_profiles = len(self._grid), len(subset.positions)
        errors, donors, worst = np.zeros((3, n_penalties))
        size = max(1, MIXTURES_PER_BLOCK // n_penalties)
        for start in range(0, n_profiles, size):
            positions = subset.positions[start : start + size]
            truth = subset.profiles.target_rows(positions)
            landmarks = subset.profiles.landmark_rows(positions)
            paths = list(solver.paths(landmarks, self._grid, intercept))
            predicted = solver.training.targets_of([mixture for path in paths for mixture in path])
            by_penalty = predicted.reshape(len(positions), n_penalties, -1)
            for step in range(n_penalties):
                errors[step] += np.abs(by_penalty[:, step] - truth).mean(1).sum()
            donors += np.sum([[len(mixture.donors) for mixture in path] for path in paths], axis=0)
            gaps = np.max([[mixture.gap for mixture in path] for path in paths], axis=0)
            worst = np.maximum(worst, gaps)
            context.progress(start + len(positions), n_profiles, "choosing the penalty")
        return {
            "penalty": np.array(self._grid),
            "intercept": np.full(n_penalties, float(intercept)),
            "mae": errors / n_profiles,
            "donors": donors / n_profiles,
            "gap_worst": worst,
        }


def _correlations(rows: Vector, vector: Vector) -> Vector:
    """Return the correlation of each row with a vector. It is NaN if one of them is constant."""
    rows = rows - rows.mean(1, keepdims=True)
    vector = vector - vector.mean()
    with np.errstate(invalid="ignore"):
        return np.asarray(rows @ vector / (np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)))

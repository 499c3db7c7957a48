"""Adapter that makes methods of scikit-learn's regressors, and of estimators with their interface.

The estimator's ``fit(X, Y)`` and ``predict(X)`` must take several targets. Others can be wrapped in
scikit-learn's ``MultiOutputRegressor``. A plugin that names its estimator by an import string is
listed fast, because nothing here imports the estimator before it is fitted.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genebench._util.choices import edge_note
from genebench._util.text import typed
from genebench.errors import UserError
from genebench.method import Context, Curve, Method, Model
from genebench.plugins.discovery import load_code
from genebench.specs import MethodSpec, Param, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genebench.data.profiles import Profiles

Grid = Value | Sequence[Value]
ParamValues = dict[str, Any]

_MAX_PROFILES = "max_profiles"
_TINY_PROFILES = 200
"""Profiles under the preset ``tiny``: fewer than the conformance checks have to draw from."""
_MOST_NOTES = 3
"""Warnings of one fit that are kept as notes."""
_RANDOM_STATE = re.compile(r"(?:.*__)?random_state")
"""Name of a seed, also of one inside a nested estimator (``estimator__random_state``)."""
_N_JOBS = re.compile(r"(?:.*__)?n_jobs")
"""Number of workers, also of one inside a nested estimator."""
_ARGUMENTS = re.compile(r"def __init__\((.*?)\):", re.DOTALL)
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


def sklearn_method(
    estimator: Any, *, max_profiles: int | None = None, **params: Grid
) -> type[SklearnMethod]:
    """Return a method class that fits an estimator to the training profiles.

    Assign it to a variable of a plugin's module, and return its :meth:`SklearnMethod.spec` from the
    hook::

        PLS = sklearn_method("sklearn.cross_decomposition:PLSRegression", n_components=[5, 10, 15])

        @hookimpl
        def genebench_methods():
            return [PLS.spec()]

    Args:
        estimator: an import string, a class (or a function without arguments that returns an
            estimator), or an estimator, which is cloned. ``genebench list`` stays fast with an
            import string, and with a function that imports when it is called.
        max_profiles: number of training profiles to fit on, drawn by the seed. All by default. It
            becomes a parameter of the method, and is at most 200 under the preset ``tiny``.
        params: parameters of the estimator that users can set (``--set pls.n_components=30``). A
            list is a grid. Each combination is fitted, and the one with the smallest MAE on the
            validation set is chosen. A tuple is a value that is a list itself, alone
            (``hidden_layer_sizes=(64, 32)``) or in a grid (``[(64,), (64, 32)]``). Parameters not
            named here keep the estimator's defaults. Every ``random_state``, at any depth, is set
            to the job's seed. ``n_jobs``, at any depth, changes no result: it is no parameter of
            the method, so no part of any key.

    Raises:
        ValueError: a value is no bool, int, float or str, and no tuple of these, or a grid
            is empty or has a comma in a value, or ``n_jobs`` is no whole number.
    """
    workers = {name: params.pop(name) for name in [*params] if _N_JOBS.fullmatch(name)}
    for name, value in workers.items():
        if type(value) is not int:
            raise ValueError(f"parameter {name}: {value!r} is not a whole number")
    grids: dict[str, tuple[Value, ...]] = {}
    declared = []
    for name, value in params.items():
        if isinstance(value, str | tuple) or not isinstance(value, Sequence):
            declared.append(Param(name=name, default=value, help=f"the estimator's {name}"))
            continue
        # A grid is declared as text, because a parameter has one value: "5,10,15".
        # Switches stay as Python prints them, because earlier keys have them so.
        texts = [typed(item) if isinstance(item, tuple) else str(item) for item in value]
        if not texts or any("," in text for text in texts):
            raise ValueError(f"parameter {name}: a grid needs values, none with a comma in it")
        help_ = f"values of the estimator's {name} to choose from"
        declared.append(Param(name=name, default=",".join(texts), help=help_))
        for candidate in value:
            if isinstance(candidate, tuple):
                Param(name=name, default=candidate, help=help_)  # refuses one that cannot be typed
        grids[name] = tuple(value)
    if max_profiles is not None:
        declared.append(
            Param(
                name=_MAX_PROFILES,
                default=max_profiles,
                minimum=1,
                help="training profiles to fit on, drawn by the seed",
                presets={"tiny": min(max_profiles, _TINY_PROFILES)},
            )
        )
    content = {
        # The module of the caller, as in namedtuple: the import string of a spec must lead there.
        "__module__": sys._getframe(1).f_globals.get("__name__", "__main__"),  # noqa: SLF001
        # Without staticmethod, a function among a class's attributes would become a method.
        "estimator": staticmethod(estimator),
        "declared": tuple(declared),
        "grids": grids,
        "workers": workers,
    }
    return type("SklearnMethod", (SklearnMethod,), content)


class SklearnMethod(Method):
    """A method that fits an estimator for each candidate of its grids.

    Each validation set chooses the candidate with its smallest MAE. The models cannot be saved:
    they are trees of Python objects, which only pickle can store, and genebench loads no pickle.
    """

    estimator: ClassVar[Any]
    declared: ClassVar[tuple[Param, ...]]
    grids: ClassVar[Mapping[str, tuple[Value, ...]]]
    workers: ClassVar[Mapping[str, Grid]] = {}

    @classmethod
    def spec(
        cls, name: str = "", *, title: str = "", summary: str = "", reference: str = "",
        stochastic: bool | None = None,
    ) -> MethodSpec:  # fmt: skip
        """Return the spec that a plugin declares. By default, it follows from the variable's name.

        Args:
            name: name of the method. By default ``pls`` if the variable is ``PLS``.
            title: by default, the variable.
            summary: by default, the estimator's class.
            reference: source of the method.
            stochastic: True if results depend on the seed. By default they do if profiles are
                drawn, or if ``estimator`` has a ``random_state``. Only a function has to say so:
                it would have to be called.

        Raises:
            ValueError: no variable of the module that called :func:`sklearn_method` holds the
                method.
        """
        estimator = cls.estimator
        if isinstance(estimator, str):
            estimator_name = estimator.rpartition(":")[2]
        else:
            estimator_name = getattr(estimator, "__name__", type(estimator).__name__)
        variables = vars(sys.modules[cls.__module__])
        variable = next((key for key, value in variables.items() if value is cls), "")
        if not variable:
            raise ValueError(
                f"the method of {estimator_name} has no name. "
                f"Assign it to a variable of {cls.__module__}."
            )
        return MethodSpec(
            name=name or _BETWEEN_WORDS.sub("-", variable).strip("-").lower(),
            title=title or variable,
            summary=summary or f"{estimator_name} on the landmarks",
            code=f"{cls.__module__}:{variable}",
            params=cls.declared,
            stochastic=cls._is_random() if stochastic is None else stochastic,
            reference=reference,
        )

    @classmethod
    def _is_random(cls) -> bool:
        """Return whether profiles are drawn, or the estimator has a ``random_state``."""
        if any(param.name == _MAX_PROFILES for param in cls.declared):
            return True
        if isinstance(cls.estimator, str):
            found = _names_random_state(cls.estimator)
            if found is not None:
                return found
        # A function would have to be called, which takes seconds.
        elif callable(cls.estimator) and not isinstance(cls.estimator, type):
            return False
        return bool(_random_states(cls._new_estimator()))

    @classmethod
    def _new_estimator(cls) -> Any:
        source = load_code(cls.estimator) if isinstance(cls.estimator, str) else cls.estimator
        if callable(source):
            return source()
        from sklearn.base import clone

        return clone(source)

    def __init__(self, **params: Value) -> None:
        super().__init__(**params)
        self.candidates = list(self._candidates())

    def _candidates(self) -> Iterator[ParamValues]:
        """Yield every combination of the grids, with the other parameters beside it."""
        axes = {
            name: _parse_grid(name, str(self.params[name]), values)
            for name, values in self.grids.items()
        }
        fixed = {name: self.params[name] for name in self.params if name not in axes}
        fixed.pop(_MAX_PROFILES, None)
        for combination in product(*axes.values()):
            yield fixed | dict(zip(axes, combination, strict=True))

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Fit every candidate. Each validation set chooses the one with its smallest MAE."""
        # Imported here, because it imports numpy, and listing methods imports this module.
        from genebench.methods.predictions import mean_absolute_error

        landmarks, targets = _draw(train, self.params.get(_MAX_PROFILES), context.seed)
        has_choice = len(self.candidates) > 1
        errors: dict[str, list[float]] = {name: [] for name in validation_sets}
        best: dict[str, Fitted] = {}
        for number, values in enumerate(self.candidates, start=1):
            model = self._fit_candidate(values, landmarks, targets, context.seed)
            for name, validation in validation_sets.items():
                # A single candidate needs no predictions.
                error = mean_absolute_error(model, validation) if has_choice else 0.0
                if error < min(errors[name], default=float("inf")):
                    best[name] = model
                errors[name].append(error)
            context.progress(number, len(self.candidates), "fitting")
        if not has_choice:
            return dict(best)
        # One model may be the choice of several sets. Each needs a separate path of errors.
        return {name: model.with_path(self._path(errors[name])) for name, model in best.items()}

    def _fit_candidate(
        self, values: ParamValues, landmarks: NDArray[Any], targets: NDArray[Any], seed: int
    ) -> Fitted:
        estimator = self._new_estimator().set_params(**values, **self.workers)
        estimator.set_params(**dict.fromkeys(_random_states(estimator), seed))
        with warnings.catch_warnings(record=True) as caught:
            # "always": by default Python shows a warning once, so later fits would have none.
            warnings.simplefilter("always")
            estimator.fit(landmarks, targets)
        texts = dict.fromkeys(f"{item.category.__name__}: {item.message}" for item in caught)
        notes = [" ".join(text.split()) for text in texts][:_MOST_NOTES]
        choices = {name: values[name] for name in self.grids}
        for name, chosen in choices.items():
            tried = [candidate[name] for candidate in self.candidates]
            if note := edge_note(name, chosen, tried):
                notes.append(note)
        return Fitted(estimator, targets.shape[1], choices, tuple(notes))

    def _path(self, errors: Sequence[float]) -> Curve:
        """Return the numbers of the grids, and the MAE of each candidate on a validation set."""
        columns = {
            name: [float(values[name]) for values in self.candidates]
            for name, grid in self.grids.items()
            if isinstance(grid[0], int | float)
        }
        return columns | {"mae": list(errors)}


class Fitted(Model):
    """A fitted estimator."""

    def __init__(
        self, estimator: Any, n_targets: int, choices: ParamValues, notes: tuple[str, ...],
        path: Curve | None = None,
    ) -> None:  # fmt: skip
        self._estimator, self._n_targets = estimator, n_targets
        self.choices, self.notes = choices, notes
        self.curves = {"path": path} if path else {}
        # Linear models have these attributes. The parameters of others cannot be counted.
        learnt = [getattr(estimator, name, None) for name in ("coef_", "intercept_")]
        sizes = [int(part.size) for part in learnt if part is not None and hasattr(part, "size")]
        self.n_parameters = sum(sizes) if len(sizes) == len(learnt) else None

    def with_path(self, path: Curve) -> Fitted:
        """Return the same model, with the errors of all candidates."""
        return Fitted(self._estimator, self._n_targets, dict(self.choices), self.notes, path)

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Return predictions: profiles × landmarks → profiles × targets."""
        if not len(landmarks):  # Estimators refuse an empty matrix.
            return landmarks[:, :1].repeat(self._n_targets, axis=1)
        predictions: NDArray[np.floating[Any]] = self._estimator.predict(landmarks)
        # Estimators return a single target as a vector.
        return predictions.reshape(len(landmarks), self._n_targets)


def _parse_grid(name: str, text: str, declared: Sequence[Value]) -> list[Value]:
    """Return the values of a grid, of the type of the values that the plugin declared."""
    # A grid such as [1, 0.5] is of floats, even if its first value is an int.
    default = next((value for value in declared if isinstance(value, float)), declared[0])
    param = Param(name=name, default=default, help="")
    values = [param.parse(part, owner="grid") for part in text.split(",") if part.strip()]
    if not values:
        raise UserError(f"{name}={text}: a grid needs values. Write them as {name}=1,2.")
    return values


def _draw(
    train: Profiles, most: int | None, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return landmarks and targets of all training profiles, or of ``most`` drawn ones."""
    if most is None or most >= len(train):
        return train.landmarks, train.targets
    import numpy as np

    is_drawn = np.zeros(len(train), dtype=bool)
    is_drawn[np.random.default_rng(seed).permutation(len(train))[:most]] = True
    # Read in blocks: all targets may be larger than the memory.
    parts, start = [], 0
    for block in train.blocks():
        rows = is_drawn[start : start + len(block.landmarks)]
        parts.append((block.landmarks[rows], block.targets[rows]))
        start += len(rows)
    landmarks, targets = zip(*parts, strict=True)
    return np.concatenate(landmarks), np.concatenate(targets)


def _names_random_state(code: str) -> bool | None:
    """Return whether a class of scikit-learn has a ``random_state``, without an import of it.

    Each class of scikit-learn lists all of its parameters, and importing one takes a second. The
    result is None for other packages, where a base class may have the parameter.
    """
    module, _, name = code.partition(":")
    spec = find_spec("sklearn") if module.partition(".")[0] == "sklearn" else None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*module.split(".")[1:])
    body = re.compile(rf"^class {re.escape(name)}\b.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
    for path in [place.with_suffix(".py")] if not place.is_dir() else sorted(place.glob("*.py")):
        if path.is_file() and (found := body.search(path.read_text("utf-8"))):
            arguments = _ARGUMENTS.search(found[0])
            return "random_state" in arguments[1] if arguments else None
    return None


def _random_states(estimator: Any) -> list[str]:
    return [name for name in estimator.get_params(deep=True) if _RANDOM_STATE.fullmatch(name)]

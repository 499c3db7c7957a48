"""scikit-learn's regressors, and whatever looks like one, as methods.

Any estimator whose ``fit(X, Y)`` and ``predict(X)`` take several targets will do; wrap others in
scikit-learn's ``MultiOutputRegressor``. Nothing here is imported before it is needed, so that a
plugin which names its estimator by an import string is listed at once.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from genebench.errors import UserError
from genebench.method import Context, Curve, Method, Model
from genebench.methods.predictions import mean_absolute_error
from genebench.plugins.discovery import load_code
from genebench.specs import MethodSpec, Param, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genebench.data.profiles import Profiles

Grid = Value | Sequence[Value]
ParamValues = dict[str, Value]

_MOST_PROFILES = "max_profiles"
_FEW_PROFILES = 200
_RANDOM = re.compile(r"(?:.*__)?random_state")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_MOST_NOTES = 3


def sklearn_method(
    estimator: Any, *, max_profiles: int | None = None, **params: Grid
) -> type[SklearnMethod]:
    """A method that fits an estimator to the training profiles.

    Give it a name in a plugin's module, and return its :meth:`SklearnMethod.spec` from the hook::

        PLS = sklearn_method("sklearn.cross_decomposition:PLSRegression", n_components=[5, 10, 15])

        @hookimpl
        def genebench_methods():
            return [PLS.spec()]

    Args:
        estimator: what to fit: an import string, a class (or any function without arguments that
            returns an estimator), or an estimator, which is cloned. Only an import string, and a
            function that imports when it is called, leave ``genebench list`` fast.
        max_profiles: on how many training profiles, drawn by the seed; all unless given. It is a
            parameter of the method, too; at most 200 under the preset ``tiny``.
        params: parameters of the estimator that can be set (``--set pls.n_components=30``). A
            list is a grid: each combination is fitted, and the one with the smallest MAE on the
            validation set is chosen. All others stay as the estimator has them; what is called
            ``random_state``, at any depth, is set to the job's seed.

    Raises:
        ValueError: a value is no bool, int, float or str, or a grid is empty or holds a comma.
    """
    declared = [_declared(name, value) for name, value in params.items()]
    if max_profiles is not None:
        help_ = "training profiles to fit on, drawn by the seed"
        # The preset of the conformance checks: their data are few, and some are to be left out.
        presets = {"tiny": min(max_profiles, _FEW_PROFILES)}
        declared.append(
            Param(name=_MOST_PROFILES, default=max_profiles, minimum=1, help=help_, presets=presets)
        )
    # The module that it is defined in, as namedtuple does: a spec has to name its code.
    module = sys._getframe(1).f_globals.get("__name__", "__main__")  # noqa: SLF001
    content = {
        "__module__": module,
        # A function among a class's attributes would be taken for a method.
        "estimator": staticmethod(estimator),
        "declared": tuple(declared),
        "grids": {name: tuple(grid) for name, value in params.items() if (grid := _grid(value))},
    }
    return type("SklearnMethod", (SklearnMethod,), content)


class SklearnMethod(Method):
    """Fits an estimator once for each candidate, and lets each validation set choose by MAE.

    Its models are trees of Python objects, which only pickle could save, so they are not saved.
    """

    estimator: ClassVar[Any]
    declared: ClassVar[tuple[Param, ...]]
    grids: ClassVar[Mapping[str, tuple[Value, ...]]]

    @classmethod
    def spec(
        cls, name: str = "", *, title: str = "", summary: str = "", reference: str = "",
        stochastic: bool | None = None,
    ) -> MethodSpec:  # fmt: skip
        """What a plugin declares; by default, all follows from the variable's name.

        Args:
            name: name of the method; ``pls`` where the variable is ``PLS``.
            title: unless given, the variable.
            summary: unless given, the estimator's class.
            reference: where the method comes from.
            stochastic: whether results depend on the seed. Unless given, they do when profiles
                are drawn, or when ``estimator`` is a class or an estimator with a
                ``random_state``.

        Raises:
            ValueError: the method is no variable of the module that it was made in.
        """
        variable = cls._variable()
        kind = _called(cls.estimator)
        return MethodSpec(
            name=name or _WORDS.sub("-", variable).strip("-").lower(),
            title=title or variable,
            summary=summary or f"{kind} on the landmarks",
            code=f"{cls.__module__}:{variable}",
            params=cls.declared,
            stochastic=cls._is_random() if stochastic is None else stochastic,
            reference=reference,
        )

    @classmethod
    def _variable(cls) -> str:
        for name, value in vars(sys.modules[cls.__module__]).items():
            if value is cls:
                return name
        raise ValueError(
            f"{_called(cls.estimator)}: give what sklearn_method returns a name in {cls.__module__}"
        )

    @classmethod
    def _is_random(cls) -> bool:
        if any(param.name == _MOST_PROFILES for param in cls.declared):
            return True
        at_hand = isinstance(cls.estimator, type) or not callable(cls.estimator)
        return at_hand and not isinstance(cls.estimator, str) and bool(_random_states(cls._made()))

    @classmethod
    def _made(cls) -> Any:
        """A fresh estimator."""
        source = load_code(cls.estimator) if isinstance(cls.estimator, str) else cls.estimator
        if callable(source):
            return source()
        from sklearn.base import clone

        return clone(source)

    def __init__(self, **params: Value) -> None:
        super().__init__(**params)
        self.candidates = list(self._candidates())

    def _candidates(self) -> Iterator[ParamValues]:
        """Every combination of the grids, the other parameters the same in each."""
        axes = {
            name: _parsed(str(self.params[name]), values, name)
            for name, values in self.grids.items()
        }
        fixed = {name: self.params[name] for name in self.params if name not in axes}
        fixed.pop(_MOST_PROFILES, None)
        for chosen in product(*axes.values()):
            yield fixed | dict(zip(axes, chosen, strict=True))

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Fit every candidate; each validation set keeps the one with its smallest MAE."""
        landmarks, targets = _drawn(train, self.params.get(_MOST_PROFILES), context.seed)
        errors: dict[str, list[float]] = {name: [] for name in validation_sets}
        best: dict[str, Fitted] = {}
        for at, values in enumerate(self.candidates, start=1):
            model = self._fitted(values, landmarks, targets, context.seed)
            for name, validation in validation_sets.items():
                error = mean_absolute_error(model, validation) if len(self.candidates) > 1 else 0.0
                if error < min(errors[name], default=float("inf")):
                    best[name] = model
                errors[name].append(error)
            context.progress(at, len(self.candidates), "fitting")
        if len(self.candidates) == 1:
            return dict(best)
        return {name: model.chosen(self._path(errors[name])) for name, model in best.items()}

    def _fitted(
        self, values: ParamValues, landmarks: NDArray[Any], targets: NDArray[Any], seed: int
    ) -> Fitted:
        estimator = self._made().set_params(**values)
        estimator.set_params(**dict.fromkeys(_random_states(estimator), seed))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(landmarks, targets)
        said = dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught)
        notes = tuple(" ".join(note.split()) for note in said)
        chosen = {name: values[name] for name in self.grids}
        return Fitted(estimator, targets.shape[1], chosen, notes[:_MOST_NOTES])

    def _path(self, errors: Sequence[float]) -> Curve:
        """The grid's numbers, and the MAE of each candidate on a validation set."""
        columns = {
            name: [float(values[name]) for values in self.candidates]
            for name, grid in self.grids.items()
            if not isinstance(grid[0], str)
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
        self.n_parameters = _n_parameters(estimator)

    def chosen(self, path: Curve) -> Fitted:
        """The same, with how it was chosen."""
        return Fitted(self._estimator, self._n_targets, dict(self.choices), self.notes, path)

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Profiles × landmarks → profiles × targets."""
        if not len(landmarks):  # which estimators refuse
            return landmarks[:, :1].repeat(self._n_targets, axis=1)
        # One target comes back without its axis.
        found: NDArray[np.floating[Any]] = self._estimator.predict(landmarks)
        return found.reshape(len(landmarks), self._n_targets)


def _grid(value: Grid) -> Sequence[Value]:
    """The values of a grid; none for a single value."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _declared(name: str, value: Grid) -> Param:
    """A parameter; a grid is declared as its values, separated by commas."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return Param(name=name, default=value, help=f"the estimator's {name}")
    texts = [str(one) for one in value]
    if not texts or any("," in text for text in texts):
        raise ValueError(f"parameter {name}: a grid needs values, none with a comma in it")
    help_ = f"values of the estimator's {name} to choose from"
    return Param(name=name, default=",".join(texts), help=help_)


def _parsed(text: str, like: Sequence[Value], name: str) -> list[Value]:
    """ParamValues of a grid, of the type that the plugin's own have."""
    default = next((value for value in like if isinstance(value, float)), like[0])
    param = Param(name=name, default=default, help="")
    values = [param.parse(part, owner="grid") for part in text.split(",") if part.strip()]
    if not values:
        raise UserError(f"{name}={text}: a grid needs values, as in {name}=1,2")
    return values


def _drawn(
    train: Profiles, most: int | None, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Landmarks and targets of the training profiles, or of some of them."""
    if most is None or most >= len(train):
        return train.landmarks, train.targets
    import numpy as np

    wanted = np.zeros(len(train), dtype=bool)
    wanted[np.random.default_rng(seed).permutation(len(train))[:most]] = True
    parts, at = [], 0
    for block in train.blocks():
        rows = wanted[at : at + len(block.landmarks)]
        parts.append((block.landmarks[rows], block.targets[rows]))
        at += len(rows)
    landmarks, targets = zip(*parts, strict=True)
    return np.concatenate(landmarks), np.concatenate(targets)


def _random_states(estimator: Any) -> list[str]:
    return [name for name in estimator.get_params(deep=True) if _RANDOM.fullmatch(name)]


def _n_parameters(estimator: Any) -> int | None:
    """What a linear model learnt; of others only their authors could tell."""
    learnt = [getattr(estimator, name, None) for name in ("coef_", "intercept_")]
    if not all(hasattr(part, "size") for part in learnt):
        return None
    return sum(int(part.size) for part in learnt if part is not None)


def _called(estimator: object) -> str:
    if isinstance(estimator, str):
        return estimator.rpartition(":")[2]
    return getattr(estimator, "__name__", type(estimator).__name__)

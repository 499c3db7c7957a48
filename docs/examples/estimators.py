"""Estimators of scikit-learn as methods.

Try it with ``genebench run --plugin estimators.py --methods pls``.
"""

from __future__ import annotations

from typing import Any

from genebench import hookimpl, sklearn_method
from genebench.specs import MethodSpec

genebench_contract = 1

PLS = sklearn_method("sklearn.cross_decomposition:PLSRegression", n_components=[5, 10, 15])
RandomForest = sklearn_method(
    "sklearn.ensemble:RandomForestRegressor", max_profiles=5000, n_estimators=100, max_features=0.3
)
KernelRidge = sklearn_method(
    "sklearn.kernel_ridge:KernelRidge",
    max_profiles=5000,
    kernel="rbf",
    alpha=[0.01, 0.1, 1.0],
    gamma=[0.001, 0.01],
)


def boosting() -> Any:
    """Return one ensemble of trees for each target gene."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    return MultiOutputRegressor(HistGradientBoostingRegressor(early_stopping=False))


Boosting = sklearn_method(boosting, estimator__max_iter=100, estimator__learning_rate=0.1)


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the methods of this plugin. Two have names that no shipped method has."""
    return [
        PLS.spec(),
        RandomForest.spec(),
        KernelRidge.spec("rbf-ridge"),
        Boosting.spec("hist-boosting"),
    ]

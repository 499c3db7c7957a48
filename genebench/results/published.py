"""Published values of Wang et al. 2018, and the check that a dataset is the published one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from genebench.specs import Value

if TYPE_CHECKING:
    from genebench.data.store import Dataset
    from genebench.results.record import Identity


class Published(NamedTuple):
    """A published mean ± standard deviation over target genes (Wang et al. 2018)."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.std:.4f}"


_MAE = "mae"
_CC = "cc"

PUBLISHED: dict[tuple[str, str, str], Published] = {
    ("geo", "lsr", _MAE): Published(0.3763, 0.0844),
    ("geo", "lsr", _CC): Published(0.8227, 0.0956),
    ("geo", "lsr-l1", _MAE): Published(0.3756, 0.0841),
    ("geo", "lsr-l1", _CC): Published(0.8221, 0.0960),
    ("geo", "lsr-l2", _MAE): Published(0.3758, 0.0842),
    ("geo", "lsr-l2", _CC): Published(0.8223, 0.0959),
    ("geo", "knn-ge", _MAE): Published(0.5866, 0.0698),
    ("geo", "knn-ge", _CC): Published(0.5721, 0.3415),
    ("geo", "dgex", _MAE): Published(0.3196, 0.0877),
    ("geo", "dgex", _CC): Published(0.8690, 0.0899),
    ("geo", "ggan", _MAE): Published(0.2897, 0.0890),
    ("geo", "ggan", _CC): Published(0.8785, 0.0894),
    ("gtex", "lsr", _MAE): Published(0.4704, 0.1235),
    ("gtex", "lsr", _CC): Published(0.7184, 0.2072),
    ("gtex", "lsr-l1", _MAE): Published(0.5669, 0.1274),
    ("gtex", "lsr-l1", _CC): Published(0.6813, 0.2188),
    ("gtex", "lsr-l2", _MAE): Published(0.4682, 0.1233),
    ("gtex", "lsr-l2", _CC): Published(0.7181, 0.2076),
    ("gtex", "knn-ge", _MAE): Published(0.6520, 0.0982),
    ("gtex", "knn-ge", _CC): Published(0.3941, 0.4124),
    ("gtex", "dgex", _MAE): Published(0.4380, 0.1237),
    ("gtex", "dgex", _CC): Published(0.7337, 0.2072),
    ("gtex", "ggan", _MAE): Published(0.4215, 0.1264),
    ("gtex", "ggan", _CC): Published(0.7475, 0.2070),
}
"""Tables 1 and 3: (protocol, method, metric) → value on all targets.

The values of D-GEX are those that the GGAN paper got with its own run of D-GEX.
"""

SETTINGS: dict[tuple[str, str], Mapping[str, Value]] = {
    ("gtex", "dgex"): {"layers": 2, "dropout": 0.25},
}
"""Parameters of Tables 1 and 3 that differ from the method's own defaults.

On GTEx the best D-GEX had two hidden layers, and the dropout of the GTEx tables of Chen et al.
"""

_LAYERS, _UNITS = (1, 2, 3), (3000, 6000, 9000)
_GRID_VALUES = {
    ("geo", "dgex"): (
        (0.3421, 0.0858), (0.3337, 0.0869), (0.3300, 0.0874),
        (0.3377, 0.0854), (0.3280, 0.0869), (0.3224, 0.0879),
        (0.3362, 0.0850), (0.3252, 0.0868), (0.3204, 0.0879),
    ),
    ("geo", "ggan-fc"): (
        (0.3265, 0.0854), (0.3165, 0.0869), (0.3088, 0.0862),
        (0.3164, 0.0854), (0.3037, 0.0869), (0.2982, 0.0868),
        (0.3126, 0.0850), (0.3015, 0.0867), (0.2965, 0.0868),
    ),
    ("gtex", "dgex"): (
        (0.4507, 0.1231), (0.4428, 0.1246), (0.4394, 0.1253),
        (0.4586, 0.1194), (0.4446, 0.1226), (0.4393, 0.1239),
        (0.5160, 0.1157), (0.4595, 0.1186), (0.4492, 0.1211),
    ),
    ("gtex", "ggan-fc"): (
        (0.4373, 0.1238), (0.4351, 0.1240), (0.4305, 0.1245),
        (0.4412, 0.1240), (0.4323, 0.1238), (0.4296, 0.1241),
        (0.4311, 0.1240), (0.4294, 0.1234), (0.4290, 0.1240),
    ),
}  # fmt: skip
GRIDS: dict[tuple[str, str], dict[tuple[Value, Value], Published]] = {
    key: dict(zip(product(_LAYERS, _UNITS), (Published(*value) for value in values), strict=True))
    for key, values in _GRID_VALUES.items()
}
"""Tables 2 and 4, MAE: (protocol, method) → (hidden layers, units of each) → value.

The text of the paper does not show which rows of Table 4 belong to which method. The best of the
first three rows is the value of D-GEX in Table 3, so these rows are D-GEX, and the others GGAN.
The values of D-GEX are those of Chen et al.
"""

_GRID_SETTINGS: dict[tuple[str, str], Mapping[str, Value]] = {
    ("gtex", "dgex"): {"dropout": 0.25},
}
"""Parameters of Tables 2 and 4 that differ from the method's own defaults."""

GENES = ("0662e11e8fb1c698", "8cc67b8cd86715bf")
"""Digests of the Ensembl ids of the published 943 landmarks and 9,520 targets, in map order."""

PROFILES = {"geo": range(105_000, 115_000), "1000g": range(462, 463), "gtex": range(2921, 2922)}
"""Platform → accepted numbers of profiles.

The published number of GEO profiles is 111,009. Removal of duplicates was not seeded, and others
who repeated it kept 112,171, so GEO has a range."""


def published(identity: Identity, metric: str, defaults: Mapping[str, Value]) -> Published | None:
    """Return the value of Tables 1 and 3 for a run, or None with other parameters.

    The caller checks the dataset, see :func:`is_published`.

    Args:
        identity: the identity of the run.
        metric: name of the metric, over all targets.
        defaults: default of every parameter of the method.
    """
    key = identity.protocol, identity.method
    # A value of the paper beside a run with other parameters would be no comparison.
    if dict(identity.params) != {**defaults, **SETTINGS.get(key, {})}:
        return None
    return PUBLISHED.get((*key, metric))


def published_in_grid(
    identity: Identity, metric: str, defaults: Mapping[str, Value]
) -> Published | None:
    """Return the value of Tables 2 and 4 for a run, or None with other parameters.

    Hidden layers and their units may be those of any cell. Arguments are those of
    :func:`published`.
    """
    key, params = (identity.protocol, identity.method), identity.params
    layers, units = params.get("layers", 0), params.get("units", 0)
    setting = {**defaults, **_GRID_SETTINGS.get(key, {}), "layers": layers, "units": units}
    if metric != _MAE or dict(params) != setting:
        return None
    return GRIDS.get(key, {}).get((layers, units))


def is_published(dataset: Dataset) -> bool:
    """Return whether a dataset is the published one.

    The data must be measured, the genes those of the paper, in its order, and the numbers of
    profiles within :data:`PROFILES`.
    """
    info = dataset.info
    sizes = {name: platform["profiles"] for name, platform in info["platforms"].items()}
    genes = tuple(
        hashlib.sha256("\n".join(table.index).encode()).hexdigest()[:16]
        for table in (dataset.landmark_genes, dataset.target_genes)
    )
    return (
        info["origin"].get("kind") == "measured"
        and all(sizes.get(name, 0) in expected for name, expected in PROFILES.items())
        and genes == GENES
    )

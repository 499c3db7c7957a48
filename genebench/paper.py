"""The published numbers, and how to tell that a dataset is the one they are about."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from genebench.data.store import Dataset


class Published(NamedTuple):
    """Mean ± standard deviation over target genes (Wang et al. 2018, Tables 1 and 3)."""

    mean: float
    std: float


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
"""(protocol, method, metric) → value on all targets. D-GEX is the rerun of the GGAN paper."""

GENES = ("0662e11e8fb1c698", "8cc67b8cd86715bf")
"""Digests of the Ensembl ids of the published 943 landmarks and 9,520 targets, in map order."""

PROFILES = {"geo": range(105_000, 115_000), "1000g": range(462, 463), "gtex": range(2921, 2922)}
"""Profiles per platform. Duplicates were removed unseeded: others got 112,171, not 111,009."""


def is_published(dataset: Dataset) -> bool:
    """Whether a dataset is the published one: measured, its genes, and its numbers of profiles."""
    info = dataset.info
    sizes = {name: platform["profiles"] for name, platform in info["platforms"].items()}
    return (
        info["origin"].get("kind") == "measured"
        and all(sizes.get(name, 0) in expected for name, expected in PROFILES.items())
        and (_digest(dataset.landmark_genes), _digest(dataset.target_genes)) == GENES
    )


def _digest(genes: pd.DataFrame) -> str:
    return hashlib.sha256("\n".join(genes.index).encode()).hexdigest()[:16]

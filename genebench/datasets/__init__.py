"""Datasets by name, manifests, downloads, exports. The built-in dataset, as a hook."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import PRESETS, DatasetSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_datasets() -> list[DatasetSpec]:
    """Return the embedded simulation. Users prepare other datasets from manifests."""
    return [
        DatasetSpec(
            name="sim",
            title="simulated microarray, 1000 Genomes and GTEx profiles",
            code="genebench.datasets.sim:compendium",
            presets=PRESETS,
        )
    ]

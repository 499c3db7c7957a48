"""Built-in datasets, as hooks."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import PRESETS, DatasetSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_datasets() -> list[DatasetSpec]:
    """The embedded dataset; whatever a manifest describes is prepared by the user."""
    return [
        DatasetSpec(
            name="sim",
            title="simulated microarray, 1000 Genomes and GTEx profiles",
            code="genebench.datasets.sim:compendium",
            presets=PRESETS,
        )
    ]

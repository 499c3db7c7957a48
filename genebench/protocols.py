"""The two published protocols, and variants that each remove one leak."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import Part, ProtocolSpec

genebench_contract = CONTRACT

GEO = ProtocolSpec(
    name="geo",
    title="GEO",
    summary="train, validation and test on parts of the microarray platform",
    train=Part(platform="geo", split="train"),
    validation=Part(platform="geo", split="validation"),
    test=Part(platform="geo", split="test"),
)
GTEX = ProtocolSpec(
    name="gtex",
    title="GEO → 1000 Genomes → GTEx",
    summary="train on microarrays, validate on 1000 Genomes RNA-seq, test on GTEx RNA-seq",
    train=Part(platform="geo", split="train"),
    validation=Part(platform="1000g"),
    test=Part(platform="gtex"),
)
GEO_STRICT = ProtocolSpec(
    name="geo-strict",
    title="GEO, training statistics",
    summary="geo, with quantiles, means and deviations from the training profiles only",
    train=Part(platform="geo", split="train", statistics="train"),
    validation=Part(platform="geo", split="validation", statistics="train"),
    test=Part(platform="geo", split="test", statistics="train"),
    variant_of="geo",
)
GTEX_STRICT = ProtocolSpec(
    name="gtex-strict",
    title="GEO → 1000 Genomes → GTEx, training statistics",
    summary="gtex, with quantiles, means and deviations of the training profiles on every platform",
    train=Part(platform="geo", split="train", statistics="train"),
    validation=Part(platform="1000g", statistics="train"),
    test=Part(platform="gtex", statistics="train"),
    variant_of="gtex",
)
GEO_SERIES = ProtocolSpec(
    name="geo-series",
    title="GEO, split by series",
    summary="geo, with every GEO series (group) in one part only",
    train=Part(platform="geo", split="train", by="group"),
    validation=Part(platform="geo", split="validation", by="group"),
    test=Part(platform="geo", split="test", by="group"),
    variant_of="geo",
)
GEO_SERIES_STRICT = ProtocolSpec(
    name="geo-series-strict",
    title="GEO, split by series, training statistics",
    summary="geo-series, with quantiles, means and deviations from the training series only",
    train=Part(platform="geo", split="train", by="group", statistics="train"),
    validation=Part(platform="geo", split="validation", by="group", statistics="train"),
    test=Part(platform="geo", split="test", by="group", statistics="train"),
    variant_of="geo-series",
)


@hookimpl
def genebench_protocols() -> list[ProtocolSpec]:
    """Return the published protocols (Chen et al. 2016, Wang et al. 2018), then their variants."""
    return [GEO, GTEX, GEO_STRICT, GTEX_STRICT, GEO_SERIES, GEO_SERIES_STRICT]

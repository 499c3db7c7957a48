"""The two published protocols, variants that each remove one leak, real L1000, and folds."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import Part, ProtocolSpec, Split

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


def _l1000(split: Split, by: str) -> Part:
    """Return a part of L1000. Its statistics are those of the training profiles."""
    return Part(platform="l1000", split=split, by=by, statistics="train")


L1000 = ProtocolSpec(
    name="l1000",
    title="L1000 → RNA-seq",
    summary="landmarks by the L1000 assay, targets by RNA-seq of the same samples",
    train=_l1000("train", "l1000"),
    validation=_l1000("validation", "l1000"),
    test=_l1000("test", "l1000"),
)
L1000_DONORS = ProtocolSpec(
    name="l1000-donors",
    title="L1000 → RNA-seq, unseen donors",
    summary="l1000, with every donor (group) in one part only",
    train=_l1000("train", "group"),
    validation=_l1000("validation", "group"),
    test=_l1000("test", "group"),
    variant_of="l1000",
)

GEO_FOLDS = ProtocolSpec(
    name="geo-5fold",
    title="GEO, five folds by series",
    summary="five folds of whole GEO series, with quantiles, means and deviations as in geo",
    train=Part(platform="geo", split="train", by="group"),
    validation=Part(platform="geo", split="validation", by="group"),
    test=Part(platform="geo", split="test", by="group"),
    variant_of="geo-series",
    folds=5,
)


def _tissue(split: Split) -> Part:
    """Return a part of GTEx whose tissues are in one part only."""
    return Part(platform="gtex", split=split, by="group", column="tissue", statistics="train")


GTEX_TISSUES = ProtocolSpec(
    name="gtex-loto",
    title="GTEx, leave one tissue out",
    summary="each tissue of GTEx is the test set once, and the next one the validation set",
    train=_tissue("train"),
    validation=_tissue("validation"),
    test=_tissue("test"),
    folds="leave-one-out",
)


@hookimpl
def genebench_protocols() -> list[ProtocolSpec]:
    """Return the published protocols (Chen et al. 2016, Wang et al. 2018), then all others."""
    return [
        GEO, GTEX, GEO_STRICT, GTEX_STRICT, GEO_SERIES, GEO_SERIES_STRICT, L1000, L1000_DONORS,
        GEO_FOLDS, GTEX_TISSUES,
    ]  # fmt: skip

"""The two published protocols. They share the training set, hence the training."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import Part, ProtocolSpec

genebench_contract = CONTRACT

GEO_TRAIN = Part(platform="geo", split="train")

GEO = ProtocolSpec(
    name="geo",
    title="GEO",
    summary="train, select and test on parts of the microarray platform",
    train=GEO_TRAIN,
    select=Part(platform="geo", split="select"),
    test=Part(platform="geo", split="test"),
)
GTEX = ProtocolSpec(
    name="gtex",
    title="GEO → 1000 Genomes → GTEx",
    summary="train on microarrays, select on 1000 Genomes RNA-seq, test on GTEx RNA-seq",
    train=GEO_TRAIN,
    select=Part(platform="1000g"),
    test=Part(platform="gtex"),
)


@hookimpl
def genebench_protocols() -> list[ProtocolSpec]:
    """The protocols of Chen et al. 2016 and Wang et al. 2018, as published."""
    return [GEO, GTEX]

"""Datasets before preparation: gene maps and raw platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from genebench.data.splits import REFERENCE_PLATFORM
from genebench.formats.base import Reader

__all__ = ["REFERENCE_PLATFORM", "Compendium", "Platform"]

IdKind = Literal["probe", "ensembl", "symbol", "entrez"]
Duplicates = Literal["exact", "kmeans", "keep"]
MissingGenes = Literal["drop", "error", "fill"]
Repeated = Literal["error", "mean", "max", "first"]
MissingValues = Literal["error", "drop-gene", "drop-profile"]
ExpressionScale = Literal["log2", "linear", "any"]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One raw platform: a matrix, the kind of its gene ids, and a table about its profiles.

    Attributes:
        reader: the matrix.
        ids: the kind of id that the reader's genes have.
        level: the scale of the values, or ``any`` to take them unchecked. On microarrays,
            ``linear`` values become log2(x + 1). Other platforms are mapped by rank.
        profiles: a table about the profiles, joined by profile id to that of the reader.
        group: the column of either table that groups related profiles, such as a GEO series or
            a donor.
        id_pattern: the form of gene ids that hold more than one id, such as ``SYM (entrez)``.
        repeated: the rule for genes with several rows: ``error``, or one value for each profile:
            the ``mean``, the ``max`` or the ``first``.
        missing_values: the rule for missing values. A reader must yield them as NaN for the rules
            ``drop-gene`` and ``drop-profile`` (:meth:`Reader.keep_missing`).
        licence: the terms of use of the data, and the paper to cite, for the dataset's card.
    """

    reader: Reader
    ids: IdKind
    # Manifests call the scale of the values ``level``, and so does the field.
    level: ExpressionScale = "log2"
    profiles: pd.DataFrame | None = None
    group: str | None = None
    id_pattern: str | None = None
    repeated: Repeated = "error"
    missing_values: MissingValues = "error"
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Compendium:
    """Raw platforms and the maps of the genes that are taken from them.

    Attributes:
        name: the name of the prepared dataset.
        title: one line about it.
        landmarks: gene map, indexed by Ensembl id, with columns ``symbol`` and ``probes``
            (comma-separated probe ids), in the order that the dataset will have.
        targets: gene map of the same form.
        platforms: platforms by name. The recipe needs ``geo``.
        preset: the preset of methods on this dataset, unless the user chooses another.
        missing_genes: ``drop`` to drop genes that a platform lacks on all platforms, or ``error``.
            ``fill`` drops such targets. Landmarks that only RNA-seq lacks are filled there with
            their mean rank on the training arrays.
        duplicates: the rule that removes duplicate profiles of ``geo``, or ``keep``.
        split_seed: seed of the random splits of ``geo``, and of ``kmeans``.
        aliases: Ensembl ids as the maps have them, indexed by other ids of these genes (Entrez
            ids, outdated symbols), or None.
        origin: its source, for the record: ``kind`` is ``measured`` or ``simulated``. A manifest
            adds its name and the ``fingerprint`` of its files. Never part of the digest.
    """

    name: str
    title: str
    landmarks: pd.DataFrame
    targets: pd.DataFrame
    platforms: Mapping[str, Platform]
    preset: str = "small"
    # By default no duplicate is removed here, because a simulation has none. A manifest of measured
    # data removes exact ones by default.
    missing_genes: MissingGenes = "drop"
    duplicates: Duplicates = "keep"
    split_seed: int = 0
    aliases: pd.Series[str] | None = None
    origin: Mapping[str, str] = field(default_factory=lambda: {"kind": "measured"})

"""What a dataset is before preparation: gene maps and raw platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from genebench.formats.base import Reader

IdKind = Literal["probe", "ensembl", "symbol", "entrez"]
Duplicates = Literal["exact", "kmeans", "keep"]
MissingGenes = Literal["drop", "error"]
Level = Literal["log2", "linear", "any"]

REFERENCE_PLATFORM = "geo"
"""The microarray platform: the source of the quantile reference, and the one that is split."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One raw platform: a matrix, what its gene ids are, and a table about its profiles.

    Attributes:
        reader: the matrix.
        ids: what kind of id the reader's genes have.
        level: what the values are, ``any`` to take them unchecked. It matters on microarrays,
            where log2(x + 1) is taken of ``linear`` ones; the others are mapped by rank.
        profiles: a table about the profiles, joined by profile id to that of the reader.
        group: the column of either table that groups related profiles: a GEO series, a donor.
    """

    reader: Reader
    ids: IdKind
    level: Level = "log2"
    profiles: pd.DataFrame | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Compendium:
    """Raw platforms plus the gene maps that say which of their rows matter.

    Attributes:
        name: what it is prepared under.
        title: one line about it.
        landmarks, targets: gene maps, indexed by Ensembl id, columns ``symbol`` and ``probes``
            (comma-separated probe ids), in the order that the dataset will have.
        platforms: by name; the first step of the recipe needs ``geo``.
        preset: what methods take on it unless the user says otherwise.
        missing_genes: what becomes of genes that a platform lacks: dropped everywhere, or an error.
        split_seed: seeds the random split of ``geo``.
        aliases: Ensembl ids as the maps have them, indexed by other ids of these genes (Entrez
            ids, outdated symbols), or None.
        origin: where it comes from, for the record: ``measured`` or ``simulated`` and what the
            dataset wants to add (a manifest: its name, and the ``fingerprint`` of what it named).
            Never part of the digest.
    """

    name: str
    title: str
    landmarks: pd.DataFrame
    targets: pd.DataFrame
    platforms: Mapping[str, Platform]
    preset: str = "small"
    missing_genes: MissingGenes = "drop"
    duplicates: Duplicates = "keep"
    """What becomes of duplicate profiles of ``geo``: the rule they are removed by, if any."""
    split_seed: int = 0
    aliases: pd.Series[str] | None = None
    origin: Mapping[str, str] = field(default_factory=lambda: {"kind": "measured"})

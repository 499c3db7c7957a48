"""Choice of the genes that a dataset keeps: those that every platform measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, some
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, Compendium
from genebench.preprocessing.genes import (
    Matched,
    check_described,
    coverage,
    match_maps,
    unused_rows,
)


@dataclass(frozen=True)
class KeptGenes:
    """The genes that a dataset keeps, and their rows on each platform.

    Attributes:
        landmarks: the map of the kept landmark genes.
        targets: the map of the kept target genes.
        rows: platform → rows of the landmarks, followed by those of the targets.
        coverage: platform → how much of each map it has, ready for JSON.
        filled: platform → landmarks followed by targets: True for the landmarks that it lacks and
            that are filled. Their ``rows`` are empty.
        notes: platform → sentences about what was left out of its file.
    """

    landmarks: pd.DataFrame
    targets: pd.DataFrame
    rows: Mapping[str, Matched]
    coverage: Mapping[str, Any]
    filled: Mapping[str, NDArray[np.bool_]]
    notes: Mapping[str, list[str]]

    def __len__(self) -> int:
        return len(self.landmarks) + len(self.targets)

    @property
    def ids(self) -> pd.Index:
        """Ids of the landmarks, followed by those of the targets."""
        return self.landmarks.index.append(self.targets.index)


def keep_genes(compendium: Compendium) -> KeptGenes:
    """Match both maps to every platform, and keep the genes that every platform has.

    If ``missing_genes`` is ``fill``, all landmarks of the reference platform are kept.

    Raises:
        UserError: nothing matches, or a gene is missing and ``missing_genes`` is ``error``.
    """
    matched = {
        name: match_maps(
            compendium.landmarks, compendium.targets,
            platform.reader.gene_ids, platform.ids, source=platform.reader.source,
            columns=platform.reader.profiles.index,
            transpose_remedy=platform.reader.transpose_remedy, aliases=compendium.aliases,
        )
        for name, platform in compendium.platforms.items()
    }  # fmt: skip
    kept = [
        np.logical_and.reduce([pair[role].found for pair in matched.values()]) for role in (0, 1)
    ]
    report = {
        name: {
            "landmarks": coverage(compendium.landmarks, pair[0]),
            "targets": coverage(compendium.targets, pair[1]),
        }
        for name, pair in matched.items()
    }
    notes = {}
    for name, platform in compendium.platforms.items():
        reader = platform.reader
        for role, genes in enumerate((compendium.landmarks, compendium.targets)):
            check_described(
                genes, matched[name][role].found, reader.profiles, platform.ids,
                source=reader.source, aliases=compendium.aliases,
            )  # fmt: skip
        notes[name] = [*reader.notes, *unused_rows(reader.gene_ids, platform.ids)]
    if compendium.missing_genes == "fill":
        kept[0] = matched[REFERENCE_PLATFORM][0].found
    _check_missing(compendium, kept, report)
    n_targets = int(kept[1].sum())
    return KeptGenes(
        landmarks=compendium.landmarks[kept[0]],
        targets=compendium.targets[kept[1]],
        rows={
            name: pair[0].take(kept[0]) + pair[1].take(kept[1]) for name, pair in matched.items()
        },
        coverage=report,
        filled={
            name: np.append(~pair[0].found[kept[0]], np.zeros(n_targets, np.bool_))
            for name, pair in matched.items()
        },
        notes=notes,
    )


def _check_missing(
    compendium: Compendium, kept: list[NDArray[np.bool_]], report: Mapping[str, Any]
) -> None:
    for role, mask in zip(("landmark", "target"), kept, strict=True):
        if not mask.any():
            raise UserError(
                f"dataset {compendium.name}: no {role} gene is on every platform. Check the gene "
                "maps and the kinds of ids."
            )
    if compendium.missing_genes != "error":
        return
    for platform, roles in report.items():
        missing = [gene for role in roles.values() for gene in role["missing"]]
        if missing:
            source = compendium.platforms[platform].reader.source
            raise UserError(
                f"{source}: {len(missing)} genes of the maps are missing ({some(missing)}). "
                'Write missing_genes = "drop" to leave them out on every platform.'
            )

"""Prepare a compendium: the published recipe (all steps but duplicates), from readers to a store.

Each source is read once, in blocks: gene matching, probe averaging, ranks. When the quantile
reference is known, ranks become expression. What is held in memory is a block at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.compendium import REFERENCE_PLATFORM, Compendium, Platform
from genebench.data.formats.base import BLOCK
from genebench.data.genes import Matched, coverage, match_maps
from genebench.data.normalise import QuantileReference, gene_statistics, reference_ranks
from genebench.data.npy import NpyWriter, read_rows
from genebench.data.split import random_split
from genebench.data.store import (
    FORMAT,
    Dataset,
    DataStore,
    dataset_digest,
    platform_digest,
    write_table,
)
from genebench.errors import UserError, some
from genebench.progress import Progress, silent
from genebench.specs import check_name

FEWEST_PROFILES = 3


@dataclass(frozen=True)
class _Genes:
    """The genes that a dataset keeps, and where each platform has them."""

    landmarks: pd.DataFrame
    targets: pd.DataFrame
    rows: Mapping[str, Matched]
    """Platform → rows of the landmarks, then of the targets."""
    coverage: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.landmarks) + len(self.targets)


def prepare(
    compendium: Compendium,
    *,
    name: str | None = None,
    code: str = "",
    progress: Progress = silent,
    store: DataStore | None = None,
) -> Dataset:
    """Run the published recipe on raw platforms and put the result in the store, atomically.

    Args:
        compendium: raw platforms and gene maps.
        name: name to prepare it under, if not the compendium's own.
        code: digest of the code that made the compendium, when code did.
        progress: told after each block.
        store: where to put it, if not in the user's own.

    Raises:
        UserError: something is wrong with a file, or the disk is full. The store is as before.
    """
    store = store or DataStore()
    name = name or compendium.name
    _check_sizes(compendium)
    genes = _choose_genes(compendium)
    work = _Progress(progress, compendium)
    with store.staging(name) as folder:
        reference = _rank_reference(compendium, genes, folder, work)
        np.save(folder / "reference.npy", reference, allow_pickle=False)
        for platform in compendium.platforms:
            if platform != REFERENCE_PLATFORM:
                _rank_other(compendium, platform, genes, folder, work)
        contents = {
            platform: _write_platform(compendium, platform, reference, folder)
            for platform in compendium.platforms
        }
        write_table(genes.landmarks, folder / "landmark_genes.tsv", "ensembl")
        write_table(genes.targets, folder / "target_genes.tsv", "ensembl")
        info = _describe(compendium, name, code, genes, contents)
        (folder / "dataset.json").write_text(json.dumps(info, indent=1), "utf-8")
        return store.publish(name, folder)


def _check_sizes(compendium: Compendium) -> None:
    if REFERENCE_PLATFORM not in compendium.platforms:
        raise UserError(
            f"dataset {compendium.name}: no platform {REFERENCE_PLATFORM}, which the recipe takes "
            "its quantiles from"
        )
    for name, platform in compendium.platforms.items():
        check_name("platform", name)
        profiles = len(platform.reader.profiles)
        if profiles < FEWEST_PROFILES:
            raise UserError(
                f"{platform.reader.source}: {profiles} profiles; platform {name} needs at least "
                f"{FEWEST_PROFILES} to have statistics"
            )


def _choose_genes(compendium: Compendium) -> _Genes:
    """Match both maps to every platform; keep what the dataset's policy says."""
    found = {
        name: match_maps(
            compendium.landmarks, compendium.targets,
            platform.reader.gene_ids, platform.ids, source=platform.reader.source,
        )
        for name, platform in compendium.platforms.items()
    }  # fmt: skip
    kept = [np.logical_and.reduce([pair[role].found for pair in found.values()]) for role in (0, 1)]
    report = {
        name: {
            "landmarks": coverage(compendium.landmarks, pair[0]),
            "targets": coverage(compendium.targets, pair[1]),
        }
        for name, pair in found.items()
    }
    _check_missing(compendium, kept, report)
    return _Genes(
        landmarks=compendium.landmarks[kept[0]],
        targets=compendium.targets[kept[1]],
        rows={
            name: _joined(pair[0].take(kept[0]), pair[1].take(kept[1]))
            for name, pair in found.items()
        },
        coverage=report,
    )


def _joined(landmarks: Matched, targets: Matched) -> Matched:
    return Matched(
        *(
            np.concatenate([getattr(landmarks, part), getattr(targets, part)])
            for part in ("positions", "counts", "sought")
        )
    )


def _check_missing(
    compendium: Compendium, kept: list[NDArray[np.bool_]], report: Mapping[str, Any]
) -> None:
    for role, mask in zip(("landmark", "target"), kept, strict=True):
        if not mask.any():
            raise UserError(f"dataset {compendium.name}: no {role} gene is on every platform")
    if compendium.missing_genes == "drop":
        return
    for platform, roles in report.items():
        missing = [gene for part in roles.values() for gene in part["missing"]]
        if missing:
            source = compendium.platforms[platform].reader.source
            raise UserError(
                f"{source}: {len(missing)} genes of the maps are missing ({some(missing)}); "
                'write missing_genes = "drop" to do without'
            )


class _Progress:
    """Counts profiles over all platforms."""

    def __init__(self, show: Progress, compendium: Compendium) -> None:
        self._show = show
        self._done = 0
        self._total = sum(len(item.reader.profiles) for item in compendium.platforms.values())

    def add(self, profiles: int, platform: str) -> None:
        self._done += profiles
        self._show(self._done, self._total, f"reading {platform}")


def _expression(
    compendium: Compendium, platform: str, genes: _Genes, work: _Progress
) -> Iterator[NDArray[np.float64]]:
    """Blocks of profiles × kept genes, probes averaged, not yet normalised."""
    reader, rows = compendium.platforms[platform].reader, genes.rows[platform]
    for block in reader.blocks(rows.positions):
        yield rows.average(block)
        work.add(len(block), platform)


def _rank_reference(
    compendium: Compendium, genes: _Genes, folder: Path, work: _Progress
) -> NDArray[np.float64]:
    reference = QuantileReference(len(genes))
    blocks = _expression(compendium, REFERENCE_PLATFORM, genes, work)
    ranked = (reference.add(block) for block in blocks)
    _write_ranks(compendium, REFERENCE_PLATFORM, ranked, len(genes), folder)
    return reference.values()


def _rank_other(
    compendium: Compendium, platform: str, genes: _Genes, folder: Path, work: _Progress
) -> None:
    ranked = (reference_ranks(block) for block in _expression(compendium, platform, genes, work))
    _write_ranks(compendium, platform, ranked, len(genes), folder)


def _write_ranks(
    compendium: Compendium,
    platform: str,
    ranked: Iterator[NDArray[np.uint32]],
    n_genes: int,
    folder: Path,
) -> None:
    (folder / platform).mkdir()
    shape = (len(compendium.platforms[platform].reader.profiles), n_genes)
    with (folder / platform / "ranks.npy").open("wb") as stream:
        # Half the disk where it suffices: the published data have 10,463 genes.
        writer = NpyWriter(stream, shape, np.uint16 if n_genes <= 1 << 16 else np.uint32)
        for ranks in ranked:
            writer.append(ranks)
        writer.close()


def _write_platform(
    compendium: Compendium, platform: str, reference: NDArray[np.float64], folder: Path
) -> str:
    """Turn ranks into expression, statistics and a profile table; return the content's digest."""
    home = folder / platform
    ranks = home / "ranks.npy"
    mean, std = gene_statistics(reference[block] for block in read_rows(ranks, BLOCK))
    np.save(home / "mean.npy", mean, allow_pickle=False)
    np.save(home / "std.npy", std, allow_pickle=False)
    table = _profile_table(compendium, platform)
    write_table(table, home / "profiles.tsv", "profile")
    quantiles = reference.astype(np.float32)
    with (home / "expression.npy").open("wb") as stream:
        writer = NpyWriter(stream, (len(table), len(reference)), np.float32)
        written = (writer.append(quantiles[block]) for block in read_rows(ranks, BLOCK))
        digest = platform_digest(table, written)
        writer.close()
    ranks.unlink()
    return digest


def _profile_table(compendium: Compendium, name: str) -> pd.DataFrame:
    """What is known of the profiles, plus ``group`` where declared and ``split`` on ``geo``."""
    platform: Platform = compendium.platforms[name]
    table = platform.reader.profiles
    if platform.profiles is not None:
        table = table.join(platform.profiles)
    table = table.astype(str)
    if platform.group:
        table = table.assign(group=table[platform.group])
    if name == REFERENCE_PLATFORM:
        table = table.assign(split=random_split(len(table), compendium.split_seed))
    return table


def _describe(
    compendium: Compendium, name: str, code: str, genes: _Genes, contents: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": name,
        "title": compendium.title,
        "digest": dataset_digest(genes.landmarks, genes.targets, contents),
        "preset": compendium.preset,
        "missing_genes": compendium.missing_genes,
        "split_seed": compendium.split_seed,
        "landmarks": len(genes.landmarks),
        "targets": len(genes.targets),
        "twins": int(genes.targets.index.isin(genes.landmarks.index).sum()),
        "origin": {**compendium.origin, "code": code},
        "platforms": {
            platform: {
                "profiles": len(item.reader.profiles),
                "ids": item.ids,
                "group": item.group,
                "source": Path(item.reader.source).name,
                "digest": contents[platform],
                "coverage": genes.coverage[platform],
            }
            for platform, item in compendium.platforms.items()
        },
    }

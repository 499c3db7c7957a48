"""Prepare a compendium: the published recipe, from readers to a store.

Each source is read in blocks: gene matching, probe averaging, ranks. When the quantile reference
is known, ranks become expression. What is held in memory is a block at a time.
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

from genebench.data.compendium import REFERENCE_PLATFORM, Compendium
from genebench.data.coverage import KeptGenes, keep_genes
from genebench.data.duplicates import find_duplicates
from genebench.data.formats.base import BLOCK
from genebench.data.levels import check_level, to_log2
from genebench.data.normalise import gene_statistics, quantile_ranks, reference_ranks
from genebench.data.npy import NpyWriter, read_rows
from genebench.data.split import group_split, random_split
from genebench.data.store import (
    DIGESTED,
    FORMAT,
    RECIPE,
    Dataset,
    DataStore,
    dataset_digest,
    platform_digest,
    write_table,
    write_vectors,
)
from genebench.errors import UserError
from genebench.progress import Progress, silent
from genebench.specs import check_name

FEWEST = 3, "have statistics"
FEWEST_TO_SPLIT = 10, "be split 80/10/10"

Floats = NDArray[np.float64]
Ranks = NDArray[np.uint32]


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
    genes = keep_genes(compendium)
    with store.staging(name) as folder:
        work = _Preparation(compendium, genes, folder, progress)
        contents = work.run()
        info = _describe(compendium, name, code, work, contents)
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
        fewest, reason = FEWEST_TO_SPLIT if name == REFERENCE_PLATFORM else FEWEST
        if profiles < fewest:
            raise UserError(
                f"{platform.reader.source}: {profiles} profiles; platform {name} needs at least "
                f"{fewest} to {reason}"
            )


@dataclass(frozen=True)
class _References:
    """Quantile references: over all profiles of the reference platform, and training ones."""

    everything: Floats
    training: Floats


class _Preparation:
    """The steps of the recipe, in one staging folder.

    Attributes:
        genes: the genes that are kept.
        tables: platform → table of the profiles that are kept.
        duplicates: ids of the profiles that were removed as duplicates.
    """

    def __init__(
        self, compendium: Compendium, genes: KeptGenes, folder: Path, progress: Progress
    ) -> None:
        self._platforms = compendium.platforms
        self.genes = genes
        self._folder = folder
        self._progress = progress
        self._done = 0
        removed = self._find_duplicates(compendium)
        self._kept = {
            name: np.ones(len(item.reader.profiles), dtype=bool)
            for name, item in self._platforms.items()
        } | {REFERENCE_PLATFORM: ~removed}
        self.tables = {
            name: _profile_table(compendium, name, kept) for name, kept in self._kept.items()
        }
        profiles = self._platforms[REFERENCE_PLATFORM].reader.profiles
        self.duplicates: list[str] = profiles.index[removed].tolist()
        self._training = (self.tables[REFERENCE_PLATFORM]["split"] == "train").to_numpy()

    def run(self) -> dict[str, str]:
        """Fill the folder; return the digest of each platform's content."""
        write_table(self.genes.landmarks, self._folder / "landmark_genes.tsv", "ensembl")
        write_table(self.genes.targets, self._folder / "target_genes.tsv", "ensembl")
        references = self._rank_reference()
        for platform in self._platforms:
            if platform != REFERENCE_PLATFORM:
                blocks = self._expression(platform)
                self._write_ranks(platform, (reference_ranks(block) for block in blocks))
        write_vectors(self._folder, reference=references.everything)
        mean, std = self._training_statistics(references)
        write_vectors(self._folder, ".train", reference=references.training, mean=mean, std=std)
        return {name: self._write(name, references.everything) for name in self._platforms}

    def _find_duplicates(self, compendium: Compendium) -> NDArray[np.bool_]:
        reader, rule = self._platforms[REFERENCE_PLATFORM].reader, compendium.duplicates
        if rule == "keep":
            return np.zeros(len(reader.profiles), dtype=bool)
        return find_duplicates(
            reader, rule, seed=compendium.split_seed, folder=self._folder, progress=self._progress
        )

    def _expression(self, platform: str) -> Iterator[Floats]:
        """Blocks of profiles × kept genes, probes averaged, not yet normalised."""
        total = sum(len(table) for table in self.tables.values())
        rows, item = self.genes.rows[platform], self._platforms[platform]
        source, level = item.reader.source, item.level
        at = 0
        for block in item.reader.blocks(rows.positions):
            if at == 0:
                check_level(rows.average(block), source=source, platform=platform, level=level)
            kept = block[self._kept[platform][at : at + len(block)]]
            yield rows.average(to_log2(kept, source=source, platform=platform, level=level))
            at += len(block)
            self._done += len(kept)
            self._progress(self._done, total, f"reading {platform}")

    def _rank_reference(self) -> _References:
        everything, training = np.zeros(len(self.genes)), np.zeros(len(self.genes))

        def ranked() -> Iterator[Ranks]:
            at = 0
            for block in self._expression(REFERENCE_PLATFORM):
                ranks, ordered = quantile_ranks(block)
                everything[:] += ordered.sum(axis=0)
                training[:] += ordered[self._training[at : at + len(block)]].sum(axis=0)
                at += len(block)
                yield ranks

        self._write_ranks(REFERENCE_PLATFORM, ranked())
        return _References(everything / len(self._training), training / self._training.sum())

    def _write_ranks(self, platform: str, ranked: Iterator[Ranks]) -> None:
        home = self._folder / platform
        home.mkdir()
        shape = (len(self.tables[platform]), len(self.genes))
        with (home / "ranks.npy").open("wb") as stream:
            # Half the disk where it suffices: the published data have 10,463 genes.
            writer = NpyWriter(stream, shape, np.uint16 if shape[1] <= 1 << 16 else np.uint32)
            for ranks in ranked:
                writer.append(ranks)
            writer.close()

    def _training_statistics(self, references: _References) -> tuple[Floats, Floats]:
        def blocks() -> Iterator[Floats]:
            at = 0
            for ranks in read_rows(self._folder / REFERENCE_PLATFORM / "ranks.npy", BLOCK):
                chosen = ranks[self._training[at : at + len(ranks)]]
                at += len(ranks)
                if len(chosen):
                    yield references.training[chosen]

        return gene_statistics(blocks())

    def _write(self, platform: str, reference: Floats) -> str:
        """Turn ranks into expression and statistics; return the content's digest."""
        home, table = self._folder / platform, self.tables[platform]
        ranks = home / "ranks.npy"
        mean, std = gene_statistics(reference[block] for block in read_rows(ranks, BLOCK))
        write_vectors(home, mean=mean, std=std)
        write_table(table, home / "profiles.tsv", "profile")
        quantiles = reference.astype(np.float32)
        with (home / "expression.npy").open("wb") as stream:
            writer = NpyWriter(stream, (len(table), len(reference)), np.float32)
            written = (writer.append(quantiles[block]) for block in read_rows(ranks, BLOCK))
            digest = platform_digest(table, written)
            writer.close()
        ranks.unlink()
        return digest


def _profile_table(compendium: Compendium, name: str, kept: NDArray[np.bool_]) -> pd.DataFrame:
    """What is known of the profiles, plus ``group`` where declared, and the splits of ``geo``."""
    platform = compendium.platforms[name]
    table = platform.reader.profiles
    if platform.profiles is not None:
        table = table.join(platform.profiles)
    table = table[kept]
    groups = table[platform.group] if platform.group else None
    # A column of the user's own that has one of our names keeps its content under another.
    table = table.astype(str).rename(columns={own: f"{own}_given" for own in DIGESTED})
    if groups is not None:
        table = table.assign(group=groups.astype(str))
    if name == REFERENCE_PLATFORM:
        table = table.assign(split=random_split(len(table), compendium.split_seed))
        if platform.group:
            table = table.assign(group_split=group_split(table["group"], compendium.split_seed))
    return table


def _describe(
    compendium: Compendium, name: str, code: str, work: _Preparation, contents: Mapping[str, str]
) -> dict[str, Any]:
    genes = work.genes
    return {
        "format": FORMAT,
        "recipe": RECIPE,
        "name": name,
        "title": compendium.title,
        "digest": dataset_digest(genes.landmarks, genes.targets, contents),
        "preset": compendium.preset,
        "missing_genes": compendium.missing_genes,
        "duplicates": {"rule": compendium.duplicates, "removed": work.duplicates},
        "split_seed": compendium.split_seed,
        "landmarks": len(genes.landmarks),
        "targets": len(genes.targets),
        "twins": int(genes.targets.index.isin(genes.landmarks.index).sum()),
        "origin": {**compendium.origin, "code": code},
        "platforms": {
            platform: {
                "profiles": len(work.tables[platform]),
                "ids": item.ids,
                "level": item.level,
                "group": item.group,
                "source": Path(item.reader.source).name,
                "digest": contents[platform],
                "coverage": genes.coverage[platform],
            }
            for platform, item in compendium.platforms.items()
        },
    }

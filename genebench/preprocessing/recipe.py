"""Prepare a compendium: the published recipe, from readers to a store.

Each source is read in blocks: gene matching, probe averaging, ranks. When the quantile reference
is known, ranks become expression, its statistics and its digest. What is held in memory is a few
blocks at a time, one for each thread that works on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.npy import Drafts, Hashed, NpyWriter
from genebench._util.progress import Progress, silent
from genebench._util.threads import in_order
from genebench.data.digests import DIGESTED, dataset_digest, platform_digest
from genebench.data.standardisation import GeneSums, gene_statistics
from genebench.data.store import (
    RECIPE,
    STORE_FORMAT,
    Dataset,
    DataStore,
    write_table,
    write_vectors,
)
from genebench.errors import UserError
from genebench.formats.base import BLOCK, Piece, Rows
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, Compendium
from genebench.preprocessing.coverage import KeptGenes, keep_genes
from genebench.preprocessing.duplicates import find_duplicates
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.ranks import (
    Ranked,
    Ranks,
    Room,
    add_rows,
    express,
    expressed_sums,
    quantile_ranks,
    reference_ranks,
)
from genebench.preprocessing.scale_checks import LevelWatch, Suspects, check_level, to_log2
from genebench.preprocessing.splits import group_split, random_split
from genebench.specs import check_name

FEWEST = 3, "have statistics"
FEWEST_TO_SPLIT = 10, "be split 80/10/10"

ROWS = 16
"""Profiles that a thread ranks at once: a processor's cache holds what is worked out of them."""

RANKED_ROWS = 128
"""Profiles that a thread expresses at once: handing over takes time."""

Floats = NDArray[np.float64]


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
        return store.publish(name, folder, work.sums)


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
class _Block:
    """Some profiles in a row, and which of them are kept."""

    piece: Piece
    kept: NDArray[np.bool_]

    def fetch(self) -> Rows:
        """The kept profiles, until this thread fetches other ones."""
        values, columns = self.piece.fetch()
        return Rows(values if self.kept.all() else values[self.kept], columns)


@dataclass(frozen=True)
class _References:
    """Quantile references: over all profiles of the reference platform, and training ones."""

    everything: Floats
    training: Floats

    def expression(
        self, block: tuple[Ranks, NDArray[np.bool_]]
    ) -> tuple[NDArray[np.float32], GeneSums, GeneSums]:
        """Expression of ranks, its sums, and those of the training profiles alone."""
        ranks, trains = block
        return (
            express(ranks, self.everything),
            expressed_sums(ranks, self.everything),
            expressed_sums(ranks, self.training, trains),
        )


class _Preparation:
    """The steps of the recipe, in one staging folder.

    Attributes:
        genes: the genes that are kept.
        tables: platform → table of the profiles that are kept.
        duplicates: ids of the profiles that were removed as duplicates.
        sums: sha256 of the large files of the folder, by their paths in it.
    """

    def __init__(
        self, compendium: Compendium, genes: KeptGenes, folder: Path, progress: Progress
    ) -> None:
        self._platforms = compendium.platforms
        self.genes = genes
        self._folder = folder
        self._progress = progress
        self._done = 0
        self._drafts: dict[str, Drafts] = {}
        self.sums: dict[str, str] = {}
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
                ranked = self._ranked(platform, reference_ranks)
                self._draft(platform, (profiles.ranks for profiles in ranked))
        write_vectors(self._folder, reference=references.everything)
        return {name: self._write(name, references) for name in self._platforms}

    def _find_duplicates(self, compendium: Compendium) -> NDArray[np.bool_]:
        reader, rule = self._platforms[REFERENCE_PLATFORM].reader, compendium.duplicates
        if rule == "keep":
            return np.zeros(len(reader.profiles), dtype=bool)
        return find_duplicates(
            reader, rule, seed=compendium.split_seed, folder=self._folder, progress=self._progress
        )

    def _ranked(self, platform: str, rank: Callable[[Floats, Room], Ranked]) -> Iterator[Ranked]:
        """Blocks of kept profiles, ranked by a function, not yet normalised.

        Each is there until the next one is asked for.
        """
        probe_means, item = ProbeMeans(self.genes.rows[platform]), self._platforms[platform]
        source, level = item.reader.source, item.level
        kept = self.tables[platform].index
        watch = LevelWatch(source=source, platform=platform, level=level, profiles=kept)
        free: SimpleQueue[Room] = SimpleQueue()

        def work(block: _Block) -> tuple[Ranked, Suspects, Room]:
            try:
                room = free.get_nowait()
            except Empty:
                room = Room(ROWS, len(self.genes))
            rows = to_log2(block.fetch(), source=source, platform=platform, level=level)
            means = probe_means.average(rows, room.array("means", np.float64, len(rows.values)))
            ranked = rank(means, room)
            return ranked, watch.suspects(means, ranked.ordered), room

        with (
            item.reader.pieces(probe_means.positions, ROWS) as pieces,
            closing(in_order(work, self._blocks(platform, probe_means, pieces))) as results,
        ):
            for ranked, suspects, room in results:
                watch.add(suspects)
                yield ranked
                free.put(room)
        watch.judge()

    def _blocks(
        self, platform: str, probe_means: ProbeMeans, pieces: Iterator[Piece]
    ) -> Iterator[_Block]:
        """Blocks that hold profiles to keep, once the level of the first is known."""
        total = sum(len(table) for table in self.tables.values())
        item, every = self._platforms[platform], self._kept[platform]
        first = list(islice(pieces, BLOCK // ROWS))
        sample = np.concatenate([probe_means.average(piece.fetch()) for piece in first])
        check_level(sample, source=item.reader.source, platform=platform, level=item.level)
        for piece in chain(first, pieces):
            kept = every[piece.start : piece.stop]
            if kept.any():
                yield _Block(piece, kept)
            self._done += int(kept.sum())
            self._progress(self._done, total, f"reading {platform}")

    def _rank_reference(self) -> _References:
        everything, training = np.zeros(len(self.genes)), np.zeros(len(self.genes))

        def ranked() -> Iterator[Ranks]:
            at = 0
            for ranks, ordered in self._ranked(REFERENCE_PLATFORM, quantile_ranks):
                add_rows(ordered, self._training[at : at + len(ranks)], everything, training)
                at += len(ranks)
                yield ranks

        self._draft(REFERENCE_PLATFORM, ranked())
        return _References(everything / len(self._training), training / self._training.sum())

    def _draft(self, platform: str, ranked: Iterator[Ranks]) -> None:
        """Write ranks where expression will be."""
        (self._folder / platform).mkdir()
        shape = len(self.tables[platform]), len(self.genes)
        self._drafts[platform] = Drafts(self._expression(platform), shape, np.float32)
        self._drafts[platform].write(ranked)

    def _expression(self, platform: str) -> Path:
        return self._folder / platform / "expression.npy"

    def _write(self, platform: str, references: _References) -> str:
        """Turn ranks into expression and statistics; return the content's digest."""
        home, table = self._folder / platform, self.tables[platform]
        whole, training = self._write_expression(platform, references)
        mean, std = gene_statistics(whole)
        write_vectors(home, mean=mean, std=std)
        if platform == REFERENCE_PLATFORM:
            mean, std = gene_statistics(training)
            write_vectors(self._folder, ".train", reference=references.training, mean=mean, std=std)
        write_table(table, home / "profiles.tsv", "profile")
        return platform_digest(table, self.sums[f"{platform}/expression.npy"])

    def _write_expression(
        self, platform: str, references: _References
    ) -> tuple[GeneSums, GeneSums]:
        """Write expression; return its sums, and those of the training profiles alone."""
        whole = training = GeneSums.none(len(self.genes))
        shape = len(self.tables[platform]), len(self.genes)
        with self._expression(platform).open("r+b") as file, Hashed(file) as stream:
            writer = NpyWriter(stream, shape, np.float32)
            for expression, part, training_part in in_order(
                references.expression, self._read_ranks(platform)
            ):
                writer.append(expression)
                whole, training = whole + part, training + training_part
            writer.close()
        self.sums[f"{platform}/expression.npy"] = stream.sha256
        return whole, training

    def _read_ranks(self, platform: str) -> Iterator[tuple[Ranks, NDArray[np.bool_]]]:
        """Blocks of ranks, and which of their profiles are training ones of the reference."""
        trains = np.zeros(len(self.tables[platform]), dtype=bool)
        if platform == REFERENCE_PLATFORM:
            trains = self._training
        at = 0
        for ranks in self._drafts[platform].read(RANKED_ROWS):
            yield ranks, trains[at : at + len(ranks)]
            at += len(ranks)


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
        table = table.assign(split=random_split(table, compendium.split_seed))
        if platform.group:
            table = table.assign(group_split=group_split(table, compendium.split_seed))
    return table


def _describe(
    compendium: Compendium, name: str, code: str, work: _Preparation, contents: Mapping[str, str]
) -> dict[str, Any]:
    genes = work.genes
    return {
        "format": STORE_FORMAT,
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

"""The published recipe: from the readers of raw platforms to a prepared dataset.

The steps are those of the code published with D-GEX (Chen et al. 2016, Bioinformatics 32:1832):

1. Remove duplicate arrays.
2. Average the probes of each gene.
3. Quantile-normalise the arrays.
4. Map RNA-seq to the quantiles of the arrays.
5. Standardise each gene, per platform.
6. Split the arrays at random, 80/10/10.

Quantile normalisation needs nothing of a profile but its ranks. So each source is read once, after
step 1, and its ranks are written. When all arrays are ranked, the quantile reference is known. One
pass over the ranks then writes expression, its statistics and its digest.

Memory: a few blocks of profiles for each thread, whatever the size of the sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
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
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, Compendium, Platform
from genebench.preprocessing.coverage import KeptGenes, keep_genes
from genebench.preprocessing.duplicates import find_duplicates
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.ranks import (
    Buffers,
    Ranked,
    Ranks,
    add_rows,
    express,
    expressed_sums,
    quantile_ranks,
    reference_ranks,
)
from genebench.preprocessing.scale_checks import ScaleWatch, Suspects, check_scale, to_log2
from genebench.preprocessing.splits import group_split, random_split
from genebench.specs import check_name

FEWEST_PROFILES = 3, "have statistics"
FEWEST_PROFILES_TO_SPLIT = 10, "be split 80/10/10"

ROWS = 16
"""Profiles that a thread ranks at once.

16 profiles of the published 10,463 genes are 1.3 MB in float64, which a processor's cache holds.
Blocks that fill more or less of the cache were no faster (benchmarks/README.md).
"""

RANKED_ROWS = 128
"""Profiles that a thread turns from ranks into expression at once.

They are more than :data:`ROWS`, because looking values up is little work, and handing a block over
to another thread takes time.
"""

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
        code: digest of the code that made the compendium, if code made it.
        progress: called after each block.
        store: the store to put it in, if not the user's own.

    Raises:
        UserError: something is wrong with a file, or the disk is full. The store is as before.
    """
    store = store or DataStore()
    origin = {**compendium.origin, "code": code}
    compendium = replace(compendium, name=name or compendium.name, origin=origin)
    _check_sizes(compendium)
    genes = keep_genes(compendium)
    with store.staging(compendium.name) as folder:
        # Step 1. Duplicates are searched for over all probes, so before probes are averaged.
        removed = _find_duplicates(compendium, folder, progress)

        # Step 6 is drawn here: it needs the ids alone, and the strict variants of the protocols
        # take the quantile reference of step 3 from the training profiles.
        sources = {
            platform: _Source.of(compendium, platform, removed, folder / platform)
            for platform in compendium.platforms
        }
        arrays = sources[REFERENCE_PLATFORM]
        reading = _Counter(progress, sum(len(source.table) for source in sources.values()))

        # Steps 2 and 3: probe means, ranks of the arrays, and the reference.
        references, drafts = _rank_arrays(arrays, genes, reading)
        ranks = {REFERENCE_PLATFORM: drafts}

        # Steps 2 and 4: probe means and ranks of RNA-seq.
        for platform, source in sources.items():
            if source is not arrays:
                ranks[platform] = _rank_rna_seq(source, genes, reading)

        # Steps 3 and 4, from ranks to expression, and step 5 over the same blocks. Standardisation
        # itself is applied when a dataset is read.
        write_table(genes.landmarks, folder / "landmark_genes.tsv", "ensembl")
        write_table(genes.targets, folder / "target_genes.tsv", "ensembl")
        write_vectors(folder, reference=references.everything)
        checksums, contents = {}, {}
        for platform, source in sources.items():
            checksum, sums = _write_expression(source, genes, ranks[platform], references)
            _write_statistics(source, sums, references)
            checksums[f"{platform}/expression.npy"] = checksum
            contents[platform] = platform_digest(source.table, checksum)

        info = _describe(compendium, genes, sources, contents)
        (folder / "dataset.json").write_text(json.dumps(info, indent=1), "utf-8")
        return store.publish(compendium.name, folder, checksums)


def _check_sizes(compendium: Compendium) -> None:
    if REFERENCE_PLATFORM not in compendium.platforms:
        raise UserError(
            f"dataset {compendium.name}: no platform {REFERENCE_PLATFORM}, which the recipe takes "
            "its quantiles from. Add it."
        )
    for name, platform in compendium.platforms.items():
        check_name("platform", name)
        profiles = len(platform.reader.profiles)
        is_split = name == REFERENCE_PLATFORM
        fewest, reason = FEWEST_PROFILES_TO_SPLIT if is_split else FEWEST_PROFILES
        if profiles < fewest:
            raise UserError(
                f"{platform.reader.source}: {profiles} profiles, but platform {name} needs at "
                f"least {fewest} to {reason}. Add profiles, or leave the platform out."
            )


@dataclass(frozen=True)
class _Source:
    """A raw platform, and those of its profiles that the dataset keeps.

    Attributes:
        name: name of the platform.
        platform: its reader and how to read it.
        kept: one value per profile of the reader: True for those that are kept.
        table: table of the kept profiles, with their splits.
        training: one value per kept profile: True for the training profiles of the random split.
        folder: the folder of the platform in the dataset.
    """

    name: str
    platform: Platform
    kept: NDArray[np.bool_]
    table: pd.DataFrame
    training: NDArray[np.bool_]
    folder: Path

    @classmethod
    def of(
        cls, compendium: Compendium, name: str, removed: NDArray[np.bool_], folder: Path
    ) -> _Source:
        """Return the source of a platform. ``removed`` marks duplicates on the reference platform.

        Profiles of the other platforms are all kept, and none of them is a training profile.
        """
        platform = compendium.platforms[name]
        is_reference = name == REFERENCE_PLATFORM
        kept = ~removed if is_reference else np.ones(len(platform.reader.profiles), np.bool_)
        table = _profile_table(compendium, name, kept)
        training = np.zeros(len(table), np.bool_)
        if is_reference:
            training = (table["split"] == "train").to_numpy()
        return cls(name, platform, kept, table, training, folder)


@dataclass
class _Counter:
    """Progress over the profiles of all platforms together."""

    progress: Progress
    total: int
    done: int = 0

    def add(self, n_profiles: int, message: str) -> None:
        """Report that more profiles are done."""
        self.done += n_profiles
        self.progress(self.done, self.total, message)


@dataclass(frozen=True)
class _Block:
    """Consecutive profiles of a source, at least one of which is kept."""

    piece: Piece
    kept: NDArray[np.bool_]

    def fetch(self) -> Rows:
        """Return the kept profiles, valid until this thread fetches others."""
        values, columns = self.piece.fetch()
        return Rows(values if self.kept.all() else values[self.kept], columns)


@dataclass(frozen=True)
class _References:
    """Quantile references: means over profiles of the sorted genes.

    Attributes:
        everything: over all kept profiles of the reference platform, as published.
        training: over its training profiles, for the strict variants.
    """

    everything: Floats
    training: Floats


def _find_duplicates(compendium: Compendium, folder: Path, progress: Progress) -> NDArray[np.bool_]:
    """Return which profiles of the reference platform are duplicates to remove (step 1)."""
    reader, rule = compendium.platforms[REFERENCE_PLATFORM].reader, compendium.duplicates
    if rule == "keep":
        return np.zeros(len(reader.profiles), dtype=bool)
    return find_duplicates(
        reader, rule, seed=compendium.split_seed, folder=folder, progress=progress
    )


def _rank_arrays(
    source: _Source, genes: KeptGenes, reading: _Counter
) -> tuple[_References, Drafts]:
    """Write the ranks of the arrays, and sum the quantile references (steps 2 and 3)."""
    everything, training = np.zeros(len(genes)), np.zeros(len(genes))

    def ranks() -> Iterator[Ranks]:
        start = 0
        for ranked in _average_and_rank(source, genes, quantile_ranks, reading):
            stop = start + len(ranked.ranks)
            add_rows(ranked.ordered, source.training[start:stop], everything, training)
            start = stop
            yield ranked.ranks

    drafts = _write_ranks(source, genes, ranks())
    n_profiles, n_training = len(source.training), source.training.sum()
    return _References(everything / n_profiles, training / n_training), drafts


def _rank_rna_seq(source: _Source, genes: KeptGenes, reading: _Counter) -> Drafts:
    """Write the positions in the reference that RNA-seq values are mapped to (steps 2 and 4)."""
    ranked = _average_and_rank(source, genes, reference_ranks, reading)
    return _write_ranks(source, genes, (block.ranks for block in ranked))


def _average_and_rank(
    source: _Source, genes: KeptGenes, rank: Callable[[Floats, Buffers], Ranked], reading: _Counter
) -> Iterator[Ranked]:
    """Yield ranked blocks of kept profiles in file order (step 2, then ranks), checking scales.

    A block is valid until the next one is requested. Then its buffers are used again.
    """
    probe_means, platform = ProbeMeans(genes.rows[source.name]), source.platform
    file, scale = platform.reader.source, platform.level
    watch = ScaleWatch(source=file, platform=source.name, scale=scale, profiles=source.table.index)
    # Fresh memory costs as much as ranking does, so buffers of finished blocks are used again.
    free: SimpleQueue[Buffers] = SimpleQueue()

    def work(block: _Block) -> tuple[Ranked, Suspects, Buffers]:
        try:
            buffers = free.get_nowait()
        except Empty:
            buffers = Buffers(ROWS, len(genes))
        rows = to_log2(block.fetch(), source=file, platform=source.name, scale=scale)
        means = probe_means.average(rows, buffers.array("means", np.float64, len(rows.values)))
        ranked = rank(means, buffers)
        return ranked, watch.suspects(means, ranked.ordered), buffers

    # Closing the results first lets running threads end before the file is closed.
    with (
        platform.reader.pieces(probe_means.positions, ROWS) as pieces,
        closing(in_order(work, _blocks(source, probe_means, pieces, reading))) as results,
    ):
        for ranked, suspects, buffers in results:
            watch.add(suspects)
            yield ranked
            free.put(buffers)
    watch.judge()


def _blocks(
    source: _Source, probe_means: ProbeMeans, pieces: Iterator[Piece], reading: _Counter
) -> Iterator[_Block]:
    """Yield the blocks with profiles to keep, after a check of the scale of the first ones."""
    platform = source.platform
    # The error for a file on a wrong scale comes at once, before anything is written.
    first = list(islice(pieces, BLOCK // ROWS))
    sample = np.concatenate([probe_means.average(piece.fetch()) for piece in first])
    check_scale(sample, source=platform.reader.source, platform=source.name, scale=platform.level)
    for piece in chain(first, pieces):
        kept = source.kept[piece.start : piece.stop]
        if kept.any():
            yield _Block(piece, kept)
        reading.add(int(kept.sum()), f"reading {source.name}")


def _write_ranks(source: _Source, genes: KeptGenes, blocks: Iterator[Ranks]) -> Drafts:
    """Write ranks into the file that expression will be written to, each in its place."""
    source.folder.mkdir()
    shape = len(source.table), len(genes)
    drafts = Drafts(source.folder / "expression.npy", shape, np.float32)
    drafts.write(blocks)
    return drafts


def _write_expression(
    source: _Source, genes: KeptGenes, drafts: Drafts, references: _References
) -> tuple[str, tuple[GeneSums, GeneSums]]:
    """Turn ranks into expression (steps 3 and 4), and gather the sums for step 5.

    Returns:
        The sha256 of the file, and the sums over all profiles and over the training profiles.
        The latter use the reference of the training profiles.
    """

    def work(
        block: tuple[Ranks, NDArray[np.bool_]],
    ) -> tuple[NDArray[np.float32], GeneSums, GeneSums]:
        ranks, training = block
        return (
            express(ranks, references.everything),
            expressed_sums(ranks, references.everything),
            expressed_sums(ranks, references.training, training),
        )

    def blocks() -> Iterator[tuple[Ranks, NDArray[np.bool_]]]:
        start = 0
        for ranks in drafts.read(RANKED_ROWS):
            yield ranks, source.training[start : start + len(ranks)]
            start += len(ranks)

    shape = len(source.table), len(genes)
    whole = training = GeneSums.none(len(genes))
    # The file is updated in place: the ranks of later profiles still lie in it. An own file for
    # ranks would need half as much disk again, and as many more pages of the system's cache.
    with (source.folder / "expression.npy").open("r+b") as file, Hashed(file) as stream:
        writer = NpyWriter(stream, shape, np.float32)
        for expression, part, training_part in in_order(work, blocks()):
            writer.append(expression)
            whole, training = whole + part, training + training_part
        writer.close()
    return stream.sha256, (whole, training)


def _write_statistics(
    source: _Source, sums: tuple[GeneSums, GeneSums], references: _References
) -> None:
    """Write mean and deviation of each gene (step 5), and the table of profiles."""
    whole, training = sums
    mean, std = gene_statistics(whole)
    write_vectors(source.folder, mean=mean, std=std)
    if source.name == REFERENCE_PLATFORM:
        mean, std = gene_statistics(training)
        dataset_folder = source.folder.parent
        write_vectors(dataset_folder, ".train", reference=references.training, mean=mean, std=std)
    write_table(source.table, source.folder / "profiles.tsv", "profile")


def _profile_table(compendium: Compendium, name: str, kept: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the table of the kept profiles, with their group and, for ``geo``, their splits."""
    platform = compendium.platforms[name]
    table = platform.reader.profiles
    if platform.profiles is not None:
        table = table.join(platform.profiles)
    table = table[kept]
    groups = table[platform.group] if platform.group else None
    # A user's column with one of our names keeps its content under another name.
    table = table.astype(str).rename(columns={name: f"{name}_given" for name in DIGESTED})
    if groups is not None:
        table = table.assign(group=groups.astype(str))
    if name == REFERENCE_PLATFORM:
        table = table.assign(split=random_split(table, compendium.split_seed))
        if platform.group:
            table = table.assign(group_split=group_split(table, compendium.split_seed))
    return table


def _describe(
    compendium: Compendium,
    genes: KeptGenes,
    sources: Mapping[str, _Source],
    contents: Mapping[str, str],
) -> dict[str, Any]:
    """Return the content of ``dataset.json``. ``contents`` are the platforms' digests."""
    arrays = sources[REFERENCE_PLATFORM]
    duplicates = arrays.platform.reader.profiles.index[~arrays.kept].tolist()
    return {
        "format": STORE_FORMAT,
        "recipe": RECIPE,
        "name": compendium.name,
        "title": compendium.title,
        "digest": dataset_digest(genes.landmarks, genes.targets, contents),
        "preset": compendium.preset,
        "missing_genes": compendium.missing_genes,
        "duplicates": {"rule": compendium.duplicates, "removed": duplicates},
        "split_seed": compendium.split_seed,
        "landmarks": len(genes.landmarks),
        "targets": len(genes.targets),
        "twins": int(genes.targets.index.isin(genes.landmarks.index).sum()),
        "origin": dict(compendium.origin),
        "platforms": {
            platform: {
                "profiles": len(sources[platform].table),
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

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

Memory: a few blocks of profiles for each thread. It does not grow with the sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.npy import Drafts, Hashed, NpyWriter
from genebench._util.progress import Progress, silent
from genebench._util.threads import in_order
from genebench.data.digests import DIGESTED, dataset_digest, platform_digest
from genebench.data.splits import (
    divisions_with_quantiles,
    split_profiles,
    stored_column,
    training_suffix,
)
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
from genebench.formats.base import BLOCK, Piece, Reader, Rows
from genebench.preprocessing.chosen_rows import choose_rows, unlike_others
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
    rank_type,
    reference_ranks,
)
from genebench.preprocessing.scale_checks import (
    Names,
    ScaleWatch,
    Suspects,
    check_probes,
    check_scale,
    to_log2,
)
from genebench.preprocessing.splits import LARGEST_SEED, group_split, random_split
from genebench.specs import check_name

FEWEST_PROFILES = 3
"""Profiles that a platform needs at least, to have means and deviations."""

FEWEST_PROFILES_TO_SPLIT = 10
"""Profiles that the reference platform needs at least: 80/10/10 leaves no part of them empty."""

RANKED_AT_ONCE = 16
"""Profiles that a thread ranks at once.

16 profiles of the published 10,463 genes are 1.3 MB in float64, which a processor's cache holds.
Blocks that fill more or less of the cache were no faster (benchmarks/README.md).
"""

EXPRESSED_AT_ONCE = 128
"""Profiles that a thread turns from ranks into expression at once.

They are more than :data:`RANKED_AT_ONCE`, because looking values up is little work, and handing a
block over to another thread takes time.
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
        name: name to prepare it under. By default that of the compendium.
        code: digest of the code that made the compendium, if code made it.
        progress: called after each block.
        store: the store to put it in. By default that of the user.

    Raises:
        UserError: something is wrong with a file, or the disk is full. The store is as before.
    """
    store = store or DataStore()
    origin = {**compendium.origin, "code": code}
    compendium = replace(compendium, name=name or compendium.name, origin=origin)
    _check_sizes(compendium)
    compendium, notes = choose_rows(compendium, progress)
    _check_sizes(compendium)
    genes = keep_genes(compendium)
    with store.staging(compendium.name) as folder:
        # Step 1. Duplicates are searched for over all probes, so before probes are averaged.
        duplicates = _find_duplicates(compendium, folder, progress)
        # Step 6 is drawn here: it needs the ids alone, and the strict variants of the protocols
        # take the quantile reference of step 3 from the training profiles.
        sources = _sources(compendium, duplicates, folder)
        references, ranks = _rank_all(sources, genes, progress)
        checksums = _write_all(sources, genes, ranks, references)
        write_table(genes.landmarks, folder / "landmark_genes.tsv", "ensembl")
        write_table(genes.targets, folder / "target_genes.tsv", "ensembl")
        write_vectors(folder, reference=references.everything)
        for suffix, reference in references.others.items():
            write_vectors(folder, suffix, reference=reference)
        info = _describe(compendium, genes, sources, checksums, notes)
        (folder / "dataset.json").write_text(json.dumps(info, indent=1), "utf-8")
        sums = {f"{platform}/expression.npy": sha256 for platform, sha256 in checksums.items()}
        return store.publish(compendium.name, folder, sums)


def _check_sizes(compendium: Compendium) -> None:
    if REFERENCE_PLATFORM not in compendium.platforms:
        raise UserError(
            f"dataset {compendium.name}: no platform {REFERENCE_PLATFORM}, which the recipe takes "
            "its quantiles from. Add it."
        )
    if not 0 <= compendium.split_seed <= LARGEST_SEED:
        raise UserError(
            f"dataset {compendium.name}: split_seed is {compendium.split_seed:.3g}. Write a whole "
            f"number from 0 to {LARGEST_SEED:,}."
        )
    for name, platform in compendium.platforms.items():
        check_name("platform", name)
        profiles = len(platform.reader.profiles)
        fewest, reason = FEWEST_PROFILES, "have statistics"
        if name == REFERENCE_PLATFORM:
            fewest, reason = FEWEST_PROFILES_TO_SPLIT, "be split 80/10/10"
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
        training: one value per kept profile: True for the training profiles of the random split of
            the reference platform. No profile of the others is one.
        others: the same for other splits of the reference platform, by the suffix of the file of
            their quantile reference.
        folder: the folder of the platform in the dataset.
    """

    name: str
    platform: Platform
    kept: NDArray[np.bool_]
    table: pd.DataFrame
    training: NDArray[np.bool_]
    others: Mapping[str, NDArray[np.bool_]]
    folder: Path


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
        others: suffix of its file → the same over the training profiles of another split.
    """

    everything: Floats
    training: Floats
    others: Mapping[str, Floats]


def _find_duplicates(compendium: Compendium, folder: Path, progress: Progress) -> NDArray[np.bool_]:
    """Return which profiles of the reference platform are duplicates to remove (step 1)."""
    reader, rule = compendium.platforms[REFERENCE_PLATFORM].reader, compendium.duplicates
    if rule == "keep":
        return np.zeros(len(reader.profiles), dtype=bool)
    return find_duplicates(
        reader, rule, seed=compendium.split_seed, folder=folder, progress=progress
    )


def _sources(
    compendium: Compendium, duplicates: NDArray[np.bool_], folder: Path
) -> dict[str, _Source]:
    """Return the sources of a dataset by platform, and draw their splits (step 6).

    Args:
        compendium: the raw platforms.
        duplicates: one value per profile of the reference platform: True for those to remove.
        folder: the folder of the dataset.
    """
    sources = {}
    for name, platform in compendium.platforms.items():
        kept = np.ones(len(platform.reader.profiles), np.bool_)
        if name == REFERENCE_PLATFORM:
            kept = ~duplicates
        table = _profile_table(compendium, name, kept)
        training, others = np.zeros(len(table), np.bool_), {}
        if name == REFERENCE_PLATFORM:
            training = (table["split"] == "train").to_numpy()
            others = _training_of_other_splits(compendium, table)
        sources[name] = _Source(name, platform, kept, table, training, others, folder / name)
    return sources


def _training_of_other_splits(
    compendium: Compendium, table: pd.DataFrame
) -> dict[str, NDArray[np.bool_]]:
    """Return the training profiles of splits whose quantile reference is to be stored."""
    found = {}
    for division in divisions_with_quantiles(table):
        if (column := stored_column(division)) in table:
            parts = table[column].to_numpy()
        else:
            try:
                parts = split_profiles(
                    division,
                    table,
                    compendium.split_seed,
                    dataset=compendium.name,
                    platform=REFERENCE_PLATFORM,
                )
            except UserError:
                # Most datasets lack the columns that some plugin's split needs. A protocol with
                # that split reports the same error when it is run.
                continue
        training = parts == "train"
        if training.any():
            found[training_suffix(division, np.flatnonzero(training))] = training
    return found


def _rank_all(
    sources: Mapping[str, _Source], genes: KeptGenes, progress: Progress
) -> tuple[_References, dict[str, Drafts]]:
    """Average probes (step 2), and write the ranks of every platform (for steps 3 and 4).

    Returns:
        The quantile references (step 3), and platform → its ranks. Those of RNA-seq are the
        positions in the reference that its values are mapped to (step 4).
    """
    reading = _Counter(progress, sum(len(source.table) for source in sources.values()))
    arrays = sources[REFERENCE_PLATFORM]
    where = np.stack([np.ones_like(arrays.training), arrays.training, *arrays.others.values()])
    totals = np.zeros((len(where), len(genes)))
    ranked = _Ranker(arrays, genes, quantile_ranks).ranked(reading)
    summed = _add_to_references(ranked, where, totals)
    typical = np.zeros(len(genes))
    if any(filled.any() for filled in genes.filled.values()):
        summed = _add_ranks(summed, arrays.training, typical)
    ranks = {REFERENCE_PLATFORM: _write_ranks(arrays, genes, summed)}
    # At least 1, because a plugin's split may leave no training profile.
    typical = np.rint(typical / max(1, arrays.training.sum()))
    for platform, source in sources.items():
        if source is not arrays:
            ranked = _Ranker(source, genes, reference_ranks).ranked(reading)
            blocks: Iterator[Ranks] = (block.ranks for block in ranked)
            if (filled := genes.filled[platform]).any():
                blocks = _fill(blocks, filled, typical)
            ranks[platform] = _write_ranks(source, genes, blocks)
    everything, training, *others = totals / where.sum(axis=1, keepdims=True)
    return _References(everything, training, dict(zip(arrays.others, others, strict=True))), ranks


def _add_to_references(
    blocks: Iterator[Ranked], where: NDArray[np.bool_], totals: Floats
) -> Iterator[Ranks]:
    """Yield the ranks of blocks, and add the sorted values of each to the sums of the references.

    The sums grow in file order of the profiles, so that they do not depend on the threads.

    Args:
        blocks: ranked profiles.
        where: references × profiles: True where a reference is a mean over a profile.
        totals: references × genes.
    """
    start = 0
    for ranked in blocks:
        stop = start + len(ranked.ranks)
        add_rows(ranked.ordered, where[:, start:stop], totals)
        start = stop
        yield ranked.ranks


def _add_ranks(
    blocks: Iterator[Ranks], where: NDArray[np.bool_], totals: Floats
) -> Iterator[Ranks]:
    """Yield blocks of ranks, and add those of some profiles to the totals of the genes."""
    start = 0
    for ranks in blocks:
        stop = start + len(ranks)
        totals += ranks[where[start:stop]].sum(axis=0, dtype=np.int64)
        start = stop
        yield ranks


def _fill(blocks: Iterator[Ranks], filled: NDArray[np.bool_], typical: Floats) -> Iterator[Ranks]:
    """Yield ranks of all genes, made of blocks of ranks of the measured ones.

    Ranks among the measured genes are spread over the whole reference. A filled gene has its mean
    rank on the training arrays, the same for every profile.

    Args:
        blocks: profiles × measured genes.
        filled: True for each gene that is not measured.
        typical: the mean rank of each gene on the training arrays.
    """
    n_genes, n_measured = len(filled), int((~filled).sum())
    for ranks in blocks:
        everything = np.empty((len(ranks), n_genes), rank_type(n_genes))
        spread = (ranks.astype(np.int64) + 1) * n_genes // n_measured - 1
        everything[:, ~filled] = spread.clip(0, n_genes - 1)
        everything[:, filled] = typical[filled]
        yield everything


class _Ranker:
    """Probe means of a source (step 2), and their ranks.

    Args:
        source: the platform.
        genes: the genes of the dataset.
        rank: ranks a block of probe means, in buffers.
    """

    def __init__(
        self, source: _Source, genes: KeptGenes, rank: Callable[[Floats, Buffers], Ranked]
    ) -> None:
        self._source = source
        self._reader, self._scale = source.platform.reader, source.platform.level
        measured = ~genes.filled[source.name]
        self._genes = genes.ids[measured]
        self._rank = rank
        self._probe_means = ProbeMeans(genes.rows[source.name].take(measured))
        self._probes = self._reader.gene_ids[self._probe_means.positions]
        self._watch = ScaleWatch(
            source=self._reader.source,
            platform=source.name,
            scale=self._scale,
            names=Names(source.table.index, self._genes),
        )
        # Fresh memory costs as much as ranking does, so buffers of finished blocks are used again.
        self._free: SimpleQueue[Buffers] = SimpleQueue()

    def ranked(self, reading: _Counter) -> Iterator[Ranked]:
        """Yield ranked blocks of the kept profiles in file order.

        A block is valid until the next one is requested. Then its buffers are used again.

        Raises:
            UserError: a value cannot be read, or values are not on the declared scale.
        """
        # Closing the results first lets running threads end before the file is closed.
        with (
            self._reader.pieces(self._probe_means.positions, RANKED_AT_ONCE) as pieces,
            closing(in_order(self._average_and_rank, self._blocks(pieces, reading))) as results,
        ):
            for ranked, suspects, buffers in results:
                self._watch.add(suspects)
                yield ranked
                self._free.put(buffers)
        self._watch.judge()

    def _average_and_rank(self, block: _Block) -> tuple[Ranked, Suspects, Buffers]:
        """Rank a block, find its suspects, and return the buffers too. Any thread may call this."""
        try:
            buffers = self._free.get_nowait()
        except Empty:
            buffers = Buffers(RANKED_AT_ONCE, len(self._genes))
        stated: dict[str, Any] = {
            "names": Names(self._ids_of(block), self._probes),
            "source": self._reader.source,
            "platform": self._source.name,
            "scale": self._scale,
        }
        rows = block.fetch()
        check_probes(rows, **stated)
        rows = to_log2(rows, **stated)
        room = buffers.array("means", np.float64, len(rows.values))
        means = self._probe_means.average(rows, room)
        ranked = self._rank(means, buffers)
        return ranked, self._watch.suspects(means, ranked.ordered), buffers

    def _ids_of(self, block: _Block) -> pd.Index:
        piece = block.piece
        return self._reader.profiles.index[piece.start : piece.stop][block.kept]

    def _blocks(self, pieces: Iterator[Piece], reading: _Counter) -> Iterator[_Block]:
        """Yield the blocks with profiles to keep, after a check of the scale of the first ones."""
        # The error for a file on a wrong scale comes at once, before anything is written.
        first = list(islice(pieces, BLOCK // RANKED_AT_ONCE))
        sample = np.concatenate([self._probe_means.average(piece.fetch()) for piece in first])
        check_scale(
            sample,
            names=Names(self._reader.profiles.index, self._genes),
            source=self._reader.source,
            platform=self._source.name,
            scale=self._scale,
        )
        for piece in chain(first, pieces):
            kept = self._source.kept[piece.start : piece.stop]
            if kept.any():
                yield _Block(piece, kept)
            reading.add(int(kept.sum()), f"reading {self._source.name}")


def _write_ranks(source: _Source, genes: KeptGenes, blocks: Iterator[Ranks]) -> Drafts:
    """Write ranks into the file that expression will be written to, each in its place."""
    source.folder.mkdir()
    shape = len(source.table), len(genes)
    # Ranks of 16 bits take half the room of float32, so they fit where expression will lie. The
    # source itself is 11 GB at the published size, and is not read a second time.
    drafts = Drafts(source.folder / "expression.npy", shape, np.float32)
    drafts.write(blocks)
    return drafts


def _write_all(
    sources: Mapping[str, _Source],
    genes: KeptGenes,
    ranks: Mapping[str, Drafts],
    references: _References,
) -> dict[str, str]:
    """Write expression, statistics and profile table of every platform (steps 3, 4 and 5).

    Standardisation itself is applied when a dataset is read.

    Returns:
        Platform → the sha256 of its expression.
    """
    checksums = {}
    for platform, source in sources.items():
        checksums[platform], sums = _write_expression(source, genes, ranks[platform], references)
        _write_statistics(source, sums, references)
    return checksums


def _write_expression(
    source: _Source, genes: KeptGenes, drafts: Drafts, references: _References
) -> tuple[str, tuple[GeneSums, GeneSums]]:
    """Turn ranks into expression (steps 3 and 4), and gather the sums for step 5.

    Returns:
        The sha256 of the file, and the sums over all profiles and over the training profiles.
        The latter use the reference of the training profiles.
    """
    shape = len(source.table), len(genes)
    everything = training = GeneSums.none(len(genes))
    # The file is updated in place: the ranks of later profiles still lie in it. A separate file for
    # ranks would need half as much disk again, and as many more pages of the system's cache.
    with (source.folder / "expression.npy").open("r+b") as file, Hashed(file) as stream:
        writer = NpyWriter(stream, shape, np.float32)
        blocks = _with_training(drafts, source.training)
        for block in in_order(partial(_express, references=references), blocks):
            writer.append(block.expression)
            everything, training = everything + block.everything, training + block.training
        writer.close()
    return stream.sha256, (everything, training)


class _Expressed(NamedTuple):
    """Expression of a block, and its sums over all profiles and over the training profiles."""

    expression: NDArray[np.float32]
    everything: GeneSums
    training: GeneSums


def _express(block: tuple[Ranks, NDArray[np.bool_]], references: _References) -> _Expressed:
    """Turn the ranks of a block into expression. It may be called in any thread."""
    ranks, is_training = block
    return _Expressed(
        express(ranks, references.everything),
        expressed_sums(ranks, references.everything),
        expressed_sums(ranks, references.training, is_training),
    )


def _with_training(
    drafts: Drafts, is_training: NDArray[np.bool_]
) -> Iterator[tuple[Ranks, NDArray[np.bool_]]]:
    """Yield blocks of ranks, each with the marks of its training profiles."""
    start = 0
    for ranks in drafts.read(EXPRESSED_AT_ONCE):
        yield ranks, is_training[start : start + len(ranks)]
        start += len(ranks)


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
    checksums: Mapping[str, str],
    notes: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the content of ``dataset.json``.

    Args:
        compendium: the raw platforms.
        genes: the genes of the dataset.
        sources: the platforms, by name.
        checksums: platform → the sha256 of its expression.
        notes: platform → what :func:`choose_rows` did.
    """
    contents = {
        platform: platform_digest(source.table, checksums[platform])
        for platform, source in sources.items()
    }
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
                "licence": item.licence,
                "digest": contents[platform],
                "coverage": genes.coverage[platform],
                "notes": genes.notes[platform],
                "found": _found(item.reader),
                "filled": genes.ids[genes.filled[platform]].tolist(),
                **notes[platform],
            }
            for platform, item in compendium.platforms.items()
        },
    }


def _found(reader: Reader) -> dict[str, Any]:
    """Return which columns and profiles a reader found, ready for JSON."""
    ids = reader.profiles.index
    return {
        "profiles": len(ids),
        "first": ids[0],
        "last": ids[-1],
        "id_column": reader.id_column,
        "skipped": list(reader.skipped),
        "unlike": unlike_others(ids),
    }

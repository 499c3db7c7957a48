"""Datasets of two assays of the same samples: landmarks of one, targets of the other.

L1000 measures about 1,000 genes of a sample on beads, and RNA-seq measures all of them. A profile
here has its landmarks from the first matrix and its targets from the second one. So a method is
tested on the assay that it is meant for.

Values stay as they are, in log2. The published recipe ranks landmarks and targets of a profile
together. The landmarks of a test profile would then depend on the targets that are to be inferred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.npy import Hashed, NpyFile, NpyWriter, read_rows
from genebench._util.progress import Progress, silent
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
from genebench.errors import UserError, some
from genebench.formats.base import Reader, Rows
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, IdKind, MissingGenes
from genebench.preprocessing.genes import Matched, coverage, match_maps
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.scale_checks import Names, find_scale_fault, impossible_cell

PAIRED: Literal["paired"] = "paired"
"""Content of the key ``recipe`` of the origin of such a dataset."""

AssayScale = Literal["log2", "any"]
Unpaired = Literal["error", "drop"]

FEWEST_PROFILES = 10
"""Profiles that a platform needs at least, so that no part of its split is empty."""

_AT_ONCE = 256
"""Profiles that are read at once. 256 profiles of the published genes are 11 MB in float32."""


@dataclass(frozen=True, kw_only=True)
class Assay:
    """A matrix of one assay, and the kind of its gene ids."""

    reader: Reader
    ids: IdKind


@dataclass(frozen=True, kw_only=True)
class PairedPlatform:
    """Two assays of the same samples.

    Attributes:
        landmarks, targets: the assay of each.
        level: ``log2``, or ``any`` to take values unchecked.
        profiles: a table about the profiles of the landmarks, joined by id, or None.
        target_profile: the column of the profile table that names the profile of the targets. None
            if both assays have the same profile ids.
        group: the column that groups related profiles, such as a donor, or None.
        unpaired: ``drop`` to leave out profiles without a counterpart, or ``error``.
    """

    landmarks: Assay
    targets: Assay
    level: AssayScale = "log2"
    profiles: pd.DataFrame | None = None
    target_profile: str | None = None
    group: str | None = None
    unpaired: Unpaired = "error"


@dataclass(frozen=True, kw_only=True)
class PairedAssays:
    """Paired platforms and the maps of the genes that are taken from them.

    Attributes:
        landmarks, targets: gene maps, indexed by Ensembl id, columns ``symbol`` and ``probes``.
        platforms: platforms by name.
        missing_genes: ``drop`` to drop genes that an assay lacks, or ``error``.
        split_seed: seed of random splits.
        aliases: as for a :class:`~genebench.preprocessing.compendium.Compendium`.
        origin: source of the data, for the description of the dataset.
    """

    name: str
    title: str
    landmarks: pd.DataFrame
    targets: pd.DataFrame
    platforms: Mapping[str, PairedPlatform]
    preset: str = "small"
    missing_genes: MissingGenes = "drop"
    split_seed: int = 0
    aliases: pd.Series[str] | None = None
    origin: Mapping[str, str] = field(default_factory=lambda: {"kind": "measured"})


def pair(
    assays: PairedAssays, *, progress: Progress = silent, store: DataStore | None = None
) -> Dataset:
    """Put paired assays in the store, atomically.

    The profiles of a platform are in the order of the landmarks' matrix. Memory: some blocks.

    Args:
        assays: the platforms.
        progress: called after each block.
        store: destination. By default the store of the user.

    Raises:
        UserError: genes or profiles do not match, a value is missing or on another scale, or the
            disk is full. The store is unchanged.
    """
    store = store or DataStore()
    genes = _kept_genes(assays)
    sources = {name: _Source(name, item, genes) for name, item in assays.platforms.items()}
    total = 2 * sum(len(source.table) for source in sources.values())
    with store.staging(assays.name) as folder:
        write_table(genes.landmarks, folder / "landmark_genes.tsv", "ensembl")
        write_table(genes.targets, folder / "target_genes.tsv", "ensembl")
        checksums, done = {}, 0
        for name, source in sources.items():
            checksums[name] = source.write(folder / name, done, total, progress)
            done += 2 * len(source.table)
        contents = {
            name: platform_digest(source.table, checksums[name]) for name, source in sources.items()
        }
        info = _describe(assays, genes, sources, contents)
        (folder / "dataset.json").write_text(json.dumps(info, indent=1), "utf-8")
        sums = {f"{name}/expression.npy": sha256 for name, sha256 in checksums.items()}
        return store.publish(assays.name, folder, sums)


class _Genes(NamedTuple):
    """The kept genes of both maps, their rows on each platform, and the coverage for JSON."""

    landmarks: pd.DataFrame
    targets: pd.DataFrame
    rows: Mapping[str, tuple[Matched, Matched]]
    coverage: Mapping[str, Any]


def _kept_genes(assays: PairedAssays) -> _Genes:
    """Match each map to its assay on every platform, and keep the genes that all have.

    Raises:
        UserError: none is left of a map, or one is missing and ``missing_genes`` is ``error``.
    """
    maps = {"landmarks": assays.landmarks, "targets": assays.targets}
    kept = {role: np.ones(len(table), np.bool_) for role, table in maps.items()}
    matched: dict[str, dict[str, Matched]] = {}
    report: dict[str, dict[str, Any]] = {}
    for name, platform in assays.platforms.items():
        matched[name], report[name] = {}, {}
        for role, table in maps.items():
            assay: Assay = getattr(platform, role)
            rows, _ = match_maps(
                table, table[:0], assay.reader.gene_ids, assay.ids, source=assay.reader.source,
                columns=assay.reader.profiles.index,
                transpose_remedy=assay.reader.transpose_remedy, aliases=assays.aliases,
            )  # fmt: skip
            matched[name][role], report[name][role] = rows, coverage(table, rows)
            missing = report[name][role]["missing"]
            if missing and assays.missing_genes == "error":
                raise UserError(
                    f"{assay.reader.source}: {len(missing)} {role} of the maps are missing "
                    f'({some(missing)}). Write missing_genes = "drop" to leave them out.'
                )
            kept[role] &= rows.found
    for role, mask in kept.items():
        if not mask.any():
            raise UserError(
                f"dataset {assays.name}: no gene of the {role} is on every platform. Check the "
                "gene maps and the kinds of ids."
            )
    return _Genes(
        landmarks=assays.landmarks[kept["landmarks"]],
        targets=assays.targets[kept["targets"]],
        rows={
            name: (
                roles["landmarks"].take(kept["landmarks"]),
                roles["targets"].take(kept["targets"]),
            )
            for name, roles in matched.items()
        },
        coverage=report,
    )


class _Source:
    """A platform whose profiles are paired. Values are read later."""

    def __init__(self, name: str, platform: PairedPlatform, genes: _Genes) -> None:
        self._name = name
        self.platform = platform
        self._genes = genes
        table = platform.landmarks.reader.profiles
        if platform.profiles is not None:
            table = table.join(platform.profiles)
        names = table.index
        if platform.target_profile is not None:
            names = pd.Index(table[platform.target_profile].astype(str))
        self._places = self._paired(names)
        self.kept = self._places >= 0
        self.table = self._profile_table(table[self.kept])

    def write(self, home: Path, done: int, total: int, progress: Progress) -> str:
        """Fill the platform's folder, and return the sha256 of the matrix in it."""
        home.mkdir()
        landmarks, targets = self._genes.rows[self._name]
        # The assays have their profiles in different orders, so the targets are written first.
        scratch = home / "targets.npy"
        order = np.full(len(self.platform.targets.reader.profiles), -1, np.intp)
        order[self._places[self.kept]] = np.arange(len(self.table))
        with scratch.open("wb") as file:
            writer = NpyFile(file, (len(self.table), len(self._genes.targets)), np.float32)
            for start, block in self._blocks("targets", targets):
                positions = order[start : start + len(block)]
                writer.write_rows(positions[positions >= 0], block[positions >= 0])
                done += int((positions >= 0).sum())
                progress(done, total, f"reading targets of {self._name}")
        shape = len(self.table), len(self._genes.landmarks) + len(self._genes.targets)
        sums = GeneSums.none(shape[1])
        with (home / "expression.npy").open("wb") as file, Hashed(file) as stream:
            matrix = NpyWriter(stream, shape, np.float32)
            rows = _Queue(read_rows(scratch, _AT_ONCE))
            for start, block in self._blocks("landmarks", landmarks):
                kept = block[self.kept[start : start + len(block)]].astype(np.float32)
                if not len(kept):
                    continue
                joined = np.hstack([kept, rows.take(len(kept))])
                matrix.append(joined)
                sums = sums + GeneSums.of(joined)
                done += len(kept)
                progress(done, total, f"reading landmarks of {self._name}")
            matrix.close()
        scratch.unlink()
        mean, std = gene_statistics(sums)
        write_vectors(home, mean=mean, std=std)
        write_table(self.table, home / "profiles.tsv", "profile")
        return stream.sha256

    def _blocks(self, role: str, rows: Matched) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield the first profile of blocks, and profiles × genes of a role, checked."""
        assay: Assay = getattr(self.platform, role)
        reader, level, means = assay.reader, self.platform.level, ProbeMeans(rows)
        genes = getattr(self._genes, role).index
        start = 0
        for block in reader.read(means.positions, _AT_ONCE):
            values = means.average(Rows.of(block))
            names = Names(reader.profiles.index[start:], genes)
            # Both assays are in log2, as microarrays are.
            platform, problem = REFERENCE_PLATFORM, ""
            if cell := impossible_cell(values, names=names, platform=platform, scale=level):
                problem = f"{cell} Correct it"
            elif not start and (fault := find_scale_fault(values, platform=platform, scale=level)):
                problem = f"{fault.problem} Give log2 expression"
            if problem:
                raise UserError(
                    f'{reader.source}: {problem}, or write level = "any" in '
                    f"[platforms.{self._name}] if it is right."
                )
            yield start, values
            start += len(block)

    def _paired(self, names: pd.Index) -> NDArray[np.intp]:
        """Return the position of each profile's targets, or -1 for a profile without.

        Raises:
            UserError: a profile has no counterpart, two have the same, or too few are left.
        """
        first, second = self.platform.landmarks.reader, self.platform.targets.reader
        places = second.profiles.index.get_indexer(names)
        alone = names[places < 0], second.profiles.index.difference(names, sort=False)
        subject = f"platform {self._name}: {first.source} and {second.source}"
        shared = int((places >= 0).sum())
        if (len(alone[0]) or len(alone[1])) and self.platform.unpaired == "error":
            raise UserError(
                f"{subject} share {shared:,} profiles. {len(alone[0]):,} are in the first one only "
                f"({some(map(repr, alone[0])) or 'none'}), {len(alone[1]):,} in the second one "
                f"only ({some(map(repr, alone[1])) or 'none'}). Name the column of the profile "
                "table with the ids of the second one by target_profile, or write "
                'unpaired = "drop".'
            )
        repeated = names[(places >= 0) & names.duplicated()]
        if len(repeated):
            raise UserError(
                f"{subject}: more than one profile has the targets of {some(repeated)}. Keep one "
                "of each."
            )
        if shared < FEWEST_PROFILES:
            raise UserError(
                f"{subject} share {shared} profiles, but {FEWEST_PROFILES} are needed at least. "
                "Check that both are of the same samples."
            )
        return places

    def _profile_table(self, table: pd.DataFrame) -> pd.DataFrame:
        groups = table[self.platform.group] if self.platform.group else None
        # A user's column with one of our names keeps its content under another name.
        table = table.astype(str).rename(columns={name: f"{name}_given" for name in DIGESTED})
        return table if groups is None else table.assign(group=groups.astype(str))


class _Queue:
    """Rows of blocks, taken out in other numbers than they came in."""

    def __init__(self, blocks: Iterator[NDArray[np.float32]]) -> None:
        self._blocks = blocks
        self._rest: NDArray[np.float32] | None = None

    def take(self, number: int) -> NDArray[np.float32]:
        """Return the next rows."""
        parts, held = ([], 0) if self._rest is None else ([self._rest], len(self._rest))
        while held < number:
            parts.append(next(self._blocks))
            held += len(parts[-1])
        rows = np.concatenate(parts)
        self._rest = rows[number:]
        return rows[:number]


def _describe(
    assays: PairedAssays,
    genes: _Genes,
    sources: Mapping[str, _Source],
    contents: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "format": STORE_FORMAT,
        "recipe": RECIPE,
        "name": assays.name,
        "title": assays.title,
        "digest": dataset_digest(genes.landmarks, genes.targets, contents),
        "preset": assays.preset,
        "missing_genes": assays.missing_genes,
        "split_seed": assays.split_seed,
        "landmarks": len(genes.landmarks),
        "targets": len(genes.targets),
        "twins": int(genes.targets.index.isin(genes.landmarks.index).sum()),
        "origin": {**assays.origin, "recipe": PAIRED},
        "platforms": {
            name: {
                "profiles": len(source.table),
                "ids": " / ".join(
                    dict.fromkeys([source.platform.landmarks.ids, source.platform.targets.ids])
                ),
                "level": source.platform.level,
                "group": source.platform.group,
                "source": Path(source.platform.landmarks.reader.source).name,
                "source_of_targets": Path(source.platform.targets.reader.source).name,
                "unpaired": int((~source.kept).sum())
                + len(source.platform.targets.reader.profiles)
                - len(source.table),
                "digest": contents[name],
                "coverage": genes.coverage[name],
                "notes": [
                    *source.platform.landmarks.reader.notes,
                    *source.platform.targets.reader.notes,
                ],
            }
            for name, source in sources.items()
        },
    }

"""Rows and profiles that a platform gives: ids by a pattern, repeated ids, missing values.

A manifest says for each platform what is done with such rows. Without a word of it they are
refused, and the reader of the file is used as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.errors import UserError, counted, some
from genebench.formats.base import BLOCK, Reader
from genebench.preprocessing.compendium import Compendium, IdKind, Platform
from genebench.preprocessing.coverage import keep_genes
from genebench.preprocessing.genes import ids_of_maps, several_aliases, strip_version
from genebench.preprocessing.scale_checks import CODES

_WORDS: Mapping[str, tuple[IdKind | None, str]] = {
    "SYM": ("symbol", "(.+?)"),
    "symbol": ("symbol", "(.+?)"),
    "ENSG": ("ensembl", "(.+?)"),
    "ensembl": ("ensembl", "(.+?)"),
    "entrez": ("entrez", r"(\d+)"),
    "probe": ("probe", "(.+?)"),
    "*": (None, "(.*?)"),
}
"""Word of a pattern → the kind of id that it stands for, and the regular expression of its text."""

_FEWEST_ALIKE = 0.5
"""Share of the ids of a file that must follow the pattern. Otherwise it is another file's."""


_STATISTICS = frozenset(
    {"average", "exon_length", "length", "max", "mean", "median", "min", "sd", "std", "sum"}
    | {"total", "var", "variance"}
)
"""Names, in lower case, that columns of statistics have and profiles hardly ever."""

_FEW_UNLIKE = 0.1
"""Share of the profiles. More ids without a digit are a habit of that file, not other columns."""


def unlike_others(ids: pd.Index) -> list[str]:
    """Return the ids of profiles that may be columns of another kind, such as a mean.

    They have the name of a statistic, or no digit where almost all others have one.
    """
    plain = ~ids.str.contains(r"\d", regex=True)
    few = plain.sum() <= max(1.0, _FEW_UNLIKE * len(ids)) < len(ids) / 2
    unlike = ids.str.lower().isin(_STATISTICS) | (plain & few)
    return [str(id_) for id_ in ids[unlike]]


class IdPattern:
    """The form of ids that hold more than one, such as ``SYM (entrez)`` or ``ENSG|SYM``.

    Args:
        text: the pattern. The words ``SYM``, ``ENSG``, ``entrez`` and ``probe`` stand for ids, and
            ``*`` for any text. All else stands for itself.
        kind: the kind of the part to take.

    Raises:
        UserError: no word of the pattern, or more than one, stands for this kind.
    """

    def __init__(self, text: str, kind: IdKind) -> None:
        pieces = re.split(f"({'|'.join(map(re.escape, _WORDS))})", text)
        words = pieces[1::2]
        self._parts = [place for place, word in enumerate(words) if _WORDS[word][0] == kind]
        if len(self._parts) != 1:
            raise UserError(
                f"{text!r} has {len(self._parts)} parts that are {kind} ids, not 1. Write a "
                'pattern such as "SYM (entrez)", "SYM|entrez" or "ENSG|SYM".'
            )
        self.text = text
        self._form = "".join(_WORDS[x][1] if x in _WORDS else re.escape(x) for x in pieces)

    def take(self, ids: pd.Index, source: str) -> tuple[pd.Index, int]:
        """Return one part of each id, and the number of ids of another form, which stay.

        Raises:
            UserError: most ids are of another form.
        """
        parts = pd.Series(ids).str.extract(f"^{self._form}$")[self._parts[0]]
        unlike = parts.isna()
        if unlike.mean() > _FEWEST_ALIKE:
            raise UserError(
                f"{source}: {counted(int(unlike.sum()), 'id')} of {len(ids):,} do not have the "
                f"form id_pattern = {self.text!r} ({some(ids[unlike])}). Correct the pattern."
            )
        return pd.Index(parts.fillna(pd.Series(ids)), dtype="str"), int(unlike.sum())


class ChosenRows(Reader):
    """Some genes and profiles of another reader, under other ids.

    Args:
        reader: the reader.
        gene_ids: the id of each gene, unique.
        positions: positions in the ``gene_ids`` of the reader: those of gene 0, then of gene 1, …
        counts: the number of positions of each gene, at least 1.
        combine: the rule for genes with several rows: ``mean`` or ``max``, for each profile.
        profiles: one value per profile of the reader: True for those to keep. All, if None.
        keeps_missing: True to yield missing values as NaN.
        refuses_codes: True to refuse codes for "missing" in rows that are combined.
    """

    def __init__(
        self,
        reader: Reader,
        gene_ids: pd.Index,
        positions: NDArray[np.intp],
        *,
        counts: NDArray[np.intp] | None = None,
        combine: str = "mean",
        profiles: NDArray[np.bool_] | None = None,
        keeps_missing: bool = False,
        refuses_codes: bool = False,
    ) -> None:
        self._refuses_codes = refuses_codes
        self.source, self.transpose_remedy = reader.source, reader.transpose_remedy
        self.id_column, self.skipped, self.notes = reader.id_column, reader.skipped, reader.notes
        self.keeps_missing = keeps_missing
        self.gene_ids = gene_ids
        self._kept = np.ones(len(reader.profiles), np.bool_) if profiles is None else profiles
        self.profiles = reader.profiles[self._kept]
        self._reader, self._positions = reader, positions
        self._counts = np.ones(len(gene_ids), np.intp) if counts is None else counts
        self._combine = combine

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``."""
        starts = (np.cumsum(self._counts) - self._counts)[genes]
        counts = self._counts[genes]
        offsets = np.cumsum(counts) - counts
        rows = self._positions[np.repeat(starts - offsets, counts) + np.arange(counts.sum())]
        read = done = 0
        for whole in self._reader.read(rows, size):
            kept = self._kept[read : read + len(whole)]
            read += len(whole)
            block = whole if kept.all() else whole[kept]
            if not len(block):
                continue
            if len(rows) > len(genes):
                self._check_codes(block, done, rows)
                block = self._combined(block, offsets, counts)
            self.check_finite(block, done, genes)
            done += len(block)
            yield block

    def _check_codes(self, block: NDArray[np.floating], start: int, rows: NDArray[np.intp]) -> None:
        """Refuse codes for "missing", which would hide in the mean of several rows."""
        bad = np.isin(block, CODES)
        if self._refuses_codes and bad.any():
            row, column = np.argwhere(bad)[0]
            raise self.fault(
                f"profile {self.profiles.index[start + row]!r}, gene "
                f"{self._reader.gene_ids[rows[column]]!r} is {block[row, column]:g}, a code for a "
                'missing value. Correct it. If it is right, write level = "any".'
            )

    def _combined(
        self, block: NDArray[np.floating], offsets: NDArray[np.intp], counts: NDArray[np.intp]
    ) -> NDArray[np.floating]:
        """Return one column for each gene of a block that has all rows of the genes."""
        if self._combine == "max":
            return np.maximum.reduceat(block, offsets, axis=1)
        sums = np.add.reduceat(block, offsets, axis=1, dtype=np.float64)
        means: NDArray[np.float64] = sums / counts
        return means


def choose_rows(
    compendium: Compendium, progress: Progress = silent
) -> tuple[Compendium, dict[str, dict[str, Any]]]:
    """Apply the rules of each platform for its ids, repeated rows and missing values.

    Returns:
        The compendium with readers that give the chosen rows and profiles, and platform → what was
        done there, ready for JSON: ``id_pattern``, ``repeated`` and ``missing_values``. A rule that
        changed nothing is left out, and its reader is the one of the file.

    Raises:
        UserError: repeated rows of a gene of the maps without a rule, or a rule leaves nothing.
    """
    notes: dict[str, dict[str, Any]] = {name: {} for name in compendium.platforms}
    chosen = {
        name: _choose_ids(platform, compendium, notes[name])
        for name, platform in compendium.platforms.items()
    }
    compendium = replace(compendium, platforms=chosen)
    for rule in ("drop-gene", "drop-profile"):
        names = [name for name, item in chosen.items() if item.missing_values == rule]
        if names:
            genes = keep_genes(compendium)
            for name in names:
                used = np.unique(genes.rows[name].positions)
                chosen[name] = _drop_missing(chosen[name], name, used, notes[name], progress)
            compendium = replace(compendium, platforms=chosen)
    return compendium, notes


def _choose_ids(platform: Platform, compendium: Compendium, notes: dict[str, Any]) -> Platform:
    """Return a platform whose gene ids are of its kind, and unique as far as the maps name them."""
    reader, kind, rule = platform.reader, platform.ids, platform.repeated
    ids = reader.gene_ids
    if platform.id_pattern is not None:
        ids, unlike = IdPattern(platform.id_pattern, kind).take(ids, reader.source)
        notes["id_pattern"] = {"pattern": platform.id_pattern, "unlike": unlike}
    names = _names_of_genes(ids, platform, compendium)
    blank, repeated = names == "", names.duplicated(keep=False)
    if not (blank.any() or repeated.any()):
        if ids is reader.gene_ids:
            return platform
        positions = np.arange(len(ids))
        return replace(platform, reader=_renamed(reader, ids, positions))
    known = names.isin(ids_of_maps(compendium.landmarks, compendium.targets, kind))
    if compendium.aliases is not None:
        known |= names.isin(compendium.aliases.index)
    wanted = names[repeated & known & ~blank].unique()
    others = int((repeated | blank).sum() - (repeated & known & ~blank).sum())
    if rule == "error" and len(wanted):
        rows = ids[names.isin(wanted)]
        problem = f"{counted(len(wanted), f'{kind} id')} of the maps with more than one row"
        if rows.is_unique:
            problem = f"{len(rows)} Ensembl ids differ only in their version"
        raise UserError(
            f"{reader.source}: {problem}: {some(rows.unique())}. Keep one row of each, or write "
            'repeated = "mean", "max" or "first" for this platform.'
        )
    if rule == "error":
        # Rows that no map names may repeat. They are counted when genes are matched.
        positions = np.arange(len(ids))
        is_plain = ids is reader.gene_ids
        return platform if is_plain else replace(platform, reader=_renamed(reader, ids, positions))
    notes["repeated"] = {"rule": rule, "genes": len(wanted), "other_rows": others}
    codes, unique = pd.factorize(names[~blank])
    places = np.flatnonzero(~blank)
    if rule == "first":
        firsts = places[np.unique(codes, return_index=True)[1]]
        return replace(platform, reader=_renamed(reader, pd.Index(unique), firsts))
    # Stable: the rows of a gene keep the order of the file, and so does the order of their sum.
    order = np.argsort(codes, kind="stable")
    return replace(
        platform,
        reader=ChosenRows(
            reader,
            pd.Index(unique, dtype="str"),
            places[order],
            counts=np.bincount(codes),
            combine=rule,
            refuses_codes=platform.level != "any",
            keeps_missing=reader.keeps_missing,
        ),
    )


def _names_of_genes(ids: pd.Index, platform: Platform, compendium: Compendium) -> pd.Index:
    """Return ids without versions. Rows of one gene by different aliases get one name.

    Raises:
        UserError: there are such rows, and the platform has no rule for them.
    """
    names: pd.Index = strip_version(ids) if platform.ids == "ensembl" else ids
    same = several_aliases(
        compendium.landmarks, compendium.targets, names, platform.ids, compendium.aliases
    )
    if not same:
        return names
    if platform.repeated == "error":
        raise UserError(
            f"{platform.reader.source}: genes have more than one row, by their aliases: "
            f'{some(same)}. Keep one row of each, or write repeated = "mean", "max" or "first" for '
            "this platform."
        )
    named: pd.Index = pd.Index([same.get(name, name) for name in names], dtype="str")
    return named


def _renamed(reader: Reader, ids: pd.Index, positions: NDArray[np.intp]) -> ChosenRows:
    return ChosenRows(reader, ids, positions, keeps_missing=reader.keeps_missing)


def _drop_missing(
    platform: Platform,
    name: str,
    used: NDArray[np.intp],
    notes: dict[str, Any],
    progress: Progress,
) -> Platform:
    """Return a platform without missing values, and note what was dropped.

    Genes that the dataset does not use are dropped by either rule if they lack a value, because
    duplicates are searched for over all genes.

    Args:
        platform: the platform. Its reader yields missing values as NaN.
        name: its name.
        used: positions of the genes that the dataset uses.
        notes: what was done on the platform. ``missing_values`` is added.
        progress: called after each block.
    """
    reader, rule = platform.reader, platform.missing_values
    n_genes, n_profiles = len(reader.gene_ids), len(reader.profiles)
    of_gene, of_profile = np.zeros(n_genes, np.intp), np.zeros(n_profiles, np.intp)
    done = 0
    for block in reader.read(np.arange(n_genes)):
        missing = np.isnan(block)
        of_gene += missing.sum(axis=0)
        of_profile[done : done + len(block)] = missing[:, used].sum(axis=1)
        done += len(block)
        progress(done, n_profiles, f"looking for missing values in {name}")
    if not of_gene.any():
        return platform
    is_used = np.zeros(n_genes, np.bool_)
    is_used[used] = True
    genes, profiles = of_gene == 0, np.ones(n_profiles, np.bool_)
    if rule == "drop-profile":
        genes, profiles = genes | is_used, of_profile == 0
    if not (genes & is_used).any() or not profiles.any():
        kind, other = ("gene", "profile") if rule == "drop-gene" else ("profile", "gene")
        raise UserError(
            f"{reader.source}: every {kind} has a missing value, so missing_values = {rule!r} "
            f'leaves none. Write "drop-{other}", or fill them in.'
        )
    notes["missing_values"] = {
        "rule": rule,
        "cells": int(of_profile.sum()),
        "genes": reader.gene_ids[is_used & ~genes].tolist(),
        "profiles": reader.profiles.index[~profiles].tolist(),
        "other_genes": int((~genes & ~is_used).sum()),
    }
    positions = np.flatnonzero(genes)
    kept = ChosenRows(reader, reader.gene_ids[positions], positions, profiles=profiles)
    return replace(platform, reader=kept)

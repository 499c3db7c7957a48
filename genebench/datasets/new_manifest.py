"""A first manifest, guessed from the files: roles, ids, orientation, units and coverage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.splits import REFERENCE_PLATFORM
from genebench.errors import UserError, counted, some
from genebench.formats.base import Orientation, Reader
from genebench.formats.delimited import annotates_genes, by_profile_id, read_profiles
from genebench.formats.opening import open_reader
from genebench.preprocessing.chosen_rows import IdPattern, unlike_others
from genebench.preprocessing.compendium import IdKind
from genebench.preprocessing.genes import best_kind, ids_of_maps, strip_version
from genebench.preprocessing.scale_checks import find_scale_fault

ROLES = (REFERENCE_PLATFORM, "1000g", "gtex")
"""Platforms of the published protocols: training, validation and test."""

_PATTERNS = ("SYM (entrez)", "SYM|entrez", "SYM|ENSG", "ENSG|SYM", "ENSG_SYM", "SYM_ENSG")

_MOST_COLUMNS = 8
"""Columns that are tried as ids, if those in the first one are in no map."""

_SAMPLE_PROFILES = 256

_FEW_TIES = 0.01
"""Share of values. RNA-seq has more that equal the lowest value, which is that of no reads."""

_GROUPS = ("series", "series_id", "gse", "study", "batch", "donor", "subject", "individual")
"""Names, in lower case, of columns that group related profiles."""


@dataclass(frozen=True)
class Guess:
    """What a file seems to be.

    Attributes:
        path: the file.
        role: the platform, or "" if it is not chosen yet.
        kind: the kind of its gene ids.
        keys: keys of the manifest beside ``matrix`` and ``ids``.
        found: numbers of landmarks and targets that are there.
        profiles: the number of its profiles.
        units: its units, in words.
        is_array: True if its values look like those of microarrays.
        remarks: sentences for the user.
        hints: keys with values that the user may want.
        ids: the ids of its profiles.
        columns: what the file itself says about profiles.
    """

    path: Path
    role: str
    kind: IdKind
    keys: Mapping[str, Any]
    found: tuple[int, int]
    profiles: int
    units: str
    is_array: bool
    remarks: tuple[str, ...]
    hints: Mapping[str, Any]
    ids: pd.Index
    columns: pd.Index

    def shown(self, found: int) -> str:
        """Return a number of genes, or "?" if Entrez ids have no table of aliases yet."""
        return "?" if self.kind == "entrez" and not any(self.found) else f"{found:,}"


@dataclass(frozen=True)
class _Ids:
    """A way to read the gene ids of a file, and the number of genes of the maps that it finds."""

    reader: Reader
    ids: pd.Index
    kind: IdKind
    keys: Mapping[str, Any]
    n_found: int


def guess(
    path: Path, role: str, landmarks: pd.DataFrame, targets: pd.DataFrame
) -> Guess | pd.DataFrame:
    """Look at a file, and return what it seems to be. A profile table is returned as such.

    Args:
        path: the file.
        role: the platform that the user states, or "".
        landmarks: the map of the landmarks.
        targets: the map of the targets.

    Raises:
        UserError: it cannot be read, or has no gene of the maps and is no table of profiles.
    """
    genes = pd.concat([landmarks, targets])
    genes = genes[~genes.index.duplicated()]
    ways = list(_ways(path, genes))
    best = max(ways, key=lambda way: way.n_found)
    if not best.n_found and best.kind != "entrez":
        try:
            return read_profiles(path)
        except UserError:
            raise UserError(
                f"{path}: no gene of the maps is in it, in rows or columns, as any kind of ids. "
                f"Its ids begin with {some(map(repr, best.ids))}. Check the file, or give other "
                "maps."
            ) from None
    return _describe(path, role, best, landmarks, targets)


def _ways(path: Path, genes: pd.DataFrame) -> Iterator[_Ids]:
    """Yield ways to read the gene ids of a file, up to the first orientation that finds some."""
    done = 0
    for orientation in get_args(Orientation):
        keys = {} if orientation == "genes" else {"orientation": orientation}
        try:
            reader = open_reader(path, orientation, keep_missing=True)
        except UserError:
            if orientation == "genes":
                raise
            return  # the format fixes the orientation
        columns = (None, *reader.skipped[:_MOST_COLUMNS]) if orientation == "genes" else (None,)
        for column in columns:
            if done:
                return
            named: dict[str, Any] = {}
            if column is not None:
                named["id_column"] = column
                # A column of text that is not known to annotate genes would be refused.
                if reader.id_column is not None and not annotates_genes(reader.id_column):
                    named["skip_columns"] = [reader.id_column]
            try:
                other = open_reader(path, orientation, keep_missing=True, **named)
            except UserError:
                continue  # numbers, or texts that repeat
            for way in _ways_of(other, genes, {**keys, **named}):
                done += way.n_found
                yield way


def _ways_of(reader: Reader, genes: pd.DataFrame, keys: Mapping[str, Any]) -> Iterator[_Ids]:
    ids = reader.gene_ids
    kind, number = best_kind(genes, ids)
    if not number and ids.str.fullmatch(r"\d+").mean() > 1 / 2:
        kind = "entrez"
    yield _Ids(reader, ids, kind, keys, number)
    if number:
        return
    for pattern in _PATTERNS:
        for wanted in ("ensembl", "symbol"):
            try:
                parts, _ = IdPattern(pattern, wanted).take(ids, reader.source)
            except UserError:
                continue
            if (best := best_kind(genes, parts))[0] == wanted:
                yield _Ids(reader, parts, wanted, {**keys, "id_pattern": pattern}, best[1])


def _describe(
    path: Path, role: str, way: _Ids, landmarks: pd.DataFrame, targets: pd.DataFrame
) -> Guess:
    ids = strip_version(way.ids) if way.kind == "ensembl" else way.ids
    known = ids.isin(ids_of_maps(landmarks, targets, way.kind))
    keys, remarks, hints = dict(way.keys), [], {}
    if (repeats := int(ids[known].duplicated().sum())) and way.kind != "probe":
        keys["repeated"] = "mean"
        remarks.append(f"{counted(repeats, 'row')} of genes that have another: their mean is taken")
    positions = np.flatnonzero(known) if way.n_found else np.arange(min(len(ids), 1000))
    sample = next(iter(way.reader.read(positions, _SAMPLE_PROFILES))).astype(np.float64)
    if lacking := int(np.isnan(sample).any(axis=0).sum()):
        keys["missing_values"] = "drop-gene"
        remarks.append(
            f"{counted(lacking, 'gene')} with a missing value in the first {len(sample)} profiles: "
            'left out. "drop-profile" leaves out the profiles instead'
        )
        sample = sample[:, ~np.isnan(sample).any(axis=0)]
    profiles = way.reader.profiles
    if unlike := unlike_others(profiles.index):
        hints["skip_columns"] = unlike
        remarks.append(f"{some(unlike)}: unlike the other profiles. If it is none, skip it")
    if way.kind == "entrez":
        remarks.append("Entrez ids need a table of aliases: genebench data aliases")
    level, units, fault = _units(sample)
    if fault:
        remarks.append(fault)
    if level == "linear":
        keys["level"] = level
    if groups := [str(name) for name in profiles if str(name).lower() in _GROUPS]:
        keys["group"] = groups[0]
    return Guess(
        path=path,
        role=role,
        kind=way.kind,
        keys=keys,
        found=tuple(_count(table, way) for table in (landmarks, targets)),  # type: ignore[arg-type]
        profiles=len(profiles),
        units=units,
        is_array=way.kind == "probe" or _looks_like_array(sample, units),
        remarks=tuple(remarks),
        hints=hints,
        ids=profiles.index,
        columns=profiles.columns,
    )


def _count(genes: pd.DataFrame, way: _Ids) -> int:
    return best_kind(genes, way.ids)[1] if way.n_found else 0


def _units(sample: NDArray[np.float64]) -> tuple[str, str, str]:
    """Return the level, the units in words, and a fault, of profiles × genes."""
    if not sample.size:
        return "log2", "unknown", ""
    for level in ("log2", "linear"):
        if not find_scale_fault(sample, platform=REFERENCE_PLATFORM, scale=level):
            whole = level == "linear" and bool((sample == np.rint(sample)).all())
            return level, "counts" if whole else level, ""
    fault = find_scale_fault(sample, platform=REFERENCE_PLATFORM, scale="log2")
    return "log2", "unknown", "" if fault is None else f"{fault.problem} {fault.remedy}"


def _looks_like_array(sample: NDArray[np.float64], units: str) -> bool:
    """Return whether values are logarithms in which hardly any profile repeats its lowest one."""
    if units != "log2" or not sample.size:
        return False
    ties = (sample == sample.min(axis=1, keepdims=True)).mean()
    return bool(ties < _FEW_TIES + 1 / sample.shape[1])


def with_roles(guesses: Sequence[Guess]) -> list[Guess]:
    """Return guesses with a role each: arrays are ``geo``, others go by name and then by size.

    Raises:
        UserError: there are more matrices than roles, or two have the same.
    """
    left = [role for role in ROLES if role not in {item.role for item in guesses}]
    chosen: list[Guess] = []
    stated = [item.role for item in guesses if item.role]
    if len(guesses) > len(ROLES) or len(set(stated)) < len(stated):
        raise UserError(
            f"{some([item.path.name for item in guesses])}: {len(guesses)} matrices for the roles "
            f"{', '.join(ROLES)}. Give one file for each, such as geo=FILE."
        )
    open_ones = [item for item in guesses if not item.role]
    # Arrays first, then the largest: the training set takes it, if there are no arrays.
    open_ones.sort(key=lambda item: (not item.is_array, -item.profiles))
    if REFERENCE_PLATFORM in left and open_ones:
        chosen.append(replace(open_ones.pop(0), role=REFERENCE_PLATFORM))
        left.remove(REFERENCE_PLATFORM)
    for name, role in (("gtex", "gtex"), ("geuvadis|gd462|1000g|lcl|pickrell", "1000g")):
        for item in open_ones:
            if role in left and re.search(name, item.path.name.lower()):
                chosen.append(replace(item, role=role))
                open_ones.remove(item)
                left.remove(role)
                break
    # The smaller one validates, because methods are compared on the test set.
    open_ones.sort(key=lambda item: item.profiles)
    if len(open_ones) == 1 and "gtex" in left:
        left.remove("gtex")
        left.insert(0, "gtex")
    chosen += [replace(item, role=role) for item, role in zip(open_ones, left, strict=False)]
    by_path = {item.path: item for item in chosen}
    done = [item if item.role else by_path[item.path] for item in guesses]
    return sorted(done, key=lambda item: ROLES.index(item.role))


def join_tables(
    guesses: Sequence[Guess], tables: Mapping[Path, pd.DataFrame]
) -> tuple[list[Guess], list[Path]]:
    """Give each matrix the table that has its profiles. Return also the tables of no matrix."""
    unused, done = list(tables), []
    for item in guesses:
        keys, remarks = dict(item.keys), list(item.remarks)
        for path, stored in tables.items():
            table = by_profile_id(path, stored, item.ids)
            if not item.ids.isin(table.index).all():
                continue
            if path in unused:
                unused.remove(path)
            shared = table.columns.intersection(item.columns)
            if len(shared):
                # A manifest with this table would be refused.
                remarks.append(
                    f"{path.name} is left out: {item.path.name} has columns of the same name "
                    f"({some(shared)}). To use the table, rename them there"
                )
            elif "profiles" not in keys:
                keys["profiles"] = path
                names = [name for name in table if str(name).lower() in _GROUPS]
                if names:
                    keys.setdefault("group", names[0])
        done.append(replace(item, keys=keys, remarks=tuple(remarks)))
    return done, unused


def limits(guesses: Sequence[Guess]) -> Iterator[str]:
    """Yield which protocols the dataset will not have, and what they need."""
    roles = {item.role: item for item in guesses}
    if REFERENCE_PLATFORM not in roles:
        yield f"no file is {REFERENCE_PLATFORM}, which every method is trained on: add one"
    elif "group" not in roles[REFERENCE_PLATFORM].keys:
        yield (
            f"{REFERENCE_PLATFORM} has no group, so no geo-series protocols: add a table of its "
            "profiles with a column such as series"
        )
    lacking = [role for role in ROLES[1:] if role not in roles]
    if lacking:
        yield f"no file is {' or '.join(lacking)}, so no gtex protocols"
    if any(item.kind == "entrez" for item in guesses):
        yield "Entrez ids: make aliases.tsv first, with genebench data aliases"


def manifest_text(
    name: str,
    folder: Path,
    maps: Mapping[str, Path],
    sizes: Mapping[str, int],
    guesses: Sequence[Guess],
) -> str:
    """Return the text of the manifest.

    Args:
        name: the name of the dataset.
        folder: the folder that the manifest will be in. Paths are relative to it.
        maps: role → the gene map.
        sizes: role → the number of its genes.
        guesses: the platforms.
    """  # fmt: skip
    lines = [
        "# Guessed from the files. Look it over, then run genebench data prepare.",
        f"name = {_toml(name)}",
        f"title = {_toml(', '.join(item.path.name for item in guesses))}",
        'recipe = "dgex"',
        'missing_genes = "drop"        # or "error", or "fill" for landmarks that RNA-seq lacks',
        "",
        "[genes]",
        *(f"{role} = {_toml(_relative(path, folder))}" for role, path in maps.items()),
    ]
    if any(item.kind == "entrez" for item in guesses):
        lines.append('aliases = "aliases.tsv"       # made by genebench data aliases')
    lines += [f"# {_one_line(limit)}" for limit in limits(guesses)]
    for item in guesses:
        coverage = (f"{item.shown(n)} of {size:,} {role}" for n, (role, size) in zip(
            item.found, sizes.items(), strict=True))  # fmt: skip
        lines += [
            "",
            f"[platforms.{item.role}]",
            f"# {counted(item.profiles, 'profile')}, units: {item.units}. {', '.join(coverage)}",
            *(f"# {_one_line(remark)}" for remark in item.remarks),
            f"matrix = {_toml(_relative(item.path, folder))}",
            f"ids = {_toml(item.kind)}",
        ]
        for key, value in item.keys.items():
            if key == "level" and item.role != REFERENCE_PLATFORM:
                continue  # other platforms are mapped by rank
            shown = _relative(value, folder) if isinstance(value, Path) else value
            lines.append(f"{key} = {_toml(shown)}")
        lines += [f"# {key} = {_toml(value)}" for key, value in item.hints.items()]
    return "\n".join(lines) + "\n"


def _relative(path: Path, folder: Path) -> str:
    """Return a path as the manifest names it: relative to its folder, if it is below."""
    full, top = path.absolute(), folder.absolute()
    return full.relative_to(top).as_posix() if full.is_relative_to(top) else str(full)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _toml(value: object) -> str:
    """Return text, or a list of texts, as TOML has it."""
    return json.dumps(value, ensure_ascii=True)

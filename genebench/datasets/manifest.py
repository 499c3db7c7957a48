"""Datasets from manifests: TOML files that name the gene maps and the platforms."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from genebench._util.hashing import code_digest
from genebench._util.toml import read_toml
from genebench.data.store import RECIPE, Dataset, DataStore
from genebench.data.verification import changed_files
from genebench.datasets.paired import (
    Assay,
    AssayScale,
    PairedAssays,
    PairedPlatform,
    Unpaired,
)
from genebench.datasets.published_arrays import (
    PLATFORMS,
    ArrayPlatform,
    ArrayScale,
    PreparedArrays,
    array_files,
)
from genebench.errors import UserError, some, unknown
from genebench.formats.base import Orientation, Reader
from genebench.formats.delimited import by_profile_id, number_rows, read_profiles
from genebench.formats.files import check_readable
from genebench.formats.mage_tab import read_sdrf
from genebench.formats.opening import format_of, matrix_of, open_reader
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import registry
from genebench.preprocessing.chosen_rows import IdPattern
from genebench.preprocessing.compendium import (
    REFERENCE_PLATFORM,
    Compendium,
    Duplicates,
    ExpressionScale,
    IdKind,
    MissingGenes,
    MissingValues,
    Platform,
    Repeated,
)
from genebench.preprocessing.genes import read_aliases, read_gene_map
from genebench.preprocessing.splits import LARGEST_SEED
from genebench.specs import PRESETS, check_name


class _Section(BaseModel):
    """A table of a manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Maps(_Section):
    """The gene maps, as paths."""

    landmarks: str
    targets: str


class _Genes(_Maps):
    """The gene maps, and a table of other ids (aliases)."""

    aliases: str | None = None


class _Platform(_Section):
    """One platform of the published recipe."""

    matrix: str
    ids: IdKind
    orientation: Orientation = "genes"
    """Meaning of the rows of ``matrix`` if it is a table (TSV, CSV, parquet, feather)."""
    level: ExpressionScale = "log2"
    profiles: str | None = None
    group: str | None = None
    group_pattern: str | None = None
    """Regular expression. Its first match in a profile id is the group, such as the donor."""
    id_column: str | None = None
    id_pattern: str | None = None
    skip_columns: tuple[str, ...] = Field(default=(), strict=False)
    layer: str | None = None
    repeated: Repeated = "error"
    missing_values: MissingValues = "error"
    licence: str = ""

    def options(self) -> dict[str, Any]:
        """Return the options of the reader that the manifest sets."""
        given = {
            "id_column": self.id_column,
            "skip_columns": self.skip_columns or None,
            "layer": self.layer,
        }
        options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        return {**options, "keep_missing": self.missing_values != "error"}


class _Head(_Section):
    """Keys that every manifest has."""

    name: str
    title: str = ""
    recipe: Literal["dgex", "prepared", "paired"]
    preset: str = "small"
    bibtex: str = ""
    """BibTeX entries of the papers to cite for the data."""


class _Manifest(_Head):
    """A manifest of raw platforms, for the published recipe."""

    missing_genes: MissingGenes = "drop"
    duplicates: Duplicates = "exact"
    split_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    genes: _Genes
    platforms: dict[str, _Platform]

    def files(self, folder: Path) -> Iterator[Path]:
        """Return every file that the manifest names, relative to its folder."""
        genes = self.genes
        named = [genes.landmarks, genes.targets, genes.aliases]
        for platform in self.platforms.values():
            named += [platform.matrix, platform.profiles]
        return (folder / name for name in named if name is not None)


class _Prepared(_Head):
    """A manifest of the published prepared arrays."""

    arrays: str = "."
    """Folder of the arrays."""
    # Not strict, because TOML has lists and no tuples.
    platforms: tuple[ArrayPlatform, ...] = Field(default=PLATFORMS, strict=False)
    level: ArrayScale = "standardised"
    genes: _Maps

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield every file that the manifest names, relative to its folder."""
        yield from (folder / self.genes.landmarks, folder / self.genes.targets)
        yield from array_files(folder / self.arrays, self.platforms)


class _Assay(_Section):
    """The matrix of one of two assays."""

    matrix: str
    ids: IdKind
    orientation: Orientation = "genes"


class _PairedPlatform(_Section):
    """Two assays of the same samples."""

    landmarks: _Assay
    targets: _Assay
    level: AssayScale = "log2"
    profiles: str | None = None
    target_profile: str | None = None
    group: str | None = None
    group_pattern: str | None = None
    """As for a platform of the published recipe, of the profile ids of the landmarks."""
    unpaired: Unpaired = "error"


class _Paired(_Head):
    """A manifest of platforms whose landmarks and targets come from two assays."""

    missing_genes: MissingGenes = "drop"
    split_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    genes: _Genes
    platforms: dict[str, _PairedPlatform]

    def files(self, folder: Path) -> Iterator[Path]:
        """Return every file that the manifest names, relative to its folder."""
        genes = self.genes
        named = [genes.landmarks, genes.targets, genes.aliases]
        for platform in self.platforms.values():
            named += [platform.landmarks.matrix, platform.targets.matrix, platform.profiles]
        return (folder / name for name in named if name is not None)


_AnyManifest = _Manifest | _Prepared | _Paired
_MODELS: Mapping[str, type[_Manifest | _Prepared | _Paired]] = {
    "prepared": _Prepared,
    "paired": _Paired,
}
"""Recipe → the model of its manifests. Others have that of ``dgex``."""


def read_manifest(path: Path) -> Compendium | PreparedArrays | PairedAssays:
    """Read a manifest and open the files that it names, relative to the folder of the manifest.

    Gene maps and profile tables are read. Matrices are opened, but their values are not read.

    Returns:
        Input of the recipe: raw platforms (``dgex``), prepared arrays (``prepared``), or pairs of
        assays (``paired``).

    Raises:
        UserError: a key or a file is at fault. The message names manifest, key and fault.
    """
    manifest = _parse(path)
    _check(path, manifest)
    common: dict[str, Any] = {
        "name": manifest.name,
        "title": manifest.title or manifest.name,
        "preset": manifest.preset,
        # Before any file is read, so that a file that changes meanwhile counts as changed later.
        "origin": {
            "kind": "measured",
            "manifest": path.name,
            "fingerprint": _fingerprint(path, manifest),
            **({"bibtex": manifest.bibtex} if manifest.bibtex else {}),
        },
        "landmarks": _gene_map(path, "landmarks", manifest.genes.landmarks),
        "targets": _gene_map(path, "targets", manifest.genes.targets),
    }
    if isinstance(manifest, _Prepared):
        return PreparedArrays(
            folder=path.parent / manifest.arrays,
            platforms=manifest.platforms,
            level=manifest.level,
            **common,
        )
    genes = pd.concat([common["landmarks"], common["targets"]])
    common["aliases"] = _aliases(path, manifest.genes.aliases, genes)
    if isinstance(manifest, _Paired):
        return PairedAssays(
            platforms={
                name: _open_pair(path, name, entry) for name, entry in manifest.platforms.items()
            },
            missing_genes=manifest.missing_genes,
            split_seed=manifest.split_seed,
            **common,
        )
    return Compendium(
        platforms={name: _open(path, name, entry) for name, entry in manifest.platforms.items()},
        missing_genes=manifest.missing_genes,
        duplicates=manifest.duplicates,
        split_seed=manifest.split_seed,
        **common,
    )


def find_prepared(path: Path, store: DataStore | None = None) -> Dataset | None:
    """Return the sound dataset that this manifest and these files gave before, or None.

    A file counts as unchanged if its size and time of change are, and a reader of a plugin if its
    code is. Every file of the dataset is verified.

    Args:
        path: the manifest.
        store: where to look. By default in the store of the user.

    Raises:
        UserError: the manifest cannot be read.
    """
    manifest = _parse(path)
    try:
        dataset = (store or DataStore()).open(manifest.name)
    except UserError:
        return None  # damaged, or written by another version
    if dataset is None or dataset.info.get("recipe") != RECIPE:
        return None
    same = dataset.info["origin"].get("fingerprint") == _fingerprint(path, manifest)
    return dataset if same and not changed_files(dataset) else None


def _fingerprint(path: Path, manifest: _AnyManifest) -> str:
    """Return a digest of a manifest's text, of its files, and of readers of plugins."""
    digest = hashlib.sha256(path.read_bytes())
    for named in manifest.files(path.parent):
        for file in _with_companions(named):
            state = file.stat()
            digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    for matrix in _matrices(manifest):
        digest.update(_reader_of_plugin(path.parent / matrix).encode())
    return digest.hexdigest()[:16]


def _matrices(manifest: _AnyManifest) -> Iterator[str]:
    """Yield the matrices that readers of formats open."""
    if isinstance(manifest, _Manifest):
        yield from (platform.matrix for platform in manifest.platforms.values())
    elif isinstance(manifest, _Paired):
        for platform in manifest.platforms.values():
            yield from (platform.landmarks.matrix, platform.targets.matrix)


def _reader_of_plugin(matrix: Path) -> str:
    """Return a digest of the plugin's code that reads a matrix, or "" if genebench itself does.

    The numbers that genebench's own readers give are part of the version of the recipe.
    """
    try:
        spec = format_of(matrix_of(matrix))
    except UserError:
        return ""  # opening the matrix reports it
    plugin = registry().formats.plugins[spec.name]
    return "" if plugin.distribution == PROJECT else f"{spec.name}\0{code_digest(spec.reader)}\n"


def _with_companions(path: Path) -> list[Path]:
    """Return a file and those beside it with the same stem, such as an array's lists of ids."""
    path = matrix_of(path)
    stem = glob.escape(path.name.partition(".")[0])
    if path.name.lower().removesuffix(".gz").endswith("matrix.mtx"):
        # The lists beside it share the part of its name before "matrix".
        stem = f"{glob.escape(path.name[: path.name.lower().index('matrix.mtx')])}*"
    with suppress(OSError, ValueError):  # the reader of the file reports its faults
        return sorted(file for file in path.parent.glob(f"{stem}.*") if file.is_file())
    return []


def _parse(path: Path) -> _AnyManifest:
    check_readable(path)
    content = read_toml(path)
    # The recipe decides which model checks the rest. A missing or wrong one is found by _Manifest.
    model = _MODELS.get(str(content.get("recipe")), _Manifest)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error, model)}") from None


_EXPECTED_CONTENT = {
    "string_type": "text",
    "int_type": "a whole number",
    "tuple_type": 'a list, such as ["geo", "gtex"]',
    "dict_type": "a table",
    "model_type": "a table",
}
"""Type of a fault, as pydantic calls it → content that the manifest must have there."""

_OTHER_RECIPE = {
    (_Prepared, "platforms"): ' [platforms.NAME] goes with recipe = "dgex".',
    (_Manifest, "platforms"): ' A list of platforms goes with recipe = "prepared".',
}
"""Model and key → remedy, if the key is written as the other recipe has it."""


def _explain(error: ValidationError, model: type[_Head]) -> str:
    """Return the most useful of the faults that pydantic found, with a remedy.

    Unlike :func:`genebench._util.schema.first_fault`, it suggests names for unknown keys.
    """
    fault = min(error.errors(), key=_precedence)
    *section, key = map(str, fault["loc"])
    if fault["type"] == "extra_forbidden":
        where = f"in {'.'.join(section)}: " if section else ""
        return f"{where}{unknown('key', key, _keys(model, section))}"
    where = ".".join([*section, key])
    if fault["type"] == "missing":
        return f"{where}: this key is missing. Add it."
    content = "a table" if isinstance(fault["input"], dict) else repr(str(fault["input"])[:40])
    if fault["type"] in _EXPECTED_CONTENT:
        must_be = f"must be {_EXPECTED_CONTENT[fault['type']]}"
        if fault["type"] == "tuple_type" and isinstance(fault["input"], str):
            must_be = f"must be a list, such as {json.dumps([fault['input'][:40]])}"
    else:
        must_be = fault["msg"].replace("Input should be", "must be")
    return f"{where}: {must_be}, not {content}.{_OTHER_RECIPE.get((model, where), '')}"


def _precedence(fault: ErrorDetails) -> int:
    """Return the rank of a fault: the lower, the sooner it is reported."""
    # The recipe decides which keys are allowed, and a missing key may be one that is misspelt.
    if fault["loc"] == ("recipe",) and fault["type"] != "missing":
        return 0
    return 1 if fault["type"] == "extra_forbidden" else 2


def _keys(model: type[_Head], section: list[str]) -> Mapping[str, Any]:
    """Return the keys that a section of a manifest may have."""
    if section[:1] == ["platforms"]:
        if model is _Paired:
            return (_Assay if section[2:] else _PairedPlatform).model_fields
        return _Platform.model_fields
    if section:
        return (_Maps if model is _Prepared else _Genes).model_fields
    return model.model_fields


def _check(path: Path, manifest: _AnyManifest) -> None:
    """Check names and rules that pydantic does not see.

    Raises:
        UserError: a name is malformed or unknown, or a platform or table is missing.
    """
    try:
        check_name("dataset", manifest.name)
        for name in manifest.platforms:
            check_name("platform", name)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if manifest.preset not in PRESETS:
        raise UserError(f"{path}: {unknown('preset', manifest.preset, PRESETS)}")
    if isinstance(manifest, _Paired):
        _check_pairs(path, manifest)
    elif REFERENCE_PLATFORM not in manifest.platforms:
        if isinstance(manifest, _Prepared):
            fault = f"{REFERENCE_PLATFORM} is missing. Add it: every method is trained on it."
        else:
            fault = (
                f"there is no [platforms.{REFERENCE_PLATFORM}]. Add it: the other platforms take "
                "their quantiles from these microarrays."
            )
        raise UserError(f"{path}: platforms: {fault}")
    if isinstance(manifest, _Prepared) or manifest.genes.aliases is not None:
        return
    for name, ids in _kinds_of_ids(manifest):
        if ids == "entrez":
            raise UserError(
                f"{path}: platforms.{name}.ids: the gene maps have no Entrez ids. Write "
                'aliases = "FILE" in [genes], a table of Entrez id, tab, Ensembl id or symbol.'
            )


def _check_pairs(path: Path, manifest: _Paired) -> None:
    """Refuse a manifest of paired assays without a platform, or with one named as another kind."""
    if not manifest.platforms:
        raise UserError(f"{path}: there is no [platforms.NAME]. Add one.")
    taken = [name for name in PLATFORMS if name in manifest.platforms]
    if taken:
        raise UserError(
            f"{path}: platforms.{taken[0]}: this name stands for one assay, in the published "
            "protocols. Choose another name for two assays, such as l1000."
        )


def _kinds_of_ids(manifest: _Manifest | _Paired) -> Iterator[tuple[str, IdKind]]:
    """Yield platform (and role), and the kind of its ids."""
    if isinstance(manifest, _Manifest):
        yield from ((name, platform.ids) for name, platform in manifest.platforms.items())
        return
    for name, pair in manifest.platforms.items():
        yield from (
            (f"{name}.landmarks", pair.landmarks.ids),
            (f"{name}.targets", pair.targets.ids),
        )


def _gene_map(manifest: Path, role: str, name: str) -> pd.DataFrame:
    with _blame(manifest, f"genes.{role}"):
        return read_gene_map(manifest.parent / name)


def _aliases(manifest: Path, name: str | None, genes: pd.DataFrame) -> pd.Series[str] | None:
    if name is None:
        return None
    with _blame(manifest, "genes.aliases"):
        return read_aliases(manifest.parent / name, genes)


def _open(manifest: Path, name: str, entry: _Platform) -> Platform:
    """Open the matrix of a platform, and read its profile table."""
    key = f"platforms.{name}"
    reader = _open_matrix(manifest, key, entry)
    if entry.id_pattern is not None:
        with _blame(manifest, f"{key}.id_pattern"):
            IdPattern(entry.id_pattern, entry.ids)
    profiles, group = _read_profiles(manifest, key, entry, reader)
    return Platform(
        reader=reader,
        ids=entry.ids,
        level=entry.level,
        profiles=profiles,
        group=group,
        id_pattern=entry.id_pattern,
        repeated=entry.repeated,
        missing_values=entry.missing_values,
        licence=entry.licence,
    )


GROUP_IN_ID = "group_in_id"
"""The column of the profile table that ``group_pattern`` adds."""


def _read_profiles(
    manifest: Path, key: str, entry: _Platform | _PairedPlatform, reader: Reader
) -> tuple[pd.DataFrame | None, str | None]:
    """Read the profile table of a platform, and return it with the name of its group column."""
    profiles = _read_table(manifest, key, entry.profiles, reader)
    _check_column(manifest, f"{key}.group", entry.group, reader, profiles)
    if entry.group_pattern is None:
        return profiles, entry.group
    with _blame(manifest, f"{key}.group_pattern"):
        matches = _groups_in_ids(reader, entry)
    table = pd.DataFrame(index=matches.index) if profiles is None else profiles
    return table.assign(**{GROUP_IN_ID: matches}), GROUP_IN_ID


def _groups_in_ids(reader: Reader, entry: _Platform | _PairedPlatform) -> pd.Series[str]:
    """Return the part of each profile id that the pattern of a platform matches."""
    if entry.group is not None:
        raise UserError("group is given, too. Remove one of them.")
    try:
        pattern = re.compile(entry.group_pattern or "")
    except re.error as error:
        raise UserError(f"not a regular expression ({error}). Correct it.") from None
    ids = reader.profiles.index
    found = [match[0] if (match := pattern.search(id_)) else "" for id_ in ids]
    lacking = [id_ for id_, part in zip(ids, found, strict=True) if not part]
    if lacking:
        raise UserError(
            f"it matches nothing in {len(lacking)} of the {len(ids)} profile ids: {some(lacking)}. "
            "Correct it."
        )
    return pd.Series(found, index=ids, dtype="str")


def _open_pair(manifest: Path, name: str, entry: _PairedPlatform) -> PairedPlatform:
    """Open both matrices of a platform, and read the profile table of the landmarks."""
    key = f"platforms.{name}"
    first, second = (
        Assay(reader=_open_matrix(manifest, f"{key}.{role}", assay), ids=assay.ids)
        for role, assay in (("landmarks", entry.landmarks), ("targets", entry.targets))
    )
    profiles, group = _read_profiles(manifest, key, entry, first.reader)
    _check_column(manifest, f"{key}.target_profile", entry.target_profile, first.reader, profiles)
    return PairedPlatform(
        landmarks=first,
        targets=second,
        level=entry.level,
        profiles=profiles,
        target_profile=entry.target_profile,
        group=group,
        unpaired=entry.unpaired,
    )


def _open_matrix(manifest: Path, key: str, entry: _Platform | _Assay) -> Reader:
    with _blame(manifest, f"{key}.matrix"):
        options = entry.options() if isinstance(entry, _Platform) else {}
        reader = open_reader(manifest.parent / entry.matrix, entry.orientation, **options)
        return reader.with_ids(entry.ids)


def _read_table(manifest: Path, key: str, name: str | None, reader: Reader) -> pd.DataFrame | None:
    if name is None:
        return None
    with _blame(manifest, f"{key}.profiles"):
        return _profiles_of(reader, manifest.parent / name)


def _check_column(
    manifest: Path, key: str, name: str | None, reader: Reader, profiles: pd.DataFrame | None
) -> None:
    """Refuse a column that neither the matrix nor the profile table has."""
    columns = [*reader.profiles.columns, *(() if profiles is None else profiles.columns)]
    if name is not None and name not in columns:
        with _blame(manifest, key):
            fault = unknown("column of the profile table", name, columns)
            # Such as a super-series, which has no column of series.
            raise UserError(" ".join([str(fault), *(f"Note: {note}." for note in reader.notes)]))


def _profiles_of(reader: Reader, path: Path) -> pd.DataFrame:
    """Return the rows of a profile table for the profiles of a matrix, in its order."""
    ids = reader.profiles.index
    is_sdrf = path.name.lower().endswith(".sdrf.txt")
    table = read_sdrf(path, ids) if is_sdrf else by_profile_id(path, read_profiles(path), ids)
    missing = ids.difference(table.index, sort=False)
    if len(missing):
        others = table.index.difference(ids, sort=False)
        raise UserError(
            f"{path}: {len(missing)} of the {len(ids)} profiles of {reader.source} are missing: "
            f"{some(map(repr, missing))}. {_remedy_for_missing(missing, others)}"
        )
    shared = table.columns.intersection(reader.profiles.columns)
    if len(shared):
        raise UserError(
            f"{path}: the matrix has columns of the same name: {some(shared)}. Rename them in the "
            "table."
        )
    return table.loc[ids]


def _remedy_for_missing(missing: pd.Index, others: pd.Index) -> str:
    """Return the remedy for profiles that a table lacks, with ids that only the table has.

    Args:
        missing: ids of the matrix that are not in the table.
        others: ids of the table that are not in the matrix.
    """
    if others.empty:
        return "Add a row for each."
    # R writes dots for all other characters in the names of columns, and X before a digit.
    plain = {re.sub(r"^x(?=[0-9])|[^a-z0-9]", "", id_.lower()): id_ for id_ in others}
    for id_ in missing:
        same = plain.get(re.sub(r"^x(?=[0-9])|[^a-z0-9]", "", id_.lower()))
        if same is not None:
            return (
                f"The table has {same!r} where the matrix has {id_!r}. Write the ids in the same "
                "way in both."
            )
    if number_rows(others):
        return (
            f"Its first column has whole numbers ({some(others)}), and no column has ids of the "
            "matrix. Write these in the first column."
        )
    return f"The table has others: {some(map(repr, others))}. Add a row for each missing profile."


@contextmanager
def _blame(manifest: Path, key: str) -> Iterator[None]:
    """Put manifest and key in front of the message of a fault."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{manifest}: {key}: {error}") from None

"""Datasets from a manifest: a TOML file that names the gene maps and the platforms."""

from __future__ import annotations

import glob
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from genebench.data.store import RECIPE, Dataset, DataStore
from genebench.datasets.published_arrays import (
    PLATFORMS,
    ArrayLevel,
    ArrayPlatform,
    PreparedArrays,
    array_files,
)
from genebench.errors import UserError, some, unknown
from genebench.formats.base import Orientation, Reader
from genebench.formats.delimited import read_profiles
from genebench.formats.files import check_readable
from genebench.formats.opening import open_reader
from genebench.preprocessing.compendium import (
    REFERENCE_PLATFORM,
    Compendium,
    Duplicates,
    IdKind,
    Level,
    MissingGenes,
    Platform,
)
from genebench.preprocessing.genes import read_aliases, read_gene_map
from genebench.specs import PRESETS, check_name


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Maps(_Section):
    landmarks: str
    targets: str


class _Genes(_Maps):
    aliases: str | None = None


class _Platform(_Section):
    matrix: str
    ids: IdKind
    orientation: Orientation = "genes"
    """What the rows of ``matrix`` are, where it is a table (TSV, CSV, parquet, feather)."""
    level: Level = "log2"
    profiles: str | None = None
    group: str | None = None


class _Head(_Section):
    name: str
    title: str = ""
    recipe: Literal["dgex", "prepared"]
    preset: str = "small"


class _Manifest(_Head):
    """Raw platforms, for the published recipe."""

    missing_genes: MissingGenes = "drop"
    duplicates: Duplicates = "exact"
    split_seed: int = Field(default=0, ge=0)
    genes: _Genes
    platforms: dict[str, _Platform]

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file that it names."""
        genes = self.genes
        named = [genes.landmarks, genes.targets, genes.aliases]
        for platform in self.platforms.values():
            named += [platform.matrix, platform.profiles]
        return (folder / name for name in named if name is not None)


class _Prepared(_Head):
    """The published prepared arrays."""

    arrays: str = "."
    """The folder that holds them."""
    platforms: tuple[ArrayPlatform, ...] = Field(default=PLATFORMS, strict=False)
    level: ArrayLevel = "standardised"
    genes: _Maps

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file that it names."""
        yield from (folder / self.genes.landmarks, folder / self.genes.targets)
        yield from array_files(folder / self.arrays, self.platforms)


def read_manifest(path: Path) -> Compendium | PreparedArrays:
    """Read a manifest and open what it names; its paths are relative to its own folder.

    Gene maps and profile tables are read, matrices are opened: their values are not yet read.

    Returns:
        What the recipe takes: raw platforms (``dgex``) or prepared arrays (``prepared``).

    Raises:
        UserError: names the manifest, the key, and what is wrong with it or with its file.
    """
    manifest = _parse(path)
    _check(path, manifest)
    common: dict[str, Any] = {
        "name": manifest.name,
        "title": manifest.title or manifest.name,
        "preset": manifest.preset,
        # Before anything is read: a file that changes meanwhile is another one next time.
        "origin": {
            "kind": "measured",
            "manifest": path.name,
            "fingerprint": _fingerprint(path, manifest),
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
    return Compendium(
        aliases=_aliases(path, manifest.genes.aliases, genes),
        platforms={name: _open(path, name, entry) for name, entry in manifest.platforms.items()},
        missing_genes=manifest.missing_genes,
        duplicates=manifest.duplicates,
        split_seed=manifest.split_seed,
        **common,
    )


def find_prepared(path: Path, store: DataStore | None = None) -> Dataset | None:
    """The sound dataset in force that this manifest and these very files gave, or None.

    Files count as the same while their size and time of change are; the dataset is verified.

    Raises:
        UserError: the manifest cannot be read.
    """
    manifest = _parse(path)
    try:
        dataset = (store or DataStore()).open(manifest.name)
    except UserError:
        return None  # damaged, or of another version
    if dataset is None or dataset.info.get("recipe") != RECIPE:
        return None
    same = dataset.info["origin"].get("fingerprint") == _fingerprint(path, manifest)
    return dataset if same and not dataset.verify() else None


def _fingerprint(path: Path, manifest: _Manifest | _Prepared) -> str:
    """Digest of a manifest's text, and of the size and time of change of every file it names."""
    digest = hashlib.sha256(path.read_bytes())
    for named in manifest.files(path.parent):
        for file in _with_companions(named):
            state = file.stat()
            digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _with_companions(path: Path) -> list[Path]:
    """A file, and those beside it with the same stem: an array's lists of ids are such."""
    stem = glob.escape(path.name.partition(".")[0])
    with suppress(OSError, ValueError):  # what is wrong with it, its reader says
        return sorted(file for file in path.parent.glob(f"{stem}.*") if file.is_file())
    return []


def _parse(path: Path) -> _Manifest | _Prepared:
    check_readable(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    model = _Prepared if content.get("recipe") == "prepared" else _Manifest
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error, model)}") from None


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "tuple_type": 'a list, such as ["geo", "gtex"]',
    "dict_type": "a table",
    "model_type": "a table",
}
"""Pydantic's faults of type → what a manifest must hold there."""

_OTHER_RECIPE = {
    (_Prepared, "platforms"): '; [platforms.NAME] goes with recipe = "dgex"',
    (_Manifest, "platforms"): '; a list of platforms goes with recipe = "prepared"',
}


def _explain(error: ValidationError, model: type[_Head]) -> str:
    """The fault that tells most among those that pydantic found, in our words."""
    fault = min(error.errors(), key=_precedence)
    *section, key = map(str, fault["loc"])
    if fault["type"] == "extra_forbidden":
        where = f"in {'.'.join(section)}: " if section else ""
        return f"{where}{unknown('key', key, _keys(model, section))}"
    where = ".".join([*section, key])
    if fault["type"] == "missing":
        return f"{where}: this key is missing"
    given = "a table" if isinstance(fault["input"], dict) else repr(str(fault["input"])[:40])
    return f"{where}: {_must_be(fault)}, not {given}{_OTHER_RECIPE.get((model, where), '')}"


def _precedence(fault: ErrorDetails) -> int:
    """Which keys there are follows from the recipe; a key that is missing may be misspelt."""
    if fault["loc"] == ("recipe",) and fault["type"] != "missing":
        return 0
    return 1 if fault["type"] == "extra_forbidden" else 2


def _must_be(fault: ErrorDetails) -> str:
    if fault["type"] in _KINDS:
        return f"must be {_KINDS[fault['type']]}"
    return fault["msg"].replace("Input should be", "must be")


def _keys(model: type[_Head], section: list[str]) -> Mapping[str, Any]:
    if section[:1] == ["platforms"]:
        return _Platform.model_fields
    if section:
        return (_Maps if model is _Prepared else _Genes).model_fields
    return model.model_fields


def _check(path: Path, manifest: _Manifest | _Prepared) -> None:
    try:
        check_name("dataset", manifest.name)
        for name in manifest.platforms:
            check_name("platform", name)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if manifest.preset not in PRESETS:
        raise UserError(f"{path}: {unknown('preset', manifest.preset, PRESETS)}")
    if REFERENCE_PLATFORM not in manifest.platforms:
        raise UserError(f"{path}: platforms: {_no_reference(manifest)}")
    if isinstance(manifest, _Manifest):
        _check_entrez(path, manifest)


def _no_reference(manifest: _Manifest | _Prepared) -> str:
    if isinstance(manifest, _Prepared):
        return f"{REFERENCE_PLATFORM} is not among them, which every method is trained on"
    return (
        f"there is no [platforms.{REFERENCE_PLATFORM}], "
        "the microarrays that the other platforms are fitted to"
    )


def _check_entrez(path: Path, manifest: _Manifest) -> None:
    for name, platform in manifest.platforms.items():
        if platform.ids == "entrez" and manifest.genes.aliases is None:
            raise UserError(
                f"{path}: platforms.{name}.ids: the gene maps have no Entrez ids; write aliases = "
                '"…" in [genes], the file of a table: Entrez id, tab, Ensembl id or symbol'
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
    key = f"platforms.{name}"
    with _blame(manifest, f"{key}.matrix"):
        reader = open_reader(manifest.parent / entry.matrix, entry.orientation)
    profiles = None
    if entry.profiles is not None:
        with _blame(manifest, f"{key}.profiles"):
            profiles = _profiles_of(reader, manifest.parent / entry.profiles)
    with _blame(manifest, f"{key}.group"):
        _check_group(entry.group, reader, profiles)
    return Platform(
        reader=reader, ids=entry.ids, level=entry.level, profiles=profiles, group=entry.group
    )


def _profiles_of(reader: Reader, path: Path) -> pd.DataFrame:
    """The rows of a profile table for the profiles of a matrix, in its order."""
    table = read_profiles(path)
    ids = reader.profiles.index
    missing = ids.difference(table.index, sort=False)
    if len(missing):
        raise UserError(
            f"{path}: {len(missing)} of the {len(ids)} profiles of {reader.source} are missing: "
            f"{some(missing)}"
        )
    shared = table.columns.intersection(reader.profiles.columns)
    if len(shared):
        raise UserError(f"{path}: {some(shared)}: the matrix has such columns too; rename these")
    return table.loc[ids]


def _check_group(group: str | None, reader: Reader, profiles: pd.DataFrame | None) -> None:
    columns = [*reader.profiles.columns, *(() if profiles is None else profiles.columns)]
    if group is not None and group not in columns:
        raise unknown("column of the profile table", group, columns)


@contextmanager
def _blame(manifest: Path, key: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{manifest}: {key}: {error}") from None

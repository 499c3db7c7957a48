"""The store: prepared datasets on disk, each in an immutable folder named by its digest.

::

    <home>/datasets/<name>/current            the digest in force, one line
    <home>/datasets/<name>/<digest>/
        dataset.json                          what it is, coverage, digest, sources
        SHA256SUMS                            of every file here (``sha256sum -c`` reads it)
        landmark_genes.tsv  target_genes.tsv  gene tables, indexed by Ensembl id
        reference.npy                         quantile reference, one value per rank
        reference.train.npy  mean.train.npy  std.train.npy
                                              the same of the training profiles, for the
                                              strict protocols
        <platform>/expression.npy             float32, profiles × (landmarks, then targets)
        <platform>/mean.npy  std.npy          statistics of each gene, for standardisation;
                                              these and reference.npy are absent where
                                              expression.npy came standardised
        <platform>/profiles.tsv               profile table: id, group, split and what was known
        cache/                                what was worked out from the above: moments,
                                              standardised matrices that somebody asked to map;
                                              each file ends in the sha256 of the rest
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import atomic_write, full_disk, sha256_of, sweep, user_errors
from genebench.data.cache import is_sound
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, unknown
from genebench.specs import NAME, Part

STORE_FORMAT = 3
"""Version of the layout above, and of what the digest is over."""

RECIPE = 1
"""Version of the preprocessing: raised when the same files would give other numbers."""

STANDARDISED: Literal["standardised"] = "standardised"
"""What ``values`` of a description says where expression came standardised; else it is absent."""

SUMS = "SHA256SUMS"
_REMEDY = "set GENEBENCH_HOME to another folder"
_DIGEST = re.compile(r"[0-9a-f]{16}")
DIGESTED = ("group", "split", "group_split")
"""Columns of profile tables that results depend on."""


class Dataset:
    """A prepared dataset, opened: platforms, gene tables, statistics, digest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.info: dict[str, Any] = json.loads((root / "dataset.json").read_text("utf-8"))
        self._profile_tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"<Dataset {self.name} {self.digest}>"

    @property
    def name(self) -> str:
        """The name it is run by."""
        return str(self.info["name"])

    @property
    def digest(self) -> str:
        """Digest over genes, profiles, groups, split and expression of every platform."""
        return str(self.info["digest"])

    @property
    def landmark_genes(self) -> pd.DataFrame:
        """Table of landmark genes in column order: ``symbol``, ``probes``, ``twin``."""
        return self._genes[0]

    @property
    def target_genes(self) -> pd.DataFrame:
        """Table of target genes in column order: ``symbol``, ``probes``, ``twin``."""
        return self._genes[1]

    @cached_property
    def _genes(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        landmarks = read_table(self.root / "landmark_genes.tsv")
        targets = read_table(self.root / "target_genes.tsv")
        return (
            landmarks.assign(twin=landmarks.index.isin(targets.index)),
            targets.assign(twin=targets.index.isin(landmarks.index)),
        )

    @cached_property
    def reference(self) -> NDArray[np.float64]:
        """The quantile reference, ascending, one value per landmark and target gene."""
        return _load(self.root / "reference.npy")

    @property
    def platforms(self) -> list[str]:
        """Names of the platforms."""
        return list(self.info["platforms"])

    def expression(self, platform: str) -> NDArray[np.float32]:
        """Normalised log2 expression, a read-only memory map, profiles × (landmarks, targets).

        Where :attr:`is_standardised`, standardised values as they came.
        """
        folder = self._folder(platform)
        return np.asanyarray(np.load(folder / "expression.npy", mmap_mode="r", allow_pickle=False))

    def profile_table(self, platform: str) -> pd.DataFrame:
        """Table of the platform's profiles, in row order."""
        if platform not in self._profile_tables:
            path = self._folder(platform) / "profiles.tsv"
            self._profile_tables[platform] = read_table(path)
        return self._profile_tables[platform]

    def statistics(self, platform: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (ddof 0) of each gene, landmarks then targets."""
        folder = self._folder(platform)
        return _load(folder / "mean.npy"), _load(folder / "std.npy")

    def profiles(self, part: Part, *, mmap: bool = False) -> Profiles:
        """Profiles of a part, standardised on read.

        Raises:
            UserError: there is no such platform or split, or no profile in that part.
        """
        with self._damage():
            table = self.profile_table(part.platform)
            expression, standardiser = self.expression(part.platform), self._standardiser(part)
            genes = self.landmark_genes, self.target_genes
        rows = self._rows(table, part)
        return Profiles(
            expression=expression,
            rows=rows,
            standardiser=standardiser,
            profiles=table.iloc[rows],
            landmark_genes=genes[0].copy(),
            target_genes=genes[1].copy(),
            cache=self.root / "cache" / str(part).replace("/", "-"),
            mmap=mmap,
        )

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.root}: damaged ({' '.join(str(error).split())}); prepare {self.name} again"
            ) from error

    def _rows(self, table: pd.DataFrame, part: Part) -> NDArray[np.intp]:
        if part.split is None:
            return np.arange(len(table))
        column = "split" if part.by == "random" else "group_split"
        if column not in table:
            raise UserError(
                f"dataset {self.name}: platform {part.platform} has no {column.replace('_', ' ')}; "
                "a manifest names its groups by group = column, and geo alone is split"
            )
        rows = np.flatnonzero(table[column].to_numpy() == part.split)
        if not len(rows):
            raise UserError(f"dataset {self.name}: no profile in {part}; it has too few to split")
        return rows

    @property
    def is_standardised(self) -> bool:
        """Whether its values came standardised: there is no expression in other units."""
        return self.info.get("values") == STANDARDISED

    def check_expression(self, remedy: str) -> None:
        """See to it that the dataset holds expression, not only values that came standardised.

        Raises:
            UserError: it does not; the message ends in the remedy.
        """
        if self.is_standardised:
            raise UserError(
                f"dataset {self.name}: it was made of arrays that came standardised, so there is "
                f"no expression; {remedy}"
            )

    def _standardiser(self, part: Part) -> Standardiser:
        if part.statistics == "train":
            self.check_expression(
                "leave out protocols with statistics of the training profiles (-strict), or "
                'prepare the originals by recipe = "dgex"'
            )
            mean, std, reference = (
                _load(self.root / f"{name}.train.npy") for name in ("mean", "std", "reference")
            )
            return Standardiser(mean, std, (self.reference.astype(np.float32), reference))
        if self.is_standardised:
            return Standardiser.identity(len(self.landmark_genes) + len(self.target_genes))
        return Standardiser(*self.statistics(part.platform))

    def verify(self) -> list[str]:
        """Files that are missing or were changed since the dataset was prepared; none when sound.

        Every file is read; and the content must still have the digest in its name.
        """
        try:
            sums = self._sums()
        except OSError:
            return [SUMS]
        found = {name: _sum_or_none(self.root / name) for name in sums}
        faults = [name for name, known in sums.items() if found[name] != known]
        return faults or ([] if self._content_digest(found) == self.digest else ["digest"])

    def verify_cache(self) -> list[str]:
        """Files of ``cache/`` that were changed, or kept by another version; none when sound.

        Every file is read. One that is removed is worked out again when it is asked for.
        """
        kept = sorted((self.root / "cache").glob("[!.]*"))  # others are being written
        bad = [path for path in kept if not is_sound(path) and path.exists()]
        return [path.relative_to(self.root).as_posix() for path in bad]

    def _sums(self) -> dict[str, str]:
        lines = (self.root / SUMS).read_text("utf-8").splitlines()
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    def _content_digest(self, sums: Mapping[str, str | None]) -> str:
        contents = {
            name: platform_digest(self.profile_table(name), str(sums.get(f"{name}/expression.npy")))
            for name in self.platforms
        }
        return dataset_digest(self.landmark_genes, self.target_genes, contents)

    def _folder(self, platform: str) -> Path:
        if platform not in self.info["platforms"]:
            raise unknown(f"platform of dataset {self.name}", platform, self.platforms)
        return self.root / platform


def _sum_or_none(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None


def platform_digest(profiles: pd.DataFrame, expression_sha256: str) -> str:
    """Digest of a platform: profile ids, groups, split, and the sum of ``expression.npy``."""
    digest = hashlib.sha256()
    known = [column for column in DIGESTED if column in profiles]
    # The first releases called the validation set "select". Hashing the old word keeps every
    # published digest valid.
    splits = {column: {"validation": "select"} for column in known if column != "group"}
    for row in profiles[known].replace(splits).itertuples():
        digest.update(json.dumps(list(row)).encode())
    digest.update(expression_sha256.encode())
    return digest.hexdigest()


def dataset_digest(
    landmarks: pd.DataFrame, targets: pd.DataFrame, platforms: Mapping[str, str]
) -> str:
    """Digest of a dataset: gene ids in order, and its platforms' digests. 16 hex digits."""
    content = [list(landmarks.index), list(targets.index), dict(sorted(platforms.items()))]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class DataStore:
    """All prepared datasets of a home. Nobody else spells these paths."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or home()) / "datasets"

    def names(self) -> list[str]:
        """Names of the prepared datasets."""
        return sorted(path.parent.name for path in self.root.glob("*/current"))

    def open(self, name: str) -> Dataset | None:
        """The dataset of that name, or None when it is not prepared.

        Raises:
            UserError: it is prepared, but damaged or from another version.
        """
        if not NAME.fullmatch(name):
            return None
        try:
            digest = (self.root / name / "current").read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        folder = self.root / name / Path(digest).name
        try:
            dataset = Dataset(folder)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: damaged ({error}); prepare {name} again") from error
        if dataset.info.get("format") != STORE_FORMAT:
            raise UserError(f"{folder}: written by another version; prepare {name} again")
        return dataset

    def find(self, digest: str) -> Dataset | None:
        """The prepared dataset with that digest, or None."""
        for name in self.names() if _DIGEST.fullmatch(digest) else ():
            folder = self.root / name / digest
            if folder.is_dir():
                return Dataset(folder)
        return None

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A folder to build a dataset in; whatever is left of it at the end is removed."""
        parent = self.root / name
        with user_errors(parent, _REMEDY):
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent, ".staging-*")
            folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
        try:
            with full_disk(parent, _REMEDY):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                parent.rmdir()  # when nothing else is in it

    def publish(self, name: str, staged: Path, sums: Mapping[str, str] | None = None) -> Dataset:
        """Move a staged dataset to its place and make it the one in force.

        ``sums`` gives the sha256 of files that were hashed when they were written; the others are
        read for theirs.

        A new folder takes its place by one rename, and only whole files replace their equals:
        nothing half-written is ever in force.
        """
        _write_sums(staged, sums or {})
        digest = Dataset(staged).digest
        final = self.root / name / digest
        staged.chmod(0o755)
        try:
            staged.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            # The same content was prepared before, perhaps by a process beside this one: it stays
            # in force while each file takes the place of its equal. What was worked out from them
            # goes with the staging folder: they may have been damaged by then.
            files = [path for path in staged.rglob("*") if path.is_file()]
            with suppress(FileNotFoundError):
                (final / "cache").rename(staged / "cache")
            for path in files:
                path.replace(final / path.relative_to(staged))
        with atomic_write(self.root / name / "current") as stream:
            stream.write(f"{digest}\n".encode())
        for stale in self._superseded(name, digest):
            shutil.rmtree(stale, ignore_errors=True)
        return Dataset(final)

    def remove(self, name: str) -> None:
        """Remove a prepared dataset; the name in force goes first, so nothing half-gone is used."""
        (self.root / name / "current").unlink()
        shutil.rmtree(self.root / name)

    def _superseded(self, name: str, digest: str) -> list[Path]:
        return [
            path
            for path in (self.root / name).iterdir()
            if path.is_dir() and path.name != digest and not path.name.startswith(".")
        ]


def _write_sums(folder: Path, known: Mapping[str, str]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    lines = [f"{known.get(name) or sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def write_vectors(folder: Path, suffix: str = "", **vectors: NDArray[np.float64]) -> None:
    """Write vectors of one value per gene or rank (``reference``, ``mean``, ``std``) by name."""
    for name, values in vectors.items():
        np.save(folder / f"{name}{suffix}.npy", values, allow_pickle=False)


def _load(path: Path) -> NDArray[np.float64]:
    return np.asarray(np.load(path, allow_pickle=False))


def write_table(table: pd.DataFrame, path: Path, index: str) -> None:
    """Write a gene or profile table as TSV, its index as the first column."""
    table.to_csv(path, sep="\t", index_label=index, lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table written by :func:`write_table`; every cell is text."""
    return pd.read_csv(path, sep="\t", index_col=0, dtype=str, keep_default_na=False)

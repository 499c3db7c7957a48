"""The store: prepared datasets on disk, each in an immutable folder named by its digest.

The layout:

::

    <home>/datasets/<name>/current            the digest in force, one line
    <home>/datasets/<name>/<digest>/
        dataset.json                          name, title, digest, coverage, sources
        SHA256SUMS                            of every file here (``sha256sum -c`` reads it)
        landmark_genes.tsv  target_genes.tsv  gene tables, indexed by Ensembl id
        reference.npy                         quantile reference, one value per rank
        reference.train.npy  mean.train.npy  std.train.npy
                                              quantile reference and statistics over the training
                                              profiles, for the strict protocols
        <platform>/expression.npy             float32, profiles × (landmarks, then targets)
        <platform>/mean.npy  std.npy          statistics of each gene, for standardisation
        <platform>/profiles.tsv               profile table: id, group, splits, other columns
        cache/                                cache files derived from the above: moments and
                                              standardised matrices

Arrays that came standardised have no ``reference.npy``, ``mean.npy`` or ``std.npy``.
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
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.data.splits import STORED, split_profiles
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, unknown
from genebench.specs import NAME, Part

STORE_FORMAT = 3
"""Version of the layout above, and of what the digest covers."""

RECIPE = 1
"""Version of the preprocessing. It rises when the same files would give other numbers."""

STANDARDISED: Literal["standardised"] = "standardised"
"""Content of the key ``values`` of dataset.json if the arrays came standardised. Other datasets
have no such key."""

SUMS = "SHA256SUMS"
_OTHER_HOME = "Set GENEBENCH_HOME to another folder."
_DIGEST = re.compile(r"[0-9a-f]{16}")
_OUTCOME_DIGITS = 8


class Dataset:
    """A prepared dataset, opened: platforms, gene tables, statistics, digest."""

    def __init__(self, root: Path) -> None:
        """Open the dataset in a folder. Only its description is read.

        Raises:
            OSError: the description cannot be read.
            ValueError: the description is not JSON.
        """
        self.root = root
        self.info: dict[str, Any] = json.loads((root / "dataset.json").read_text("utf-8"))
        self._profile_tables: dict[str, pd.DataFrame] = {}
        self._splits: dict[tuple[str, str], NDArray[np.str_]] = {}

    def __repr__(self) -> str:
        return f"<Dataset {self.name} {self.digest}>"

    @property
    def name(self) -> str:
        """Name that the dataset is prepared under."""
        return str(self.info["name"])

    @property
    def digest(self) -> str:
        """Digest over genes, profiles, groups, stored splits and expression of every platform."""
        return str(self.info["digest"])

    @property
    def split_seed(self) -> int:
        """Seed of its splits. It is 0 for arrays that came with their split."""
        return int(self.info.get("split_seed", 0))

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
        """Quantile reference, ascending: one value per landmark and target gene."""
        return _load(self.root / "reference.npy")

    @property
    def platforms(self) -> list[str]:
        """Names of the platforms."""
        return list(self.info["platforms"])

    def expression(self, platform: str) -> NDArray[np.float32]:
        """Return a read-only memory map of expression, profiles × (landmarks, then targets).

        Values are normalised log2 expression, or, if :attr:`is_standardised`, standardised values.
        """
        folder = self._folder(platform)
        return np.asanyarray(np.load(folder / "expression.npy", mmap_mode="r", allow_pickle=False))

    def profile_table(self, platform: str) -> pd.DataFrame:
        """Return the profile table of a platform, in row order. Every cell is text."""
        if platform not in self._profile_tables:
            path = self._folder(platform) / "profiles.tsv"
            self._profile_tables[platform] = read_table(path)
        return self._profile_tables[platform]

    def statistics(self, platform: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation (ddof 0) of each gene, landmarks then targets."""
        folder = self._folder(platform)
        return _load(folder / "mean.npy"), _load(folder / "std.npy")

    def split(self, platform: str, name: str) -> NDArray[np.str_]:
        """Return the part of each profile of a platform under a split.

        A stored split is read from the profile table. Any other is computed once.

        Args:
            platform: name of the platform.
            name: name of the split.

        Returns:
            ``train``, ``validation`` or ``test``, one per profile.

        Raises:
            UserError: there is no such platform or split, or the split fails.
        """
        table = self.profile_table(platform)
        if (column := STORED.get(name)) in table:
            return table[column].to_numpy()
        if (platform, name) not in self._splits:
            self._splits[platform, name] = split_profiles(
                name, table, self.split_seed, dataset=self.name, platform=platform
            )
        return self._splits[platform, name]

    def profiles(self, part: Part, *, mmap: bool = False) -> Profiles:
        """Return the profiles of a part, standardised on read.

        Args:
            part: platform, part of its split, and statistics.
            mmap: whether whole matrices are memory maps of cache files.

        Raises:
            UserError: there is no such platform or split, the split fails, or the part is empty.
        """
        with self._damage():
            table = self.profile_table(part.platform)
            expression, standardiser = self.expression(part.platform), self._standardiser(part)
            genes = self.landmark_genes, self.target_genes
        rows = np.arange(len(table))
        cache_name = str(part).replace("/", "-")
        if part.split is not None:
            rows = np.flatnonzero(self.split(part.platform, part.by) == part.split)
            if STORED.get(part.by) not in table:
                # The code of a plugin can change while the dataset stays. Each outcome has
                # separate files, so that a job that still uses the earlier one keeps its files.
                outcome = hashlib.sha256(rows.astype("<i8").tobytes())
                cache_name += f"-{outcome.hexdigest()[:_OUTCOME_DIGITS]}"
        if not len(rows):
            raise UserError(
                f"dataset {self.name}: split {part.by} puts no profile of platform {part.platform} "
                f"into {part.split}. Use another split, or a dataset with more profiles."
            )
        return Profiles(
            expression=expression,
            rows=rows,
            standardiser=standardiser,
            profiles=table.iloc[rows],
            landmark_genes=genes[0].copy(),
            target_genes=genes[1].copy(),
            cache=self.root / "cache" / cache_name,
            mmap=mmap,
        )

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Turn the faults of unreadable files into one message."""
        try:
            yield
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{self.root}: damaged ({reason}). Prepare {self.name} again."
            ) from error

    @property
    def is_standardised(self) -> bool:
        """True if its values came standardised: there is no log2 expression."""
        return self.info.get("values") == STANDARDISED

    def check_expression(self, remedy: str) -> None:
        """Check that the dataset holds expression, not only values that came standardised.

        Args:
            remedy: a sentence that ends the message.

        Raises:
            UserError: the values came standardised.
        """
        if self.is_standardised:
            raise UserError(
                f"dataset {self.name}: its arrays came standardised, so there is no expression. "
                f"{remedy}"
            )

    def _standardiser(self, part: Part) -> Standardiser:
        """Return the statistics that standardise the profiles of a part on read."""
        if part.statistics == "train":
            self.check_expression(
                "Leave out protocols with statistics of the training profiles (-strict), or "
                'prepare the originals by recipe = "dgex".'
            )
            mean, std, reference = (
                _load(self.root / f"{name}.train.npy") for name in ("mean", "std", "reference")
            )
            # Stored expression is in the quantiles of all profiles. The standardiser replaces them
            # by the quantiles of the training profiles, rank for rank.
            return Standardiser(mean, std, (self.reference.astype(np.float32), reference))
        if self.is_standardised:
            return Standardiser.identity(len(self.landmark_genes) + len(self.target_genes))
        return Standardiser(*self.statistics(part.platform))

    def checksums(self) -> dict[str, str]:
        """Return the sha256 that each file had when the dataset was prepared, by its path.

        Raises:
            OSError: the list cannot be read.
        """
        lines = (self.root / SUMS).read_text("utf-8").splitlines()
        return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}

    def table_checksum(self, platform: str) -> str:
        """Return the sha256 of the profile table of a platform.

        Raises:
            UserError: the dataset is damaged.
        """
        with self._damage():
            return self.checksums().get(f"{platform}/profiles.tsv", "")

    def _folder(self, platform: str) -> Path:
        if platform not in self.info["platforms"]:
            raise unknown(f"platform of dataset {self.name}", platform, self.platforms)
        return self.root / platform


class DataStore:
    """All prepared datasets of a data folder. The layout of the folder is known here only."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or home()) / "datasets"

    def names(self) -> list[str]:
        """Return the names of the prepared datasets."""
        return sorted(path.parent.name for path in self.root.glob("*/current"))

    def open(self, name: str) -> Dataset | None:
        """Return the dataset of that name, or None if it is not prepared.

        Raises:
            UserError: the dataset is damaged or was written by another version.
        """
        if not NAME.fullmatch(name):
            return None
        try:
            digest = (self.root / name / "current").read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        # The last part alone: an edited file must not lead out of the store.
        folder = self.root / name / Path(digest).name
        try:
            dataset = Dataset(folder)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: damaged ({error}). Prepare {name} again.") from error
        if dataset.info.get("format") != STORE_FORMAT:
            raise UserError(f"{folder}: written by another version. Prepare {name} again.")
        return dataset

    def find(self, digest: str) -> Dataset | None:
        """Return the prepared dataset with that digest, or None."""
        for name in self.names() if _DIGEST.fullmatch(digest) else ():
            folder = self.root / name / digest
            if folder.is_dir():
                return Dataset(folder)
        return None

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """Provide a folder to build a dataset in, and remove what is left of it at the end."""
        parent = self.root / name
        with user_errors(parent, _OTHER_HOME):
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent, ".staging-*")
            folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
        try:
            with full_disk(parent, _OTHER_HOME):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                parent.rmdir()  # if nothing else is in it

    def publish(self, name: str, staged: Path, sums: Mapping[str, str] | None = None) -> Dataset:
        """Move a staged dataset to its place and make it the one in force.

        A new folder takes its place by one rename, and only whole files replace their equals.
        Nothing half-written is ever in force.

        Args:
            name: name to publish it under.
            staged: the folder that it was built in.
            sums: sha256 of files that were hashed while they were written. Others are read.
        """
        _write_sums(staged, sums or {})
        digest = Dataset(staged).digest
        final = self.root / name / digest
        # mkdtemp lets only the owner read, but a store may be shared.
        staged.chmod(0o755)
        try:
            staged.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            # The same content was prepared before, perhaps by a process beside this one. That
            # folder stays in force while each file takes the place of its equal. Its cache goes
            # with the staging folder, because it may be derived from files that were damaged.
            files = [path for path in staged.rglob("*") if path.is_file()]
            with suppress(FileNotFoundError):
                (final / "cache").rename(staged / "cache")
            for path in files:
                path.replace(final / path.relative_to(staged))
        with atomic_write(self.root / name / "current") as stream:
            stream.write(f"{digest}\n".encode())
        for path in (self.root / name).iterdir():
            if path.is_dir() and path.name != digest and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
        return Dataset(final)

    def remove(self, name: str) -> None:
        """Remove a prepared dataset."""
        # First the digest in force, so that no process opens a dataset that is half gone.
        (self.root / name / "current").unlink()
        shutil.rmtree(self.root / name)


def _write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Write the sha256 of every file of a folder, as sha256sum does."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    lines = [f"{sums.get(name) or sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def write_vectors(folder: Path, suffix: str = "", **vectors: NDArray[np.float64]) -> None:
    """Write vectors of one value per gene or rank, each to ``<name><suffix>.npy``."""
    for name, values in vectors.items():
        np.save(folder / f"{name}{suffix}.npy", values, allow_pickle=False)


def _load(path: Path) -> NDArray[np.float64]:
    return np.asarray(np.load(path, allow_pickle=False))


def write_table(table: pd.DataFrame, path: Path, index: str) -> None:
    """Write a gene or profile table as TSV, its index as the first column."""
    table.to_csv(path, sep="\t", index_label=index, lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that :func:`write_table` wrote. Every cell is text."""
    return pd.read_csv(path, sep="\t", index_col=0, dtype=str, keep_default_na=False)

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
        reference.<split>-<outcome>.npy       quantile reference over the training profiles of
                                              another split, for strict protocols on that split
        <platform>/expression.npy             float32, profiles × (landmarks, then targets)
        <platform>/mean.npy  std.npy          statistics of each gene, for standardisation
        <platform>/profiles.tsv               profile table: id, group, splits, other columns
        cache/                                cache files derived from the above: moments,
                                              statistics and standardised matrices
        .lock                                 locked by processes that use the dataset

A dataset that another one replaced is removed when no process uses it. Datasets of earlier versions
have no ``.lock``. They are removed a day after they were replaced.

Arrays that came standardised have no ``reference.npy``, ``mean.npy`` or ``std.npy``.
"""

from __future__ import annotations

import hashlib
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import (
    LOCK_FILE,
    NO_HANDLES,
    RAISE_LIMIT,
    atomic_write,
    reason_of,
    sha256_of,
    sweep,
    temporary_folder,
    unused,
    user_errors,
)
from genebench._util.locks import Lock, LocksUnsupportedError, lock, try_lock
from genebench.data.description import OtherVersionError, read_description
from genebench.data.folds import fold_labels
from genebench.data.home import OTHER_HOME, home, prepared_names
from genebench.data.profiles import Profiles
from genebench.data.splits import (
    REFERENCE_PLATFORM,
    check_columns,
    outcome,
    split_profiles,
    stored_column,
    training_suffix,
)
from genebench.data.standardisation import Standardiser
from genebench.data.training_statistics import training_statistics
from genebench.errors import UserError, unknown
from genebench.specs import NAME, Division, Part, ProtocolSpec

STORE_FORMAT = 3
"""Version of the layout above, and of what the digest covers."""

RECIPE = 1
"""Version of the preprocessing. It rises when the same files would give other numbers."""

STANDARDISED: Literal["standardised"] = "standardised"
"""Content of the key ``values`` of dataset.json if the arrays came standardised. Other datasets
have no such key."""

SUMS = "SHA256SUMS"
_SUBSETS = 1
"""Number that follows the split seed in the seed of training subsets."""
_STAGING = ".staging-"
_DIGEST = re.compile(r"[0-9a-f]{16}")


class Dataset:
    """A prepared dataset, opened: platforms, gene tables, statistics, digest.

    Its files stay while this object, or profiles of it, are in use.
    """

    def __init__(self, root: Path) -> None:
        """Open the dataset in a folder. Only its description is read.

        Raises:
            OSError: the folder is being removed, or the description cannot be read.
            ValueError: the description is not one of this version.
        """
        self.root = root
        self._lock = _lock_for_use(root)
        self.info: dict[str, Any] = read_description(root / "dataset.json", STORE_FORMAT)
        self._profile_tables: dict[str, pd.DataFrame] = {}
        self._splits: dict[tuple[str, Division], NDArray[np.str_]] = {}
        self._standardisers: dict[Part, Standardiser] = {}

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

    def split(self, platform: str, name: str | Division) -> NDArray[np.str_]:
        """Return the part of each profile of a platform under a split.

        A stored split is read from the profile table. Any other is computed once.

        Args:
            platform: name of the platform.
            name: name of the split, or the split with its column and fold.

        Returns:
            ``train``, ``validation`` or ``test``, one per profile.

        Raises:
            UserError: there is no such platform, split, column or fold, or the split fails.
        """
        division = Division(by=name) if isinstance(name, str) else name
        table = self.profile_table(platform)
        if (column := stored_column(division)) in table:
            return table[column].to_numpy()
        if (platform, division) not in self._splits:
            self._splits[platform, division] = split_profiles(
                division, table, self.split_seed, dataset=self.name, platform=platform
            )
        return self._splits[platform, division]

    def rows(self, part: Part) -> NDArray[np.intp]:
        """Return the positions of the profiles of a part in the profile table, ascending.

        Raises:
            UserError: there is no such platform, split, column or fold, the split fails, or the
                part is empty or has fewer profiles than it names.
        """
        table = self.profile_table(part.platform)
        where = f"dataset {self.name}: platform {part.platform}"
        taken = np.ones(len(table), np.bool_)
        if part.split is not None:
            taken &= self.split(part.platform, part.division) == part.split
        for filters, is_wanted in zip(part.filters, (True, False), strict=True):
            check_columns([column for column, _ in filters], table, where)
            for column, values in filters:
                taken &= table[column].isin(values).to_numpy() == is_wanted
        rows = np.flatnonzero(taken)
        if not len(rows):
            filtered = " that its filters take" if any(part.filters) else ""
            raise UserError(
                f"dataset {self.name}: split {part.division} puts no profile of platform "
                f"{part.platform}{filtered} into {part.split}. Use another split, or a dataset "
                "with more profiles."
                if part.split
                else f"{where} has no profile of {part}. Correct the filters of the protocol."
            )
        if part.profiles > len(rows):
            raise UserError(
                f"dataset {self.name}: {part.profiles:,} training profiles of platform "
                f"{part.platform} are asked for, and there are {len(rows):,}. Use at most these."
            )
        if part.profiles:
            # The legacy generator, as for splits. The second number keeps it apart from theirs.
            random = np.random.RandomState([self.split_seed, _SUBSETS])
            rows = np.sort(random.permutation(rows)[: part.profiles])
        return rows

    def folds(self, protocol: ProtocolSpec) -> list[str]:
        """Return the labels of the folds of a protocol on this dataset. Empty if it has none.

        The groups of ``leave-one-out`` are those of profiles that its test set can have.

        Raises:
            UserError: there is no such platform or column, or too few or too many groups.
        """
        if protocol.folds != "leave-one-out":
            return [str(n + 1) for n in range(protocol.repeats or protocol.folds)]
        test = replace(protocol.test, fold=None)
        table = self.profile_table(test.platform)
        column = test.column or "group"
        check_columns([column], table, f"dataset {self.name}: platform {test.platform}")
        whole = replace(test, split=None, by="random", column="", statistics="platform")
        present = set(table[column].iloc[self.rows(whole)])
        try:
            labels = fold_labels(test.division, table)
        except UserError as error:
            raise UserError(f"dataset {self.name}: platform {test.platform}: {error}") from None
        return [label for label, value in labels.items() if value in present]

    def profiles(self, part: Part, *, mmap: bool = False) -> Profiles:
        """Return the profiles of a part, standardised on read.

        Args:
            part: platform, part of its split, statistics, and number of profiles, which may not be
                larger than that of the part.
            mmap: whether whole matrices are memory maps of cache files.

        Raises:
            UserError: there is no such platform or split, the split fails, the part is empty, or
                its statistics are not stored.
        """
        with self._damage():
            return self._profiles(part, self._standardiser(part), mmap)

    def _profiles(self, part: Part, standardiser: Standardiser, mmap: bool = False) -> Profiles:
        """Return the profiles of a part, standardised by any statistics."""
        table = self.profile_table(part.platform)
        rows = self.rows(part)
        cache_name = str(part).replace("/", "-")
        if part.reads_table or isinstance(part.statistics, Part):
            # Columns and values may have any characters, which no file system has to take.
            digest = hashlib.sha256(cache_name.encode()).hexdigest()[:16]
            cache_name = f"{part.platform}-{part.split or 'all'}-{digest}-{outcome(rows)}"
        elif part.split is not None and stored_column(part.division) not in table:
            # Each outcome has separate files, so that a job that still uses an earlier one
            # keeps its files.
            whole = rows if not part.profiles else self.rows(replace(part, profiles=0))
            cache_name += f"-{outcome(whole)}"
        profiles = Profiles(
            expression=self.expression(part.platform),
            rows=rows,
            standardiser=standardiser,
            profiles=table.iloc[rows],
            landmark_genes=self.landmark_genes.copy(),
            target_genes=self.target_genes.copy(),
            cache=self.root / "cache" / cache_name,
            mmap=mmap,
        )
        # The lock lives as long as the profiles: they read files when they are asked for values.
        weakref.finalize(profiles, lambda _: None, self._lock)
        return profiles

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Turn the faults of unreadable files into one message."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise _unreadable(self.root, self.name, error) from error

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
        if part.statistics != "platform":
            self.check_expression(
                "Leave out protocols with statistics of the training profiles (-strict), or "
                'prepare the originals by recipe = "dgex".'
            )
        if isinstance(part.statistics, Part):
            return self._standardiser_over(part.statistics)
        if part.statistics == "train":
            if part.split and (part.platform, part.division) != (REFERENCE_PLATFORM, Division()):
                return self._standardiser_over(
                    Part(
                        platform=part.platform, split="train", by=part.by, column=part.column,
                        fold=part.fold,
                    )
                )  # fmt: skip
            mean, std, reference = (
                _load(self.root / f"{name}.train.npy") for name in ("mean", "std", "reference")
            )
            return Standardiser(mean, std, self._replaced_by(reference))
        if self.is_standardised:
            return Standardiser.identity(len(self.landmark_genes) + len(self.target_genes))
        return Standardiser(*self.statistics(part.platform))

    def _replaced_by(
        self, reference: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the quantiles of stored expression, and those that replace them on read.

        Stored expression is in the quantiles of all profiles. The standardiser replaces them by the
        quantiles of the training profiles, rank for rank.
        """
        return self.reference.astype(np.float32), reference

    def _standardiser_over(self, part: Part) -> Standardiser:
        """Return the statistics over the profiles of a part."""
        if part not in self._standardisers:
            quantiles = None
            # No profile of another platform has a share in the quantiles, which are those of geo.
            if part.platform == REFERENCE_PLATFORM and part.split == "train":
                quantiles = self._replaced_by(self._training_reference(part.division))
            n_genes = len(self.landmark_genes) + len(self.target_genes)
            chosen = self._profiles(part, Standardiser(np.zeros(n_genes), None, quantiles))
            mean, std = training_statistics(chosen)
            self._standardisers[part] = Standardiser(mean, std, quantiles)
        return self._standardisers[part]

    def _training_reference(self, division: Division) -> NDArray[np.float64]:
        """Return the quantile reference over the training profiles of a split of ``geo``.

        Raises:
            UserError: it is not stored.
        """
        if division == Division():
            return _load(self.root / "reference.train.npy")
        rows = np.flatnonzero(self.split(REFERENCE_PLATFORM, division) == "train")
        try:
            return _load(self.root / f"reference{training_suffix(division, rows)}.npy")
        except FileNotFoundError:
            raise UserError(
                f"dataset {self.name}: it was prepared before a protocol took quantiles from the "
                f"training profiles of split {division}. Run genebench data prepare --force. "
                "Digest and keys stay."
            ) from None

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
        """Return the names of the prepared datasets.

        Raises:
            UserError: the data folder cannot be read.
        """
        return prepared_names(self.root)

    def open(self, name: str, digest: str | None = None) -> Dataset | None:
        """Return the dataset of that name, or None if it is not prepared.

        Args:
            name: the name that it is prepared under.
            digest: its digest. By default that of the dataset in force.

        Raises:
            UserError: the dataset is damaged, cannot be read, or was written by another version.
        """
        if not NAME.fullmatch(name):
            return None
        while True:
            in_force = digest or self._digest_in_force(name)
            if in_force is None:
                return None
            # The last part alone: an edited file must not lead out of the store.
            folder = self.root / name / Path(in_force).name
            try:
                return Dataset(folder)
            except (OSError, ValueError) as error:
                if digest and isinstance(error, FileNotFoundError) and not folder.exists():
                    return None
                # Another process may have replaced and removed it since its digest was read.
                if digest or self._digest_in_force(name) == in_force:
                    raise _unreadable(folder, name, error) from error

    def open_planned(self, name: str, digest: str) -> Dataset:
        """Return the dataset that a run was planned on.

        Raises:
            UserError: it is not here, it has changed since, or it is damaged.
        """
        dataset = self.open(name, digest)
        if dataset:
            return dataset
        if self._digest_in_force(name) is None:
            raise UserError(
                f"dataset {name}: not in {self.root}. Prepare it there, or set GENEBENCH_HOME to "
                "the folder that it was planned with."
            )
        raise UserError(
            f"dataset {name}: it has changed since the run was planned. Run the command again."
        )

    def _digest_in_force(self, name: str) -> str | None:
        """Return the content of the file ``current`` of a dataset, or None if there is none."""
        path = self.root / name / "current"
        try:
            return path.read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise _unreadable(path, name, error) from error

    def find(self, digest: str) -> Dataset | None:
        """Return the prepared dataset with that digest, or None.

        Raises:
            UserError: the dataset is damaged, cannot be read, or was written by another version.
        """
        names = self.names() if _DIGEST.fullmatch(digest) else ()
        opened = (self.open(name, digest) for name in names)
        return next((dataset for dataset in opened if dataset), None)

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """Provide a folder to build a dataset in, and remove what is left of it at the end.

        Raises:
            UserError: the folder cannot be written to.
        """
        with user_errors(self.root / name, OTHER_HOME), ExitStack() as stack:
            self.root.mkdir(parents=True, exist_ok=True)
            self.sweep()
            folder = stack.enter_context(temporary_folder(self.root, _STAGING, ""))
            # One folder deeper, so that the lock of the staging folder is not published.
            staged = folder / name
            staged.mkdir()
            yield staged

    def publish(self, name: str, staged: Path, sums: Mapping[str, str] | None = None) -> Dataset:
        """Move a staged dataset to its place and make it the one in force.

        A new folder takes its place by one rename, and only whole files replace their equals.
        Nothing half-written is ever in force. Processes publish one after the other, and leave the
        datasets that others use.

        Args:
            name: name to publish it under.
            staged: the folder that it was built in.
            sums: sha256 of files that were hashed while they were written. Others are read.
        """
        _write_sums(staged, sums or {})
        (staged / LOCK_FILE).touch()
        digest = Dataset(staged).digest
        parent = self.root / name
        with self._publishing(name):
            # Before the change, too: without locks, the time since the last change decides.
            self._remove_replaced(name)
            parent.mkdir(exist_ok=True)
            try:
                staged.rename(parent / digest)
            except OSError:
                if not (parent / digest).is_dir():
                    raise
                _replace_files(staged, parent / digest)
            with atomic_write(parent / "current") as stream:
                stream.write(f"{digest}\n".encode())
            self._remove_replaced(name)
            return Dataset(parent / digest)

    def remove(self, name: str) -> bool:
        """Remove a prepared dataset.

        Files that a process uses stay. The next preparation or removal of a dataset removes them.

        Returns:
            Whether all files are removed.

        Raises:
            UserError: the files cannot be removed.
        """
        folder = self.root / name
        with user_errors(folder, "Correct the permissions.", trouble="cannot be removed"):
            with self._publishing(name):
                # First the digest in force, so that no process opens a dataset that is half gone.
                (folder / "current").unlink(missing_ok=True)
                stay = self._remove_replaced(name)
            self.sweep()
        return not stay

    def sweep(self) -> None:
        """Remove what killed processes left, and replaced datasets that no process uses."""
        sweep(self.root, f"{_STAGING}*")
        for folder in [folder for folder in self.root.iterdir() if NAME.fullmatch(folder.name)]:
            # A process that publishes under this name does the same. Or the folder vanished, or is
            # another user's.
            with suppress(OSError), self._publishing(folder.name, wait=False):
                self._remove_replaced(folder.name)
            with suppress(OSError):
                # Here were the staging folders of earlier versions.
                sweep(folder, f"{_STAGING}*")

    @contextmanager
    def _publishing(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Exclude other processes that publish or remove a dataset of this name.

        The lock file is removed at the end. A process that waited for it makes a new one.

        Raises:
            BlockingIOError: another process does so, and ``wait`` is false.
        """
        path = self.root / f".{name}.lock"
        held: AbstractContextManager[object] | None = None
        while held is None:
            path.touch()
            try:
                held = lock(path, wait=wait)
            except FileNotFoundError:
                continue
            except LocksUnsupportedError:
                # Two may publish at a time. Neither removes a dataset that is younger than a day.
                held = nullcontext()
        with held:
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def _remove_replaced(self, name: str) -> list[Path]:
        """Remove the datasets of a name that are not in force and not in use.

        Return those that stay.
        """
        parent = self.root / name
        try:
            in_force = self._digest_in_force(name)
        except UserError:
            return []  # nobody knows which one is in force
        present = parent.iterdir() if parent.is_dir() else ()
        names = {path.name for path in present if _DIGEST.fullmatch(path.name)}
        replaced = [parent / digest for digest in sorted(names - {in_force})]
        for path in replaced:
            dated = [path, parent / "current"] if in_force else [path]
            with ExitStack() as stack:
                # Out of sight by one rename: a removal that is interrupted leaves no half dataset.
                stack.enter_context(suppress(OSError))
                stack.enter_context(unused(path, dated))
                trash = stack.enter_context(temporary_folder(self.root, _STAGING, ""))
                path.rename(trash / path.name)
        with suppress(OSError):
            parent.rmdir()  # if nothing is left in it
        return [path for path in replaced if path.exists()]


def _lock_for_use(folder: Path) -> Lock | None:
    """Lock a dataset against removal, or return None where that is impossible."""
    try:
        # Waiting is short: whoever holds an exclusive lock removes files.
        return lock(folder / LOCK_FILE, shared=True, wait=True)
    except (FileNotFoundError, LocksUnsupportedError):
        return None  # a dataset of an earlier version, or there are no locks here


def _unreadable(where: Path, name: str, error: OSError | ValueError) -> UserError:
    """Return the error for a dataset that cannot be opened: damage, or a fault of its place."""
    if isinstance(error, OtherVersionError):
        return UserError(f"{where}: written by another version. Prepare {name} again.")
    if isinstance(error, ValueError | FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return UserError(f"{where}: damaged ({reason_of(error)}). Prepare {name} again.")
    remedy = (
        RAISE_LIMIT
        if error.errno in NO_HANDLES
        else "Correct that, or set GENEBENCH_HOME to another folder."
    )
    return UserError(f"{where}: cannot be read ({reason_of(error)}). {remedy}")


def _replace_files(staged: Path, final: Path) -> None:
    """Move the files of a staged dataset to the folder of the same content.

    The same content was prepared before, perhaps by a process beside this one. That folder stays in
    force while each file takes the place of its equal.
    """
    lock_file = final / LOCK_FILE
    # A dataset of an earlier version has no lock file. Another keeps its own, which may be locked.
    lock_file.touch()
    # The cache may be derived from files that were damaged. Fingerprints show that, so that the
    # cache can stay while a process uses it.
    if held := try_lock(lock_file):
        with held, suppress(FileNotFoundError):
            (final / "cache").rename(staged / "cache")
    for path in [path for path in staged.rglob("*") if path.is_file()]:
        place = path.relative_to(staged)
        if place.parts[0] not in ("cache", LOCK_FILE):
            (final / place).parent.mkdir(exist_ok=True)
            path.replace(final / place)


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

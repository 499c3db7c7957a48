"""An explanation: its tables, and the folder that it is kept in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genebench._util.files import temporary_folder, user_errors
from genebench._util.notebook import Drawable, paragraph
from genebench._util.notebook import table as html_table
from genebench._util.text import no_formula, printable
from genebench.data.store import read_table
from genebench.errors import UserError, some
from genebench.explaining.settings import Settings
from genebench.formats.base import Content
from genebench.results.untrusted import as_user_error, read_document

FORMAT = 2
"""Version of the files of an explanation."""
ABOUT = "explanation.json"
"""Name of the file that marks the folder of an explanation."""
PANELS = ("a", "b", "c", "d")
"""Panels of Figures 2 and 3 of Wang et al. 2018."""
_INDEXES = {"profiles": "profile", "targets": "ensembl", "landmarks": "ensembl"}
"""Table with an index of its own → the name of the index."""
_MATRICES = {"a": "profile_relevance", "c": "target_relevance"}
"""Panel → its table of landmarks × clusters."""
_ERRORS = {"a": "profile_errors", "c": "target_errors"}
"""Panel → its table of standard errors, if landmarks were permuted."""
_DERIVED = ("a-shares", "c-shares", "a-errors", "c-errors")
"""Ends of the names of further tables of panels."""
_PLAIN = {"b": "top", "trust": "trust", "clusters": "clusters", "twins": "twins"}
"""File → the table in it, without an index."""
_PANEL_STEMS = frozenset({"panels", *(f"panel-{letter}" for letter in PANELS)})
_OWN = frozenset(
    {ABOUT, "profiles.h5ad", "targets.h5ad", "enrichment.tsv"}
    | {f"{name}.tsv" for name in (*_INDEXES, *_PLAIN) if name != "b"}
    | {f"panel-{end}.tsv" for end in (*PANELS, *_DERIVED)}
    | {f"{stem}.{kind}" for stem in _PANEL_STEMS for kind in ("pdf", "svg", "png")}
)
"""All files that an explanation and its figures have. Others in its folder are a user's."""
_NUMBERS = {
    "cluster", "rank", "relevance", "sign", "share", "error", "value", "limit", "size", "output",
    "twin_share", "twin_expected", "group",
}  # fmt: skip
"""Columns of numbers. All others are text or truth values."""
_TRUTHS = {"twin", "is_target", "copied", "sound"}
_MOST_BYTES = 1 << 20
_SHOWN_ROWS = 20
"""Rows of a table that a notebook shows."""
_REMEDY = "Name another folder with --out."


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, repr=False)
class Explanation(Drawable):
    """Which landmarks the predictions of a model rest on.

    Relevance is in the units of predictions: standard deviations of the gene. A *share* is the
    magnitude of a relevance, divided by that of all landmarks of its cluster. A *sign* is 1 or −1.

    Attributes:
        about: versions, the key of the model, the digest of the data, and all settings.
        profiles: test profiles, with ``cluster`` and the column that describes clusters.
        targets: target genes with ``symbol``, ``twin`` and ``cluster``.
        landmarks: landmark genes with ``symbol``, ``twin`` and ``group``.
        clusters: one row for each cluster of ``profiles`` and of ``targets``: size, label, mean
            output, share of relevance on twins of its targets, and that expected by their number.
        profile_relevance: panel a, landmarks × clusters of profiles: the mean over the profiles of
            a cluster of the relevance for the mean prediction of all targets.
        top: panel b, and the same for clusters of targets: the landmarks with the largest
            magnitude in each cluster. ``is_target``: the landmark is one of the row's targets, too.
            ``error``: the standard error of relevance, if landmarks were permuted.
        target_relevance: panel c, landmarks × clusters of targets: the mean magnitude over all test
            profiles of the relevance for the mean prediction of the cluster. It is negative if the
            relevance falls where the landmark rises.
        group_relevance: panel d, groups of landmarks × clusters of targets: means of the
            shares of panel c, with their signs.
        trust: checks of each panel: what was measured, the limit, and whether it was kept. One
            without a value was not checked, and ``result`` says why.
        twins: a sample of targets that are landmarks too, with the share of relevance that falls
            on the own twin. ``copied``: both have the same values, so relevance there is copying.
    """

    about: Mapping[str, Any]
    profiles: pd.DataFrame
    targets: pd.DataFrame
    landmarks: pd.DataFrame
    clusters: pd.DataFrame
    profile_relevance: pd.DataFrame
    top: pd.DataFrame
    target_relevance: pd.DataFrame
    group_relevance: pd.DataFrame
    trust: pd.DataFrame
    twins: pd.DataFrame
    enrichment: pd.DataFrame | None = field(default=None)
    """Over-represented gene sets, if any were given."""
    profile_errors: pd.DataFrame | None = field(default=None)
    """Standard errors of panel a, if landmarks were permuted."""
    target_errors: pd.DataFrame | None = field(default=None)
    """Standard errors of panel c, if landmarks were permuted."""

    def __repr__(self) -> str:
        names = ("method", "protocol", "dataset")
        of = " ".join(str(self.about[name]) for name in names if self.about.get(name))
        unstable = ", ".join(self.unstable)
        doubt = f", unstable panels {unstable}" if unstable else ""
        return (
            f"<Explanation of {of or 'a model'}: {len(self.landmarks)} landmarks, "
            f"{len(self.targets)} targets{doubt}>"
        )

    def _repr_html_(self) -> str:
        shown = self.top.head(_SHOWN_ROWS)
        parts = [
            html_table(
                [*shown.columns],
                ([_cell(value) for value in row] for row in shown.itertuples(index=False)),
                caption="Panel b: landmarks with the largest relevance in each cluster",
            )
        ]
        parts += [
            paragraph(f"Panel {panel} is unstable: {'; '.join(reasons)}")
            for panel, reasons in self.unstable.items()
        ]
        return "\n".join([paragraph(repr(self)), *parts])

    @property
    def unstable(self) -> dict[str, tuple[str, ...]]:
        """Panel → the reasons why it is unstable. Panels that passed all checks are left out."""
        failed = self.trust[~self.trust["sound"].astype(bool)]
        reasons: dict[str, tuple[str, ...]] = {}
        for panels, reason in zip(failed["panels"], failed["reason"], strict=True):
            for panel in panels.split():
                reasons[panel] = (*reasons.get(panel, ()), reason)
        return {panel: reasons[panel] for panel in PANELS if panel in reasons}

    @property
    def twin_note(self) -> str:
        """A sentence on the relevance of a target that falls on its own twin."""
        twins = self.twins
        if not len(twins):
            return "Twins: no target is a landmark too."
        by_number = 1 / len(self.landmarks)
        note = (
            f"Twins: {twins['share'].mean():.1%} of the relevance for a target that is a landmark "
            f"too falls on itself (mean of {len(twins)}, {by_number:.1%} by number)."
        )
        copied = twins["copied"].mean()
        if copied == 1:
            return f"{note} Both are one measurement, so that is copying."
        if copied:
            return f"{note} For {copied:.0%} of them both are one measurement: that is copying."
        return f"{note} They are measured apart, so that is no copying."

    @property
    def bias_note(self) -> str:
        """A sentence on the share of predictions that no landmark carries, if it is known."""
        bias = self.about.get("bias_share")
        return "" if bias is None else f"Bias: {bias:.1%} of predictions is carried by no landmark."

    @property
    def error_note(self) -> str:
        """A sentence on standard errors, if landmarks were permuted."""
        error = (self.top["error"] / self.top["relevance"].abs()).median()
        if pd.isna(error):
            return ""
        return (
            f"Landmarks were permuted: the standard error of a named one is {error:.0%} of its "
            "relevance (median)."
        )

    def has(self, settings: Settings) -> bool:
        """Return whether it was made with these settings."""
        return bool(self.about.get("asked") == asdict(settings))

    def of_clusters(self, kind: str) -> pd.DataFrame:
        """Return the clusters of ``profiles`` or of ``targets``, indexed by their numbers."""
        return self.clusters[self.clusters["kind"] == kind].set_index("cluster")

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every table by the name of its file, each without a special index."""
        tables = {
            name: getattr(self, name).rename_axis(index).reset_index()
            for name, index in _INDEXES.items()
        }
        for panel, name in _MATRICES.items():
            matrix, errors = getattr(self, name), getattr(self, _ERRORS[panel])
            tables[f"panel-{panel}"] = self._by_landmark(matrix)
            tables[f"panel-{panel}-shares"] = self._by_landmark(shares(matrix))
            if errors is not None:
                tables[f"panel-{panel}-errors"] = self._by_landmark(errors)
        tables["panel-d"] = self.group_relevance.rename_axis("group").reset_index()
        for name, attribute in _PLAIN.items():
            tables["panel-b" if name == "b" else name] = getattr(self, attribute)
        if self.enrichment is not None:
            tables["enrichment"] = self.enrichment
        # A panel that failed a check says so in its table, too: files are read apart.
        for panel in self.unstable:
            for key in (f"panel-{panel}", f"panel-{panel}-shares"):
                if key in tables:
                    tables[key] = tables[key].assign(unstable=True)
        return tables

    def _by_landmark(self, matrix: pd.DataFrame) -> pd.DataFrame:
        return self.landmarks[["symbol"]].join(matrix).rename_axis("ensembl").reset_index()

    def save(self, folder: Path | str, also: Callable[[Path], object] | None = None) -> list[Path]:
        """Write every table as TSV, the panels a and c as h5ad, and all settings as JSON.

        The folder appears as a whole, or not at all. An older explanation there is replaced.

        Args:
            folder: the folder.
            also: writes further files, such as figures, into the folder that it is given.

        Returns:
            The files, that with the settings first.

        Raises:
            UserError: the folder holds something else, or cannot be written to.
        """
        folder = Path(folder)
        with user_errors(folder, _REMEDY):
            self.check_place(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with temporary_folder(folder.parent.resolve(), f".{folder.name}.") as work:
                new = work / "new"
                new.mkdir()
                self._write(new)
                if also:
                    also(new)
                _swap(new, folder, work / "old")
        return [folder / ABOUT, *sorted(path for path in folder.iterdir() if path.name != ABOUT)]

    @staticmethod
    def check_place(folder: Path) -> None:
        """Check that an explanation may be written here: nothing is there, or an older one.

        Raises:
            UserError: the path is a file, or a folder of something else. It may hold an explanation
                and other files, which would be lost.
        """
        with user_errors(folder, _REMEDY):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            if folder.exists() and not folder.is_dir():
                raise UserError(f"{folder}: holds something else than an explanation. {_REMEDY}")
            if names and ABOUT not in names:
                raise UserError(f"{folder}: holds something else than an explanation. {_REMEDY}")
            if foreign := sorted(set(names) - _OWN):
                raise UserError(
                    f"{folder}: holds other files beside its explanation "
                    f"({some(map(printable, foreign))}). {_REMEDY}"
                )

    def _write(self, folder: Path) -> None:
        # Late: it imports sparse matrices, and readers of explanations do without.
        from genebench.formats.h5ad import write_h5ad

        for name, table in self.tables().items():
            table.map(no_formula).to_csv(
                folder / f"{name}.tsv", sep="\t", index=False, lineterminator="\n"
            )
        for kind, matrix, errors in (
            ("profiles", self.profile_relevance, self.profile_errors),
            ("targets", self.target_relevance, self.target_errors),
        ):
            layers = {
                "relevance": matrix.to_numpy(np.float32),
                "sign": np.sign(matrix.to_numpy(np.float32)),
                "share": shares(matrix).to_numpy(np.float32),
            }
            if errors is not None:
                layers["error"] = errors.to_numpy(np.float32)
            write_h5ad(folder / f"{kind}.h5ad", self._content(kind, matrix), layers=layers)
        (folder / ABOUT).write_text(
            json.dumps({"genebench-explanation": FORMAT, **self.about}, indent=1) + "\n", "utf-8"
        )

    def _content(self, kind: str, matrix: pd.DataFrame) -> Content:
        """Return landmarks × clusters as obs × var of an AnnData file."""
        clusters = self.of_clusters(kind).drop(columns="kind")
        clusters.index = clusters.index.astype(str)
        panel = "a" if kind == "profiles" else "c"
        return Content(
            genes=clusters.assign(unstable=panel in self.unstable),
            profiles=self.landmarks,
            blocks=lambda: iter([matrix.to_numpy(np.float32)]),
        )

    @classmethod
    def read(cls, folder: Path | str) -> Explanation:
        """Read an explanation from its folder.

        Raises:
            UserError: there is none, or it is damaged or of another version.
        """
        folder = Path(folder)
        again = "Make it again with genebench explain."
        try:
            with as_user_error(folder / ABOUT, "cannot be read", again):
                about = read_document(folder / ABOUT, _MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{folder}: there is no explanation. {again}") from None
        if about.pop("genebench-explanation", None) != FORMAT:
            raise UserError(f"{folder / ABOUT}: of another version. {again}")
        try:
            return cls(about=about, **_read_tables(folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder}: damaged ({' '.join(str(error).split())[:200]}). {again}"
            ) from error


def shares(relevance: pd.DataFrame) -> pd.DataFrame:
    """Return landmarks × clusters as shares of the magnitude of each cluster, with their signs."""
    total = relevance.abs().sum()
    return relevance / total.where(total > 0, 1.0)


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Rename a new folder into place. If that fails, the old one stays."""
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise


def _read_tables(folder: Path) -> dict[str, Any]:
    """Return the tables of an explanation by attribute."""
    tables: dict[str, Any] = {}
    for name in _INDEXES:
        tables[name] = _typed(read_table(folder / f"{name}.tsv"))
    for panel, name in _MATRICES.items():
        tables[name] = _matrix(read_table(folder / f"panel-{panel}.tsv"))
        if (folder / f"panel-{panel}-errors.tsv").is_file():
            errors = _matrix(read_table(folder / f"panel-{panel}-errors.tsv"))
            tables[_ERRORS[panel]] = errors
    groups = _matrix(read_table(folder / "panel-d.tsv"))
    groups.index = groups.index.astype(int)
    tables["group_relevance"] = groups
    for name, attribute in _PLAIN.items():
        file = "panel-b" if name == "b" else name
        tables[attribute] = _typed(read_table(folder / f"{file}.tsv").reset_index()).drop(
            columns="unstable", errors="ignore"
        )
    if (folder / "enrichment.tsv").is_file():
        table = read_table(folder / "enrichment.tsv").reset_index()
        numbers = [name for name in table if name not in ("list", "set", "genes")]
        tables["enrichment"] = table.astype(dict.fromkeys(numbers, float))
    return tables


def _matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of relevance: whole numbers as columns, floats as values."""
    table = table.drop(columns=["symbol", "unstable"], errors="ignore").astype(float)
    table.columns = pd.Index([int(str(name)) for name in table], name="cluster")
    return table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text with its numbers and truth values as such."""
    columns: dict[str, Any] = {}
    for name in table:
        if name in _TRUTHS:
            columns[str(name)] = table[name] == "True"
        elif name in _NUMBERS:
            columns[str(name)] = pd.to_numeric(table[name])
        else:
            columns[str(name)] = table[name]
    return pd.DataFrame(columns, index=table.index)


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV that no spreadsheet runs as a formula."""
    stream = BytesIO()
    table.map(no_formula).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue()

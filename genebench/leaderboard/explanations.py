"""Explanations on the pages of runs: the panels as pictures, the checks, and the landmarks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genebench.errors import UserError, some
from genebench.explaining.explanation import PANELS, Explanation
from genebench.leaderboard.reading import Run
from genebench.results.untrusted import read_file

_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURE_BYTES = 4 << 20
"""Bytes of a picture that is shown. A panel has about 400 kB."""
_LANDMARKS = 8
"""Landmarks that the table names for each cluster."""
_FOLDER = "explanations"
TITLES = {
    "a": "clusters of test profiles × landmarks",
    "b": "landmarks with the largest contribution to each cluster of profiles",
    "c": "clusters of target genes × landmarks",
    "d": "clusters of target genes × groups of landmarks",
}


@dataclass(frozen=True)
class Check:
    """A line of the table of trust."""

    panels: str
    measure: str
    value: str
    limit: str
    sound: bool
    result: str


@dataclass(frozen=True)
class Picture:
    """A panel: its letter, its title, the path of its file in the site, and why it is unstable."""

    letter: str
    title: str
    path: str
    unstable: str


@dataclass(frozen=True)
class ClusterLine:
    """A cluster of profiles and its landmarks."""

    number: int
    size: int
    label: str
    landmarks: str


@dataclass(frozen=True)
class Shown:
    """An explanation as the page of a run shows it. It can be sent to a worker process.

    Attributes:
        rule: rule of relevance.
        notes: sentences on its bias and on twins.
        pictures: the panels, as far as they were drawn.
        checks: the table of trust.
        clusters: clusters of profiles with their first landmarks.
        files: path in the site → the picture to copy there.
    """

    rule: str
    notes: Sequence[str]
    pictures: Sequence[Picture]
    checks: Sequence[Check]
    clusters: Sequence[ClusterLine]
    files: dict[str, Path]


def shown_explanation(run: Run) -> Shown | str | None:
    """Return the explanation of a run, or None if there is none.

    Returns:
        A line about the fault, if it cannot be shown.
    """
    folder = run.store.paths.explanation(run.key)
    if not folder.is_dir():
        return None
    try:
        explanation = Explanation.read(folder)
        if explanation.about.get("key") != run.key:
            return f"{folder}: the explanation of another model. Make it again."
        return _shown(explanation, folder, run.key)
    except UserError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"{folder}: cannot be shown ({type(error).__name__}). Make it again."


def _shown(explanation: Explanation, folder: Path, key: str) -> Shown:
    pictures, files = [], {}
    for letter in PANELS:
        source = folder / f"panel-{letter}.png"
        if _is_picture(source):
            path = f"{_FOLDER}/{key}-{letter}.png"
            files[path] = source
            reasons = "; ".join(explanation.unstable.get(letter, ()))
            pictures.append(Picture(letter, TITLES[letter], path, reasons))
    rows: Iterable[Any] = explanation.trust.itertuples()
    checks = [
        Check(str(row.panels), str(row.measure), "" if math.isnan(row.value) else
              f"{row.value:.2g}", f"{row.side} {row.limit:g}", bool(row.sound), str(row.result))
        for row in rows
    ]  # fmt: skip
    top = explanation.top[explanation.top["kind"] == "profiles"]
    clusters = [
        ClusterLine(
            int(str(number)),
            int(row["size"]),
            str(row["label"]),
            some(top.loc[top["cluster"] == number, "symbol"], _LANDMARKS),
        )
        for number, row in explanation.of_clusters("profiles").iterrows()
    ]
    notes = [explanation.twin_note, explanation.bias_note, explanation.error_note]
    rule = str(explanation.about["settings"]["rule"])
    return Shown(rule, notes, pictures, checks, clusters, files)


def _is_picture(path: Path) -> bool:
    """Return whether a file is a PNG of a bounded size. Others are not copied to a site."""
    try:
        return read_file(path, _PICTURE_BYTES).startswith(_PNG)
    except (OSError, ValueError):
        return False

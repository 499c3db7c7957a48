"""Duplicate profiles: which ones the recipe removes before anything else.

The rule (step 1 of the published preprocessing): for each pair i < j in file order whose Euclidean
distance over all probes is below 1.0, remove j, *even if i itself was removed*. ``exact`` applies
it to all pairs; ``kmeans``, as published, inside each cluster of a k-means, which depends on the
seed and misses the pairs that the clusters part.

How all pairs are judged without comparing each: orthonormal directions shorten distances and never
stretch them, so a pair within 1.0 is within 1.0 (and rounding) after projection. A k-d tree of the
projected profiles finds those that have any such neighbour; their rows go to a temporary file, and
each is compared in float64 with its earlier neighbours, nearest first, until one is a duplicate.
The directions decide how many comparisons that takes, never what comes out.

In memory: a few blocks of profiles, the projections (0.2 kB per profile) and a batch of
comparisons. ``kmeans`` fits on the whole matrix, as the published code does, through a memory map
of a temporary file as large as the source: its pages are the system's to take back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from genebench._util.npy import NpyWriter, read_rows
from genebench._util.progress import Progress, silent
from genebench._util.threads import in_order
from genebench.errors import UserError
from genebench.formats.base import BLOCK, Piece, Reader
from genebench.preprocessing.compiled import compiled_loosely

Rule = Literal["exact", "kmeans"]

Fetch = Callable[[], NDArray[np.floating]]
"""Gives some profiles × all probes, which are there until the same thread fetches others."""

DISTANCE = 1.0
"""Profiles closer than this are duplicates, in the units of the file (log2 expression)."""

CLUSTERS, MAX_ITER, BATCH_SIZE = 100, 10, 1000
"""The published k-means."""

_ROWS = 128
"""Profiles that a thread works on at once."""

_DIRECTIONS = 16
_SAMPLE = 128
"""Profiles that the directions are taken from."""

_ORDER = 1e-3
"""How far the file order spreads the points: enough for the tree to part identical profiles."""

_NEIGHBOURS = 1 << 20
"""Neighbours asked of the tree at once, over all profiles."""

_PAIRS = 128
"""Pairs compared at once."""

_TILE = 512
"""Probes whose products are summed at once: their directions stay in a processor's cache."""


def find_duplicates(
    reader: Reader,
    rule: Rule,
    *,
    seed: int = 0,
    folder: Path,
    progress: Progress = silent,
) -> NDArray[np.bool_]:
    """Which profiles the rule removes, over all probes of a matrix: one value per profile.

    Args:
        reader: the raw matrix; read twice at most.
        rule: ``exact`` or ``kmeans``.
        seed: of the k-means; the exact rule has none.
        folder: where temporary files may lie; nothing is left there.
        progress: told after each block, from 0 again in each pass over the profiles.

    Raises:
        UserError: a value cannot be read, or ``kmeans`` lacks scikit-learn.
    """
    with TemporaryDirectory(prefix="duplicates-", dir=folder) as scratch:
        path = Path(scratch) / "profiles.npy"
        if rule == "kmeans":
            return _in_clusters(reader, seed, path, progress)
        return _among_all(reader, path, progress)


def _among_all(reader: Reader, path: Path, progress: Progress) -> NDArray[np.bool_]:
    n_profiles = len(reader.profiles)
    with _pieces(reader, "looking for duplicates", progress) as blocks:
        projected = _project(blocks, n_profiles)
    crowded = projected.crowded()
    removed = np.zeros(n_profiles, np.bool_)
    if len(crowded):
        with _pieces(reader, "reading similar profiles", progress) as blocks:
            _write_rows(path, blocks, crowded)
        removed[crowded] = _repeats(projected.take(crowded), _Rows(path, np.arange(len(crowded))))
    return removed


def _in_clusters(reader: Reader, seed: int, path: Path, progress: Progress) -> NDArray[np.bool_]:
    n_profiles = len(reader.profiles)
    k_means = _k_means(min(CLUSTERS, n_profiles), seed)
    with _pieces(reader, "copying profiles", progress) as blocks:
        _write_rows(path, blocks, np.arange(n_profiles))
    projected = _project((partial(np.asarray, rows) for rows in read_rows(path, _ROWS)), n_profiles)
    progress(0, 1, "clustering profiles")
    labels = k_means.fit(np.load(path, mmap_mode="r")).labels_
    removed = np.zeros(n_profiles, np.bool_)
    for cluster in range(k_means.n_clusters):
        members = np.flatnonzero(labels == cluster)
        removed[members] = _repeats(projected.take(members), _Rows(path, members))
        progress(cluster + 1, k_means.n_clusters, "comparing profiles within clusters")
    return removed


def _k_means(clusters: int, seed: int) -> Any:
    try:
        library = import_module("sklearn.cluster")
    except ModuleNotFoundError:
        raise UserError(
            "duplicates by k-means need scikit-learn, which is not installed: "
            "pip install 'genebench[sklearn]', or use the exact rule"
        ) from None
    return library.MiniBatchKMeans(
        n_clusters=clusters, max_iter=MAX_ITER, batch_size=BATCH_SIZE, random_state=seed
    )


@contextmanager
def _pieces(reader: Reader, message: str, progress: Progress) -> Iterator[Iterator[Fetch]]:
    """Blocks of profiles × all probes in file order."""

    def told(pieces: Iterator[Piece]) -> Iterator[Fetch]:
        for piece in pieces:
            yield partial(_values, piece)
            progress(piece.stop, len(reader.profiles), message)

    with reader.pieces(np.arange(len(reader.gene_ids)), _ROWS) as pieces:
        yield told(pieces)


def _values(piece: Piece) -> NDArray[np.floating]:
    return piece.fetch().values


@dataclass(frozen=True)
class _Projected:
    """Profiles on a few orthonormal directions, and in file order along one more.

    Attributes:
        points: profiles × (directions, then the order).
        radius: duplicates are closer than this here, whatever the rounding.
    """

    points: NDArray[np.float64]
    radius: float

    def take(self, profiles: NDArray[np.intp]) -> _Projected:
        """Some of the profiles."""
        return _Projected(self.points[profiles], self.radius)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    def neighbours(self, profiles: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        """The nearest neighbours of profiles within the radius, themselves included.

        Shape: profiles × ``most``; ``len(points)`` where there are no more.
        """
        points, ranks = self.points[profiles], np.arange(1, most + 1)
        found = self._tree.query(points, ranks, distance_upper_bound=self.radius, workers=-1)
        return np.asarray(found[1])

    def crowded(self) -> NDArray[np.intp]:
        """The profiles that have another one, earlier or later, within the radius."""
        nearest = self.neighbours(np.arange(len(self.points)), 2)
        return np.flatnonzero(nearest[:, 1] < len(self.points))


def _project(blocks: Iterable[Fetch], n_profiles: int) -> _Projected:
    """Project blocks of profiles on the leading directions of the first of them.

    A coordinate is off by at most ``n_probes · eps / 2 · ‖profile‖``, whatever the order of
    summation; the radius allows several times what that makes in a distance, plus as much for
    directions that are not quite orthonormal and for the rounding of the distances themselves.
    """
    blocks = iter(blocks)
    first = list(islice(blocks, BLOCK // _ROWS))
    directions = _leading_directions(np.concatenate([fetch().copy() for fetch in first]))

    def work(fetch: Fetch) -> tuple[NDArray[np.float64], float]:
        block = fetch()
        coordinates = np.zeros((len(block), len(directions)))
        _add_products(block, directions, coordinates)
        return coordinates, float(max(block.max(), -block.min()))

    points = np.empty((n_profiles, len(directions) + 1))
    start, largest = 0, 0.0
    with closing(in_order(work, chain(first, blocks))) as results:
        for coordinates, extreme in results:
            points[start : start + len(coordinates), :-1] = coordinates
            largest = max(largest, extreme)
            start += len(coordinates)
    points[:, -1] = np.linspace(0, _ORDER, n_profiles)
    n_directions, n_probes = directions.shape
    longest = n_probes**0.5 * largest
    rounding = 8 * n_probes * np.finfo(np.float64).eps * (1 + n_directions**0.5 * longest)
    return _Projected(points, float(np.hypot(DISTANCE + rounding, _ORDER)))


@compiled_loosely
def _add_products(
    profiles: NDArray[np.floating], directions: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Add ``profiles @ directions.T``; no profile is ever float64 as a whole."""
    n_probes, tile = directions.shape[1], np.empty(_TILE)
    for start in range(0, n_probes, _TILE):
        width = min(_TILE, n_probes - start)
        for at in range(len(profiles)):
            for i in range(width):
                tile[i] = profiles[at, start + i]
            for axis in range(len(directions)):
                direction, product = directions[axis, start : start + width], 0.0
                for i in range(width):
                    product += tile[i] * direction[i]
                out[at, axis] += product


def _leading_directions(profiles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Orthonormal directions × probes, along which a sample of some profiles varies most."""
    sample = profiles[:: -(-len(profiles) // _SAMPLE)].astype(np.float64)
    sample -= sample.mean(axis=0)
    leading = np.linalg.eigh(sample @ sample.T)[1][:, -_DIRECTIONS:]
    return np.ascontiguousarray(np.linalg.qr(sample.T @ leading)[0].T)


def _write_rows(path: Path, blocks: Iterable[Fetch], profiles: NDArray[np.intp]) -> None:
    """Copy some profiles (ascending positions) to a ``.npy`` file, in the precision they have."""
    with path.open("wb") as stream:
        writer = None
        start = copied = 0
        for fetch in blocks:
            block = fetch()
            writer = writer or NpyWriter(stream, (len(profiles), block.shape[1]), block.dtype)
            upto = int(np.searchsorted(profiles, start + len(block)))
            writer.append(block[profiles[copied:upto] - start])
            start, copied = start + len(block), upto
            if copied == len(profiles):
                break


class _Rows:
    """The profiles of a group, in a ``.npy`` file at the positions given."""

    def __init__(self, path: Path, positions: NDArray[np.intp]) -> None:
        self._path = path
        self._positions = positions

    def are_close(self, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs of the group are duplicates, over all probes in float64."""
        close = np.empty(len(ones), np.bool_)
        for start in range(0, len(ones), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            matrix = np.load(self._path, mmap_mode="r")  # mapped anew: no page is kept for long
            apart = self._read(matrix, ones[pairs]) - self._read(matrix, others[pairs])
            close[pairs] = np.einsum("ij,ij->i", apart, apart) < DISTANCE**2
        return close

    def _read(self, matrix: NDArray[np.floating], members: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(matrix[self._positions[members]], dtype=np.float64)


def _repeats(group: _Projected, rows: _Rows) -> NDArray[np.bool_]:
    """Which profiles of a group, in file order, have an earlier duplicate in it.

    Neighbours are asked for in rounds, more in each, and a profile drops out once it has a
    duplicate or all its neighbours have been seen. Among m profiles that are all alike, one with r
    before it meets one of those in some m/r neighbours: m log m comparisons in all, not m².
    """
    n_profiles = len(group.points)
    removed = np.zeros(n_profiles, np.bool_)
    pending = np.arange(n_profiles)
    most = 4
    while len(pending):
        undecided = []
        size = max(1, _NEIGHBOURS // most)
        for start in range(0, len(pending), size):
            batch = pending[start : start + size]
            neighbours = group.neighbours(batch, most)
            removed[batch] = _any_close(rows, neighbours, batch)
            has_more = neighbours[:, -1] < n_profiles
            undecided.append(batch[has_more & ~removed[batch]])
        pending = np.concatenate(undecided)
        most *= 4
    return removed


def _any_close(
    rows: _Rows, neighbours: NDArray[np.intp], profiles: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which profiles have an earlier duplicate among their neighbours, nearest first."""
    found = np.zeros(len(profiles), np.bool_)
    for nearest in neighbours.T:
        candidates = np.flatnonzero((nearest < profiles) & ~found)
        found[candidates] = rows.are_close(nearest[candidates], profiles[candidates])
    return found

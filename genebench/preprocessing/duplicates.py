"""Removal of duplicate profiles, the first step of the recipe.

The published rule: for each pair i < j in file order whose Euclidean distance over all probes is
below 1.0, remove j, *even if i itself was removed*. The rule ``exact`` applies it to all pairs. The
rule ``kmeans``, as published, applies it inside each cluster of a k-means. That depends on the seed
and misses pairs in different clusters.

``exact`` need not compare all pairs. Projecting on orthonormal directions shortens distances and
never stretches them. So a pair within 1.0 is within 1.0 (and rounding) after projection, too. A
k-d tree of the projected profiles finds the profiles with any such neighbour. Their rows go to a
temporary file. Each is compared in float64 with its earlier neighbours, nearest first, until one is
a duplicate. The directions change the number of comparisons, never the result.

Memory: a few blocks of profiles, the projections (0.2 kB per profile) and a batch of comparisons.
``kmeans`` fits on the whole matrix, as the published code does. It maps a temporary file as large
as the source, whose pages the system can reclaim.
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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from genebench._util.npy import NpyWriter, read_rows
from genebench._util.progress import Progress, silent
from genebench._util.threads import in_order
from genebench.errors import missing_library
from genebench.formats.base import BLOCK, Piece, Reader
from genebench.preprocessing.compiled import compiled_loosely

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Rule = Literal["exact", "kmeans"]

Fetch = Callable[[], NDArray[np.floating]]
"""A function that returns profiles × all probes, valid until the same thread fetches others."""

DISTANCE = 1.0
"""Profiles closer than this are duplicates, on the scale of the file (log2 expression)."""

CLUSTERS, MAX_ITER, BATCH_SIZE = 100, 10, 1000
"""The published k-means."""

_BLOCK_PROFILES = 128
"""Profiles that a thread reads and projects at once."""

_DIRECTIONS = 16
"""Directions to project on. They cost 128 bytes per profile."""

_SAMPLE_PROFILES = 128
"""Profiles that the directions are computed from."""

_ORDER_LENGTH = 1e-3
"""Length of the extra axis along which the file order spreads the points.

Identical profiles would be one point, which a k-d tree cannot split. The search radius grows by
half a millionth to make up for it.
"""

_NEIGHBOURS = 1 << 20
"""Neighbours that are requested from the tree at once, over all profiles: 16 MB."""

_PAIRS = 128
"""Pairs compared at once. For the published 22,268 probes, each side is 23 MB in float64."""

_TILE_PROBES = 512
"""Probes whose products are summed at once: 64 kB of directions, to stay in a cache."""


def find_duplicates(
    reader: Reader,
    rule: Rule,
    *,
    seed: int = 0,
    folder: Path,
    progress: Progress = silent,
) -> NDArray[np.bool_]:
    """Return which profiles a rule removes: one value per profile of the matrix.

    Args:
        reader: the raw matrix. It is read twice at most.
        rule: ``exact`` or ``kmeans``.
        seed: seed of the k-means. The exact rule has none.
        folder: folder for temporary files. Nothing is left there.
        progress: called after each block. It starts from 0 in each pass over the profiles.

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
    # Projecting on orthonormal directions never lengthens a distance. So profiles that are apart
    # here are no duplicates, and only the crowded ones are compared over all probes.
    crowded = projected.crowded()
    removed = np.zeros(n_profiles, np.bool_)
    if len(crowded):
        with _pieces(reader, "reading similar profiles", progress) as blocks:
            _write_rows(path, blocks, crowded)
        removed[crowded] = _repeats(
            projected.take(crowded), _StoredGroup(path, np.arange(len(crowded)))
        )
    return removed


def _in_clusters(reader: Reader, seed: int, path: Path, progress: Progress) -> NDArray[np.bool_]:
    n_profiles = len(reader.profiles)
    k_means = _k_means(min(CLUSTERS, n_profiles), seed)
    with _pieces(reader, "copying profiles", progress) as blocks:
        _write_rows(path, blocks, np.arange(n_profiles))
    projected = _project(
        (partial(np.asarray, rows) for rows in read_rows(path, _BLOCK_PROFILES)), n_profiles
    )
    progress(0, 1, "clustering profiles")
    labels = k_means.fit(np.load(path, mmap_mode="r")).labels_
    removed = np.zeros(n_profiles, np.bool_)
    for cluster in range(k_means.n_clusters):
        members = np.flatnonzero(labels == cluster)
        removed[members] = _repeats(projected.take(members), _StoredGroup(path, members))
        progress(cluster + 1, k_means.n_clusters, "comparing profiles within clusters")
    return removed


def _k_means(clusters: int, seed: int) -> Any:
    try:
        library = import_module("sklearn.cluster")
    except ModuleNotFoundError:
        raise missing_library(
            "Duplicate removal by k-means", "scikit-learn", "sklearn", "Or use the exact rule."
        ) from None
    return library.MiniBatchKMeans(
        n_clusters=clusters, max_iter=MAX_ITER, batch_size=BATCH_SIZE, random_state=seed
    )


@contextmanager
def _pieces(reader: Reader, message: str, progress: Progress) -> Iterator[Iterator[Fetch]]:
    """Give functions that fetch blocks of profiles × all probes, in file order."""

    def fetches(pieces: Iterator[Piece]) -> Iterator[Fetch]:
        for piece in pieces:
            yield partial(_values, piece)
            progress(piece.stop, len(reader.profiles), message)

    with reader.pieces(np.arange(len(reader.gene_ids)), _BLOCK_PROFILES) as pieces:
        yield fetches(pieces)


def _values(piece: Piece) -> NDArray[np.floating]:
    return piece.fetch().values


@dataclass(frozen=True)
class _Projected:
    """Profiles projected on a few orthonormal directions, and in file order along one more.

    Attributes:
        points: profiles × (directions and the file order).
        radius: a distance that projected duplicates never exceed, with any rounding.
    """

    points: NDArray[np.float64]
    radius: float

    def take(self, profiles: NDArray[np.intp]) -> _Projected:
        """Return some of the profiles, by position."""
        return _Projected(self.points[profiles], self.radius)

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree  # late: opening a dataset does without

        return cKDTree(self.points)

    def neighbours(self, profiles: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        """Return the nearest neighbours of profiles within the radius, themselves included.

        Returns:
            Positions, profiles × ``most``, nearest first. ``len(points)`` stands for none.
        """
        # As a list even for one neighbour, so that the result always has two axes.
        points, nearest = self.points[profiles], np.arange(1, most + 1)
        _, neighbours = self._tree.query(
            points, nearest, distance_upper_bound=self.radius, workers=-1
        )
        return np.asarray(neighbours)

    def crowded(self) -> NDArray[np.intp]:
        """Return the positions of profiles that have another one within the radius."""
        nearest = self.neighbours(np.arange(len(self.points)), 2)
        return np.flatnonzero(nearest[:, 1] < len(self.points))


def _project(blocks: Iterable[Fetch], n_profiles: int) -> _Projected:
    """Project blocks of profiles on the leading directions of the first of them.

    A coordinate is off by at most ``n_probes · eps / 2 · ‖profile‖``, for any order of
    summation (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). The radius
    allows several times the error that follows for a distance. The rest covers directions that
    are not quite orthonormal, and the rounding of the distances themselves.
    """
    blocks = iter(blocks)
    first = list(islice(blocks, BLOCK // _BLOCK_PROFILES))
    # Copied, because the next fetch overwrites the rows. They are fetched again for projecting.
    directions = _leading_directions(np.concatenate([fetch().copy() for fetch in first]))

    def work(fetch: Fetch) -> tuple[NDArray[np.float64], float]:
        block = fetch()
        coordinates = np.zeros((len(block), len(directions)))
        _add_products(block, directions, coordinates)
        # abs() would make a copy of the block.
        return coordinates, float(max(block.max(), -block.min()))

    points = np.empty((n_profiles, len(directions) + 1))
    start, largest = 0, 0.0
    with closing(in_order(work, chain(first, blocks))) as results:
        for coordinates, extreme in results:
            points[start : start + len(coordinates), :-1] = coordinates
            largest = max(largest, extreme)
            start += len(coordinates)
    points[:, -1] = np.linspace(0, _ORDER_LENGTH, n_profiles)
    n_directions, n_probes = directions.shape
    longest = n_probes**0.5 * largest
    rounding = 8 * n_probes * np.finfo(np.float64).eps * (1 + n_directions**0.5 * longest)
    return _Projected(points, float(np.hypot(DISTANCE + rounding, _ORDER_LENGTH)))


@compiled_loosely
def _add_products(
    profiles: NDArray[np.floating], directions: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Add ``profiles @ directions.T`` to ``out`` in float64.

    ``@`` would first make a copy of a float32 block in float64, of twice its size.
    """
    n_probes, tile = directions.shape[1], np.empty(_TILE_PROBES)
    for start in range(0, n_probes, _TILE_PROBES):
        width = min(_TILE_PROBES, n_probes - start)
        for row in range(len(profiles)):
            for i in range(width):
                tile[i] = profiles[row, start + i]
            for axis in range(len(directions)):
                direction, product = directions[axis, start : start + width], 0.0
                for i in range(width):
                    product += tile[i] * direction[i]
                out[row, axis] += product


def _leading_directions(profiles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return orthonormal directions × probes along which a sample of profiles varies most."""
    sample = profiles[:: -(-len(profiles) // _SAMPLE_PROFILES)].astype(np.float64)
    sample -= sample.mean(axis=0)
    # Principal components by the small matrix of profiles, not the 22,268² one of probes. QR makes
    # them orthonormal to rounding, even if components vanish.
    leading = np.linalg.eigh(sample @ sample.T)[1][:, -_DIRECTIONS:]
    return np.ascontiguousarray(np.linalg.qr(sample.T @ leading)[0].T)


def _write_rows(path: Path, blocks: Iterable[Fetch], profiles: NDArray[np.intp]) -> None:
    """Copy some profiles (ascending positions) to a ``.npy`` file, in the precision of the file."""
    with path.open("wb") as stream:
        writer = None
        start = copied = 0
        for fetch in blocks:
            block = fetch()
            writer = writer or NpyWriter(stream, (len(profiles), block.shape[1]), block.dtype)
            n_before = int(np.searchsorted(profiles, start + len(block)))
            writer.append(block[profiles[copied:n_before] - start])
            start, copied = start + len(block), n_before
            if copied == len(profiles):
                break


class _StoredGroup:
    """A group of profiles, stored at some positions of a ``.npy`` file."""

    def __init__(self, path: Path, positions: NDArray[np.intp]) -> None:
        self._path = path
        self._positions = positions

    def are_close(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which pairs of the group are duplicates, over all probes in float64."""
        close = np.empty(len(first), np.bool_)
        for start in range(0, len(first), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            # Mapping anew releases the pages of the last pairs, which would count as our memory.
            matrix = np.load(self._path, mmap_mode="r")
            difference = self._read(matrix, first[pairs]) - self._read(matrix, second[pairs])
            close[pairs] = np.einsum("ij,ij->i", difference, difference) < DISTANCE**2
        return close

    def _read(self, matrix: NDArray[np.floating], members: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(matrix[self._positions[members]], dtype=np.float64)


def _repeats(group: _Projected, rows: _StoredGroup) -> NDArray[np.bool_]:
    """Return which profiles of a group, in file order, have an earlier duplicate in it.

    Neighbours are requested in rounds, four times as many in each. A profile is done once it has a
    duplicate, or all its neighbours were compared. Among m profiles that are all alike, a profile
    with r earlier ones finds one of them among about m/r neighbours. That makes m log m comparisons
    in all, not m².
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
    rows: _StoredGroup, neighbours: NDArray[np.intp], profiles: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which profiles have an earlier duplicate among their neighbours, nearest first."""
    has_duplicate = np.zeros(len(profiles), np.bool_)
    for nearest in neighbours.T:
        candidates = np.flatnonzero((nearest < profiles) & ~has_duplicate)
        has_duplicate[candidates] = rows.are_close(nearest[candidates], profiles[candidates])
    return has_duplicate

"""Boosted trees as plain arrays, read from LightGBM's text, and their predictions.

Arrays can be saved with a model and checked when it is read. A booster is neither: its text is
parsed by compiled code that trusts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trees:
    """Trees of all components, one after another.

    An inner node sends a profile left if its landmark is at most the threshold. A child that is not
    negative is a node of the same tree. A negative child c is leaf −c − 1 of the same tree.

    Attributes:
        landmark: landmark of each inner node.
        threshold: threshold of each inner node.
        left, right: children of each inner node.
        leaf: prediction of each leaf.
        first_node, first_leaf: for each tree, its first inner node and leaf, and one more for the
            end.
        component: component that each tree predicts.
    """

    landmark: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    leaf: NDArray[np.float64]
    first_node: NDArray[np.int64]
    first_leaf: NDArray[np.int64]
    component: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], landmarks: int, components: int) -> Trees:
        """Return trees of arrays, once every index in them is checked.

        Raises:
            ValueError: the arrays are no trees on this many landmarks.
        """
        trees = cls(**{item.name: np.ascontiguousarray(arrays[item.name]) for item in fields(cls)})
        nodes, leaves = np.diff(trees.first_node), np.diff(trees.first_leaf)
        of_node = np.repeat(np.arange(len(nodes)), nodes)
        inside = np.arange(len(of_node)) - trees.first_node[:-1][of_node]
        sound = (
            len(trees.first_node) == len(trees.first_leaf) == len(trees.component) + 1
            and trees.first_node[0] == trees.first_leaf[0] == 0
            and trees.first_leaf[-1] == len(trees.leaf)
            and len(trees.landmark) == len(trees.threshold) == len(trees.left) == len(trees.right)
            and trees.first_node[-1] == len(trees.left)
            and (nodes >= 0).all()
            and (leaves == nodes + 1).all()
            and _within(trees.landmark, landmarks)
            and _within(trees.component, components)
        )
        for child in (trees.left, trees.right):
            # A child that comes after its node can never lead back to it.
            sound = sound and bool(
                np.where(
                    child >= 0,
                    (child > inside) & (child < nodes[of_node]),
                    -child - 1 < leaves[of_node],
                ).all()
            )
        if not sound:
            raise ValueError("the arrays are no trees of this model")
        return trees

    @property
    def rounds(self) -> NDArray[np.int64]:
        """The round of each tree: 1 for the first tree of a component."""
        order = np.argsort(self.component, kind="stable")
        counts = np.bincount(self.component)
        within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        rounds = np.empty(len(order), np.int64)
        rounds[order] = within + 1
        return rounds

    def first(self, rounds: int) -> Trees:
        """Return only the trees of the first rounds."""
        kept = self.rounds <= rounds
        nodes, leaves = np.diff(self.first_node), np.diff(self.first_leaf)
        of_node, of_leaf = np.repeat(kept, nodes), np.repeat(kept, leaves)
        return Trees(
            self.landmark[of_node], self.threshold[of_node], self.left[of_node],
            self.right[of_node], self.leaf[of_leaf], _starts(nodes[kept]), _starts(leaves[kept]),
            self.component[kept],
        )  # fmt: skip

    def leaf_values(self, profile: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what each tree predicts for the landmarks of one profile."""
        # A tree of one leaf starts at it. All others start at their first node.
        node = np.where(np.diff(self.first_node) > 0, 0, -1)
        inner = np.flatnonzero(node >= 0)
        while len(inner):
            at = self.first_node[inner] + node[inner]
            below = profile[self.landmark[at]] <= self.threshold[at]
            node[inner] = np.where(below, self.left[at], self.right[at])
            inner = inner[node[inner] >= 0]
        return np.asarray(self.leaf[self.first_leaf[:-1] - node - 1])

    def predict(self, landmarks: NDArray[np.floating], components: int) -> NDArray[np.float64]:
        """Return the sum of all trees of each component: profiles × components."""
        # One profile at a time, so that its sum does not depend on those beside it.
        sums = np.empty((len(landmarks), components))
        for row, profile in zip(sums, landmarks, strict=True):
            row[:] = np.bincount(self.component, self.leaf_values(profile), components)
        return sums


def _within(indices: NDArray[Any], end: int) -> bool:
    return bool(((indices >= 0) & (indices < end)).all())


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first position of each of some sizes that follow each other, and the end."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def joined(parts: Iterable[Trees]) -> Trees:
    """Return the trees of several collections, in order."""
    listed = [part.arrays() for part in parts]
    merged = {
        name: np.concatenate([arrays[name] for arrays in listed])
        for name in listed[0]
        if not name.startswith("first")
    }
    for name in ("first_node", "first_leaf"):
        sizes = np.concatenate([np.diff(arrays[name]) for arrays in listed])
        merged[name] = _starts(sizes)
    return Trees(**merged)


def read_trees(text: str, component: int) -> Trees:
    """Return the trees of a model that LightGBM wrote as text.

    Args:
        text: ``Booster.model_to_string()``. All its splits are numerical, without missing values.
        component: component that the trees predict.
    """
    trees = []
    for part in text.split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)

        def column(name: str, kind: type, lines: dict[str, str] = lines) -> NDArray[Any]:
            # A tree of one leaf has no lines about nodes.
            return np.array(lines.get(name, "").split(), kind)

        leaf = column("leaf_value", np.float64)
        trees.append(
            Trees(
                landmark=column("split_feature", np.int32),
                threshold=column("threshold", np.float64),
                left=column("left_child", np.int32),
                right=column("right_child", np.int32),
                leaf=leaf,
                first_node=_starts(np.array([len(leaf) - 1])),
                first_leaf=_starts(np.array([len(leaf)])),
                component=np.array([component], np.int32),
            )
        )
    return joined(trees)

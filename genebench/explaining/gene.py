"""One target gene: the landmarks that drive it, and how well it is predicted at all."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.text import printable
from genebench.data.store import Dataset
from genebench.errors import UserError
from genebench.explaining.relevance import by_target_group
from genebench.explaining.subject import Subject


@dataclass(frozen=True, repr=False)
class GeneExplanation:
    """The landmarks that drive the prediction of one target.

    Attributes:
        gene, symbol: Ensembl id and symbol.
        landmarks: all landmarks, largest share first: ``landmark``, ``symbol``, ``relevance``,
            ``sign`` (1 if the prediction rises with the landmark), ``share``, ``error`` (standard
            error of relevance, if landmarks were permuted) and ``own_twin``.
        scores: one row for each metric: ``metric``, ``value``, ``median`` of all targets, and
            ``better``, the share of targets that are predicted worse.
        rule: rule of relevance.
        twin: the target is a landmark, too.
    """

    gene: str
    symbol: str
    landmarks: pd.DataFrame
    scores: pd.DataFrame
    rule: str
    twin: bool

    def __repr__(self) -> str:
        named = ", ".join(self.landmarks["symbol"].head(3))
        return f"<Explanation of {self.symbol or self.gene} by {self.rule}: {named}, …>"


def position_of(gene: str, landmarks: pd.DataFrame, targets: pd.DataFrame, coverage: str) -> int:
    """Return the position of a target by symbol or Ensembl id.

    Args:
        gene: symbol or id.
        landmarks: gene table with ``symbol``, indexed by Ensembl id.
        targets: the same of the targets.
        coverage: a sentence on the genes that there are.

    Raises:
        UserError: there is no such target, or several have that symbol.
    """
    wanted = gene.strip()
    symbols = targets["symbol"].to_numpy(str)
    found = np.flatnonzero((targets.index == wanted) | (symbols == wanted))
    if len(found) == 1:
        return int(found[0])
    shown = printable(wanted)
    if len(found) > 1:
        ids = ", ".join(targets.index[found])
        raise UserError(f"{shown}: {len(found)} targets have that symbol. Give its id: {ids}.")
    if wanted in landmarks.index or wanted in set(landmarks["symbol"]):
        raise UserError(
            f"{shown}: a landmark and no target, so it is measured and not inferred. Give a target."
        )
    names = [*symbols, *targets.index]
    folded = {name.casefold(): name for name in names}
    close = [
        folded[name]
        for name in difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.7)
    ]
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    raise UserError(f"{shown}: no target of this dataset. {hint}{coverage}")


def coverage_of(dataset: Dataset) -> str:
    """Return a sentence on how many targets of the gene map a dataset has."""
    in_map = [
        platform["coverage"]["targets"]["in_map"]
        for platform in dataset.info["platforms"].values()
        if "coverage" in platform
    ]
    of_all = f" of the {max(in_map):,} in its map" if in_map else ""
    return (
        f"Dataset {dataset.name} has {len(dataset.target_genes):,} targets{of_all}. See genebench "
        f"data info {dataset.name} --json for missing ones."
    )


def explain_gene(
    subject: Subject, gene: str, rule: str, scores: Mapping[str, NDArray[Any]], *, seed: int = 0
) -> GeneExplanation:
    """Return the landmarks that drive one target over the test profiles.

    Args:
        subject: the model with its data.
        gene: symbol or Ensembl id of a target.
        rule: rule of relevance.
        scores: metric → value for each target.
        seed: seed of permutations.

    Raises:
        UserError: there is no such target, or the model has no such rule.
    """
    landmarks, targets = subject.dataset.landmark_genes, subject.dataset.target_genes
    position = position_of(gene, landmarks, targets, coverage_of(subject.dataset))
    alone = np.full(len(targets), -1)
    alone[position] = 0
    relevance = by_target_group(subject.model, subject.test.landmarks, alone, rule, seed=seed)
    values = relevance.effects[0].astype(np.float64)
    total = np.abs(values).sum()
    order = np.argsort(-np.abs(values), kind="stable")
    table = pd.DataFrame(
        {
            "landmark": landmarks.index[order],
            "symbol": landmarks["symbol"].to_numpy()[order],
            "relevance": values[order],
            "sign": np.sign(values[order]).astype(int),
            "share": np.abs(values[order]) / (total or 1.0),
            "error": np.nan if relevance.errors is None else relevance.errors[0][order],
            "own_twin": landmarks.index[order] == targets.index[position],
        }
    )
    return GeneExplanation(
        gene=str(targets.index[position]),
        symbol=str(targets["symbol"].iloc[position]),
        landmarks=table,
        scores=_scores(scores, position),
        rule=relevance.rule,
        twin=bool(targets["twin"].iloc[position]),
    )


def _scores(scores: Mapping[str, NDArray[Any]], position: int) -> pd.DataFrame:
    from genebench.plugins.registry import registry

    installed = registry().metrics.specs
    rows = []
    for name, values in scores.items():
        if name not in installed:
            continue
        own, lower = float(values[position]), installed[name].direction == "lower"
        worse = np.mean(values > own if lower else values < own)
        rows.append(
            {"metric": name, "value": own, "median": float(np.median(values)), "better": worse}
        )
    return pd.DataFrame(rows, columns=["metric", "value", "median", "better"])

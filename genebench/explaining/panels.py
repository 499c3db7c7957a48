"""Panels a to d of Figures 2 and 3 of Wang et al. 2018, with the checks of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.profiles import Profiles
from genebench.errors import counted
from genebench.explaining.clusters import k_means
from genebench.explaining.components import components
from genebench.explaining.enrichment import GeneSets, known_sets, over_representation
from genebench.explaining.explanation import Explanation
from genebench.explaining.relevance import Relevance, by_profile, by_target_group
from genebench.explaining.settings import Settings
from genebench.explaining.trust import (
    LEAST_BEYOND,
    LEAST_OVERLAP,
    LEAST_RAND,
    LEAST_SPEARMAN,
    MOST_CONSERVATION,
    MOST_CONTROL,
    Agreement,
    cluster_stability,
    rank_agreement,
    twin_share,
    unstable,
)
from genebench.hookspecs import DISTRIBUTION
from genebench.method import Model
from genebench.methods.predictions import predict

COMPARED = 256
"""Profiles over which models are compared by groups of targets, at most."""
STABILITY_SEEDS = 5
"""Seeds of K-means that clusters are compared over."""
TWINS_SAMPLED = 20
"""Targets with a twin that the share of their own twin is measured on, one pass each."""
_CENTRAL = 3
"""Genes that the label of a cluster of targets names."""
_NAMED = 2
"""Values of the profile table that the label of a cluster of profiles names."""
_VERSIONS = {"genebench": DISTRIBUTION, "numpy": "numpy", "scipy": "scipy", "torch": "torch"}


@dataclass(frozen=True)
class _Clusters:
    """Clusters of some things: their numbers from 1 on, largest cluster first.

    Attributes:
        numbers: number of the cluster of each thing.
        stability: mean adjusted Rand index over seeds of K-means.
    """

    numbers: NDArray[np.intp]
    stability: float

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]], count: int, seed: int) -> _Clusters:
        seeds = range(seed, seed + STABILITY_SEEDS)
        return cls(k_means(values, count, seed) + 1, cluster_stability(values, count, seeds))

    def means(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the mean of each cluster's rows: clusters × columns."""
        return np.stack(
            [
                values[self.numbers == number].mean(axis=0, dtype=np.float64)
                for number in range(1, self.numbers.max() + 1)
            ]
        )


class _Steps:
    """Progress over several parts of the work, each of which reports its own."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._ended = progress, total, 0

    def done(self, passes: int, next_part: str) -> None:
        """Count passes that have ended, and name the next part."""
        self._ended += passes
        self._progress(self._ended, self._total, next_part)

    def part(self, passes: int) -> Progress:
        """Return the progress of a part that takes some passes. It counts them at its end."""
        start, self._ended = self._ended, self._ended + passes

        def progress(done: int, total: int, message: str) -> None:
            reached = start + passes * done // max(total, 1)
            self._progress(reached, self._total, message)

        return progress


def explain(
    model: Model,
    test: Profiles,
    settings: Settings,
    *,
    others: Sequence[Callable[[], Model]] = (),
    control: Model | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Explanation:
    """Explain a model on test profiles.

    Args:
        model: a fitted model that has relevance.
        test: the profiles, with genes and table.
        settings: numbers of clusters, rule, seed.
        others: functions that open models of the same method and data with other seeds, for
            agreement. One model is open at a time.
        control: the model with shuffled weights.
        about: key of the model, digest of the data and the like, to be kept.
        progress: called after each pass.

    Raises:
        UserError: more clusters than things to cluster, or the model has no such rule.
    """
    settings.check_sizes(
        profiles=len(test), targets=len(test.target_genes), landmarks=len(test.landmark_genes)
    )
    label = settings.label_column([str(name) for name in test.profiles.columns])
    landmarks, n = test.landmarks, len(others)
    # Parts of the work, in passes over the profiles: clusters take about as long as one.
    twins = _twins_sampled(test, settings.seed)
    compared = 2 * (n + (control is not None)) + 1
    passes = 2 + settings.target_clusters + int(twins.max()) + 1 + compared
    steps = _Steps(progress, passes)
    rule, seed = settings.rule, settings.seed

    overall = by_profile(model, landmarks, rule, seed=seed, progress=steps.part(1))
    steps.done(0, "clustering profiles and targets")
    by_genes = _target_coordinates(model, test, settings)
    targets = _Clusters.of(by_genes, settings.target_clusters, seed)
    of_profiles = _profile_coordinates(test, settings, overall)
    profiles = _Clusters.of(of_profiles, settings.profile_clusters, seed)
    steps.done(1, "relevance of groups of targets")
    grouped = by_target_group(
        model, landmarks, targets.numbers - 1, rule,
        seed=seed, progress=steps.part(settings.target_clusters),
    )  # fmt: skip
    panel_a, panel_c = profiles.means(overall.values), grouped.effects.astype(np.float64)
    errors_a, errors_c = _errors(overall, profiles), grouped.errors
    shares = _shares(panel_c)
    groups = _Clusters.of(shares.T, settings.landmark_groups, seed)
    panel_d = groups.means(shares.T)
    own = _own_twins(model, test, twins, settings, steps.part(int(twins.max()) + 1))
    compared_with = _Compared.by(settings, landmarks, targets.numbers - 1)
    comparisons = list(_comparisons(compared_with, model, overall, others, control, steps))
    tables = _Tables(test, settings, label, profiles, targets, groups)
    checks = [
        *_conservation(overall, grouped),
        *_against_errors("a b", panel_a, errors_a),
        *_against_errors("c d", panel_c, errors_c),
        _stability("a b", "profile clusters", profiles),
        _stability("c d", "target clusters", targets),
        _stability("d", "landmark groups", groups),
        *comparisons,
    ]
    return Explanation(
        about={
            **(about or {}),
            "asked": asdict(settings),
            "settings": asdict(settings) | {"rule": overall.rule, "label": label},
            "bias_share": overall.bias_share,
            "versions": dict(_versions()),
        },
        profiles=tables.profiles(),
        targets=tables.targets(),
        landmarks=tables.landmarks(),
        clusters=tables.clusters(panel_a, panel_c, overall, grouped, by_genes),
        profile_relevance=tables.matrix(panel_a),
        top=pd.concat(
            [
                tables.top("profiles", panel_a, errors_a),
                tables.top("targets", panel_c, errors_c),
            ],
            ignore_index=True,
        ),
        target_relevance=tables.matrix(panel_c),
        group_relevance=pd.DataFrame(
            panel_d,
            index=pd.RangeIndex(1, len(panel_d) + 1, name="group"),
            columns=pd.RangeIndex(1, panel_d.shape[1] + 1, name="cluster"),
        ),
        trust=pd.DataFrame(checks),
        twins=own,
        profile_errors=None if errors_a is None else tables.matrix(errors_a),
        target_errors=None if errors_c is None else tables.matrix(errors_c),
    )


def _errors(overall: Relevance, clusters: _Clusters) -> NDArray[np.floating[Any]] | None:
    """Return the standard errors of the means of clusters of profiles, if there are errors.

    Profiles are taken as independent: in each permutation, every one gets the values of another.
    """
    if overall.errors is None:
        return None
    sizes = np.bincount(clusters.numbers)[1:, None]
    return np.sqrt(clusters.means(np.square(overall.errors.astype(np.float64))) / sizes)


def _shares(relevance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return relevance as shares of the magnitude of each row, with their signs."""
    total = np.abs(relevance).sum(axis=1, keepdims=True)
    return np.asarray(relevance / np.where(total > 0, total, 1.0))


def _profile_coordinates(
    test: Profiles, settings: Settings, overall: Relevance
) -> NDArray[np.floating[Any]]:
    if settings.profiles_by == "relevance":
        return overall.values  # noqa: PD011  an array

    def blocks() -> Iterator[NDArray[np.float32]]:
        if settings.profiles_by == "landmarks":
            return test.landmark_blocks()
        return (np.hstack(block) for block in test.blocks())

    return components(blocks, settings.components, settings.seed).profiles


def enriched(explanation: Explanation, sets: GeneSets, source: str) -> Explanation:
    """Return an explanation with over-represented gene sets.

    Three kinds of lists are tested, each as a family of its own. The listed landmarks of clusters
    are tested against all landmarks of the model, and the members of clusters of targets against
    all targets.

    Args:
        explanation: the explanation.
        sets: the gene sets, of symbols or Ensembl ids.
        source: their file, which is kept.

    Raises:
        UserError: no set has a known gene.
    """
    known = known_sets(sets, explanation.landmarks, explanation.targets, source)
    tables = []
    for kind, title in (
        ("profiles", "landmarks of profile cluster"),
        ("targets", "landmarks of target cluster"),
    ):
        top = explanation.top[explanation.top["kind"] == kind]
        lists = {
            int(str(cluster)): list(rows["landmark"]) for cluster, rows in top.groupby("cluster")
        }
        tables.append(over_representation(lists, explanation.landmarks.index, known, title))
    members = {
        int(str(cluster)): list(rows.index)
        for cluster, rows in explanation.targets.groupby("cluster")
    }
    tables.append(
        over_representation(members, explanation.targets.index, known, "targets of cluster")
    )
    symbols = {
        **explanation.targets["symbol"].to_dict(), **explanation.landmarks["symbol"].to_dict()
    }  # fmt: skip
    table = pd.concat(tables, ignore_index=True).sort_values("q", kind="stable", ignore_index=True)
    table["genes"] = [" ".join(symbols[gene] for gene in genes.split()) for genes in table["genes"]]
    about = {**explanation.about, "gene_sets": {"file": Path(source).name, "sets": len(sets)}}
    return replace(explanation, enrichment=table, about=about)


def _target_coordinates(
    model: Model, test: Profiles, settings: Settings
) -> NDArray[np.floating[Any]]:
    def blocks() -> Iterator[NDArray[np.float32]]:
        if settings.targets_by == "predictions":
            n_targets = len(test.target_genes)
            return (predict(model, block, n_targets) for block in test.landmark_blocks())
        return test.column_blocks("targets")

    return components(blocks, settings.components, settings.seed).genes


class _Compared(NamedTuple):
    """Sizes of relevance by which models are compared, for panels a and b, and for c and d."""

    settings: Settings
    landmarks: NDArray[np.float32]
    sample: NDArray[np.float32]
    """At most :data:`COMPARED` profiles: groups of targets take one pass each."""
    groups: NDArray[np.intp]

    @classmethod
    def by(
        cls, settings: Settings, landmarks: NDArray[np.float32], groups: NDArray[np.intp]
    ) -> _Compared:
        """Take every so many-th profile for the groups."""
        return cls(settings, landmarks, landmarks[:: -(-len(landmarks) // COMPARED)], groups)

    def overall(self, model: Model, progress: Progress) -> NDArray[np.floating[Any]]:
        """Return the mean magnitude of each landmark: 1 × landmarks."""
        rule, seed = self.settings.rule, self.settings.seed
        found = by_profile(model, self.landmarks, rule, seed=seed, progress=progress)
        return np.asarray(np.abs(found.values).mean(axis=0, keepdims=True))

    def of_groups(self, model: Model, progress: Progress) -> NDArray[np.floating[Any]]:
        """Return the magnitudes for each group of targets: groups × landmarks."""
        rule, seed = self.settings.rule, self.settings.seed
        found = by_target_group(model, self.sample, self.groups, rule, seed=seed, progress=progress)
        return found.effects


def _agreement(models: Sequence[NDArray[np.floating[Any]]]) -> Agreement:
    """Return the agreement of models, as the mean over rows."""
    found = [rank_agreement(rows) for rows in zip(*models, strict=True)]
    return Agreement(*map(float, np.mean(found, axis=0)))


def _comparisons(  # noqa: PLR0917
    compared: _Compared,
    model: Model,
    overall: Relevance,
    others: Sequence[Callable[[], Model]],
    control: Model | None,
    steps: _Steps,
) -> Iterator[dict[str, Any]]:
    """Yield the checks that compare ranks of landmarks with those of other models."""

    def sizes(other: Model) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        return (
            compared.overall(other, steps.part(1)),
            compared.of_groups(other, steps.part(1)),
        )

    own = (
        np.abs(overall.values).mean(axis=0, keepdims=True),
        compared.of_groups(model, steps.part(1)),
    )
    panels = "a b", "c d"
    measure, limit = "rank correlation with shuffled weights", ("at most", MOST_CONTROL)
    if control is None:
        yield from (_unchecked(pair, measure, limit, "model cannot be saved") for pair in panels)
    else:
        for pair, models in zip(panels, zip(own, sizes(control), strict=True), strict=True):
            found = _agreement(models)
            yield _line(pair, measure, found.spearman, limit, unstable(control=found))
    count = counted(len(others) + 1, "seed")
    seeds = list(zip(own, *(sizes(opened()) for opened in others), strict=True))
    for name, title, least in (
        ("spearman", "rank correlation", LEAST_SPEARMAN),
        ("overlap", "overlap of top landmarks", LEAST_OVERLAP),
    ):
        measure, limit = f"{title} over {count}", ("at least", least)
        for pair, models in zip(panels, seeds, strict=True):
            if not others:
                yield _unchecked(pair, f"{title} over seeds", limit, "one seed")
                continue
            value = getattr(_agreement(models), name)
            # One check for each number: unstable() looks at both.
            alone = Agreement(**{"spearman": 1.0, "overlap": 1.0, name: value})
            yield _line(pair, measure, value, limit, unstable(agreement=alone))


def _conservation(overall: Relevance, grouped: Relevance) -> Iterator[dict[str, Any]]:
    """Yield the checks that relevance sums up to predictions. Permutation does not conserve."""
    for panels, relevance in (("a b", overall), ("c d", grouped)):
        if (error := relevance.conservation) is not None:
            limit = "at most", MOST_CONSERVATION
            line = _line(panels, "conservation error", error, limit, unstable(conservation=error))
            # Its rest is what is left, so the sum says nothing.
            by_definition = relevance.rule == "gradient-input" and line["sound"]
            yield line | ({"result": "by definition"} if by_definition else {})


def _against_errors(
    panels: str, relevance: NDArray[np.float64], errors: NDArray[np.floating[Any]] | None
) -> Iterator[dict[str, Any]]:
    """Yield the check that relevance is larger than chance makes it, if landmarks were permuted."""
    if errors is None:
        return
    sizes = np.abs(relevance)
    value = float(sizes[sizes > 2 * errors].sum() / max(sizes.sum(), np.finfo(float).tiny))
    measure = "share of relevance beyond two standard errors"
    yield _line(panels, measure, value, ("at least", LEAST_BEYOND), unstable(beyond_errors=value))


def _stability(panels: str, things: str, clusters: _Clusters) -> dict[str, Any]:
    """Return the check that clusters stay together under other seeds of K-means."""
    value = clusters.stability
    measure = f"adjusted Rand index of {things}"
    return _line(panels, measure, value, ("at least", LEAST_RAND), unstable(rand=value))


def _line(
    panels: str, measure: str, value: float, limit: tuple[str, float], reasons: tuple[str, ...]
) -> dict[str, Any]:
    """Return a line of the table of trust. It is unsound if there are reasons."""
    side, number = limit
    sign = "<" if side == "at least" else ">"
    return {
        "panels": panels, "measure": measure, "value": float(value), "side": side, "limit": number,
        "sound": not reasons,
        "result": "unstable" if reasons else "sound",
        "reason": f"{measure} {value:.2g} {sign} {number:g}" if reasons else "",
    }  # fmt: skip


def _unchecked(panels: str, measure: str, limit: tuple[str, float], why: str) -> dict[str, Any]:
    """Return a line of the table of trust for a check that could not be made."""
    result = f"not checked: {why}"
    return _line(panels, measure, float("nan"), limit, ()) | {"result": result}


def _twins_sampled(test: Profiles, seed: int) -> NDArray[np.intp]:
    """Return the place of each target in a sample of twins, from 0, and −1 outside of it."""
    twins = np.flatnonzero(test.target_genes["twin"].to_numpy(bool))
    count = min(TWINS_SAMPLED, len(twins))
    sample = np.sort(np.random.default_rng(seed).choice(twins, count, replace=False))
    places = np.full(len(test.target_genes), -1)
    places[sample] = np.arange(count)
    return places


def _own_twins(
    model: Model,
    test: Profiles,
    places: NDArray[np.intp],
    settings: Settings,
    progress: Progress,
) -> pd.DataFrame:
    """Return the share of relevance for each sampled target that falls on its own twin."""
    columns = ["target", "symbol", "share", "rank", "copied"]
    sample = np.flatnonzero(places >= 0)
    if not len(sample):
        return pd.DataFrame(columns=columns)
    relevance = by_target_group(
        model, test.landmarks, places, settings.rule, seed=settings.seed, progress=progress
    )
    shares = np.abs(_shares(relevance.effects.astype(np.float64)))
    genes = test.target_genes.iloc[sample]
    twins = test.landmark_genes.index.get_indexer(genes.index)
    own = shares[np.arange(len(sample)), twins]
    ranks = (shares > own[:, None]).sum(axis=1) + 1
    measured, inferred = next(iter(test.blocks()))
    # On RNA-seq, a gene is one measurement in both roles. On arrays, probes of it differ.
    copied = np.isclose(measured[:, twins], inferred[:, sample], atol=1e-4).all(axis=0)
    return pd.DataFrame(
        {
            "target": genes.index, "symbol": genes["symbol"].to_numpy(), "share": own,
            "rank": ranks, "copied": copied,
        }
    )  # fmt: skip


@dataclass(frozen=True)
class _Tables:
    """The tables of an explanation, from arrays and gene tables."""

    test: Profiles
    settings: Settings
    label: str
    of_profiles: _Clusters
    of_targets: _Clusters
    of_landmarks: _Clusters

    def profiles(self) -> pd.DataFrame:
        shown = self.test.profiles[[self.label] if self.label else []]
        return shown.assign(cluster=self.of_profiles.numbers)

    def targets(self) -> pd.DataFrame:
        genes = self.test.target_genes
        return genes[["symbol", "twin"]].assign(cluster=self.of_targets.numbers)

    def landmarks(self) -> pd.DataFrame:
        genes = self.test.landmark_genes
        return genes[["symbol", "twin"]].assign(group=self.of_landmarks.numbers)

    def matrix(self, relevance: NDArray[np.floating[Any]]) -> pd.DataFrame:
        """Return landmarks × clusters."""
        return pd.DataFrame(
            relevance.T.astype(np.float32),
            index=self.test.landmark_genes.index,
            columns=pd.RangeIndex(1, len(relevance) + 1, name="cluster"),
        )

    def top(
        self,
        kind: str,
        relevance: NDArray[np.float64],
        errors: NDArray[np.floating[Any]] | None,
    ) -> pd.DataFrame:
        """Return the landmarks with the largest magnitude in each cluster."""
        genes, shares = self.test.landmark_genes, np.abs(_shares(relevance))
        target_genes = self.test.target_genes.index
        frames = []
        for row, values in enumerate(relevance):
            order = np.argsort(-np.abs(values), kind="stable")[: self.settings.top]
            inside = target_genes
            if kind == "targets":
                inside = target_genes[self.of_targets.numbers == row + 1]
            frames.append(
                pd.DataFrame(
                    {
                        "kind": kind,
                        "cluster": row + 1,
                        "rank": np.arange(1, len(order) + 1),
                        "landmark": genes.index[order],
                        "symbol": genes["symbol"].to_numpy()[order],
                        "relevance": values[order],
                        "sign": np.sign(values[order]).astype(int),
                        "share": shares[row, order],
                        "error": np.nan if errors is None else errors[row, order],
                        "is_target": genes.index[order].isin(inside),
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    def clusters(
        self,
        panel_a: NDArray[np.float64],
        panel_c: NDArray[np.float64],
        overall: Relevance,
        grouped: Relevance,
        by_genes: NDArray[np.floating[Any]],
    ) -> pd.DataFrame:
        """Return sizes, labels, outputs and twins of all clusters."""
        landmark_ids, target_ids = self.test.landmark_genes.index, self.test.target_genes.index
        twins = landmark_ids.get_indexer(target_ids)
        of_all, of_cluster = (
            twin_share(panel_a, twins),
            twin_share(panel_c, twins, self.of_targets.numbers - 1),
        )
        mean = self.of_profiles.means(overall.outputs[:, None])[:, 0]
        kinds = (
            ("profiles", self.of_profiles, self._profile_labels(), mean, of_all),
            (
                "targets",
                self.of_targets,
                self._target_labels(by_genes),
                grouped.outputs,
                of_cluster,
            ),
        )
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "kind": kind,
                        "cluster": np.arange(1, len(labels) + 1),
                        "size": np.bincount(clusters.numbers)[1:],
                        "label": labels,
                        "output": outputs,
                        "twin_share": share,
                        "twin_expected": expected,
                    }
                )
                for kind, clusters, labels, outputs, (share, expected) in kinds
            ],
            ignore_index=True,
        )

    def _profile_labels(self) -> list[str]:
        """Return the most frequent values of each cluster, with their shares."""
        count = self.settings.profile_clusters
        if not self.label:
            return [""] * count
        labels = []
        for number in range(1, count + 1):
            values = self.test.profiles[self.label][self.of_profiles.numbers == number]
            shares = values.value_counts(normalize=True)
            # pandas leaves the order of equal counts open.
            shares = shares.sort_index().sort_values(ascending=False, kind="stable")
            named = [f"{name} {share:.0%}" for name, share in shares.head(_NAMED).items()]
            labels.append(", ".join(named) + (", …" if len(shares) > _NAMED else ""))
        return labels

    def _target_labels(self, by_genes: NDArray[np.floating[Any]]) -> list[str]:
        """Return the genes nearest to the centre of each cluster."""
        symbols = self.test.target_genes["symbol"].to_numpy()
        labels = []
        for number, centre in enumerate(self.of_targets.means(by_genes), 1):
            inside = np.flatnonzero(self.of_targets.numbers == number)
            distances = np.square(by_genes[inside] - centre).sum(axis=1)
            nearest = inside[np.argsort(distances, kind="stable")[:_CENTRAL]]
            more = ", …" if len(inside) > _CENTRAL else ""
            labels.append(", ".join(symbols[nearest]) + more)
        return labels


def _versions() -> Iterator[tuple[str, str]]:
    for name, distribution in _VERSIONS.items():
        try:
            yield name, version(distribution)
        except PackageNotFoundError:
            continue

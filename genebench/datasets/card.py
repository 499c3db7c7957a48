"""The card of a prepared dataset: sources, digests, coverage, batch structure and components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.text import printable
from genebench.data.store import Dataset
from genebench.datasets.sources import SOURCES

SAMPLE_PROFILES = 1000
"""Profiles of each platform, evenly spaced, that levels, components and variances are of."""

_BINS = 40
_COMPONENTS = 2
_NOT_STATED = "not stated"

_BATCHES = (
    "Share of the variance of the landmark genes that lies between groups, and the share that "
    "groups without meaning would have. Of all profiles together, {:.0%} lies between platforms."
)


@dataclass(frozen=True)
class Card:
    """What is known of a dataset.

    Attributes:
        facts: all of it that is a text or a number, ready for JSON.
        edges: edges of the bins of the histogram of levels.
        levels: platform → number of values in each bin.
        points: sampled profiles × (``platform``, ``group``, ``PC1``, ``PC2``).
        explained: the share of the variance of each component.
    """

    facts: Mapping[str, Any]
    edges: NDArray[np.float64]
    levels: Mapping[str, NDArray[np.int64]]
    points: pd.DataFrame
    explained: Sequence[float]


def make_card(dataset: Dataset) -> Card:
    """Return the card of a dataset. At most :data:`SAMPLE_PROFILES` of a platform are read.

    Components are those of the landmark genes, centred by gene over the sampled profiles.
    """
    n_landmarks = len(dataset.landmark_genes)
    samples, tables = {}, {}
    for name in dataset.platforms:
        table = dataset.profile_table(name)
        rows = np.unique(np.linspace(0, len(table) - 1, SAMPLE_PROFILES).astype(np.intp))
        samples[name] = np.asarray(dataset.expression(name)[rows], np.float64)
        tables[name] = table.iloc[rows]
    low = min(float(values.min()) for values in samples.values())
    high = max(float(values.max()) for values in samples.values())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    levels = {name: np.histogram(values, edges)[0] for name, values in samples.items()}
    landmarks = {name: values[:, :n_landmarks] for name, values in samples.items()}
    scores, explained = _components(np.concatenate(list(landmarks.values())))
    points = pd.DataFrame(
        {
            "platform": np.repeat(list(samples), [len(values) for values in samples.values()]),
            "group": pd.concat([_group(table) for table in tables.values()]).to_numpy(),
            **{f"PC{number + 1}": column for number, column in enumerate(scores.T)},
        }
    )
    facts = _facts(dataset, samples, landmarks, tables)
    facts["levels"] = {
        "bin_edges": edges.round(4).tolist(),
        "values": {name: counts.tolist() for name, counts in levels.items()},
    }
    facts["components"] = {
        "of": "landmark genes, centred, of all platforms",
        "profiles": len(points),
        "explained": [round(share, 4) for share in explained],
    }
    everything = np.concatenate(list(landmarks.values()))
    facts["variance_between_platforms"] = between(everything, points["platform"])
    return Card(facts, edges, levels, points, explained)


def between(values: NDArray[np.float64], groups: pd.Series[str]) -> float:
    """Return the share of the variance of profiles × genes that lies between groups.

    It is the sum over genes of squares between groups, by that of all squares. Groups without
    meaning give about (groups − 1) / (profiles − 1).
    """
    if not len(groups):
        return 0.0
    codes, _ = pd.factorize(groups)
    centred = values - values.mean(axis=0)
    total = float((centred**2).sum())
    if not total:
        return 0.0
    sums = np.zeros((codes.max() + 1, values.shape[1]))
    np.add.at(sums, codes, centred)
    return round(float((sums**2 / np.bincount(codes)[:, None]).sum()) / total, 4)


def _components(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[float]]:
    """Return the scores of profiles on the first components, and the shares of variance."""
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, ::-1][:, :_COMPONENTS]
    # The sign of a component is arbitrary. Its largest weight is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    total = variances.clip(0).sum() or 1.0
    return centred @ axes, (variances[::-1][:_COMPONENTS].clip(0) / total).tolist()


def _group(table: pd.DataFrame) -> pd.Series[str]:
    return table["group"] if "group" in table else pd.Series("", index=table.index)


def _facts(
    dataset: Dataset,
    samples: Mapping[str, NDArray[np.float64]],
    landmarks: Mapping[str, NDArray[np.float64]],
    tables: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    info = dataset.info
    keys = ("name", "title", "digest", "landmarks", "targets", "twins", "origin")
    values = "normalised log2 expression"
    recipe = f"dgex (version {info.get('recipe', 0)})"
    if dataset.is_standardised:
        values, recipe = "standardised", "prepared"
    elif info["origin"].get("recipe") == "paired":
        values, recipe = "expression as the two assays give it, not normalised", "paired"
    return {
        **{key: info.get(key, "") for key in keys},
        "recipe": recipe,
        "values": values,
        "settings": {
            key: info[key]
            for key in ("missing_genes", "split_seed", "duplicates", "preset")
            if key in info
        },
        "platforms": {
            name: _platform_facts(dataset, name, samples[name], landmarks[name], tables[name])
            for name in dataset.platforms
        },
    }


def _platform_facts(
    dataset: Dataset,
    name: str,
    sample: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    sampled: pd.DataFrame,
) -> dict[str, Any]:
    item, table = dataset.info["platforms"][name], dataset.profile_table(name)
    source = str(item.get("source", ""))
    files = {"": source}
    if of_targets := str(item.get("source_of_targets", "")):
        files = {"landmarks": source, "targets": of_targets}
    facts: dict[str, Any] = {
        "profiles": len(table),
        "sources": [
            {
                "of": role,
                "file": file or _NOT_STATED,
                "licence": item.get("licence") or _known_licence(file),
            }
            for role, file in files.items()
        ],
        "digest": item.get("digest", ""),
        "ids": item["ids"],
        "level": item.get("level", ""),
        "coverage": {
            role: {key: item["coverage"][role][key] for key in ("found", "in_map")}
            for role in ("landmarks", "targets")
        },
        "filled_landmarks": len(item.get("filled", ())),
        "quartiles": np.percentile(sample, [0, 25, 50, 75, 100]).round(4).tolist(),
    }
    if "split" in table:
        facts["split"] = table["split"].value_counts(sort=False).to_dict()
    if "group" in table and (table["group"] != "").any():
        # Profiles whose group is not known are no group.
        sizes = table.loc[table["group"] != "", "group"].value_counts()
        stated = (sampled["group"] != "").to_numpy()
        groups = sampled.loc[stated, "group"]
        facts["groups"] = {
            "column": item["group"],
            "number": len(sizes),
            "profiles_without": int(len(table) - sizes.sum()),
            "largest": int(sizes.iloc[0]),
            "median": float(sizes.median()),
            "of_one_profile": int((sizes == 1).sum()),
            "variance_between": between(landmarks[stated], groups),
            "variance_between_by_chance": round(
                (groups.nunique() - 1) / max(1, len(groups) - 1), 4
            ),
        }
    return facts


def _known_licence(source: str) -> str:
    """Return the licence of a known public file, packed or not."""
    plain = source.removesuffix(".gz")
    known = (item.licence for item in SOURCES if item.file.removesuffix(".gz") == plain)
    return next(known, _NOT_STATED) if plain else _NOT_STATED


def card_text(card: Card) -> str:
    """Return the card as Markdown."""
    facts = card.facts
    lines = [
        f"# {_plain(facts['name'])}",
        "",
        _plain(facts["title"]),
        "",
        f"- digest: `{facts['digest']}` (genes, profiles, groups, splits and values)",
        f"- values: {facts['values']}, by recipe {_plain(facts['recipe'])}",
        f"- origin: {_plain(facts['origin'].get('kind', _NOT_STATED))}",
        f"- genes: {_gene_counts(facts)}",
        *(f"- {key}: {_plain(_setting(value))}" for key, value in facts["settings"].items()),
        "",
        "## Platforms",
        "",
        *_table(
            ("platform", "profiles", "split", "ids", "landmarks", "filled", "targets", "digest"),
            (_platform_row(name, item) for name, item in facts["platforms"].items()),
        ),
        "",
        "## Sources and licences",
        "",
        *_table(
            ("platform", "file", "licence"),
            (
                (f"{name} {source['of']}".strip(), source["file"], source["licence"])
                for name, item in facts["platforms"].items()
                for source in item["sources"]
            ),
        ),
        *_citation(facts["origin"].get("bibtex", "")),
        "",
        "## Batch structure",
        "",
        _BATCHES.format(facts["variance_between_platforms"]),
        "",
        *_table(
            ("platform", "group", "groups", "profiles without", "largest", "median",
             "of one profile", "variance", "by chance"),
            (_group_row(name, item) for name, item in facts["platforms"].items()),
        ),
        "",
        "## Levels",
        "",
        f"Of at most {SAMPLE_PROFILES:,} profiles of each platform.",
        "",
        *_table(
            ("platform", "lowest", "quartile", "median", "quartile", "highest"),
            (
                (name, *(f"{value:.4g}" for value in item["quartiles"]))
                for name, item in facts["platforms"].items()
            ),
        ),
    ]  # fmt: skip
    shares = ", ".join(f"{share:.1%}" for share in card.explained)
    lines += ["", f"The first two components of the landmark genes explain {shares}.", ""]
    return "\n".join(lines)


def _citation(bibtex: str) -> Iterator[str]:
    """Yield the BibTeX entries of a manifest as a block of code."""
    if bibtex.strip():
        lines = (printable(line) for line in bibtex.strip().splitlines())
        yield from ("", "Please cite:", "", *(f"    {line}".rstrip() for line in lines))


def _gene_counts(facts: Mapping[str, Any]) -> str:
    twins = f"{facts['twins']:,} of them twins"
    return f"{facts['landmarks']:,} landmarks, {facts['targets']:,} targets, {twins}"


def _platform_row(name: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    split = ", ".join(f"{part} {number:,}" for part, number in item.get("split", {}).items())
    found = {
        role: f"{counts['found']:,} of {counts['in_map']:,}"
        for role, counts in item["coverage"].items()
    }
    filled = f"{item['filled_landmarks']:,}"
    profiles = f"{item['profiles']:,}"
    return (
        name, profiles, split, item["ids"], found["landmarks"], filled, found["targets"],
        f"`{item['digest']}`",
    )  # fmt: skip


def _group_row(name: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    if not (groups := item.get("groups")):
        return name, "none", *[""] * 7
    return (
        name, groups["column"] or "", f"{groups['number']:,}", f"{groups['profiles_without']:,}",
        f"{groups['largest']:,}", f"{groups['median']:g}", f"{groups['of_one_profile']:,}",
        f"{groups['variance_between']:.0%}", f"{groups['variance_between_by_chance']:.0%}",
    )  # fmt: skip


def _setting(value: object) -> str:
    """Return a setting in words. That of duplicates is a rule with the profiles removed."""
    if isinstance(value, Mapping):
        return f"rule {value['rule']}, {len(value['removed']):,} removed"
    return str(value)


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: object) -> str:
    """Return text of a user so that it is no markup and no new cell in Markdown."""
    escaped = printable(str(text)).replace("\\", "\\\\").replace("|", "\\|")
    return escaped.replace("<", "&lt;").replace("[", "\\[")

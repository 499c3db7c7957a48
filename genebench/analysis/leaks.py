"""The effect of each leak of the published protocols: a protocol beside its variants."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from genebench.analysis.tidy import tidy
from genebench.results.record import Record
from genebench.specs import ProtocolSpec

KEYS = ["dataset", "data", "method", "params", "metric"]
"""Columns that a protocol and its variant have in common. ``data`` is the digest of the dataset."""


def leaks(records: Iterable[Record], protocols: Iterable[ProtocolSpec]) -> pd.DataFrame:
    """Return one row per dataset, method with its parameters, metric, and variant of a protocol.

    Both the protocol and its variant must have been run on the same data with the same parameters.
    Columns ``original`` and ``variant`` name the protocols. ``mean_original`` and ``mean_variant``
    are means over all targets and over seeds. ``difference`` is variant − original: the part of
    the score that came from the leak.
    """
    records = list(records)
    digests = {record.key: record.identity.data for record in records}
    table = tidy(records)
    table = table.assign(data=table["key"].map(digests))
    done = table[(table["panel"] == "all") & (table["status"] == "done")]
    means = done.groupby([*KEYS, "protocol"], sort=False)["mean"].mean()
    pairs = [
        _pair(means, spec.variant_of, spec.name) for spec in protocols if spec.variant_of
    ]  # fmt: skip
    return pd.concat(pairs, ignore_index=True)


def _pair(means: pd.Series[float], original: str, variant: str) -> pd.DataFrame:
    """Return the rows of a protocol and one variant, where both were run."""
    columns = {"mean_original": original, "mean_variant": variant}
    by_protocol = means.index.get_level_values("protocol")
    both = pd.concat(
        {
            column: means[by_protocol == protocol].droplevel("protocol")
            for column, protocol in columns.items()
        },
        axis=1,
    ).dropna()
    both["difference"] = both["mean_variant"] - both["mean_original"]
    return both.reset_index().assign(original=original, variant=variant)

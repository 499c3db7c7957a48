"""What each leak of the published protocols is worth: a protocol beside its variants."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from genebench.analysis.tidy import tidy
from genebench.results.record import Record
from genebench.specs import ProtocolSpec

KEYS = ["dataset", "method", "metric"]


def leaks(records: Iterable[Record], protocols: Iterable[ProtocolSpec]) -> pd.DataFrame:
    """One row per dataset, method, metric and variant that was run beside its original.

    Columns ``original`` and ``variant`` name the protocols, ``mean_original`` and
    ``mean_variant`` are means over all targets (and over seeds, or whatever else was run twice),
    ``difference`` is variant − original: what the method owed to the leak.
    """
    table = tidy(records)
    done = table[(table["panel"] == "all") & (table["status"] == "done")]
    means = done.groupby([*KEYS, "protocol"], sort=False)["mean"].mean()
    pairs = [
        _pair(means, spec.variant_of, spec.name) for spec in protocols if spec.variant_of
    ]  # fmt: skip
    return pd.concat(pairs, ignore_index=True)


def _pair(means: pd.Series[float], original: str, variant: str) -> pd.DataFrame:
    columns = {"mean_original": _of(means, original), "mean_variant": _of(means, variant)}
    both = pd.concat(columns, axis=1).dropna()
    both["difference"] = both["mean_variant"] - both["mean_original"]
    return both.reset_index().assign(original=original, variant=variant)


def _of(means: pd.Series[float], protocol: str) -> pd.Series[float]:
    return means[means.index.get_level_values("protocol") == protocol].droplevel("protocol")

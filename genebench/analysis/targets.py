"""Properties of target genes that their errors depend on: variance, and the best landmark."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genebench.data.store import DataStore
from genebench.errors import UserError
from genebench.methods.moments import moments
from genebench.plugins.registry import Registry
from genebench.results.record import Record


def target_properties(record: Record, registry: Registry) -> pd.DataFrame:
    """Return a row for each target gene of a record's dataset, indexed by its id.

    Columns, all over the training profiles of the protocol:

    - ``variance``: of the normalised log2 expression, in log2². Missing if the values of the
      dataset came standardised.
    - ``landmark``: the landmark gene with the largest magnitude of Pearson's correlation.
    - ``correlation``: that magnitude. 0 if the target does not vary.

    Args:
        record: a record.
        registry: everything that is installed.

    Raises:
        UserError: the dataset is not prepared here, or the protocol is not installed, or trains
            on other profiles than the record's.
    """
    protocol = registry.protocols.get(record.identity.protocol)
    if str(protocol.train) != record.identity.train:
        raise UserError(
            f"Protocol {protocol.name} as installed trains on {protocol.train}, and these results "
            f"on {record.identity.train}. Install the plugin that they were run with."
        )
    dataset = DataStore().find(record.identity.data)
    if dataset is None:
        raise UserError(
            f"The dataset {record.dataset} with digest {record.identity.data} is not prepared "
            "here. Prepare it with genebench data prepare."
        )
    train = dataset.profiles(protocol.train)
    sums = moments(train)
    x, y = np.diag(sums.xx), sums.yy
    scale = np.sqrt(np.outer(x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.abs(np.where(scale > 0, sums.xy / scale, 0.0))
    best = correlations.argmax(axis=0)
    std = train.standardiser.std
    variance = np.full(len(y), np.nan)
    if std is not None:
        factors = train.standardiser.factors[len(x) :]
        variance = sums.yy / sums.n / np.square(factors)
    return pd.DataFrame(
        {
            "variance": variance,
            "landmark": dataset.landmark_genes.index.to_numpy()[best],
            "correlation": np.minimum(correlations[best, np.arange(len(y))], 1.0),
        },
        index=dataset.target_genes.index.rename("gene"),
    )

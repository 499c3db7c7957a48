"""Digests of a dataset's content: equal content has equal digests on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pandas as pd

DIGESTED = ("group", "split", "group_split")
"""Columns of profile tables that the digest covers, besides the profile ids."""


def platform_digest(profiles: pd.DataFrame, expression_sha256: str) -> str:
    """Return the digest of a platform: profile ids, groups, splits and expression.

    Args:
        profiles: the profile table.
        expression_sha256: the sha256 of ``expression.npy``, in hexadecimal.
    """
    digest = hashlib.sha256()
    columns = [column for column in DIGESTED if column in profiles]
    # Earlier versions called the validation set "select". Hashing the old word keeps every
    # digest of theirs valid.
    old_words = {column: {"validation": "select"} for column in columns if column != "group"}
    for row in profiles[columns].replace(old_words).itertuples():
        digest.update(json.dumps(list(row)).encode())
    digest.update(expression_sha256.encode())
    return digest.hexdigest()


def dataset_digest(
    landmarks: pd.DataFrame, targets: pd.DataFrame, platforms: Mapping[str, str]
) -> str:
    """Return the digest of a dataset, 16 hexadecimal digits.

    Args:
        landmarks: table of landmark genes in column order. The digest covers their ids.
        targets: table of target genes, likewise.
        platforms: platform → its digest.
    """
    content = [list(landmarks.index), list(targets.index), dict(sorted(platforms.items()))]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

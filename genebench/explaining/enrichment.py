"""Over-representation of gene sets in clusters: hypergeometric, with Benjamini and Hochberg."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genebench._util.files import reason_of
from genebench._util.text import printable
from genebench.errors import UserError, some

GeneSets = Mapping[str, frozenset[str]]
"""Name of a set → its genes."""

MIN_SIZE = 3
"""Fewest genes of the background that a set has. The chance of smaller ones is mostly rounding."""
_MOST_BYTES = 1 << 30
"""Bytes of a GMT file that are read. All of MSigDB has some 50 MB."""
_REMEDY = "Give a GMT file: name, description and genes, separated by tabs, one set in each line."

COLUMNS = (
    "list", "cluster", "set", "background", "size", "drawn", "found", "expected", "fold", "p", "q",
    "genes",
)  # fmt: skip


def read_gmt(path: Path) -> dict[str, frozenset[str]]:
    """Read gene sets from a GMT file, which may be compressed by gzip.

    Raises:
        UserError: the file cannot be read, a line is no set, or a name occurs twice.
    """
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(f"{path}: more than {_MOST_BYTES:,} bytes. {_REMEDY}")
        # Windows puts a byte-order mark before the first name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text. {_REMEDY}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({reason_of(error)}). {_REMEDY}") from None
    sets: dict[str, frozenset[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = frozenset(filter(None, rest[1:]))
        if not name or not genes:
            raise UserError(f"{path}, line {number}: no gene set. {_REMEDY}")
        if name in sets:
            raise UserError(
                f"{path}, line {number}: set {printable(name)} occurs twice. Rename one of them."
            )
        sets[name] = genes
    if not sets:
        raise UserError(f"{path}: no gene set. {_REMEDY}")
    return sets


def known_sets(
    sets: GeneSets, landmarks: pd.DataFrame, targets: pd.DataFrame, source: object
) -> dict[str, frozenset[str]]:
    """Return the sets by Ensembl id, as far as their genes are landmarks or targets.

    Args:
        sets: sets of symbols or Ensembl ids, in any mixture.
        landmarks: gene table with ``symbol``, indexed by Ensembl id.
        targets: the same of the targets.
        source: the file, for the message.

    Raises:
        UserError: no set has a known gene.
    """
    ids: dict[str, set[str]] = {}
    for table in (landmarks, targets):
        for gene, symbol in zip(table.index, table["symbol"], strict=True):
            ids.setdefault(gene, set()).add(gene)
            ids.setdefault(symbol, set()).add(gene)
    known = {
        name: frozenset(gene for given in genes for gene in ids.get(given, ()))
        for name, genes in sets.items()
    }
    if not any(known.values()):
        given = sorted({gene for genes in sets.values() for gene in genes})
        raise UserError(
            f"{source}: none of its {len(given):,} genes is a landmark or a target, such as "
            f"{some(map(printable, given))}. Give sets of gene symbols or Ensembl ids."
        )
    return known


def over_representation(
    lists: Mapping[int, Iterable[str]], background: Iterable[str], sets: GeneSets, name: str = ""
) -> pd.DataFrame:
    """Return how surprising it is that each list holds so many genes of each set.

    The p-value is the chance that as many genes, drawn at random from the background, hold at least
    as many of the set. All lists and sets are one family for the false discovery rate.

    Args:
        lists: cluster → genes that were found.
        background: genes that could have been found. Only they count, in lists and in sets.
        sets: the gene sets. Those with fewer than :data:`MIN_SIZE` genes of the background are
            left out.
        name: kind of the lists, for the column ``list``.

    Returns:
        One row for each cluster and set, smallest p first. ``background``: genes that could have
        been found. ``size``: those in the set. ``drawn``: those in the list. ``found``: those in
        both. ``expected``: the mean of ``found`` by chance. ``q``: p adjusted by Benjamini and
        Hochberg 1995.
    """
    from scipy.stats import false_discovery_control, hypergeom

    universe = frozenset(background)
    inside = {
        title: genes & universe
        for title, genes in sets.items()
        if len(genes & universe) >= MIN_SIZE
    }
    rows = []
    for cluster, listed in lists.items():
        drawn = frozenset(listed) & universe
        for title, genes in inside.items():
            found = sorted(drawn & genes)
            expected = len(drawn) * len(genes) / len(universe)
            rows.append(
                {
                    "list": name, "cluster": cluster, "set": title, "background": len(universe),
                    "size": len(genes), "drawn": len(drawn), "found": len(found),
                    "expected": expected, "fold": len(found) / expected if expected else np.nan,
                    "genes": " ".join(found),
                }
            )  # fmt: skip
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.DataFrame(rows)
    p = hypergeom.sf(table["found"] - 1, table["background"], table["size"], table["drawn"])
    table["p"] = np.clip(np.asarray(p, float), 0.0, 1.0)
    table["q"] = false_discovery_control(table["p"])
    return table[list(COLUMNS)].sort_values("p", kind="stable", ignore_index=True)

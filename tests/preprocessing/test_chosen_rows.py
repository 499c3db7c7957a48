"""Ids by a pattern, repeated rows, missing values, and landmarks that are filled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genebench.cli.data import _choices
from genebench.data.store import DataStore
from genebench.errors import UserError
from genebench.formats.base import Reader
from genebench.preprocessing.chosen_rows import IdPattern, choose_rows, unlike_others
from genebench.preprocessing.compendium import Compendium, Platform
from genebench.preprocessing.recipe import prepare

GENES = 40
LANDMARKS = 10
ENSEMBL = [f"ENSG{gene:011d}" for gene in range(GENES)]
SYMBOLS = [f"SYM{gene}" for gene in range(GENES)]
NAN = np.nan


class Array(Reader):
    """A matrix in memory, profiles × genes."""

    def __init__(self, ids, values) -> None:
        self.source, self.gene_ids = "m.tsv", pd.Index(ids, dtype="str")
        self.profiles = pd.DataFrame(index=[f"p{number}" for number in range(len(values))])
        self.values = np.asarray(values, np.float64)

    def blocks(self, genes, size=1024):
        for start in range(0, len(self.values), size):
            block = self.values[start : start + size, genes]
            self.check_finite(block, start, genes)
            yield block


def maps(genes=GENES):
    table = pd.DataFrame(
        {"symbol": SYMBOLS[:genes], "probes": [f"{gene}_at" for gene in range(genes)]},
        index=ENSEMBL[:genes],
    )
    return table.iloc[:LANDMARKS], table.iloc[LANDMARKS:]


def compendium(geo: Platform, **others: Platform) -> Compendium:
    landmarks, targets = maps()
    return Compendium(
        name="c", title="c", landmarks=landmarks, targets=targets, platforms={"geo": geo, **others}
    )


def arrays(profiles=20, seed=0):
    return np.random.default_rng(seed).normal(8, 2, (profiles, GENES))


def whole(reader):
    reader.check_finite = lambda *_: None
    return np.concatenate(list(reader.read(np.arange(len(reader.gene_ids)), 7)))


@pytest.mark.parametrize(
    ("pattern", "kind", "id_", "part"),
    [
        ("SYM (entrez)", "symbol", "TP53 (7157)", "TP53"),
        ("SYM (entrez)", "entrez", "TP53 (7157)", "7157"),
        ("SYM|entrez", "symbol", "SLC35E2|9906", "SLC35E2"),
        ("ENSG|SYM", "ensembl", "ENSG00000141510.11|TP53", "ENSG00000141510.11"),
        ("ENSG|SYM", "symbol", "ENSG00000141510.11|TP53", "TP53"),
        ("*:symbol", "symbol", "chr17:TP53", "TP53"),
        ("probe [*]", "probe", "1007_s_at [DDR1]", "1007_s_at"),
    ],
)
def test_a_part_of_an_id(pattern, kind, id_, part):
    taken, unlike = IdPattern(pattern, kind).take(pd.Index([id_]), "f")
    assert (taken.tolist(), unlike) == ([part], 0)


@pytest.mark.parametrize("pattern", ["SYM", "entrez", "(SYM) symbol", "", "TP53"])
def test_a_pattern_without_one_such_part(pattern):
    with pytest.raises(UserError, match="parts that are probe ids, not 1"):
        IdPattern(pattern, "probe")


def test_ids_of_another_form_are_counted_or_refused():
    pattern = IdPattern("SYM|entrez", "symbol")
    taken, unlike = pattern.take(pd.Index(["A|1", "B|2", "odd"]), "f.tsv")
    assert (taken.tolist(), unlike) == (["A", "B", "odd"], 1)
    with pytest.raises(UserError, match=r"f.tsv: 2 ids of 3 .* \(odd, rest\)"):
        pattern.take(pd.Index(["A|1", "odd", "rest"]), "f.tsv")


REPEATED = ["SYM0", "SYM1", "SYM0", "Y_RNA", "Y_RNA", "", *SYMBOLS[2:]]


def with_repeats(rule):
    values = arrays(12)[:, [0, 1, 0, 3, 3, 3, *range(2, GENES)]]
    values[:, 2] += np.where(np.arange(12) % 2, 3, -3)
    return values, Platform(reader=Array(REPEATED, values), ids="symbol", repeated=rule)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mean", lambda first, second: (first + second) / 2),
        ("max", np.maximum),
        ("first", lambda first, _: first),
    ],
)
def test_a_gene_of_several_rows(rule, expected):
    values, platform = with_repeats(rule)
    chosen, notes = choose_rows(compendium(platform))
    reader = chosen.platforms["geo"].reader
    assert reader.gene_ids[:3].tolist() == ["SYM0", "SYM1", "Y_RNA"]
    np.testing.assert_array_equal(whole(reader)[:, 0], expected(values[:, 0], values[:, 2]))
    np.testing.assert_array_equal(whole(reader)[:, 1], values[:, 1])
    assert notes["geo"]["repeated"] == {"rule": rule, "genes": 1, "other_rows": 3}


def test_several_rows_without_a_rule():
    _, platform = with_repeats("error")
    with pytest.raises(UserError, match=r"1 symbol id of the maps with more than one row: SYM0"):
        choose_rows(compendium(platform))


def test_rows_that_no_map_names_are_counted_and_left_out(tmp_path):
    ids = ["Y_RNA", "Y_RNA", "", *SYMBOLS]
    values = np.hstack([arrays()[:, :3], arrays()])
    platform = Platform(reader=Array(ids, values), ids="symbol")
    chosen, notes = choose_rows(compendium(platform))
    assert (chosen.platforms["geo"], notes) == (platform, {"geo": {}})
    noted = prepare(chosen, store=DataStore(tmp_path)).info["platforms"]["geo"]["notes"]
    assert noted[0].startswith("2 rows left out whose id repeats and is in no map: Y_RNA")


def test_a_plain_platform_keeps_its_reader():
    platform = Platform(reader=Array(SYMBOLS, arrays()), ids="symbol", repeated="mean")
    chosen, notes = choose_rows(compendium(platform))
    assert chosen.platforms["geo"].reader is platform.reader
    assert notes == {"geo": {}}


def test_versions_apart_are_rows_of_one_gene():
    ids = [f"{ENSEMBL[0]}.1", f"{ENSEMBL[0]}.2", *ENSEMBL[1:]]
    values = arrays()[:, [0, 1, *range(1, GENES)]]
    platform = Platform(reader=Array(ids, values), ids="ensembl")
    with pytest.raises(UserError, match="2 Ensembl ids differ only in their version"):
        choose_rows(compendium(platform))
    chosen, _ = choose_rows(compendium(replace(platform, repeated="max")))
    reader = chosen.platforms["geo"].reader
    assert reader.gene_ids.tolist() == ENSEMBL
    np.testing.assert_array_equal(whole(reader)[:, 0], values[:, :2].max(axis=1))


def gaps(rule):
    """Twenty arrays: gene 3 lacks two values, gene 15 one, and an unmapped gene all of them."""
    values = np.hstack([arrays(), np.full((20, 1), NAN)])
    values[[4, 5], 3] = NAN
    values[5, 15] = NAN
    reader = Array([*SYMBOLS, "OTHER"], values)
    if rule != "error":
        reader.keep_missing()
    return Platform(reader=reader, ids="symbol", missing_values=rule)


def test_genes_with_missing_values_are_dropped(tmp_path):
    data = compendium(replace(gaps("drop-gene")))
    dataset = prepare(data, store=DataStore(tmp_path))
    assert dataset.info["platforms"]["geo"]["missing_values"] == {
        "rule": "drop-gene",
        "cells": 3,
        "genes": ["SYM3", "SYM15"],
        "profiles": [],
        "other_genes": 1,
    }
    assert ENSEMBL[3] not in dataset.landmark_genes.index
    assert dataset.info["platforms"]["geo"]["coverage"]["targets"]["missing"] == [ENSEMBL[15]]
    # The same file without those genes gives the same digest.
    keep = [gene for gene in range(GENES) if gene not in {3, 15}]
    reader = Array([SYMBOLS[gene] for gene in keep], arrays()[:, keep])
    without = compendium(Platform(reader=reader, ids="symbol"))
    assert prepare(without, store=DataStore(tmp_path / "other")).digest == dataset.digest


def test_profiles_with_missing_values_are_dropped(tmp_path):
    dataset = prepare(compendium(gaps("drop-profile")), store=DataStore(tmp_path))
    noted = dataset.info["platforms"]["geo"]["missing_values"]
    assert (noted["cells"], noted["genes"], noted["profiles"]) == (3, [], ["p4", "p5"])
    assert dataset.profile_table("geo").index.tolist() == [
        f"p{number}" for number in range(20) if number not in {4, 5}
    ]


def test_missing_values_without_a_rule(tmp_path):
    with pytest.raises(UserError, match=r"profile 'p4', gene 'SYM3' is nan: missing"):
        prepare(compendium(gaps("error")), store=DataStore(tmp_path))


@pytest.mark.parametrize("rule", ["drop-gene", "drop-profile"])
def test_a_rule_that_leaves_nothing(rule):
    reader = Array(SYMBOLS, np.full((20, GENES), NAN))
    reader.keep_missing()
    platform = Platform(reader=reader, ids="symbol", missing_values=rule)
    with pytest.raises(UserError, match=f"so missing_values = '{rule}' leaves none. Write"):
        choose_rows(compendium(platform))


@pytest.mark.parametrize("rule", ["drop-gene", "drop-profile"])
def test_a_rule_that_changes_nothing_changes_no_digest(rule, tmp_path):
    plain = Platform(reader=Array(SYMBOLS, arrays()), ids="symbol")
    digests = set()
    for number, platform in enumerate((plain, replace(plain, missing_values=rule))):
        dataset = prepare(compendium(platform), store=DataStore(tmp_path / str(number)))
        digests.add(dataset.digest)
        assert "missing_values" not in dataset.info["platforms"]["geo"]
    assert len(digests) == 1


def test_an_infinite_value_is_not_missing():
    values = arrays()
    values[2, 0] = np.inf
    reader = Array(SYMBOLS, values)
    reader.keep_missing()
    platform = Platform(reader=reader, ids="symbol", missing_values="drop-gene")
    with pytest.raises(UserError, match="gene 'SYM0' is inf"):
        choose_rows(compendium(platform))


def filled(tmp_path, rule="fill", lacking=2):
    """A dataset whose RNA-seq lacks the first landmarks, and one target."""
    rna = np.random.default_rng(1).gamma(2, 3, (6, GENES))
    kept = [*range(lacking, LANDMARKS), *range(LANDMARKS + 1, GENES)]
    data = compendium(
        Platform(reader=Array(SYMBOLS, arrays()), ids="symbol"),
        gtex=Platform(reader=Array([SYMBOLS[gene] for gene in kept], rna[:, kept]), ids="symbol"),
    )
    return prepare(replace(data, missing_genes=rule), store=DataStore(tmp_path))


def test_landmarks_are_filled_and_targets_are_not(tmp_path):
    dataset = filled(tmp_path)
    assert dataset.landmark_genes.index.tolist() == ENSEMBL[:LANDMARKS]
    assert dataset.target_genes.index.tolist() == ENSEMBL[LANDMARKS + 1 :]
    assert dataset.info["platforms"]["gtex"]["filled"] == ENSEMBL[:2]
    assert dataset.info["platforms"]["geo"]["filled"] == []
    # A filled gene is constant: near its mean on the arrays, by the resolution of the reference.
    gtex = np.asarray(dataset.expression("gtex"))
    assert (gtex[:, :2] == gtex[0, :2]).all()
    training = (dataset.profile_table("geo")["split"] == "train").to_numpy()
    means = np.asarray(dataset.expression("geo"))[training, :2].mean(axis=0)
    assert np.abs(gtex[0, :2] - means).max() < 0.5


def test_measured_genes_keep_their_order_beside_filled_ones(tmp_path):
    dataset = filled(tmp_path)
    measured = np.random.default_rng(1).gamma(2, 3, (6, GENES))[:, LANDMARKS + 1 :]
    gtex = np.asarray(dataset.expression("gtex"))[:, LANDMARKS:]
    for row in range(6):
        assert (np.diff(gtex[row][np.argsort(measured[row])]) >= 0).all()
    assert gtex.max() == pytest.approx(dataset.reference.max())


def test_fill_without_missing_landmarks_is_drop(tmp_path):
    digests = {filled(tmp_path / rule, rule, 0).digest for rule in ("fill", "drop")}
    assert len(digests) == 1


def test_names_of_statistics_and_names_without_digits():
    ids = [f"GSM{number}" for number in range(16)]
    assert unlike_others(pd.Index([*ids, "exon_length"])) == ["exon_length"]
    assert unlike_others(pd.Index([*ids, "whole"])) == ["whole"]
    assert unlike_others(pd.Index(["liver", "lung", "brain", "Mean"])) == ["Mean"]
    assert unlike_others(pd.Index(["liver", "lung", "brain"])) == []
    assert unlike_others(pd.Index(["a1", "b2", "c3"])) == []


def test_a_code_in_one_of_several_rows_of_a_gene_is_refused():
    values, platform = with_repeats("mean")
    values[5, 2] = -99
    platform = replace(platform, reader=Array(REPEATED, values))
    chosen, _ = choose_rows(compendium(platform))
    with pytest.raises(UserError, match="profile 'p5', gene 'SYM0' is -99, a code for a missing"):
        whole(chosen.platforms["geo"].reader)
    taken, _ = choose_rows(compendium(replace(platform, level="any")))
    assert whole(taken.platforms["geo"].reader).min() < -40


ALIASES = pd.Series({"DIFF6": ENSEMBL[0], "SEPTIN2": ENSEMBL[0], "OLD1": ENSEMBL[1]})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mean", lambda first, second: (first + second) / 2),
        ("max", np.maximum),
        ("first", lambda first, _: first),
    ],
)
def test_a_gene_of_several_rows_by_its_aliases(rule, expected, tmp_path):
    # SYM1 has a row of its own symbol, which its alias does not change.
    ids = ["SEPTIN2", "SYM1", "OLD1", "DIFF6", *SYMBOLS[2:]]
    values = arrays()[:, [0, 1, 9, 5, *range(2, GENES)]]
    platform = Platform(reader=Array(ids, values), ids="symbol", repeated=rule)
    data = replace(compendium(platform), aliases=ALIASES)
    plain = arrays()
    plain[:, 0] = expected(values[:, 0], values[:, 3])
    alone = compendium(Platform(reader=Array(SYMBOLS, plain), ids="symbol"))
    digests = {
        prepare(item, store=DataStore(tmp_path / str(number))).digest
        for number, item in enumerate((data, alone))
    }
    assert len(digests) == 1
    with pytest.raises(UserError, match=r'aliases: DIFF6, SEPTIN2\. .* or write repeated = "mean"'):
        choose_rows(replace(data, platforms={"geo": replace(platform, repeated="error")}))


def test_a_probe_that_is_left_out_is_a_row_not_a_gene(tmp_path):
    """A gene of two probes stays with one of them."""
    landmarks, targets = maps()
    landmarks = landmarks.assign(probes=[f"{gene}_at,{gene}b_at" for gene in range(LANDMARKS)])
    ids = [*(f"{gene}_at" for gene in range(GENES)), "7b_at"]
    values = np.hstack([arrays(), arrays()[:, [7]]])
    values[3, GENES] = NAN
    reader = Array(ids, values)
    reader.keep_missing()
    platform = Platform(reader=reader, ids="probe", missing_values="drop-gene")
    data = replace(compendium(platform), landmarks=landmarks, targets=targets)
    dataset = prepare(data, store=DataStore(tmp_path))
    assert ENSEMBL[7] in dataset.landmark_genes.index
    shown = list(_choices(dataset.info["platforms"]["geo"]))
    assert shown == [
        "1 missing value in genes of the maps. drop-gene left out 1 row (7b_at) and 0 profiles"
    ]

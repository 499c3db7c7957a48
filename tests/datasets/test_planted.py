"""The truth behind the simulation, as far as explanations are tested with it."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import UserError
from genebench.datasets.sim import SIZES, draw_genes
from genebench.datasets.sim.planted import planted


@pytest.fixture(scope="module")
def truth():
    return planted("tiny")


@pytest.fixture(scope="module")
def drawn():
    return draw_genes(SIZES["tiny"])


def test_genes_are_in_the_order_of_the_prepared_dataset(truth, drawn, tiny):
    _, genome = drawn
    assert list(tiny.landmark_genes.index) == list(genome.landmarks.index)
    assert list(tiny.target_genes.index) == list(genome.targets.index)
    assert len(truth.landmark_pathway) == len(tiny.landmark_genes)
    assert len(truth.target_pathway) == len(tiny.target_genes)


def test_the_pathway_of_a_gene_is_that_of_its_strongest_regulator(truth, drawn):
    regulation, genome = drawn
    loadings = regulation.loadings.toarray()
    rows = {f"ENSGSIM{row + 1:08d}": values for row, values in enumerate(loadings)}
    for table, pathways in (
        (genome.landmarks, truth.landmark_pathway),
        (genome.targets, truth.target_pathway),
    ):
        for gene, pathway in zip(table.index, pathways, strict=True):
            assert regulation.pathway[np.abs(rows[gene]).argmax(), 0] == pathway
    landmark, target = rows[genome.landmarks.index[3]], rows[genome.targets.index[5]]
    assert truth.reports[5, 3] == (target[np.abs(landmark).argmax()] != 0)


def test_twins_have_one_pathway(truth, drawn):
    _, genome = drawn
    landmark_of = genome.landmarks.index.get_indexer(genome.targets.index)
    twins = landmark_of >= 0
    assert twins.sum() == SIZES["tiny"].twins
    np.testing.assert_array_equal(
        truth.target_pathway[twins], truth.landmark_pathway[landmark_of[twins]]
    )
    assert truth.reports[np.flatnonzero(twins), landmark_of[twins]].all()


def test_sets_are_the_pathways_and_as_many_random_genes(truth, drawn):
    _, genome = drawn
    pathways = {name: genes for name, genes in truth.gene_sets.items() if "PATHWAY" in name}
    genes = [gene for part in pathways.values() for gene in part]
    symbols = {*genome.landmarks["symbol"], *genome.targets["symbol"]}
    assert len(genes) == len(set(genes)) == len(symbols)
    assert set(genes) == symbols
    for name, part in pathways.items():
        decoy = truth.gene_sets[name.replace("PATHWAY", "RANDOM")]
        assert len(set(decoy)) == len(part)
        assert set(decoy) <= symbols
    named = dict(zip(genome.landmarks["symbol"], truth.landmark_pathway, strict=True))
    assert all(
        f"PATHWAY-{named[s] + 1:02d}" == n for n, p in pathways.items() for s in p if s in named
    )
    assert planted("tiny").gene_sets == truth.gene_sets


def test_an_unknown_preset_is_refused():
    with pytest.raises(UserError, match="unknown preset of sim 'huge'"):
        planted("huge")

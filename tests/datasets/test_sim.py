"""The embedded simulation: reproducible, and shaped like the real data."""

from dataclasses import replace

import numpy as np
import pytest

from genebench.datasets import sim
from genebench.datasets.sim import genome
from genebench.errors import UserError
from genebench.preprocessing.genes import strip_version


@pytest.fixture(scope="module")
def tiny():
    return sim.compendium("tiny")


@pytest.fixture(scope="module")
def values(tiny):
    return {name: read(tiny, name) for name in tiny.platforms}


def read(compendium, platform, genes=None, size=1024):
    reader = compendium.platforms[platform].reader
    genes = np.arange(len(reader.gene_ids)) if genes is None else genes
    return np.concatenate(list(reader.blocks(genes, size)))


def twins(compendium):
    return compendium.targets.index.intersection(compendium.landmarks.index)


def sequenced(compendium):
    return strip_version(compendium.platforms["gtex"].reader.gene_ids)


@pytest.mark.parametrize("size", [1, 100, 256, 300, 10_000])
def test_values_do_not_depend_on_the_block_size(tiny, values, size):
    assert read(tiny, "geo", size=size).tobytes() == values["geo"].tobytes()


def test_blocks_have_the_size_asked_for(tiny):
    reader = tiny.platforms["geo"].reader
    lengths = [len(block) for block in reader.blocks(np.arange(3), 150)]
    assert lengths == [150, 150, 100]


@pytest.mark.parametrize("platform", ["geo", "1000g", "gtex"])
def test_two_calls_give_the_same_bytes(values, platform):
    assert read(sim.compendium("tiny"), platform).tobytes() == values[platform].tobytes()


def test_genes_come_in_the_order_asked_for(tiny, values):
    genes = np.array([40, 3, 17])
    assert np.array_equal(read(tiny, "gtex", genes), values["gtex"][:, genes])


def test_more_profiles_change_neither_genes_nor_other_platforms(values):
    longer = sim.build("longer", replace(sim.SIZES["tiny"], gtex=1000, geo=600))
    assert np.array_equal(read(longer, "1000g"), values["1000g"])
    assert longer.targets.equals(sim.compendium("tiny").targets)


def test_another_seed_gives_other_values(values):
    other = sim.build("other", replace(sim.SIZES["tiny"], seed=1))
    assert not np.array_equal(read(other, "geo"), values["geo"])


@pytest.mark.parametrize("platform", ["geo", "1000g", "gtex"])
def test_values_are_finite_and_not_negative(values, platform):
    assert np.isfinite(values[platform]).all()
    assert values[platform].min() >= 0
    assert values[platform].dtype == np.float32


@pytest.mark.parametrize("preset", sim.SIZES)
def test_the_share_of_twins_is_that_of_the_real_maps(preset):
    size = sim.SIZES[preset]
    assert size.twins == round(size.landmarks * 445 / 943)


def test_maps_have_the_declared_sizes(tiny):
    size = sim.SIZES["tiny"]
    assert (len(tiny.landmarks), len(tiny.targets)) == (size.landmarks, size.targets)
    assert len(twins(tiny)) == size.twins
    for name, profiles in {"geo": size.geo, "1000g": size.lcl, "gtex": size.gtex}.items():
        assert len(tiny.platforms[name].reader.profiles) == profiles


def test_twins_are_one_row_of_rna_seq_and_two_probes_of_the_array(tiny, values):
    rows = sequenced(tiny)
    assert rows.is_unique
    assert twins(tiny).isin(rows).all()
    probes = tiny.platforms["geo"].reader.gene_ids
    for gene in twins(tiny):
        landmark = probes.get_loc(tiny.landmarks.loc[gene, "probes"])
        target = probes.get_indexer(tiny.targets.loc[gene, "probes"].split(","))
        assert landmark not in target
        assert not np.array_equal(values["geo"][:, landmark], values["geo"][:, target].mean(axis=1))


def test_two_probes_of_a_gene_tell_of_the_same_gene(tiny, values):
    probes = tiny.platforms["geo"].reader.gene_ids
    pairs = [tiny.targets.loc[gene, "probes"].split(",")[0] for gene in twins(tiny)]
    first = values["geo"][:, probes.get_indexer(pairs)]
    second = values["geo"][:, probes.get_indexer(tiny.landmarks.loc[twins(tiny), "probes"])]
    same = [np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)]
    assert np.median(same) > 0.8


def test_landmarks_have_one_probe_and_targets_one_or_more(tiny):
    assert not tiny.landmarks["probes"].str.contains(",").any()
    counts = tiny.targets["probes"].str.count(",") + 1
    assert counts.value_counts().to_dict()[1] == pytest.approx(len(counts) * 5765 / 9520, abs=1)
    assert counts.max() >= 3


def test_probe_counts_follow_the_real_map_exactly_at_its_size():
    counts = genome.probe_counts(9520, np.random.default_rng(0))
    assert tuple(np.bincount(counts)[1:]) == genome.PROBES_PER_TARGET


def test_every_id_is_recognisably_simulated(tiny):
    assert tiny.targets["symbol"].str.startswith("SIM").all()
    assert tiny.targets.index.str.startswith("ENSGSIM").all()
    assert tiny.platforms["geo"].reader.gene_ids.str.match(r"sim_\d{6}_at").all()
    assert tiny.origin["kind"] == "simulated"


def test_some_rna_seq_ids_carry_a_version(tiny):
    versioned = tiny.platforms["1000g"].reader.gene_ids.str.contains(".", regex=False)
    assert 0 < versioned.mean() < 0.5


def test_gtex_has_many_tissues_and_1000g_one(tiny):
    tissues = {name: p.reader.profiles["tissue"].nunique() for name, p in tiny.platforms.items()}
    assert tissues["1000g"] == 1
    assert tissues["gtex"] == sim.SIZES["tiny"].tissues


def test_groups_are_labelled(tiny):
    geo, gtex = tiny.platforms["geo"], tiny.platforms["gtex"]
    assert (geo.group, gtex.group, tiny.platforms["1000g"].group) == ("series", "donor", None)
    assert geo.reader.profiles["series"].nunique() > 3
    assert gtex.reader.profiles.groupby("donor")["tissue"].nunique().max() > 1


def test_profiles_of_a_series_resemble_each_other(tiny, values):
    series = tiny.platforms["geo"].reader.profiles["series"].to_numpy()
    means = np.stack([values["geo"][series == name].mean(axis=0) for name in np.unique(series)])
    spread_by_chance = (
        values["geo"].var(axis=0) / np.bincount(np.unique(series, return_inverse=True)[1]).mean()
    )
    assert np.median(means.var(axis=0) / spread_by_chance) > 2


def test_rna_seq_has_zeros_and_over_dispersed_counts(tiny, values):
    gtex = values["gtex"]
    assert 0 < (gtex == 0).mean() < 0.2
    one_tissue = values["1000g"][:, values["1000g"].mean(axis=0) > 1]
    assert (one_tissue.var(axis=0) > one_tissue.mean(axis=0)).mean() > 0.5


def test_counts_vary_more_than_poisson_where_expression_does_not():
    quiet = sim.build("quiet", replace(sim.SIZES["tiny"], noise=0.0))
    sequencer = quiet.platforms["gtex"].reader._laboratory.instrument
    genes = len(sequencer.kilobases)
    level, nothing = np.full((genes, 500), 5, np.float32), np.zeros((500, 4), np.float32)
    rpkm = sequencer.measure(level, nothing, np.random.default_rng(0), 1.0)
    poisson = 2**5 / (8 * sequencer.kilobases)  # variance of RPKM of a library of 8 million reads
    assert rpkm.mean() == pytest.approx(2**5, rel=0.05)
    assert np.median(rpkm.var(axis=1) / poisson) > 2


def test_the_array_has_a_background_and_saturates():
    array = sim.compendium("tiny").platforms["geo"].reader._laboratory.instrument
    genes = array.gene.max() + 1
    levels = np.repeat(np.array([-20, -10, 5, 6, 20, 21], np.float32)[None], genes, axis=0)
    measured = array.measure(levels, np.zeros((6, 4), np.float32), np.random.default_rng(0), 0.0)
    assert measured[:, 1] == pytest.approx(measured[:, 0], abs=0.05)
    assert measured[:, 5] == pytest.approx(measured[:, 4], abs=0.2)
    assert (measured[:, 3] > measured[:, 2]).all()


def test_without_noise_only_biology_remains(values):
    quiet = read(sim.build("quiet", replace(sim.SIZES["tiny"], noise=0.0)), "geo")
    assert np.median(values["geo"].std(axis=0) - quiet.std(axis=0)) > 0
    agreement = [np.corrcoef(a, b)[0, 1] for a, b in zip(values["geo"].T, quiet.T, strict=True)]
    assert 0.8 < np.median(agreement) < 0.999


def test_landmarks_touch_every_pathway(tiny):
    regulation = tiny.platforms["geo"].reader._laboratory.regulation
    names = strip_version(tiny.platforms["gtex"].reader.gene_ids)
    loadings = abs(regulation.loadings.toarray())[names.get_indexer(tiny.landmarks.index)]
    followed = regulation.pathway[loadings.argmax(axis=1), 0]
    assert len(np.unique(followed)) == sim.SIZES["tiny"].pathways


def test_an_unknown_preset_is_the_users_error():
    with pytest.raises(UserError, match="Did you mean small"):
        sim.compendium("smal")

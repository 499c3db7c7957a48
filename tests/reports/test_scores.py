"""The report of scores: comparable numbers side by side, the paper's only where they belong."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from genebench import api
from genebench.plugins.registry import registry
from genebench.preprocessing.genes import read_gene_map
from genebench.reports.ranks import RanksReport
from genebench.reports.reporters import markup as text
from genebench.reports.reporters import terminal
from genebench.reports.reporters.values import as_csv, csv_of
from genebench.reports.scores import ScoresReport
from genebench.results.published import PUBLISHED, is_published
from genebench.results.record import Failure, Score, Seal


@pytest.fixture(scope="module")
def records(tiny, tmp_path_factory):
    """lsr and the controls under both protocols."""
    folder = tmp_path_factory.mktemp("report") / "results"
    return api.run("lsr", dataset="sim", preset="tiny", results=folder).records


@pytest.fixture(scope="module")
def lsr(records):
    return next(r for r in records if (r.identity.method, r.identity.protocol) == ("lsr", "geo"))


def with_identity(record, **changes):
    """The record as if something else had been run; its key is made up."""
    identity = record.identity.model_copy(update=changes)
    key = format(abs(hash(identity.model_dump_json())), "024x")[:24]
    return record.model_copy(update={"identity": identity, "key": key})


def with_mae(record, mean, std=0.1):
    genes = record.scores["mae"]["all"].genes
    scores = record.scores | {"mae": {"all": Score(mean=mean, std=std, genes=genes)}}
    return record.model_copy(update={"scores": scores})


def failed(record):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    return record.model_copy(update={"status": "failed", "scores": {}, "failure": failure})


def sections(*records):
    return list(ScoresReport(tuple(records), registry()).sections())


def table(section, start="MAE"):
    return next(table for table in section.tables if table.title.startswith(start))


def column(section, name, start="MAE"):
    """Label → cell of one column."""
    at = table(section, start).columns.index(name)
    return {row.cells[0]: row.cells[at] for row in table(section, start).rows}


def labels(section, start="MAE"):
    return [row.cells[0] for row in table(section, start).rows]


# What stands in one table


def test_protocols_are_never_in_one_table(records, lsr):
    assert [section.title for section in sections(*records)] == [
        f"sim · geo · data {lsr.identity.data}",
        f"sim · gtex · data {lsr.identity.data}",
    ]


@pytest.mark.parametrize(
    "other",
    [
        lambda record: with_identity(record, data="0123456789abcdef"),
        lambda record: with_identity(record, protocol_version=2),
        lambda record: with_identity(record, test="1000g"),
        lambda record: with_identity(record, numerics=2),
        lambda record: with_identity(record, splits={"tissue": "d"}),
    ],
    ids=["data digest", "protocol version", "test profiles", "numerics", "split"],
)
def test_what_cannot_be_compared_is_never_in_one_table(lsr, other):
    split = sections(lsr, other(lsr))
    assert [labels(section) for section in split] == [["lsr"], ["lsr"]]


def test_sections_of_other_data_say_which_data_they_are_about(lsr):
    first, second = sections(lsr, with_identity(lsr, data="0123456789abcdef"))
    assert {first.title[-16:], second.title[-16:]} == {lsr.identity.data, "0123456789abcdef"}


def test_the_sections_do_not_depend_on_the_order_of_the_records(records):
    """A folder gives its records by key, a run by plan: the tables should agree."""
    forwards = [section.title for section in sections(*records)]
    backwards = [section.title for section in sections(*reversed(records))]
    assert forwards == backwards


def test_methods_are_ranked_best_first_and_controls_come_last(records, lsr):
    worse = with_mae(with_identity(lsr, method="worse"), lsr.scores["mae"]["all"].mean + 0.1)
    flattered = [
        with_mae(record, 0.0) if record.identity.method == "train-mean" else record
        for record in records
    ]
    geo = sections(worse, *flattered)[0]
    assert labels(geo) == ["lsr", "worse", "copy-twin", "train-mean"]


def test_a_control_is_never_the_best(records):
    flattered = [
        with_mae(record, 0.0) if record.identity.method == "train-mean" else record
        for record in records
    ]
    mae = table(sections(*flattered)[0])
    assert {row.cells[0] for row in mae.rows if row.best} == {"lsr"}
    assert {row.cells[0] for row in mae.rows if row.control} == {"train-mean", "copy-twin"}


def test_the_higher_cc_is_the_better(lsr):
    better = with_identity(lsr, method="better")
    score = Score(mean=0.99, std=0.0, genes=1)
    better = better.model_copy(update={"scores": lsr.scores | {"cc": {"all": score}}})
    assert labels(sections(lsr, better)[0], "CC") == ["better", "lsr"]


# Seeds and variants


def test_several_seeds_are_one_row_with_their_means(lsr):
    seeds = [
        with_mae(with_identity(lsr, seed=seed), mean, std)
        for seed, (mean, std) in enumerate([(0.3, 0.1), (0.4, 0.2), (0.8, 0.6)])
    ]
    (section,) = sections(*seeds)
    assert column(section, "all") == {"lsr": "0.5000 ± 0.3000"}
    assert "lsr: mean of 3 seeds" in section.details


def test_a_failed_seed_does_not_hide_the_others(lsr):
    good = with_mae(lsr, 0.3, 0.1)
    (section,) = sections(good, failed(with_identity(lsr, seed=1)))
    assert column(section, "all") == {"lsr": "0.3000 ± 0.1000"}
    assert "lsr failed: ValueError: no luck" in section.notes


def test_a_method_that_failed_says_so_in_its_cells_and_ranks_below_those_that_did_not(lsr):
    (section,) = sections(failed(with_identity(lsr, method="unlucky")), lsr)
    assert labels(section) == ["lsr", "unlucky"]
    assert column(section, "all")["unlucky"] == "failed"


def test_where_everything_failed_there_is_still_a_report(lsr):
    (section,) = sections(failed(lsr))
    assert "lsr failed: ValueError: no luck" in section.notes


def test_parameters_that_differ_tell_rows_apart(lsr):
    variants = [with_identity(lsr, params={"k": k, "same": 1}) for k in (3, 7)]
    assert sorted(labels(sections(*variants)[0])) == ["lsr (k=3)", "lsr (k=7)"]


def test_versions_that_differ_tell_rows_apart(lsr):
    code = lsr.identity.code.model_copy(update={"version": "9.9"})
    newer = with_identity(lsr, code=code)
    assert "lsr (version 9.9)" in labels(sections(lsr, newer)[0])


def test_edited_code_tells_rows_apart(lsr):
    code = lsr.identity.code.model_copy(update={"digest": "feedfacefeedface"})
    edited = with_identity(lsr, code=code)
    assert "lsr (code feedfac)" in labels(sections(lsr, edited)[0])


def test_records_of_a_method_that_is_no_longer_installed_are_still_shown(lsr):
    gone = with_identity(lsr, method="gone")
    assert "gone" in labels(sections(gone)[0])


def test_a_constant_prediction_is_pointed_out(lsr):
    (section,) = sections(lsr.model_copy(update={"constant_prediction": 7}))
    assert any("CONSTANT" in note and "7" in note for note in section.notes)


def test_units_and_directions_are_said(lsr):
    (section,) = sections(lsr)
    assert table(section).title == ("MAE (lower is better, unit: standard deviations of the gene)")
    assert "higher is better" in table(section, "CC").title


# The paper's numbers


def test_the_papers_values_are_those_of_its_tables():
    assert PUBLISHED["geo", "lsr", "mae"] == (0.3763, 0.0844)
    assert PUBLISHED["geo", "ggan", "mae"] == (0.2897, 0.0890)
    assert PUBLISHED["gtex", "knn-ge", "cc"] == (0.3941, 0.4124)
    assert len(PUBLISHED) == 2 * 2 * 6


def test_published_values_stand_beside_ours_on_the_published_data(records):
    published = [record.model_copy(update={"published_data": True}) for record in records]
    geo, gtex = sections(*published)
    assert column(geo, "published")["lsr"] == "0.3763 ± 0.0844"
    assert column(geo, "published", "CC")["lsr"] == "0.8227 ± 0.0956"
    assert column(gtex, "published")["lsr"] == "0.4704 ± 0.1235"
    assert column(geo, "published")["train-mean"] == "–"


def test_published_values_are_never_shown_beside_other_data(records):
    for section in sections(*records):
        assert "published" not in table(section).columns


def test_a_published_value_is_never_marked_as_the_best(lsr):
    (section,) = sections(lsr.model_copy(update={"published_data": True}))
    at = table(section).columns.index("published")
    assert all(at not in row.best for row in table(section).rows)


def test_published_values_are_for_the_published_parameters_only(lsr):
    """A variant with other parameters is not what the paper ran."""
    published = lsr.model_copy(update={"published_data": True})
    knn = with_identity(published, method="knn-ge", params={"k_max": 50})
    other = with_identity(published, method="knn-ge", params={"k_max": 3})
    shown = text.markdown(ScoresReport((published, knn, other), registry()))
    assert shown.count("0.3763 ± 0.0844") == 1
    assert shown.count("0.5866 ± 0.0698") == 1


@pytest.mark.parametrize("label", [{"preset": "paper"}, {"dataset": "sim-tiny"}])
def test_labels_do_not_part_what_was_tested_alike(lsr, label):
    """Controls keep the labels of the run that first made them; the numbers are comparable."""
    other = with_identity(lsr, method="other").model_copy(update=label)
    [section] = sections(lsr, other)
    assert labels(section) == ["lsr", "other"]


@pytest.fixture
def published(realdata):
    """What is_published() asks of a dataset, as the published one would answer."""
    sizes = {"geo": 111_009, "1000g": 462, "gtex": 2921}
    return SimpleNamespace(
        info={
            "origin": {"kind": "measured"},
            "platforms": {name: {"profiles": size} for name, size in sizes.items()},
        },
        landmark_genes=read_gene_map(realdata / "map_lm.txt"),
        target_genes=read_gene_map(realdata / "map_tg.txt"),
    )


def test_the_published_dataset_is_recognised(published):
    assert is_published(published)


def test_other_removals_of_duplicates_are_still_the_published_dataset(published):
    published.info["platforms"]["geo"]["profiles"] = 112_171
    assert is_published(published)


@pytest.mark.parametrize("kind", ["simulated", "", None])
def test_a_simulation_of_the_same_size_and_genes_is_not_the_published_dataset(published, kind):
    published.info["origin"]["kind"] = kind
    assert not is_published(published)


@pytest.mark.parametrize(
    ("platform", "profiles"), [("geo", 592), ("1000g", 461), ("gtex", 2922), ("gtex", None)]
)
def test_other_numbers_of_profiles_are_not_the_published_dataset(published, platform, profiles):
    if profiles is None:
        del published.info["platforms"][platform]
    else:
        published.info["platforms"][platform]["profiles"] = profiles
    assert not is_published(published)


@pytest.mark.parametrize("role", ["landmark_genes", "target_genes"])
def test_other_genes_are_not_the_published_dataset(published, role):
    setattr(published, role, getattr(published, role).iloc[:-1])
    assert not is_published(published)


def test_the_simulated_dataset_is_not_the_published_one(tiny):
    assert not is_published(tiny)


# Layout


def test_a_narrow_terminal_still_shows_every_method_and_no_line_is_wider(records):
    report = ScoresReport(tuple(records), registry(), width=60)
    shown = terminal.render(report)
    assert max(map(len, shown.splitlines())) <= 60
    for method in ("lsr", "train-mean", "copy-twin"):
        assert method in shown


def test_colour_is_used_only_when_there_is_some(records):
    report = ScoresReport(tuple(records), registry(), width=100)
    assert "\x1b" not in terminal.render(report)
    assert terminal.render(replace(report, colour=True)).count("\x1b") > 0


@pytest.mark.parametrize("method", ["a|b", "a*b*", "[x](http://y)", "`code`", "<b>"])
def test_markup_in_a_name_does_not_become_markup(lsr, method):
    shown = text.markdown(ScoresReport((with_identity(lsr, method=method),), registry()))
    row = next(line for line in shown.splitlines() if line.startswith("| a") or "0." in line)
    assert "<b>" not in row
    assert row.replace(r"\|", "").count("|") == 5, "label, all, strict, twin"


def test_no_text_in_csv_is_a_formula_to_a_spreadsheet(made_up):
    report = ScoresReport((made_up("net", {}, 0.3, dataset="=1+1"),), registry())
    rows = csv.DictReader(io.StringIO(as_csv(report)))
    assert {row["dataset"] for row in rows} == {"'=1+1"}


def test_no_text_in_csv_drives_a_terminal(made_up):
    report = ScoresReport((made_up("net", {}, 0.3, dataset="a\x1b[2J\rb\nc"),), registry())
    [row, *_] = csv.DictReader(io.StringIO(as_csv(report), newline=""))
    assert row["dataset"] == "a\\x1b[2J\\rb\nc"


def test_names_of_columns_in_csv_are_harmless_too():
    table = pd.DataFrame({"=1+1": [0.1], "a\x1b": ["b"], "c": [1]})
    assert csv_of(table) == "'=1+1,a\\x1b,c\n0.1,b,1\n"


# Seeds and presets


def test_the_interval_over_seeds_is_students_and_no_single_seed_has_one(made_up):
    maes = (0.30, 0.31, 0.33)
    runs = [made_up("net", {}, mae, seed=seed) for seed, mae in enumerate(maes)]
    [section] = sections(*runs, made_up("lsr", {}, 0.4))
    low, high = stats.t.interval(0.95, 2, np.mean(maes), stats.sem(maes))
    [note] = [note for note in section.details if "t interval" in note]
    assert note.startswith(f"net: 95 % t interval over 3 seeds: MAE {low:.4f} … {high:.4f}, CC ")


def test_presets_are_ranked_apart_and_what_has_none_stands_among_both(made_up):
    runs = (
        made_up("net", {"units": 9}, 0.3, preset="small"),
        made_up("net", {"units": 3}, 0.4, preset="tiny"),
        made_up("lsr", {}, 0.5, preset="tiny"),
    )
    vectors = {"profile.id": np.array(list("abcdefgh"))}
    shares = np.linspace(0, 1e-3, 8)

    def vectors_of(record):
        mean = record.scores["mae"]["all"].mean
        return vectors | {"profile-share.mae.all": mean + shares - shares.mean()}

    ranked = list(RanksReport(runs, registry(), vectors_of=vectors_of).sections())
    assert [section.title.split(" · ")[2] for section in ranked] == ["preset small", "preset tiny"]
    assert [column(section, "rank") for section in ranked] == [
        {"net": "1", "lsr": "2"},
        {"net": "1", "lsr": "2"},
    ]
    (scores,) = ScoresReport(runs, registry(), vectors_of=vectors_of).sections()
    judged = (" ".join(section.verdict) for section in ranked)
    assert scores.verdict == tuple(
        f"Preset {preset}: {sentences}"
        for preset, sentences in zip(("small", "tiny"), judged, strict=True)
    )
    assert scores.verdict[0].startswith("Preset small: net is best by MAE (0.3000). lsr is")
    for section in (*ranked, scores):
        assert any("p-values are rough" in note for note in section.notes), "of eight profiles"


def test_a_verdict_names_its_preset_even_if_no_other_can_be_tested(made_up):
    runs = [
        made_up(method, {"units": units}, mae, preset=preset)
        for preset, units in (("small", 9), ("tiny", 3))
        for method, mae in (("net", 0.3), ("lsr", 0.5))
    ]

    def vectors_of(record):
        if record.preset == "tiny":
            return {}
        shares = record.scores["mae"]["all"].mean + np.linspace(0, 1e-3, 8)
        return {"profile.id": np.array(list("abcdefgh")), "profile-share.mae.all": shares}

    (scores,) = ScoresReport(tuple(runs), registry(), vectors_of=vectors_of).sections()
    (sentence,) = scores.verdict
    assert sentence.startswith("Preset small: net is best by MAE")
    # A table of one preset needs no name for it.
    (scores,) = ScoresReport(tuple(runs[:2]), registry(), vectors_of=vectors_of).sections()
    assert scores.verdict[0].startswith("net is best by MAE")


def test_scores_have_the_verdict_of_ranks_unless_they_cannot_be_tested(made_up):
    runs = made_up("net", {}, 0.3), made_up("lsr", {}, 0.5)
    vectors = {
        "profile.id": np.array(list("abcdefgh")),
        "profile-share.mae.all": np.linspace(0, 1e-3, 8),
    }

    def vectors_of(record):
        return vectors | {
            "profile-share.mae.all": vectors["profile-share.mae.all"]
            + record.scores["mae"]["all"].mean
        }

    (scores,) = ScoresReport(runs, registry(), vectors_of=vectors_of).sections()
    (ranks,) = RanksReport(runs, registry(), vectors_of=vectors_of).sections()
    assert scores.verdict == ranks.verdict
    assert scores.verdict[0].startswith("net is best by MAE")
    (untested,) = sections(*runs)
    assert untested.verdict == ()


# Seals


def sealed(record, level, **changes):
    return with_identity(record, **changes).model_copy(update={"seal": Seal(level=level)})


def theirs(record, level, method="net"):
    code = record.identity.code.model_copy(update={"distribution": "theirs"})
    return sealed(record, level, code=code, method=method)


def test_each_row_says_how_it_was_sealed(lsr):
    failure = failed(theirs(lsr, "no", "unlucky"))
    (section,) = sections(sealed(lsr, "no"), theirs(lsr, "landlock"), failure)
    assert column(section, "sealed", "cost") == {"lsr": "no", "net": "landlock", "unlucky": "–"}
    [note] = [note for note in section.details if "seal" in note]
    assert "no (in the process that holds the test data)" in note
    assert "view" not in note, "no row has it"


def test_rows_that_could_have_cheated_are_named_and_shipped_methods_are_not(lsr):
    for report in (ScoresReport, RanksReport):
        tables = report(
            (sealed(lsr, "no"), theirs(lsr, "view"), theirs(lsr, "no", "fish")), registry()
        )
        (section,) = tables.sections()
        [note] = [note for note in section.notes if note.startswith("COULD HAVE CHEATED")]
        assert note.startswith("COULD HAVE CHEATED: fish, net. ")


def test_where_every_method_was_confined_no_note_is_needed(lsr):
    (section,) = sections(sealed(lsr, "landlock"), theirs(lsr, "landlock"))
    assert not [note for note in (*section.notes, *section.details) if "seal" in note]


def test_the_table_of_costs_fits_a_terminal_of_80_characters(lsr):
    seal = sealed(lsr, "landlock", method="train-mean")
    shown = terminal.render(ScoresReport((seal,), registry(), width=80))
    [heading] = [line for line in shown.splitlines() if "fit s" in line]
    assert heading.split("  ")[-1].strip() == "sealed"


def test_a_twin_is_no_copy_where_two_assays_measure_it(lsr):
    def details(record):
        return " ".join(sections(record)[0].details)

    assert "twin (a landmark too, hence copied on RNA-seq)" in details(lsr)
    paired = with_identity(lsr, protocol="l1000", test="l1000/test/by-l1000/training-statistics")
    assert "twin (a landmark too, measured again by the other assay)" in details(paired)


def test_filled_landmarks_are_always_noted(lsr):
    filled = lsr.model_copy(update={"genes": {**lsr.genes, "filled": 2}})
    assert "2 landmarks not measured on some platform" in sections(filled)[0].notes[0]
    assert not any("not measured on some" in note for note in sections(lsr)[0].notes)

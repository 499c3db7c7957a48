"""Times are ranked within one timing epoch and one class of hardware."""

from __future__ import annotations

import pytest

from genebench.analysis.costs import cost_parts
from genebench.analysis.timing import RankedTimes, timing_class, why_incomparable
from genebench.analysis.variants import variants_of
from genebench.plugins.registry import registry
from genebench.reports.cost import CostReport
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.pareto import drawings


@pytest.fixture
def timed(made_up):
    """Make a record with seconds, hardware and epochs."""

    def timed(method, mae, seconds, *, epoch=1, of_method=1, seed=0, **hardware):
        record = made_up(
            method, {}, mae, seconds={"fit": seconds}, seed=seed,
            timing={"epoch": epoch, "methods": {method: of_method}},
        )  # fmt: skip
        return record.model_copy(
            update={"provenance": record.provenance.model_copy(update=hardware)}
        )

    return timed


def variants(*records):
    return variants_of(list(records), registry())


def ranked(*records):
    """Method → why its times are not ranked."""
    found = variants(*records)
    times = RankedTimes.among(found)
    return {variant.label: times.reason_against(variant) for variant in found}


@pytest.mark.parametrize(
    "other",
    [{"processor": "another"}, {"cpus": 16}, {"accelerator": "H200"}, {"epoch": 2}],
    ids=lambda other: next(iter(other)),
)
def test_times_of_another_class_are_not_ranked(timed, other):
    reasons = ranked(
        timed("a", 0.1, 1.0), timed("b", 0.2, 2.0), timed("c", 0.3, 0.1, **other)
    )  # fmt: skip
    assert reasons["a"] == reasons["b"] == ""
    assert str(next(iter(other.values()))) in reasons["c"]


def test_what_is_not_recorded_is_never_ranked(timed):
    reasons = ranked(timed("a", 0.1, 1.0, processor=""), timed("b", 0.2, 2.0, epoch=0))
    assert all("not recorded" in reason for reason in reasons.values())
    assert timing_class(timed("a", 0.1, 1.0, processor="")) is None


def test_seeds_of_two_machines_have_no_common_time(timed):
    reasons = ranked(
        timed("a", 0.1, 1.0), timed("a", 0.1, 1.0, seed=1, cpus=9), timed("b", 0.2, 1.0)
    )  # fmt: skip
    assert "different hardware" in reasons["a"]
    assert reasons["b"] == ""


def test_the_epoch_of_a_method_counts_for_that_method_only(timed, made_up):
    old = timed("a", 0.1, 1.0)
    new = timed("a", 0.1, 5.0, of_method=2)
    code = new.identity.code.model_copy(update={"digest": "f" * 16})
    new = new.model_copy(update={"identity": new.identity.model_copy(update={"code": code})})
    reasons = ranked(old, new, timed("b", 0.2, 2.0))
    assert sorted(reasons.values()) == ["", "", "timing epoch 1 of a, which has a later one"]
    assert reasons["b"] == ""


def test_the_front_is_drawn_and_ranked_for_one_class(timed, tmp_path):
    records = [
        timed("a", 0.1, 9.0), timed("b", 0.2, 3.0), timed("quick", 0.3, 0.001, cpus=64),
    ]  # fmt: skip
    report = CostReport(tuple(records), registry(), metrics=("mae",))
    values = report.values().set_index("method")
    assert values["front_seconds"].to_dict() == {"a": True, "b": True, "quick": False}
    assert values["times_ranked"].to_dict() == {"a": True, "b": True, "quick": False}
    [section] = report.sections()
    assert [row.cells[2] for row in section.tables[0].rows] == ["9.00", "3.00", "0.00*"]
    assert any("Not ranked: quick: a processor, 64 cores" in note for note in section.notes)
    paths = write_drawings(
        drawings(cost_parts(records, registry()), [registry().metrics.get("mae")]), tmp_path
    )
    svg = next(path for path in paths if path.suffix == ".svg").read_text()
    assert "quick" not in svg
    assert "time of a fit" in svg


def test_energy_is_shown_where_every_seed_has_it(timed):
    energy = {"joules": {"fit": 1234.4}, "method": "counter"}
    measured = type(timed("a", 0.1, 1.0)).model_validate(
        timed("a", 0.1, 1.0).model_dump() | {"energy": energy}
    )
    report = CostReport((measured, timed("b", 0.2, 1.0)), registry(), metrics=("mae",))
    [section] = report.sections()
    table = section.tables[0]
    assert table.columns[3] == "fit J"
    assert [row.cells[3] for row in table.rows] == ["1,234", "–"]


def test_two_times_compare_or_it_is_said_why_not(timed):
    a, b, c = variants(
        timed("a", 0.1, 1.0), timed("b", 0.1, 1.0), timed("c", 0.1, 1.0, cpus=3)
    )  # fmt: skip
    assert why_incomparable(a, b) == ""
    assert "cores" in why_incomparable(a, c)
